//! What shops report about their payments: events that come late, twice, first, or without naming their order, amounts with tax,
//! cards that are declined, prices that change. One test for each, and its kind.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp},
    eventually,
};

const STRIPE: &str = "/api/payments/webhooks/stripe";

/// An event of Stripe about an object.
async fn stripe(app: &TestApp, id: &str, kind: &str, object: Value) -> Answer {
    let event =
        json!({"id": id, "object": "event", "created": 1_764_000_000, "type": kind, "data": {"object": object}});
    app.post(STRIPE, event).await
}

fn intent(payment: &str, order: &str, received: u64) -> Value {
    json!({"id": payment, "object": "payment_intent", "amount": 5000, "amount_received": received, "currency": "usd",
        "metadata": {"order_id": order}})
}

fn charge(payment: &str, refunded: u64) -> Value {
    json!({"id": format!("ch_{payment}"), "object": "charge", "amount": 5000, "amount_captured": 5000,
        "amount_refunded": refunded, "refunded": refunded == 5000, "currency": "usd", "payment_intent": payment,
        "metadata": {}})
}

/// The outcome, the status of the order, and the reason of a review.
fn result(answer: &Answer) -> [&str; 3] {
    assert_eq!(answer.status, 200, "{answer:?}");
    [&answer.body["outcome"], &answer.body["order"]["status"], &answer.body["review"]["reason"]]
        .map(|value| value.as_str().unwrap_or(""))
}

async fn reviews(app: &TestApp, status: &str) -> Vec<Value> {
    let path = format!("/api/admin/reviews?status={status}");
    let list = app.send(app.request(Method::GET, &path).bearer_auth(ADMIN_TOKEN)).await;
    list.body["data"].as_array().unwrap().clone()
}

async fn status(app: &TestApp, order: &str) -> String {
    app.get(&format!("/api/orders/{order}")).await.body["status"].as_str().unwrap().to_owned()
}

async fn admin_read(app: &TestApp, path: &str) -> Answer {
    app.send(app.request(Method::GET, path).bearer_auth(ADMIN_TOKEN)).await
}

async fn resolve(app: &TestApp, review: &Value, action: &str) -> Answer {
    let path = format!("/api/admin/reviews/{}/resolve", review["id"].as_str().unwrap());
    app.admin(Method::POST, &path, json!({"action": action, "note": "looked at"})).await
}

async fn shop(terms: Value, units: u64) -> TestApp {
    let app = TestApp::start();
    let mut sale = json!({"id": "drop"});
    sale.as_object_mut().unwrap().extend(terms.as_object().unwrap().clone());
    assert_eq!(app.admin(Method::POST, "/api/admin/sales", sale).await.status, 201);
    app.add_product(json!({"id": 1, "sale": "drop", "name": "Item", "price": "50.00", "total_stock": units})).await;
    app
}

#[tokio::test]
async fn a_refund_that_comes_before_its_payment_leaves_the_order_refunded() {
    let app = TestApp::selling(2).await;
    let order = app.ordered().await;
    let mut refund = charge("pi_1", 5000);
    refund["metadata"] = json!({"order_id": order});
    assert_eq!(result(&stripe(&app, "evt_1", "charge.refunded", refund).await), ["applied", "pending", ""]);
    let paid = stripe(&app, "evt_2", "payment_intent.succeeded", intent("pi_1", &order, 5000)).await;
    assert_eq!(result(&paid), ["applied", "refunded", ""]);
    assert_eq!(app.stock(1).await, "2 available");
    assert!(reviews(&app, "open").await.is_empty());
}

#[tokio::test]
async fn the_end_of_an_old_session_takes_nothing_from_who_pays_in_a_new_one() {
    let app = TestApp::selling(1).await;
    let order = app.ordered().await;
    stripe(&app, "evt_1", "payment_intent.processing", intent("pi_b", &order, 0)).await;
    let ended = stripe(&app, "evt_2", "payment_intent.canceled", intent("pi_a", &order, 0)).await;
    assert_eq!(result(&ended), ["ignored", "pending", ""]);
    assert_eq!(app.hold(1).await.refusal(), (409, "insufficient_stock"));
    let paid = stripe(&app, "evt_3", "payment_intent.succeeded", intent("pi_b", &order, 5000)).await;
    assert_eq!(result(&paid), ["applied", "paid", ""]);
}

#[tokio::test]
async fn where_the_sale_says_so_the_last_payment_that_ends_gives_the_units_back() {
    let app = shop(json!({"on_payment_ended": "release"}), 1).await;
    let order = app.ordered().await;
    for (id, kind, payment, expected) in [
        ("evt_1", "payment_intent.processing", "pi_a", "pending"),
        ("evt_2", "payment_intent.processing", "pi_b", "pending"),
        ("evt_3", "payment_intent.canceled", "pi_a", "pending"),
        ("evt_4", "payment_intent.canceled", "pi_b", "cancelled"),
        ("evt_5", "payment_intent.processing", "pi_c", "pending"),
    ] {
        let answer = stripe(&app, id, kind, intent(payment, &order, 0)).await;
        assert_eq!(result(&answer)[1], expected, "{id}");
    }
    assert_eq!(app.stock(1).await, "1 pending", "a new payment begins, and nobody took the unit meanwhile");
}

#[tokio::test]
async fn a_declined_card_takes_nothing_from_who_takes_another_one() {
    let app = TestApp::selling(1).await;
    let order = app.ordered().await;
    let declined = stripe(&app, "evt_1", "payment_intent.payment_failed", intent("pi_1", &order, 0)).await;
    assert_eq!(result(&declined), ["ignored", "pending", ""]);
    assert_eq!(app.hold(1).await.refusal(), (409, "insufficient_stock"));
    let paid = stripe(&app, "evt_2", "payment_intent.succeeded", intent("pi_1", &order, 5000)).await;
    assert_eq!(result(&paid), ["applied", "paid", ""]);
    let own = app.pay("k", json!({"status": "declined", "order_id": order, "payment_id": "pi_2"})).await;
    assert_eq!(result(&own)[1], "paid");
}

#[tokio::test]
async fn a_refund_that_failed_is_for_a_person_who_learns_which() {
    let app = TestApp::selling(2).await;
    let order = app.ordered().await;
    stripe(&app, "evt_1", "payment_intent.succeeded", intent("pi_1", &order, 5000)).await;
    let refunded = stripe(&app, "evt_2", "charge.refunded", charge("pi_1", 5000)).await;
    assert_eq!(result(&refunded), ["applied", "refunded", ""], "by its payment");
    let refund = json!({"id": "re_1", "object": "refund", "amount": 5000, "currency": "usd", "payment_intent": "pi_1",
        "status": "failed", "metadata": {}});
    let failed = stripe(&app, "evt_3", "refund.failed", refund).await;
    assert_eq!(result(&failed), ["refund_required", "refund_required", "refund_failed"]);
    let open = reviews(&app, "open").await;
    assert_eq!((open.len(), &open[0]["payment_id"], &open[0]["order_id"]), (1, &json!("pi_1"), &json!(order)));
    let again = json!({"id": "re_2", "object": "refund", "amount": 5000, "currency": "usd", "payment_intent": "pi_1",
        "status": "succeeded", "metadata": {}});
    assert_eq!(result(&stripe(&app, "evt_4", "refund.created", again).await), ["applied", "refunded", ""]);
    assert!(reviews(&app, "open").await.is_empty());
}

#[tokio::test]
async fn events_that_name_no_order_find_it_by_their_payment() {
    let app = TestApp::selling(2).await;
    let order = app.ordered().await;
    let mut bare = intent("pi_1", "", 5000);
    bare["metadata"] = json!({});
    assert_eq!(result(&stripe(&app, "evt_1", "payment_intent.succeeded", bare).await)[0], "unmatched");
    assert_eq!(reviews(&app, "open").await.len(), 1);
    let session = json!({"id": "cs_1", "object": "checkout.session", "amount_subtotal": 5000, "amount_total": 5000,
        "currency": "usd", "payment_status": "paid", "payment_intent": "pi_1", "client_reference_id": order, "metadata": {}});
    let named = stripe(&app, "evt_2", "checkout.session.completed", session).await;
    assert_eq!(result(&named)[1], "paid");
    assert!(reviews(&app, "open").await.is_empty(), "what was heard before is settled");
    let note = reviews(&app, "resolved").await[0]["note"].as_str().unwrap().to_owned();
    assert_eq!(note, format!("a later event named {order}"));
    let refunded = stripe(&app, "evt_3", "charge.refunded", charge("pi_1", 5000)).await;
    assert_eq!(result(&refunded), ["applied", "refunded", ""]);
    let found = admin_read(&app, "/api/admin/payments/pi_1").await;
    assert_eq!(
        (&found.body["orders"][0]["id"], &found.body["orders"][0]["status"]),
        (&json!(order), &json!("refunded"))
    );
    let payment = &found.body["orders"][0]["payments"][0];
    assert_eq!((&payment["captured_amount"], &payment["refunded_amount"]), (&json!("50.00"), &json!("50.00")));
    assert_eq!(found.body["reviews"].as_array().unwrap().len(), 1);
    assert_eq!(admin_read(&app, "/api/admin/payments/pi_9").await.refusal(), (404, "payment_not_found"));
}

#[tokio::test]
async fn a_refund_that_was_kept_before_anybody_knew_its_order_counts_too() {
    let app = TestApp::selling(2).await;
    let order = app.ordered().await;
    stripe(&app, "evt_1", "charge.refunded", charge("pi_1", 5000)).await;
    let paid = stripe(&app, "evt_2", "payment_intent.succeeded", intent("pi_1", &order, 5000)).await;
    assert_eq!(paid.status, 200);
    assert_eq!(status(&app, &order).await, "refunded");
    assert!(reviews(&app, "open").await.is_empty());
}

#[tokio::test]
async fn a_payment_that_names_two_orders_leads_to_neither() {
    let app = TestApp::selling(5).await;
    let (one, other) = (app.ordered().await, app.ordered().await);
    for order in [&one, &other] {
        let paid = app.pay(order, json!({"status": "paid", "order_id": order, "payment_id": "cash"})).await;
        assert_eq!(result(&paid)[1], "paid");
    }
    let refunded = app.pay("r", json!({"status": "refunded", "payment_id": "cash", "amount": "50.00"})).await;
    assert_eq!(result(&refunded)[0], "unmatched", "nobody can know whose money came back");
}

#[tokio::test]
async fn tax_and_shipping_come_on_top() {
    for (rule, amount, expected) in [
        ("at_least", 5_950, ["applied", "paid", ""]),
        ("exact", 5_950, ["review", "in_review", "amount_mismatch"]),
        ("at_least", 4_000, ["review", "in_review", "amount_mismatch"]),
        ("exact", 4_000, ["review", "in_review", "amount_mismatch"]),
    ] {
        let app = shop(json!({"payment_amount": rule}), 1).await;
        let order = app.ordered().await;
        let paid = stripe(&app, "evt_1", "payment_intent.succeeded", intent("pi_1", &order, amount)).await;
        assert_eq!(result(&paid), expected, "{rule} {amount}");
        assert_eq!(app.hold(1).await.refusal(), (409, "insufficient_stock"), "the units are kept");
        let session = json!({"id": "cs_1", "object": "checkout.session", "amount_subtotal": 5000, "amount_total": amount,
            "total_details": {"amount_tax": amount - 5000.min(amount)}, "currency": "usd", "payment_status": "paid",
            "payment_intent": "pi_1", "metadata": {"order_id": order}});
        let named = stripe(&app, "evt_2", "checkout.session.completed", session).await;
        if amount > 5000 {
            assert_eq!(result(&named)[1], "paid", "the part for the goods fits: {rule}");
            assert!(reviews(&app, "open").await.is_empty());
        }
    }
}

#[tokio::test]
async fn money_that_does_not_fit_keeps_the_units_until_a_person_decides() {
    let app = shop(json!({"payment_seconds": 1, "payment_seconds_max": 1, "review_seconds": 3600}), 4).await;
    let pay = async |payment: &str| {
        let order = app.ordered().await;
        let event = json!({"status": "paid", "order_id": order, "payment_id": payment, "amount": "40.00"});
        assert_eq!(result(&app.pay(payment, event).await), ["review", "in_review", "amount_mismatch"]);
        order
    };
    let (accepted, refunded, dismissed) = (pay("pi_a").await, pay("pi_r").await, pay("pi_d").await);
    let cancel = app.post(&format!("/api/orders/{accepted}/cancel"), json!({})).await;
    assert_eq!(cancel.refusal(), (409, "order_not_cancellable"));
    let unpaid = app.ordered().await;
    eventually("an order that was made after them has lapsed", async || status(&app, &unpaid).await == "expired").await;
    assert_eq!(
        app.stock(1).await,
        "1 available, 3 pending",
        "its time to pay is over, and its time to be looked at is not"
    );
    let open = reviews(&app, "open").await;
    let review = |payment: &str| open.iter().find(|review| review["payment_id"] == payment).unwrap();
    assert_eq!((&review("pi_a")["expected_amount"], &review("pi_a")["amount"]), (&json!("50.00"), &json!("40.00")));
    for (payment, action) in [("pi_a", "accept"), ("pi_r", "refund"), ("pi_d", "dismiss")] {
        let resolved = resolve(&app, review(payment), action).await;
        assert_eq!((resolved.status, &resolved.body["action"]), (200, &json!(action)));
    }
    let ends = [status(&app, &accepted).await, status(&app, &refunded).await, status(&app, &dismissed).await];
    assert_eq!(ends, ["paid", "refund_required", "in_review"]);
    assert_eq!(app.stock(1).await, "2 available, 1 pending, 1 sold");
    let back = app.pay("back", json!({"status": "refunded", "payment_id": "pi_r", "amount": "40.00"})).await;
    assert_eq!(result(&back), ["applied", "refunded", ""]);
}

#[tokio::test]
async fn who_is_not_decided_about_in_time_is_refunded() {
    let app = shop(json!({"review_seconds": 1}), 1).await;
    app.admin(Method::PATCH, "/api/admin/sales/drop", json!({"payment_seconds": 1, "payment_seconds_max": 1})).await;
    let order = app.ordered().await;
    app.pay("a", json!({"status": "paid", "order_id": order, "payment_id": "pi_1", "amount": "40.00"})).await;
    eventually("the unit is back", async || app.stock(1).await == "1 available").await;
    assert_eq!(status(&app, &order).await, "refund_required");
    let open = reviews(&app, "open").await;
    assert_eq!((open.len(), &open[0]["reason"]), (1, &json!("amount_mismatch")));
    let other = app.held().await;
    assert_eq!(resolve(&app, &open[0], "accept").await.refusal(), (409, "units_gone"));
    app.delete(&format!("/api/holds/{other}")).await;
    assert_eq!(resolve(&app, &open[0], "accept").await.status, 200);
    assert_eq!(status(&app, &order).await, "paid");
}

#[tokio::test]
async fn a_second_payment_is_closed_by_its_refund_and_cannot_be_accepted() {
    let app = TestApp::selling(2).await;
    let order = app.ordered().await;
    let event = |status: &str, payment: &str| json!({"status": status, "order_id": order, "payment_id": payment});
    app.pay("a", event("paid", "pi_1")).await;
    assert_eq!(result(&app.pay("b", event("paid", "pi_2")).await), ["review", "paid", "duplicate_payment"]);
    let open = reviews(&app, "open").await;
    assert_eq!(resolve(&app, &open[0], "accept").await.refusal(), (409, "payment_not_acceptable"));
    assert_eq!(result(&app.pay("c", event("refunded", "pi_2")).await), ["applied", "paid", ""]);
    assert!(reviews(&app, "open").await.is_empty());
}

#[tokio::test]
async fn parts_of_a_refund_end_in_a_refunded_order_with_nothing_open() {
    let app = TestApp::selling(2).await;
    let order = app.ordered().await;
    stripe(&app, "evt_1", "payment_intent.succeeded", intent("pi_1", &order, 5000)).await;
    for (id, sum, expected) in [
        ("evt_2", 1_000, ["review", "paid", "partial_refund"]),
        ("evt_3", 3_000, ["review", "paid", "partial_refund"]),
        ("evt_4", 5_000, ["applied", "refunded", ""]),
    ] {
        assert_eq!(result(&stripe(&app, id, "charge.refunded", charge("pi_1", sum)).await), expected);
    }
    assert!(reviews(&app, "open").await.is_empty());
    assert_eq!(reviews(&app, "resolved").await.len(), 1, "one entry for all parts");
}

#[tokio::test]
async fn a_dispute_waits_for_a_person_until_it_is_won() {
    let app = TestApp::selling(2).await;
    let order = app.ordered().await;
    app.pay("a", json!({"status": "paid", "order_id": order, "payment_id": "pi_1"})).await;
    let dispute = |status: &str| {
        json!({"id": "dp_1", "object": "dispute", "amount": 5000, "currency": "usd", "payment_intent": "pi_1",
            "status": status, "metadata": {}})
    };
    let opened = stripe(&app, "evt_1", "charge.dispute.created", dispute("needs_response")).await;
    assert_eq!(result(&opened), ["review", "paid", "disputed"]);
    let won = stripe(&app, "evt_2", "charge.dispute.closed", dispute("won")).await;
    assert_eq!(result(&won), ["applied", "paid", ""]);
    assert!(reviews(&app, "open").await.is_empty());
    let lost = app.pay("l", json!({"status": "dispute_lost", "payment_id": "pi_1", "sent_at": 1_900_000_000})).await;
    assert_eq!(result(&lost), ["review", "paid", "dispute_lost"]);
}

#[tokio::test]
async fn one_key_may_name_all_states_of_a_payment() {
    let app = TestApp::selling(2).await;
    let order = app.ordered().await;
    let event = |status: &str| json!({"status": status, "order_id": order, "payment_id": "txn_9", "amount": "50.00"});
    assert_eq!(result(&app.pay("txn_9", event("processing")).await)[1], "pending");
    assert_eq!(result(&app.pay("txn_9", event("PAID")).await), ["applied", "paid", ""]);
    assert_eq!(result(&app.pay("txn_9", event("completed")).await), ["duplicate", "paid", ""]);
    let other = json!({"status": "paid", "order_id": order, "payment_id": "txn_9", "amount": "49.00"});
    assert_eq!(app.pay("txn_9", other).await.refusal(), (422, "idempotency_key_reused"));
}

#[tokio::test]
async fn a_text_that_is_cut_in_the_middle_of_a_character_loses_no_money() {
    let app = TestApp::selling(2).await;
    let order = app.ordered().await;
    let body = format!(
        r#"{{"id":"evt_1","object":"event","type":"payment_intent.succeeded","data":{{"object":{{"id":"pi_1",
        "object":"payment_intent","amount":5000,"amount_received":5000,"currency":"usd","description":"cut \ud83d",
        "metadata":{{"order_id":"{order}"}}}}}}}}"#
    );
    let request = app.request(Method::POST, STRIPE).header("content-type", "application/json").body(body);
    assert_eq!(result(&app.send(request).await), ["applied", "paid", ""]);
}

#[tokio::test]
async fn a_hold_is_paid_at_the_price_that_it_was_made_at() {
    let app = TestApp::selling(5).await;
    let (hold, later) = (app.held().await, app.held().await);
    app.admin(Method::PATCH, "/api/admin/products/1", json!({"price": "60.00"})).await;
    let paid = app.pay("a", json!({"status": "paid", "hold_id": hold, "amount": "50.00", "currency": "USD"})).await;
    assert_eq!(result(&paid), ["applied", "paid", ""]);
    assert_eq!(paid.body["order"]["total_amount"], "50.00");
    assert_eq!(app.order(&later).await.body["total_amount"], "50.00");
    eventually("holds of the next second cost more", async || {
        let order = app.order(&app.held().await).await;
        app.post(&format!("/api/orders/{}/cancel", order.id()), json!({})).await;
        order.body["total_amount"] == "60.00"
    })
    .await;
}

#[tokio::test]
async fn nothing_is_waited_for_where_nothing_is_to_be_paid() {
    let app = TestApp::start();
    app.add_product(json!({"id": 1, "name": "Ticket", "price": "0.00", "total_stock": 2})).await;
    let order = app.order(&app.held().await).await;
    assert_eq!((order.status, &order.body["status"]), (201, &json!("paid")));
    assert!(order.body["paid_at"].is_string());
    assert_eq!(app.stock(1).await, "1 available, 1 sold");
    let nothing = app.pay("a", json!({"status": "paid", "order_id": order.id(), "payment_id": "pi_1"})).await;
    assert_eq!(result(&nothing)[1..], ["paid", ""]);
    let money =
        app.pay("b", json!({"status": "paid", "order_id": order.id(), "payment_id": "pi_2", "amount": "5"})).await;
    assert_eq!(result(&money), ["review", "paid", "duplicate_payment"]);
}

#[tokio::test]
async fn what_a_person_decided_is_never_overwritten() {
    let app = TestApp::selling(2).await;
    let order = app.ordered().await;
    let event = |amount: &str| json!({"status": "paid", "order_id": order, "payment_id": "pi_1", "amount": amount});
    app.pay("a", event("40.00")).await;
    let first = reviews(&app, "open").await.remove(0);
    assert_eq!(resolve(&app, &first, "dismiss").await.status, 200);
    assert_eq!(result(&app.pay("b", event("40.00")).await), ["duplicate", "in_review", ""]);
    assert!(reviews(&app, "open").await.is_empty(), "nothing is new");
    assert_eq!(result(&app.pay("c", event("45.00")).await), ["review", "in_review", "amount_mismatch"]);
    let next = reviews(&app, "open").await.remove(0);
    assert_eq!((&next["previous_id"], &next["amount"]), (&first["id"], &json!("45.00")));
    let kept = admin_read(&app, &format!("/api/admin/reviews/{}", first["id"].as_str().unwrap())).await.body;
    assert_eq!(
        (&kept["note"], &kept["amount"], &kept["status"]),
        (&json!("looked at"), &json!("40.00"), &json!("resolved"))
    );
}

#[tokio::test]
async fn money_of_other_applications_on_the_account_may_be_ignored() {
    let app = TestApp::start_with(&[("WEBHOOK__FOREIGN", "ignore")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 2})).await;
    let foreign = stripe(&app, "evt_1", "payment_intent.succeeded", intent("pi_x", "A-17", 700)).await;
    assert_eq!(result(&foreign), ["ignored", "", ""]);
    assert!(reviews(&app, "open").await.is_empty());
    let typo = stripe(&app, "evt_2", "payment_intent.succeeded", intent("pi_y", "order_p1_x", 700)).await;
    assert_eq!(result(&typo)[0], "unmatched", "an id of our form is no other application's");
    // It is kept all the same, for an event that names the order.
    let order = app.ordered().await;
    let mut bare = intent("pi_1", "", 5000);
    bare["metadata"] = json!({});
    stripe(&app, "evt_3", "payment_intent.succeeded", bare).await;
    let named = app.pay("k", json!({"status": "processing", "order_id": order, "payment_id": "pi_1"})).await;
    assert_eq!(named.status, 200);
    assert_eq!(status(&app, &order).await, "paid");
}
