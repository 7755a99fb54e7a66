//! The review queue: GET /api/admin/reviews and POST /api/admin/reviews/{id}/resolve.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{ADMIN_TOKEN, Answer, TestApp};

pub async fn list(app: &TestApp, query: &str) -> Answer {
    app.send(app.request(Method::GET, &format!("/api/admin/reviews{query}")).bearer_auth(ADMIN_TOKEN)).await
}

pub fn rows(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"].as_array().unwrap().clone()
}

async fn resolve(app: &TestApp, review: &Value, note: &str) -> Answer {
    decide(app, review, "dismiss", note).await
}

pub async fn decide(app: &TestApp, review: &Value, action: &str, note: &str) -> Answer {
    let path = format!("/api/admin/reviews/{}/resolve", review["id"].as_str().unwrap());
    app.admin(Method::POST, &path, json!({"action": action, "note": note})).await
}

#[tokio::test]
async fn money_that_is_no_paid_order_waits_for_a_person_with_its_reason() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    let pay = async |key: &str, order: &str, payment: &str, amount: &str| {
        let event =
            json!({"status": "paid", "order_id": order, "payment_id": payment, "amount": amount, "currency": "USD"});
        app.pay(key, event).await.body["outcome"].clone()
    };
    assert_eq!(pay("a", &order, "pi_0", "49.99").await, "review");
    assert_eq!(pay("b", &order, "pi_1", "50.00").await, "applied");
    assert_eq!(pay("c", &order, "pi_2", "50.00").await, "review");
    let cancelled = app.ordered().await;
    app.post(&format!("/api/orders/{cancelled}/cancel"), json!({})).await;
    assert_eq!(pay("d", &cancelled, "pi_3", "50.00").await, "refund_required");
    assert_eq!(pay("e", "order_of_another_shop", "pi_4", "7.5").await, "unmatched");
    let found = rows(&list(&app, "").await);
    let listed: Vec<_> = found
        .iter()
        .map(|review| ["reason", "order_id", "payment_id", "amount", "reference"].map(|name| review[name].clone()))
        .collect();
    let expected = [
        ["unmatched", "", "pi_4", "7.50", "order_of_another_shop"],
        ["duplicate_payment", &order, "pi_0", "49.99", ""],
        ["duplicate_payment", &order, "pi_2", "50.00", ""],
        ["order_cancelled", &cancelled, "pi_3", "50.00", ""],
    ];
    let expected = expected.map(|row| row.map(|text| if text.is_empty() { Value::Null } else { json!(text) }));
    assert_eq!(listed, expected);
    assert!(found.iter().all(|review| review["status"] == "open" && review["resolved_at"] == Value::Null));
    assert_eq!(found[0]["sale"], Value::Null);
    assert_eq!(rows(&list(&app, "?sale=p1").await).len(), 3);
}

#[tokio::test]
async fn several_events_about_one_payment_open_one_review() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    for (key, payment) in [("a", "pi_1"), ("b", "pi_2"), ("c", "pi_2"), ("d", "pi_2")] {
        app.pay(key, json!({"status": "paid", "order_id": order, "payment_id": payment})).await;
    }
    let found = rows(&list(&app, "").await);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["payment_id"], &found[0]["event_id"]), (&json!("pi_2"), &json!("b")));
}

#[tokio::test]
async fn each_part_of_a_refund_is_looked_at_though_one_before_it_was_resolved() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    let send = async |key: &str, status: &str, amount: &str| {
        let event =
            json!({"status": status, "order_id": order, "payment_id": "pi_1", "amount": amount, "currency": "USD"});
        app.pay(key, event).await.body["outcome"].clone()
    };
    send("a", "paid", "50.00").await;
    assert_eq!(send("b", "refunded", "10.00").await, "review");
    assert_eq!(send("c", "refunded", "10.00").await, "duplicate", "the same sum again");
    let found = rows(&list(&app, "").await);
    assert_eq!(found.len(), 1, "{found:?}");
    resolve(&app, &found[0], "a voucher").await;
    assert_eq!(send("d", "refunded", "30.00").await, "review");
    let next = rows(&list(&app, "").await).remove(0);
    assert_eq!((&next["amount"], &next["refunded_amount"]), (&json!("50.00"), &json!("30.00")));
    assert_eq!(next["previous_id"], found[0]["id"], "it names the one that was resolved");
    assert_eq!(rows(&list(&app, "?status=resolved").await)[0]["note"], "a voucher", "which stays");
    assert_eq!(send("e", "refunded", "50.00").await, "applied");
    assert!(rows(&list(&app, "").await).is_empty());
}

#[tokio::test]
async fn a_review_is_resolved_once_with_a_note() {
    let app = TestApp::selling(10).await;
    app.pay("a", json!({"status": "paid", "order_id": "cart 7"})).await;
    let review = rows(&list(&app, "").await).remove(0);
    let resolved = resolve(&app, &review, "refunded by hand\nticket 12").await;
    assert_eq!((resolved.status, &resolved.body["status"]), (200, &json!("resolved")));
    assert!(resolved.body["resolved_at"].is_string());
    assert_eq!(
        (&resolved.body["action"], &resolved.body["note"]),
        (&json!("dismiss"), &json!("refunded by hand\nticket 12"))
    );
    let again = resolve(&app, &review, "refunded by hand\nticket 12").await;
    assert_eq!((again.status, &again.body), (200, &resolved.body), "the same once more");
    for (action, note) in [("dismiss", "another note"), ("refund", "refunded by hand\nticket 12")] {
        assert_eq!(decide(&app, &review, action, note).await.refusal(), (409, "review_resolved"));
    }
    assert!(rows(&list(&app, "").await).is_empty());
    assert_eq!(rows(&list(&app, "?status=resolved").await), [resolved.body]);
    let duplicate = app.pay("a", json!({"status": "paid", "order_id": "cart 7"})).await;
    assert_eq!(duplicate.body["outcome"], "duplicate");
    assert!(rows(&list(&app, "").await).is_empty(), "a duplicate opens nothing again");
}

#[tokio::test]
async fn of_several_people_who_resolve_a_review_at_once_one_decides() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    app.pay("a", json!({"status": "paid", "order_id": order, "payment_id": "pi_1", "amount": "40.00"})).await;
    let review = rows(&list(&app, "").await).remove(0);
    let decisions: Vec<_> = (0..24).map(|n| (["accept", "refund", "dismiss"][n % 3], ["one", "two"][n % 2])).collect();
    let answers = join_all(decisions.iter().map(|(action, note)| decide(&app, &review, action, note))).await;
    let kept = rows(&list(&app, "?status=resolved").await).remove(0);
    let (action, note) = (kept["action"].as_str().unwrap(), kept["note"].as_str().unwrap());
    for (decision, answer) in decisions.iter().zip(&answers) {
        if *decision == (action, note) {
            assert_eq!((answer.status, &answer.body), (200, &kept), "the same as was decided");
        } else {
            assert_eq!(answer.refusal(), (409, "review_resolved"), "{decision:?} after {kept:?}");
            assert_eq!(answer.body["action"], action);
        }
    }
    let status = app.get(&format!("/api/orders/{order}")).await.body["status"].clone();
    let expected = [("accept", "paid"), ("refund", "refund_required"), ("dismiss", "in_review")];
    assert!(expected.contains(&(action, status.as_str().unwrap())), "{action} {status}");
}

#[tokio::test]
async fn the_refund_of_what_was_to_be_refunded_resolves_its_review() {
    let app = TestApp::selling(10).await;
    let hold = app.held().await;
    app.delete(&format!("/api/holds/{hold}")).await;
    let event = |status: &str| json!({"status": status, "hold_id": hold, "payment_id": "pi_1"});
    assert_eq!(app.pay("a", event("paid")).await.body["outcome"], "refund_required");
    assert_eq!(rows(&list(&app, "").await)[0]["reason"], "hold_expired");
    assert_eq!(app.pay("b", event("refunded")).await.body["outcome"], "applied");
    assert!(rows(&list(&app, "").await).is_empty());
    assert_eq!(rows(&list(&app, "?status=resolved").await)[0]["note"], "a later event settled it");
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat_while_reviews_come_and_go() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    app.pay("paid", json!({"status": "paid", "order_id": order, "payment_id": "pi"})).await;
    let open = async |n: usize| {
        let target = if n.is_multiple_of(2) { order.as_str() } else { "cart 7" };
        let event = json!({"status": "paid", "order_id": target, "payment_id": format!("pi_{n}")});
        app.pay(&format!("key-{n}"), event).await
    };
    for n in 0..23 {
        open(n).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for page in 0.. {
        let answer = list(&app, &format!("?limit=5&cursor={cursor}")).await;
        let found = rows(&answer);
        seen.extend(found.iter().map(|review| review["payment_id"].as_str().unwrap().to_owned()));
        // Those of this page are resolved, and others come, before the next page is read.
        resolve(&app, &found[0], "done").await;
        open(100 + page).await;
        match answer.body["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let distinct: BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "{seen:?}");
    for n in 0..23 {
        assert!(seen.contains(&format!("pi_{n}")), "pi_{n} in {seen:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_of_the_reviews_is_refused() {
    let app = TestApp::selling(10).await;
    assert_eq!(app.get("/api/admin/reviews").await.refusal(), (401, "unauthorized"));
    for query in ["?limit=0", "?limit=101", "?limit=x", "?status=closed", "?cursor=abc", "?sale=A"] {
        let refused = list(&app, query).await;
        assert_eq!(refused.refusal(), (422, "validation_failed"), "{query}");
    }
    assert_eq!(list(&app, "?page=2").await.refusal(), (400, "unknown_parameter"));
    assert_eq!(list(&app, "?sale=unknown").await.refusal(), (404, "sale_not_found"));
    app.pay("a", json!({"status": "paid", "order_id": "cart 7"})).await;
    let review = rows(&list(&app, "").await).remove(0);
    for note in ["", " ", "a\u{7}b", &"x".repeat(1_001)] {
        assert_eq!(resolve(&app, &review, note).await.refusal(), (422, "validation_failed"));
    }
    assert_eq!(decide(&app, &review, "shrug", "x").await.refusal(), (422, "validation_failed"));
    for id in ["review_p1_abcdefghijabcdefghij", "review_p1_x", "x", "review_zz_abcdefghijabcdefghij"] {
        assert_eq!(resolve(&app, &json!({"id": id}), "x").await.refusal(), (404, "review_not_found"), "{id}");
    }
    assert_eq!(rows(&list(&app, "").await).len(), 1);
}
