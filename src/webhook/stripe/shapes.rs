//! Events as Stripe sends them, in the shapes of several API versions.

use serde_json::{Value, json};

use super::{
    super::{Sample, SampleKind},
    *,
};
use crate::domain::{
    money::{Amount, Currency},
    payment::StatedAmount,
};

mod any_json;
mod thin;

const SENT: u64 = 1_764_000_000;

fn reading(kind: &str, object: &Value) -> Reading {
    let event = json!({
        "id": "evt_1", "object": "event", "created": SENT, "livemode": false, "type": kind, "data": {"object": object},
    });
    read(event.to_string().as_bytes()).unwrap()
}

fn event(kind: &str, object: &Value) -> PaymentEvent {
    match reading(kind, object) {
        Reading::Event(event) => *event,
        other => panic!("{kind}: {other:?}"),
    }
}

fn dollars(number: u64) -> StatedAmount {
    StatedAmount::Is(Amount::from_ten_thousandths(number * 10_000))
}

fn target_of(id: &str) -> Option<Target> {
    match id {
        "" => None,
        id if id.starts_with(HoldKind::PREFIX) => Some(Target::Hold(id.to_owned())),
        id => Some(Target::Order(id.to_owned())),
    }
}

/// Status, payment, refund and amount of an event.
fn summary(event: &PaymentEvent) -> (PaymentStatus, &str, Option<&str>, &StatedAmount) {
    let payment = event.payment.as_ref().expect("no payment of Stripe is nameless").as_str();
    (event.status, payment, event.refund.as_ref().map(RefundId::as_str), &event.amount)
}

/// An object with some fields changed.
fn with(object: &Value, changed: Value) -> Value {
    let mut object = object.clone();
    let Value::Object(changed) = changed else { panic!("{changed}") };
    for (name, value) in changed {
        object[name] = value;
    }
    object
}

/// Of API version 2022-08-01, where an intent contains its charges.
fn old_intent() -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "amount": 5000, "amount_capturable": 0, "amount_details": {"tip": {}},
        "amount_received": 5000, "capture_method": "automatic", "currency": "usd", "status": "succeeded",
        "charges": {"object": "list", "data": [old_charge()], "has_more": false, "total_count": 1},
        "metadata": {"order_id": "order_p1_x"}, "created": SENT,
    })
}

/// Of API version 2025-03-31.basil.
fn new_intent() -> Value {
    let intent = with(&old_intent(), json!({"latest_charge": "ch_1", "capture_method": "automatic_async"}));
    let mut intent =
        with(&intent, json!({"automatic_payment_methods": {"enabled": true, "allow_redirects": "always"}}));
    intent.as_object_mut().unwrap().remove("charges");
    intent
}

/// Of API version 2022-08-01, where a charge contains its refunds.
fn old_charge() -> Value {
    json!({
        "id": "ch_1", "object": "charge", "amount": 5000, "amount_captured": 5000, "amount_refunded": 0, "captured": true,
        "currency": "usd", "disputed": false, "invoice": null, "metadata": {}, "paid": true, "payment_intent": "pi_1",
        "refunded": false, "refunds": {"object": "list", "data": [], "has_more": false, "total_count": 0},
        "status": "succeeded",
    })
}

fn refund(status: &str) -> Value {
    json!({
        "id": "re_1", "object": "refund", "amount": 1000, "balance_transaction": "txn_1", "charge": "ch_1",
        "created": SENT, "currency": "usd", "destination_details": {"type": "card"}, "metadata": {},
        "payment_intent": "pi_1", "reason": "requested_by_customer", "status": status,
    })
}

fn dispute(status: &str) -> Value {
    json!({
        "id": "dp_1", "object": "dispute", "amount": 5000, "balance_transactions": [], "charge": "ch_1",
        "currency": "usd", "evidence": {}, "is_charge_refundable": false, "metadata": {}, "payment_intent": "pi_1",
        "reason": "fraudulent", "status": status,
    })
}

fn session(payment_status: &str) -> Value {
    json!({
        "id": "cs_1", "object": "checkout.session", "amount_subtotal": 5000, "amount_total": 5950, "currency": "usd",
        "client_reference_id": "order_p1_x", "metadata": {}, "mode": "payment", "payment_intent": "pi_1",
        "payment_status": payment_status, "status": "complete", "url": null,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 950},
    })
}

#[test]
fn the_events_of_an_intent_say_how_far_its_money_is() {
    for intent in [old_intent(), new_intent()] {
        let paid = event("payment_intent.succeeded", &intent);
        assert_eq!(summary(&paid), (PaymentStatus::Paid, "pi_1", None, &dollars(50)));
        assert_eq!((paid.target, paid.currency), (target_of("order_p1_x"), Currency::parse("USD")));
        assert_eq!((paid.goods, paid.sent_seconds), (None, Some(SENT)));
        let part = event("payment_intent.succeeded", &with(&intent, json!({"amount_received": 4000})));
        assert_eq!(part.amount, dollars(40), "what was captured, not what was authorised");
        let capturable = json!({"status": "requires_capture", "amount_capturable": 5000, "amount_received": 0});
        for (kind, changed, status) in [
            ("payment_intent.processing", json!({"status": "processing"}), PaymentStatus::Processing),
            ("payment_intent.amount_capturable_updated", capturable, PaymentStatus::Processing),
            ("payment_intent.partially_funded", json!({"status": "requires_action"}), PaymentStatus::Processing),
            ("payment_intent.payment_failed", json!({"status": "requires_payment_method"}), PaymentStatus::Failed),
            ("payment_intent.canceled", json!({"status": "canceled"}), PaymentStatus::Cancelled),
        ] {
            assert_eq!(summary(&event(kind, &with(&intent, changed))), (status, "pi_1", None, &dollars(50)), "{kind}");
        }
        for kind in ["payment_intent.created", "payment_intent.requires_action"] {
            assert_eq!(reading(kind, &intent), Reading::Irrelevant);
        }
    }
}

#[test]
fn a_session_is_about_its_intent_or_else_a_payment_of_its_own() {
    for (kind, payment_status, status) in [
        ("checkout.session.completed", "paid", PaymentStatus::Paid),
        ("checkout.session.completed", "unpaid", PaymentStatus::Processing),
        ("checkout.session.async_payment_succeeded", "paid", PaymentStatus::Paid),
        ("checkout.session.async_payment_failed", "unpaid", PaymentStatus::Failed),
        ("checkout.session.expired", "unpaid", PaymentStatus::Cancelled),
    ] {
        let object = session(payment_status);
        let event_of = |payment: Value| event(kind, &with(&object, json!({"payment_intent": payment})));
        for (payment, id) in [(json!("pi_1"), "pi_1"), (json!({"id": "pi_1"}), "pi_1"), (Value::Null, "cs_1")] {
            assert_eq!(summary(&event_of(payment)).1, id);
        }
        let event = event_of(json!("pi_1"));
        let expected = StatedAmount::Is(Amount::from_ten_thousandths(595_000));
        assert_eq!((event.status, event.amount, event.target), (status, expected, target_of("order_p1_x")), "{kind}");
    }
    assert_eq!(reading("checkout.session.completed", &session("no_payment_required")), Reading::Irrelevant);
    let unclear = event("checkout.session.completed", &session("of next year"));
    let kept = "checkout.session.completed with the status \"of next year\"";
    assert_eq!((unclear.status, unclear.amount), (PaymentStatus::Paid, StatedAmount::NotUnderstood(kept.to_owned())));
}

#[test]
fn the_goods_are_what_the_shop_priced() {
    let goods = |changed: Value| event("checkout.session.completed", &with(&session("paid"), changed)).goods;
    let of =
        |number: u64, code: &str| Some((Amount::from_ten_thousandths(number * 10_000), Currency::parse(code).unwrap()));
    assert_eq!(goods(json!({})), of(50, "USD"), "the tax comes on top");
    assert_eq!(goods(json!({"total_details": {"amount_discount": 1000, "amount_tax": 0}})), of(40, "USD"));
    assert_eq!(goods(json!({"total_details": null})), of(50, "USD"));
    assert_eq!(goods(json!({"amount_subtotal": null})), None);
    assert_eq!(goods(json!({"total_details": {"amount_discount": 9000}})), None);
    // Adaptive Pricing until 2025-03-31: the session is in the buyer's currency.
    let conversion =
        json!({"amount_subtotal": 5000, "amount_total": 5000, "fx_rate": "0.92", "source_currency": "usd"});
    let converted =
        json!({"currency": "eur", "amount_subtotal": 4600, "amount_total": 4600, "currency_conversion": conversion});
    assert_eq!(goods(converted.clone()), of(50, "USD"));
    assert_eq!(
        goods(with(&converted, json!({"total_details": {"amount_discount": 460}}))),
        None,
        "in another currency"
    );
    // And since then: it is in the shop's.
    let presentment = json!({"currency_conversion": null,
        "presentment_details": {"presentment_amount": 5400, "presentment_currency": "eur"}});
    assert_eq!(goods(presentment), of(50, "USD"));

    let goods = |details: Value| {
        let object = with(&new_intent(), json!({"amount": 5000, "amount_details": details}));
        event("payment_intent.succeeded", &object).goods
    };
    assert_eq!(goods(json!({"shipping": {"amount": 500}, "tax": {"total_tax_amount": 1000}})), of(35, "USD"));
    assert_eq!(goods(json!({"tip": {"amount": 1000}, "discount_amount": 700})), of(40, "USD"));
    assert_eq!((goods(json!({"tip": {}, "tax": null})), goods(Value::Null)), (None, None));
    assert_eq!(goods(json!({"tax": {"total_tax_amount": 9000}})), None);
    assert_eq!(goods(json!({"tax": {"total_tax_amount": 1000}, "error": {"code": "mismatch"}})), None);
}

#[test]
fn charge_refunded_is_the_sum_of_all_refunds() {
    let one = json!({"object": "list", "data": [refund("succeeded")], "has_more": false, "total_count": 1});
    let two = json!({"object": "list", "data": [refund("succeeded"), refund("succeeded")], "has_more": false});
    let mut new = old_charge();
    new.as_object_mut().unwrap().remove("refunds");
    for (charge, refunds) in [(old_charge(), Some([one, two])), (new, None)] {
        for (at, back) in [1000, 2000].into_iter().enumerate() {
            let mut object = with(&charge, json!({"amount_refunded": back}));
            if let Some(refunds) = &refunds {
                object["refunds"] = refunds[at].clone();
            }
            let event = event("charge.refunded", &object);
            assert_eq!(summary(&event), (PaymentStatus::Refunded, "pi_1", None, &dollars(back / 100)));
            assert_eq!((event.target, event.sent_seconds), (None, Some(SENT)));
        }
    }
}

#[test]
fn a_whole_refund_is_what_was_captured_and_a_part_is_not() {
    let refund = |refunded: bool, captured: Value, back: u64| {
        let changed = json!({"payment_intent": {"id": "pi_1", "object": "payment_intent"}, "amount_captured": captured,
            "amount_refunded": back, "refunded": refunded});
        event("charge.refunded", &with(&old_charge(), changed))
    };
    assert_eq!(refund(true, json!(5_000), 5_000).amount, dollars(50));
    assert_eq!(refund(true, Value::Null, 5_000).amount, dollars(50));
    assert_eq!(refund(true, json!(4_000), 5_000).amount, dollars(40), "10 were never captured");
    assert_eq!(refund(false, json!(5_000), 1_000).amount, dollars(10));
    let unclear = refund(false, json!(2_500), 2_500);
    assert_eq!(unclear.amount, StatedAmount::NotUnderstood("charge.refunded of null USD".to_owned()));
    assert_eq!(unclear.payment, PaymentId::parse("pi_1"));
}

#[test]
fn an_event_of_one_refund_says_which_and_whether_it_failed() {
    for kind in ["refund.created", "refund.updated", "charge.refund.updated"] {
        for (word, status) in [
            ("succeeded", PaymentStatus::Refunded),
            ("pending", PaymentStatus::Refunded),
            ("requires_action", PaymentStatus::Refunded),
            ("failed", PaymentStatus::RefundFailed),
            ("canceled", PaymentStatus::RefundFailed),
        ] {
            assert_eq!(summary(&event(kind, &refund(word))), (status, "pi_1", Some("re_1"), &dollars(10)));
        }
        let oldest = event(kind, &with(&refund(""), json!({"status": null})));
        assert_eq!(summary(&oldest), (PaymentStatus::Refunded, "pi_1", Some("re_1"), &dollars(10)));
        let unclear = StatedAmount::NotUnderstood(format!("{kind} with the status \"of next year\""));
        assert_eq!(event(kind, &refund("of next year")).amount, unclear);
    }
    for word in [json!("failed"), Value::Null] {
        let failed = event("refund.failed", &with(&refund(""), json!({"status": word})));
        assert_eq!(summary(&failed), (PaymentStatus::RefundFailed, "pi_1", Some("re_1"), &dollars(10)));
    }
}

#[test]
fn a_refund_or_dispute_without_an_intent_is_of_its_charge() {
    let expanded =
        json!({"id": "ch_1", "object": "charge", "payment_intent": null, "metadata": {"order_id": "order_p1_x"}});
    let of_intent = with(&expanded, json!({"payment_intent": "pi_2"}));
    for (kind, object) in
        [("refund.created", refund("succeeded")), ("charge.dispute.created", dispute("needs_response"))]
    {
        for (charge, payment, target) in [
            (json!("ch_1"), "ch_1", ""),
            (expanded.clone(), "ch_1", "order_p1_x"),
            (of_intent.clone(), "pi_2", "order_p1_x"),
        ] {
            let event = event(kind, &with(&object, json!({"payment_intent": null, "charge": charge})));
            assert_eq!((summary(&event).1, &event.target), (payment, &target_of(target)), "{kind}");
        }
    }
}

#[test]
fn a_dispute_opens_and_is_won_or_lost() {
    let (open, won, lost) = (PaymentStatus::Disputed, PaymentStatus::DisputeWon, PaymentStatus::DisputeLost);
    for (kind, word, status) in [
        ("charge.dispute.created", "needs_response", open),
        ("charge.dispute.created", "warning_needs_response", open),
        ("charge.dispute.funds_withdrawn", "needs_response", open),
        ("charge.dispute.funds_withdrawn", "lost", lost),
        ("charge.dispute.funds_reinstated", "under_review", open),
        ("charge.dispute.funds_reinstated", "won", won),
        ("charge.dispute.closed", "won", won),
        ("charge.dispute.closed", "warning_closed", won),
        ("charge.dispute.closed", "prevented", won),
        ("charge.dispute.closed", "lost", lost),
    ] {
        let event = event(kind, &dispute(word));
        assert_eq!(summary(&event), (status, "pi_1", None, &dollars(50)), "{kind} {word}");
        assert_eq!(event.sent_seconds, Some(SENT), "disputes are ordered by it");
    }
    assert_eq!(reading("charge.dispute.updated", &dispute("under_review")), Reading::Irrelevant);
    let unclear = event("charge.dispute.closed", &dispute("of next year"));
    assert_eq!((unclear.status, unclear.amount.known()), (PaymentStatus::Disputed, None));
}

#[test]
fn a_charge_is_a_payment_only_where_no_intent_says_the_same() {
    for kind in
        ["charge.succeeded", "charge.captured", "charge.pending", "charge.failed", "charge.expired", "charge.updated"]
    {
        assert_eq!(reading(kind, &old_charge()), Reading::Irrelevant, "{kind}");
    }
    let legacy = with(&old_charge(), json!({"payment_intent": null, "metadata": {"order_id": "order_p1_x"}}));
    let authorised = with(&legacy, json!({"captured": false, "amount_captured": 0}));
    let part = with(&legacy, json!({"amount_captured": 4000, "amount_refunded": 1000}));
    let mut oldest = legacy.clone();
    oldest.as_object_mut().unwrap().retain(|name, _| name != "payment_intent" && name != "amount_captured");
    for (kind, object, status, amount) in [
        ("charge.succeeded", &legacy, PaymentStatus::Paid, dollars(50)),
        ("charge.succeeded", &oldest, PaymentStatus::Paid, dollars(50)),
        ("charge.succeeded", &authorised, PaymentStatus::Processing, dollars(50)),
        ("charge.captured", &part, PaymentStatus::Paid, dollars(40)),
        ("charge.pending", &legacy, PaymentStatus::Processing, dollars(50)),
        ("charge.failed", &legacy, PaymentStatus::Failed, dollars(50)),
        ("charge.expired", &authorised, PaymentStatus::Cancelled, dollars(50)),
    ] {
        let event = event(kind, object);
        assert_eq!(summary(&event), (status, "ch_1", None, &amount), "{kind}");
        assert_eq!(event.target, target_of("order_p1_x"));
    }
}

#[test]
fn a_type_about_payments_that_no_row_knows_is_handed_back_and_any_other_is_ignored() {
    for kind in ["payment_intent.teleported", "charge.dispute.appealed", "refund.bounced", "checkout.session.paused"] {
        assert_eq!(reading(kind, &old_intent()), Reading::UnknownStatus(kind.to_owned()));
    }
    for kind in
        ["customer.created", "invoice.paid", "payout.failed", "setup_intent.succeeded", "v2.core.event", "charges"]
    {
        assert_eq!(reading(kind, &old_intent()), Reading::Irrelevant, "{kind}");
    }
}

#[test]
fn money_that_cannot_be_understood_is_kept_and_never_applied() {
    for (field, value, doubt) in [
        ("currency", json!("zzz"), "5000 ZZZ"),
        ("amount_received", json!(u64::MAX), "18446744073709551615 USD"),
        ("amount_received", json!(-1), "-1 USD"),
        ("amount_received", json!("5000"), "\"5000\" USD"),
        ("amount_received", Value::Null, "null USD"),
        ("currency", Value::Null, "5000 "),
    ] {
        let event = event("payment_intent.succeeded", &with(&old_intent(), json!({field: value})));
        let amount = StatedAmount::NotUnderstood(format!("payment_intent.succeeded of {doubt}"));
        assert_eq!(summary(&event), (PaymentStatus::Paid, "pi_1", None, &amount));
        assert_eq!((event.target, event.currency), (target_of("order_p1_x"), None));
    }
    for kind in
        ["payment_intent.succeeded", "charge.refunded", "refund.failed", "charge.dispute.closed", "charge.succeeded"]
    {
        for object in [Value::Null, json!("pi_1"), json!([1])] {
            let event = event(kind, &object);
            assert_eq!((event.amount.known(), summary(&event).1, &event.target), (None, "evt_1", &None), "{kind}");
        }
    }
    assert_eq!(reading("payment_intent.canceled", &Value::Null), Reading::Irrelevant);
}

#[test]
fn the_order_is_the_first_id_of_ours_and_a_foreign_one_is_kept_for_a_person() {
    let failed = |object: Value| event("payment_intent.payment_failed", &with(&object, json!({"id": "pi_1"}))).target;
    let hold = target_of("hold_p1_x");
    let all = json!({"metadata": {"order_id": "A-17", "hold_id": " hold_p1_x "}, "client_reference_id": "order_p1_y"});
    assert_eq!(failed(all), hold);
    assert_eq!(failed(json!({"metadata": null, "client_reference_id": "order_p1_y"})), target_of("order_p1_y"));
    assert_eq!(failed(json!({"payment_intent": {"id": "pi_1", "metadata": {"hold_id": "hold_p1_x"}}})), hold);
    assert_eq!(failed(json!({"metadata": {"order_id": "A-17"}})), target_of("A-17"));
    assert_eq!(failed(json!({"metadata": {"order_id": "", "cart": "7"}, "client_reference_id": null})), None);
}

#[test]
fn only_a_body_without_id_or_type_is_refused() {
    let pointer_of = |body: Value| match read(body.to_string().as_bytes()) {
        Err(EventError::Field { pointer, .. }) => pointer,
        other => panic!("{body}: {other:?}"),
    };
    for body in [json!([]), json!("evt_1"), json!({"id": "evt_1"}), json!({"id": "evt_1", "type": " "})] {
        assert_eq!(pointer_of(body), "/type");
    }
    for id in [Value::Null, json!(""), json!(true)] {
        assert_eq!(pointer_of(json!({"id": id, "type": "payment_intent.succeeded"})), "/id");
    }
    let odd = json!({"id": "an id", "type": "payment_intent.succeeded"});
    assert!(
        matches!(read(odd.to_string().as_bytes()), Ok(Reading::Event(event)) if event.key.as_str().starts_with("odd-"))
    );
    assert_eq!(read(b"{\"id\":"), Err(EventError::NotJson));
    let surrogate =
        br#"{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","amount_received":5000,
        "currency":"usd","description":"\ud83d"}}}"#;
    assert!(matches!(read(surrogate), Ok(Reading::Event(event)) if event.amount == dollars(50)));
}

#[test]
fn what_is_written_for_trying_is_read_back() {
    let currency = Currency::parse("KWD").unwrap();
    let money = (Amount::from_ten_thousandths(51_200), currency);
    for kind in SampleKind::ALL {
        let status = kind.status();
        for target in ["order_p1_x", "hold_p1_x"] {
            let sample = Sample {
                key: "evt_1",
                kind,
                target,
                payment: "pi_1",
                money: Some(money),
                is_partial: false,
                sent_seconds: SENT,
            };
            let Ok(Reading::Event(event)) = read(sample::write(&sample).as_bytes()) else { panic!("{kind:?}") };
            assert_eq!(
                (event.status, event.target, event.payment),
                (status, target_of(target), PaymentId::parse("pi_1"))
            );
            assert_eq!((event.amount, event.currency), (StatedAmount::Is(money.0), Some(currency)), "{status:?}");
            assert_eq!(
                (event.refund.is_some(), event.sent_seconds),
                (status == PaymentStatus::RefundFailed, Some(SENT))
            );
        }
    }
}
