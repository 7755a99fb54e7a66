//! Products and their stock while they sell: PATCH /api/admin/products/{id} and restock; the orders as an admin sees them.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{ADMIN_TOKEN, Answer, TestApp};

async fn restock(app: &TestApp, body: Value) -> Answer {
    app.admin(Method::POST, "/api/admin/products/1/restock", body).await
}

async fn change(app: &TestApp, body: Value) -> Answer {
    app.admin(Method::PATCH, "/api/admin/products/1", body).await
}

#[tokio::test]
async fn stock_is_changed_by_so_many_or_to_so_many_and_never_below_what_is_promised() {
    let app = TestApp::selling(10).await;
    app.held().await;
    app.ordered().await;
    let hold = app.held().await;
    app.pay("a", json!({"status": "paid", "hold_id": hold})).await;
    let more = restock(&app, json!({"delta": 5})).await;
    assert_eq!((more.status, &more.body["total_stock"], &more.body["available_stock"]), (200, &json!(15), &json!(12)));
    let fewer = restock(&app, json!({"total": 3})).await;
    assert_eq!((&fewer.body["total_stock"], &fewer.body["available_stock"]), (&json!(3), &json!(0)));
    let refused = restock(&app, json!({"delta": -1})).await;
    assert_eq!((refused.refusal(), &refused.body["floor"]), ((409, "below_promised"), &json!(3)));
    assert_eq!(restock(&app, json!({"total": 2})).await.refusal(), (409, "below_promised"));
    assert_eq!(app.stock(1).await, "1 held, 1 pending, 1 sold");
    assert_eq!(app.hold(1).await.refusal(), (409, "insufficient_stock"));
}

#[tokio::test]
async fn the_same_key_restocks_once() {
    let app = TestApp::selling(10).await;
    let send = async |delta: i64| {
        let request = app.request(Method::POST, "/api/admin/products/1/restock").bearer_auth(ADMIN_TOKEN);
        app.send(request.header("idempotency-key", "delivery-7").json(&json!({"delta": delta}))).await
    };
    assert_eq!(send(5).await.body["total_stock"], 15);
    assert_eq!(send(5).await.body["total_stock"], 15);
    assert_eq!(send(6).await.refusal(), (422, "idempotency_key_reused"));
    assert_eq!(app.stock(1).await, "15 available");
}

#[tokio::test]
async fn an_order_costs_what_its_hold_did() {
    let app = TestApp::selling(10).await;
    let (order, hold) = (app.ordered().await, app.held().await);
    let changed = change(&app, json!({"price": "75.00", "name": "Better item", "max_per_hold": 2})).await;
    assert_eq!(
        (changed.status, &changed.body["price"], &changed.body["name"]),
        (200, &json!("75.00"), &json!("Better item"))
    );
    assert_eq!(app.get(&format!("/api/orders/{order}")).await.body["total_amount"], "50.00");
    assert_eq!(app.order(&hold).await.body["total_amount"], "50.00", "the price that the hold was made at");
    let later = app.hold(2).await;
    assert_eq!(later.status, 201);
    assert_eq!(app.hold(3).await.refusal(), (422, "quantity_above_limit"));
    let paid = app.pay("a", json!({"status": "paid", "order_id": order, "amount": "50.00", "currency": "USD"})).await;
    assert_eq!(paid.body["outcome"], "applied");
}

#[tokio::test]
async fn changes_that_make_no_sense_are_refused_and_change_nothing() {
    let app = TestApp::selling(10).await;
    let before = app.get("/api/products/1").await.body;
    for body in
        [json!({}), json!({"delta": 1, "total": 2}), json!({"delta": 1.5}), json!({"total": -1}), json!({"delta": "1"})]
    {
        assert_eq!(restock(&app, body.clone()).await.refusal(), (422, "validation_failed"), "{body}");
    }
    assert_eq!(restock(&app, json!({"delta": 1_000_000_000})).await.refusal(), (422, "validation_failed"));
    assert_eq!(restock(&app, json!({"units": 1})).await.status, 422);
    for body in [
        json!({"price": "1.001"}),
        json!({"price": "9000000000"}),
        json!({"price": 1}),
        json!({"name": ""}),
        json!({"max_per_hold": 0}),
        json!({"max_per_customer": 0}),
    ] {
        assert_eq!(change(&app, body.clone()).await.refusal(), (422, "validation_failed"), "{body}");
    }
    assert_eq!(change(&app, json!({"currency": "EUR"})).await.refusal(), (422, "unknown_field"));
    let missing = app.admin(Method::PATCH, "/api/admin/products/9", json!({"name": "x"})).await;
    assert_eq!(missing.refusal(), (404, "product_not_found"));
    let missing = app.admin(Method::POST, "/api/admin/products/9/restock", json!({"delta": 1})).await;
    assert_eq!(missing.refusal(), (404, "product_not_found"));
    assert_eq!(app.get("/api/products/1").await.body, before);
}

#[tokio::test]
async fn orders_are_listed_page_by_page_while_others_are_made() {
    let app = TestApp::selling(500).await;
    let mut made = BTreeSet::new();
    for n in 0..45 {
        let order = app.ordered().await;
        if n % 9 == 0 {
            app.pay(&order, json!({"status": "paid", "order_id": order})).await;
        }
        made.insert(order);
    }
    let list = async |query: &str| {
        app.send(app.request(Method::GET, &format!("/api/admin/orders{query}")).bearer_auth(ADMIN_TOKEN)).await
    };
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(&format!("?limit=10&cursor={cursor}")).await;
        seen.extend(page.body["data"].as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap().to_owned()));
        app.ordered().await;
        match page.body["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let distinct: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(distinct.len(), seen.len(), "none is listed twice");
    assert!(made.is_subset(&distinct), "none is left out");
    let paid = list("?status=paid&sale=p1").await;
    assert_eq!(paid.body["data"].as_array().unwrap().len(), 5);
    assert!(paid.body["data"].as_array().unwrap().iter().all(|order| order["status"] == "paid"));
    for query in ["?limit=0", "?status=open", "?cursor=x", "?sale=A"] {
        assert_eq!(list(query).await.refusal(), (422, "validation_failed"), "{query}");
    }
    assert_eq!(list("?sale=unknown").await.refusal(), (404, "sale_not_found"));
    assert_eq!(app.get("/api/admin/orders").await.refusal(), (401, "unauthorized"));
}

#[tokio::test]
async fn an_admin_cancels_an_order_and_money_for_it_is_to_be_refunded() {
    let app = TestApp::selling(5).await;
    let order = app.ordered().await;
    let path = format!("/api/admin/orders/{order}/cancel");
    assert_eq!(app.post(&path, json!({})).await.refusal(), (401, "unauthorized"));
    let cancelled = app.admin(Method::POST, &path, json!({})).await;
    assert_eq!((cancelled.status, &cancelled.body["status"]), (200, &json!("cancelled")));
    assert_eq!(app.admin(Method::POST, &path, json!({})).await.status, 200);
    assert_eq!(app.pay("a", json!({"status": "paid", "order_id": order})).await.body["outcome"], "refund_required");
    assert_eq!(
        app.admin(Method::POST, "/api/admin/orders/order_x/cancel", json!({})).await.refusal(),
        (404, "order_not_found")
    );
    assert_eq!(app.stock(1).await, "5 available");
}
