//! Single fields as senders really write them: ids that are numbers, amounts that were floats, times in two spellings.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::domain::{
    money::{Amount, Currency},
    payment::StatedAmount,
    text::IdempotencyKey,
};

/// Characters that are kept of what cannot be understood.
const KEPT_CHARS_MAX: usize = 60;
/// Characters of an odd id that stand in the one in its place.
const SIMILAR_CHARS: usize = 40;
/// The most decimals of any currency.
const DECIMALS_MAX: usize = 4;
/// Later instants in epoch seconds, after the year 5000, are milliseconds.
const SECONDS_MAX: u64 = 100_000_000_000;

/// What stands in a field for an id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Id {
    Missing,
    Is(String),
    /// It is no id: too long, or with blanks. Two different texts are still two things.
    Odd(String),
}

/// Reads an id. A number is its digits. An object is the thing itself instead of its id.
pub(super) fn id(value: Option<&Value>) -> Id {
    match value {
        None | Some(Value::Null | Value::Bool(_)) => Id::Missing,
        Some(Value::Number(number)) => Id::Is(number.to_string()),
        Some(Value::String(text)) => id_in(text),
        Some(Value::Object(object)) if object.contains_key("id") => id(object.get("id")),
        Some(Value::Object(object)) if object.is_empty() => Id::Missing,
        Some(Value::Array(list)) if list.is_empty() => Id::Missing,
        Some(other) => Id::Odd(other.to_string()),
    }
}

/// Reads an id from a text.
pub(super) fn id_in(text: &str) -> Id {
    match text.trim() {
        "" => Id::Missing,
        text if IdempotencyKey::parse(text).is_some() => Id::Is(text.to_owned()),
        text => Id::Odd(text.to_owned()),
    }
}

/// An id in place of an odd text: always the same for the same text, and similar to it, because a person may look for it.
pub(super) fn derived(text: &str) -> String {
    let similar: String =
        text.chars().take(SIMILAR_CHARS).map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect();
    format!("odd-{}-{similar}", &hex::encode(Sha256::digest(text))[..24])
}

/// A text in which everything can be seen, cut to what a log line or a review keeps.
pub fn visible(text: &str) -> String {
    let mut seen = String::new();
    for c in text.chars().take(KEPT_CHARS_MAX) {
        if c.is_ascii_graphic() || c == ' ' {
            seen.push(c);
        } else {
            seen.extend(c.escape_debug());
        }
    }
    seen.chars().take(KEPT_CHARS_MAX).collect()
}

/// What a field says in the sender's own letters.
fn raw(value: &Value) -> String {
    value.as_str().filter(|text| !text.trim().is_empty()).map_or_else(|| value.to_string(), str::to_owned)
}

/// An amount and a currency as a body has them.
pub(super) struct Money<'a> {
    pub(super) amount: Option<&'a Value>,
    pub(super) currency: Option<&'a Value>,
    /// Whether a minus is no more than the direction in which the money went.
    pub(super) may_be_negative: bool,
}

impl Money<'_> {
    /// Reads both. What cannot be understood is kept as it came: nothing about money is refused.
    pub(super) fn read(&self) -> (StatedAmount, Option<Currency>) {
        let given = |value: Option<&Value>| value.filter(|value| !value.is_null()).map(raw);
        let (amount, code) = (given(self.amount), given(self.currency));
        let currency = code.as_deref().and_then(|code| Currency::parse(&code.trim().to_ascii_uppercase()));
        let (digits, decimals) = (amount.as_deref().map(str::trim), currency.map(|currency| currency.decimals()));
        match (digits, &code) {
            (_, Some(code)) if currency.is_none() => (not_understood(&[digits.unwrap_or(""), code].join(" ")), None),
            (None, _) => (StatedAmount::NotGiven, currency),
            (Some(digits), _) => match Amount::parse_float(digits, decimals.unwrap_or(DECIMALS_MAX)) {
                Ok((amount, is_negative)) if !is_negative || self.may_be_negative => {
                    (StatedAmount::Is(amount), currency)
                }
                _ => (not_understood(digits), currency),
            },
        }
    }
}

pub(super) fn not_understood(text: &str) -> StatedAmount {
    StatedAmount::NotUnderstood(visible(text.trim()))
}

/// Epoch seconds of an instant: RFC 3339, or seconds or milliseconds since 1970.
pub(super) fn seconds(value: Option<&Value>) -> Option<u64> {
    let text = match value? {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    let is_count = [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let seconds = match whole.parse::<u64>().ok().filter(|_| is_count) {
        Some(seconds) if seconds < SECONDS_MAX => seconds,
        Some(milliseconds) => milliseconds / 1_000,
        None => text.parse::<jiff::Timestamp>().ok()?.as_second().try_into().ok()?,
    };
    (seconds < SECONDS_MAX).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_may_be_a_number_or_the_thing_itself_and_an_odd_one_is_kept_as_it_is() {
        let is = |text: &str| Id::Is(text.to_owned());
        let odd = |text: &str| Id::Odd(text.to_owned());
        for (value, expected) in [
            (json!(" pi_1\n"), is("pi_1")),
            (json!(12345), is("12345")),
            (json!({"id": "pi_1", "object": "payment_intent"}), is("pi_1")),
            (json!({"id": {"id": 7}}), is("7")),
            (json!("a b"), odd("a b")),
            (json!("x".repeat(256)), odd(&"x".repeat(256))),
            (json!(["pi_1"]), odd("[\"pi_1\"]")),
            (json!(" "), Id::Missing),
            (json!({}), Id::Missing),
            (json!([]), Id::Missing),
            (json!(true), Id::Missing),
            (Value::Null, Id::Missing),
        ] {
            assert_eq!(id(Some(&value)), expected, "{value}");
        }
        assert_eq!(id(None), Id::Missing);
        assert!(derived("a b").starts_with("odd-") && derived("a b").ends_with("-a_b"));
        assert_ne!(derived("a b"), derived("a_b"));
        for text in ["", "é\n\"", &"x".repeat(1_000)] {
            assert!(IdempotencyKey::parse(&derived(text)).is_some());
        }
    }

    #[test]
    fn money_is_an_amount_of_its_currency_or_what_the_sender_wrote() {
        let read = |amount: Value, currency: Value| {
            Money { amount: Some(&amount), currency: Some(&currency), may_be_negative: false }.read()
        };
        let is = |ten_thousandths| StatedAmount::Is(Amount::from_ten_thousandths(ten_thousandths));
        for (amount, currency, expected) in [
            (json!("50.00"), json!("USD"), is(500_000)),
            (json!(" 50 "), json!(" usd "), is(500_000)),
            (json!(49.999_999_999_999_99), json!("usd"), is(500_000)),
            (json!("49.99999999999999"), json!("USD"), is(500_000)),
            (json!("5e1"), json!("USD"), is(500_000)),
            (json!(500), json!("JPY"), is(5_000_000)),
            (json!("1.2345"), Value::Null, is(12_345)),
            (Value::Null, json!("USD"), StatedAmount::NotGiven),
            (Value::Null, Value::Null, StatedAmount::NotGiven),
        ] {
            assert_eq!(read(amount.clone(), currency.clone()).0, expected, "{amount} {currency}");
        }
        for (amount, currency, kept) in [
            (json!("1,234.00"), json!("USD"), "1,234.00"),
            (json!("$50"), json!("USD"), "$50"),
            (json!("50 €\u{202e}"), json!("EUR"), "50 €\\u{202e}"),
            (json!("-50.00"), json!("USD"), "-50.00"),
            (json!("50.001"), json!("USD"), "50.001"),
            (json!("50.5"), json!("JPY"), "50.5"),
            (json!(1e20), json!("USD"), "1e+20"),
            (json!(true), json!("USD"), "true"),
            (json!({"value": 5}), json!("USD"), "{\"value\":5}"),
            (json!(""), json!("USD"), "\"\""),
            (json!("50.00"), json!("dollar"), "50.00 dollar"),
            (json!("50.00"), json!(840), "50.00 840"),
            (Value::Null, json!("XXX"), "XXX"),
        ] {
            assert_eq!(read(amount, currency).0, StatedAmount::NotUnderstood(kept.to_owned()));
        }
        let refund = Money { amount: Some(&json!("-50.00")), currency: None, may_be_negative: true };
        assert_eq!(refund.read(), (is(500_000), None));
        let long = json!("9".repeat(1_000));
        assert_eq!(read(long, Value::Null).0, StatedAmount::NotUnderstood("9".repeat(KEPT_CHARS_MAX)));
    }

    #[test]
    fn an_instant_may_be_written_or_counted() {
        for (value, expected) in [
            (json!("2025-11-24T16:00:00Z"), Some(1_764_000_000)),
            (json!("2025-11-24T17:00:00.5+01:00"), Some(1_764_000_000)),
            (json!(1_764_000_000), Some(1_764_000_000)),
            (json!(1_764_000_000.75), Some(1_764_000_000)),
            (json!("1764000000"), Some(1_764_000_000)),
            (json!(1_764_000_000_123_u64), Some(1_764_000_000)),
            (json!(u64::MAX), None),
            (json!(-1), None),
            (json!("yesterday"), None),
            (json!("2025.11.24"), None),
            (json!("+1764000000"), None),
            (json!("1764000000.75.1"), None),
            (json!({}), None),
        ] {
            assert_eq!(seconds(Some(&value)), expected, "{value}");
        }
        assert_eq!(seconds(None), None);
    }
}
