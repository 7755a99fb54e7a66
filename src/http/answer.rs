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

use crate::wire::Page;

/// The size of nearly every answer.
const BYTES: usize = 512;

static JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The answer must not be cached.
pub(super) static NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    written(status, write(body))
}

/// An answer that is exact at its instant, and must not be cached.
pub(super) fn fresh_json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    fresh(status, write(body))
}

/// [`fresh_json`] for a body that is written already.
pub(super) fn fresh(status: StatusCode, body: Bytes) -> HttpResponse {
    let mut response = written(status, body);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE.clone());
    response
}

/// A page of a list.
pub(super) fn page<T: Serialize>(data: Vec<T>, next_cursor: Option<String>) -> HttpResponse {
    fresh_json(StatusCode::OK, &Page { data, next_cursor })
}

pub(super) fn write(body: &impl Serialize) -> Bytes {
    let mut bytes = Vec::with_capacity(BYTES);
    // No body has a part that cannot be written.
    let _written = serde_json::to_writer(&mut bytes, body);
    bytes.into()
}

fn written(status: StatusCode, body: Bytes) -> HttpResponse {
    let mut response = HttpResponse::with_body(status, actix_web::body::BoxBody::new(body));
    response.headers_mut().insert(CONTENT_TYPE, JSON.clone());
    response
}
