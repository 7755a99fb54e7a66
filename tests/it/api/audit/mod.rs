//! GET and POST /api/admin/audit: what is damaged is found, named and put right; what is sound is found sound, also while it sells.

mod repair;
mod sound;
mod unreadable;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all, stream};
use redis::Connection;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{Answer, TestApp},
    eventually, stock,
};

async fn audit(app: &TestApp) -> Value {
    let answer = app.admin(Method::GET, "/api/admin/audit", Value::Null).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

async fn repair(app: &TestApp) -> Value {
    let answer = app.admin(Method::POST, "/api/admin/audit", Value::Null).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// What differs, what is stored, what the records say.
fn differences(audit: &Value) -> Vec<(String, i64, i64)> {
    let rows = audit["differences"].as_array().unwrap().iter();
    let number = |row: &Value, name: &str| row[name].as_i64().unwrap();
    rows.map(|row| (row["what"].as_str().unwrap().to_owned(), number(row, "stored"), number(row, "recomputed")))
        .collect()
}

/// What somebody does to Redis past the scripts.
#[derive(Debug)]
enum Damage {
    /// Units that are added to a counter of product 1.
    Units(&'static str, i64),
    Command(String),
}

/// What an audit finds after it: what differs, what is stored, what the records say.
type Found<'a> = &'a [(&'a str, i64, i64)];

impl Damage {
    fn run(&self, redis: &mut Connection) {
        match self {
            Self::Units(counter, delta) => stock::add(redis, "fs1:{p1}:stock", 1, counter, *delta),
            Self::Command(command) => run(redis, command),
        }
    }
}

fn run(redis: &mut Connection, command: &str) {
    let mut words = command.split(' ');
    redis::cmd(words.next().unwrap()).arg(words.collect::<Vec<_>>()).exec(redis).unwrap();
}

/// Product 1 with 100 units, and of it: 2 held by ann, 3 pending and 4 sold to her, 1 held and 1 refunded by nobody in particular.
async fn busy_shop() -> TestApp {
    let app = TestApp::selling(100).await;
    let hold = async |units: u64| {
        app.post("/api/holds", json!({"product_id": 1, "quantity": units, "customer_id": "ann"})).await.id()
    };
    hold(2).await;
    assert_eq!(app.order(&hold(3).await).await.status, 201);
    let bought = hold(4).await;
    app.pay("a", json!({"status": "paid", "hold_id": bought})).await;
    let returned = app.held().await;
    for status in ["paid", "refunded"] {
        app.pay(status, json!({"status": status, "hold_id": returned})).await;
    }
    app.held().await;
    assert_eq!(app.stock(1).await, "90 available, 3 held, 3 pending, 4 sold");
    app
}

/// The member of the index, or field, of the kind: `h` or `p`.
fn bucket(redis: &mut Connection, kind: &str) -> String {
    let names: Vec<String> = redis::cmd("HKEYS").arg("fs1:{p1}:lapses").query(redis).unwrap();
    names.into_iter().filter(|name| name.ends_with(kind)).max().unwrap()
}

#[tokio::test]
async fn a_sound_sale_is_found_sound_and_counted() {
    let app = busy_shop().await;
    let body = audit(&app).await;
    let sale = json!({"id": "p1", "ok": true, "exact": true, "looks": 1, "products": 1, "holds": 2, "orders": 3,
        "customers": 1, "differences": 0});
    assert_eq!(body, json!({"ok": true, "sales": [sale], "differences": [], "repaired": []}));
    assert_eq!(repair(&app).await, body, "nothing to repair");
    let events = app.admin(Method::GET, "/api/admin/events?limit=100", Value::Null).await;
    assert!(!events.body.to_string().contains("sale.repaired"));
}

#[tokio::test]
async fn every_damage_is_found_named_and_put_right() {
    use Damage::{Command, Units};
    let app = busy_shop().await;
    let mut redis = app.redis.connect();
    let (held, pending) = (bucket(&mut redis, "h"), bucket(&mut redis, "p"));
    let at = |name: &str| name.split(':').next().unwrap().parse::<i64>().unwrap();
    let held_units: i64 = redis::cmd("HGET").arg("fs1:{p1}:lapses").arg(&held).query(&mut redis).unwrap();
    let due: Vec<(String, i64)> = redis::cmd("ZRANGE")
        .arg("fs1:{p1}:due")
        .arg("0 -1 WITHSCORES".split(' ').collect::<Vec<_>>())
        .query(&mut redis)
        .unwrap();
    let orders: Vec<(String, i64)> = redis::cmd("ZRANGE")
        .arg("fs1:{p1}:orders")
        .arg("0 -1 WITHSCORES".split(' ').collect::<Vec<_>>())
        .query(&mut redis)
        .unwrap();
    let damages: [(Damage, Found<'_>); 15] = [
        (Units("available", -1), &[("available", 89, 90)]),
        (Units("held", 2), &[("held", 5, 3)]),
        (Units("pending", -1), &[("pending", 2, 3)]),
        (Units("sold", 1), &[("sold", 5, 4)]),
        (Command(format!("HINCRBY fs1:{{p1}}:lapses {held} 1")), &[("held_until", held_units + 1, held_units)]),
        (Command(format!("HDEL fs1:{{p1}}:lapses {held}")), &[("held_until", 0, held_units)]),
        (Command(format!("HINCRBY fs1:{{p1}}:lapses {pending} -1")), &[("pending_until", 2, 3)]),
        (Command(format!("ZREM fs1:{{p1}}:deadlines {held}")), &[("held_deadline", 0, at(&held))]),
        (
            Command("ZADD fs1:{p1}:deadlines 99999999999000 99999999999000:1:p".into()),
            &[("pending_deadline", 99_999_999_999_000, 0)],
        ),
        (Command(format!("ZADD fs1:{{p1}}:deadlines 5 {pending}")), &[("pending_deadline", 5, at(&pending))]),
        // One that has lapsed and that no bucket goes with: no hold would be decided any more.
        (Command("ZADD fs1:{p1}:deadlines 1000 1000:1:h".into()), &[("held_deadline", 1_000, 0)]),
        (
            Command("HDEL fs1:{p1}:customers ann".into()),
            &[("customer_held", 0, 2), ("customer_pending", 0, 3), ("customer_bought", 0, 4)],
        ),
        (Command("HSET fs1:{p1}:customers bob 1=7".into()), &[("customer_bought", 7, 0)]),
        (Command(format!("ZREM fs1:{{p1}}:orders {}", orders[0].0)), &[("order_index", 0, orders[0].1)]),
        (Command(format!("ZREM fs1:{{p1}}:due {}", due[0].0)), &[("due_index", 0, due[0].1)]),
    ];
    for (damage, expected) in damages {
        damage.run(&mut redis);
        let found = audit(&app).await;
        let expected: Vec<_> =
            expected.iter().map(|(what, stored, right)| ((*what).to_owned(), *stored, *right)).collect();
        assert_eq!(differences(&found), expected, "{damage:?}");
        assert_eq!((&found["ok"], &found["sales"][0]["exact"]), (&json!(false), &json!(true)), "{damage:?}");
        let repaired = repair(&app).await;
        assert_eq!(repaired["ok"], true, "{damage:?}: {repaired}");
        let done = repaired["repaired"].as_array().unwrap().len();
        assert!(done >= expected.len(), "{damage:?}: {repaired}");
        assert_eq!(app.stock(1).await, "90 available, 3 held, 3 pending, 4 sold", "{damage:?}");
        let events = app.admin(Method::GET, "/api/admin/events?limit=100", Value::Null).await;
        let of = |event: &&Value| event["type"] == "sale.repaired";
        assert!(events.body["data"].as_array().unwrap().iter().filter(of).count() >= expected.len(), "{damage:?}");
    }
    let last = app.admin(Method::GET, "/api/admin/events?limit=100", Value::Null).await;
    let last = last.body["data"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["type"], &last["repair"]["what"]), (&json!("sale.repaired"), &json!("due_index")));
    assert_eq!((&last["repair"]["stored"], &last["repair"]["recomputed"]), (&json!(0), &json!(due[0].1)));
}

#[tokio::test]
async fn units_that_were_promised_twice_are_reported_and_left_to_a_person() {
    let app = TestApp::selling(1).await;
    let sold = app.held().await;
    app.pay("a", json!({"status": "paid", "hold_id": sold})).await;
    let mut redis = app.redis.connect();
    for (counter, units) in [("sold", 0), ("available", 1)] {
        stock::set(&mut redis, "fs1:{p1}:stock", 1, counter, units);
    }
    app.held().await;
    let found = repair(&app).await;
    assert_eq!(differences(&found), [("available".to_owned(), 0, -1), ("sold".to_owned(), 0, 1)]);
    assert_eq!((&found["differences"][0]["repairable"], &found["repaired"]), (&json!(false), &json!([])));
    // With another unit there is one for each.
    let more = app.admin(Method::POST, "/api/admin/products/1/restock", json!({"delta": 1})).await;
    assert_eq!(more.status, 200);
    assert_eq!(repair(&app).await["ok"], true);
    assert_eq!(app.stock(1).await, "1 held, 1 sold");
}

#[tokio::test]
async fn money_without_a_review_and_unreadable_records_are_reported() {
    let app = TestApp::selling(5).await;
    let released = app.held().await;
    app.delete(&format!("/api/holds/{released}")).await;
    let paid = app.pay("a", json!({"status": "paid", "hold_id": released, "payment_id": "pi_1"})).await;
    assert_eq!(paid.body["outcome"], "refund_required");
    let mut redis = app.redis.connect();
    let records: Vec<(String, String)> =
        redis::cmd("HGETALL").arg("fs1:{p1}:review_records").query(&mut redis).unwrap();
    run(&mut redis, "DEL fs1:{p1}:review_records");
    run(&mut redis, "SET fs1:{p1}:hold:abcdefghijkl nonsense PX 100000");
    let found = repair(&app).await;
    assert_eq!(differences(&found), [("review".to_owned(), 0, 1), ("record".to_owned(), 1, 0)]);
    assert!(found["differences"][0]["order_id"].as_str().unwrap().starts_with("order_"), "{found}");
    run(&mut redis, "DEL fs1:{p1}:hold:abcdefghijkl");
    redis::cmd("HSET").arg("fs1:{p1}:review_records").arg(&records).exec(&mut redis).unwrap();
    assert_eq!(audit(&app).await["ok"], true);
}

#[tokio::test]
async fn a_sale_that_is_too_large_for_one_look_is_read_page_by_page() {
    let app = TestApp::start();
    let products = (1..=520).map(|id| {
        app.add_product(json!({"id": id, "sale": "drop", "name": "Item", "price": "5.00", "total_stock": 3}))
    });
    // All at once are more than a busy machine takes.
    stream::iter(products).buffer_unordered(16).collect::<Vec<_>>().await;
    app.post("/api/holds", json!({"product_id": 77, "quantity": 2})).await;
    let body = audit(&app).await;
    assert_eq!(
        (&body["ok"], &body["sales"][0]["products"], &body["sales"][0]["holds"]),
        (&json!(true), &json!(520), &json!(1))
    );
    let mut redis = app.redis.connect();
    stock::add(&mut redis, "fs1:{drop}:stock", 77, "held", -1);
    let found = audit(&app).await;
    assert_eq!(differences(&found), [("held".to_owned(), 1, 2)]);
    assert_eq!(found["differences"][0]["product_id"], 77);
    assert_eq!(repair(&app).await["ok"], true);
}

#[tokio::test]
async fn what_is_wrong_is_found_while_everything_around_it_moves_and_nothing_else_is() {
    let app = TestApp::start();
    for id in [1, 2] {
        app.add_product(json!({"id": id, "sale": "drop", "name": "Item", "price": "5.00", "total_stock": 10_000}))
            .await;
    }
    let idle = app.post("/api/holds", json!({"product_id": 2, "quantity": 5})).await;
    assert_eq!(idle.status, 201);
    let mut redis = app.redis.connect();
    stock::add(&mut redis, "fs1:{drop}:stock", 2, "held", 1);
    let selling = async {
        let shop = &app;
        join_all((0..8).map(async |buyer| {
            for n in 0..60 {
                let body = json!({"product_id": 1, "quantity": 1 + n % 3, "customer_id": format!("c{buyer}")});
                let hold = shop.post("/api/holds", body).await.id();
                match n % 4 {
                    0 => drop(shop.order(&hold).await),
                    1 => drop(shop.delete(&format!("/api/holds/{hold}")).await),
                    2 => drop(shop.pay(&hold, json!({"status": "paid", "hold_id": hold})).await),
                    _ => {}
                }
            }
        }))
        .await;
    };
    let watching = async {
        for _ in 0..4 {
            let found = audit(&app).await;
            assert_eq!(differences(&found), [("held".to_owned(), 6, 5)]);
        }
    };
    futures_util::future::join(selling, watching).await;
    assert_eq!(repair(&app).await["ok"], true);
}

#[tokio::test]
async fn twenty_customers_with_a_limit_of_two_never_have_more_whatever_they_do() {
    const CUSTOMERS: usize = 20;
    let settings = [
        ("SALE__HOLD_SECONDS", "2"),
        ("SALE__PAYMENT_SECONDS", "2"),
        ("EVENTS__SWEEP_MS", "100"),
        // A thousand connections at once from one busy thread: their first lines may come late.
        ("HTTP__READ_TIMEOUT_MS", "60000"),
    ];
    let app = TestApp::start_with(&settings);
    app.add_product(json!({"id": 1, "name": "Item", "price": "5.00", "total_stock": 100, "max_per_customer": 2})).await;
    let buying = join_all((0..CUSTOMERS).map(|customer| buy_all_ways(&app, customer)));
    let watching = async {
        for _ in 0..6 {
            let found = audit(&app).await;
            assert_eq!(differences(&found), [], "{found}");
            assert_eq!(found["ok"], true);
            assert_stock_invariant(&app.get("/api/products/1").await);
            assert_eq!(above(&mut app.redis.connect(), 2), BTreeMap::new());
        }
    };
    let (taken, ()) = futures_util::future::join(buying, watching).await;
    assert!(taken.iter().all(|most| *most <= 2), "{taken:?}");
    assert!(taken.iter().any(|most| *most > 0), "{taken:?}");
    eventually("all that was not paid has lapsed", async || {
        let [_, held, pending, _] = app.counters(1).await;
        held + pending == 0
    })
    .await;
    let found = audit(&app).await;
    assert_eq!((&found["ok"], differences(&found)), (&json!(true), vec![]), "{found}");
}

/// Customers who have more than so many units, bought or surely not lapsed when they were looked at.
fn above(redis: &mut Connection, most: u64) -> BTreeMap<String, u64> {
    let customers: BTreeMap<String, String> = redis::cmd("HGETALL").arg("fs1:{p1}:customers").query(redis).unwrap();
    let (seconds, _micros): (u64, u64) = redis::cmd("TIME").query(redis).unwrap();
    let has = |text: &str| -> u64 {
        let entries = text.split(' ').filter_map(|entry| entry.split_once('='));
        let counts = entries.filter(|(name, _)| {
            *name == "1"
                || name.split_once(':').is_some_and(|(at, _)| at.parse::<u64>().unwrap() > (seconds + 1) * 1_000)
        });
        counts.map(|(_, units)| units.parse::<u64>().unwrap()).sum()
    };
    customers.into_iter().map(|(name, text)| (name, has(&text))).filter(|(_, units)| *units > most).collect()
}

/// 50 holds at once, and again after what was taken was ordered, paid, refunded, released or left to lapse. Gives the most units
/// that the customer had by what was answered, counting what has surely not come back.
async fn buy_all_ways(app: &TestApp, customer: usize) -> usize {
    let name = format!("customer-{customer}");
    let (mut bought, mut most) = (0, 0);
    for round in 0..3 {
        let wish = json!({"product_id": 1, "quantity": 1, "customer_id": name});
        let started = Instant::now();
        let answers = join_all((0..50).map(|_| app.post("/api/holds", wish.clone()))).await;
        let held: Vec<String> = answers.iter().filter(|answer| answer.status == 201).map(Answer::id).collect();
        for answer in &answers {
            assert!(answer.status == 201 || answer.refusal() == (409, "customer_limit_reached"), "{answer:?}");
        }
        // On a slow machine the first may have lapsed before the last is asked for.
        if started.elapsed() < Duration::from_secs(2) {
            most = most.max(held.len() + bought);
        }
        for (at, hold) in held.iter().enumerate() {
            let pay = async |status: &str| {
                app.pay(&format!("{hold}{status}"), json!({"status": status, "hold_id": hold})).await
            };
            match (customer + round + at) % 5 {
                0 => drop(app.delete(&format!("/api/holds/{hold}")).await),
                1 => drop(app.order(hold).await),
                2 => bought += usize::from(pay("paid").await.body["order"]["status"] == "paid"),
                3 => {
                    pay("paid").await;
                    pay("refunded").await;
                }
                _ => {}
            }
        }
    }
    most
}

fn assert_stock_invariant(product: &Answer) {
    let of = |name: &str| product.body[name].as_i64().unwrap();
    let terms = ["available_stock", "held_stock", "pending_stock", "sold_stock"].map(of);
    assert_eq!(of("total_stock"), terms.iter().sum::<i64>(), "{product:?}");
    assert!(terms.iter().all(|term| *term >= 0), "{product:?}");
}

#[tokio::test]
async fn one_sale_can_be_audited_by_itself_and_a_strange_question_is_refused() {
    let app = busy_shop().await;
    app.add_product(json!({"id": 2, "name": "Item", "price": "5.00", "total_stock": 3})).await;
    let of = async |query: &str| app.admin(Method::GET, &format!("/api/admin/audit{query}"), Value::Null).await;
    assert_eq!(of("").await.body["sales"].as_array().unwrap().len(), 2);
    let one = of("?sale=p2").await;
    assert_eq!((&one.body["sales"][0]["id"], one.body["sales"].as_array().unwrap().len()), (&json!("p2"), 1));
    assert_eq!(of("?sale=p0").await.refusal(), (404, "sale_not_found"));
    assert_eq!(of("?sale=nobody").await.refusal(), (404, "sale_not_found"));
    assert_eq!(of("?sale=NO").await.refusal(), (422, "validation_failed"));
    assert_eq!(of("?sail=p1").await.refusal(), (400, "unknown_parameter"));
    assert_eq!(app.get("/api/admin/audit").await.refusal(), (401, "unauthorized"));
}
