//! Orders that somebody made unreadable in Redis: they keep no other one, of the same call, from its buyer or its money.

use futures_util::future::join_all;
use redis::Commands;
use serde_json::json;

use crate::support::app::{Answer, TestApp};

const ORDERS: usize = 12;

/// Orders, and the holds that they were, of which some text of the fourth is in place of the order.
async fn with_one_damaged(app: &TestApp, damage: &str) -> (Vec<String>, Vec<String>) {
    let mut redis = app.redis.connect();
    let (mut holds, mut orders) = (Vec::new(), Vec::new());
    for _ in 0..ORDERS {
        holds.push(app.held().await);
        orders.push(app.order(holds.last().unwrap()).await.id());
    }
    let keys: Vec<String> = redis.keys("*:order:*").unwrap();
    let of_fourth: Vec<&String> =
        keys.iter().filter(|key| orders[3].contains(key.rsplit(':').next().unwrap())).collect();
    assert_eq!(of_fourth.len(), 1, "{keys:?} {orders:?}");
    let _: () = redis.set(of_fourth[0], damage).unwrap();
    (holds, orders)
}

fn only_the_fourth_failed(answers: &[Answer], damage: &str) {
    for (place, answer) in answers.iter().enumerate() {
        let expected = if place % ORDERS == 3 { 503 } else { 200 };
        assert_eq!(answer.status, expected, "{damage}: {place}: {answer:?}");
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_read_keeps_no_other_from_its_buyer_or_its_money() {
    // What the scripts cannot read, and what the service cannot.
    for damage in ["nonsense", "pending 1795716624000 600000 480000 1=1@10000 usd"] {
        let app = TestApp::start_with(&[("HTTP__WORKERS", "1")]).with_units(100).await;
        let (holds, orders) = with_one_damaged(&app, damage).await;
        let again = join_all((0..4).flat_map(|_| &holds).map(|hold| app.order(hold))).await;
        only_the_fourth_failed(&again, damage);
        let pay = async |place: usize, order: &String| {
            let payload = json!({"order_id": order, "status": "paid", "payment_id": format!("pi-{place}")});
            app.pay(&format!("event-{place}"), payload).await
        };
        let paid = join_all(orders.iter().enumerate().map(|(place, order)| pay(place, order))).await;
        only_the_fourth_failed(&paid, damage);
        let find = async |order: &String| app.get(&format!("/api/orders/{order}")).await;
        let read = join_all(orders.iter().map(find)).await;
        only_the_fourth_failed(&read, damage);
        let others = read.iter().enumerate().filter(|(place, _)| *place != 3);
        others.for_each(|(place, order)| assert_eq!(order.body["status"], "paid", "{damage}: {place}"));
        let mut redis = app.redis.connect();
        redis::cmd("FLUSHALL").exec(&mut redis).unwrap();
    }
}
