//! Buyers at one or several services until they are stopped, and every answer that they saw. They take a broken connection for
//! an answer: that none came.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::ADMIN_TOKEN;

/// In the place of a status: the connection broke.
pub const NO_ANSWER: u16 = 0;

/// A client of a service, or of the proxy in front of it.
#[derive(Clone)]
pub struct Caller {
    pub addr: SocketAddr,
    client: reqwest::Client,
}

impl Caller {
    pub fn of(addr: SocketAddr) -> Self {
        Self { addr, client: reqwest::Client::new() }
    }

    /// The status, and the body where it is JSON.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>, key: Option<&str>) -> (u16, Value) {
        let mut request = self.client.request(method, format!("http://{}{path}", self.addr)).bearer_auth(ADMIN_TOKEN);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let Ok(answer) = request.send().await else { return (NO_ANSWER, Value::Null) };
        let status = answer.status().as_u16();
        match answer.text().await {
            Ok(text) => (status, serde_json::from_str(&text).unwrap_or(Value::String(text))),
            Err(_) => (NO_ANSWER, Value::Null),
        }
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, None, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, Some(&body), None).await
    }

    pub async fn hold(&self, product: u64, key: Option<&str>) -> (u16, Value) {
        let body = json!({"product_id": product, "quantity": 1});
        self.call(Method::POST, HOLDS, Some(&body), key).await
    }
}

pub const HOLDS: &str = "/api/holds";
pub const ORDERS: &str = "/api/orders";
pub const PAYMENTS: &str = "/api/payments/webhook";

/// The event of the payment of an order.
pub fn payment(order: &str, key: &str) -> Value {
    json!({"idempotency_key": key, "payload": {"order_id": order, "payment_id": format!("pay-{key}"), "status": "paid"}})
}

#[derive(Clone, Copy, Debug)]
pub enum Buyer {
    /// Holds a unit of the product, without a key and once, over and over.
    Holds(u64),
    /// Holds, orders and pays, over and over, and repeats with the same keys whatever was not acknowledged.
    Buys(u64),
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Sample {
    pub product: u64,
    pub path: &'static str,
    pub sent: Instant,
    pub took: Duration,
    pub status: u16,
    /// The code of a problem.
    pub code: String,
}

impl Sample {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer in a word or two: `201`, `503 store_timeout`, `no answer`.
    pub fn kind(&self) -> String {
        match self.status {
            NO_ANSWER => "no answer".to_owned(),
            status => format!("{status} {}", self.code).trim_end().to_owned(),
        }
    }

    pub fn ended(&self) -> Instant {
        self.sent + self.took
    }
}

/// What the buyers saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub samples: Vec<Sample>,
    /// Orders whose payments were acknowledged.
    pub paid: Vec<String>,
    /// Holds that were acknowledged to buyers who only hold.
    pub held: Vec<String>,
}

impl Seen {
    pub fn kinds(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for sample in &self.samples {
            *kinds.entry(sample.kind()).or_default() += 1;
        }
        kinds
    }

    /// The time from the fault to the first success of what was asked after the first failure, about the same product. `None`:
    /// nothing failed.
    pub fn back_after(&self, fault: Instant) -> Option<Duration> {
        let failed = self.samples.iter().filter(|sample| sample.ended() > fault && !sample.is_success());
        let first = failed.min_by_key(|sample| sample.ended())?;
        let is_back = |sample: &&Sample| {
            sample.product == first.product
                && sample.sent >= first.ended()
                && sample.sent >= fault
                && sample.is_success()
        };
        self.samples.iter().filter(is_back).map(|sample| sample.ended() - fault).min()
    }

    /// How long successes about other products than the first took: half of them and 99 of 100 no longer than this.
    pub fn others(&self, from: Instant, to: Instant) -> [Duration; 2] {
        let of = |sample: &&Sample| {
            sample.product != 1 && sample.is_success() && sample.sent >= from && sample.ended() <= to
        };
        let mut took: Vec<_> = self.samples.iter().filter(of).map(|sample| sample.took).collect();
        assert!(!took.is_empty(), "nobody bought anything else meanwhile");
        took.sort();
        [took.len() / 2, took.len() * 99 / 100].map(|at| took[at])
    }

    pub fn slowest(&self) -> Duration {
        self.samples.iter().map(|sample| sample.took).max().unwrap_or_default()
    }
}

/// Buyers who buy.
pub struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// One of them.
struct Shopper {
    caller: Caller,
    name: String,
    pause: Duration,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

impl Load {
    /// The buyers ask these services in turn, and pause after each answer.
    pub fn start(addrs: &[SocketAddr], buyers: &[Buyer], pause: Duration) -> Self {
        let (stop, seen) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Seen>>::default());
        let tasks = buyers.iter().zip(addrs.iter().cycle()).enumerate().map(|(n, (buyer, addr))| {
            let shopper = Shopper {
                caller: Caller::of(*addr),
                name: format!("b{n}"),
                pause,
                stop: Arc::clone(&stop),
                seen: Arc::clone(&seen),
            };
            tokio::spawn(shopper.shop(*buyer))
        });
        let tasks = tasks.collect();
        Self { stop, seen, tasks }
    }

    pub fn paid(&self) -> usize {
        self.seen.lock().unwrap().paid.len()
    }

    /// Whether a hold that was sent since then was acknowledged, of this product.
    pub fn has_sold_since(&self, product: u64, since: Instant) -> bool {
        let seen = self.seen.lock().unwrap();
        let is_one = |sample: &&Sample| sample.product == product && sample.path == HOLDS && sample.sent > since;
        seen.samples.iter().rev().filter(is_one).any(Sample::is_success)
    }

    pub async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl Shopper {
    async fn shop(self, buyer: Buyer) {
        for n in 0.. {
            let goes_on = match buyer {
                Buyer::Holds(product) => {
                    let body = json!({"product_id": product, "quantity": 1});
                    let (status, hold) = self.ask(product, HOLDS, &body, None).await;
                    if status == 201 {
                        self.seen.lock().unwrap().held.push(id(&hold));
                    }
                    status != 409
                }
                Buyer::Buys(product) => self.buy(product, &format!("{}-{n}", self.name)).await.is_some(),
            };
            if !goes_on || self.is_over() {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// `None`: there is no more to buy.
    async fn buy(&self, product: u64, key: &str) -> Option<()> {
        let hold = json!({"product_id": product, "quantity": 1});
        let hold = self.insist(product, HOLDS, &hold, Some(key)).await?;
        let order = self.insist(product, ORDERS, &json!({"hold_id": id(&hold)}), None).await?;
        self.insist(product, PAYMENTS, &payment(&id(&order), key), None).await?;
        self.seen.lock().unwrap().paid.push(id(&order));
        Some(())
    }

    /// Repeats the call until it is a success. `None`: it is refused for good, or the buyers go home.
    async fn insist(&self, product: u64, path: &'static str, body: &Value, key: Option<&str>) -> Option<Value> {
        loop {
            let (status, answer) = self.ask(product, path, body, key).await;
            match status {
                200..=299 => return Some(answer),
                NO_ANSWER | 500..=599 if !self.is_over() => {}
                _ => return None,
            }
        }
    }

    async fn ask(&self, product: u64, path: &'static str, body: &Value, key: Option<&str>) -> (u16, Value) {
        let sent = Instant::now();
        let (status, answer) = self.caller.call(Method::POST, path, Some(body), key).await;
        let code = answer["code"].as_str().unwrap_or_default().to_owned();
        self.seen.lock().unwrap().samples.push(Sample { product, path, sent, took: sent.elapsed(), status, code });
        tokio::time::sleep(self.pause).await;
        (status, answer)
    }
}

pub fn id(answer: &Value) -> String {
    answer["id"].as_str().unwrap_or_else(|| panic!("no id in {answer}")).to_owned()
}
