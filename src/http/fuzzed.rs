//! Properties of the bodies and queries of requests.

use std::{cell::LazyCell, fmt::Write as _, io::Write as _, time::Duration};

use actix_http::BoxedPayloadStream;
use actix_web::{
    dev::Payload,
    http::header::{self, HeaderMap, HeaderValue},
    web::Bytes,
};
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use futures_util::stream;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::{
    admin, body,
    fields::{self, Json},
    holds::{self, HoldRequest},
    orders,
    parameters::Parameters,
    problem::{FieldError, Problem},
};
pub(crate) use super::{
    admin::fuzzed::{lines, tables},
    edge::fuzzed::heads,
};
use crate::domain::{cursor::ListCursor, ids::SaleId};

/// Reads a body, and writes what it made of it.
pub(in crate::http) type Reader = fn(Json<'_>, &mut Vec<FieldError>) -> Option<String>;

const READERS: [Reader; 3] = [
    |json, errors| holds::read_request(json, None, errors).map(|read| format!("{read:?}")),
    |json, errors| holds::read_seconds(json, errors).map(|read| format!("{read:?}")),
    |json, errors| orders::read_hold_id(json, errors).map(|read| format!("{read:?}")),
];

/// A refusal says why, and can be written.
pub(in crate::http) fn sound(problem: &Problem) {
    let (code, detail, more) = problem.parts();
    assert!(!code.is_empty() && !detail.is_empty(), "refused without a reason: {problem:?}");
    for error in more.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| error[name].as_str().unwrap_or("");
        assert!(text("pointer").is_empty() || text("pointer").starts_with('/'), "{error}");
        assert!(!text("code").is_empty() && !text("detail").is_empty(), "{error}");
        assert!(!format!("{}{}", text("pointer"), text("detail")).contains(char::is_control), "{error:?}");
    }
    assert!(more.get("errors").and_then(Value::as_array).is_none_or(|errors| !errors.is_empty()));
}

/// Any bytes as the body of every request that takes JSON.
pub(crate) fn bodies(bytes: &[u8]) {
    let Ok(json) = fields::parse(bytes) else { return };
    let written = written(&json);
    let again = fields::parse(written.as_bytes()).expect("what was written is JSON");
    assert_eq!(again, json, "{written}");
    let strict = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let strict: Option<Value> = serde_json::from_slice(strict).ok();
    for (at, reader) in READERS.iter().chain(&admin::fuzzed::READERS).enumerate() {
        let mut errors = Vec::new();
        let read = reader(json.clone(), &mut errors).filter(|_| errors.is_empty());
        if read.is_none() {
            assert!(!errors.is_empty(), "reader {at} refuses without a reason: {written}");
            sound(&Problem::of_fields(&errors));
            continue;
        }
        let mut errors = Vec::new();
        assert_eq!(
            reader(turned(&json), &mut errors),
            read,
            "reader {at}, with the fields in another order: {written}"
        );
        assert!(errors.is_empty());
    }
    if let Some(strict) = &strict {
        units(&json, strict);
    }
}

/// The units of a hold are the sum of what was asked for.
fn units(json: &Json<'_>, strict: &Value) {
    let mut errors = Vec::new();
    let request = holds::read_request(json.clone(), None, &mut errors).filter(|_| errors.is_empty());
    let Some(HoldRequest::ById(command)) = request else { return };
    let quantity = |line: &Value| line["quantity"].as_f64().expect("a number");
    let items = strict["items"].as_array();
    let asked: f64 = items.map_or_else(|| quantity(strict), |items| items.iter().map(quantity).sum());
    let read: u32 = command.lines.as_slice().iter().map(|line| u32::try_from(line.quantity.get()).unwrap_or(0)).sum();
    assert!((asked - f64::from(read)).abs() < 0.5, "{strict} asks for {asked}, and {read} would be held");
}

fn turned<'a>(json: &Json<'a>) -> Json<'a> {
    match json {
        Json::Object(fields) => Json::Object(fields.iter().rev().cloned().collect()),
        other => other.clone(),
    }
}

fn written(json: &Json<'_>) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(is_true) => is_true.to_string(),
        Json::Count(count) => count.to_string(),
        Json::Negative(number) => number.to_string(),
        Json::OtherNumber => "0.5".to_owned(),
        Json::Text(text) => Value::from(&**text).to_string(),
        Json::List(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(",")),
        Json::Object(fields) => {
            let mut text = String::from("{");
            for (at, (name, value)) in fields.iter().enumerate() {
                let (comma, inner) = (if at > 0 { "," } else { "" }, written(value));
                let _written = write!(text, "{comma}{}: {}", Value::from(&**name), inner);
            }
            text + "}"
        }
    }
}

const BODY_BYTES_MAX: usize = 200;

thread_local! {
    static RUNTIME: LazyCell<Runtime> =
        const { LazyCell::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime")) };
}

/// The line of a `Content-Type`, that of a `Content-Encoding`, and a body. However it comes, it is the same.
pub(crate) fn transfers(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let (Some(media_type), Some(coding), Some(body)) = (lines.next(), lines.next(), lines.next()) else { return };
    let values = [media_type, coding].map(|line| HeaderValue::from_bytes(line).ok());
    let [Some(media_type), Some(coding)] = values else { return };
    let whole = received(&media_type, &coding, body, body.len().max(1));
    let in_pieces = received(&media_type, &coding, body, body.len() % 7 + 1);
    assert_eq!(whole, in_pieces, "in pieces");
    let words = String::from_utf8_lossy(coding.as_bytes()).to_lowercase();
    let words: Vec<&str> = words.split(',').map(str::trim).filter(|word| !["", "identity"].contains(word)).collect();
    if let Ok(read) = &whole {
        assert!(read.len() <= BODY_BYTES_MAX, "{} bytes", read.len());
        assert!(!words.is_empty() || *read == body, "a plain body is read as it is");
        assert!(words.len() < 2, "one coding in another");
        let named = String::from_utf8_lossy(media_type.as_bytes()).to_lowercase();
        let named = named.split(';').next().unwrap_or("").trim().to_owned();
        assert!(["application/json", "text/json"].contains(&&*named) || named.ends_with("+json"), "{named}");
    }
    let coded = match words[..] {
        ["gzip" | "x-gzip"] => gzip(body),
        ["deflate"] => deflate(body),
        _ => return,
    };
    // What the type refuses, it refuses whatever the body is.
    match received(&media_type, &coding, &coded, 5) {
        Ok(read) => assert!(read == body && body.len() <= BODY_BYTES_MAX),
        Err(code) => {
            assert!(code == "unsupported_media_type" || coded.len().max(body.len()) > BODY_BYTES_MAX, "{code}");
        }
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory can be written")
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory can be written")
}

/// The bytes, or the code of the problem.
fn received(media_type: &HeaderValue, coding: &HeaderValue, body: &[u8], piece: usize) -> Result<Vec<u8>, String> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, media_type.clone());
    headers.insert(header::CONTENT_ENCODING, coding.clone());
    let pieces: Vec<_> = body.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let pieces: BoxedPayloadStream = Box::pin(stream::iter(pieces));
    let mut payload = Payload::Stream { payload: pieces };
    let limit = Duration::from_mins(1);
    let reading = body::read(&headers, &mut payload, "application/json", BODY_BYTES_MAX, limit);
    let read = RUNTIME.with(|runtime| runtime.block_on(reading));
    read.map(|bytes| bytes.to_vec()).map_err(|problem| {
        sound(&problem);
        problem.code().row().0.to_owned()
    })
}

/// A query. What is taken is what it says once, and what nobody reads is refused.
pub(crate) fn queries(bytes: &[u8]) {
    const KNOWN: [&str; 4] = ["limit", "cursor", "sale", "dry_run"];
    let query = &*String::from_utf8_lossy(bytes);
    let given: Vec<(String, String)> = query.split('&').filter(|part| !part.is_empty()).map(pair).collect();
    let mut parameters = Parameters::of_query(query, &KNOWN);
    let limit = parameters.limit();
    let cursor = parameters.read("cursor", "a cursor", ListCursor::parse);
    let sale = parameters.read("sale", "a sale", SaleId::parse);
    let flag = parameters.read("dry_run", "true or false", |text| text.parse::<bool>().ok());
    let read = [
        ("cursor", cursor.map(|cursor| cursor.to_string())),
        ("sale", sale.map(|sale| sale.to_string())),
        ("dry_run", flag.map(|flag| flag.to_string())),
        (
            "limit",
            Some(limit.to_string()).filter(|_| given.iter().any(|(name, text)| name == "limit" && !text.is_empty())),
        ),
    ];
    if let Err(problem) = parameters.finish(()) {
        sound(&problem);
        assert!(!given.is_empty());
        return;
    }
    for (name, _) in &given {
        assert!(KNOWN.contains(&&**name), "{name:?} is read by nobody");
        assert_eq!(given.iter().filter(|(other, _)| other == name).count(), 1, "{name:?} is there twice");
    }
    for (name, read) in read {
        let text = given.iter().find(|(other, text)| other == name && !text.is_empty());
        let text = text.map(|(_, text)| if name == "limit" { text.trim_start_matches('0') } else { text });
        assert_eq!(read.as_deref(), text, "{name} in {query:?}");
    }
}

fn pair(part: &str) -> (String, String) {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    (decoded(name), decoded(value))
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let hex = after.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let hex = hex.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match (first, hex) {
            (b'+', _) => bytes.push(b' '),
            (b'%', Some(digits)) => {
                bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
                rest = &after[2..];
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
