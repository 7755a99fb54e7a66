//! The proof: more buyers than units, all at once.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{app::TestApp, contract::Ask};

#[tokio::test]
async fn of_105_buyers_of_100_units_exactly_100_succeed_and_5_are_refused() {
    let app = TestApp::selling(100).await;
    let answers = join_all((0..105).map(|_| app.hold(1))).await;
    let held: HashSet<String> =
        answers.iter().filter(|a| a.status == 201).map(super::super::support::app::Answer::id).collect();
    let refused: Vec<_> = answers.iter().filter(|a| a.status != 201).collect();
    assert_eq!(held.len(), 100);
    assert_eq!(refused.len(), 5);
    for answer in refused {
        assert_eq!(answer.refusal(), (409, "insufficient_stock"));
        assert_eq!(answer.body["reason"], "all_held");
    }
    assert_eq!(app.stock(1).await, "100 held");
}

#[tokio::test]
async fn two_services_on_one_redis_sell_the_same_units_once() {
    let app = TestApp::selling(100).await;
    let (addr, handle, thread) = crate::support::app::run_service(&app.redis.url(), &[]);
    let second = format!("http://{addr}/api/holds");
    let wish = json!({"product_id": 1, "quantity": 3});
    let here = (0..60).map(|_| async { app.hold(3).await.status });
    let there = (0..60).map(|_| async { app.client.post(&second).json(&wish).ask().await.unwrap().status().as_u16() });
    let (here, there) = tokio::join!(join_all(here), join_all(there));
    let held = here.iter().chain(&there).filter(|status| **status == 201).count();
    assert_eq!(held, 33);
    assert_eq!(app.stock(1).await, "1 available, 99 held");
    drop(handle.stop(true));
    thread.join().unwrap();
}

#[tokio::test]
async fn buyers_of_several_products_get_all_or_nothing() {
    let app = TestApp::start();
    for id in 1..=2 {
        let product =
            json!({"id": id, "sale": "drop", "name": "Item", "price": "1.00", "total_stock": 50, "max_per_hold": 5});
        app.add_product(product).await;
    }
    let wish = |first: u64, second: u64| json!({"items": [{"product_id": first, "quantity": 1}, {"product_id": second, "quantity": 1}]});
    // Both orders of the lines, at once: whoever is refused the second product must not keep the first.
    let answers =
        join_all((0..60).map(|n| app.post("/api/holds", if n % 2 == 0 { wish(1, 2) } else { wish(2, 1) }))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 50);
    assert_eq!(app.stock(1).await, "50 held");
    assert_eq!(app.stock(2).await, "50 held");
}

#[tokio::test]
async fn a_crowd_that_holds_orders_pays_and_gives_up_leaves_every_unit_in_one_place() {
    let app = TestApp::selling(200).await;
    let buyer = async |n: u64| {
        let answer = app.hold(1 + n % 3).await;
        if answer.status != 201 {
            return;
        }
        let hold = answer.id();
        match n % 4 {
            0 => assert_eq!(app.delete(&format!("/api/holds/{hold}")).await.status, 204),
            1 => {}
            choice => {
                let order = app.order(&hold).await.id();
                let status = if choice == 2 { "paid" } else { "failed" };
                let paid = app.pay(&format!("txn_{n}"), json!({"status": status, "order_id": order})).await;
                assert_eq!(paid.body["outcome"], "applied");
            }
        }
    };
    join_all((0..300).map(buyer)).await;
    let [available, held, pending, sold] = app.counters(1).await;
    assert_eq!((available + held + pending + sold, pending), (200, 0));
    assert!(held > 0 && sold > 0);
}
