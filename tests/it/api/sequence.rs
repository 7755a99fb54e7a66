//! With `http.show_sequence` an answer says where its decision stands among all of its sale.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::support::app::{Answer, TestApp};

fn showing() -> TestApp {
    TestApp::start_with(&[("http.show_sequence", "true")])
}

/// The number of the write, whether it was only seen, and the place in the call.
fn sequence(answer: &Answer) -> (u64, u8, usize) {
    let text = answer.headers.get("sale-sequence").unwrap_or_else(|| panic!("no sequence in {answer:?}"));
    let parts: Vec<_> = text.split('.').collect();
    assert_eq!(parts.len(), 3, "{text}");
    (parts[0].parse().unwrap(), parts[1].parse().unwrap(), parts[2].parse().unwrap())
}

#[tokio::test]
async fn what_is_written_later_has_a_greater_number_and_what_is_read_has_that_of_the_last_write() {
    let app = showing();
    app.add_product(json!({"name": "Item", "price": "50.00", "total_stock": 2})).await;
    let fresh = sequence(&app.get("/api/products/1").await);
    let held = app.hold(1).await;
    let first = sequence(&held);
    assert!(first > fresh, "{first:?} behind {fresh:?}");
    let seen = |(write, ..): (u64, u8, usize)| (write, 1, 0);
    assert_eq!((first, fresh.1), ((first.0, 0, 0), 1), "what wrote, and what saw a write");
    assert_eq!(sequence(&app.get("/api/products/1").await), seen(first), "a read");
    assert_eq!(sequence(&app.hold(2).await), seen(first), "a refusal");
    assert_eq!(sequence(&app.get(&format!("/api/holds/{}", held.id())).await), seen(first), "a read of one hold");
    let order = app.order(&held.id()).await;
    let second = sequence(&order);
    assert!(second > first && second.1 == 0);
    assert_eq!(sequence(&app.order(&held.id()).await), seen(second), "an order that is there already");
    let paid = app.pay("e1", json!({"order_id": order.id(), "status": "success"})).await;
    let third = sequence(&paid);
    assert!(third > second, "{paid:?}");
    assert!(!app.get("/livez").await.headers.contains_key("sale-sequence"), "nothing was decided");
}

#[tokio::test]
async fn no_two_decisions_that_took_units_stand_in_the_same_place() {
    let app = showing();
    app.add_product(json!({"name": "Item", "price": "50.00", "total_stock": 40})).await;
    let answers = join_all((0..50).map(|_| app.hold(1))).await;
    let mut places: Vec<_> = answers.iter().filter(|answer| answer.status == 201).map(sequence).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 40);
    let last = places.last().copied().unwrap();
    for refused in answers.iter().filter(|answer| answer.status == 409) {
        assert!(sequence(refused) > last || sequence(refused).0 == last.0, "refused before the last unit went");
    }
}

#[tokio::test]
async fn a_service_that_shows_no_sequence_says_nothing_of_it() {
    let app = TestApp::selling(1).await;
    assert!(!app.hold(1).await.headers.contains_key("sale-sequence"));
    let read = app.send(app.request(Method::GET, "/api/products/1")).await;
    assert!(!read.headers.contains_key("sale-sequence"));
}
