//! A service on several servers, and a client of it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use actix_web::dev::ServerHandle;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, run_service},
    contract::Ask,
    eventually,
    process::ServiceProcess,
};

/// The settings of most tests here: a server that hangs is noticed soon, and one on a loaded machine is not taken for it.
pub const QUICK: [(&str, &str); 3] =
    [("REDIS__CALL_TIMEOUT_MS", "1500"), ("REDIS__CONNECT_TIMEOUT_MS", "1000"), ("DURABILITY__PAYMENTS", "memory")];

pub struct Shop {
    pub addr: SocketAddr,
    client: reqwest::Client,
    running: Running,
}

enum Running {
    Here { handle: ServerHandle, thread: Option<JoinHandle<()>> },
    Process { _service: ServiceProcess },
}

impl Shop {
    pub fn open(url: &str, settings: &[(&str, &str)]) -> Self {
        let (addr, handle, thread) = run_service(url, settings);
        Self { addr, client: reqwest::Client::new(), running: Running::Here { handle, thread: Some(thread) } }
    }

    /// A service that is a process of its own.
    pub fn of(service: ServiceProcess) -> Self {
        Self { addr: service.addr, client: reqwest::Client::new(), running: Running::Process { _service: service } }
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        send(&self.client, self.addr, method, path, body, None).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// A product of each of these sales, with ids from 1.
    pub async fn offer(&self, sales: &[String], units: u64) {
        for (sale, id) in sales.iter().zip(1..) {
            let product = json!({"id": id, "sale": sale, "sku": format!("SKU-{id}"), "name": "Item", "price": "50.00",
                                 "total_stock": units});
            // A server of a new cluster may need another moment.
            eventually("the product is made", async || {
                let answer = self.post("/api/admin/products", product.clone()).await;
                assert!([200, 201, 503].contains(&answer.status), "{answer:?}");
                answer.status != 503
            })
            .await;
        }
    }

    pub async fn hold(&self, product: u64) -> Answer {
        self.post("/api/holds", json!({"product_id": product, "quantity": 1})).await
    }

    /// An order of one unit that must succeed.
    pub async fn order(&self, product: u64) -> String {
        let hold = self.hold(product).await;
        assert_eq!(hold.status, 201, "{hold:?}");
        let order = self.post("/api/orders", json!({"hold_id": hold.id()})).await;
        assert_eq!(order.status, 201, "{order:?}");
        order.id()
    }

    pub async fn pay(&self, order: &str, key: &str) -> Answer {
        let payload = json!({"order_id": order, "payment_id": format!("pay-{key}"), "status": "paid",
                             "amount": "50.00", "currency": "USD"});
        self.post("/api/payments/webhook", json!({"idempotency_key": key, "payload": payload})).await
    }

    /// Money that came for orders that are lost is left to a person.
    pub async fn check_money_of_lost_orders(&self, seen: &[Purchases]) {
        for payment in seen.iter().flat_map(|buyer| &buyer.of_lost_orders) {
            let found = self.get(&format!("/api/admin/payments/{payment}")).await;
            assert_eq!((found.status, found.body["reviews"].as_array().map(Vec::len)), (200, Some(1)), "{found:?}");
        }
    }

    /// What the audit says of everything.
    pub async fn audit(&self) -> Value {
        let mut audit = Value::Null;
        eventually("the audit is made", async || {
            let answer = self.get("/api/admin/audit").await;
            audit = answer.body;
            answer.status == 200
        })
        .await;
        assert_eq!(audit["ok"], true, "{audit:#}");
        audit
    }

    /// Buyers of these products, until they are stopped. Each holds, orders and pays, over and over, and repeats with the same
    /// keys whatever was not acknowledged.
    pub fn crowd(&self, products: &[u64]) -> Crowd {
        let stop = Arc::new(AtomicBool::new(false));
        let buyers = products.iter().enumerate().map(|(n, product)| {
            let buyer =
                Buyer { addr: self.addr, client: self.client.clone(), product: *product, name: format!("b{n}") };
            tokio::spawn(buyer.shop(Arc::clone(&stop)))
        });
        Crowd { buyers: buyers.collect(), stop }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let Running::Here { handle, thread } = &mut self.running else { return };
        drop(handle.stop(false));
        if let Some(thread) = thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the service panicked");
        }
    }
}

pub struct Crowd {
    buyers: Vec<tokio::task::JoinHandle<Purchases>>,
    stop: Arc<AtomicBool>,
}

/// What a buyer saw.
#[derive(Debug, Default)]
pub struct Purchases {
    pub product: u64,
    /// Orders whose payments were acknowledged.
    pub paid: Vec<String>,
    /// Their payments.
    pub payments: Vec<String>,
    /// Payments whose order was gone, because the server that had made it was replaced before another had it.
    pub of_lost_orders: Vec<String>,
    /// Holds that were gone, for the same reason.
    pub lost_holds: usize,
    /// Answers of 503.
    pub refused: usize,
    /// What they said, each once.
    pub said: std::collections::BTreeSet<String>,
    pub sold_out: bool,
    /// The longest time without any success.
    pub worst_gap: Duration,
    /// The slowest answer that was no 503.
    pub slowest: Duration,
}

impl Purchases {
    /// A buyer has one hold at a time, so a fail-over can take no more than that one.
    pub fn lost_one_at_most(&self) -> bool {
        self.lost_holds <= 1
    }
}

impl Crowd {
    pub async fn stop(self) -> Vec<Purchases> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for buyer in self.buyers {
            all.push(buyer.await.unwrap());
        }
        all
    }
}

struct Buyer {
    addr: SocketAddr,
    client: reqwest::Client,
    product: u64,
    name: String,
}

impl Buyer {
    async fn shop(self, stop: Arc<AtomicBool>) -> Purchases {
        let mut seen = Purchases { product: self.product, ..Purchases::default() };
        let mut last = Instant::now();
        for n in 0.. {
            if stop.load(Ordering::Relaxed) || seen.sold_out {
                break;
            }
            let key = format!("{}-{n}", self.name);
            if let Some(order) = self.buy(&key, &mut seen, &stop).await {
                seen.paid.push(order);
                seen.payments.push(format!("pay-{key}"));
                seen.worst_gap = seen.worst_gap.max(last.elapsed());
                last = Instant::now();
            }
        }
        seen
    }

    /// The order, if its payment was acknowledged.
    async fn buy(&self, key: &str, seen: &mut Purchases, stop: &AtomicBool) -> Option<String> {
        let hold = json!({"product_id": self.product, "quantity": 1});
        let hold = self.until_taken("/api/holds", hold, Some(key), seen, stop).await?;
        if hold.status == 409 {
            seen.sold_out = true;
            return None;
        }
        assert_eq!(hold.status, 201, "{hold:?}");
        let order = json!({"hold_id": hold.id()});
        let order = self.until_taken("/api/orders", order, None, seen, stop).await?;
        if order.status == 410 {
            // Holds live for minutes: this one went with the server that had made it.
            seen.lost_holds += 1;
            return None;
        }
        assert!([200, 201].contains(&order.status), "{order:?}");
        let payload = json!({"order_id": order.id(), "payment_id": format!("pay-{key}"), "status": "paid",
                             "amount": "50.00", "currency": "USD"});
        let event = json!({"idempotency_key": key, "payload": payload});
        let paid = self.until_taken("/api/payments/webhook", event, None, seen, stop).await?;
        assert_eq!(paid.status, 200, "{paid:?}");
        if paid.body["order"]["status"] == "refund_required" {
            seen.of_lost_orders.push(format!("pay-{key}"));
            return None;
        }
        Some(order.id())
    }

    async fn until_taken(
        &self,
        path: &str,
        body: Value,
        key: Option<&str>,
        seen: &mut Purchases,
        stop: &AtomicBool,
    ) -> Option<Answer> {
        loop {
            let asked = Instant::now();
            let answer = send(&self.client, self.addr, Method::POST, path, Some(body.clone()), key).await;
            if answer.status != 503 {
                seen.slowest = seen.slowest.max(asked.elapsed());
                return Some(answer);
            }
            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
            seen.refused += 1;
            seen.said.insert(format!("{path}: {}", answer.body["detail"]));
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn send(
    client: &reqwest::Client,
    addr: SocketAddr,
    method: Method,
    path: &str,
    body: Option<Value>,
    key: Option<&str>,
) -> Answer {
    let mut request = client.request(method, format!("http://{addr}{path}"));
    if path.starts_with("/api/admin") || path == "/metrics" {
        request = request.bearer_auth(ADMIN_TOKEN);
    }
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    Answer::read(request.ask().await.unwrap()).await
}
