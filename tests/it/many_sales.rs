//! Rushes on many sales at once, also at a Redis that is slow or goes away.

use std::{
    cell::Cell,
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use actix_web::dev::ServerHandle;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, run_service},
    contract::Ask,
    eventually,
    redis::{ServerProcess, signal_process},
    stalling_proxy::{Side, StallingProxy},
    stock,
};

/// A process that runs for a millisecond of each sixty, until this is dropped.
struct Slowed {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Slowed {
    fn start(pid: u32) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let ends = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                signal_process(pid, "STOP");
                thread::sleep(Duration::from_millis(59));
                signal_process(pid, "CONT");
                thread::sleep(Duration::from_millis(1));
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Slowed {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// What one worker sends before it knows how fast Redis is.
const AT_FIRST: u64 = 64;

fn calls_of_scripts(redis: &mut redis::Connection) -> u64 {
    let stats: redis::InfoDict = redis::cmd("INFO").arg("commandstats").query(redis).unwrap();
    let evalsha: String = stats.get("cmdstat_evalsha").unwrap();
    let calls = evalsha.split(',').find_map(|figure| figure.strip_prefix("calls=")).unwrap();
    calls.parse().unwrap()
}

/// A service of one worker, behind a proxy, at a Redis that was empty. Each product is a sale of its own.
struct Shop {
    redis: redis::Connection,
    proxy: StallingProxy,
    client: reqwest::Client,
    url: String,
    service: (ServerHandle, JoinHandle<()>),
}

impl Shop {
    fn start(server: &ServerProcess, settings: &[(&str, &str)]) -> Self {
        let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        redis::cmd("FLUSHALL").exec(&mut redis).unwrap();
        let proxy = StallingProxy::start(server.port);
        let settings = [&[("HTTP__WORKERS", "1"), ("EVENTS__SWEEP_MS", "0")], settings].concat();
        let (addr, handle, thread) = run_service(&format!("redis://127.0.0.1:{}", proxy.port), &settings);
        let url = format!("http://{addr}");
        Self { redis, proxy, client: reqwest::Client::new(), url, service: (handle, thread) }
    }

    /// A product, of which one unit is held, so that the worker knows it.
    async fn sell(&self, id: u64, units: u64, most_of_customer: Option<u64>) {
        let product = json!({"id": id, "name": "Item", "price": "1.00", "total_stock": units,
            "max_per_customer": most_of_customer});
        assert_eq!(self.post("/api/admin/products", product).await.status, 201);
        assert_eq!(self.hold(id, json!({"customer_id": "ann"})).await.status, 201);
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(ADMIN_TOKEN).json(&body);
        Answer::read(request.ask().await.unwrap()).await
    }

    async fn hold(&self, id: u64, more: Value) -> Answer {
        let mut body = json!({"product_id": id, "quantity": 1});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post("/api/holds", body).await
    }

    /// As many holds of each of these sales, one after the other of all of them.
    async fn hold_each(&self, sales: RangeInclusive<u64>, times: usize) -> Vec<Answer> {
        join_all((0..times).flat_map(|_| sales.clone()).map(|id| self.hold(id, json!({})))).await
    }

    async fn in_flight(&self, calls: u64) {
        eventually("they are in flight", async || self.proxy.seen() as u64 == calls).await;
    }

    fn held(&mut self, id: u64) -> i64 {
        stock::units(&mut self.redis, &format!("fs1:{{p{id}}}:stock"), id, "held")
    }

    fn stop(self) {
        drop(self.service.0.stop(true));
        self.service.1.join().unwrap();
    }
}

/// No call times out.
const PATIENT: [(&str, &str); 1] = [("REDIS__CALL_TIMEOUT_MS", "60000")];

/// A batch is made when its turn has come. Made before, it would leave those who came while it waited to wait for a turn of their own.
#[tokio::test]
async fn holds_that_came_while_their_sale_waited_for_its_turn_are_of_its_next_call() {
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    // On a machine that stands still some are refused, or come too late for the call of their sale.
    for _ in 0..20 {
        if each_sale_needs_one_call(&server).await {
            return;
        }
    }
    panic!("who waited for a call of their sale had to wait for another one");
}

/// More sales than a worker sends calls of, with several holds of each that has to wait. They have metadata, so that each sale needs
/// a call of its own.
async fn each_sale_needs_one_call(server: &ServerProcess) -> bool {
    const SALES: u64 = AT_FIRST + 8;
    let mut shop = Shop::start(server, &PATIENT);
    for id in 1..=SALES {
        shop.sell(id, 1_000, None).await;
    }
    let before = calls_of_scripts(&mut shop.redis);
    shop.proxy.arm(Some((0, Side::Reply)));
    let hold = |id: u64| shop.hold(id, json!({"metadata": {"kind": "odd"}}));
    let wake = async {
        shop.in_flight(AT_FIRST).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        shop.proxy.disarm(false);
    };
    let behind = async {
        shop.in_flight(AT_FIRST).await;
        join_all((AT_FIRST + 1..=SALES).flat_map(|id| [id; 6]).map(hold)).await
    };
    let (first, behind, ()) = tokio::join!(join_all((1..=AT_FIRST).map(hold)), behind, wake);
    let are_served = first.iter().chain(&behind).all(|answer| answer.status == 201);
    let calls = calls_of_scripts(&mut shop.redis) - before;
    shop.stop();
    are_served && calls == SALES
}

/// Holds of many sales, some of which are sold out or limit their customers, get what they would get alone.
#[tokio::test]
async fn holds_of_many_sales_go_in_one_call_and_get_what_they_would_get_alone() {
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    for _ in 0..20 {
        if many_sales_need_few_calls(&server).await {
            return;
        }
    }
    panic!("holds of several sales did not share a call");
}

async fn many_sales_need_few_calls(server: &ServerProcess) -> bool {
    const SALES: u64 = 30;
    let mut shop = Shop::start(server, &PATIENT);
    // The first five are sold out with their first hold, and the next five limit their customers.
    for id in 1..=SALES {
        shop.sell(id, if id <= 5 { 1 } else { 100 }, (6..=10).contains(&id).then_some(2)).await;
    }
    let before = calls_of_scripts(&mut shop.redis);
    shop.proxy.arm(Some((0, Side::Reply)));
    let is_stalled = || eventually("a hold is in flight", async || shop.proxy.is_stalled());
    let wake = async {
        is_stalled().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        shop.proxy.disarm(false);
    };
    let behind = async {
        is_stalled().await;
        let ann = json!({"customer_id": "ann"});
        let asked = (1..=SALES).flat_map(|id| [(id, json!({})), (id, ann.clone()), (id, ann.clone())]);
        join_all(asked.map(|(id, more)| shop.hold(id, more))).await
    };
    let (first, behind, ()) = tokio::join!(shop.hold(SALES, json!({})), behind, wake);
    let calls = calls_of_scripts(&mut shop.redis) - before;
    if behind.iter().chain([&first]).any(|answer| answer.refusal() == (503, "overloaded")) {
        shop.stop();
        return false;
    }
    assert_eq!(first.status, 201);
    for (id, answers) in (1..=SALES).zip(behind.chunks(3)) {
        let mut got: Vec<_> = answers.iter().map(|answer| (answer.status, answer.body["code"].as_str())).collect();
        // Which of two that came at once was first, nobody knows.
        got[1..].sort_unstable();
        let refused = |code| (409, Some(code));
        let expected = match id {
            1..=5 => [refused("insufficient_stock"); 3],
            6..=10 => [(422, Some("customer_id_required")), (201, None), refused("customer_limit_reached")],
            _ => [(201, None); 3],
        };
        assert_eq!(got, expected, "sale {id}");
        let held = match id {
            1..=5 => 1,
            6..=10 => 2,
            SALES => 5,
            _ => 4,
        };
        assert_eq!(shop.held(id), held, "sale {id}");
    }
    shop.stop();
    println!("{calls} calls");
    // The one that stalled, one or two for each queue, and one for each sale of which something was left.
    calls <= 1 + 4 + 10
}

#[tokio::test]
async fn a_sale_whose_terms_cannot_be_read_keeps_no_other_one_from_selling_and_gets_its_units_back() {
    const SALES: u64 = 12;
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let mut shop = Shop::start(&server, &[("REDIS__CALL_TIMEOUT_MS", "500")]);
    for id in 1..=SALES {
        shop.sell(id, 1_000, None).await;
    }
    // The scripts do not look at it.
    let _: () = redis::Commands::hset(&mut shop.redis, "fs1:{p1}:sale", "currency", "usd").unwrap();
    let answers = shop.hold_each(1..=SALES, 8).await;
    for (id, answer) in (1..=SALES).cycle().zip(&answers) {
        assert_eq!(answer.status, if id == 1 { 503 } else { 201 }, "{id}: {answer:?}");
    }
    assert!((2..=SALES).all(|id| shop.held(id) == 9));
    let mut given_back = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    eventually("nobody knows of holds of the first sale", async || {
        stock::units(&mut given_back, "fs1:{p1}:stock", 1, "held") == 1
    })
    .await;
    shop.stop();
}

#[tokio::test]
async fn holds_of_several_sales_whose_connection_broke_are_made_once() {
    const SALES: u64 = 12;
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let mut broken = 0;
    for lost in 0..4 {
        let mut shop = Shop::start(&server, &PATIENT);
        for id in 1..=SALES {
            shop.sell(id, 1_000, None).await;
        }
        // One of the first calls has no answer. How many there are, and of how many holds each is, depends on the machine.
        shop.proxy.arm(Some((lost, Side::Reply)));
        let is_over = Cell::new(false);
        let holds = async {
            let answers = shop.hold_each(1..=SALES, 8).await;
            is_over.set(true);
            answers
        };
        let wake = async {
            eventually("an answer waits", async || shop.proxy.is_stalled() || is_over.get()).await;
            broken += usize::from(shop.proxy.is_stalled());
            shop.proxy.disarm(true);
        };
        let (answers, ()) = tokio::join!(holds, wake);
        for answer in &answers {
            let is_refused = answer.refusal() == (503, "overloaded");
            assert!(answer.status == 201 || is_refused, "{answer:?}");
        }
        for id in 1..=SALES {
            let of_sale = (1..=SALES).cycle().zip(&answers).filter(|(of, answer)| *of == id && answer.status == 201);
            assert_eq!(shop.held(id) - 1, of_sale.map(|_| 1).sum::<i64>(), "call {lost}: for whom they were promised");
        }
        shop.stop();
    }
    // There is a call for each of the two queues at least.
    assert!(broken >= 2, "{broken} calls had no answer");
}

/// What refuses holds of many sales is how long they would wait in Redis.
#[tokio::test]
async fn holds_of_many_sales_are_refused_unsent_behind_a_slow_redis_and_payments_and_what_a_person_changes_are_taken() {
    const SALES: u64 = 400;
    const SPREAD: u64 = 1_000;
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let settings = [("HTTP__WORKERS", "1"), ("REDIS__CALL_TIMEOUT_MS", "60000")];
    let (addr, handle, thread) = run_service(&server.url(), &settings);
    let client = reqwest::Client::new();
    let send_by = async |method: Method, path: &str, body: Value| {
        let request = client.request(method, format!("http://{addr}{path}")).bearer_auth(ADMIN_TOKEN).json(&body);
        Answer::read(request.ask().await.unwrap()).await
    };
    let send = async |path: &str, body: Value| send_by(Method::POST, path, body).await;
    for id in 1..=SALES {
        let product = json!({"id": id, "name": "Item", "price": "1.00", "total_stock": 1_000});
        assert_eq!(send("/api/admin/products", product).await.status, 201);
    }
    let make_hold = async |id: u64| send("/api/holds", json!({"product_id": id, "quantity": 1})).await;
    let paid = make_hold(1).await.id();
    let pay = async |hold: &str, amount: Option<&str>| {
        let payload =
            json!({"hold_id": hold, "status": "paid", "payment_id": hold, "amount": amount, "currency": "USD"});
        send("/api/payments/webhook", json!({"idempotency_key": hold, "payload": payload})).await
    };
    let odd = make_hold(1).await.id();
    let review = pay(&odd, Some("0.50")).await.body["review"]["id"].as_str().unwrap().to_owned();
    // A sold-out sale of three slots.
    let spread = json!({"id": SPREAD, "name": "Item", "price": "1.00", "total_stock": 3, "shards": 3});
    assert_eq!(send("/api/admin/products", spread).await.status, 201);
    for _ in 0..3 {
        assert_eq!(make_hold(SPREAD).await.status, 201);
    }
    let (is_over, is_refused) = (Cell::new(false), Cell::new(false));
    let slowed = Slowed::start(server.pid());
    let buyer = async |id: u64| {
        let mut answers = Vec::new();
        while !is_over.get() {
            let answer = make_hold(id).await;
            is_refused.set(is_refused.get() || answer.status == 503);
            answers.push(answer);
        }
        answers
    };
    let shop = async {
        eventually("holds are refused", async || is_refused.get()).await;
        let mut done = vec![pay(&paid, None).await];
        let [of_spread, of_one] = [SPREAD, 1].map(|id| format!("/api/admin/products/{id}"));
        for (method, path, body) in [
            (Method::PATCH, "/api/admin/sales/p1", json!({"paused": true})),
            (Method::PATCH, &of_one, json!({"price": "2.00"})),
            (
                Method::POST,
                &format!("/api/admin/reviews/{review}/resolve"),
                json!({"action": "accept", "note": "fine"}),
            ),
            (Method::PATCH, &of_spread, json!({"price": "2.00"})),
            (Method::POST, &format!("{of_spread}/restock"), json!({"delta": 1})),
            (Method::POST, &format!("{of_spread}/restock"), json!({"delta": -1})),
        ] {
            done.push(send_by(method, path, body).await);
        }
        eventually("somebody hears that the spread product is not to be had", async || {
            make_hold(SPREAD).await.refusal() == (409, "insufficient_stock")
        })
        .await;
        done.push(send_by(Method::PATCH, &format!("/api/admin/sales/p{SPREAD}"), json!({"paused": true})).await);
        is_over.set(true);
        done
    };
    let (answers, others) = tokio::join!(join_all((2..=SALES).map(buyer)), shop);
    drop(slowed);
    assert!(others.iter().all(|answer| answer.status == 200), "money and what a person changes go first: {others:?}");
    let answers: Vec<_> = answers.into_iter().flatten().collect();
    let refused = answers.iter().filter(|answer| answer.status == 503 && answer.body["code"] == "overloaded").count();
    let held = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(
        held + refused,
        answers.len(),
        "{:?}",
        answers.iter().find(|answer| ![201, 503].contains(&answer.status))
    );
    println!("{held} were made, {refused} refused");
    assert!(held > 0 && refused > 0, "{held} were made, {refused} refused");
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut paused_in = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut units = |id: u64| stock::units(&mut redis, &format!("fs1:{{p{id}}}:stock"), id, "held");
    let shards = ["", "_1", "_2", "_3", "_4"].map(|shard| format!("fs1:{{p{SPREAD}{shard}}}:sale"));
    let paused = |sale: &String| -> Option<String> { redis::Commands::hget(&mut paused_in, sale, "paused").unwrap() };
    let paused: Vec<String> = shards.iter().filter_map(paused).collect();
    assert_eq!(paused, ["1"; 3], "in every shard");
    let stored: i64 = (2..=SALES).map(&mut units).sum();
    assert_eq!(stored.cast_unsigned(), held as u64, "none of those refused took a unit");
    drop(handle.stop(true));
    thread.join().unwrap();
}
