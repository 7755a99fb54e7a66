//! What a repair must never do: sell what is promised, free what nobody can read, or stop the sale.

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};

use super::run;
use crate::support::{app::TestApp, eventually, orders::write_status, stock};

async fn audit(app: &TestApp, method: Method) -> Value {
    let answer = app.admin(method, "/api/admin/audit", Value::Null).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// What differs, and whether it can be repaired.
fn differences(audit: &Value) -> Vec<(&str, bool)> {
    let rows = audit["differences"].as_array().unwrap().iter();
    rows.map(|row| (row["what"].as_str().unwrap(), row["repairable"].as_bool().unwrap())).collect()
}

/// Product 1, sold out to holds of this many different deadlines.
async fn held_until_many_deadlines(deadlines: u64) -> TestApp {
    let app = TestApp::start_with(&[("SALE__HOLD_SECONDS_MAX", "900")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "5.00", "total_stock": deadlines})).await;
    for n in 0..deadlines {
        let wish = json!({"product_id": 1, "quantity": 1, "ttl_seconds": 300 + 2 * n});
        assert_eq!(app.post("/api/holds", wish).await.status, 201);
    }
    assert_eq!(app.counters(1).await, [0, deadlines, 0, 0]);
    app
}

#[tokio::test]
async fn a_large_repair_sells_nothing_that_is_held_to_those_who_ask_meanwhile() {
    let app = held_until_many_deadlines(200).await;
    let mut redis = app.redis.connect();
    run(&mut redis, "DEL fs1:{p1}:lapses fs1:{p1}:deadlines");
    let asking = join_all((0..4).map(async |_| {
        for _ in 0..150 {
            assert_eq!(app.hold(1).await.refusal(), (409, "insufficient_stock"));
        }
    }));
    let (repaired, _) = join(audit(&app, Method::POST), asking).await;
    assert_eq!((&repaired["ok"], app.stock(1).await.as_str()), (&json!(true), "200 held"), "{repaired}");
    assert_eq!(repaired["repaired"].as_array().unwrap().len(), 400, "each bucket and its place in the index, once");
}

#[tokio::test]
async fn units_that_went_from_many_deadlines_to_one_go_back_though_none_is_left() {
    let app = held_until_many_deadlines(70).await;
    let mut redis = app.redis.connect();
    let names: Vec<String> = redis::cmd("ZRANGE").arg("fs1:{p1}:deadlines").arg(0).arg(-1).query(&mut redis).unwrap();
    let (last, others) = names.split_last().unwrap();
    for name in others {
        run(&mut redis, &format!("HDEL fs1:{{p1}}:lapses {name}"));
    }
    run(&mut redis, &format!("HSET fs1:{{p1}}:lapses {last} 70"));
    let repaired = audit(&app, Method::POST).await;
    assert_eq!((&repaired["ok"], app.stock(1).await.as_str()), (&json!(true), "70 held"), "{repaired}");
}

#[tokio::test]
async fn counters_of_many_products_are_put_right_though_no_unit_is_left() {
    let app = TestApp::start();
    let mut redis = app.redis.connect();
    for id in 1..=70 {
        app.add_product(json!({"id": id, "sale": "drop", "name": "Item", "price": "5.00", "total_stock": 2})).await;
        app.post("/api/holds", json!({"product_id": id, "quantity": 2})).await;
        // As if three were held: one of them from none.
        stock::add(&mut redis, "fs1:{drop}:stock", id, "held", 1);
        stock::add(&mut redis, "fs1:{drop}:stock", id, "available", -1);
    }
    // An odd number of differences, so that none of the pairs keeps in step with what one call repairs.
    stock::add(&mut redis, "fs1:{drop}:stock", 1, "held", -1);
    assert_eq!(audit(&app, Method::GET).await["sales"][0]["differences"], 139);
    let repaired = audit(&app, Method::POST).await;
    assert_eq!(repaired["ok"], true, "{repaired}");
}

#[tokio::test]
async fn what_is_promised_twice_does_not_end_the_sale_once_its_deadline_comes() {
    let app = TestApp::start_with(&[("SALE__HOLD_SECONDS", "2")]);
    for id in [1, 2] {
        app.add_product(json!({"id": id, "sale": "drop", "name": "Item", "price": "5.00", "total_stock": 1})).await;
    }
    let hold = async |id: u64| app.post("/api/holds", json!({"product_id": id, "quantity": 1})).await;
    assert_eq!(hold(1).await.status, 201);
    let mut redis = app.redis.connect();
    run(&mut redis, "DEL fs1:{drop}:lapses fs1:{drop}:deadlines");
    for (counter, units) in [("held", 0), ("available", 1)] {
        stock::set(&mut redis, "fs1:{drop}:stock", 1, counter, units);
    }
    let again = app.post("/api/holds", json!({"product_id": 1, "quantity": 1, "ttl_seconds": 1})).await;
    assert_eq!(again.status, 201, "{again:?}");
    let found = audit(&app, Method::POST).await;
    assert_eq!(found["repaired"], json!([]), "{found}");
    assert!(differences(&found).iter().all(|(_, repairable)| !repairable), "{found}");
    eventually("the units have come back", async || app.stock(1).await == "1 available").await;
    assert_eq!(hold(2).await.status, 201, "no index names what is not there");
    eventually("these too", async || app.stock(2).await == "1 available").await;
    assert_eq!(audit(&app, Method::GET).await["ok"], true);
}

#[tokio::test]
async fn what_nobody_can_read_keeps_its_units_until_a_person_has_looked() {
    let app = TestApp::selling(5).await;
    let bought = app.held().await;
    app.pay("a", json!({"status": "paid", "hold_id": bought})).await;
    let mut redis = app.redis.connect();
    let orders: Vec<String> = redis::cmd("KEYS").arg("fs1:{p1}:order:*").query(&mut redis).unwrap();
    write_status(&mut redis, &orders[0], "payd");
    run(&mut redis, "HSET fs1:{p1}:customers eve nonsense=1");
    let found = audit(&app, Method::POST).await;
    assert_eq!(found["repaired"], json!([]), "{found}");
    assert_eq!(differences(&found), [("record", false), ("record", false), ("available", false), ("sold", false)]);
    let named = |row: &Value| (row["customer_id"].clone(), row["order_id"].is_string());
    let rows = found["differences"].as_array().unwrap();
    assert!(rows.iter().any(|row| named(row) == (json!("eve"), false)), "{found}");
    assert!(rows.iter().any(|row| named(row) == (json!(null), true)), "{found}");
    write_status(&mut redis, &orders[0], "paid");
    run(&mut redis, "HDEL fs1:{p1}:customers eve");
    assert_eq!(audit(&app, Method::GET).await["ok"], true);
}

#[tokio::test]
async fn a_product_whose_counters_are_gone_is_reported() {
    let app = TestApp::selling(5).await;
    app.held().await;
    let bought = app.held().await;
    app.pay("a", json!({"status": "paid", "hold_id": bought})).await;
    let mut redis = app.redis.connect();
    let stock: Vec<(String, String)> = redis::cmd("HGETALL").arg("fs1:{p1}:stock").query(&mut redis).unwrap();
    run(&mut redis, "DEL fs1:{p1}:stock");
    let found = audit(&app, Method::POST).await;
    assert_eq!(differences(&found), [("record", false)], "{found}");
    let name: Vec<(String, String)> = redis::cmd("HGETALL").arg("fs1:{p1}:product:1").query(&mut redis).unwrap();
    run(&mut redis, "DEL fs1:{p1}:product:1");
    assert_eq!(differences(&audit(&app, Method::GET).await), [("record", false)], "by its holds and orders alone");
    redis::cmd("HSET").arg("fs1:{p1}:product:1").arg(&name).exec(&mut redis).unwrap();
    redis::cmd("HSET").arg("fs1:{p1}:stock").arg(&stock).exec(&mut redis).unwrap();
    assert_eq!(audit(&app, Method::GET).await["ok"], true);
}

#[tokio::test]
async fn two_repairs_at_once_repair_once() {
    let app = held_until_many_deadlines(70).await;
    let mut redis = app.redis.connect();
    run(&mut redis, "DEL fs1:{p1}:lapses fs1:{p1}:deadlines");
    stock::add(&mut redis, "fs1:{p1}:stock", 1, "sold", 3);
    let repairs = join_all((0..4).map(|_| audit(&app, Method::POST))).await;
    let done: usize = repairs.iter().map(|body| body["repaired"].as_array().unwrap().len()).sum();
    assert_eq!(audit(&app, Method::POST).await["ok"], true);
    assert_eq!(app.stock(1).await, "70 held");
    assert_eq!(done, 141, "each bucket, each place in the index, and a counter");
}

#[tokio::test]
async fn a_walk_that_lost_its_connection_is_no_audit() {
    let app = TestApp::selling(5).await;
    app.held().await;
    let mut redis = app.redis.connect();
    let keys = (0..40_000).map(|n| (format!("other:{{x}}:{n}"), "x")).collect::<Vec<_>>();
    redis::cmd("MSET").arg(&keys).exec(&mut redis).unwrap();
    eventually("an audit was cut off", async || {
        let cutting = async {
            tokio::task::yield_now().await;
            run(&mut app.redis.connect(), "CLIENT KILL TYPE normal SKIPME yes");
        };
        let path = "/api/admin/audit";
        let (answer, ()) = join(app.admin(Method::GET, path, Value::Null), cutting).await;
        if answer.status == 200 {
            assert_eq!(answer.body["ok"], true, "{answer:?}");
            return false;
        }
        assert_eq!(answer.refusal(), (503, "store_unavailable"));
        answer.headers.contains_key("retry-after")
    })
    .await;
}
