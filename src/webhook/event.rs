//! The body of the payment webhook: `{"idempotency_key": …, "payload": {"status": …, "order_id" or "hold_id": …, …}}`.
//! Unknown fields are ignored, because a provider may add some at any time.

use serde_json::{Map, Value, json};

use super::{Reading, Sample};
use crate::domain::{
    ids::{HoldKind, IdKind},
    money::{Amount, Currency},
    payment::{PaymentEvent, PaymentId, PaymentStatus, StatedAmount, Target},
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
    let body: Value = serde_json::from_slice(body).map_err(|_| EventError::NotJson)?;
    let body = body.as_object().ok_or(wrong("", "not_an_object", "the body must be an object"))?;
    let payload = body.get("payload").filter(|payload| payload.is_object());
    let payload = payload.ok_or(wrong("/payload", "required", "payload must be an object"))?;
    let status = text(payload, "status").ok_or(wrong("/payload/status", "required", "status must be a word"))?;
    let Some(known) = status_of(status) else { return Ok(Reading::UnknownStatus(status.to_owned())) };
    Ok(Reading::Event(Box::new(PaymentEvent {
        key: key(body, header_id)?,
        status: known,
        target: Some(target(payload)?),
        payment: payment(payload)?,
        amount: amount(payload)?,
        currency: currency(payload)?,
        goods: None,
        refund: None,
        sent_seconds: None,
    })))
}

/// The words of our own webhook, and their synonyms at providers.
fn status_of(word: &str) -> Option<PaymentStatus> {
    Some(match word {
        "paid" | "succeeded" | "success" => PaymentStatus::Paid,
        "failed" => PaymentStatus::Failed,
        "cancelled" | "canceled" => PaymentStatus::Cancelled,
        "refunded" => PaymentStatus::Refunded,
        "processing" => PaymentStatus::Processing,
        _ => return None,
    })
}

fn key(body: &Map<String, Value>, header_id: Option<&str>) -> Result<IdempotencyKey, EventError> {
    const POINTER: &str = "/idempotency_key";
    let refused = wrong(POINTER, "invalid_format", "idempotency_key must be 1 to 255 visible ASCII characters");
    let given = match body.get("idempotency_key") {
        None | Some(Value::Null) => header_id,
        Some(Value::String(text)) => Some(text.as_str()),
        Some(_) => return Err(refused),
    };
    let given = given.ok_or(wrong(POINTER, "required", "send an idempotency_key, or a webhook-id header"))?;
    IdempotencyKey::parse(given).ok_or(refused)
}

fn target(payload: &Value) -> Result<Target, EventError> {
    match (text(payload, "order_id"), text(payload, "hold_id")) {
        (Some(order), Some(hold)) => Ok(Target::Both { order: order.to_owned(), hold: hold.to_owned() }),
        (Some(order), None) => Ok(Target::Order(order.to_owned())),
        (None, Some(hold)) => Ok(Target::Hold(hold.to_owned())),
        (None, None) => Err(wrong("/payload/order_id", "required", "send the order_id, or the hold_id, as a text")),
    }
}

fn payment(payload: &Value) -> Result<Option<PaymentId>, EventError> {
    let refused =
        wrong("/payload/payment_id", "invalid_format", "payment_id must be 1 to 255 visible ASCII characters");
    match payload.get("payment_id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => PaymentId::parse(text).map(Some).ok_or(refused),
        Some(_) => Err(refused),
    }
}

/// Reads a decimal string. The digits of a number are read as text too, because arithmetic would round them.
fn amount(payload: &Value) -> Result<StatedAmount, EventError> {
    let digits = match payload.get("amount") {
        None | Some(Value::Null) => return Ok(StatedAmount::NotGiven),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => String::new(),
    };
    let refused = wrong("/payload/amount", "invalid_format", "amount must be a decimal string such as \"50.00\"");
    Amount::parse(&digits, 4).map(StatedAmount::Is).map_err(|_| refused)
}

fn currency(payload: &Value) -> Result<Option<Currency>, EventError> {
    let refused = wrong("/payload/currency", "invalid_format", "currency must be an ISO 4217 code such as \"USD\"");
    match payload.get("currency") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(code)) => Currency::parse(&code.to_ascii_uppercase()).map(Some).ok_or(refused),
        Some(_) => Err(refused),
    }
}

/// Writes an event as the webhook takes it.
pub(super) fn write(sample: &Sample<'_>) -> String {
    let target = if sample.target.starts_with(HoldKind::PREFIX) { "hold_id" } else { "order_id" };
    let mut payload = json!({"status": sample.status.as_str(), target: sample.target, "payment_id": sample.payment});
    if let Some((amount, currency)) = sample.money {
        payload["amount"] = amount.in_currency(&currency).to_string().into();
        payload["currency"] = currency.code().into();
    }
    json!({"idempotency_key": sample.key, "payload": payload}).to_string()
}

/// A field with a string in it.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

pub(super) const fn wrong(pointer: &'static str, code: &'static str, detail: &'static str) -> EventError {
    EventError::Field { pointer, code, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(body: &[u8], header_id: Option<&str>) -> PaymentEvent {
        match read(body, header_id) {
            Ok(Reading::Event(event)) => *event,
            other => panic!("{other:?}"),
        }
    }

    fn pointer_of(body: &str) -> &'static str {
        match read(body.as_bytes(), None) {
            Err(EventError::Field { pointer, .. }) => pointer,
            other => panic!("{body}: {other:?}"),
        }
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
        assert_eq!(event.amount, StatedAmount::Is(Amount::from_ten_thousandths(505_000)));
        assert_eq!(event.currency, Currency::parse("USD"));
    }

    #[test]
    fn the_header_names_an_event_that_does_not_name_itself() {
        let body = br#"{"payload":{"status":"canceled","hold_id":"hold_x"}}"#;
        let event = event(body, Some("msg_1"));
        assert_eq!((event.key.as_str(), event.status), ("msg_1", PaymentStatus::Cancelled));
        assert_eq!(event.target, Some(Target::Hold("hold_x".to_owned())));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(read(b"{", None), Err(EventError::NotJson));
        assert_eq!(pointer_of("[]"), "");
        assert_eq!(pointer_of(r#"{"idempotency_key":"k"}"#), "/payload");
        assert_eq!(pointer_of(r#"{"idempotency_key":"k","payload":{"order_id":"o"}}"#), "/payload/status");
        assert_eq!(pointer_of(r#"{"payload":{"status":"paid","order_id":"o"}}"#), "/idempotency_key");
        assert_eq!(
            pointer_of(r#"{"idempotency_key":7,"payload":{"status":"paid","order_id":"o"}}"#),
            "/idempotency_key"
        );
        assert_eq!(pointer_of(r#"{"idempotency_key":"k","payload":{"status":"paid"}}"#), "/payload/order_id");
        for (field, value) in
            [("amount", "-1"), ("amount", "true"), ("currency", "\"dollar\""), ("payment_id", "\"a b\"")]
        {
            let body =
                format!(r#"{{"idempotency_key":"k","payload":{{"status":"paid","order_id":"o","{field}":{value}}}}}"#);
            assert_eq!(pointer_of(&body), format!("/payload/{field}"));
        }
    }
}
