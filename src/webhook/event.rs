//! The body of the payment webhook: `{"idempotency_key": …, "payload": {"status": …, "order_id" or "hold_id" …}}`.
//!
//! Unknown fields are ignored, because a provider may add some at any time. Senders drop events that are refused. So an event
//! about money is refused only if nothing names it, or nothing says what was paid.

use serde_json::{Map, Value, json};

use super::{
    Reading, Sample, SampleKind,
    fields::{self, Id, Money},
    json::{self, text},
    words,
};
use crate::domain::{
    ids::{HoldKind, IdKind},
    money::{Amount, Currency},
    payment::{PaymentEvent, PaymentId, PaymentStatus, RefundId, StatedAmount, Target},
    text::IdempotencyKey,
};

/// Why a body cannot be read as an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventError {
    NotJson,
    Field {
        /// JSON pointer to the field.
        pointer: &'static str,
        code: &'static str,
        detail: &'static str,
    },
}

/// Reads an event. `header_id` is the `webhook-id` header, which names the event when the body does not.
///
/// # Errors
/// [`EventError`] about the first field that is wrong.
pub fn read(body: &[u8], header_id: Option<&str>) -> Result<Reading, EventError> {
    let body = json::parse(body).ok_or(EventError::NotJson)?;
    let body = body.as_object().ok_or(wrong("", "not_an_object", "the body must be an object"))?;
    let payload = body.get("payload").filter(|payload| payload.is_object());
    let payload = payload.ok_or(wrong("/payload", "required", "payload must be an object"))?;
    let given = text(payload, "status").filter(|word| !word.trim().is_empty());
    let given = given.ok_or(wrong("/payload/status", "required", "status must be a word"))?;
    let word = words::normal(given);
    let Some(status) = words::status(&word) else { return Ok(Reading::UnknownStatus(given.trim().to_owned())) };
    let payment = payment(payload, status)?;
    let (amount, currency) = money(payload, status, &word);
    Ok(Reading::Event(Box::new(PaymentEvent {
        key: key(body, header_id, status, payment.is_some())?,
        status,
        target: target(payload, payment.is_some())?,
        payment,
        amount,
        currency,
        goods: goods(payload),
        refund: refund(payload, status),
        sent_seconds: fields::seconds(payload.get("sent_at")),
    })))
}

fn key(
    body: &Map<String, Value>,
    header_id: Option<&str>,
    status: PaymentStatus,
    names_payment: bool,
) -> Result<IdempotencyKey, EventError> {
    const POINTER: &str = "/idempotency_key";
    let given = match fields::id(body.get("idempotency_key")) {
        Id::Missing => header_id.map_or(Id::Missing, fields::id_in),
        given => given,
    };
    let name = match given {
        Id::Is(id) => id,
        Id::Odd(text) if status.is_about_money() => fields::derived(&text),
        Id::Odd(_) => String::new(),
        // The payment says what it is about, and what was said once makes no difference when it is said again.
        Id::Missing if status.is_about_money() && names_payment => fields::derived(&body["payload"].to_string()),
        Id::Missing => return Err(wrong(POINTER, "required", "send an idempotency_key, or a webhook-id header")),
    };
    let refused = wrong(POINTER, "invalid_format", "idempotency_key must be 1 to 255 visible ASCII characters");
    IdempotencyKey::parse(&name).ok_or(refused)
}

fn target(payload: &Value, names_payment: bool) -> Result<Option<Target>, EventError> {
    let named = |name: &str| match fields::id(payload.get(name)) {
        Id::Is(id) | Id::Odd(id) => Some(id),
        Id::Missing => None,
    };
    match (named("order_id"), named("hold_id")) {
        (Some(order), Some(hold)) => Ok(Some(Target::Both { order, hold })),
        (Some(order), None) => Ok(Some(Target::Order(order))),
        (None, Some(hold)) => Ok(Some(Target::Hold(hold))),
        (None, None) if names_payment => Ok(None),
        (None, None) => {
            Err(wrong("/payload/order_id", "required", "send the order_id or the hold_id, or else the payment_id"))
        }
    }
}

/// An empty `payment_id` is none where money came. Elsewhere it would make an attempt that failed the shop's word about the
/// whole order.
fn payment(payload: &Value, status: PaymentStatus) -> Result<Option<PaymentId>, EventError> {
    let given = payload.get("payment_id");
    let name = match fields::id(given) {
        Id::Is(id) => id,
        Id::Odd(text) if status.is_about_money() => fields::derived(&text),
        Id::Missing if status.is_about_money() || given.is_none_or(Value::is_null) => return Ok(None),
        Id::Odd(_) | Id::Missing => String::new(),
    };
    let refused =
        wrong("/payload/payment_id", "invalid_format", "payment_id must be 1 to 255 visible ASCII characters");
    PaymentId::parse(&name).map(Some).ok_or(refused)
}

fn refund(payload: &Value, status: PaymentStatus) -> Option<RefundId> {
    if !matches!(status, PaymentStatus::Refunded | PaymentStatus::RefundFailed) {
        return None;
    }
    match fields::id(payload.get("refund_id")) {
        Id::Is(id) => RefundId::parse(&id),
        Id::Odd(text) => RefundId::parse(&fields::derived(&text)),
        Id::Missing => None,
    }
}

fn money(payload: &Value, status: PaymentStatus, word: &str) -> (StatedAmount, Option<Currency>) {
    let (amount, currency) = Money {
        amount: payload.get("amount"),
        currency: payload.get("currency"),
        may_be_negative: status != PaymentStatus::Paid,
    }
    .read();
    match amount {
        // Without an amount the event would be about all that was captured.
        StatedAmount::NotGiven if word == words::PARTIALLY_REFUNDED => (fields::not_understood(word), currency),
        StatedAmount::NotUnderstood(_) if !status.is_about_money() => (StatedAmount::NotGiven, currency),
        amount => (amount, currency),
    }
}

fn goods(payload: &Value) -> Option<(Amount, Currency)> {
    let given = |name: &str| payload.get(name).filter(|value| !value.is_null());
    let money = Money {
        amount: given("goods_amount"),
        currency: given("goods_currency").or(given("currency")),
        may_be_negative: false,
    };
    let (amount, currency) = money.read();
    Some((amount.known()?, currency?))
}

/// Writes an event as the webhook takes it.
pub(super) fn write(sample: &Sample<'_>) -> String {
    let target = if sample.target.starts_with(HoldKind::PREFIX) { "hold_id" } else { "order_id" };
    let word = match sample.kind {
        SampleKind::Authorised => "authorised",
        SampleKind::PartialRefund => words::PARTIALLY_REFUNDED,
        kind => kind.status().as_str(),
    };
    let mut payload = json!({"status": word, target: sample.target, "sent_at": sample.sent_seconds});
    if sample.kind.names_payment() {
        payload["payment_id"] = sample.payment.into();
    }
    if let Some((amount, currency)) = sample.money {
        payload["amount"] = amount.in_currency(&currency).to_string().into();
        payload["currency"] = currency.code().into();
    }
    json!({"idempotency_key": sample.key, "payload": payload}).to_string()
}

pub(super) const fn wrong(pointer: &'static str, code: &'static str, detail: &'static str) -> EventError {
    EventError::Field { pointer, code, detail }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::hash_map, prelude::*, sample::select};

    use super::{super::anything::any_json, *};

    const FIELDS: [&str; 8] =
        ["payment_id", "refund_id", "hold_id", "amount", "currency", "goods_amount", "goods_currency", "sent_at"];

    fn event(body: &[u8], header_id: Option<&str>) -> PaymentEvent {
        match read(body, header_id) {
            Ok(Reading::Event(event)) => *event,
            other => panic!("{}: {other:?}", String::from_utf8_lossy(body)),
        }
    }

    fn pointer_of(body: &str) -> &'static str {
        match read(body.as_bytes(), None) {
            Err(EventError::Field { pointer, .. }) => pointer,
            other => panic!("{body}: {other:?}"),
        }
    }

    /// An event with the key `k`, about the order `o`, with fields added or changed.
    fn with(status: &str, changed: Value) -> PaymentEvent {
        let mut body = json!({"idempotency_key": "k", "payload": {"status": status, "order_id": "o"}});
        let Value::Object(changed) = changed else { panic!("{changed}") };
        for (name, value) in changed {
            match name.as_str() {
                "idempotency_key" => body[name] = value,
                _ => body["payload"][name] = value,
            }
        }
        event(body.to_string().as_bytes(), None)
    }

    fn is(ten_thousandths: u64) -> StatedAmount {
        StatedAmount::Is(Amount::from_ten_thousandths(ten_thousandths))
    }

    #[test]
    fn an_event_is_read_with_its_words_and_unknown_fields_are_ignored() {
        let body =
            br#"{"idempotency_key":"txn_1","payload":{"status":"succeeded","order_id":"order_x","payment_id":"pi_1",
            "amount":50.5,"currency":"usd","weather":"fine"},"extra":[1]}"#;
        let event = event(body, Some("msg_1"));
        assert_eq!(event.key.as_str(), "txn_1");
        assert_eq!(event.status, PaymentStatus::Paid);
        assert_eq!(event.target, Some(Target::Order("order_x".to_owned())));
        assert_eq!((event.amount, event.currency), (is(505_000), Currency::parse("USD")));
        assert_eq!((event.goods, event.refund, event.sent_seconds), (None, None, None));
    }

    #[test]
    fn the_header_names_an_event_that_does_not_name_itself() {
        let body = br#"{"payload":{"status":"canceled","hold_id":"hold_x"}}"#;
        let event = event(body, Some("msg_1"));
        assert_eq!((event.key.as_str(), event.status), ("msg_1", PaymentStatus::Cancelled));
        assert_eq!(event.target, Some(Target::Hold("hold_x".to_owned())));
    }

    #[test]
    fn every_word_of_the_table_is_read_in_any_case_and_any_other_is_handed_back() {
        for (status, words) in words::WORDS {
            for word in words {
                assert_eq!(
                    with(&format!(" {} ", word.to_uppercase()), json!({"amount": "1"})).status,
                    status,
                    "{word}"
                );
            }
        }
        let body = br#"{"payload":{"status":" Of next year "}}"#;
        assert_eq!(
            read(body, None),
            Ok(Reading::UnknownStatus("Of next year".to_owned())),
            "and nothing else is checked"
        );
    }

    #[test]
    fn an_event_may_name_its_payment_instead_of_an_order() {
        let body = br#"{"idempotency_key":"k","payload":{"status":"failed","payment_id":"pi_1"}}"#;
        let failed = event(body, None);
        assert_eq!((failed.target, failed.payment), (None, PaymentId::parse("pi_1")));
        let both = with("paid", json!({"hold_id": "h"}));
        assert_eq!(both.target, Some(Target::Both { order: "o".to_owned(), hold: "h".to_owned() }));
        assert_eq!(with("paid", json!({"order_id": 17})).target, Some(Target::Order("17".to_owned())));
    }

    #[test]
    fn a_refund_says_which_of_several_it_is_and_its_sign_is_its_direction() {
        let refund = with("refunded", json!({"amount": "-10.00", "currency": "USD", "refund_id": 7}));
        assert_eq!((refund.amount, refund.refund), (is(100_000), RefundId::parse("7")));
        let failed = with("refund_failed", json!({"amount": "10", "refund_id": "re_1"}));
        assert_eq!((failed.status, failed.refund), (PaymentStatus::RefundFailed, RefundId::parse("re_1")));
        assert_eq!(with("paid", json!({"refund_id": "re_1"})).refund, None);
        let part = StatedAmount::NotUnderstood("partially_refunded".to_owned());
        assert_eq!(with("Partially refunded", json!({})).amount, part, "it is not all of it");
        assert_eq!(with("partially_refunded", json!({"amount": 1})).amount, is(10_000));
    }

    #[test]
    fn the_part_for_the_goods_and_the_senders_time_are_read_where_they_are_given() {
        let dollars =
            |number: u64| Some((Amount::from_ten_thousandths(number * 10_000), Currency::parse("USD").unwrap()));
        let taxed =
            json!({"amount": "59.50", "currency": "USD", "goods_amount": "50", "sent_at": "2025-11-24T16:00:00Z"});
        let taxed = with("paid", taxed);
        assert_eq!((taxed.goods, taxed.sent_seconds), (dollars(50), Some(1_764_000_000)));
        let converted = json!({"amount": "46", "currency": "EUR", "goods_amount": 50.0, "goods_currency": "usd"});
        assert_eq!(with("paid", converted).goods, dollars(50));
        for unclear in [
            json!({"goods_amount": "50"}),
            json!({"goods_amount": "a lot", "currency": "USD"}),
            json!({"goods_amount": -1, "currency": "USD"}),
            json!({"goods_currency": "USD"}),
        ] {
            assert_eq!(with("paid", unclear.clone()).goods, None, "{unclear}");
        }
    }

    #[test]
    fn nothing_about_money_is_refused_for_what_it_says() {
        for status in PaymentStatus::ALL.into_iter().filter(|status| status.is_about_money()) {
            let with = |changed: Value| with(status.as_str(), changed);
            for (field, value, kept) in [
                ("amount", json!("1,234.00"), "1,234.00"),
                ("amount", json!(true), "true"),
                ("currency", json!("dollar"), "dollar"),
            ] {
                assert_eq!(with(json!({field: value})).amount, StatedAmount::NotUnderstood(kept.to_owned()));
            }
            let payment = |id: Value| with(json!({"payment_id": id})).payment.map(|id| id.as_str().to_owned());
            assert_eq!(payment(json!(12345)), Some("12345".to_owned()));
            assert_eq!(payment(json!(" pi_1 ")), Some("pi_1".to_owned()));
            assert_eq!((payment(json!("")), payment(json!(false))), (None, None));
            assert_eq!(payment(json!("pay 7")), Some(fields::derived("pay 7")));
            let key = |id: Value| with(json!({"idempotency_key": id, "payment_id": "pi_1"})).key.as_str().to_owned();
            assert_eq!((key(json!(7)), key(json!("a b"))), ("7".to_owned(), fields::derived("a b")));
            assert!(key(json!("")) == key(Value::Null) && key(Value::Null).starts_with("odd-"));
        }
        let paid =
            |amount: &str| with("paid", json!({"payment_id": "pi_1", "idempotency_key": null, "amount": amount}));
        assert_ne!(paid("1").key, paid("2").key);
    }

    #[test]
    fn what_is_written_for_trying_is_read_back() {
        let dollars = Currency::parse("USD").unwrap();
        for kind in SampleKind::ALL {
            for (target, read) in [
                ("order_p1_x", Target::Order("order_p1_x".to_owned())),
                ("hold_p1_x", Target::Hold("hold_p1_x".to_owned())),
            ] {
                let sample = Sample {
                    key: "k",
                    kind,
                    target,
                    payment: "pi_1",
                    money: Some((Amount::from_ten_thousandths(250_000), dollars)),
                    is_partial: false,
                    sent_seconds: 1_764_000_000,
                };
                let whole = event(write(&sample).as_bytes(), None);
                assert_eq!((whole.status, whole.target, whole.amount), (kind.status(), Some(read), is(250_000)));
                assert_eq!((whole.currency, whole.sent_seconds), (Some(dollars), Some(1_764_000_000)));
                assert_eq!(whole.payment.is_some(), !matches!(kind, SampleKind::Failed | SampleKind::Cancelled));
                let bare = event(write(&Sample { money: None, ..sample }).as_bytes(), None).amount;
                let is_a_part = kind == SampleKind::PartialRefund;
                assert_eq!(
                    bare != StatedAmount::NotGiven,
                    is_a_part,
                    "{kind:?}: a part without its amount is not all of it"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_event_about_money_that_names_an_order_is_refused(
            status in select(PaymentStatus::ALL.map(PaymentStatus::as_str).to_vec()),
            fields in hash_map(select(FIELDS.to_vec()), any_json(), 0..5),
            key in any_json(),
        ) {
            let mut body = json!({"idempotency_key": key, "payload": fields});
            body["payload"]["status"] = status.into();
            body["payload"]["order_id"] = "order_p1_x".into();
            match read(body.to_string().as_bytes(), Some("msg_1")) {
                Ok(Reading::Event(event)) => {
                    prop_assert!(event.target.is_some());
                    prop_assert!(!matches!(event.amount, StatedAmount::NotUnderstood(_)) || event.status.is_about_money());
                }
                refused => prop_assert!(!PaymentStatus::parse(status).unwrap().is_about_money(), "{refused:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_money_has_no_amount_that_cannot_be_read() {
        for (amount, currency) in [("$50", "USD"), ("50", "dollar"), ("50.001", "USD")] {
            let failed = with("failed", json!({"amount": amount, "currency": currency}));
            assert_eq!((failed.amount, failed.currency), (StatedAmount::NotGiven, Currency::parse(currency)));
        }
        assert_eq!(with("failed", json!({"amount": "-50.00"})).amount, is(500_000));
    }

    #[test]
    fn bytes_that_are_not_quite_json_lose_no_event() {
        let body = b"\xef\xbb\xbf{\"idempotency_key\":\"k\",\"payload\":{\"status\":\"paid\",\"order_id\":\"o\",\"note\":\"\\ud83d\xff\"}}";
        assert_eq!(event(body, None).key.as_str(), "k");
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(read(b"{", None), Err(EventError::NotJson));
        assert_eq!(pointer_of("[]"), "");
        assert_eq!(pointer_of(r#"{"idempotency_key":"k"}"#), "/payload");
        for payload in [r#"{"order_id":"o"}"#, r#"{"status":" "}"#, r#"{"status":7}"#] {
            assert_eq!(pointer_of(&format!(r#"{{"idempotency_key":"k","payload":{payload}}}"#)), "/payload/status");
        }
        for key in ["", r#""idempotency_key":"","#, r#""idempotency_key":true,"#] {
            let body = format!(r#"{{{key}"payload":{{"status":"paid","order_id":"o"}}}}"#);
            assert_eq!(pointer_of(&body), "/idempotency_key");
        }
        assert_eq!(
            pointer_of(r#"{"idempotency_key":"a b","payload":{"status":"failed","order_id":"o"}}"#),
            "/idempotency_key"
        );
        assert_eq!(pointer_of(r#"{"idempotency_key":"k","payload":{"status":"paid"}}"#), "/payload/order_id");
        for id in ["\"a b\"", "\"\"", "[]", "true"] {
            let body = format!(
                r#"{{"idempotency_key":"k","payload":{{"status":"failed","order_id":"o","payment_id":{id}}}}}"#
            );
            assert_eq!(pointer_of(&body), "/payload/payment_id");
        }
    }
}
