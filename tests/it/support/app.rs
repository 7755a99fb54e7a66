//! The service in this process, on a private Redis, and a client for it. Dropping it checks the invariants, and audits.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread::{self, JoinHandle},
    time::Duration,
};

use actix_web::dev::ServerHandle;
use flashsale::{
    app::{Application, load_settings},
    config::{Environment, Sources},
    store::Catalogue,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::{
    contract::{self, Ask},
    invariants, mutant,
    redis::PrivateRedis,
};

pub const ADMIN_TOKEN: &str = "a-token-for-tests-only";

/// A running service. Tests talk to it as any client would, and may look into its Redis.
pub struct TestApp {
    pub addr: SocketAddr,
    pub client: reqwest::Client,
    pub redis: PrivateRedis,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Value,
}

impl TestApp {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more settings than those of every test: `("SALE__HOLD_SECONDS", "2")`. An empty one has its default.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_on(PrivateRedis::start(), settings)
    }

    /// On a server that the test chose.
    pub fn start_on(redis: PrivateRedis, settings: &[(&str, &str)]) -> Self {
        let (addr, handle, thread) = run_service(&redis.url(), settings);
        let client = reqwest::Client::builder().pool_max_idle_per_host(256).build().unwrap();
        Self { addr, client, redis, handle, thread: Some(thread) }
    }

    /// Puts another service in the place of this one, with the settings of every test. It remembers nothing.
    pub fn replace_service(&mut self) {
        let (addr, handle, thread) = run_service(&self.redis.url(), &[]);
        drop(std::mem::replace(&mut self.handle, handle).stop(false));
        self.addr = addr;
        self.thread.replace(thread).map(JoinHandle::join).transpose().unwrap();
    }

    /// With product 1 of so many units.
    pub async fn selling(units: u64) -> Self {
        Self::start().with_units(units).await
    }

    /// Adds product 1.
    pub async fn with_units(self, units: u64) -> Self {
        self.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": units})).await;
        self
    }

    pub async fn add_product(&self, product: Value) -> Value {
        let answer = self.admin(Method::POST, "/api/admin/products", product).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body
    }

    pub async fn admin(&self, method: Method, path: &str, body: Value) -> Answer {
        self.send(self.request(method, path).bearer_auth(ADMIN_TOKEN).json(&body)).await
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.addr))
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::read(request.ask().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub async fn hold(&self, quantity: u64) -> Answer {
        self.post("/api/holds", json!({"product_id": 1, "quantity": quantity})).await
    }

    /// The id of a hold of one unit that must succeed.
    pub async fn held(&self) -> String {
        let answer = self.hold(1).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.id()
    }

    pub async fn order(&self, hold: &str) -> Answer {
        self.post("/api/orders", json!({"hold_id": hold})).await
    }

    /// The id of an order that must succeed.
    pub async fn ordered(&self) -> String {
        let answer = self.order(&self.held().await).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.id()
    }

    pub async fn pay(&self, key: &str, payload: Value) -> Answer {
        self.post("/api/payments/webhook", json!({"idempotency_key": key, "payload": payload})).await
    }

    /// The units of a product in words, without those that are zero: `7 available, 3 held`.
    pub async fn stock(&self, product: u64) -> String {
        let named = self.counters(product).await.into_iter().zip(["available", "held", "pending", "sold"]);
        let words: Vec<_> =
            named.filter(|(units, _)| *units > 0).map(|(units, name)| format!("{units} {name}")).collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    }

    /// Available, held, pending and sold units of a product.
    pub async fn counters(&self, product: u64) -> [u64; 4] {
        let answer = self.get(&format!("/api/products/{product}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        ["available_stock", "held_stock", "pending_stock", "sold_stock"].map(|name| answer.body[name].as_u64().unwrap())
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let audited = audit(self.addr);
        let stopping = self.handle.stop(false);
        drop(stopping);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if thread::panicking() {
                return;
            }
            ended.unwrap();
        }
        invariants::check(&mut self.redis.connect());
        // `None` where the service cannot audit, because some tests take its Redis away.
        assert!(audited.as_ref().is_none_or(|audit| audit["ok"] == true), "{audited:#?}");
    }
}

/// The result of an audit, if the service can make one. Nothing here is asynchronous, because a test may end without a
/// runtime.
fn audit(addr: SocketAddr) -> Option<Value> {
    let mut connection = TcpStream::connect(addr).ok()?;
    connection.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let head = format!("Host: flashsale\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\nConnection: close\r\n\r\n");
    connection.write_all(format!("GET /api/admin/audit HTTP/1.1\r\n{head}").as_bytes()).ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    // A second panic would end all tests.
    if !thread::panicking() {
        contract::check_text("GET", "/api/admin/audit", &answer);
    }
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| serde_json::from_str(body).ok()).flatten()
}

impl Answer {
    pub async fn read(response: Response) -> Self {
        let status = response.status();
        let headers: HashMap<_, _> =
            response.headers().iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned())).collect();
        let text = response.text().await.unwrap();
        let body =
            if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
        let answer = Self { status: status.as_u16(), headers, body };
        answer.check_form(status);
        answer
    }

    /// Every answer has a request id, and is a problem where it is no success.
    fn check_form(&self, status: StatusCode) {
        assert!(self.headers.contains_key("x-request-id"), "{self:?}");
        if status.is_success() {
            return;
        }
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], self.status, "{self:?}");
        assert_eq!(self.body["request_id"].as_str(), Some(self.headers["x-request-id"].as_str()), "{self:?}");
        for name in ["type", "title", "detail", "code"] {
            assert!(self.body[name].as_str().is_some_and(|text| !text.is_empty()), "{name} in {self:?}");
        }
    }

    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}")).to_owned()
    }

    /// Status and problem code.
    pub fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or(""))
    }
}

/// Runs the service on a thread of its own, until its handle stops it.
pub fn run_service(redis_url: &str, settings: &[(&str, &str)]) -> (SocketAddr, ServerHandle, JoinHandle<()>) {
    run_service_of(redis_url, settings, mutant::catalogue())
}

/// Runs the service with these scripts.
pub fn run_service_of(
    redis_url: &str,
    settings: &[(&str, &str)],
    catalogue: Catalogue,
) -> (SocketAddr, ServerHandle, JoinHandle<()>) {
    try_run_service(redis_url, settings, catalogue).expect("the service starts")
}

/// The same; or why it does not start.
pub fn try_run_service(
    redis_url: &str,
    settings: &[(&str, &str)],
    catalogue: Catalogue,
) -> Result<(SocketAddr, ServerHandle, JoinHandle<()>), String> {
    let mut environment: Environment =
        settings.iter().map(|(name, value)| (format!("FLASHSALE_{name}"), (*value).to_owned())).collect();
    for (name, value) in [
        ("FLASHSALE_HTTP__ADDR", "127.0.0.1:0"),
        ("FLASHSALE_HTTP__WORKERS", "2"),
        ("FLASHSALE_REDIS__URL", redis_url),
        ("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN),
        ("FLASHSALE_WEBHOOK__ALLOW_UNSIGNED", "true"),
    ] {
        environment.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    environment.retain(|_, value| !value.is_empty());
    let no_file = tempfile::NamedTempFile::new().unwrap();
    let settings = load_settings(Sources { file: Some(no_file.path()), environment: &environment, flags: &vec![] });
    let settings = settings.unwrap().settings;
    flashsale::telemetry::init(&settings.log).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            match Application::build(&settings, catalogue).await {
                Ok(application) => {
                    sender.send(Ok((application.addr(), application.handle()))).unwrap();
                    application.run_until_stopped().await.unwrap();
                }
                Err(error) => sender.send(Err(error.to_string())).unwrap(),
            }
        });
    });
    let (addr, handle) = receiver.recv().expect("the service starts or says why it does not")?;
    Ok((addr, handle, thread))
}
