//! Backups: a Redis that is emptied or replaced under a running service, an older one that is restored, and what an exported
//! log says about it; and one version of the service that replaces another.

mod against;
mod emptied;
mod restored;
mod rolling;
mod runbook;

use std::{net::SocketAddr, path::Path, thread::JoinHandle};

use actix_web::dev::ServerHandle;
use flashsale::store::Catalogue;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    app::{ADMIN_TOKEN, Answer, run_service_of, try_run_service},
    contract::Ask,
    mutant,
    redis::{ServerProcess, free_port},
};

/// A client of a service.
#[derive(Clone)]
struct Caller {
    client: Client,
    base: String,
}

impl Caller {
    fn of(addr: SocketAddr) -> Self {
        Self { client: Client::new(), base: format!("http://{addr}") }
    }

    /// `None`: nobody answers.
    async fn try_call(&self, method: Method, path: &str, body: &Value) -> Option<Answer> {
        let request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(ADMIN_TOKEN).json(body);
        Some(Answer::read(request.ask().await.ok()?).await)
    }

    async fn get(&self, path: &str) -> Answer {
        self.try_call(Method::GET, path, &Value::Null).await.expect("an answer")
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.try_call(Method::POST, path, &body).await.expect("an answer")
    }

    async fn add(&self, product: u64, sale: Option<&str>) {
        let mut body = json!({"id": product, "name": "Item", "price": "20.00", "total_stock": 100});
        if let Some(sale) = sale {
            self.post("/api/admin/sales", json!({"id": sale})).await;
            body["sale"] = json!(sale);
        }
        let answer = self.post("/api/admin/products", body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    async fn hold(&self, product: u64) -> Answer {
        self.post("/api/holds", json!({"product_id": product, "quantity": 1})).await
    }

    /// The id of an order of one unit that must succeed.
    async fn ordered(&self, product: u64) -> String {
        let hold = self.hold(product).await.id();
        self.post("/api/orders", json!({"hold_id": hold})).await.id()
    }

    /// The event of a captured payment, the same each time.
    async fn pay(&self, order: &str, payment: &str) -> Answer {
        let payload = json!({"status": "paid", "order_id": order, "payment_id": payment, "amount": "20.00",
            "currency": "USD"});
        self.post("/api/payments/webhook", json!({"idempotency_key": payment, "payload": payload})).await
    }

    async fn bought(&self, product: u64, payment: &str) -> String {
        let order = self.ordered(product).await;
        let answer = self.pay(&order, payment).await;
        assert_eq!(answer.body["outcome"], "applied", "{answer:?}");
        order
    }

    /// The payment ids of the open reviews, with their reasons.
    async fn reviews(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let answer = self.get("/api/admin/reviews").await;
        let rows = answer.body["data"].as_array().unwrap().clone();
        rows.iter().map(|row| (text(&row["payment_id"]), text(&row["reason"]))).collect()
    }
}

/// A service in this process, until it is dropped.
struct Service {
    caller: Caller,
    addr: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl std::ops::Deref for Service {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Service {
    fn on(redis: &ServerProcess) -> Self {
        Self::with(redis, mutant::catalogue())
    }

    fn with(redis: &ServerProcess, catalogue: Catalogue) -> Self {
        let (addr, handle, thread) = run_service_of(&redis.url(), &[], catalogue);
        Self { caller: Caller::of(addr), addr, handle, thread: Some(thread) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.handle.stop(true));
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_none_or(|ended| ended.is_ok()));
    }
}

/// Why a service with these scripts does not start.
fn refused(redis: &ServerProcess, catalogue: Catalogue) -> String {
    let started = try_run_service(&redis.url(), &[], catalogue);
    started.map(|(addr, ..)| addr).expect_err("it starts")
}

/// A Redis that writes nothing to disk unless it is asked for a snapshot.
fn redis() -> ServerProcess {
    ServerProcess::start(&["--appendonly", "no"])
}

fn connect(redis: &ServerProcess) -> redis::Connection {
    redis::Client::open(redis.url()).unwrap().get_connection().unwrap()
}

/// A snapshot of now: the bytes of a `dump.rdb`.
fn snapshot(redis: &ServerProcess) -> Vec<u8> {
    redis::cmd("SAVE").exec(&mut connect(redis)).unwrap();
    std::fs::read(redis.folder.path().join("dump.rdb")).unwrap()
}

/// Kills the server, and starts one from the snapshot at the same port.
fn restored(mut redis: ServerProcess, snapshot: &[u8]) -> ServerProcess {
    let port = redis.port;
    redis.end();
    let folder = TempDir::with_prefix("fs").unwrap();
    std::fs::write(folder.path().join("dump.rdb"), snapshot).unwrap();
    ServerProcess::start_in(folder, port, &["--appendonly", "no"])
}

/// The program against this service.
fn program(addr: SocketAddr) -> std::process::Command {
    let mut program = crate::support::process::command(Path::new("unused"));
    program.env("FLASHSALE_HTTP__ADDR", addr.to_string()).env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
    program
}

fn free_addr() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}
