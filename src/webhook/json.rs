//! JSON as senders really write it. Bytes that a sender signed are an event, even when they are not quite JSON.

use std::borrow::Cow;

use serde_json::Value;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a body. What a strict reader refuses is [mended](mend) once, because a text that nobody needs must not cost a payment.
pub(super) fn parse(body: &[u8]) -> Option<Value> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    serde_json::from_slice(body).or_else(|_| serde_json::from_slice(&mend(body))).ok()
}

/// A field with a string in it.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// Replaces bytes that are no UTF-8, halves of surrogate pairs, and control characters in texts by `U+FFFD`. Numbers that no
/// float holds become texts, so that only a field that needs the number has to do without.
fn mend(body: &[u8]) -> Vec<u8> {
    let body = String::from_utf8_lossy(body);
    let mut mended = String::with_capacity(body.len());
    let mut rest = body.as_ref();
    let mut in_text = false;
    while let Some(next) = rest.chars().next() {
        let (len, instead) = if in_text { in_a_text(rest, next) } else { between_texts(rest, next) };
        in_text ^= next == '"';
        mended.push_str(&instead);
        rest = &rest[len..];
    }
    mended.into_bytes()
}

/// How many bytes stand at the beginning of the rest of a text, and what they become.
fn in_a_text(rest: &str, next: char) -> (usize, Cow<'_, str>) {
    const UNKNOWN: Cow<'_, str> = Cow::Borrowed("\u{fffd}");
    match (next, unit(rest)) {
        ('\\', Some(0xd800..=0xdbff)) if matches!(rest.get(6..).and_then(unit), Some(0xdc00..=0xdfff)) => {
            (12, rest[..12].into())
        }
        ('\\', Some(0xd800..=0xdfff)) => (6, UNKNOWN),
        // The escaped character may be a quote.
        ('\\', _) => {
            let len = rest.chars().take(2).map(char::len_utf8).sum();
            (len, rest[..len].into())
        }
        (next, _) if next < ' ' => (next.len_utf8(), UNKNOWN),
        (next, _) => (next.len_utf8(), rest[..next.len_utf8()].into()),
    }
}

/// The code unit of an escape such as `\ud83d`.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

fn between_texts(rest: &str, next: char) -> (usize, Cow<'_, str>) {
    if !next.is_ascii_digit() && next != '-' {
        return (next.len_utf8(), rest[..next.len_utf8()].into());
    }
    let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    let number = &rest[..rest.find(|c| !is_of_number(c)).unwrap_or(rest.len())];
    let is_too_large = number.parse().is_ok_and(f64::is_infinite);
    (number.len(), if is_too_large { format!("\"{number}\"").into() } else { number.into() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{super::anything::any_json, *};

    proptest! {
        #[test]
        fn good_json_is_mended_to_itself(value in any_json()) {
            let body = value.to_string().into_bytes();
            prop_assert_eq!(mend(&body), body);
        }

        #[test]
        fn any_bytes_are_read_or_not(body in prop::collection::vec(prop::sample::select(b"\\ud83e90\"{}:,-1\xff\n ".to_vec()), 0..40)) {
            let (strict, read) = (serde_json::from_slice::<Value>(&body).ok(), parse(&body));
            prop_assert!(strict.is_none() || strict == read);
        }
    }

    #[test]
    fn a_text_that_nobody_needs_costs_no_event() {
        for (body, name) in [
            (&b"\xef\xbb\xbf{\"a\":1,\"b\":\"x\"}"[..], "x"),
            (br#"{"a":1,"b":"\ud83d"}"#, "\u{fffd}"),
            (br#"{"a":1,"b":"\ude00\ud83d\ude00\\\ud83d\" \uD83Dx"}"#, "\u{fffd}\u{1f600}\\\u{fffd}\" \u{fffd}x"),
            (br#"{"a":1,"b":"\ud83d\n\ud83"}"#, ""),
            (b"{\"a\":1,\"b\":\"caf\xe9\"}", "caf\u{fffd}"),
            (b"{\"a\":1,\"b\":\"two\nlines\"}", "two\u{fffd}lines"),
            (br#"{"a":1,"b":-1e999}"#, "-1e999"),
            (br#"{"a":1,"c":"\ud83d 1e999","b":"1e999"}"#, "1e999"),
        ] {
            let read = parse(body);
            let expected = (!name.is_empty()).then_some(name);
            assert_eq!(read.as_ref().and_then(|read| text(read, "b")), expected, "{}", String::from_utf8_lossy(body));
            assert!(read.is_none_or(|read| read["a"] == 1));
        }
    }

    #[test]
    fn what_is_no_json_is_not_made_json() {
        for body in ["", "{", "hello", r#"{"a":"#, r#"{"a":"b}"#, r#"{"a":"\"#, r#"{"a":"\ud83d"#, "[1,]", "\u{feff}"] {
            assert_eq!(parse(body.as_bytes()), None, "{body}");
        }
        assert_eq!(parse(br#" {"a":[1.50,-2e3,"\ud83d\ude00"]} "#), Some(json!({"a": [1.5, -2000.0, "\u{1f600}"]})));
    }
}
