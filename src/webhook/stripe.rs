//! Stripe: snapshot events of payment intents, checkout sessions, charges, refunds and disputes, signed with
//! `Stripe-Signature`.
//!
//! The payment is the payment intent, so that the events of an intent and of its session, refunds and disputes are about one
//! payment. What has no intent is a payment by its own id: a charge of the old Charges API, or a session that nobody paid. The
//! order is the first id of ours in `metadata.order_id`, `metadata.hold_id` and `client_reference_id`. Refunds and disputes
//! carry none, and the store finds their order by the payment.
//!
//! Stripe drops an event after some days of refusals, so an event with an id and a type is never refused: money that cannot
//! be understood is kept for a person. See <https://docs.stripe.com/webhooks> and
//! <https://docs.stripe.com/api/events/types>. `stripe/table.rs` says what each type means, `stripe/money.rs` how much it is
//! about, and `stripe/sample.rs` writes events for `flashsale trigger`.

mod money;
mod sample;
mod table;

use std::sync::Arc;

use serde_json::Value;

use self::table::Meaning;
use super::{
    Headers, Provider, Reading, Sign, Signed,
    event::{EventError, wrong},
    fields::{self, Id},
    hmac::{self, Claim, Key},
    json::{self, text},
    signature::{self, Distrust},
};
use crate::domain::{
    ids::{HoldKind, IdKind, OrderKind},
    payment::{PaymentEvent, PaymentId, PaymentStatus, RefundId, Target},
    text::IdempotencyKey,
};

const SECRET_CHARS_MIN: usize = 16;
/// What a thin event is, in the field `object`.
const THIN: &str = "v2.core.event";

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
    write: sample::write,
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
    let event = json::parse(body).ok_or(EventError::NotJson)?;
    let kind = text(&event, "type").filter(|kind| !kind.trim().is_empty());
    let kind = kind.ok_or(wrong("/type", "required", "an event of Stripe has a type"))?;
    let key = id(event.get("id")).and_then(|id| IdempotencyKey::parse(&id));
    let key = key.ok_or(wrong("/id", "required", "an event of Stripe has an id such as evt_1"))?;
    if text(&event, "object") == Some(THIN) {
        return Ok(read_thin(key, kind, &event));
    }
    let object = event.pointer("/data/object").unwrap_or(&Value::Null);
    match table::meaning(kind, object) {
        // An event without its object says no more than that something happened, which matters only to money.
        Meaning::Is(status) if object.is_object() || status.is_about_money() => {
            let sent_seconds = fields::seconds(event.get("created"));
            Ok(Reading::Event(Box::new(understand(key, kind, status, object, sent_seconds))))
        }
        Meaning::Is(_) | Meaning::Nothing => Ok(Reading::Irrelevant),
        Meaning::Unknown => Ok(Reading::UnknownStatus(kind.to_owned())),
    }
}

/// A thin event names its object and leaves it out, so it says what happened and not how much. Money is kept for a person under
/// the id of that object. Where an endpoint gets both kinds of events, the other one settles it. Anything else is only logged.
fn read_thin(key: IdempotencyKey, thin_kind: &str, event: &Value) -> Reading {
    let Some(kind) = thin_kind.strip_prefix("v1.") else { return Reading::Irrelevant };
    let object = event.get("related_object").unwrap_or(&Value::Null);
    match table::meaning(kind, object) {
        Meaning::Is(status) if status.is_about_money() => {
            let event = understand(key, kind, status, object, fields::seconds(event.get("created")));
            let amount = fields::not_understood(&format!("thin event {thin_kind}"));
            Reading::Event(Box::new(PaymentEvent { amount, currency: None, ..event }))
        }
        Meaning::Is(_) | Meaning::Unknown => Reading::UnknownStatus(thin_kind.to_owned()),
        Meaning::Nothing => Reading::Irrelevant,
    }
}

fn understand(
    key: IdempotencyKey,
    kind: &str,
    status: PaymentStatus,
    object: &Value,
    sent_seconds: Option<u64>,
) -> PaymentEvent {
    let is_of_one_refund = kind != table::CUMULATIVE;
    let is_refund = matches!(status, PaymentStatus::Refunded | PaymentStatus::RefundFailed);
    let refund = if is_refund && is_of_one_refund { id(object.get("id")) } else { None };
    let (amount, currency) = money::stated(kind, status, object);
    PaymentEvent {
        status,
        target: target(object),
        payment: payment(object).or_else(|| PaymentId::parse(key.as_str())),
        amount,
        currency,
        goods: if status == PaymentStatus::Paid { money::goods(kind, object) } else { None },
        refund: refund.as_deref().and_then(RefundId::parse),
        sent_seconds,
        key,
    }
}

/// An id, or the id of the object that stands in its place.
fn id(value: Option<&Value>) -> Option<String> {
    match fields::id(value) {
        Id::Is(id) => Some(id),
        Id::Odd(text) => Some(fields::derived(&text)),
        Id::Missing => None,
    }
}

/// The payment intent of an object, which may contain it whole or by id, or whose charge does.
fn intent(object: &Value) -> Option<String> {
    id(object.get("payment_intent")).or_else(|| id(object.pointer("/charge/payment_intent")))
}

/// The payment intent, else the charge that a refund or a dispute is about, else the object itself.
fn payment(object: &Value) -> Option<PaymentId> {
    let id = intent(object).or_else(|| id(object.get("charge"))).or_else(|| id(object.get("id")));
    PaymentId::parse(&id?)
}

/// The first id of ours, else the first text in the places for ids, which a person may know.
fn target(object: &Value) -> Option<Target> {
    let texts = [
        "/metadata/order_id",
        "/metadata/hold_id",
        "/client_reference_id",
        "/payment_intent/metadata/order_id",
        "/payment_intent/metadata/hold_id",
        "/charge/metadata/order_id",
        "/charge/metadata/hold_id",
    ];
    let texts = texts.iter().filter_map(|place| object.pointer(place)?.as_str()).map(str::trim);
    let mut there = texts.filter(|text| !text.is_empty());
    let ours = |id: &&str| id.starts_with(OrderKind::PREFIX) || id.starts_with(HoldKind::PREFIX);
    let first = there.clone().next()?;
    let id = there.find(ours).unwrap_or(first).to_owned();
    Some(if id.starts_with(HoldKind::PREFIX) { Target::Hold(id) } else { Target::Order(id) })
}

#[cfg(test)]
mod shapes;

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
}
