//! Reads bodies: bounded in size and time, JSON alone.

use std::time::Duration;

use actix_web::{
    HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap},
    web::{Bytes, BytesMut},
};
use futures_util::StreamExt;

use super::{
    extract,
    fields::{self, Json},
    problem::{Code, FieldError, Problem},
};

/// The body as bytes; a JSON content type is required.
pub(super) async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    bytes_max: usize,
    limit: Duration,
) -> Result<Bytes, Problem> {
    require_json(request.headers())?;
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > bytes_max as u64) {
        return Err(too_large(bytes_max));
    }
    let whole = tokio::time::timeout(limit, collect(payload, bytes_max)).await;
    whole.unwrap_or_else(|_| {
        let detail = format!("the body did not arrive within {} ms", limit.as_millis());
        Err(Problem::new(Code::RequestTimeout, detail).closing())
    })
}

/// The body as a JSON value of known shape: `read_object` takes what it knows and complains about the rest.
pub(super) async fn read_json<T>(
    request: &HttpRequest,
    payload: &mut Payload,
    read_object: impl FnOnce(Json<'_>, &mut Vec<FieldError>) -> Option<T>,
) -> Result<T, Problem> {
    let limits = extract::desk(request).limits;
    let bytes = read(request, payload, limits.body_bytes_max, limits.read_timeout).await?;
    let json = fields::parse(&bytes).map_err(|_| not_json())?;
    let mut errors = Vec::new();
    match read_object(json, &mut errors) {
        Some(value) if errors.is_empty() => Ok(value),
        _ => Err(Problem::of_fields(&errors)),
    }
}

pub(super) fn not_json() -> Problem {
    Problem::new(Code::MalformedJson, "the body could not be read as JSON, or has a number that is too large")
}

async fn collect(payload: &mut Payload, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_| Problem::new(Code::MalformedJson, "the body ended early or is damaged").closing())?;
        if first.len() + rest.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        // Nearly every body comes in one piece, which is then not copied.
        if first.is_empty() {
            first = chunk;
        } else {
            rest.extend_from_slice(&chunk);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    Ok([&first[..], &rest[..]].concat().into())
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("a body may have {bytes_max} bytes")).closing()
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let of = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let media_type = of(header::CONTENT_TYPE).and_then(|value| value.split(';').next()).unwrap_or("").trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(Code::UnsupportedMediaType, "send Content-Type: application/json"));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Problem::new(Code::UnsupportedMediaType, "send the body without Content-Encoding"));
    }
    Ok(())
}
