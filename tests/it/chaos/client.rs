//! Sends requests to services, and writes down what came of each.

use std::{
    cell::RefCell,
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::history::{Call, Outcome, Reply, Request, Sequence, Target};
use crate::support::{app::ADMIN_TOKEN, contract::Ask};

/// How long a buyer waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(4);
/// The codes after which nothing was done, as `docs/api.md` says.
const NOTHING_WAS_DONE: [&str; 4] = ["overloaded", "store_full", "store_replaced", "draining"];

pub struct Recorder {
    http: reqwest::Client,
    services: Vec<SocketAddr>,
    began: Instant,
    pub began_ms: u64,
    pub calls: RefCell<Vec<Call>>,
}

impl Recorder {
    pub fn new(services: Vec<SocketAddr>) -> Self {
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().unwrap();
        // Both clocks at one instant, and not one before and one after a pause of this process.
        let (began, now) = loop {
            let (began, now) = (Instant::now(), SystemTime::now());
            if began.elapsed() < Duration::from_millis(1) {
                break (began, now);
            }
        };
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let began_ms = u64::try_from(now.as_millis()).unwrap();
        Self { http, services, began, began_ms, calls: RefCell::default() }
    }

    pub fn services(&self) -> u64 {
        self.services.len() as u64
    }

    pub fn began(&self) -> Instant {
        self.began
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap()
    }

    /// Sends a request once. The call, as it is in the history too.
    pub async fn send(&self, client: usize, service: u64, request: Request) -> Call {
        let service = usize::try_from(service).unwrap() % self.services.len();
        let built = self.build(service, &request);
        let start_ns = self.now_ns();
        let outcome = outcome(built.ask().await).await;
        let call = Call { client, service, start_ns, end_ns: self.now_ns(), request, outcome };
        self.calls.borrow_mut().push(call.clone());
        call
    }

    /// A call that belongs to no history: what an admin sets up, or looks at when all is over.
    pub async fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let mut request = self.http.request(method, self.url(0, path)).bearer_auth(ADMIN_TOKEN);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.timeout(Duration::from_secs(30)).ask().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.unwrap_or(Value::Null)))
    }

    fn url(&self, service: usize, path: &str) -> String {
        format!("http://{}{path}", self.services[service])
    }

    fn build(&self, service: usize, request: &Request) -> RequestBuilder {
        let send = |method: Method, path: String| self.http.request(method, self.url(service, &path));
        let post = |path: String, body: Value| send(Method::POST, path).json(&body);
        match request {
            Request::Hold { key, lines, customer } => {
                let items: Vec<_> =
                    lines.iter().map(|(id, units)| json!({"product_id": id, "quantity": units})).collect();
                let built = post("/api/holds".to_owned(), json!({"items": items, "customer_id": customer}));
                key.iter().fold(built, |built, key| built.header("Idempotency-Key", key))
            }
            Request::ReadHold { hold } => send(Method::GET, format!("/api/holds/{hold}")),
            Request::Release { hold } => send(Method::DELETE, format!("/api/holds/{hold}")),
            Request::Extend { hold, seconds } => post(format!("/api/holds/{hold}/extend"), json!({"seconds": seconds})),
            Request::Order { hold } => post("/api/orders".to_owned(), json!({"hold_id": hold})),
            Request::ReadOrder { order } => send(Method::GET, format!("/api/orders/{order}")),
            Request::Cancel { order } => post(format!("/api/orders/{order}/cancel"), json!({})),
            Request::StartPayment { order } => post(format!("/api/orders/{order}/payment-started"), json!({})),
            Request::Event { id, word, payment, target, amount } => {
                let mut payload = json!({"status": word});
                match target {
                    Target::Hold(hold) => payload["hold_id"] = json!(hold),
                    Target::Order(order) => payload["order_id"] = json!(order),
                }
                if let Some(payment) = payment {
                    payload["payment_id"] = json!(payment);
                }
                if let Some(amount) = amount {
                    payload["amount"] = json!(amount);
                    payload["currency"] = json!("USD");
                }
                post("/api/payments/webhook".to_owned(), json!({"idempotency_key": id, "payload": payload}))
            }
            Request::ReadProduct { product } => send(Method::GET, format!("/api/products/{product}")),
            Request::Restock { product, delta, key } => {
                let path = format!("/api/admin/products/{product}/restock");
                post(path, json!({"delta": delta})).bearer_auth(ADMIN_TOKEN).header("Idempotency-Key", key)
            }
        }
    }
}

async fn outcome(sent: Result<reqwest::Response, reqwest::Error>) -> Outcome {
    let response = match sent {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Outcome::NotDone("nobody listens".to_owned()),
        Err(error) if error.is_timeout() => return Outcome::Unknown("no answer in time".to_owned()),
        Err(_) => return Outcome::Unknown("the connection broke".to_owned()),
    };
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let is_replayed = header("idempotency-replayed").is_some();
    let sequence = header("sale-sequence").and_then(|text| read_sequence(&text));
    let Ok(text) = response.text().await else { return Outcome::Unknown("half an answer".to_owned()) };
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    match status {
        503 if NOTHING_WAS_DONE.contains(&&*code) => Outcome::NotDone(code),
        503 => Outcome::Unknown(code),
        _ => Outcome::Answered(Reply { status, code, is_replayed, body, sequence }),
    }
}

/// `1795716624000123.0.4`.
pub fn read_sequence(text: &str) -> Option<Sequence> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
