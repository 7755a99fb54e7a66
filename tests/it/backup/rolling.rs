//! One version of the service replaces another on the same Redis.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use flashsale::store::Catalogue;
use futures_util::future::join_all;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Caller, Service, connect, free_addr, redis, refused};
use crate::support::{
    app::ADMIN_TOKEN,
    contract::Ask,
    eventually,
    process::{ServiceProcess, command},
    redis::ServerProcess,
};

/// The scripts of a version with other texts, and so with other hashes.
fn other_scripts() -> Catalogue {
    let clock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/lib/clock.lua")).unwrap();
    Catalogue::with_clock(&format!("-- of another version\n{clock}"))
}

/// A process of its own on this Redis.
fn process_on(redis: &ServerProcess) -> ServiceProcess {
    process_at(&redis.url(), redis.folder.path(), free_addr())
}

fn process_at(redis_url: &str, folder: &Path, addr: SocketAddr) -> ServiceProcess {
    let mut program = command(folder);
    program.env("FLASHSALE_REDIS__URL", redis_url).env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
    ServiceProcess::run(program, addr)
}

/// A process that starts while others sell.
async fn started(redis: &ServerProcess, addr: SocketAddr) -> ServiceProcess {
    let (url, folder) = (redis.url(), redis.folder.path().to_owned());
    tokio::task::spawn_blocking(move || process_at(&url, &folder, addr)).await.unwrap()
}

/// Buyers who try again, at any service that runs, until they have what they want. Each pays one order.
struct Crowd {
    services: Vec<Caller>,
    /// Orders that a buyer knows to be paid.
    paid: AtomicUsize,
    stop: AtomicBool,
}

impl Crowd {
    /// Repeats the call until some service answers it. A 503 says: again.
    async fn insist(&self, first: usize, path: &str, body: &Value, key: &str) -> Value {
        let started = Instant::now();
        for service in self.services.iter().cycle().skip(first) {
            let request = service.client.post(format!("{}{path}", service.base)).header("Idempotency-Key", key);
            if let Ok(answer) = request.json(body).ask().await {
                match answer.status().as_u16() {
                    200 | 201 => return answer.json().await.unwrap(),
                    503 => {}
                    status => panic!("{path} is {status}: {}", answer.text().await.unwrap()),
                }
            }
            assert!(started.elapsed() < Duration::from_mins(1), "{path}: nobody answers");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        unreachable!("the services never end")
    }

    async fn buy(&self, buyer: usize, turn: usize) {
        let key = format!("buyer-{buyer}-{turn}");
        let hold = self.insist(buyer, "/api/holds", &json!({"product_id": 1, "quantity": 1}), &key).await;
        // The buyer goes to another service for each step.
        let order = self.insist(buyer + 1, "/api/orders", &json!({"hold_id": hold["id"]}), &key).await;
        let payload = json!({"status": "paid", "order_id": order["id"], "payment_id": key});
        let event = json!({"idempotency_key": key, "payload": payload});
        let answer = self.insist(buyer + 2, "/api/payments/webhook", &event, &key).await;
        assert_eq!(answer["order"]["status"], "paid", "{answer}");
        self.paid.fetch_add(1, Ordering::Relaxed);
    }

    /// Buyers who buy until they are stopped.
    fn start(services: Vec<Caller>, buyers: usize) -> (Arc<Self>, Vec<tokio::task::JoinHandle<()>>) {
        let crowd = Arc::new(Self { services, paid: AtomicUsize::new(0), stop: AtomicBool::new(false) });
        let tasks = (0..buyers).map(|buyer| {
            let crowd = Arc::clone(&crowd);
            tokio::spawn(async move {
                for turn in 0.. {
                    if crowd.stop.load(Ordering::Relaxed) {
                        break;
                    }
                    crowd.buy(buyer, turn).await;
                }
            })
        });
        let tasks = tasks.collect();
        (crowd, tasks)
    }

    fn paid(&self) -> usize {
        self.paid.load(Ordering::Relaxed)
    }

    async fn sell_more(&self, orders: usize) {
        let enough = self.paid() + orders;
        eventually("they buy", async || self.paid() >= enough).await;
    }
}

/// Ends the buyers, and compares what they know with what the service sold.
async fn settle_up(crowd: &Crowd, tasks: Vec<tokio::task::JoinHandle<()>>, service: &Caller) {
    crowd.stop.store(true, Ordering::Relaxed);
    for ended in join_all(tasks).await {
        ended.unwrap();
    }
    let product = service.get("/api/admin/products/1").await.body;
    let [sold, held, pending] = ["sold_stock", "held_stock", "pending_stock"]
        .map(|name| usize::try_from(product[name].as_u64().unwrap()).unwrap());
    assert_eq!((sold, held, pending), (crowd.paid(), 0, 0), "{product}");
    let audit = service.get("/api/admin/audit").await.body;
    assert_eq!(audit["ok"], true, "{audit}");
}

async fn stock(service: &Caller) {
    let product = json!({"id": 1, "name": "Item", "price": "20.00", "total_stock": 1_000_000, "max_per_hold": 10});
    // A demo has product 1 already.
    let made = service.post("/api/admin/products", product).await;
    if made.status == 409 {
        service.post("/api/admin/products/1/restock", json!({"delta": 1_000_000})).await;
    }
}

#[tokio::test]
async fn two_versions_with_other_scripts_sell_together_on_one_redis() {
    let redis = redis();
    let old = process_on(&redis);
    let new = Service::with(&redis, other_scripts());
    stock(&new).await;
    let (crowd, tasks) = Crowd::start(vec![Caller::of(old.addr), new.caller.clone()], 8);
    crowd.sell_more(50).await;
    for _ in 0..3 {
        // Neither finds its scripts, and each loads its own.
        ::redis::cmd("SCRIPT").arg("FLUSH").exec(&mut connect(&redis)).unwrap();
        crowd.sell_more(30).await;
    }
    settle_up(&crowd, tasks, &new).await;
    for sha in
        [Catalogue::compiled(), other_scripts()].map(|scripts| scripts.script(flashsale::store::Op::Hold).sha.clone())
    {
        let exists: Vec<bool> = ::redis::cmd("SCRIPT").arg("EXISTS").arg(sha).query(&mut connect(&redis)).unwrap();
        assert_eq!(exists, [true]);
    }
    assert!(old.stop());
}

#[tokio::test]
async fn processes_that_are_replaced_one_after_another_under_load_lose_nothing() {
    let redis = redis();
    let (first, second) = (process_on(&redis), process_on(&redis));
    let (first_addr, second_addr) = (first.addr, second.addr);
    stock(&Caller::of(first_addr)).await;
    let (crowd, tasks) = Crowd::start(vec![Caller::of(first_addr), Caller::of(second_addr)], 8);
    crowd.sell_more(50).await;
    assert!(first.stop(), "in order");
    let first = started(&redis, first_addr).await;
    crowd.sell_more(50).await;
    second.kill();
    crowd.sell_more(50).await;
    let second = started(&redis, second_addr).await;
    crowd.sell_more(50).await;
    settle_up(&crowd, tasks, &Caller::of(first_addr)).await;
    assert!(first.stop() && second.stop());
}

#[tokio::test]
async fn a_version_with_another_key_schema_does_not_start_and_the_running_one_goes_on() {
    let redis = redis();
    let running = Service::on(&redis);
    stock(&running).await;
    let order = running.ordered(1).await;
    for other in ["1", "99"] {
        let message = refused(&redis, Catalogue::compiled().with_schema(other));
        let words = [format!("key schema {}", running_schema()), format!("knows schema {other}"), "Upgrade".to_owned()];
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert_eq!(running.get("/readyz").await.status, 200);
        assert_eq!(running.hold(1).await.status, 201);
    }
    assert_eq!(running.pay(&order, "pi_1").await.body["outcome"], "applied");
    assert_eq!(running.get("/api/admin/audit").await.body["ok"], true);
    let schema: String = connect(&redis).get("fs1:{:all}:schema").unwrap();
    assert_eq!(schema, running_schema());
}

fn running_schema() -> &'static str {
    Catalogue::compiled().schema()
}

#[tokio::test]
async fn a_running_version_whose_redis_was_emptied_and_taken_by_a_newer_one_stops_selling() {
    let redis = redis();
    let old = Service::on(&redis);
    stock(&old).await;
    ::redis::cmd("FLUSHALL").exec(&mut connect(&redis)).unwrap();
    let new = Service::with(&redis, Catalogue::compiled().with_schema("99"));
    stock(&new).await;
    eventually("it is noticed", async || old.get("/readyz").await.refusal() == (503, "store_replaced")).await;
    assert_eq!(old.hold(1).await.refusal(), (503, "store_replaced"));
    assert_eq!(new.hold(1).await.status, 201);
    assert_eq!(new.try_call(Method::GET, "/readyz", &Value::Null).await.unwrap().status, 200);
}
