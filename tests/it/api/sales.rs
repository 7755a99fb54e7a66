//! Sales: their terms, their window, and pausing. /api/admin/sales.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp},
    eventually,
};

async fn make(app: &TestApp, sale: Value) -> Answer {
    app.admin(Method::POST, "/api/admin/sales", sale).await
}

async fn change(app: &TestApp, id: &str, change: Value) -> Answer {
    app.admin(Method::PATCH, &format!("/api/admin/sales/{id}"), change).await
}

async fn get(app: &TestApp, path: &str) -> Answer {
    app.send(app.request(Method::GET, path).bearer_auth(ADMIN_TOKEN)).await
}

/// A sale `drop` of these terms, with product 1 in it.
async fn selling_in(terms: Value) -> TestApp {
    let app = TestApp::start();
    let mut sale = json!({"id": "drop"});
    sale.as_object_mut().unwrap().extend(terms.as_object().unwrap().clone());
    assert_eq!(make(&app, sale).await.status, 201);
    app.add_product(json!({"id": 1, "sale": "drop", "name": "Item", "price": "5.00", "total_stock": 10})).await;
    app
}

fn in_seconds(seconds: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string()
}

#[tokio::test]
async fn a_sale_is_made_with_defaults_read_changed_and_listed() {
    let app = TestApp::start();
    let made = make(&app, json!({"id": "drop-1"})).await;
    let expected = json!({"id": "drop-1", "name": "drop-1", "starts_at": null, "ends_at": null, "paused": false,
        "hold_seconds": 900, "hold_seconds_max": 900, "payment_seconds": 2100, "payment_seconds_max": 3600,
        "review_seconds": 86400, "payment_amount": "at_least", "on_payment_failed": "release", "on_payment_ended": "keep", "restock_refunds": true, "cooldown_holds": 0, "cooldown_seconds": 900, "cooldown_counts_releases": false,
        "currency": null, "max_per_customer": null, "max_per_group": null, "visibility": "public"});
    assert_eq!((made.status, &made.body), (201, &expected));
    assert_eq!(make(&app, json!({"id": "drop-1"})).await.refusal(), (409, "already_exists"));
    assert_eq!(get(&app, "/api/admin/sales/drop-1").await.body, expected);
    let changed =
        change(&app, "drop-1", json!({"name": "Friday", "hold_seconds": 60, "ends_at": "2040-01-01T00:00:00Z"})).await;
    assert_eq!(
        (changed.status, &changed.body["hold_seconds"], &changed.body["name"]),
        (200, &json!(60), &json!("Friday"))
    );
    assert_eq!(changed.body["ends_at"], "2040-01-01T00:00:00.000Z");
    assert_eq!(change(&app, "drop-1", json!({"ends_at": null})).await.body["ends_at"], Value::Null);
    let unnamed = make(&app, json!({"name": "No id"})).await;
    assert!(unnamed.id().starts_with("sale-"), "{unnamed:?}");
    app.add_product(json!({"name": "Item", "price": "1.00", "total_stock": 1})).await;
    let first = get(&app, "/api/admin/sales?limit=2").await;
    let ids = |answer: &Answer| -> Vec<String> {
        answer.body["data"].as_array().unwrap().iter().map(|sale| sale["id"].as_str().unwrap().to_owned()).collect()
    };
    let next = first.body["next_cursor"].as_str().unwrap();
    let second = get(&app, &format!("/api/admin/sales?limit=2&cursor={next}")).await;
    assert_eq!([ids(&first), ids(&second)].concat(), ["drop-1", "p1", &unnamed.id()]);
    assert_eq!(second.body["next_cursor"], Value::Null);
}

#[tokio::test]
async fn terms_that_do_not_fit_together_are_refused_and_nothing_changes() {
    let app = TestApp::start();
    make(&app, json!({"id": "drop", "hold_seconds": 60, "hold_seconds_max": 120})).await;
    let before = get(&app, "/api/admin/sales/drop").await.body;
    for (wrong, pointer) in [
        (json!({"hold_seconds": 121}), "/hold_seconds"),
        (json!({"hold_seconds_max": 59}), "/hold_seconds"),
        (json!({"payment_seconds": 10, "payment_seconds_max": 9}), "/payment_seconds"),
        (json!({"starts_at": "2030-01-01T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"}), "/ends_at"),
        (json!({"starts_at": "tomorrow"}), "/starts_at"),
        (json!({"paused": "yes"}), "/paused"),
        (json!({"on_payment_failed": "shrug"}), "/on_payment_failed"),
        (json!({"name": ""}), "/name"),
        (json!({"hold_seconds": 0}), "/hold_seconds"),
    ] {
        let answer = change(&app, "drop", wrong).await;
        assert_eq!(
            (answer.refusal(), &answer.body["errors"][0]["pointer"]),
            ((422, "validation_failed"), &json!(pointer))
        );
    }
    assert_eq!(change(&app, "drop", json!({"colour": "red"})).await.refusal(), (422, "unknown_field"));
    assert_eq!(get(&app, "/api/admin/sales/drop").await.body, before);
    assert_eq!(change(&app, "unknown", json!({"paused": true})).await.refusal(), (404, "sale_not_found"));
    assert_eq!(get(&app, "/api/admin/sales/NO").await.refusal(), (404, "sale_not_found"));
    for id in ["p7", "A", "a b", ""] {
        assert_eq!(make(&app, json!({"id": id})).await.refusal(), (422, "validation_failed"), "{id:?}");
    }
    assert_eq!(app.get("/api/admin/sales").await.refusal(), (401, "unauthorized"));
}

#[tokio::test]
async fn nobody_holds_longer_than_the_sale_says_and_more_only_where_the_shop_says_so() {
    let app = TestApp::start();
    let lengths = |answer: Answer| (answer.body["hold_seconds"].clone(), answer.body["hold_seconds_max"].clone());
    assert_eq!(lengths(make(&app, json!({"id": "drop", "hold_seconds": 300})).await), (json!(300), json!(300)));
    app.add_product(json!({"id": 1, "sale": "drop", "name": "Item", "price": "1.00", "total_stock": 100})).await;
    let expires_in = async |ttl: u64| {
        let held = app.post("/api/holds", json!({"product_id": 1, "quantity": 1, "ttl_seconds": ttl})).await;
        let id = held.id();
        let extended = app.post(&format!("/api/holds/{id}/extend"), json!({"seconds": 3_000})).await;
        let longest = if extended.status == 200 { extended } else { app.get(&format!("/api/holds/{id}")).await };
        [held, longest].map(|hold| hold.body["expires_in"].as_u64().unwrap().div_ceil(100) * 100)
    };
    assert_eq!(expires_in(3_000).await, [300, 300]);
    assert_eq!(expires_in(100).await, [100, 300], "less is allowed, and as much later");
    // The most follows the length as long as nobody set it.
    assert_eq!(lengths(change(&app, "drop", json!({"hold_seconds": 200})).await), (json!(200), json!(200)));
    assert_eq!(expires_in(3_000).await, [200, 200]);
    assert_eq!(lengths(change(&app, "drop", json!({"hold_seconds_max": 400})).await), (json!(200), json!(400)));
    assert_eq!(lengths(change(&app, "drop", json!({"hold_seconds": 100})).await), (json!(100), json!(400)));
    assert_eq!(expires_in(3_000).await, [400, 400]);
    assert_eq!(change(&app, "drop", json!({"hold_seconds": 500})).await.refusal(), (422, "validation_failed"));
    assert_eq!(lengths(change(&app, "drop", json!({"hold_seconds_max": null})).await), (json!(100), json!(100)));
    assert_eq!(expires_in(3_000).await, [100, 100]);
    // Settings are the word of the shop for sales without a length of their own.
    let app = TestApp::start_with(&[("SALE__HOLD_SECONDS_MAX", "1800")]);
    assert_eq!(lengths(make(&app, json!({"id": "a"})).await), (json!(900), json!(1800)));
    assert_eq!(lengths(make(&app, json!({"id": "b", "hold_seconds": 300})).await), (json!(300), json!(300)));
}

#[tokio::test]
async fn a_sale_opens_and_closes_by_itself() {
    // Far enough for a machine that is busy. Each change says when, and the sale follows when it is time.
    let app = selling_in(json!({"starts_at": in_seconds(3_600), "ends_at": in_seconds(7_200)})).await;
    let early = app.hold(1).await;
    assert_eq!(early.refusal(), (409, "sale_not_started"));
    assert!(early.body["starts_at"].is_string() && early.headers.contains_key("retry-after"));
    assert_eq!(app.get("/api/products/1").await.body["status"], "scheduled");
    assert_eq!(change(&app, "drop", json!({"starts_at": in_seconds(1)})).await.status, 200);
    eventually("it opens", async || app.hold(1).await.status == 201).await;
    assert_eq!(app.get("/api/products/1").await.body["status"], "live");
    assert_eq!(change(&app, "drop", json!({"ends_at": in_seconds(1)})).await.status, 200);
    eventually("it closes", async || app.hold(1).await.refusal() == (409, "sale_ended")).await;
    assert_eq!(app.get("/api/products/1").await.body["status"], "ended");
}

#[tokio::test]
async fn while_a_sale_is_paused_what_is_held_can_still_be_ordered_and_paid() {
    let app = selling_in(json!({})).await;
    let (hold, keyed) = (app.held().await, json!({"product_id": 1, "quantity": 1}));
    let with_key = || app.send(app.request(Method::POST, "/api/holds").header("idempotency-key", "k").json(&keyed));
    let first = with_key().await;
    assert_eq!(change(&app, "drop", json!({"paused": true})).await.status, 200);
    assert_eq!(app.hold(1).await.refusal(), (409, "sale_paused"));
    assert_eq!(app.get("/api/products/1").await.body["status"], "paused");
    let again = with_key().await;
    assert_eq!((again.status, again.id()), (201, first.id()), "the answer of the first time comes again");
    let order = app.order(&hold).await;
    assert_eq!(order.status, 201);
    assert_eq!(app.pay("a", json!({"status": "paid", "order_id": order.id()})).await.body["outcome"], "applied");
    assert_eq!(app.delete(&format!("/api/holds/{}", first.id())).await.status, 204);
    change(&app, "drop", json!({"paused": false})).await;
    assert_eq!(app.hold(1).await.status, 201);
    assert_eq!(app.stock(1).await, "8 available, 1 held, 1 sold");
}

#[tokio::test]
async fn new_terms_are_those_of_new_holds_and_orders() {
    let app = selling_in(json!({"hold_seconds": 600, "payment_seconds": 600})).await;
    let old = app.hold(1).await;
    change(&app, "drop", json!({"hold_seconds": 60, "payment_seconds": 30})).await;
    assert_eq!(
        (&old.body["expires_in"], app.hold(1).await.body["expires_in"].as_u64().unwrap() <= 61),
        (&json!(600), true)
    );
    assert_eq!(app.get(&format!("/api/holds/{}", old.id())).await.body["expires_at"], old.body["expires_at"]);
}

#[tokio::test]
async fn by_the_policy_of_the_sale_a_failed_payment_keeps_the_order_and_a_refund_keeps_the_units() {
    let app = selling_in(json!({"on_payment_failed": "keep", "restock_refunds": false})).await;
    let order = app.ordered().await;
    let event = |status: &str| json!({"status": status, "order_id": order});
    assert_eq!(app.pay("a", event("failed")).await.body["order"]["status"], "pending");
    assert_eq!(app.pay("b", event("paid")).await.body["outcome"], "applied");
    assert_eq!(app.pay("c", event("refunded")).await.body["order"]["status"], "refunded");
    assert_eq!(app.stock(1).await, "9 available, 1 sold", "the unit is not on sale again");
}
