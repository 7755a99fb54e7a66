//! Who changed something, and why: in the event log and in the log of the service.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp},
    stock,
};

const ANNA: &str = "the-secret-of-anna";

fn app() -> TestApp {
    TestApp::start_with(&[("ADMIN__TOKENS", "anna:the-secret-of-anna,:a:token:with:colons,an-unnamed-token-x")])
}

async fn act(app: &TestApp, method: Method, path: &str, body: Value) -> Answer {
    app.send(app.request(method, path).bearer_auth(ANNA).json(&body)).await
}

/// The last event.
async fn last(app: &TestApp) -> Value {
    let list = app.request(Method::GET, "/api/admin/events?limit=1000").bearer_auth(ADMIN_TOKEN);
    let all = app.send(list).await.body["data"].as_array().unwrap().clone();
    all.last().unwrap().clone()
}

async fn count(app: &TestApp) -> usize {
    let list = app.request(Method::GET, "/api/admin/events?limit=1000").bearer_auth(ADMIN_TOKEN);
    app.send(list).await.body["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_change_has_its_actor_its_reason_and_what_it_changed() {
    let app = app();
    let product = json!({"id": 1, "sale": "drop", "name": "Cap", "price": "9.00", "total_stock": 10});
    assert_eq!(act(&app, Method::POST, "/api/admin/products", product).await.status, 201);
    let made = last(&app).await;
    assert_eq!(
        (&made["type"], &made["actor"], &made["reason"]),
        (&json!("product.created"), &json!("anna"), &Value::Null)
    );
    assert_eq!(made["change"], Value::Null);
    for (path, body, kind, change) in [
        (
            "/api/admin/products/1",
            json!({"price": "9.50", "max_per_customer": 2, "reason": "a typing error"}),
            "product.changed",
            json!({"price": {"from": "9.00", "to": "9.50"}, "max_per_customer": {"from": null, "to": 2}}),
        ),
        (
            "/api/admin/sales/drop",
            json!({"paused": true, "reason": "a typing error"}),
            "sale.changed",
            json!({"paused": {"from": false, "to": true}}),
        ),
        (
            "/api/admin/sales/drop",
            json!({"ends_at": "2100-01-01T00:00:00Z", "hold_seconds": 60, "reason": "a typing error"}),
            "sale.changed",
            json!({"ends_at": {"from": null, "to": "2100-01-01T00:00:00.000Z"},
                "hold_seconds": {"from": 900, "to": 60}, "hold_seconds_max": {"from": 900, "to": 60}}),
        ),
    ] {
        assert_eq!(act(&app, Method::PATCH, path, body.clone()).await.status, 200);
        let event = last(&app).await;
        assert_eq!((&event["type"], &event["actor"]), (&json!(kind), &json!("anna")));
        assert_eq!((&event["reason"], &event["change"]), (&json!("a typing error"), &change), "{kind}");
        let before = count(&app).await;
        assert_eq!(act(&app, Method::PATCH, path, body).await.status, 200, "the same again");
        assert_eq!(count(&app).await, before, "{kind}: what changes nothing is no event");
    }
}

#[tokio::test]
async fn a_restock_has_its_units_before_and_after() {
    let app = app();
    app.add_product(json!({"id": 1, "name": "Cap", "price": "9.00", "total_stock": 10})).await;
    app.held().await;
    let path = "/api/admin/products/1/restock";
    for (body, change) in [
        (json!({"delta": 5, "reason": " found a box "}), json!({"from": 10, "to": 15, "delta": 5})),
        (json!({"total": 3, "reason": "found a box"}), json!({"from": 15, "to": 3, "delta": -12})),
    ] {
        assert_eq!(act(&app, Method::POST, path, body).await.status, 200);
        let event = last(&app).await;
        assert_eq!((&event["type"], &event["change"]), (&json!("product.restocked"), &json!({"total_stock": change})));
        assert_eq!((&event["actor"], &event["reason"]), (&json!("anna"), &json!("found a box")));
    }
    let before = count(&app).await;
    for body in [json!({"delta": 0}), json!({"total": 3})] {
        let answer = act(&app, Method::POST, path, body).await;
        assert_eq!((answer.status, &answer.body["total_stock"]), (200, &json!(3)));
    }
    assert_eq!(count(&app).await, before, "what changes nothing is no event");
    for wrong in [json!({"delta": 1, "reason": "x".repeat(201)}), json!({"delta": 1, "reason": "two\nlines"})] {
        assert_eq!(act(&app, Method::POST, path, wrong).await.refusal(), (422, "validation_failed"));
    }
    assert_eq!(app.stock(1).await, "2 available, 1 held");
}

#[tokio::test]
async fn a_cancellation_a_decision_and_a_repair_have_their_actor_too() {
    let app = app();
    app.add_product(json!({"id": 1, "name": "Cap", "price": "9.00", "total_stock": 10})).await;
    let order = app.ordered().await;
    let cancel = format!("/api/admin/orders/{order}/cancel");
    let done = act(&app, Method::POST, &format!("{cancel}?reason=a%20double%20click"), json!({})).await;
    assert_eq!((done.status, &done.body["status"]), (200, &json!("cancelled")));
    let event = last(&app).await;
    assert_eq!((&event["type"], &event["actor"]), (&json!("order.cancelled"), &json!("anna")));
    assert_eq!(event["reason"], "a double click");
    assert_eq!(act(&app, Method::POST, &format!("{cancel}?because=x"), json!({})).await.refusal().0, 400);

    let order = app.ordered().await;
    let paid = app.pay("a", json!({"status": "paid", "order_id": order, "amount": "8.00", "currency": "USD"})).await;
    let review = paid.body["review"]["id"].as_str().unwrap().to_owned();
    let body = json!({"action": "accept", "note": "a coupon"});
    assert_eq!(act(&app, Method::POST, &format!("/api/admin/reviews/{review}/resolve"), body).await.status, 200);
    let list = app.request(Method::GET, "/api/admin/events?types=review.resolved,order.paid").bearer_auth(ANNA);
    let events = app.send(list).await.body["data"].as_array().unwrap().clone();
    let kinds: Vec<_> = events.iter().map(|event| (event["type"].as_str().unwrap(), event["actor"].clone())).collect();
    assert_eq!(kinds, [("review.resolved", json!("anna")), ("order.paid", json!("anna"))], "all of her call");

    stock::add(&mut app.redis.connect(), "fs1:{p1}:stock", 1, "sold", 1);
    let repaired = act(&app, Method::POST, "/api/admin/audit?reason=after%20the%20fail-over", json!({})).await;
    assert_eq!(repaired.body["ok"], true, "{repaired:?}");
    let event = last(&app).await;
    assert_eq!((&event["type"], &event["actor"]), (&json!("sale.repaired"), &json!("anna")));
    assert_eq!(event["reason"], "after the fail-over");
}

#[tokio::test]
async fn buyers_and_tokens_without_a_name_leave_no_name() {
    let app = app();
    for (price, token) in [
        ("1.00", ":a:token:with:colons"),
        ("2.00", "a:token:with:colons"),
        ("3.00", "an-unnamed-token-x"),
        ("4.00", ADMIN_TOKEN),
        ("5.00", "anna:the-secret-of-anna"),
    ] {
        if price == "1.00" {
            app.add_product(json!({"id": 1, "name": "Cap", "price": "9.00", "total_stock": 10})).await;
        }
        let change = app.request(Method::PATCH, "/api/admin/products/1").bearer_auth(token);
        assert_eq!(app.send(change.json(&json!({"price": price}))).await.status, 200, "{token}");
        let event = last(&app).await;
        let name = token.starts_with("anna:").then_some("anna");
        assert_eq!((event["actor"].as_str(), &event["change"]["price"]["to"]), (name, &json!(price)), "{token}");
    }
    let refused = app.request(Method::PATCH, "/api/admin/products/1").bearer_auth("bob:the-secret-of-anna");
    assert_eq!(app.send(refused.json(&json!({"price": "1.00"}))).await.refusal(), (401, "unauthorized"));
    app.ordered().await;
    let event = last(&app).await;
    assert_eq!((&event["type"], &event["actor"]), (&json!("order.created"), &Value::Null));
    let mut last = redis::cmd("XREVRANGE");
    last.arg("fs1:{p1}:events").arg("+").arg("-").arg("COUNT").arg(1);
    let stored: Vec<(String, Vec<String>)> = last.query(&mut app.redis.connect()).unwrap();
    let fields: Vec<_> = stored[0].1.iter().step_by(2).collect();
    assert_eq!(fields, ["type", "at", "order", "record"], "an event of a buyer has no field for it");
}
