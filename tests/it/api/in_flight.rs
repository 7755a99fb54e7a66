//! Payments in flight: POST /api/orders/{id}/payment-started, and the event `processing`.

use reqwest::Method;
use serde_json::json;

use crate::support::{app::TestApp, eventually};

async fn selling_quickly() -> TestApp {
    let app = TestApp::start_with(&[("SALE__PAYMENT_SECONDS", "2"), ("SALE__PAYMENT_SECONDS_MAX", "4")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 5})).await;
    app
}

#[tokio::test]
async fn a_buyer_who_is_paying_keeps_the_units_a_while_longer_once_and_not_for_ever() {
    let app = selling_quickly().await;
    let (paying, idle) = (app.ordered().await, app.ordered().await);
    let due =
        |answer: &serde_json::Value| answer["payment_due_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let before = app.get(&format!("/api/orders/{paying}")).await.body;
    // A second before its deadline.
    let start_at = due(&before) - jiff::SignedDuration::from_secs(1);
    eventually("half of its time is over", async || jiff::Timestamp::now() >= start_at).await;
    let started = app.post(&format!("/api/orders/{paying}/payment-started"), json!({})).await;
    assert_eq!((started.status, &started.body["status"]), (200, &json!("pending")));
    assert!(started.body["payment_started_at"].is_string());
    assert!(due(&started.body) > due(&before));
    let created: jiff::Timestamp = started.body["created_at"].as_str().unwrap().parse().unwrap();
    assert!(due(&started.body) <= created + jiff::SignedDuration::from_secs(5), "4 s, rounded up to a whole second");
    let again = app.post(&format!("/api/orders/{paying}/payment-started"), json!({})).await;
    assert_eq!((again.status, &again.body["payment_due_at"]), (200, &started.body["payment_due_at"]));
    eventually("the other has lapsed", async || {
        app.get(&format!("/api/orders/{idle}")).await.body["status"] == "expired"
    })
    .await;
    assert_eq!(app.get(&format!("/api/orders/{paying}")).await.body["status"], "pending");
    assert_eq!(app.stock(1).await, "4 available, 1 pending");
    eventually("it lapses in the end", async || app.stock(1).await == "5 available").await;
    let refused = app.post(&format!("/api/orders/{paying}/payment-started"), json!({})).await;
    assert_eq!((refused.refusal(), &refused.body["order_status"]), ((409, "order_not_pending"), &json!("expired")));
}

#[tokio::test]
async fn the_provider_may_say_that_a_payment_is_processing() {
    let app = TestApp::selling(5).await;
    let order = app.ordered().await;
    let event = json!({"status": "processing", "order_id": order, "payment_id": "pi_1"});
    let answer = app.pay("a", event.clone()).await;
    assert_eq!((&answer.body["outcome"], &answer.body["order"]["status"]), (&json!("applied"), &json!("pending")));
    assert_eq!(app.pay("a", event.clone()).await.body["outcome"], "duplicate");
    assert_eq!(app.pay("b", event).await.body["outcome"], "duplicate", "it moves once");
    let paid = app.pay("c", json!({"status": "paid", "order_id": order, "payment_id": "pi_1"})).await;
    assert_eq!(paid.body["outcome"], "applied");
    let late = app.pay("d", json!({"status": "processing", "order_id": order})).await;
    assert_eq!((&late.body["outcome"], &late.body["order"]["status"]), (&json!("ignored"), &json!("paid")));
    assert_eq!(app.stock(1).await, "4 available, 1 sold");
}

#[tokio::test]
async fn a_payment_of_no_order_cannot_start() {
    let app = TestApp::selling(5).await;
    let order = app.ordered().await;
    app.post(&format!("/api/orders/{order}/cancel"), json!({})).await;
    let refused = app.post(&format!("/api/orders/{order}/payment-started"), json!({})).await;
    assert_eq!(refused.refusal(), (409, "order_not_pending"));
    assert_eq!(app.post("/api/orders/order_x/payment-started", json!({})).await.refusal(), (404, "order_not_found"));
    let get = app.get(&format!("/api/orders/{order}/payment-started")).await;
    assert_eq!((get.refusal(), get.headers["allow"].as_str()), ((405, "method_not_allowed"), "POST, OPTIONS"));
    let unknown = app.send(
        app.request(Method::POST, "/api/payments/webhook")
            .json(&json!({"idempotency_key": "k", "payload": {"status": "processing", "order_id": "order_x"}})),
    );
    assert_eq!(unknown.await.body["outcome"], "ignored");
}

#[tokio::test]
async fn a_sale_that_was_made_before_there_was_a_cap_does_not_move_deadlines_and_takes_payments() {
    let app = TestApp::selling(5).await;
    let order = app.ordered().await;
    redis::cmd("HDEL").arg("fs1:{p1}:sale").arg("payment_max_ms").exec(&mut app.redis.connect()).unwrap();
    let due = app.get(&format!("/api/orders/{order}")).await.body["payment_due_at"].clone();
    let answer = app.pay("a", json!({"status": "processing", "order_id": order})).await;
    assert_eq!((answer.status, &answer.body["order"]["payment_due_at"]), (200, &due), "{answer:?}");
}
