//! Stripe: snapshot events of payment intents, checkout sessions and charges, signed with `Stripe-Signature`.
//!
//! The order is the first id of ours in `metadata.order_id`, `metadata.hold_id` and `client_reference_id`. The payment is the
//! payment intent, so that the events of an intent and of its checkout session are about one payment. Stripe drops an event
//! after some days of refusals, so a signed event about money is never refused for its content: an amount that cannot be
//! understood is kept for a person. See <https://docs.stripe.com/webhooks> and
//! <https://docs.stripe.com/api/events/types>.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Headers, Provider, Reading, Sample, Sign, Signed,
    event::{EventError, text, wrong},
    hmac::{self, Claim, Key},
    signature::{self, Distrust},
};
use crate::domain::{
    ids::{HoldKind, IdKind, OrderKind},
    money::{Amount, Currency},
    payment::{PaymentEvent, PaymentId, PaymentStatus, StatedAmount, Target},
    text::IdempotencyKey,
};

const SECRET_CHARS_MIN: usize = 16;
const PAYMENT_STATUSES: [&str; 3] = ["paid", "unpaid", "no_payment_required"];
/// Characters that are kept of an amount that cannot be understood.
const RAW_CHARS_MAX: usize = 30;

pub static PROVIDER: Provider = Provider {
    name: "stripe",
    path: "/api/payments/webhooks/stripe",
    media_type: "application/json",
    setting: "webhook.stripe_secrets",
    secret_form: "whsec_ followed by at least 16 characters, as Stripe shows it for an endpoint",
    names_amount: true,
    credentials: |secrets, tolerance_seconds| hmac::in_headers(secrets, tolerance_seconds, key, claim),
    sign,
    read: |body, _| read(body),
    write,
};

/// The key is the text of the secret, prefix included.
fn key(secret: &str) -> Option<Key> {
    let is_whole = secret.strip_prefix("whsec_")?.len() >= SECRET_CHARS_MIN;
    is_whole.then(|| Key::new(secret.as_bytes())).flatten()
}

/// Reads `t=<timestamp>,v1=<hex>,v1=<hex>`. Stripe uses `v0` for its own tests.
fn claim(headers: &dyn Headers) -> Result<Claim, Distrust> {
    let header = signature::header(headers, "stripe-signature")?.ok_or(Distrust::Unsigned)?;
    let (times, others): (Vec<&str>, Vec<&str>) =
        header.split(',').map(str::trim).partition(|entry| entry.starts_with("t="));
    let timestamp = times.first().map(|entry| &entry[2..]).ok_or(Distrust::HeaderIncomplete)?;
    let version_1 = |entry: &str| entry.strip_prefix("v1=").map(|digits| hex::decode(digits).unwrap_or_default());
    Ok(Claim {
        head: format!("{timestamp}."),
        sent: signature::timestamp(timestamp)?,
        signatures: signature::signatures(others.into_iter(), version_1)?,
    })
}

fn sign(secret: &str) -> Option<Arc<Sign>> {
    let key = key(secret)?;
    Some(Arc::new(move |_id, now_seconds, body| {
        let signature = hex::encode(key.sign(&format!("{now_seconds}."), body.as_bytes()));
        Signed { headers: vec![("stripe-signature", format!("t={now_seconds},v1={signature}"))], body }
    }))
}

fn read(body: &[u8]) -> Result<Reading, EventError> {
    let event: Value = serde_json::from_slice(body).map_err(|_| EventError::NotJson)?;
    let kind = text(&event, "type").ok_or(wrong("/type", "required", "an event of Stripe has a type"))?;
    let key = text(&event, "id").and_then(IdempotencyKey::parse);
    let key = key.ok_or(wrong("/id", "required", "an event of Stripe has an id such as evt_1"))?;
    let object = event.pointer("/data/object").unwrap_or(&Value::Null);
    let Some(status) = status(kind, object) else { return Ok(Reading::Irrelevant) };
    if !object.is_object() {
        return Err(wrong("/data/object", "required", "an event about a payment has the payment in it"));
    }
    Ok(understand(key, kind, status, object))
}

fn status(kind: &str, object: &Value) -> Option<PaymentStatus> {
    Some(match kind {
        "payment_intent.payment_failed" | "checkout.session.async_payment_failed" => PaymentStatus::Failed,
        "payment_intent.canceled" | "checkout.session.expired" => PaymentStatus::Cancelled,
        "payment_intent.processing" => PaymentStatus::Processing,
        // The money comes later, for instance by bank transfer. Any other payment status may mean that it came.
        "checkout.session.completed" if text(object, "payment_status") == Some("unpaid") => PaymentStatus::Processing,
        "payment_intent.succeeded" | "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
            PaymentStatus::Paid
        }
        "charge.refunded" => PaymentStatus::Refunded,
        _ => return None,
    })
}

fn understand(key: IdempotencyKey, kind: &str, status: PaymentStatus, object: &Value) -> Reading {
    let is_money = matches!(status, PaymentStatus::Paid | PaymentStatus::Refunded);
    let (id, is_ours) = named(object);
    let target =
        if id.starts_with(HoldKind::PREFIX) { Target::Hold(id.to_owned()) } else { Target::Order(id.to_owned()) };
    // Money for an id that is not ours is kept as unmatched. Other events about such an id change nothing.
    let matters = is_ours || is_money && !is_free(object);
    let (amount, currency) = match sum(kind, object) {
        Ok((amount, currency)) => (StatedAmount::Is(amount), Some(currency)),
        Err(raw) if is_money => (StatedAmount::NotUnderstood(raw), None),
        Err(_) => (StatedAmount::NotGiven, None),
    };
    if !matters {
        return Reading::Irrelevant;
    }
    Reading::Event(Box::new(PaymentEvent {
        key,
        status,
        target: Some(target),
        payment: payment(object),
        amount,
        currency,
        goods: None,
        refund: None,
        sent_seconds: None,
    }))
}

/// The first id of ours, else the first text in the places for ids. And whether it is an id of ours.
fn named(object: &Value) -> (&str, bool) {
    let in_metadata = |name| object.get("metadata").and_then(|metadata| text(metadata, name));
    let places = [in_metadata("order_id"), in_metadata("hold_id"), text(object, "client_reference_id")];
    let ours = |id: &&str| id.starts_with(OrderKind::PREFIX) || id.starts_with(HoldKind::PREFIX);
    let mut there = places.into_iter().flatten();
    let first = there.clone().next().unwrap_or("");
    there.find(ours).map_or((first, false), |id| (id, true))
}

/// Whether there was nothing to pay: a coupon covered everything, or the checkout only stored a card.
fn is_free(object: &Value) -> bool {
    text(object, "payment_status") == Some("no_payment_required")
}

/// The payment intent, which the object contains whole or by id, else the object itself.
fn payment(object: &Value) -> Option<PaymentId> {
    let intent = object.get("payment_intent").and_then(|intent| intent.as_str().or_else(|| text(intent, "id")));
    intent.or_else(|| text(object, "id")).and_then(PaymentId::parse)
}

/// The money that an event is about, or the text of an amount that cannot be understood.
fn sum(kind: &str, object: &Value) -> Result<(Amount, Currency), String> {
    let of = |name: &str| object.get(name).unwrap_or(&Value::Null);
    let minor_units = match kind {
        "payment_intent.succeeded" => of("amount_received"),
        "charge.refunded" => refunded(object),
        // A payment status that Stripe added later. It does not say whether money came.
        "checkout.session.completed" if !PAYMENT_STATUSES.contains(&text(object, "payment_status").unwrap_or("")) => {
            &Value::Null
        }
        _ if kind.starts_with("checkout.session.") => of("amount_total"),
        _ => of("amount"),
    };
    let code = text(object, "currency").unwrap_or("").to_ascii_uppercase();
    let sum = Currency::parse(&code).and_then(|currency| Some((amount(minor_units.as_u64()?, currency)?, currency)));
    sum.ok_or_else(|| {
        let raw = format!("{kind} of {minor_units} {code}");
        raw.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(kind.len() + RAW_CHARS_MAX).collect()
    })
}

/// The refunded amount, which the scripts compare with the captured one. Stripe's `amount_refunded` includes money that was
/// authorized and never captured. So a partial refund that equals the captured amount does not say how much was paid back.
fn refunded(object: &Value) -> &Value {
    let of = |name: &str| object.get(name).unwrap_or(&Value::Null);
    let is_whole = object.get("refunded").and_then(Value::as_bool) == Some(true);
    match (of("amount_captured"), of("amount_refunded")) {
        (Value::Null, refunded) => refunded,
        (captured, _) if is_whole => captured,
        (captured, refunded) if captured == refunded => &Value::Null,
        (_, refunded) => refunded,
    }
}

/// Decimals of amounts in Stripe's API, where they are not two: <https://docs.stripe.com/currencies#minor-units>. They differ
/// from ISO 4217. MGA has two decimals there. ISK and UGX have none there and two here, which are always 00: 5 UGX are 500.
/// Stripe's page has UGX among its zero-decimal currencies too. If that were right, the amount would differ from the order's
/// total and open a review. HUF and TWD have two decimals, only their payouts have none.
const DECIMALS: [(u32, &str); 2] =
    [(0, "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"), (3, "BHD JOD KWD OMR TND")];

fn decimals(currency: Currency) -> u32 {
    let row = DECIMALS.iter().find(|(_, codes)| codes.split(' ').any(|code| code == currency.code()));
    row.map_or(2, |(decimals, _)| *decimals)
}

/// `None` when the amount exceeds the integers that a script can compute with.
fn amount(minor_units: u64, currency: Currency) -> Option<Amount> {
    let value = minor_units.checked_mul(10_u64.pow(4 - decimals(currency)))?;
    (value < 1 << 53).then(|| Amount::from_ten_thousandths(value))
}

/// Writes a payment intent, or the charge of a refund, of API version 2024-06-20, with the fields that matter here.
fn write(sample: &Sample<'_>) -> String {
    let Sample { key, status, target, payment, money, is_partial, sent_seconds } = *sample;
    let minor_units = money.map(|(amount, currency)| amount.ten_thousandths() / 10_u64.pow(4 - decimals(currency)));
    let currency = money.map(|(_, currency)| currency.code().to_ascii_lowercase());
    let metadata =
        if target.starts_with(HoldKind::PREFIX) { json!({"hold_id": target}) } else { json!({"order_id": target}) };
    let received = if status == PaymentStatus::Paid { minor_units } else { Some(0) };
    let intent = |status: &str| {
        json!({
            "id": payment, "object": "payment_intent", "status": status, "amount": minor_units, "amount_received": received,
            "currency": currency, "metadata": metadata, "livemode": false, "created": sent_seconds,
        })
    };
    let (kind, object) = match status {
        PaymentStatus::Paid => ("payment_intent.succeeded", intent("succeeded")),
        PaymentStatus::Failed => ("payment_intent.payment_failed", intent("requires_payment_method")),
        PaymentStatus::Cancelled => ("payment_intent.canceled", intent("canceled")),
        PaymentStatus::Processing => ("payment_intent.processing", intent("processing")),
        _ => (
            "charge.refunded",
            json!({
                "id": format!("ch_{key}"), "object": "charge", "payment_intent": payment, "amount_refunded": minor_units,
                "refunded": !is_partial, "currency": currency, "metadata": metadata, "livemode": false,
                "created": sent_seconds,
            }),
        ),
    };
    json!({
        "id": key, "object": "event", "api_version": "2024-06-20", "created": sent_seconds, "livemode": false,
        "pending_webhooks": 1, "type": kind, "data": {"object": object},
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::{
        super::signature::{self, Signer, Verifier},
        *,
    };

    const SECRET: &str = "whsec_9f8e7d6c5b4a39281706f5e4d3c2b1a0";
    const BODY: &[u8] = br#"{"id":"evt_1","object":"event"}"#;
    const SENT: u64 = 1_700_000_000;
    // printf '1700000000.{"id":"evt_1","object":"event"}' | openssl dgst -sha256 -hmac "$SECRET"
    const HEX: &str = "c57907f338519024aa5be1398f0b14255148303cdf9db575198aa0d044943461";

    fn judge(header: &str, now: u64) -> Result<(), Distrust> {
        let secrets = ["whsec_0000000000000000", SECRET];
        let headers = vec![("stripe-signature", header.to_owned())];
        let verifier = Verifier::new(&PROVIDER, secrets, false, 300).unwrap();
        signature::judge(&verifier, &headers, BODY, now)
    }

    #[test]
    fn any_of_the_signatures_may_fit_any_of_the_secrets_to_both_sides_of_now() {
        let several = format!("t=1700000000,v1={},v1={HEX},v0={HEX}", "0".repeat(64));
        for (header, now) in [(format!("t=1700000000,v1={HEX}"), SENT + 300), (several, SENT - 300)] {
            assert_eq!(judge(&header, now), Ok(()), "{header}");
        }
        let body = String::from_utf8(BODY.to_vec()).unwrap();
        let signed = Signer::new(&PROVIDER, SECRET).unwrap().sign("evt_1", SENT, body);
        assert_eq!(signed.headers, [("stripe-signature", format!("t=1700000000,v1={HEX}"))]);
    }

    #[test]
    fn each_reason_for_distrust_has_its_name() {
        let many = format!("t=1700000000{},v1={HEX}", ",v1=00".repeat(16));
        for (header, reason) in [
            (format!("v1={HEX}"), Distrust::HeaderIncomplete),
            (String::new(), Distrust::HeaderIncomplete),
            ("t=1700000000".to_owned(), Distrust::NoKnownVersion),
            (format!("t=1700000000,v0={HEX}"), Distrust::NoKnownVersion),
            (format!("t=soon,v1={HEX}"), Distrust::TimestampUnreadable),
            (format!("t=-1,v1={HEX}"), Distrust::TimestampUnreadable),
            (format!("t=,v1={HEX}"), Distrust::TimestampUnreadable),
            (format!("t=1700000001,v1={HEX}"), Distrust::NoneFits),
            (format!("t=1700000000,v1={}", &HEX[2..]), Distrust::NoneFits),
            ("t=1700000000,v1=xyz,v1=é".replace('é', "e"), Distrust::NoneFits),
            (format!("t=1700000000,v1={HEX}é"), Distrust::HeaderUnreadable),
            (many, Distrust::TooManySignatures),
            (format!("t=1700000000,v1={HEX},{}", "v0=00,".repeat(800)), Distrust::HeaderTooLong),
        ] {
            assert_eq!(judge(&header, SENT), Err(reason), "{header}");
        }
        assert_eq!(judge(&format!("t=1700000000,v1={HEX}"), SENT + 301), Err(Distrust::TooOld));
        assert_eq!(judge(&format!("t=1700000000,v1={HEX}"), SENT - 301), Err(Distrust::InFuture));
        assert!(key("sk_live_9f8e7d6c5b4a39281706").is_none() && key("whsec_").is_none());
    }

    #[test]
    fn amounts_are_read_with_the_decimals_of_stripe() {
        for (minor_units, code, expected) in [
            (5_000, "USD", "50.00"),
            (500, "JPY", "500"),
            (500, "ISK", "5"),
            (500, "UGX", "5"),
            (500, "MGA", "500.00"),
            (5_120, "KWD", "5.120"),
            (1_045, "HUF", "10.45"),
            (80_045, "TWD", "800.45"),
            (500, "XPF", "500"),
            (99_999_999_999, "IDR", "999999999.99"),
        ] {
            let currency = Currency::parse(code).unwrap();
            assert_eq!(amount(minor_units, currency).unwrap().in_currency(&currency).to_string(), expected, "{code}");
        }
        let dollar = Currency::parse("USD").unwrap();
        assert_eq!((amount(u64::MAX, dollar), amount(1 << 50, dollar)), (None, None));
        let listed = DECIMALS.iter().flat_map(|(_, codes)| codes.split(' '));
        assert!(
            listed.into_iter().all(|code| Currency::parse(code).is_some()),
            "every code of the table is a currency"
        );
    }

    fn event(kind: &str, object: &Value) -> PaymentEvent {
        read(json!({"id": "evt_1", "type": kind, "data": {"object": object}}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn money_that_cannot_be_understood_is_kept_and_never_applied() {
        let paid = |change: fn(&mut Value)| {
            let mut object = json!({"id": "pi_1", "amount_received": 5000, "currency": "usd", "metadata": {"order_id": "order_p1_x"}});
            change(&mut object);
            event("payment_intent.succeeded", &object)
        };
        assert_eq!(paid(|_| ()).target, Target::Order("order_p1_x".to_owned()));
        for (change, doubt) in [
            ((|o| o["currency"] = "zzz".into()) as fn(&mut Value), "5000 ZZZ"),
            (|o| o["amount_received"] = u64::MAX.into(), "18446744073709551615 USD"),
            (|o| o["amount_received"] = (-1).into(), "-1 USD"),
            (|o| o["amount_received"] = json!("5000"), "\"5000\" USD"),
            (|o| o["amount_received"] = Value::Null, "null USD"),
            (|o| o["currency"] = Value::Null, "5000 "),
        ] {
            let event = paid(change);
            let amount = StatedAmount::NotUnderstood(format!("payment_intent.succeeded of {doubt}"));
            assert_eq!((event.status, event.amount, event.currency), (PaymentStatus::Paid, amount, None));
            assert_eq!(event.target, Target::Order("order_p1_x".to_owned()));
            assert_eq!(event.payment, PaymentId::parse("pi_1"));
        }
        let session = json!({"id": "cs_1", "payment_status": "of next year", "amount_total": 5000, "currency": "usd"});
        assert_eq!(event("checkout.session.completed", &session).amount.known(), None);
    }

    #[test]
    fn a_whole_refund_is_what_was_captured_and_a_part_is_not() {
        let refund = |refunded: bool, captured: Value, back: u64| {
            let object = json!({"id": "ch_1", "payment_intent": {"id": "pi_1", "object": "payment_intent"}, "currency": "usd",
                "amount_captured": captured, "amount_refunded": back, "refunded": refunded, "metadata": {"order_id": "order_p1_x"}});
            event("charge.refunded", &object)
        };
        let dollars = |number: u64| StatedAmount::Is(Amount::from_ten_thousandths(number * 10_000));
        assert_eq!(refund(true, json!(5_000), 5_000).amount, dollars(50));
        assert_eq!(refund(true, Value::Null, 5_000).amount, dollars(50));
        assert_eq!(refund(true, json!(4_000), 5_000).amount, dollars(40), "10 were never captured");
        assert_eq!(refund(false, json!(5_000), 1_000).amount, dollars(10));
        let unclear = refund(false, json!(2_500), 2_500);
        assert_eq!(unclear.amount, StatedAmount::NotUnderstood("charge.refunded of null USD".to_owned()));
        assert_eq!(unclear.payment, PaymentId::parse("pi_1"));
    }

    #[test]
    fn the_order_is_the_first_id_of_ours_and_what_names_none_is_kept_only_when_it_is_money() {
        let read = |kind: &str, object: Value| {
            let event = event(kind, &object);
            (event.status, event.target)
        };
        let order = |id: &str| Target::Order(id.to_owned());
        let named =
            json!({"metadata": {"order_id": "A-17", "hold_id": "hold_p1_x"}, "client_reference_id": "order_p1_y"});
        let failed = "payment_intent.payment_failed";
        assert_eq!(read(failed, named), (PaymentStatus::Failed, Target::Hold("hold_p1_x".to_owned())));
        let referred = json!({"metadata": null, "client_reference_id": "order_p1_y"});
        assert_eq!(read(failed, referred), (PaymentStatus::Failed, order("order_p1_y")));
        for kind in [failed, "payment_intent.canceled", "payment_intent.processing", "checkout.session.expired"] {
            let foreign = json!({"metadata": {"order_id": "A-17"}});
            assert_eq!(read(kind, foreign), (PaymentStatus::Ignored, order("A-17")), "{kind}");
        }
        let paid = json!({"amount_received": 5000, "currency": "usd", "metadata": {"order_id": "A-17"}});
        assert_eq!(read("payment_intent.succeeded", paid), (PaymentStatus::Paid, order("A-17")));
        let free = json!({"payment_status": "no_payment_required", "amount_total": null, "currency": null});
        assert_eq!(read("checkout.session.completed", free).0, PaymentStatus::Ignored);
    }

    #[test]
    fn what_is_written_for_trying_is_read_back() {
        let currency = Currency::parse("KWD").unwrap();
        let money = (Amount::from_ten_thousandths(51_200), currency);
        for status in [
            PaymentStatus::Paid,
            PaymentStatus::Failed,
            PaymentStatus::Cancelled,
            PaymentStatus::Refunded,
            PaymentStatus::Processing,
        ] {
            for (target, expected) in [
                ("order_p1_x", Target::Order("order_p1_x".to_owned())),
                ("hold_p1_x", Target::Hold("hold_p1_x".to_owned())),
            ] {
                let sample = Sample {
                    key: "evt_1",
                    status,
                    target,
                    payment: "pi_1",
                    money: Some(money),
                    is_partial: false,
                    sent_seconds: SENT,
                };
                let event = read(write(&sample).as_bytes()).unwrap();
                assert_eq!((event.status, event.target, event.payment), (status, expected, PaymentId::parse("pi_1")));
                assert_eq!((event.amount, event.currency), (StatedAmount::Is(money.0), Some(currency)));
            }
        }
    }
}
