//! Limits for each customer, cool-downs, and longer holds.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::support::{
    app::{Answer, TestApp},
    eventually,
};

async fn selling_with(settings: &[(&str, &str)], limit: u64) -> TestApp {
    let app = TestApp::start_with(settings);
    let product = json!({"id": 1, "name": "Item", "price": "5.00", "total_stock": 100, "max_per_customer": limit});
    app.add_product(product).await;
    app
}

async fn hold_for(app: &TestApp, customer: &str, quantity: u64) -> Answer {
    app.post("/api/holds", json!({"product_id": 1, "quantity": quantity, "customer_id": customer})).await
}

#[tokio::test]
async fn a_customer_has_no_more_than_the_limit_held_ordered_and_bought_together() {
    let app = selling_with(&[], 3).await;
    assert_eq!(app.hold(1).await.refusal(), (422, "customer_id_required"));
    let bought = hold_for(&app, "ann", 1).await.id();
    app.pay("a", json!({"status": "paid", "hold_id": bought})).await;
    let held = hold_for(&app, "ann", 1).await.id();
    let ordered = app.order(&hold_for(&app, "ann", 1).await.id()).await.id();
    let refused = hold_for(&app, "ann", 1).await;
    assert_eq!((refused.refusal(), &refused.body["remaining"]), ((409, "customer_limit_reached"), &json!(0)));
    assert_eq!(hold_for(&app, "bob", 3).await.status, 201, "others have a limit of their own");
    // Each way in which units come back gives them back to the limit, at once.
    app.delete(&format!("/api/holds/{held}")).await;
    assert_eq!(hold_for(&app, "ann", 2).await.body["remaining"], 1);
    app.post(&format!("/api/orders/{ordered}/cancel"), json!({})).await;
    assert_eq!(hold_for(&app, "ann", 3).await.body["remaining"], 2);
    app.pay("b", json!({"status": "refunded", "hold_id": bought})).await;
    assert_eq!(hold_for(&app, "ann", 3).await.status, 201);
}

#[tokio::test]
async fn what_lapses_no_longer_counts_though_nothing_sweeps() {
    let app =
        selling_with(&[("SALE__HOLD_SECONDS", "1"), ("SALE__PAYMENT_SECONDS", "1"), ("EVENTS__SWEEP_MS", "0")], 2)
            .await;
    let order = app.order(&hold_for(&app, "ann", 1).await.id()).await;
    assert_eq!(order.status, 201);
    assert_eq!(hold_for(&app, "ann", 1).await.status, 201);
    assert_eq!(hold_for(&app, "ann", 1).await.status, 409);
    eventually("both have lapsed", async || hold_for(&app, "ann", 2).await.status == 201).await;
    let late = app.pay("a", json!({"status": "paid", "order_id": order.id()})).await;
    assert_eq!(late.body["order"]["late"], true, "money that came counts above the limit");
    eventually("the hold has lapsed", async || hold_for(&app, "ann", 1).await.status == 201).await;
    assert_eq!(hold_for(&app, "ann", 1).await.body["remaining"], 0);
}

#[tokio::test]
async fn many_requests_of_few_customers_at_once_give_each_the_limit_and_no_more() {
    let app = selling_with(&[], 2).await;
    let wishes = (0..400).map(|n| {
        let app = &app;
        async move { (n % 20, hold_for(app, &format!("customer-{}", n % 20), 1).await.status) }
    });
    let mut granted = [0; 20];
    for (customer, status) in join_all(wishes).await {
        granted[customer] += usize::from(status == 201);
    }
    assert_eq!(granted, [2; 20]);
    assert_eq!(app.stock(1).await, "60 available, 40 held");
}

#[tokio::test]
async fn a_limit_that_comes_later_counts_what_was_there_before() {
    let app = TestApp::selling(10).await;
    hold_for(&app, "ann", 2).await;
    let changed = app.admin(Method::PATCH, "/api/admin/products/1", json!({"max_per_customer": 3})).await;
    assert_eq!((changed.status, &changed.body["max_per_customer"]), (200, &json!(3)));
    assert_eq!(hold_for(&app, "ann", 2).await.body["remaining"], 1);
    app.admin(Method::PATCH, "/api/admin/products/1", json!({"max_per_customer": null})).await;
    assert_eq!(hold_for(&app, "ann", 2).await.status, 201);
    assert_eq!(app.hold(1).await.status, 201);
}

#[tokio::test]
async fn who_lets_holds_lapse_again_and_again_must_wait() {
    let app = TestApp::start_with(&[("SALE__HOLD_SECONDS", "1")]);
    let sale = json!({"id": "drop", "cooldown_holds": 1, "cooldown_seconds": 2});
    app.admin(Method::POST, "/api/admin/sales", sale).await;
    app.add_product(json!({"id": 1, "sale": "drop", "name": "Item", "price": "5.00", "total_stock": 5})).await;
    assert_eq!(hold_for(&app, "ann", 1).await.status, 201);
    eventually("it has lapsed", async || app.stock(1).await == "5 available").await;
    let refused = hold_for(&app, "ann", 1).await;
    assert_eq!(refused.refusal(), (409, "customer_cooling_down"));
    assert!(refused.body["retry_at"].is_string() && refused.headers.contains_key("retry-after"));
    assert_eq!(hold_for(&app, "bob", 1).await.status, 201, "others need not wait");
    eventually("the time is over", async || hold_for(&app, "ann", 1).await.status == 201).await;
}

#[tokio::test]
async fn who_cancels_orders_or_where_the_sale_says_so_releases_holds_must_wait() {
    let app = TestApp::start();
    let sale = json!({"id": "drop", "cooldown_holds": 1, "cooldown_seconds": 60, "cooldown_counts_releases": true});
    app.admin(Method::POST, "/api/admin/sales", sale).await;
    app.add_product(json!({"id": 1, "sale": "drop", "name": "Item", "price": "5.00", "total_stock": 5})).await;
    let release = async |customer: &str| {
        let hold = hold_for(&app, customer, 1).await;
        app.delete(&format!("/api/holds/{}", hold.id())).await.status
    };
    assert_eq!(release("ann").await, 204);
    assert_eq!(hold_for(&app, "ann", 1).await.refusal(), (409, "customer_cooling_down"));
    let order = app.order(&hold_for(&app, "bob", 1).await.id()).await.id();
    assert_eq!(app.post(&format!("/api/orders/{order}/cancel"), json!({})).await.status, 200);
    assert_eq!(hold_for(&app, "bob", 1).await.refusal(), (409, "customer_cooling_down"));
    let change = json!({"cooldown_counts_releases": false});
    app.admin(Method::PATCH, "/api/admin/sales/drop", change).await;
    assert_eq!(release("cem").await, 204);
    assert_eq!(hold_for(&app, "cem", 1).await.status, 201, "a release does not count by default");
}

#[tokio::test]
async fn a_hold_is_extended_up_to_the_sales_cap_counted_from_when_it_was_made() {
    let settings = [("SALE__HOLD_SECONDS", "60"), ("SALE__HOLD_SECONDS_MAX", "120")];
    let app = TestApp::start_with(&settings);
    app.add_product(json!({"id": 1, "name": "Item", "price": "5.00", "total_stock": 5})).await;
    let hold = hold_for(&app, "ann", 2).await;
    let extend =
        async |id: &str, seconds: u64| app.post(&format!("/api/holds/{id}/extend"), json!({"seconds": seconds})).await;
    let at = |answer: &Answer| answer.body["expires_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let longer = extend(&hold.id(), 30).await;
    assert_eq!((longer.status, (at(&longer) - at(&hold)).total(jiff::Unit::Second).unwrap()), (200, 30.0));
    assert_eq!((&longer.body["customer_id"], &longer.body["quantity"]), (&json!("ann"), &json!(2)));
    let longest = extend(&hold.id(), 1_000).await;
    let total = (at(&longest) - at(&hold)).total(jiff::Unit::Second).unwrap();
    assert!((59.0..=61.0).contains(&total), "{total}");
    assert_eq!(extend(&hold.id(), 1).await.refusal(), (409, "extension_limit_reached"));
    assert_eq!(app.get(&format!("/api/holds/{}", hold.id())).await.body["expires_at"], longest.body["expires_at"]);
    assert_eq!(app.stock(1).await, "3 available, 2 held");
    let order = app.order(&hold.id()).await.id();
    let refused = extend(&hold.id(), 1).await;
    assert_eq!((refused.refusal(), &refused.body["order_id"]), ((409, "hold_converted"), &json!(order)));
    let released = app.held().await;
    app.delete(&format!("/api/holds/{released}")).await;
    assert_eq!(extend(&released, 1).await.refusal(), (410, "hold_expired"));
    assert_eq!(extend("hold_x", 1).await.refusal(), (404, "hold_not_found"));
    for wrong in [json!({}), json!({"seconds": 0}), json!({"seconds": "1"}), json!({"minutes": 1})] {
        assert_eq!(app.post(&format!("/api/holds/{released}/extend"), wrong).await.status, 422);
    }
}
