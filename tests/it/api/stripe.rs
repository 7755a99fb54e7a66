//! POST /api/payments/webhooks/stripe. The payloads have the shape of API version 2024-06-20.

use std::collections::BTreeMap;

use flashsale::webhook::{signature::Signer, standard::PROVIDER as STANDARD, stripe::PROVIDER as STRIPE};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{ADMIN_TOKEN, Answer, TestApp};

const PATH: &str = "/api/payments/webhooks/stripe";
/// Stands for the id of an order.
const ORDER: &str = "ORDER";
const SECRET: &str = "whsec_4f5c0c2a7d9e4b1f8a6d3e2c1b0a9f8e";
const NEW_SECRET: &str = "whsec_0a1b2c3d4e5f60718293a4b5c6d7e8f9";

fn event(id: &str, kind: &str, object: &Value) -> Value {
    json!({
        "id": id, "object": "event", "api_version": "2024-06-20", "created": 1_764_000_000, "livemode": false,
        "pending_webhooks": 1, "request": {"id": "req_nTqJcJ4Z0aXm0z", "idempotency_key": null}, "type": kind,
        "data": {"object": object, "previous_attributes": null},
    })
}

fn intent(payment: &str, order: &str) -> Value {
    json!({
        "id": payment, "object": "payment_intent", "amount": 5000, "amount_capturable": 0,
        "amount_details": {"tip": {}}, "amount_received": 5000, "application": null, "automatic_payment_methods": null,
        "canceled_at": null, "capture_method": "automatic_async", "client_secret": "pi_x_secret_y", "currency": "usd",
        "customer": null, "description": null, "last_payment_error": null, "latest_charge": "ch_3Q0", "livemode": false,
        "metadata": {"order_id": order, "cart": "7"}, "next_action": null,
        "payment_method_options": {"card": {"installments": null, "request_three_d_secure": "automatic"}},
        "payment_method_types": ["card", "link"], "shipping": null, "status": "succeeded", "transfer_data": null,
        "a_field_of_next_year": {"deep": [1, {"deeper": null}]},
    })
}

fn session(payment: &str, order: &str, payment_status: &str) -> Value {
    json!({
        "id": format!("cs_{payment}"), "object": "checkout.session", "amount_subtotal": 5000, "amount_total": 5000,
        "automatic_tax": {"enabled": false, "liability": null, "status": null}, "client_reference_id": order,
        "currency": "usd", "customer_details": {"email": "a@example.com", "address": {"country": "DE", "line1": null}},
        "line_items": null, "metadata": {}, "mode": "payment", "payment_intent": payment,
        "payment_status": payment_status, "status": "complete", "total_details": {"amount_discount": 0}, "url": null,
    })
}

fn charge(payment: &str, order: &str, refunded: u64) -> Value {
    json!({
        "id": format!("ch_{payment}"), "object": "charge", "amount": 5000, "amount_captured": 5000,
        "amount_refunded": refunded, "balance_transaction": "txn_1", "captured": true, "currency": "usd",
        "metadata": {"order_id": order}, "outcome": {"network_status": "approved_by_network", "risk_level": "normal"},
        "paid": true, "payment_intent": payment, "payment_method_details": {"card": {"brand": "visa", "wallet": null}},
        "refunded": refunded == 5000, "refunds": null, "status": "succeeded",
    })
}

async fn send(app: &TestApp, id: &str, kind: &str, object: Value) -> Answer {
    app.post(PATH, event(id, kind, &object)).await
}

/// The outcome, and the status of the order.
fn result(answer: &Answer) -> (&str, &str) {
    assert_eq!((answer.status, &answer.body["message"]), (200, &json!("Webhook received")), "{answer:?}");
    let text = |value: &'_ Value| value.as_str().map_or("", |text| text.to_owned().leak());
    (text(&answer.body["outcome"]), text(&answer.body["order"]["status"]))
}

/// Open reviews by event id: event, amount, currency, payment and reference.
async fn unmatched(app: &TestApp) -> BTreeMap<String, String> {
    let list = app.request(Method::GET, "/api/admin/reviews").bearer_auth(ADMIN_TOKEN);
    let reviews = app.send(list).await.body["data"].as_array().unwrap().clone();
    let text = |review: &Value, name: &str| review[name].as_str().unwrap_or("").to_owned();
    let line =
        |review: &Value| ["event", "amount", "currency", "payment_id", "reference"].map(|name| text(review, name));
    reviews.iter().map(|review| (text(review, "event_id"), line(review).join(" "))).collect()
}

#[tokio::test]
async fn every_event_about_a_payment_does_what_it_says() {
    let app = TestApp::selling(20).await;
    for (kind, object, expected) in [
        ("payment_intent.succeeded", intent("pi_1", ORDER), ("applied", "paid")),
        ("payment_intent.payment_failed", intent("pi_2", ORDER), ("ignored", "pending")),
        ("payment_intent.canceled", intent("pi_3", ORDER), ("ignored", "pending")),
        ("checkout.session.completed", session("pi_1", ORDER, "paid"), ("applied", "paid")),
        ("checkout.session.async_payment_succeeded", session("pi_1", ORDER, "paid"), ("applied", "paid")),
        ("checkout.session.async_payment_failed", session("pi_4", ORDER, "unpaid"), ("ignored", "pending")),
        ("checkout.session.expired", session("pi_5", ORDER, "unpaid"), ("ignored", "pending")),
        ("charge.refunded", charge("pi_6", ORDER, 5000), ("applied", "pending")),
        ("charge.dispute.created", charge("pi_7", ORDER, 0), ("review", "pending")),
    ] {
        let order = app.ordered().await;
        let object = object.to_string().replace(ORDER, &order).parse().unwrap();
        let answer = send(&app, &format!("evt_{kind}"), kind, object).await;
        assert_eq!(result(&answer), expected, "{kind}");
        app.post(&format!("/api/orders/{order}/cancel"), json!({})).await;
    }
    assert_eq!(app.stock(1).await, "17 available, 3 sold");
}

#[tokio::test]
async fn a_payment_in_flight_leaves_its_order_pending() {
    let app = TestApp::selling(5).await;
    for (kind, object) in [
        ("payment_intent.processing", intent as fn(&str, &str) -> Value),
        ("checkout.session.completed", |payment, order| session(payment, order, "unpaid")),
    ] {
        let order = app.ordered().await;
        let answer = send(&app, &format!("evt_{kind}"), kind, object("pi_1", &order)).await;
        assert_eq!((answer.status, result(&answer).1), (200, "pending"), "{kind}");
        let later = send(&app, &format!("evt_{order}"), "payment_intent.succeeded", intent("pi_1", &order)).await;
        assert_eq!(result(&later), ("applied", "paid"));
    }
}

#[tokio::test]
async fn the_events_of_an_intent_and_of_its_session_are_one_payment() {
    let app = TestApp::selling(5).await;
    for intent_first in [true, false] {
        let order = app.ordered().await;
        let (id, payment) = (format!("evt_{intent_first}"), format!("pi_{intent_first}"));
        let mut events = [
            ("payment_intent.succeeded", intent(&payment, &order)),
            ("checkout.session.completed", session(&payment, &order, "paid")),
        ];
        if !intent_first {
            events.reverse();
        }
        let [(first, one), (second, other)] = events;
        assert_eq!(result(&send(&app, &format!("{id}_1"), first, one).await), ("applied", "paid"));
        assert_eq!(result(&send(&app, &format!("{id}_2"), second, other).await), ("duplicate", "paid"));
    }
    assert_eq!(app.stock(1).await, "3 available, 2 sold");
}

#[tokio::test]
async fn an_event_that_stripe_sends_again_is_a_duplicate() {
    let app = TestApp::selling(5).await;
    let order = app.ordered().await;
    let mut again = event("evt_1", "payment_intent.succeeded", &intent("pi_1", &order));
    assert_eq!(result(&app.post(PATH, again.clone()).await), ("applied", "paid"));
    again["pending_webhooks"] = json!(0);
    assert_eq!(result(&app.post(PATH, again).await), ("duplicate", "paid"));
    let second = send(&app, "evt_2", "payment_intent.succeeded", intent("pi_2", &order)).await;
    assert_eq!(result(&second), ("review", "paid"));
    let reused = send(&app, "evt_1", "payment_intent.succeeded", intent("pi_3", &order)).await;
    assert_eq!(reused.refusal(), (422, "idempotency_key_reused"));
}

#[tokio::test]
async fn a_part_of_a_refund_is_for_a_person_and_a_whole_one_gives_the_units_back() {
    let app = TestApp::selling(5).await;
    let order = app.ordered().await;
    send(&app, "evt_1", "payment_intent.succeeded", intent("pi_1", &order)).await;
    assert_eq!(result(&send(&app, "evt_2", "charge.refunded", charge("pi_1", &order, 1000)).await), ("review", "paid"));
    assert_eq!(app.stock(1).await, "4 available, 1 sold");
    let whole = send(&app, "evt_3", "charge.refunded", charge("pi_1", &order, 5000)).await;
    assert_eq!(result(&whole), ("applied", "refunded"));
    assert_eq!(app.stock(1).await, "5 available");
}

#[tokio::test]
async fn a_session_may_name_a_hold_and_pay_it_before_there_is_an_order() {
    let app = TestApp::selling(5).await;
    for field in ["metadata", "client_reference_id"] {
        let hold = app.held().await;
        let mut object = session(field, "", "paid");
        match field {
            "metadata" => object["metadata"] = json!({"hold_id": hold}),
            _ => object["client_reference_id"] = json!(hold),
        }
        let answer = send(&app, &format!("evt_{field}"), "checkout.session.completed", object).await;
        assert_eq!(result(&answer), ("applied", "paid"));
        assert_eq!(app.order(&hold).await.body["status"], "paid");
    }
    let hold = app.held().await;
    let expired = send(&app, "evt_x", "checkout.session.expired", session("pi_x", &hold, "unpaid")).await;
    assert_eq!(result(&expired), ("ignored", ""), "the buyer may begin another session");
    assert_eq!(app.stock(1).await, "2 available, 1 held, 2 sold");
}

#[tokio::test]
async fn amounts_are_in_the_minor_units_of_stripe() {
    let app = TestApp::start();
    for (product, price, code, minor_units) in
        [(1, "500", "JPY", 500), (2, "5.120", "KWD", 5_120), (3, "500", "ISK", 50_000), (4, "10.45", "HUF", 1_045)]
    {
        app.add_product(json!({"id": product, "name": code, "price": price, "currency": code, "total_stock": 2})).await;
        for (amount, expected) in [(minor_units - 1, ("review", "in_review")), (minor_units, ("applied", "paid"))] {
            let hold = app.post("/api/holds", json!({"product_id": product, "quantity": 1})).await.id();
            let mut object = intent(&format!("pi_{hold}"), &app.order(&hold).await.id());
            object["currency"] = json!(code.to_lowercase());
            object["amount_received"] = json!(amount);
            let answer = send(&app, &format!("evt_{hold}"), "payment_intent.succeeded", object).await;
            assert_eq!(result(&answer), expected, "{amount} {code}");
        }
    }
}

#[tokio::test]
async fn money_for_nothing_that_we_know_is_kept_and_what_is_no_money_is_ignored() {
    let app = TestApp::selling(5).await;
    let bare = |change: fn(&mut Value)| {
        let mut object = intent("pi_1", "");
        object["metadata"] = json!({});
        change(&mut object);
        object
    };
    let foreign = |object: &mut Value| object["metadata"] = json!({"order_id": "A-17"});
    for (id, kind, object, outcome) in [
        ("evt_1", "payment_intent.succeeded", bare(|_| ()), "unmatched"),
        ("evt_1", "payment_intent.succeeded", bare(|_| ()), "duplicate"),
        ("evt_2", "payment_intent.succeeded", bare(foreign), "unmatched"),
        ("evt_3", "charge.refunded", charge("pi_3", "", 5000), "unmatched"),
        ("evt_4", "payment_intent.payment_failed", bare(|_| ()), "ignored"),
        ("evt_5", "payment_intent.processing", bare(foreign), "ignored"),
        ("evt_6", "checkout.session.expired", session("pi_1", "", "unpaid"), "ignored"),
        ("evt_7", "customer.created", json!({"id": "cus_1", "object": "customer"}), "ignored"),
        ("evt_8", "a.type.of.next.year", Value::Null, "ignored"),
    ] {
        assert_eq!(result(&send(&app, id, kind, object).await), (outcome, ""), "{id}");
    }
    let kept = [
        // The last event about the payment.
        ("evt_2", "paid 50.00 USD pi_1 A-17"),
        ("evt_3", "refunded 50.00 USD pi_3 "),
    ];
    assert_eq!(unmatched(&app).await, kept.map(|(id, text)| (id.to_owned(), text.to_owned())).into());
}

#[tokio::test]
async fn an_amount_that_cannot_be_understood_is_kept_for_a_person_and_not_applied() {
    let app = TestApp::selling(5).await;
    let order = app.ordered().await;
    for (id, field, value) in [
        ("evt_1", "currency", json!("zzz")),
        ("evt_2", "amount_received", json!(9_007_199_254_740_993_u64)),
        ("evt_3", "amount_received", json!(-5000)),
        ("evt_4", "amount_received", Value::Null),
    ] {
        let mut object = intent("pi_1", &order);
        object[field] = value;
        let answer = send(&app, id, "payment_intent.succeeded", object).await;
        let expected = if id == "evt_1" { ("review", "in_review") } else { ("duplicate", "in_review") };
        assert_eq!(result(&answer), expected, "{id}");
    }
    let list = app.request(Method::GET, "/api/admin/reviews").bearer_auth(ADMIN_TOKEN);
    let review = app.send(list).await.body["data"][0].clone();
    assert!(review["stated_amount"].as_str().unwrap().starts_with("payment_intent.succeeded of 5000"), "{review}");
    assert_eq!((&review["reason"], &review["expected_amount"]), (&json!("amount_mismatch"), &json!("50.00")));
    let good = send(&app, "evt_5", "payment_intent.succeeded", intent("pi_1", &order)).await;
    assert_eq!(result(&good), ("applied", "paid"));
}

#[tokio::test]
async fn what_is_no_event_of_stripe_is_refused() {
    let app = TestApp::selling(1).await;
    let order = app.ordered().await;
    let with = |name: &str, value: Value| {
        let mut event = event("evt_1", "payment_intent.succeeded", &intent("pi_1", &order));
        event[name] = value;
        event
    };
    for (body, pointer) in [
        (json!([]), "/type"),
        (json!("evt_1"), "/type"),
        (with("type", Value::Null), "/type"),
        (with("id", Value::Null), "/id"),
    ] {
        let answer = app.post(PATH, body).await;
        assert_eq!(answer.refusal(), (422, "validation_failed"), "{pointer}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer);
    }
    for body in [with("data", Value::Null), with("data", json!({"object": "pi_1"}))] {
        assert_eq!(result(&app.post(PATH, body).await).1, "", "it is kept for a person");
    }
    let request = app.request(Method::POST, PATH).header("content-type", "application/json").body("{\"id\":");
    assert_eq!(app.send(request).await.refusal(), (400, "malformed_json"));
    assert_eq!(app.get(PATH).await.refusal(), (405, "method_not_allowed"));
    assert_eq!(app.post("/api/payments/webhooks/another", json!({})).await.refusal(), (404, "not_found"));
    assert_eq!(app.stock(1).await, "1 pending");
}

/// Sends a body with these headers.
async fn send_signed(app: &TestApp, body: &str, headers: &[(&str, String)]) -> Answer {
    let mut request = app.request(Method::POST, PATH).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    app.send(request.body(body.to_owned())).await
}

fn now() -> u64 {
    jiff::Timestamp::now().as_second().unsigned_abs()
}

fn signed(secret: &str, at: u64, body: &str) -> Vec<(&'static str, String)> {
    Signer::new(&STRIPE, secret).unwrap().sign("", at, body.to_owned()).headers
}

#[tokio::test]
async fn where_secrets_are_set_only_what_stripe_signed_counts_during_a_rotation_too() {
    let secrets = format!("{SECRET}, {NEW_SECRET}");
    let app = TestApp::start_with(&[("WEBHOOK__STRIPE_SECRETS", &secrets), ("WEBHOOK__ALLOW_UNSIGNED", "false")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 9})).await;
    let order = app.ordered().await;
    let body = event("evt_1", "payment_intent.succeeded", &intent("pi_1", &order)).to_string();
    let header = |secret: &str, at: u64| signed(secret, at, &body).remove(0).1;
    let stripe = |header: String| vec![("stripe-signature", header)];
    let standard = Signer::new(&STANDARD, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let refused = [
        (vec![], "signature_missing"),
        (standard.sign("evt_1", now(), body.clone()).headers, "signature_missing"),
        (stripe("v1=00".to_owned()), "signature_missing"),
        (stripe(header("whsec_a-secret-of-another-endpoint", now())), "signature_invalid"),
        (stripe(header(SECRET, now()).replace("v1=", "v0=")), "signature_invalid"),
        (stripe(format!("{},{}", header(SECRET, now()), "v1=00,".repeat(16))), "signature_invalid"),
        (stripe(header(SECRET, now() - 310)), "timestamp_out_of_tolerance"),
        (stripe(header(SECRET, now() + 310)), "timestamp_out_of_tolerance"),
        (signed(SECRET, now(), &body.replace("succeeded", "canceled")), "signature_invalid"),
    ];
    for (headers, code) in refused {
        let answer = send_signed(&app, &body, &headers).await;
        assert_eq!(answer.refusal(), (401, code), "{headers:?}");
        assert_eq!(answer.body["detail"], "the event is not trusted; the log of the service says why");
    }
    assert_eq!(app.stock(1).await, "8 available, 1 pending");
    let at = now();
    let new = header(NEW_SECRET, at).replace(&format!("t={at},"), "");
    let old_and_new = format!("{},{new}", header("whsec_not-ours-any-more", at));
    for (signature, outcome) in
        [(old_and_new, "applied"), (header(SECRET, now() - 290), "duplicate"), (header(NEW_SECRET, now()), "duplicate")]
    {
        assert_eq!(result(&send_signed(&app, &body, &stripe(signature)).await), (outcome, "paid"));
    }
}

#[tokio::test]
async fn unsigned_events_count_only_when_allowed_and_a_wrong_signature_never() {
    let app = TestApp::start_with(&[("WEBHOOK__STRIPE_SECRETS", SECRET)]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 9})).await;
    let order = app.ordered().await;
    let body = event("evt_1", "payment_intent.succeeded", &intent("pi_1", &order)).to_string();
    let wrong = signed("whsec_a-secret-of-another-endpoint", now(), &body);
    assert_eq!(send_signed(&app, &body, &wrong).await.refusal(), (401, "signature_invalid"));
    assert_eq!(result(&send_signed(&app, &body, &[]).await), ("applied", "paid"));
}
