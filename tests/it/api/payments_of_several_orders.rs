//! Payments whose events named several orders, in GET /api/admin/payments/{id} and in `flashsale payment show`.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    commands::{done, json_of},
};

/// Orders that are remembered of one payment.
const ORDERS_MAX: usize = 8;

async fn paid(app: &TestApp, payment: &str, order: Option<&str>) -> Value {
    let key = format!("{payment}-{}", order.unwrap_or("none"));
    let answer = app.pay(&key, json!({"status": "paid", "order_id": order, "payment_id": payment})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

async fn found(app: &TestApp, payment: &str) -> Value {
    let path = format!("/api/admin/payments/{payment}");
    let answer = app.send(app.request(Method::GET, &path).bearer_auth(ADMIN_TOKEN)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn ids(found: &Value) -> Vec<&str> {
    found["orders"].as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_order_that_a_payment_named_is_shown_with_all_reviews() {
    let app = TestApp::selling(20).await;
    app.add_product(json!({"id": 2, "sale": "other", "name": "Other", "price": "50.00", "total_stock": 9})).await;
    let first = app.ordered().await;
    let hold = app.post("/api/holds", json!({"product_id": 2, "quantity": 1})).await.id();
    let second = app.order(&hold).await.id();
    paid(&app, "pi_1", Some(&first)).await;
    assert_eq!(ids(&found(&app, "pi_1").await), [first.as_str()]);
    for order in [&second, &first, &second] {
        paid(&app, "pi_1", Some(order)).await;
    }
    // It may be about either, so it is about neither.
    let refund = app.pay("r", json!({"status": "refunded", "payment_id": "pi_1", "amount": "50.00"})).await;
    assert_eq!(refund.body["outcome"], "unmatched", "{refund:?}");
    let wrong = json!({"status": "refunded", "order_id": second, "payment_id": "pi_1", "amount": "9.00"});
    app.pay("w", wrong).await;

    let shown = found(&app, "pi_1").await;
    assert_eq!(ids(&shown), [first.as_str(), second.as_str()]);
    let reviews = shown["reviews"].as_array().unwrap();
    let reasons: Vec<_> = reviews.iter().map(|review| review["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["unmatched", "partial_refund"]);
    assert_eq!(json_of(&app, "payment show pi_1 --json"), shown);
    let sheet = done(&app, "payment show pi_1");
    assert!(sheet.starts_with("payment pi_1: it named 2 orders, and its reviews\n\n"), "{sheet}");
    let at = |text: String| sheet.find(&text).unwrap_or_else(|| panic!("{text} in {sheet}"));
    assert!(at(format!("order {first}: paid")) < at(format!("order {second}: paid")), "{sheet}");
}

#[tokio::test]
async fn of_very_many_orders_the_first_are_shown() {
    let app = TestApp::selling(20).await;
    let mut orders = Vec::new();
    for _ in 0..ORDERS_MAX + 2 {
        orders.push(app.ordered().await);
        paid(&app, "pi_1", orders.last().map(String::as_str)).await;
    }
    assert_eq!(ids(&found(&app, "pi_1").await), orders[..ORDERS_MAX]);
}

#[tokio::test]
async fn no_order_is_lost_that_is_named_at_the_same_time() {
    let app = TestApp::selling(200).await;
    for round in 0..10 {
        let payment = format!("pi_{round}");
        // In every other round an event was kept before anybody named an order.
        if round % 2 == 1 {
            paid(&app, &payment, None).await;
        }
        let orders = join_all((0..ORDERS_MAX).map(|_| app.ordered())).await;
        join_all(orders.iter().map(|order| paid(&app, &payment, Some(order)))).await;
        let shown = found(&app, &payment).await;
        let expected: BTreeSet<_> = orders.iter().map(String::as_str).collect();
        assert_eq!(ids(&shown).into_iter().collect::<BTreeSet<_>>(), expected, "round {round}");
    }
}
