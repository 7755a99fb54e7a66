//! GET /api/admin/figures.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::desk::ask;
use crate::support::{app::TestApp, redis::signal_process};

/// The figures of a family that are not zero: `refused sold_out` -> count.
async fn counts(app: &TestApp, family: &str) -> BTreeMap<String, u64> {
    let figures = ask(app, "/api/admin/figures").await;
    assert_eq!(figures.status, 200, "{figures:?}");
    let name = |row: &Value| {
        let word = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", word("outcome"), word("reason")).trim_end().to_owned()
    };
    let rows = figures.body[family].as_array().unwrap().iter();
    let counted = rows.map(|row| (name(row), row["count"].as_u64().unwrap()));
    counted.filter(|(_, count)| *count > 0).collect()
}

fn expected(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn figures_add_up_with_what_a_rush_did() {
    let app = TestApp::selling(20).await;
    let answers = join_all((0..90).map(|_| app.hold(1))).await;
    let held: Vec<String> =
        answers.iter().filter(|answer| answer.status == 201).map(crate::support::app::Answer::id).collect();
    assert_eq!(held.len(), 20);
    assert_eq!(counts(&app, "holds").await, expected(&[("held", 20), ("refused all_held", 70)]));

    let orders = join_all(held.iter().map(|hold| app.order(hold))).await;
    app.order(&held[0]).await;
    assert_eq!(counts(&app, "orders").await, expected(&[("created", 20), ("exists", 1)]));

    let pay = |(number, order): (usize, &crate::support::app::Answer)| {
        let (app, id) = (&app, order.id());
        async move {
            let key = format!("k{}", number.min(18));
            app.pay(&key, json!({"status": "paid", "order_id": id, "amount": "50.00"})).await
        }
    };
    for pair in orders.iter().enumerate() {
        pay(pair).await;
    }
    app.pay("k0", json!({"status": "paid", "order_id": orders[0].id(), "amount": "50.00"})).await;
    app.pay("k19", json!({"status": "paid", "order_id": orders[19].id(), "amount": "50.00"})).await;
    app.pay("k20", json!({"status": "paid", "order_id": "order_of_another_shop", "payment_id": "pi_1"})).await;
    let events = counts(&app, "payment_events").await;
    // The key of the 19th came with the order of the 20th as well.
    assert_eq!(events.values().sum::<u64>(), 23);
    let named = ["applied", "duplicate", "refused idempotency_key_reused", "unmatched"].map(|name| events[name]);
    assert_eq!(named, [20, 1, 1, 1], "{events:?}");

    assert_eq!(app.hold(1).await.status, 409);
    assert_eq!(app.post("/api/holds?", json!({"product_id": 9, "quantity": 1})).await.status, 404);
    app.post("/api/holds", json!({"quantity": 0})).await;
    let holds = counts(&app, "holds").await;
    assert_eq!((holds["refused sold_out"], holds["refused product_not_found"]), (1, 1), "{holds:?}");
    assert_eq!(holds.values().sum::<u64>(), 92, "a body that is wrong is no hold");
}

#[tokio::test]
async fn figures_name_their_process_and_measure_redis_or_say_that_it_is_away() {
    let app = TestApp::start_with(&[("REDIS__CALL_TIMEOUT_MS", "300")]);
    let figures = ask(&app, "/api/admin/figures").await.body;
    assert!(figures["redis_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{figures}");
    assert!(figures["redis_at"].is_string() && figures["started_at"].is_string(), "{figures}");
    assert_eq!(ask(&app, "/api/admin/figures").await.body["process"], figures["process"]);
    assert_eq!(app.get("/api/admin/figures").await.refusal(), (401, "unauthorized"));
    let redis = app.redis.pid();
    signal_process(redis, "STOP");
    let without = ask(&app, "/api/admin/figures").await;
    signal_process(redis, "CONT");
    assert_eq!(
        (without.status, &without.body["redis_ms"], &without.body["redis_at"]),
        (200, &Value::Null, &Value::Null)
    );
}
