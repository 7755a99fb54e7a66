//! Money that comes late for orders of a spread sale, and calls that are sent twice at once.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    reviews::{decide, list, rows},
    spread::{hold_of, spread_with},
};
use crate::support::{app::TestApp, eventually};

/// So many orders of customers of the other shard of two, whose payment deadlines have passed. As many units are in the first shard.
async fn lapsed(app: &TestApp, count: usize) -> Vec<String> {
    let orders = lapsed_without_units(app, count).await;
    restock(app, count).await;
    orders
}

async fn restock(app: &TestApp, count: usize) {
    let more = app.admin(Method::POST, "/api/admin/products/1/restock", json!({"delta": count})).await;
    assert_eq!(more.status, 200, "{more:?}");
}

/// The same, while others have all units.
async fn lapsed_without_units(app: &TestApp, count: usize) -> Vec<String> {
    let mut orders = Vec::new();
    for n in 0.. {
        let hold = hold_of(app, &format!("customer-{n}")).await.id();
        if hold.starts_with("hold_drop_1_") {
            orders.push(app.order(&hold).await.id());
        } else {
            app.delete(&format!("/api/holds/{hold}")).await;
        }
        if orders.len() == count {
            break;
        }
    }
    for order in &orders {
        let path = format!("/api/orders/{order}");
        eventually("the order lapsed", async || app.get(&path).await.body["status"] == "expired").await;
    }
    let available = app.get("/api/products/1").await.body["available_stock"].as_u64().unwrap();
    for _ in 0..2 {
        assert_eq!(app.hold(available / 2).await.status, 201);
    }
    orders
}

fn money(order: &str, payment: usize) -> Value {
    let payment = format!("pi_{payment}");
    json!({"order_id": order, "payment_id": payment, "status": "paid", "amount": "50.00", "currency": "USD"})
}

async fn is_paid_late(app: &TestApp, order: &str) {
    let paid = app.get(&format!("/api/orders/{order}")).await.body;
    assert_eq!((&paid["status"], &paid["late"]), (&json!("paid"), &json!(true)), "{paid:?}");
}

#[tokio::test]
async fn late_money_finds_units_in_another_shard() {
    let app = spread_with(2, 2, json!({"payment_seconds": 1})).await;
    let orders = lapsed(&app, 1).await;
    assert_eq!(app.pay("e1", money(&orders[0], 1)).await.status, 200);
    is_paid_late(&app, &orders[0]).await;
    assert_eq!(app.stock(1).await, "2 held, 1 sold");
}

#[tokio::test]
async fn late_money_for_many_orders_at_once_finds_units_for_all_of_them() {
    let app = spread_with(2, 16, json!({"payment_seconds": 1})).await;
    let orders = lapsed(&app, 8).await;
    let all = orders.iter().enumerate();
    let keys: Vec<String> = (0..orders.len()).map(|n| format!("e{n}")).collect();
    let paid = join_all(all.map(|(n, order)| app.pay(&keys[n], money(order, n)))).await;
    assert!(paid.iter().all(|answer| answer.status == 200), "{paid:?}");
    for order in &orders {
        is_paid_late(&app, order).await;
    }
}

#[tokio::test]
async fn late_money_that_a_person_accepts_finds_units_in_another_shard_once_there_are_some() {
    let app = spread_with(2, 2, json!({"payment_seconds": 1})).await;
    let orders = lapsed_without_units(&app, 1).await;
    assert_eq!(app.pay("e1", money(&orders[0], 1)).await.body["outcome"], "refund_required");
    let review = rows(&list(&app, "").await).remove(0);
    let accept = || decide(&app, &review, "accept", "units are there");
    assert_eq!(accept().await.refusal(), (409, "units_gone"));
    restock(&app, 1).await;
    let resolved = accept().await;
    assert_eq!(resolved.status, 200, "{resolved:?}");
    is_paid_late(&app, &orders[0]).await;
}

#[tokio::test]
async fn late_money_that_was_kept_until_an_event_named_its_order_finds_units_in_another_shard() {
    let app = spread_with(2, 2, json!({"payment_seconds": 1})).await;
    let orders = lapsed(&app, 1).await;
    let mut paid = money(&orders[0], 1);
    let order = paid.as_object_mut().unwrap().remove("order_id").unwrap();
    assert_eq!(app.pay("e1", paid).await.body["outcome"], "unmatched");
    let named = json!({"order_id": order, "payment_id": "pi_1", "status": "processing"});
    assert_eq!(app.pay("e2", named).await.status, 200);
    is_paid_late(&app, &orders[0]).await;
}

#[tokio::test]
async fn a_request_that_is_sent_several_times_at_once_is_not_refused_for_the_units_that_it_took_itself() {
    let app = spread_with(8, 1, json!({})).await;
    for round in 0..30 {
        let wish = || {
            let key = format!("k{round}");
            let request = app.request(Method::POST, "/api/holds").header("Idempotency-Key", key);
            app.send(request.json(&json!({"product_id": 1, "quantity": 1})))
        };
        let answers = join_all((0..6).map(|_| wish())).await;
        let known: Vec<_> = answers.iter().filter(|answer| answer.status != 503).collect();
        assert!(known.iter().all(|answer| answer.status == 201), "{answers:?}");
        app.delete(&format!("/api/holds/{}", known[0].id())).await;
        let path = "/api/admin/products/1/restock";
        let less = || {
            let request = app.request(Method::POST, path).header("Idempotency-Key", format!("r{round}"));
            app.send(request.bearer_auth(crate::support::app::ADMIN_TOKEN).json(&json!({"delta": -1})))
        };
        let answers = join_all((0..4).map(|_| less())).await;
        assert!(answers.iter().all(|answer| [200, 503].contains(&answer.status)), "{answers:?}");
        let more = app.admin(Method::POST, path, json!({"total": 1})).await;
        assert_eq!(more.status, 200, "{more:?}");
    }
}
