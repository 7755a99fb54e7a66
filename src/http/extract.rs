//! Requests as commands: the argument of a handler was read, checked and parsed.

use std::{future::Future, pin::Pin};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{HeaderMap, HeaderName},
    web::Data,
};

use super::{
    HttpContext,
    problem::{FieldError, Problem},
};
use crate::domain::text::IdempotencyKey;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A command that is read from a request.
pub(super) trait FromHttp: Sized + 'static {
    /// # Errors
    /// A [`Problem`] that says what is wrong with the request.
    fn read(request: HttpRequest, payload: Payload) -> impl Future<Output = Result<Self, Problem>>;
}

/// The argument of a handler.
pub(super) struct Parsed<T>(pub(super) T);

impl<T: FromHttp> FromRequest for Parsed<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let reading = T::read(request.clone(), payload.take());
        Box::pin(async move { reading.await.map(Self) })
    }
}

pub(super) fn context(request: &HttpRequest) -> Data<HttpContext> {
    request.app_data::<Data<HttpContext>>().expect("the application registers its context").clone()
}

/// The header `Idempotency-Key`, if there is one.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY);
    let Some(first) = given.next() else { return Ok(None) };
    // One quote alone is a slip, and would make it another key.
    let is_whole = |text: &&str| text.starts_with('"') == text.ends_with('"') && *text != "\"";
    let text = first.to_str().ok().filter(is_whole);
    let key = text.and_then(IdempotencyKey::parse).filter(|_| given.next().is_none());
    key.map(Some).ok_or_else(|| {
        Problem::of_fields(&[FieldError {
            pointer: String::new(),
            code: "invalid_idempotency_key",
            detail: "the header Idempotency-Key must be given once, with 1 to 255 visible ASCII characters, bare or between two quotes".into(),
        }])
    })
}
