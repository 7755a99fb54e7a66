//! A stand-in for the part of Stripe's API that a shop needs for Checkout. It refuses what Stripe refuses, and what would
//! leave a payment without its order. It sends the signed events of what happens to a session.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    web::{Data, Form, Path, post},
};
use flashsale::webhook::{signature::Signer, stripe::PROVIDER};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

pub const API_KEY: &str = "sk_test_of_a_shop";
pub const WEBHOOK_SECRET: &str = "whsec_4f5c0c2a7d9e4b1f8a6d3e2c1b0a9f8e";
const MINUTE: i64 = 60;

/// The fields of a form, by their names in brackets.
pub type Fields = BTreeMap<String, String>;

#[derive(Default)]
struct State {
    sessions: Vec<Value>,
    /// The fields that came with each idempotency key, and the session that they made.
    keys: HashMap<String, (Fields, usize)>,
    /// How often each session was to be ended.
    ends: HashMap<String, usize>,
    events: usize,
}

pub struct StripeApi {
    pub addr: SocketAddr,
    state: Arc<Mutex<State>>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl StripeApi {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (sender, receiver) = mpsc::channel();
        let shared = Data::new(Arc::clone(&state));
        let thread = thread::spawn(move || {
            actix_web::rt::System::new().block_on(async {
                let app = move || {
                    App::new()
                        .app_data(shared.clone())
                        .route("/v1/checkout/sessions", post().to(create))
                        .route("/v1/checkout/sessions/{id}/expire", post().to(end))
                };
                let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
                let addr = server.addrs()[0];
                let running = server.run();
                sender.send((addr, running.handle())).unwrap();
                running.await.unwrap();
            });
        });
        let (addr, handle) = receiver.recv().expect("the stand-in starts");
        Self { addr, state, handle, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn sessions(&self) -> Vec<Value> {
        self.state.lock().unwrap().sessions.clone()
    }

    /// The session of an order, which must be one.
    pub fn session(&self, order: &str) -> Value {
        let mut of_order = self.sessions().into_iter().filter(|session| session["client_reference_id"] == order);
        let session = of_order.next().expect("the order has a session");
        assert!(of_order.next().is_none(), "{order} has two sessions");
        session
    }

    /// How often the session of an order was to be ended.
    pub fn ends(&self, order: &str) -> usize {
        let session = self.session(order);
        self.state.lock().unwrap().ends.get(session["id"].as_str().unwrap()).copied().unwrap_or(0)
    }

    /// The buyer pays an open session.
    pub fn pay(&self, order: &str) {
        let session = self.session(order);
        let mut state = self.state.lock().unwrap();
        let session = state.sessions.iter_mut().find(|other| other["id"] == session["id"]).unwrap();
        assert_eq!(session["status"], "open");
        session["status"] = json!("complete");
        session["payment_status"] = json!("paid");
        session["payment_intent"] = json!(format!("pi_{}", session["id"].as_str().unwrap()));
    }

    /// Sends the events of a paid session, in the order in which they often come. Gives outcomes.
    pub async fn report_payment(&self, app: &TestApp, order: &str) -> Vec<String> {
        let session = self.session(order);
        let intent = json!({
            "id": session["payment_intent"], "object": "payment_intent", "status": "succeeded",
            "amount": session["amount_total"], "amount_received": session["amount_total"], "currency": session["currency"],
            "metadata": session["intent_metadata"],
        });
        let mut outcomes = Vec::new();
        for (kind, object) in [("payment_intent.succeeded", &intent), ("checkout.session.completed", &session)] {
            outcomes.push(self.send(app, kind, object).await);
        }
        outcomes
    }

    /// Sends the event of a session that was ended.
    pub async fn report_end(&self, app: &TestApp, order: &str) -> String {
        let session = self.session(order);
        assert_eq!(session["status"], "expired");
        self.send(app, "checkout.session.expired", &session).await
    }

    async fn send(&self, app: &TestApp, kind: &str, object: &Value) -> String {
        let id = {
            let mut state = self.state.lock().unwrap();
            state.events += 1;
            format!("evt_{}", state.events)
        };
        let now = Timestamp::now().as_second();
        let event = json!({"id": id, "object": "event", "api_version": "2024-06-20", "created": now, "type": kind,
            "data": {"object": object}});
        let secret = Signer::new(&PROVIDER, WEBHOOK_SECRET).unwrap();
        let signed = secret.sign(&id, now.unsigned_abs(), event.to_string());
        let mut request = app.request(Method::POST, PROVIDER.path).header("content-type", PROVIDER.media_type);
        for (name, value) in signed.headers {
            request = request.header(name, value);
        }
        let answer: Answer = app.send(request.body(signed.body)).await;
        assert_eq!(answer.status, 200, "{kind}: {answer:?}");
        answer.body["outcome"].as_str().unwrap().to_owned()
    }
}

impl Drop for StripeApi {
    fn drop(&mut self) {
        let stopping = self.handle.stop(false);
        drop(stopping);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

fn refused(kind: &str, message: &str) -> HttpResponse {
    HttpResponse::BadRequest().json(json!({"error": {"type": kind, "message": message}}))
}

fn may_call(request: &HttpRequest) -> bool {
    let shown = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    shown == Some(&format!("Bearer {API_KEY}"))
}

/// What is wrong with the fields of a new session.
fn complaint(fields: &Fields) -> Option<&'static str> {
    let of = |name: &str| fields.get(name).map_or("", String::as_str);
    let order = of("client_reference_id");
    let price = |name: &str| of(&format!("line_items[0][price_data]{name}"));
    let away = of("expires_at").parse().map_or(0, |at: i64| at - Timestamp::now().as_second());
    let is_currency = price("[currency]").len() == 3 && price("[currency]").bytes().all(|c| c.is_ascii_lowercase());
    [
        (of("mode") == "payment", "mode"),
        (order.starts_with("order_"), "client_reference_id"),
        (of("metadata[order_id]") == order, "metadata[order_id]"),
        (of("payment_intent_data[metadata][order_id]") == order, "payment_intent_data[metadata][order_id]"),
        (of("line_items[0][quantity]") == "1" && !fields.contains_key("line_items[1][quantity]"), "line_items"),
        (price("[unit_amount]").parse::<u64>().is_ok_and(|units| units > 0), "unit_amount"),
        (is_currency, "currency"),
        (!price("[product_data][name]").is_empty(), "product_data[name]"),
        ((30 * MINUTE..=24 * 60 * MINUTE).contains(&away), "expires_at"),
        (of("success_url").starts_with("https://"), "success_url"),
    ]
    .into_iter()
    .find_map(|(is_good, name)| (!is_good).then_some(name))
}

async fn create(request: HttpRequest, state: Data<Arc<Mutex<State>>>, Form(fields): Form<Fields>) -> HttpResponse {
    if !may_call(&request) {
        return HttpResponse::Unauthorized().json(json!({"error": {"type": "invalid_request_error"}}));
    }
    let key = request.headers().get("idempotency-key").and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let mut state = state.lock().unwrap();
    if let Some((earlier, made)) = state.keys.get(&key) {
        if *earlier != fields {
            return refused("idempotency_error", "this key came with other fields");
        }
        // Stripe answers what it answered at first.
        let mut session = state.sessions[*made].clone();
        session["status"] = json!("open");
        return HttpResponse::Ok().insert_header(("Idempotent-Replayed", "true")).json(session);
    }
    if let Some(name) = complaint(&fields) {
        return refused("invalid_request_error", name);
    }
    let id = format!("cs_test_{}", state.sessions.len() + 1);
    let amount: u64 = fields["line_items[0][price_data][unit_amount]"].parse().unwrap();
    let session = json!({
        "id": id, "object": "checkout.session", "mode": "payment", "status": "open", "payment_status": "unpaid",
        "url": format!("https://checkout.stripe.example/c/pay/{id}"), "payment_intent": null,
        "client_reference_id": fields["client_reference_id"],
        "metadata": {"order_id": fields["metadata[order_id]"]},
        // No field of Stripe's: what its payment intent will have.
        "intent_metadata": {"order_id": fields["payment_intent_data[metadata][order_id]"]},
        "amount_subtotal": amount, "amount_total": amount, "currency": fields["line_items[0][price_data][currency]"],
        "expires_at": fields["expires_at"].parse::<i64>().unwrap(),
    });
    let made = state.sessions.len();
    state.sessions.push(session.clone());
    state.keys.insert(key, (fields, made));
    HttpResponse::Ok().json(session)
}

async fn end(request: HttpRequest, state: Data<Arc<Mutex<State>>>, id: Path<String>) -> HttpResponse {
    if !may_call(&request) {
        return HttpResponse::Unauthorized().json(json!({"error": {"type": "invalid_request_error"}}));
    }
    let mut state = state.lock().unwrap();
    *state.ends.entry(id.clone()).or_default() += 1;
    let Some(session) = state.sessions.iter_mut().find(|session| session["id"] == id.as_str()) else {
        return HttpResponse::NotFound().json(json!({"error": {"type": "invalid_request_error"}}));
    };
    if session["status"] != "open" {
        return refused("invalid_request_error", "only an open session can be expired");
    }
    session["status"] = json!("expired");
    HttpResponse::Ok().json(session.clone())
}
