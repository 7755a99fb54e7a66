//! Orders that cost nothing: they are paid by no payment, and can be cancelled.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{ADMIN_TOKEN, TestApp};

async fn giving_away(units: u64, max_per_customer: Option<u64>, terms: Value) -> TestApp {
    let app = TestApp::start();
    let mut sale = json!({"id": "drop"});
    sale.as_object_mut().unwrap().extend(terms.as_object().unwrap().clone());
    assert_eq!(app.admin(Method::POST, "/api/admin/sales", sale).await.status, 201);
    app.add_product(json!({"id": 1, "sale": "drop", "name": "Ticket", "price": "0.00", "total_stock": units,
        "max_per_customer": max_per_customer}))
        .await;
    app
}

async fn events(app: &TestApp) -> Vec<String> {
    let list = app.request(Method::GET, "/api/admin/events?sale=drop&limit=100").bearer_auth(ADMIN_TOKEN);
    let list = app.send(list).await.body["data"].clone();
    let types = list.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned());
    types.filter(|kind| kind.starts_with("order.")).collect()
}

#[tokio::test]
async fn a_free_order_is_cancelled_once_whatever_races_and_its_buyer_may_order_again() {
    let app = giving_away(2, Some(1), json!({})).await;
    let ask = json!({"product_id": 1, "quantity": 1, "customer_id": "alice"});
    let order = app.order(&app.post("/api/holds", ask.clone()).await.id()).await.id();
    assert_eq!(app.post("/api/holds", ask.clone()).await.refusal(), (409, "customer_limit_reached"));
    let (by_buyer, by_admin) = (format!("/api/orders/{order}/cancel"), format!("/api/admin/orders/{order}/cancel"));
    let buyers = join_all((0..10).map(|_| app.post(&by_buyer, json!({}))));
    let admins = join_all((0..10).map(|_| app.admin(Method::POST, &by_admin, json!({}))));
    let shops = join_all((0..10).map(|n| {
        let app = &app;
        let event = json!({"status": "cancelled", "order_id": order});
        async move { app.pay(&n.to_string(), event).await }
    }));
    let (buyers, admins, shops) = tokio::join!(buyers, admins, shops);
    for answer in buyers.iter().chain(&admins) {
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("cancelled")), "{answer:?}");
        assert_eq!(answer.body["paid_at"], Value::Null);
    }
    assert!(shops.iter().all(|answer| answer.status == 200));
    assert_eq!(app.stock(1).await, "2 available");
    assert_eq!(events(&app).await, ["order.created", "order.paid", "order.cancelled"]);
    assert_eq!(app.post("/api/holds", ask).await.status, 201, "it counts no more against the limit");
}

#[tokio::test]
async fn money_for_a_free_order_that_was_cancelled_must_go_back() {
    let app = giving_away(2, None, json!({})).await;
    let order = app.ordered().await;
    app.post(&format!("/api/orders/{order}/cancel"), json!({})).await;
    let event = |status: &str, amount: &str| json!({"status": status, "order_id": order, "payment_id": "pi_1", "amount": amount});
    let nothing = app.pay("a", event("paid", "0.00")).await;
    assert_eq!(nothing.body["order"]["status"], "cancelled", "{nothing:?}");
    let paid = app.pay("b", event("paid", "5.00")).await;
    assert_eq!(
        (&paid.body["outcome"], &paid.body["review"]["reason"]),
        (&json!("refund_required"), &json!("order_cancelled"))
    );
    assert_eq!(app.stock(1).await, "2 available");
    let back = app.pay("c", event("refunded", "5.00")).await;
    assert_eq!((&back.body["outcome"], &back.body["order"]["status"]), (&json!("applied"), &json!("refunded")));
}

#[tokio::test]
async fn a_free_order_to_which_money_came_is_cancelled_once_it_went_back() {
    let app = giving_away(2, None, json!({})).await;
    let order = app.ordered().await;
    let event = |status: &str| json!({"status": status, "order_id": order, "payment_id": "pi_1", "amount": "5.00"});
    assert_eq!(app.pay("a", event("paid")).await.body["review"]["reason"], "duplicate_payment");
    let cancel = format!("/api/orders/{order}/cancel");
    let refused = app.post(&cancel, json!({})).await;
    assert_eq!(refused.refusal(), (409, "order_not_cancellable"));
    assert!(refused.body["detail"].as_str().unwrap().contains("refund that first"), "{refused:?}");
    let own = app.pay("own", json!({"status": "cancelled", "order_id": order})).await;
    assert_eq!((&own.body["outcome"], &own.body["order"]["status"]), (&json!("ignored"), &json!("paid")));
    assert_eq!(app.pay("b", event("refunded")).await.body["order"]["status"], "paid");
    assert_eq!(app.post(&cancel, json!({})).await.body["status"], "cancelled");
    assert_eq!(app.stock(1).await, "2 available");
}

#[tokio::test]
async fn the_own_word_of_the_shop_cancels_a_free_order_too() {
    for (terms, status, expected) in [
        (json!({}), "cancelled", ["applied", "cancelled"]),
        (json!({}), "failed", ["applied", "cancelled"]),
        (json!({"on_payment_failed": "keep"}), "failed", ["ignored", "paid"]),
        (json!({"on_payment_failed": "keep"}), "cancelled", ["applied", "cancelled"]),
    ] {
        let app = giving_away(2, None, terms).await;
        let order = app.ordered().await;
        let ended = app.pay("e", json!({"status": "cancelled", "order_id": order, "payment_id": "pi_1"})).await;
        assert_eq!(ended.body["order"]["status"], "paid", "the end of a payment changes nothing");
        let own = app.pay("own", json!({"status": status, "order_id": order})).await;
        assert_eq!([&own.body["outcome"], &own.body["order"]["status"]], expected);
        // As for any order: money opens what nobody closed, and nothing is to be paid by 0.
        let late = app.pay("late", json!({"status": "paid", "order_id": order, "payment_id": "pi_2"})).await;
        assert_eq!(late.body["order"]["status"], expected[1]);
        let more =
            app.pay("more", json!({"status": "paid", "order_id": order, "payment_id": "pi_2", "amount": "5"})).await;
        assert_eq!(more.body["order"]["status"], "paid");
    }
}
