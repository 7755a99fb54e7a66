//! The event log: GET /api/admin/events.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp},
    eventually,
};

async fn list(app: &TestApp, query: &str) -> Answer {
    app.send(app.request(Method::GET, &format!("/api/admin/events{query}")).bearer_auth(ADMIN_TOKEN)).await
}

/// Those about orders and reviews: what the test makes before has events too.
fn rows(answer: &Answer) -> Vec<Value> {
    let all = all_rows(answer);
    all.into_iter().filter(|event| event["order"].is_object() || event["review"].is_object()).collect()
}

fn all_rows(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"].as_array().unwrap().clone()
}

fn types(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_log_has_each_change_of_an_order_and_the_order_as_it_was_then() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    app.post(&format!("/api/orders/{order}/payment-started"), json!({})).await;
    app.pay("a", json!({"status": "paid", "order_id": order, "payment_id": "pi_1"})).await;
    app.pay("b", json!({"status": "paid", "order_id": order, "payment_id": "pi_2"})).await;
    app.pay("c", json!({"status": "refunded", "order_id": order, "payment_id": "pi_1"})).await;
    let events = rows(&list(&app, "?sale=p1").await);
    let expected = ["order.created", "order.payment_started", "order.paid", "review.opened", "review.resolved"];
    let mut written = types(&events);
    // One call may settle several events; here each came in a call of its own.
    assert_eq!(written, expected);
    written.dedup();
    let statuses: Vec<_> = events.iter().filter_map(|event| event["order"]["status"].as_str()).collect();
    assert_eq!(statuses, ["pending", "pending", "paid"]);
    assert_eq!(app.get(&format!("/api/orders/{order}")).await.body["status"], "paid", "by the second payment");
    assert!(events.iter().all(|event| event["sale"] == "p1" && event["at"].as_str().unwrap().ends_with('Z')));
    assert_eq!((&events[0]["order"]["id"], &events[3]["review"]["payment_id"]), (&json!(order), &json!("pi_2")));
    assert_eq!(events[2]["order"], app.get(&format!("/api/orders/{order}")).await.body);
}

#[tokio::test]
async fn changes_by_an_admin_are_events_too() {
    let app = TestApp::start();
    app.admin(Method::POST, "/api/admin/sales", json!({"id": "drop"})).await;
    app.add_product(json!({"id": 1, "sale": "drop", "name": "Item", "price": "1.00", "total_stock": 5})).await;
    app.admin(Method::PATCH, "/api/admin/sales/drop", json!({"paused": true})).await;
    app.admin(Method::PATCH, "/api/admin/sales/drop", json!({"paused": true})).await;
    app.admin(Method::PATCH, "/api/admin/products/1", json!({"price": "2.00"})).await;
    app.admin(Method::POST, "/api/admin/products/1/restock", json!({"delta": 2})).await;
    let events = all_rows(&list(&app, "?sale=drop").await);
    let expected = ["sale.created", "product.created", "sale.changed", "product.changed", "product.restocked"];
    assert_eq!(types(&events), expected, "what changes nothing is no event");
    assert_eq!((&events[0]["terms"]["paused"], &events[2]["terms"]["paused"]), (&json!(false), &json!(true)));
    assert_eq!((&events[1]["product"]["price"], &events[3]["product"]["price"]), (&json!("1.00"), &json!("2.00")));
    assert_eq!((&events[4]["product"]["total_stock"], &events[4]["product"]["status"]), (&json!(7), &json!("paused")));
}

#[tokio::test]
async fn a_payment_without_an_order_and_a_cancellation_are_events_too() {
    let app = TestApp::selling(10).await;
    let (paid, cancelled) = (app.held().await, app.held().await);
    app.pay("a", json!({"status": "paid", "hold_id": paid})).await;
    let order = app.order(&cancelled).await.id();
    app.post(&format!("/api/orders/{order}/cancel"), json!({})).await;
    app.post(&format!("/api/orders/{order}/cancel"), json!({})).await;
    let events = rows(&list(&app, "?sale=p1").await);
    assert_eq!(types(&events), ["order.created", "order.paid", "order.created", "order.cancelled"]);
}

#[tokio::test]
async fn the_lapse_of_an_order_is_one_event_and_comes_before_later_ones() {
    let app = TestApp::start_with(&[("SALE__PAYMENT_SECONDS", "1"), ("EVENTS__SWEEP_MS", "20")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 2})).await;
    let order = app.ordered().await;
    eventually("the event is written", async || rows(&list(&app, "?sale=p1").await).len() == 2).await;
    let late = app.pay("a", json!({"status": "paid", "order_id": order})).await;
    assert_eq!(late.body["order"]["late"], true);
    let events = rows(&list(&app, "?sale=p1").await);
    assert_eq!(types(&events), ["order.created", "order.expired", "order.paid"]);
    assert_eq!(events[1]["order"]["status"], "expired");
}

#[tokio::test]
async fn without_a_sweep_a_late_payment_says_itself_that_the_order_had_lapsed() {
    let app = TestApp::start_with(&[("SALE__PAYMENT_SECONDS", "1"), ("EVENTS__SWEEP_MS", "0")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 2})).await;
    let (first, second) = (app.ordered().await, app.ordered().await);
    eventually("both have lapsed", async || app.stock(1).await == "2 available").await;
    app.pay("a", json!({"status": "paid", "order_id": first})).await;
    app.post(&format!("/api/orders/{second}/cancel"), json!({})).await;
    let events = rows(&list(&app, "?sale=p1").await);
    let expected =
        ["order.created", "order.created", "order.expired", "order.paid", "order.expired", "order.cancelled"];
    assert_eq!(types(&events), expected);
}

#[tokio::test]
async fn a_cursor_goes_on_where_it_was_in_one_sale_and_in_all() {
    let app = TestApp::selling(10).await;
    app.add_product(json!({"id": 2, "sale": "drop", "name": "Other", "price": "1.00", "total_stock": 10})).await;
    for n in 0..12 {
        let wish = json!({"product_id": 1 + n % 2, "quantity": 1});
        let hold = app.post("/api/holds", wish).await.id();
        app.order(&hold).await;
    }
    app.pay("a", json!({"status": "paid", "order_id": "cart 7"})).await;
    for (sale, count) in [("", 13), ("&sale=p1", 6), ("&sale=drop", 6), ("&sale=p0", 1)] {
        let all = rows(&list(&app, &format!("?limit=100{sale}")).await);
        assert_eq!(all.len(), count, "{sale}");
        let mut paged = Vec::new();
        let mut after = String::new();
        loop {
            let answer = list(&app, &format!("?limit=4&after={after}{sale}")).await;
            paged.extend(rows(&answer));
            answer.body["next_cursor"].as_str().unwrap().clone_into(&mut after);
            if answer.body["more"] == false {
                break;
            }
        }
        assert_eq!(paged, all, "{sale}");
    }
    let mut per_sale: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in rows(&list(&app, "?limit=100").await) {
        let id = event["order"]["id"].as_str().unwrap_or("").to_owned();
        per_sale.entry(event["sale"].as_str().unwrap().to_owned()).or_default().push(id);
    }
    assert_eq!(per_sale.keys().collect::<Vec<_>>(), ["drop", "p0", "p1"]);
}

#[tokio::test]
async fn what_cannot_be_asked_of_the_log_is_refused() {
    let app = TestApp::selling(10).await;
    assert_eq!(app.get("/api/admin/events").await.refusal(), (401, "unauthorized"));
    let last = format!("?after=p1:{0}-{0}", u64::MAX);
    for query in ["?limit=0", "?limit=1001", "?limit=-1", "?after=xyz", "?after=p1:1", "?sale=P1", &last] {
        assert_eq!(list(&app, query).await.refusal(), (422, "validation_failed"), "{query}");
    }
    assert_eq!(list(&app, "?cursor=x").await.refusal(), (400, "unknown_parameter"));
    assert_eq!(list(&app, "?sale=unknown").await.refusal(), (404, "sale_not_found"));
    assert_eq!(rows(&list(&app, "").await), Vec::<Value>::new());
    for id in 2..=100 {
        app.add_product(json!({"id": id, "name": "Item", "price": "1.00", "total_stock": 1})).await;
    }
    assert_eq!(all_rows(&list(&app, "?limit=1000").await).len(), 200, "any number of sales");
}

#[tokio::test]
async fn a_sweep_of_many_sales_keeps_others_from_sweeping_for_as_long_as_it_took() {
    let app = TestApp::start_with(&[("EVENTS__SWEEP_MS", "1")]);
    for id in 1..=200 {
        let product = json!({"id": id, "sale": format!("s{id}"), "name": "Item", "price": "1.00", "total_stock": 9});
        app.add_product(product).await;
    }
    let mut redis = app.redis.connect();
    // 400 calls, one after another.
    eventually("the next turn is more than a pause away", async || {
        let left: i64 = redis::cmd("PTTL").arg("fs1:{:all}:swept").query(&mut redis).unwrap();
        left > 5
    })
    .await;
}
