//! GET /api/admin/customers/{id}.

use reqwest::Method;
use serde_json::{Value, json};

use super::desk::ask;
use crate::support::{
    app::{Answer, TestApp},
    commands::{all_fail, done, json_of},
    seed,
};

/// A customer whose id needs every kind of encoding.
const ANNA: &str = "anna & co/ä+1";
const ANNA_PATH: &str = "/api/admin/customers/anna%20%26%20co%2F%C3%A4%2B1";

async fn hold_for(app: &TestApp, customer: &str, product: u64, quantity: u64) -> Answer {
    app.post("/api/holds", json!({"product_id": product, "quantity": quantity, "customer_id": customer})).await
}

async fn put_sale(app: &TestApp, terms: Value) {
    let made = app.admin(Method::POST, "/api/admin/sales", terms).await;
    assert_eq!(made.status, 201, "{made:?}");
}

async fn put_product(app: &TestApp, id: u64, sale: &str, units: u64, limit: Option<u64>) {
    let product = json!({"id": id, "sale": sale, "name": format!("Shoe {id}"), "price": "50.00", "total_stock": units,
        "max_per_customer": limit});
    app.add_product(product).await;
}

/// What the answer says about the next hold of a product, which must be what the next hold then gets.
async fn next_hold(app: &TestApp, product: u64, sale: &str) -> String {
    let found = ask(app, &format!("{ANNA_PATH}?sale={sale}")).await.body;
    let of_sale = &found["sales"][0];
    let rows = of_sale["products"].as_array().unwrap();
    let of_product = rows.iter().find(|row| row["product_id"] == product).map(|row| row["next_hold"].clone());
    let said =
        if of_sale["next_hold"].is_null() { of_product.unwrap_or_default() } else { of_sale["next_hold"].clone() };
    let got = hold_for(app, ANNA, product, 1).await;
    if got.status == 201 {
        assert_eq!(said, Value::Null, "{found}");
        app.delete(&format!("/api/holds/{}", got.id())).await;
        return "held".to_owned();
    }
    for (name, value) in said.as_object().unwrap_or_else(|| panic!("{got:?} was not said by {found}")) {
        assert_eq!(got.body[name], *value, "{name} of {got:?}");
    }
    said["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_refusal_of_the_next_hold_is_said_as_the_buyer_gets_it() {
    let app = TestApp::start();
    put_sale(&app, json!({"id": "drop"})).await;
    put_product(&app, 1, "drop", 9, Some(2)).await;
    put_product(&app, 2, "drop", 1, None).await;
    put_product(&app, 3, "drop", 1, None).await;
    assert_eq!(next_hold(&app, 1, "drop").await, "held", "nobody knows this customer yet");

    hold_for(&app, ANNA, 1, 1).await;
    assert_eq!(next_hold(&app, 1, "drop").await, "held", "one more is allowed");
    hold_for(&app, ANNA, 1, 1).await;
    assert_eq!(next_hold(&app, 1, "drop").await, "customer_limit_reached");

    hold_for(&app, ANNA, 2, 1).await;
    assert_eq!(next_hold(&app, 2, "drop").await, "insufficient_stock", "all are held");
    let bought = hold_for(&app, ANNA, 3, 1).await.id();
    app.pay("k", json!({"status": "paid", "hold_id": bought})).await;
    assert_eq!(next_hold(&app, 3, "drop").await, "insufficient_stock", "sold out");

    let change = async |change: Value| app.admin(Method::PATCH, "/api/admin/sales/drop", change).await.status;
    for (terms, code) in [
        (json!({"paused": true}), "sale_paused"),
        (json!({"starts_at": "2100-01-01T00:00:00Z"}), "sale_not_started"),
        (json!({"starts_at": null, "ends_at": "2020-01-01T00:00:00Z"}), "sale_ended"),
    ] {
        assert_eq!(change(terms).await, 200);
        assert_eq!(next_hold(&app, 1, "drop").await, code);
    }
    assert_eq!(
        change(json!({"ends_at": null, "paused": false, "cooldown_holds": 1, "cooldown_counts_releases": true})).await,
        200
    );
    let released = hold_for(&app, ANNA, 4, 1).await;
    assert_eq!(released.refusal(), (404, "product_not_found"));
    put_product(&app, 4, "drop", 9, None).await;
    assert_eq!(next_hold(&app, 4, "drop").await, "held");
    assert_eq!(next_hold(&app, 4, "drop").await, "customer_cooling_down", "because that hold was released");
    assert_eq!(next_hold(&app, 1, "drop").await, "customer_cooling_down", "whatever the product");
}

#[tokio::test]
async fn a_customer_has_what_is_held_pending_and_bought_in_each_sale_and_what_limits_leave() {
    let app = TestApp::start();
    put_product(&app, 1, "drop", 9, Some(5)).await;
    put_product(&app, 2, "other", 9, None).await;
    put_product(&app, 3, "third", 9, None).await;
    let held = hold_for(&app, ANNA, 1, 1).await;
    let pending = app.order(&hold_for(&app, ANNA, 1, 2).await.id()).await;
    let paid = app.order(&hold_for(&app, ANNA, 2, 3).await.id()).await.id();
    app.pay("k", json!({"status": "paid", "order_id": paid, "payment_id": "pi_1"})).await;
    hold_for(&app, "bob", 3, 1).await;

    let found = ask(&app, ANNA_PATH).await;
    assert_eq!((found.status, &found.body["customer_id"]), (200, &json!(ANNA)));
    let [drop, other] = &found.body["sales"].as_array().unwrap()[..] else { panic!("{found:?}") };
    assert_eq!((&drop["sale"], &drop["status"], &other["sale"]), (&json!("drop"), &json!("live"), &json!("other")));
    assert_eq!(
        drop["products"],
        json!([{"product_id": 1, "name": "Shoe 1", "held": 1, "pending": 2, "bought": 0, "due_back": [
            {"kind": "held", "units": 1, "at": held.body["expires_at"]},
            {"kind": "pending", "units": 2, "at": pending.body["payment_due_at"]}], "next_hold": null}])
    );
    assert_eq!(drop["limits"], json!([{"limit": "product", "product_id": 1, "most": 5, "counted": 3, "remaining": 2}]));
    assert_eq!((&other["products"][0]["bought"], &other["limits"]), (&json!(3), &json!([])));
    let orders: Vec<&Value> = found.body["orders"].as_array().unwrap().iter().map(|order| &order["id"]).collect();
    assert_eq!(orders, [&json!(paid), &pending.body["id"]], "the latest first");
    assert_eq!((&found.body["orders_examined"], &found.body["has_older"]), (&json!(2), &json!(false)));

    let nobody = ask(&app, "/api/admin/customers/nobody").await;
    assert_eq!((nobody.status, &nobody.body["sales"], &nobody.body["orders"]), (200, &json!([]), &json!([])));
    for (path, refusal) in [
        ("/api/admin/customers/x?sale=nosuch", (404, "sale_not_found")),
        ("/api/admin/customers/%07", (422, "validation_failed")),
        ("/api/admin/customers/x?status=paid", (400, "unknown_parameter")),
    ] {
        assert_eq!(ask(&app, path).await.refusal(), refusal, "{path}");
    }
    assert_eq!(app.get(ANNA_PATH).await.refusal(), (401, "unauthorized"));
    let shown = done(&app, "customer show bob");
    assert!(shown.starts_with("customer bob\n\nthird: live\n\n  product 3  Shoe 3, 1 held\n"), "{shown}");
    assert_eq!(json_of(&app, "customer show bob --sale third --json")["sales"][0]["sale"], "third");
    assert!(done(&app, "customer show nobody").contains("nothing counts for them"));
    all_fail(&app, &[("customer show bob --sale nosuch", 1, &["404 sale_not_found"])]);
}

#[tokio::test]
async fn orders_of_a_customer_are_those_among_the_latest_thousand() {
    let app = TestApp::selling(2_000).await;
    let order = async || app.order(&hold_for(&app, ANNA, 1, 1).await.id()).await.id();
    let first = order().await;
    seed::orders(&app.redis.url(), 1, 999).await;
    let body = ask(&app, &format!("{ANNA_PATH}?sale=p1")).await.body;
    assert_eq!((&body["orders"][0]["id"], &body["orders_examined"]), (&json!(first), &json!(1_000)));
    let last = order().await;
    let body = ask(&app, &format!("{ANNA_PATH}?sale=p1")).await.body;
    let orders: Vec<&Value> = body["orders"].as_array().unwrap().iter().map(|order| &order["id"]).collect();
    assert_eq!((orders, &body["has_older"]), (vec![&json!(last)], &json!(true)), "the first is the 1,001st");
}
