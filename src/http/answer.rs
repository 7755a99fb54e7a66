//! Answers with a body of JSON.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    },
    web::Bytes,
};
use serde::Serialize;

/// Bytes that hold nearly every answer.
const BYTES: usize = 512;

static JSON: HeaderValue = HeaderValue::from_static("application/json");
static NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    written(status, write(body))
}

/// For what is exact at the instant of the answer, and may not be kept.
pub(super) fn fresh_json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    fresh(status, write(body))
}

/// As [`fresh_json`], of a body that is written already.
pub(super) fn fresh(status: StatusCode, body: Bytes) -> HttpResponse {
    let mut response = written(status, body);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE.clone());
    response
}

pub(super) fn write(body: &impl Serialize) -> Bytes {
    let mut bytes = Vec::with_capacity(BYTES);
    // No body of ours has a part that cannot be written.
    let _written = serde_json::to_writer(&mut bytes, body);
    bytes.into()
}

fn written(status: StatusCode, body: Bytes) -> HttpResponse {
    let mut response = HttpResponse::with_body(status, actix_web::body::BoxBody::new(body));
    response.headers_mut().insert(CONTENT_TYPE, JSON.clone());
    response
}
