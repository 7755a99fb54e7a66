//! A storm of payment events: many senders, duplicates, any order, and a service that is killed among them. Meanwhile a reader of
//! the event log crashes and goes on.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    app::ADMIN_TOKEN,
    contract::Ask,
    eventually, invariants,
    process::{ServiceProcess, command},
    random_cases,
    redis::free_port,
};

const SENDERS: usize = 16;
/// A little more than a thousand, so that each sender makes the same number.
const ORDERS: usize = 63 * SENDERS;
const KILLS: usize = 3;

/// A small generator of choices, from a seed that is printed.
struct Choices(u64);

impl Choices {
    fn next(&mut self, bound: usize) -> usize {
        // xorshift64* is good enough for shuffling.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.next(at + 1));
        }
    }
}

#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    /// Sends until an answer is no failure.
    async fn insist(&self, make: impl Fn(&reqwest::Client, &str) -> reqwest::RequestBuilder) -> (u16, Value) {
        let started = Instant::now();
        loop {
            if let Ok(response) = make(&self.http, &self.url).ask().await {
                let status = response.status().as_u16();
                if let (false, Ok(body)) = (status == 503, response.json().await) {
                    return (status, body);
                }
            }
            assert!(started.elapsed() < Duration::from_mins(1), "no answer");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.insist(|http, url| http.post(format!("{url}{path}")).json(body)).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    async fn admin(&self, path: &str) -> Value {
        let (status, answer) = self.insist(|http, url| http.get(format!("{url}{path}")).bearer_auth(ADMIN_TOKEN)).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn ordered(&self) -> String {
        let hold = self.post("/api/holds", &json!({"product_id": 7, "quantity": 1})).await;
        let order = self.post("/api/orders", &json!({"hold_id": hold["id"]})).await;
        order["id"].as_str().unwrap().to_owned()
    }
}

/// The events of an order: five about two payments, some of them twice. Every second order gets one of the payments back.
fn events(at: usize, order: &str) -> Vec<Value> {
    let event = |key: &str, status: &str, payment: &str| {
        let payload = json!({"status": status, "order_id": order, "payment_id": format!("pi_{at}_{payment}")});
        json!({"idempotency_key": format!("{at}-{key}"), "payload": payload})
    };
    let all = [
        event("k1", "paid", "a"),
        event("k1", "paid", "a"),
        event("k2", "paid", "b"),
        event("k3", "failed", "a"),
        event("k4", if is_refunded(at) { "refunded" } else { "processing" }, "b"),
    ];
    [&all[..], &all[2..4]].concat()
}

fn is_refunded(at: usize) -> bool {
    at.is_multiple_of(2)
}

fn start(folder: &Path, addr: SocketAddr) -> ServiceProcess {
    let mut command = command(folder);
    command.env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN).env("FLASHSALE_EVENTS__SWEEP_MS", "50");
    ServiceProcess::run(command, addr)
}

#[tokio::test]
async fn in_a_storm_of_events_around_a_service_that_dies_every_order_is_paid_once() {
    let RngSeed::Fixed(seed) = random_cases(1).rng_seed else { unreachable!("a seed was fixed") };
    let mut choices = Choices(seed | 1);
    let folder = TempDir::with_prefix("fs").unwrap();
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut service = start(folder.path(), addr);
    let client = Client { http: reqwest::Client::new(), url: service.url() };
    let product = json!({"id": 7, "name": "Storm", "price": "9.00", "total_stock": ORDERS, "sale": "storm"});
    let made = client.http.post(format!("{}/api/admin/products", client.url)).bearer_auth(ADMIN_TOKEN).json(&product);
    assert_eq!(made.ask().await.unwrap().status(), 201);

    let made = Mutex::new(Vec::new());
    join_all((0..SENDERS).map(|_| async {
        for _ in 0..ORDERS / SENDERS {
            let order = client.ordered().await;
            made.lock().unwrap().push(order);
        }
    }))
    .await;
    let orders = made.into_inner().unwrap();

    let mut all: Vec<Value> = orders.iter().enumerate().flat_map(|(at, order)| events(at, order)).collect();
    choices.shuffle(&mut all);
    let total = all.len();
    let queue = Arc::new(Mutex::new(VecDeque::from(all)));
    let sent = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (client, queue, sent) = (client.clone(), Arc::clone(&queue), Arc::clone(&sent));
            tokio::spawn(async move {
                loop {
                    let Some(event) = queue.lock().unwrap().pop_front() else { return };
                    client.post("/api/payments/webhook", &event).await;
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let reader = tokio::spawn(read_and_crash(client.clone(), Choices(seed | 3), Arc::clone(&sent), total));
    let auditor = tokio::spawn(audit_until_over(client.clone(), Arc::clone(&sent), total));
    for kill in 1..=KILLS {
        let mark = total * kill / (KILLS + 1);
        eventually("some were sent", async || sent.load(Ordering::Relaxed) >= mark).await;
        let path = folder.path().to_owned();
        // In another thread, so that the senders go on while there is no service.
        let restart = tokio::task::spawn_blocking(move || {
            service.kill();
            start(&path, addr)
        });
        service = restart.await.unwrap();
    }
    join_all(senders).await.into_iter().for_each(Result::unwrap);
    let log = reader.await.unwrap();
    let audits = auditor.await.unwrap();
    println!("{audits} audits found nothing that differs");
    check(&client, &orders, &log).await;
    invariants::check(
        &mut redis::Client::open(format!("unix://{}/redis.sock", folder.path().display()))
            .unwrap()
            .get_connection()
            .unwrap(),
    );
    assert!(service.stop());
}

/// Checks that every order is paid by one payment, that the other went back or is in review, and that the log gives the same
/// states.
async fn check(client: &Client, orders: &[String], log: &[Value]) {
    let product = client.admin("/api/products/7").await;
    assert_eq!((&product["sold_stock"], &product["total_stock"]), (&json!(orders.len()), &json!(ORDERS)));
    let mut reviews = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page = client.admin(&format!("/api/admin/reviews?sale=storm&limit=100&cursor={cursor}")).await;
        for review in page["data"].as_array().unwrap() {
            assert_eq!(review["reason"], "duplicate_payment", "{review}");
            assert!(reviews.insert(review["payment_id"].as_str().unwrap().to_owned()), "twice: {review}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let kept: BTreeSet<usize> = reviews.iter().map(|payment| number_of(payment)).collect();
    let second_payments: BTreeSet<usize> = (0..orders.len()).filter(|at| !is_refunded(*at)).collect();
    assert_eq!(kept, second_payments, "captured = paid + refunded + reviews");

    let ids: BTreeSet<_> = log.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), log.len(), "no event was seen twice");
    assert_eq!(log, read_all(client).await, "and none was missed, in order");
    let mut states: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut paid: BTreeMap<&str, usize> = BTreeMap::new();
    for event in log.iter().filter(|event| event["order"].is_object()) {
        let id = event["order"]["id"].as_str().unwrap();
        states.insert(id, &event["order"]);
        *paid.entry(id).or_default() += usize::from(event["type"] == "order.paid");
    }
    assert_eq!(states.len(), orders.len());
    // Where the payment that came first went back before the other came, the order was paid by each of them.
    assert!(paid.values().all(|times| (1..=2).contains(times)), "{paid:?}");
    for order in orders {
        let live = client.admin(&format!("/api/orders/{order}")).await;
        assert_eq!(live["status"], "paid");
        assert_eq!(&live, states[order.as_str()], "the log has the order as it is");
    }
    println!(
        "{} orders paid once, {} second payments in review, {} events read",
        orders.len(),
        reviews.len(),
        log.len()
    );
}

/// The place of the order that a payment is about.
fn number_of(payment: &str) -> usize {
    payment.split('_').nth(1).unwrap().parse().unwrap()
}

async fn read_all(client: &Client) -> Vec<Value> {
    let mut log = Vec::new();
    let mut after = String::new();
    loop {
        let page = client.admin(&format!("/api/admin/events?sale=storm&limit=100&after={after}")).await;
        log.extend(page["data"].as_array().unwrap().iter().cloned());
        page["next_cursor"].as_str().unwrap().clone_into(&mut after);
        if page["more"] == false {
            return log;
        }
    }
}

/// Audits until the end, and once more after it. Returns how often.
async fn audit_until_over(client: Client, sent: Arc<AtomicUsize>, total: usize) -> usize {
    for audits in 1.. {
        let is_over = sent.load(Ordering::Relaxed) == total;
        let audit = client.admin("/api/admin/audit?sale=storm").await;
        assert_eq!(audit["ok"], true, "{audit:#}");
        if is_over {
            assert_eq!(audit["sales"][0]["exact"], true, "{audit:#}");
            return audits;
        }
    }
    unreachable!("the senders end")
}

/// Follows the log. It often crashes within a page, forgets the events of that page after the last one that it saved, and goes
/// on from there.
async fn read_and_crash(client: Client, mut choices: Choices, sent: Arc<AtomicUsize>, total: usize) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    loop {
        let is_over = sent.load(Ordering::Relaxed) == total;
        let after = kept.last().map_or("", |event| event["id"].as_str().unwrap()).to_owned();
        let limit = 1 + choices.next(100);
        let page = client.admin(&format!("/api/admin/events?sale=storm&limit={limit}&after={after}")).await;
        let events = page["data"].as_array().unwrap();
        if events.is_empty() && is_over {
            return kept;
        }
        let lives = is_over || choices.next(3) > 0;
        let keep = if lives || events.is_empty() { events.len() } else { choices.next(events.len()) };
        kept.extend(events.iter().take(keep).cloned());
    }
}
