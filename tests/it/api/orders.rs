//! POST /api/orders, GET /api/orders/{id}, POST /api/orders/{id}/cancel.

use std::collections::HashSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;

#[tokio::test]
async fn an_order_carries_what_it_costs_and_until_when_it_can_be_paid() {
    let app = TestApp::selling(10).await;
    let hold = app.hold(3).await.id();
    let made = app.order(&hold).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.body["hold_id"], json!(hold));
    assert_eq!((&made.body["product_id"], &made.body["quantity"]), (&json!(1), &json!(3)));
    assert_eq!((&made.body["total_amount"], &made.body["currency"]), (&json!("150.00"), &json!("USD")));
    assert_eq!((&made.body["status"], &made.body["paid_at"]), (&json!("pending"), &Value::Null));
    let seconds = |name: &str| made.body[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let window = seconds("payment_due_at") - seconds("created_at");
    assert!((2_100_000..2_101_000).contains(&window), "{window}");
    assert_eq!(app.get(&format!("/api/orders/{}", made.id())).await.body, made.body);
    assert_eq!(app.stock(1).await, "7 available, 3 pending");
}

#[tokio::test]
async fn a_hold_becomes_at_most_one_order_under_parallel_calls() {
    let app = TestApp::selling(10).await;
    let hold = app.held().await;
    let answers = join_all((0..20).map(|_| app.order(&hold))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[18], statuses[19]), (200, 200, 201));
    assert_eq!(answers.iter().map(super::super::support::app::Answer::id).collect::<HashSet<_>>().len(), 1);
    assert_eq!(app.stock(1).await, "9 available, 1 pending");
}

#[tokio::test]
async fn release_and_order_at_once_have_one_winner() {
    let app = TestApp::selling(40).await;
    let holds: Vec<String> = join_all((0..40).map(|_| app.held())).await;
    let race = |hold: String| {
        let app = &app;
        async move {
            let path = format!("/api/holds/{hold}");
            let (released, ordered) = tokio::join!(app.delete(&path), app.order(&hold));
            let outcome = (released.status, ordered.status);
            assert!(outcome == (204, 410) || outcome == (409, 201), "{outcome:?}");
        }
    };
    join_all(holds.into_iter().map(race)).await;
    let [available, held, pending, _] = app.counters(1).await;
    assert_eq!((available + pending, held), (40, 0));
}

#[tokio::test]
async fn an_order_is_cancelled_once_and_its_units_come_back_once() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    let path = format!("/api/orders/{order}/cancel");
    let answers = join_all((0..20).map(|_| app.post(&path, json!({})))).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body["status"] == "cancelled"));
    assert_eq!(app.stock(1).await, "10 available");
}

#[tokio::test]
async fn what_is_paid_cannot_be_cancelled() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    app.pay("txn", json!({"status": "paid", "order_id": order})).await;
    let refused = app.post(&format!("/api/orders/{order}/cancel"), json!({})).await;
    assert_eq!(refused.refusal(), (409, "order_not_cancellable"));
    assert_eq!(app.stock(1).await, "9 available, 1 sold");
}

#[tokio::test]
async fn a_refusal_to_cancel_says_what_is_the_case() {
    type End = (&'static [(&'static str, &'static str)], &'static str, &'static str);
    let app = TestApp::selling(20).await;
    let send = async |order: &str, key: &str, status: &str, amount: &str| {
        let event = json!({"status": status, "order_id": order, "payment_id": order, "amount": amount});
        app.pay(&format!("{order}-{key}"), event).await.body["order"]["status"].as_str().unwrap().to_owned()
    };
    let ends: [End; 6] = [
        (&[("paid", "50.00")], "paid", "refund it instead"),
        (&[("paid", "50.00"), ("refund_failed", "50.00")], "refund_required", "its money must go back"),
        (&[("paid", "50.00"), ("refunded", "50.00")], "refunded", "there is nothing to refund"),
        (&[("paid", "40.00")], "in_review", "resolve the review"),
        (&[], "cancelled", ""),
        (&[("processing", "50.00")], "cancelled", ""),
    ];
    for (events, status, why) in ends {
        let order = app.ordered().await;
        for (event, amount) in events {
            send(&order, event, event, amount).await;
        }
        let by_buyer = format!("/api/orders/{order}/cancel");
        let by_admin = format!("/api/admin/orders/{order}/cancel");
        let answers = [app.post(&by_buyer, json!({})).await, app.admin(Method::POST, &by_admin, json!({})).await];
        for answer in answers {
            if why.is_empty() {
                assert_eq!((answer.status, &answer.body["status"]), (200, &json!(status)), "{answer:?}");
                continue;
            }
            assert_eq!(answer.refusal(), (409, "order_not_cancellable"), "{status}");
            assert_eq!(answer.body["order_status"], status);
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(detail.starts_with(&format!("the order is {status}: ")) && detail.contains(why), "{detail}");
        }
    }
}

#[tokio::test]
async fn orders_of_several_products_add_up_and_other_currencies_keep_their_decimals() {
    let app = TestApp::start();
    for (id, price) in [(1, "0.10"), (2, "19.99")] {
        let product =
            json!({"id": id, "sale": "drop", "name": "Item", "price": price, "currency": "EUR", "total_stock": 9});
        app.add_product(product).await;
    }
    app.add_product(json!({"id": 3, "name": "Item", "price": "500", "currency": "JPY", "total_stock": 9})).await;
    let items = json!({"items": [{"product_id": 1, "quantity": 3}, {"product_id": 2, "quantity": 2}]});
    let order = app.order(&app.post("/api/holds", items).await.id()).await;
    assert_eq!((&order.body["total_amount"], &order.body["currency"]), (&json!("40.28"), &json!("EUR")));
    let order = app.order(&app.post("/api/holds", json!({"product_id": 3, "quantity": 2})).await.id()).await;
    assert_eq!((&order.body["total_amount"], &order.body["currency"]), (&json!("1000"), &json!("JPY")));
}

#[tokio::test]
async fn unknown_orders_are_not_found() {
    let app = TestApp::selling(1).await;
    let hold = app.held().await;
    // The id that this hold's order would have was never handed out, so it cannot be guessed from the hold's.
    for id in [hold.replace("hold_", "order_"), "order_x".to_owned(), "%c3%bf%00".to_owned()] {
        assert_eq!(app.get(&format!("/api/orders/{id}")).await.refusal(), (404, "order_not_found"), "{id}");
        assert_eq!(app.post(&format!("/api/orders/{id}/cancel"), json!({})).await.refusal(), (404, "order_not_found"));
    }
}
