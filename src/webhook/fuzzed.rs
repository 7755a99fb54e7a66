//! Properties of payment events, whoever sends them.

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::FutureExt;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::{
    Headers, Message, PROVIDERS, Provider, Reading,
    event::EventError,
    json,
    signature::{Distrust, Refusal, Verifier},
    standard, stripe, words,
};
use crate::domain::{
    fuzzed::Decimal,
    payment::{PaymentEvent, PaymentStatus, StatedAmount},
    text::IdempotencyKey,
};

struct Lines(Vec<(Vec<u8>, Vec<u8>)>);

impl Lines {
    /// `name: value`, one a line.
    fn read(bytes: &[u8]) -> Self {
        let read = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((line[..colon].trim_ascii().to_ascii_lowercase(), line[colon + 1..].trim_ascii().to_owned()))
        };
        Self(bytes.split(|byte| *byte == b'\n').filter_map(read).collect())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.value(name).and_then(|value| str::from_utf8(value).ok())
    }
}

impl Headers for Lines {
    fn value(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(other, _)| other == name.as_bytes()).map(|(_, value)| &**value)
    }
}

/// Bodies. What is about money and has a name is never refused, and amounts are what an independent reading says.
pub(crate) fn events(bytes: &[u8]) {
    let strict: Option<Value> = serde_json::from_slice(bytes).ok();
    assert!(strict.is_none() || strict == json::parse(bytes), "good JSON is read as it is");
    let named = Lines(vec![(b"webhook-id".to_vec(), b"msg_1".to_vec())]);
    for provider in PROVIDERS {
        let reading = (provider.read)(bytes, &named);
        match &reading {
            Ok(Reading::Event(event)) => sound(event),
            Ok(Reading::Irrelevant) => {}
            Ok(Reading::UnknownStatus(word)) => assert!(!word.trim().is_empty()),
            Err(EventError::NotJson) => assert_eq!(strict, None),
            Err(EventError::Field { code, detail, .. }) => assert!(!code.is_empty() && !detail.is_empty()),
        }
        let Some(value) = &strict else { continue };
        if !has_float(value) {
            assert_eq!((provider.read)(value.to_string().as_bytes(), &named), reading, "written again");
        }
        if std::ptr::eq(provider, &raw const standard::PROVIDER) {
            of_ours(value, &reading);
        } else if std::ptr::eq(provider, &raw const stripe::PROVIDER) {
            of_stripe(value, &reading);
        }
    }
}

/// Floats may lose a digit when they are read.
fn has_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_float),
        Value::Object(fields) => fields.values().any(has_float),
        _ => false,
    }
}

fn sound(event: &PaymentEvent) {
    assert!(IdempotencyKey::parse(event.key.as_str()).is_some());
    assert!(event.target.is_some() || event.payment.is_some(), "it is about nothing");
    assert!(!matches!(event.amount, StatedAmount::NotUnderstood(_)) || event.status.is_about_money());
    if let StatedAmount::NotUnderstood(text) = &event.amount {
        assert!(!text.contains(char::is_control), "{text:?} can be printed");
    }
}

fn of_ours(body: &Value, reading: &Result<Reading, EventError>) {
    let payload = &body["payload"];
    let word = payload["status"].as_str().and_then(|word| words::status(&words::normal(word)));
    let is_named = payload["order_id"].as_str().is_some_and(|id| !id.trim().is_empty());
    if word.is_some_and(PaymentStatus::is_about_money) && is_named {
        assert!(matches!(reading, Ok(Reading::Event(_))), "{reading:?} of {body}");
    }
    let Ok(Reading::Event(event)) = reading else { return };
    assert_eq!(Some(event.status), word);
    let StatedAmount::Is(amount) = event.amount else { return };
    let given = payload["amount"].as_str().map_or_else(|| payload["amount"].to_string(), str::to_owned);
    let decimal = Decimal::read(given.trim()).unwrap_or_else(|| panic!("{given:?} was read as {amount:?}"));
    let is_near = || {
        let [given, read] =
            [given.trim(), &amount.written(None)].map(|text| text.parse::<f64>().map_or(f64::NAN, f64::abs));
        (given - read).abs() <= 0.0011 + given * 1e-15
    };
    assert!(decimal.magnitude() == Decimal::of(amount) || is_near(), "{given:?} was read as {amount:?}");
    assert!(event.status != PaymentStatus::Paid || decimal == decimal.magnitude() || amount.ten_thousandths() == 0);
}

fn of_stripe(body: &Value, reading: &Result<Reading, EventError>) {
    let is_named = body["id"].as_str().is_some_and(|id| !id.trim().is_empty());
    let is_typed = body["type"].as_str().is_some_and(|kind| !kind.trim().is_empty());
    if is_named && is_typed {
        assert!(reading.is_ok(), "{reading:?} of {body}");
    }
    let Ok(Reading::Event(event)) = reading else { return };
    assert!(event.payment.is_some(), "no payment of Stripe is nameless");
    assert_eq!(event.amount.known().is_some(), event.currency.is_some());
    assert!(!event.status.is_about_money() || event.amount != StatedAmount::NotGiven);
}

const KEY: &[u8; 32] = b"0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_700_000_000;
const TOLERANCE: u64 = 300;

/// Headers, an empty line, and a body. An `@` stands for the right signature, in both providers' letters. What is trusted was
/// signed, and what was signed in the usual way is trusted.
pub(crate) fn signatures(bytes: &[u8]) {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((bytes, &b""[..]), |end| (&bytes[..end], &bytes[end + 2..]));
    of_standard(Lines::read(head), body);
    of_stripe_signature(Lines::read(head), body);
}

fn mac(head: &str, body: &[u8], key: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(&[head.as_bytes(), body].concat());
    mac.finalize().into_bytes().into()
}

/// Whether it is trusted.
fn judged(provider: &'static Provider, secret: &str, headers: &Lines, body: &[u8]) -> Result<(), Distrust> {
    let verifier = Verifier::new(provider, [secret], false, TOLERANCE).expect("a secret in the right form");
    let message = Message { headers, body, now_seconds: NOW };
    match verifier.open(message).now_or_never().expect("a signature needs no waiting") {
        Err(Refusal::Distrusted(reason)) => Err(reason),
        Ok(_) | Err(Refusal::Misread(_)) => Ok(()),
        Err(Refusal::OtherMediaType) => panic!("an unsigned event is not allowed"),
    }
}

fn fill_in(headers: &mut Lines, names: &[&str], signature: &str) {
    for (name, value) in &mut headers.0 {
        if names.iter().any(|other| other.as_bytes() == name) {
            *value = value.split(|byte| *byte == b'@').collect::<Vec<_>>().join(signature.as_bytes());
        }
    }
}

fn is_timely(text: &str) -> bool {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits && text.parse::<u64>().is_ok_and(|sent| sent.abs_diff(NOW) <= TOLERANCE)
}

fn of_standard(mut headers: Lines, body: &[u8]) {
    let right = |headers: &Lines| {
        let text = |name: &str| headers.value(&format!("webhook-{name}")).or(headers.value(&format!("svix-{name}")));
        let text = |name: &str| Some(str::from_utf8(text(name)?).ok()?.to_owned());
        let (id, sent) = (text("id")?, text("timestamp")?);
        Some((STANDARD.encode(mac(&format!("{id}.{sent}."), body, KEY)), id, sent))
    };
    let usual = headers.text("webhook-signature") == Some("v1,@");
    if let Some((signature, ..)) = right(&headers) {
        fill_in(&mut headers, &["webhook-signature", "svix-signature"], &signature);
    }
    let secret = format!("whsec_{}", STANDARD.encode(KEY));
    let judged = judged(&standard::PROVIDER, &secret, &headers, body);
    let signed = right(&headers);
    if judged.is_ok() {
        let (signature, _, sent) = signed.expect("a trusted event has an id and a timestamp");
        let given = headers.text("webhook-signature").or(headers.text("svix-signature")).expect("a signature");
        assert!(given.contains(&format!("v1,{}", signature.trim_end_matches('='))), "{given:?} is trusted");
        assert!(is_timely(&sent), "{sent:?} is trusted");
    } else if usual && let Some((_, id, sent)) = signed {
        let is_usual = id.is_ascii() && id.len() <= 4_096 && is_timely(&sent) && sent.len() <= 4_096;
        assert!(!is_usual, "it was signed, and is refused: {judged:?}");
    }
    assert_eq!(
        judged == Err(Distrust::Unsigned),
        headers.value("webhook-signature").or(headers.value("svix-signature")).is_none()
    );
}

fn of_stripe_signature(mut headers: Lines, body: &[u8]) {
    const NAME: &str = "stripe-signature";
    let secret = "whsec_0123456789abcdef";
    let right = |headers: &Lines| {
        let sent = headers.text(NAME)?.split(',').find_map(|entry| entry.trim().strip_prefix("t="))?.to_owned();
        Some((hex::encode(mac(&format!("{sent}."), body, secret.as_bytes())), sent))
    };
    let usual = headers.text(NAME).is_some_and(|given| {
        let sent = given.strip_prefix("t=").and_then(|rest| rest.strip_suffix(",v1=@"));
        sent.is_some_and(is_timely)
    });
    if let Some((signature, _)) = right(&headers) {
        fill_in(&mut headers, &[NAME], &signature);
    }
    let judged = judged(&stripe::PROVIDER, secret, &headers, body);
    if judged.is_ok() {
        let (signature, sent) = right(&headers).expect("a trusted event has a timestamp");
        let given = headers.text(NAME).expect("a signature").to_ascii_lowercase();
        assert!(given.contains(&format!("v1={signature}")) && is_timely(&sent), "{given:?} is trusted");
    }
    assert!(!usual || judged.is_ok(), "it was signed, and is refused: {judged:?}");
    assert_eq!(judged == Err(Distrust::Unsigned), headers.value(NAME).is_none());
}
