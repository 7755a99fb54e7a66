//! POST /api/payments/webhook.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{app::TestApp, eventually};

#[tokio::test]
async fn a_payment_settles_its_order_once_however_often_it_is_sent() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    let answers = join_all((0..20).map(|_| app.pay("txn_1", json!({"status": "paid", "order_id": order})))).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body["message"] == "Webhook received"));
    let outcomes = |word: &str| answers.iter().filter(|answer| answer.body["outcome"] == word).count();
    assert_eq!((outcomes("applied"), outcomes("duplicate")), (1, 19));
    assert!(answers.iter().all(|answer| answer.body["order"]["status"] == "paid"));
    assert!(answers.iter().all(|answer| answer.body["order"] == answers[0].body["order"]));
    assert_eq!(app.stock(1).await, "9 available, 1 sold");
    assert!(app.get(&format!("/api/orders/{order}")).await.body["paid_at"].is_string());
}

#[tokio::test]
async fn another_event_about_the_same_payment_is_a_duplicate_too() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    let payload = json!({"status": "paid", "order_id": order, "payment_id": "pi_1"});
    assert_eq!(app.pay("evt_1", payload.clone()).await.body["outcome"], "applied");
    assert_eq!(app.pay("evt_2", payload).await.body["outcome"], "duplicate");
    assert_eq!(app.stock(1).await, "9 available, 1 sold");
}

#[tokio::test]
async fn the_same_key_for_another_event_is_refused() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    let event = |status: &str, amount: &str| json!({"status": status, "order_id": order, "payment_id": "pi_1", "amount": amount});
    assert_eq!(app.pay("txn_1", event("processing", "50.00")).await.body["outcome"], "applied");
    assert_eq!(
        app.pay("txn_1", event("paid", "50.00")).await.body["order"]["status"],
        "paid",
        "one key, all its states"
    );
    assert_eq!(app.pay("txn_1", event("paid", "49.00")).await.refusal(), (422, "idempotency_key_reused"));
}

#[tokio::test]
async fn a_payment_that_comes_before_the_order_makes_it() {
    let app = TestApp::selling(10).await;
    let hold = app.hold(2).await.id();
    let paid = app.pay("txn_1", json!({"status": "succeeded", "hold_id": hold})).await;
    assert_eq!((&paid.body["outcome"], &paid.body["order"]["status"]), (&json!("applied"), &json!("paid")));
    assert_eq!(paid.body["order"]["total_amount"], "100.00");
    let order = app.order(&hold).await;
    assert_eq!((order.status, &order.body), (200, &paid.body["order"]));
    assert_eq!(app.stock(1).await, "8 available, 2 sold");
}

#[tokio::test]
async fn payment_and_order_at_once_end_in_one_paid_order() {
    let app = TestApp::selling(50).await;
    let holds = join_all((0..50).map(|_| app.held())).await;
    let race = |hold: &String| {
        let (app, hold) = (&app, hold.clone());
        async move {
            let event = json!({"status": "paid", "hold_id": hold});
            let (ordered, paid) = tokio::join!(app.order(&hold), app.pay(&hold, event));
            assert!([200, 201].contains(&ordered.status), "{ordered:?}");
            assert_eq!(paid.body["outcome"], "applied");
            assert_eq!(paid.body["order"]["id"], ordered.body["id"]);
        }
    };
    join_all(holds.iter().map(race)).await;
    assert_eq!(app.stock(1).await, "50 sold");
}

#[tokio::test]
async fn a_failed_or_cancelled_payment_gives_the_units_back_once() {
    let app = TestApp::selling(10).await;
    for (key, status) in [("a", "failed"), ("b", "cancelled"), ("c", "canceled")] {
        let order = app.ordered().await;
        let payload = json!({"status": status, "order_id": order});
        assert_eq!(app.pay(key, payload.clone()).await.body["outcome"], "applied");
        assert_eq!(app.pay(&format!("{key}2"), payload).await.body["outcome"], "ignored");
        assert_eq!(app.get(&format!("/api/orders/{order}")).await.body["status"], "cancelled");
        assert_eq!(app.stock(1).await, "10 available");
    }
}

#[tokio::test]
async fn a_late_failure_never_undoes_a_payment() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    app.pay("a", json!({"status": "paid", "order_id": order})).await;
    for (key, status) in [("b", "failed"), ("c", "cancelled")] {
        let answer = app.pay(key, json!({"status": status, "order_id": order})).await;
        assert_eq!((&answer.body["outcome"], &answer.body["order"]["status"]), (&json!("ignored"), &json!("paid")));
    }
    assert_eq!(app.stock(1).await, "9 available, 1 sold");
}

#[tokio::test]
async fn a_word_that_is_unknown_is_ignored_and_forgotten_so_that_the_corrected_event_counts() {
    let app = TestApp::selling(10).await;
    for word in ["PAID", "Captured", "settled"] {
        let order = app.ordered().await;
        for _ in 0..2 {
            let unknown = app.pay(word, json!({"status": "of next year", "order_id": order})).await;
            let ignored = json!({"message": "Webhook received", "outcome": "ignored", "order": null});
            assert_eq!((unknown.status, unknown.body), (200, ignored));
        }
        let corrected = app.pay(word, json!({"status": word, "order_id": order})).await;
        assert_eq!(
            (&corrected.body["outcome"], &corrected.body["order"]["status"]),
            (&json!("applied"), &json!("paid"))
        );
    }
}

#[tokio::test]
async fn an_amount_that_has_been_a_float_is_the_amount_that_was_meant() {
    let app = TestApp::selling(10).await;
    for amount in [json!(50), json!(49.999_999_999_999_99), json!("5e1"), json!("50.000000000000007")] {
        let payload = json!({"status": "paid", "order_id": app.ordered().await, "amount": amount, "currency": "USD"});
        let paid = app.pay(&amount.to_string(), payload).await;
        assert_eq!((&paid.body["outcome"], &paid.body["order"]["status"]), (&json!("applied"), &json!("paid")));
    }
}

#[tokio::test]
async fn a_cancelled_payment_releases_a_hold_and_a_failed_one_leaves_it_for_another_try() {
    let app = TestApp::selling(10).await;
    let hold = app.held().await;
    let failed = app.pay("a", json!({"status": "failed", "hold_id": hold})).await;
    assert_eq!((&failed.body["outcome"], &failed.body["order"]), (&json!("ignored"), &Value::Null));
    assert_eq!(app.stock(1).await, "9 available, 1 held");
    assert_eq!(app.pay("b", json!({"status": "cancelled", "hold_id": hold})).await.body["outcome"], "applied");
    assert_eq!(app.stock(1).await, "10 available");
    assert_eq!(app.get(&format!("/api/holds/{hold}")).await.status, 410);
}

#[tokio::test]
async fn money_for_a_hold_that_is_gone_is_to_be_refunded() {
    let app = TestApp::selling(1).await;
    let hold = app.held().await;
    app.delete(&format!("/api/holds/{hold}")).await;
    let other = app.held().await;
    let event = json!({"status": "paid", "hold_id": hold, "payment_id": "pi_1", "amount": "50.00", "currency": "USD"});
    let answer = app.pay("a", event.clone()).await;
    assert_eq!(answer.body["outcome"], "refund_required");
    assert_eq!(answer.body["order"]["status"], "refund_required");
    assert_eq!(app.pay("b", event).await.body["outcome"], "duplicate");
    assert_eq!(app.order(&hold).await.body["status"], "refund_required");
    assert_eq!(app.get(&format!("/api/holds/{other}")).await.body["status"], "active");
    assert_eq!(app.stock(1).await, "1 held");
    let order = app.order(&hold).await.id();
    assert_eq!(
        app.pay("c", json!({"status": "refunded", "order_id": order, "payment_id": "pi_1"})).await.body["order"]["status"],
        "refunded"
    );
    assert_eq!(app.stock(1).await, "1 held");
}

#[tokio::test]
async fn a_late_payment_gets_units_that_are_left_or_is_to_be_refunded() {
    let app = TestApp::start_with(&[("SALE__PAYMENT_SECONDS", "1")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 2})).await;
    let (first, second) = (app.ordered().await, app.ordered().await);
    eventually("both have expired", async || app.stock(1).await == "2 available").await;
    let taken = app.held().await;
    let late = app.pay("a", json!({"status": "paid", "order_id": first})).await;
    assert_eq!((&late.body["outcome"], &late.body["order"]["late"]), (&json!("applied"), &json!(true)));
    let too_late = app.pay("b", json!({"status": "paid", "order_id": second})).await;
    assert_eq!(too_late.body["outcome"], "refund_required");
    assert_eq!(app.get(&format!("/api/holds/{taken}")).await.status, 200);
    assert_eq!(app.stock(1).await, "1 held, 1 sold");
}

#[tokio::test]
async fn money_for_a_cancelled_order_is_to_be_refunded() {
    let app = TestApp::selling(1).await;
    let order = app.ordered().await;
    app.post(&format!("/api/orders/{order}/cancel"), json!({})).await;
    assert_eq!(app.pay("a", json!({"status": "paid", "order_id": order})).await.body["outcome"], "refund_required");
    assert_eq!(app.stock(1).await, "1 available");
}

#[tokio::test]
async fn who_cancels_after_a_failed_payment_gets_no_units_for_a_late_one() {
    let app = TestApp::selling(1).await;
    let order = app.ordered().await;
    app.pay("a", json!({"status": "failed", "order_id": order})).await;
    assert_eq!(app.post(&format!("/api/orders/{order}/cancel"), json!({})).await.body["status"], "cancelled");
    assert_eq!(app.pay("b", json!({"status": "paid", "order_id": order})).await.body["outcome"], "refund_required");
    assert_eq!(app.stock(1).await, "1 available");
}

#[tokio::test]
async fn a_wrong_amount_or_currency_and_a_second_payment_are_for_a_person_to_look_at() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    for (key, amount, currency) in [("a", "49.99", "USD"), ("b", "50.00", "EUR")] {
        let event =
            json!({"status": "paid", "order_id": order, "payment_id": key, "amount": amount, "currency": currency});
        let answer = app.pay(key, event).await;
        assert_eq!((&answer.body["outcome"], &answer.body["order"]["status"]), (&json!("review"), &json!("in_review")));
        assert_eq!(answer.body["review"]["reason"], "amount_mismatch");
    }
    let event = |payment: &str| json!({"status": "paid", "order_id": order, "payment_id": payment, "amount": "50", "currency": "usd"});
    assert_eq!(app.pay("c", event("pi_1")).await.body["outcome"], "applied");
    assert_eq!(app.pay("d", event("pi_2")).await.body["outcome"], "review");
    let reviews: Vec<String> = redis::Commands::zrange(&mut app.redis.connect(), "fs1:{p1}:reviews", 0, -1).unwrap();
    assert_eq!(reviews.len(), 3, "{reviews:?}");
    assert_eq!(app.stock(1).await, "9 available, 1 sold");
}

#[tokio::test]
async fn a_refund_of_other_money_or_of_a_part_is_for_a_person_to_look_at() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    let event = |status: &str, payment: &str, amount: &str| json!({"status": status, "order_id": order, "payment_id": payment, "amount": amount});
    assert_eq!(app.pay("a", event("paid", "pi_1", "50.00")).await.body["outcome"], "applied");
    assert_eq!(app.pay("b", event("paid", "pi_2", "50.00")).await.body["outcome"], "review");
    for (key, payment, amount, reason) in
        [("c", "pi_3", "50.00", "refund_mismatch"), ("d", "pi_1", "1.00", "duplicate_payment")]
    {
        let answer = app.pay(key, event("refunded", payment, amount)).await;
        assert_eq!((&answer.body["outcome"], &answer.body["order"]["status"]), (&json!("review"), &json!("paid")));
        assert_eq!(
            answer.body["review"]["reason"], reason,
            "the whole payment pays, and not that of which a part went back"
        );
    }
    assert_eq!(app.stock(1).await, "9 available, 1 sold");
    assert_eq!(app.pay("e", event("refunded", "pi_1", "50.00")).await.body["order"]["status"], "paid");
    assert_eq!(app.pay("f", event("refunded", "pi_2", "50.00")).await.body["order"]["status"], "refunded");
    assert_eq!(app.stock(1).await, "10 available");
}

#[tokio::test]
async fn money_that_may_be_a_second_payment_is_never_taken_for_a_duplicate() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    assert_eq!(
        app.pay("a", json!({"status": "paid", "order_id": order, "amount": "50"})).await.body["outcome"],
        "applied"
    );
    for (key, payload, outcome) in [
        ("b", json!({"status": "paid", "order_id": order, "amount": "50"}), "duplicate"),
        ("c", json!({"status": "paid", "order_id": order, "amount": "49"}), "duplicate"),
        ("d", json!({"status": "paid", "order_id": order, "payment_id": "pi_1", "amount": "50"}), "review"),
    ] {
        assert_eq!(app.pay(key, payload).await.body["outcome"], outcome, "{key}");
    }
}

#[tokio::test]
async fn what_was_captured_is_kept_for_the_refund() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    app.post(&format!("/api/orders/{order}/cancel"), json!({})).await;
    let event =
        json!({"status": "paid", "order_id": order, "payment_id": "pi_1", "amount": "75.00", "currency": "EUR"});
    assert_eq!(app.pay("a", event).await.body["outcome"], "refund_required");
    let mut redis = app.redis.connect();
    let keys: Vec<String> = redis::Commands::keys(&mut redis, "fs1:{p1}:order:*").unwrap();
    let kept = crate::support::orders::stored_order(&mut redis, &keys[0])["payment:pi_1"].clone();
    assert!(kept.starts_with("captured=750000 currency=EUR "), "{kept}");
}

#[tokio::test]
async fn a_refund_puts_the_units_on_sale_again() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    app.pay("a", json!({"status": "paid", "order_id": order})).await;
    let refunded = app.pay("b", json!({"status": "refunded", "order_id": order})).await;
    assert_eq!((&refunded.body["outcome"], &refunded.body["order"]["status"]), (&json!("applied"), &json!("refunded")));
    assert_eq!(app.pay("c", json!({"status": "refunded", "order_id": order})).await.body["outcome"], "duplicate");
    assert_eq!(app.stock(1).await, "10 available");
}

#[tokio::test]
async fn an_event_about_an_id_that_was_never_made_here_is_kept_once_as_unmatched() {
    let app = TestApp::selling(10).await;
    let event =
        json!({"status": "paid", "order_id": "order_x", "payment_id": "pi_1", "amount": "50.00", "currency": "USD"});
    for outcome in ["unmatched", "duplicate"] {
        let answer = app.pay("a", event.clone()).await;
        assert_eq!(
            (answer.status, &answer.body["outcome"], &answer.body["order"]),
            (200, &json!(outcome), &Value::Null)
        );
    }
    let other = app.pay("a", json!({"status": "failed", "order_id": "order_x"})).await;
    assert_eq!((other.status, &other.body["outcome"]), (200, &json!("ignored")), "no money is no review");
    assert_eq!(app.pay("b", json!({"status": "paid", "hold_id": "cart 7"})).await.body["outcome"], "unmatched");
    assert_eq!(app.pay("c", json!({"status": "of next year", "hold_id": "cart 7"})).await.body["outcome"], "ignored");
    let kept: usize = redis::Commands::zcard(&mut app.redis.connect(), "fs1:{p0}:reviews").unwrap();
    assert_eq!(kept, 2);
}

#[tokio::test]
async fn an_order_and_a_hold_that_do_not_belong_together_are_refused_and_their_money_is_kept() {
    let app = TestApp::selling(10).await;
    let (hold, other) = (app.held().await, app.held().await);
    let order = app.order(&hold).await.id();
    let kept = app.pay("m", json!({"status": "paid", "order_id": order, "hold_id": other})).await;
    assert_eq!((kept.status, &kept.body["outcome"]), (200, &json!("unmatched")));
    let refused = app.pay("a", json!({"status": "failed", "order_id": order, "hold_id": other})).await;
    assert_eq!(
        (refused.refusal(), &refused.body["errors"][0]["pointer"]),
        ((422, "validation_failed"), &json!("/payload/hold_id"))
    );
    assert_eq!(app.stock(1).await, "8 available, 1 held, 1 pending");
    let paid = app.pay("a", json!({"status": "paid", "order_id": order, "hold_id": hold})).await;
    assert_eq!(paid.body["outcome"], "applied");
}

#[tokio::test]
async fn events_that_cannot_be_understood_are_refused_and_unknown_fields_are_not() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    for (body, pointer) in [
        (json!([]), ""),
        (json!({"idempotency_key": "k"}), "/payload"),
        (json!({"idempotency_key": "k", "payload": {"order_id": order}}), "/payload/status"),
        (json!({"payload": {"status": "paid", "order_id": order}}), "/idempotency_key"),
        (json!({"idempotency_key": "", "payload": {"status": "paid", "order_id": order}}), "/idempotency_key"),
    ] {
        let answer = app.post("/api/payments/webhook", body).await;
        assert_eq!(answer.refusal(), (422, "validation_failed"));
        assert_eq!(answer.body["errors"][0]["pointer"], pointer);
    }
    let body = json!({"idempotency_key": "k", "kind": "x", "payload": {"status": "paid", "order_id": order, "risk": {"score": 1}}});
    assert_eq!(app.post("/api/payments/webhook", body).await.body["outcome"], "applied");
}

#[tokio::test]
async fn where_secrets_are_set_only_signed_events_count() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let settings = [("WEBHOOK__SECRETS", secret), ("WEBHOOK__ALLOW_UNSIGNED", "false")];
    let app = TestApp::start_with(&settings);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 9})).await;
    let order = app.ordered().await;
    let body = json!({"payload": {"status": "paid", "order_id": order}}).to_string();
    let now = jiff::Timestamp::now().as_second();
    let send = async |prefix: &str, id: &str, timestamp: i64, body: &str, signature: Option<String>| {
        let mut request = app.request(Method::POST, "/api/payments/webhook").header("content-type", "application/json");
        request = request.header(format!("{prefix}-id"), id).header(format!("{prefix}-timestamp"), timestamp);
        if let Some(signature) = signature {
            request = request.header(format!("{prefix}-signature"), signature);
        }
        app.send(request.body(body.to_owned())).await
    };
    let good = sign(secret, "msg_1", now, &body);
    assert_eq!(send("webhook", "msg_1", now, &body, None).await.refusal(), (401, "signature_missing"));
    assert_eq!(send("webhook", "msg_2", now, &body, Some(good.clone())).await.refusal(), (401, "signature_invalid"));
    let changed = body.replace("paid", "failed");
    assert_eq!(send("webhook", "msg_1", now, &changed, Some(good.clone())).await.refusal(), (401, "signature_invalid"));
    let old = sign(secret, "msg_1", now - 301, &body);
    let answer = send("webhook", "msg_1", now - 301, &body, Some(old)).await;
    assert_eq!(answer.refusal(), (401, "timestamp_out_of_tolerance"));
    assert_eq!(app.stock(1).await, "8 available, 1 pending");
    assert_eq!(send("webhook", "msg_1", now, &body, Some(good.clone())).await.body["outcome"], "applied");
    assert_eq!(send("svix", "msg_1", now, &body, Some(good)).await.body["outcome"], "duplicate");
}

/// The sender's side of Standard Webhooks.
fn sign(secret: &str, id: &str, timestamp: i64, body: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use hmac::{Hmac, KeyInit, Mac};
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
