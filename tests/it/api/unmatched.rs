//! Events that name nothing of ours: the review that their answers name, and the order once it is named.

use std::collections::HashSet;

use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{ADMIN_TOKEN, Answer, TestApp};

async fn open_reviews(app: &TestApp) -> Vec<Value> {
    let list = app.request(Method::GET, "/api/admin/reviews").bearer_auth(ADMIN_TOKEN);
    app.send(list).await.body["data"].as_array().unwrap().clone()
}

fn review_of(answer: &Answer, outcome: &str) -> String {
    assert_eq!((answer.status, &answer.body["outcome"]), (200, &json!(outcome)), "{answer:?}");
    assert_eq!(answer.body["review"]["reason"], "unmatched", "{answer:?}");
    answer.body["review"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_answer_names_the_review_and_so_does_that_of_a_duplicate() {
    let app = TestApp::selling(5).await;
    for (key, payment) in [("a", json!("pi_1")), ("b", Value::Null)] {
        let event =
            |status: &str| json!({"status": status, "order_id": "cart 7", "payment_id": payment, "amount": "5.00"});
        let first = review_of(&app.pay(key, event("paid")).await, "unmatched");
        assert_eq!(open_reviews(&app).await.last().unwrap()["id"], first);
        assert_eq!(review_of(&app.pay(key, event("paid")).await, "duplicate"), first);
        let path = format!("/api/admin/reviews/{first}/resolve");
        app.admin(Method::POST, &path, json!({"action": "dismiss", "note": "not ours"})).await;
        assert_eq!(review_of(&app.pay(key, event("paid")).await, "duplicate"), first, "resolved or not");
        let next = review_of(&app.pay(key, event("refunded")).await, "unmatched");
        assert_ne!(next, first, "what a person decided stays");
    }
}

#[tokio::test]
async fn where_money_of_others_is_ignored_no_review_is_named() {
    let app = TestApp::start_with(&[("WEBHOOK__FOREIGN", "ignore")]);
    let event = json!({"status": "paid", "order_id": "A-17", "payment_id": "pi_1", "amount": "5.00"});
    for outcome in ["ignored", "duplicate"] {
        let answer = app.pay("a", event.clone()).await;
        assert_eq!((&answer.body["outcome"], &answer.body["review"]), (&json!(outcome), &Value::Null));
    }
}

#[tokio::test]
async fn an_event_that_names_the_order_at_last_answers_the_order_after_all_that_was_kept() {
    let app = TestApp::selling(40).await;
    let cases: [(&[&str], &str, &str); 5] = [
        (&["paid"], "processing", "paid"),
        (&["refunded"], "paid", "refunded"),
        (&["refunded", "paid"], "processing", "refunded"),
        (&["paid", "refunded", "refund_failed"], "processing", "refund_required"),
        (&["paid"], "paid", "paid"),
    ];
    for (round, (kept, named, expected)) in cases.iter().cycle().take(20).enumerate() {
        let (order, payment) = (app.ordered().await, format!("pi_{round}"));
        for status in *kept {
            let event = json!({"status": status, "payment_id": payment, "amount": "50.00"});
            review_of(&app.pay(&format!("{payment}-{status}"), event).await, "unmatched");
        }
        let event = json!({"status": named, "payment_id": payment, "amount": "50.00", "order_id": order});
        let answer = app.pay(&format!("{payment}-named"), event).await;
        assert_eq!(answer.body["order"]["status"], *expected, "{kept:?}, {named}: {answer:?}");
        let read = app.get(&format!("/api/orders/{order}")).await;
        assert_eq!(answer.body["order"], read.body);
        let open = open_reviews(&app).await;
        assert!(open.iter().all(|review| review["reason"] != "unmatched"), "{open:?}");
        let is_open = |id: &Value| open.iter().any(|review| review["id"] == *id);
        assert!(answer.body["review"].is_null() || is_open(&answer.body["review"]["id"]), "{answer:?}");
    }
}

/// Another worker kept an event just before the entry of its payment named the order, and the service died before that event was
/// settled.
#[tokio::test]
async fn an_event_that_was_kept_when_the_service_died_is_settled_by_the_next_event_of_its_payment() {
    let app = TestApp::selling(4).await;
    let mut redis = app.redis.connect();
    for named in [true, false] {
        let (order, payment) = (app.ordered().await, format!("pi_{named}"));
        let entries = |redis: &mut redis::Connection| -> HashSet<String> { redis.keys("fs1:payment:*").unwrap() };
        let before = entries(&mut redis);
        let kept = json!({"status": "paid", "payment_id": payment, "amount": "50.00"});
        review_of(&app.pay(&format!("{payment}-paid"), kept.clone()).await, "unmatched");
        let entry = entries(&mut redis).difference(&before).next().unwrap().clone();
        let mut other = json!({"status": "failed", "payment_id": format!("{payment}-other"), "order_id": order});
        let before = entries(&mut redis);
        assert_eq!(app.pay(&format!("{payment}-other"), other.clone()).await.status, 200);
        let after = entries(&mut redis);
        let of_order: String = redis.get(after.difference(&before).next().unwrap()).unwrap();
        let _: () = redis.set(&entry, of_order).unwrap();

        let again = if named {
            other["payment_id"] = json!(payment);
            app.pay(&format!("{payment}-failed"), other).await
        } else {
            app.pay(&format!("{payment}-paid"), kept).await
        };
        assert_eq!((again.status, &again.body["order"]["status"]), (200, &json!("paid")), "{again:?}");
        assert_eq!(open_reviews(&app).await, Vec::<Value>::new());
    }
}
