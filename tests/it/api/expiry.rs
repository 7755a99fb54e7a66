//! Expiry: exact to the millisecond of Redis' clock, with nothing running in the background.

use std::time::{Duration, Instant};

use flashsale::store::Catalogue;
use futures_util::{StreamExt, stream};
use redis::Commands;
use serde_json::json;

use crate::support::{app::TestApp, eventually, stock};

fn redis_now_ms(connection: &mut redis::Connection) -> u64 {
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query(connection).unwrap();
    seconds * 1_000 + micros / 1_000
}

#[tokio::test]
async fn a_hold_that_lapses_gives_its_units_back_at_the_deadline_and_not_before() {
    let app = TestApp::selling(1).await;
    let mut redis = app.redis.connect();
    let hold = app.post("/api/holds", json!({"product_id": 1, "quantity": 1, "ttl_seconds": 1})).await.id();
    let deadlines: Vec<(String, u64)> = redis.zrange_withscores("fs1:{p1}:deadlines", 0, -1).unwrap();
    let deadline = deadlines[0].1;
    assert_eq!(deadline % 1_000, 0, "deadlines are whole seconds");
    loop {
        // The clock is read around the answer: what was said between two instants was true at one of them.
        let before = redis_now_ms(&mut redis);
        let available = app.counters(1).await[0];
        let after = redis_now_ms(&mut redis);
        if available == 1 {
            assert!(after > deadline, "given back {} ms too early", deadline - after);
            break;
        }
        assert!(before <= deadline, "still held {} ms after the deadline", before - deadline);
    }
    assert_eq!(app.get(&format!("/api/holds/{hold}")).await.refusal(), (410, "hold_expired"));
    assert_eq!(app.order(&hold).await.refusal(), (410, "hold_expired"));
    assert_eq!(app.delete(&format!("/api/holds/{hold}")).await.refusal(), (410, "hold_expired"));
    assert_eq!(app.hold(1).await.status, 201);
}

#[tokio::test]
async fn the_key_of_a_hold_has_its_deadline_as_native_ttl() {
    let app = TestApp::selling(1).await;
    app.held().await;
    let mut redis = app.redis.connect();
    let keys: Vec<String> = redis.keys("fs1:{p1}:hold:*").unwrap();
    let expires_at: u64 = redis::cmd("PEXPIRETIME").arg(&keys[0]).query(&mut redis).unwrap();
    let deadlines: Vec<(String, u64)> = redis.zrange_withscores("fs1:{p1}:deadlines", 0, -1).unwrap();
    assert_eq!(deadlines, [(format!("{expires_at}:1:h"), expires_at)]);
    assert!(redis.get::<_, String>(&keys[0]).unwrap().starts_with("1=1 "));
}

#[tokio::test]
async fn a_hold_that_was_copied_with_a_little_more_time_still_leaves_its_bucket() {
    let app = TestApp::selling(2).await;
    let holds = [app.held().await, app.held().await];
    let mut redis = app.redis.connect();
    for key in redis.keys::<_, Vec<String>>("fs1:{p1}:hold:*").unwrap() {
        // As MIGRATE does it: the time that is left arrives some milliseconds later.
        let left: u64 = redis::cmd("PTTL").arg(&key).query(&mut redis).unwrap();
        let dumped: Vec<u8> = redis::cmd("DUMP").arg(&key).query(&mut redis).unwrap();
        redis::cmd("RESTORE").arg(&key).arg(left + 7).arg(dumped).arg("REPLACE").exec(&mut redis).unwrap();
    }
    assert_eq!(app.order(&holds[0]).await.status, 201);
    assert_eq!(app.delete(&format!("/api/holds/{}", holds[1])).await.status, 204);
    assert_eq!(app.stock(1).await, "1 available, 1 pending");
    let lapses: Vec<(String, u64)> = redis.hgetall("fs1:{p1}:lapses").unwrap();
    assert!(lapses.len() == 1 && lapses[0].0.ends_with(":1:p"), "{lapses:?}");
}

#[tokio::test]
async fn ten_thousand_holds_that_lapse_together_are_one_addition() {
    let app = TestApp::start();
    let product = json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 10_000});
    app.add_product(product).await;
    // Long enough that none lapses while the others are still made, then moved to one second that is near.
    let wish = json!({"product_id": 1, "quantity": 1, "ttl_seconds": 3_000});
    let made = stream::iter(0..10_000).map(|_| app.post("/api/holds", wish.clone())).buffer_unordered(64);
    let statuses: Vec<u16> = made.map(|answer| answer.status).collect().await;
    assert!(statuses.iter().all(|status| *status == 201));
    assert_eq!(app.stock(1).await, "10000 held");

    let mut redis = app.redis.connect();
    let soon = redis_now_ms(&mut redis) / 1_000 * 1_000 + 2_000;
    move_all_deadlines(&mut redis, soon);
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut redis).unwrap();
    let started = Instant::now();
    while redis_now_ms(&mut redis) <= soon {
        assert!(started.elapsed() < Duration::from_secs(30));
    }
    assert_eq!(app.stock(1).await, "10000 available");
    let writes = ["hset", "hincrby", "hdel"].map(|command| app.calls_of(command));
    assert!(
        (1..10).contains(&writes.iter().sum::<u64>()),
        "one bucket is taken from held and added to available: {writes:?}"
    );
    // Redis frees the keys by itself; nobody asks for them.
    eventually("the keys of the holds are gone", async || {
        redis::cmd("DBSIZE").query::<u64>(&mut app.redis.connect()).unwrap() < 100
    })
    .await;
}

/// Puts all that is held of product 1 into one bucket, as if all holds had been made with that deadline.
fn move_all_deadlines(redis: &mut redis::Connection, deadline: u64) {
    let lapses: Vec<(String, u64)> = redis.hgetall("fs1:{p1}:lapses").unwrap();
    let units: u64 = lapses.iter().map(|(_, units)| units).sum();
    let name = format!("{deadline}:1:h");
    redis.del::<_, ()>(&["fs1:{p1}:lapses", "fs1:{p1}:deadlines"]).unwrap();
    redis.hset::<_, _, _, ()>("fs1:{p1}:lapses", &name, units).unwrap();
    redis.zadd::<_, _, _, ()>("fs1:{p1}:deadlines", &name, deadline).unwrap();
    redis.hdel::<_, _, ()>("fs1:{p1}:sale", "first_due").unwrap();
    let holds: Vec<String> = redis.scan_match("fs1:{p1}:hold:*").unwrap().collect::<Result<_, _>>().unwrap();
    // Made at the first second of all: its length is the deadline.
    let value = format!("1=1 0+{}", deadline / 1_000);
    for chunk in holds.chunks(1_000) {
        let mut pipe = redis::pipe();
        chunk.iter().for_each(|key| _ = pipe.cmd("SET").arg(key).arg(&value).arg("PXAT").arg(deadline).ignore());
        pipe.exec(redis).unwrap();
    }
}

#[tokio::test]
async fn an_order_that_is_not_paid_in_time_expires_and_gives_its_units_back() {
    let app = TestApp::start_with(&[("SALE__PAYMENT_SECONDS", "1")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 1})).await;
    let order = app.ordered().await;
    assert_eq!(app.stock(1).await, "1 pending");
    eventually("the unit is back", async || app.stock(1).await == "1 available").await;
    assert_eq!(app.get(&format!("/api/orders/{order}")).await.body["status"], "expired");
    // Cancelling what has expired gives nothing back a second time.
    assert_eq!(app.post(&format!("/api/orders/{order}/cancel"), json!({})).await.body["status"], "cancelled");
    assert_eq!(app.stock(1).await, "1 available");
}

#[tokio::test]
async fn a_refusal_says_when_units_come_back() {
    let app = TestApp::selling(1).await;
    let hold = app.post("/api/holds", json!({"product_id": 1, "quantity": 1, "ttl_seconds": 5})).await;
    let refused = app.hold(1).await;
    assert_eq!(refused.refusal(), (409, "insufficient_stock"));
    assert_eq!(refused.body["reason"], "all_held");
    assert_eq!(refused.body["next_release_at"], hold.body["expires_at"]);
    let retry_after: u64 = refused.headers["retry-after"].parse().unwrap();
    assert!((1..=7).contains(&retry_after));
    assert_eq!(app.get("/api/products/1").await.body["next_release_at"], hold.body["expires_at"]);
}

#[tokio::test]
async fn more_due_buckets_than_one_call_reclaims_are_all_back_in_the_next_answer() {
    let app = TestApp::selling(2_000).await;
    let mut redis = app.redis.connect();
    // 1,500 seconds of the past, each with a bucket of one unit that nobody has looked at.
    let past = redis_now_ms(&mut redis) / 1_000 * 1_000 - 2_000_000;
    for (counter, units) in [("available", 500), ("held", 1_500)] {
        stock::set(&mut redis, "fs1:{p1}:stock", 1, counter, units);
    }
    let mut pipe = redis::pipe();
    for n in 0..1_500_u64 {
        let deadline = past + n * 1_000;
        let name = format!("{deadline}:1:h");
        pipe.hset("fs1:{p1}:lapses", &name, 1).ignore().zadd("fs1:{p1}:deadlines", &name, deadline).ignore();
    }
    pipe.hset("fs1:{p1}:sale", "first_due", 0).exec(&mut redis).unwrap();
    assert_eq!(app.stock(1).await, "2000 available");
}

#[test]
fn no_script_trusts_a_clock_that_the_caller_gives() {
    for script in Catalogue::compiled().iter() {
        assert!(!script.source.contains("test_now"), "{}", script.name);
        let uses_clock = script.source.contains("guarded_now");
        assert_eq!(uses_clock, script.source.contains("redis.call('TIME')"), "{}", script.name);
    }
}
