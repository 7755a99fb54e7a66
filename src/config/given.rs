//! Values as they are given: what files, shells and containers leave around them, and the types that they become.

use std::fmt;

use config::{Value, ValueKind};

const QUOTED: &str = "begins and ends with a quote: remove the quotes, which `docker run --env-file` and others keep";
const EMPTY: &str = "is set, but empty: give it a value, or leave it out";

/// Where a value comes from.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    File,
    Flag,
    Variable(&'a str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "the file",
            Self::Flag => "a flag",
            Self::Variable(name) => name,
        })
    }
}

/// The text without the blanks and line ends around it, and without a byte order mark.
///
/// # Errors
/// What is wrong: it is empty, or has quotes or other things around or in it that nobody means. The value is not repeated.
pub fn plain_text(text: &str) -> Result<&str, &'static str> {
    let plain = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let is_quoted = |quote: char| plain.len() > 1 && plain.starts_with(quote) && plain.ends_with(quote);
    if plain.is_empty() {
        return Err(EMPTY);
    }
    if ['"', '\'', '`'].into_iter().any(is_quoted) {
        return Err(QUOTED);
    }
    if plain.contains('\u{fffd}') {
        return Err("has bytes that are no UTF-8");
    }
    if plain.contains(char::is_control) {
        return Err("has a line end or another control character in it");
    }
    Ok(plain)
}

/// The value in the type of the default.
pub(super) fn read(value: Value, default: &ValueKind, place: Place<'_>) -> Result<ValueKind, String> {
    match (value.kind, default) {
        (ValueKind::Array(items), ValueKind::Array(_)) => {
            list(items.into_iter().map(|item| item.into_string().map_err(|_| "must be a list of texts".to_owned())))
        }
        (ValueKind::Array(_) | ValueKind::Table(_) | ValueKind::Nil, _) => Err("must be one value".to_owned()),
        // A file says with an empty text what its default says.
        (ValueKind::String(text), ValueKind::String(_)) if text.is_empty() && matches!(place, Place::File) => {
            Ok(ValueKind::String(text))
        }
        (kind, default) => {
            let text = kind.to_string();
            typed(plain_text(&text)?, default)
        }
    }
}

/// The text in the type of the default, if it can be read so. Else it stays a text, which its reader complains about.
fn typed(text: &str, default: &ValueKind) -> Result<ValueKind, String> {
    let text_kind = || ValueKind::String(text.to_owned());
    Ok(match default {
        ValueKind::Array(_) => return split(text),
        ValueKind::Boolean(_) => text.to_lowercase().parse().map_or_else(|_| text_kind(), ValueKind::Boolean),
        // A default of 0 may stand for a fraction.
        ValueKind::I64(_) | ValueKind::U64(_) | ValueKind::Float(_) => number(text).unwrap_or_else(text_kind),
        _ => text_kind(),
    })
}

/// Digits, perhaps with a minus and a fraction. Nothing is rounded to a whole number.
fn number(text: &str) -> Option<ValueKind> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    if fraction.bytes().all(|byte| byte == b'0') {
        return text.split('.').next()?.parse().ok().map(ValueKind::I64);
    }
    text.parse().ok().filter(|number: &f64| number.fract() != 0.0).map(ValueKind::Float)
}

fn split(text: &str) -> Result<ValueKind, String> {
    if text.starts_with('[') && text.ends_with(']') {
        return Err("must be separated by commas, without brackets and quotes".to_owned());
    }
    list(text.split(',').map(|item| Ok(item.to_owned())))
}

fn list(items: impl Iterator<Item = Result<String, String>>) -> Result<ValueKind, String> {
    let mut values = Vec::new();
    for (at, item) in items.enumerate() {
        let item = item?;
        let plain = plain_text(&item)
            .map_err(|what| format!("number {} {}", at + 1, if what == EMPTY { "is empty" } else { what }))?;
        values.push(Value::from(plain));
    }
    Ok(ValueKind::Array(values))
}

/// Whether Kubernetes made this variable, because a service of the cluster has a name that begins with `flashsale`.
pub(super) fn is_service_link(key: &str, value: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let ends = |end: &str| key == end || key.ends_with(&format!("_{end}"));
    let is_port_of = |text: &str| {
        let mut parts = text.split('_');
        let is_number = parts.next().is_some_and(|number| number.parse::<u16>().is_ok());
        is_number && parts.next().is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol))
    };
    ends("SERVICE_HOST")
        || ends("SERVICE_PORT")
        || key.starts_with("SERVICE_PORT_")
        || key.contains("_SERVICE_PORT_")
        || ends("PORT") && is_url
        || key.strip_prefix("PORT_").or_else(|| Some(key.split_once("_PORT_")?.1)).is_some_and(is_port_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_around_a_value_is_trimmed_or_named() {
        for (given, plain) in [(" x\r\n", "x"), ("\u{feff}x\u{a0}", "x"), ("it's", "it's"), ("\"", "\"")] {
            assert_eq!(plain_text(given), Ok(plain));
        }
        for (given, what) in [
            ("", EMPTY),
            (" \t\n", EMPTY),
            ("\"x\"", QUOTED),
            (" 'x' ", QUOTED),
            ("\"\"", QUOTED),
            ("x\u{fffd}", "has bytes that are no UTF-8"),
            ("x\ny", "has a line end or another control character in it"),
        ] {
            assert_eq!(plain_text(given), Err(what), "{given}");
        }
    }

    #[test]
    fn a_number_is_what_its_digits_say_or_stays_a_text() {
        for (given, read) in [
            ("5", ValueKind::I64(5)),
            ("-5", ValueKind::I64(-5)),
            ("007.00", ValueKind::I64(7)),
            ("0.5", ValueKind::Float(0.5)),
            ("9007199254740993", ValueKind::I64(9_007_199_254_740_993)),
        ] {
            assert_eq!(typed(given, &ValueKind::I64(0)), Ok(read), "{given}");
        }
        for text in
            ["+5", "1e3", "5.", ".5", "inf", "nan", "0x10", "5.00000000000000000001", "99999999999999999999", "-", "٣"]
        {
            assert_eq!(typed(text, &ValueKind::I64(0)), Ok(ValueKind::String(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn variables_of_kubernetes_are_no_settings() {
        for (key, value) in [
            ("SERVICE_HOST", "10.0.0.1"),
            ("SERVICE_PORT", "80"),
            ("SERVICE_PORT_HTTP", "80"),
            ("PORT", "tcp://10.0.0.1:80"),
            ("PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("PORT_80_TCP_PROTO", "tcp"),
            ("PORT_80_TCP_ADDR", "10.0.0.1"),
            ("REDIS_SERVICE_HOST", "10.0.0.1"),
            ("REDIS_PORT", "tcp://10.0.0.1:6379"),
            ("REDIS_PORT_6379_TCP_PORT", "6379"),
        ] {
            assert!(is_service_link(key, value), "{key}");
        }
        for (key, value) in
            [("PORT", "8080"), ("HTTP__ADDR", "tcp://x"), ("HTTP__PORT_80", "1"), ("REDIS__URL", "tcp://x")]
        {
            assert!(!is_service_link(key, value), "{key}");
        }
    }
}
