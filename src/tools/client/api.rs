//! The client floor: calls of the API with a token, and refusals that a program and a person can read. Every command and
//! the rush ask the service through it; only the buyers of a rush send raw requests.

use std::{rc::Rc, time::Duration};

use hyper::{
    HeaderMap, Method, StatusCode,
    body::Bytes,
    header::{AUTHORIZATION, DATE, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Answer, Bounds, CallPath, Connection, Endpoint, Request, Stream, TransportError, endpoint::JSON, walk::read_list,
};
use crate::{
    tools::text::cut,
    wire::{Page, problem::FieldErrorBody},
};

/// Routes below this need a token.
const ADMIN: &str = "/api/admin";
/// An import takes its time.
const BOUNDS: Bounds = Bounds { timeout: Duration::from_mins(1), body_bytes_max: 64 << 20 };
/// The part of an answer that is shown if it is not one of flashsale's.
const RAW_CHARS_MAX: usize = 200;

/// A connection to the service, with the caller's token.
pub struct ApiClient {
    endpoint: Rc<Endpoint>,
    connection: Connection,
    bounds: Bounds,
    bearer: Option<HeaderValue>,
    date: Option<String>,
    has_sent_change: bool,
}

/// One request.
pub struct ApiCall {
    method: Method,
    path: CallPath,
    changes: bool,
    headers: Vec<(&'static str, String)>,
    content_type: Option<&'static str>,
    body: Bytes,
}

/// A successful answer.
#[derive(Debug)]
pub struct ApiReply {
    pub status: u16,
    headers: HeaderMap,
    pub body: Bytes,
}

/// A token that no header can carry.
#[derive(Debug, thiserror::Error)]
#[error("the admin token has characters that no header can carry")]
pub struct InvalidToken;

/// Why a call has no successful answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The service answered with something else than a success.
    #[error("{}: {}", .0.title, .0.detail)]
    Refused(Box<Refusal>),
    /// The service did not answer, or not to the end.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The service answered with a success that flashsale does not send.
    #[error("an answer is not what flashsale answers")]
    Unreadable,
    /// The pages of a list lead back to one that was read.
    #[error(
        "page {pages} of the list leads back to an earlier one, so that it would never end: does something between here and the \
         service answer from a cache?"
    )]
    Circular { pages: usize },
    /// An event of the log came again, or after a later one.
    #[error(
        "event {event} came again, or after a later one: does something between here and the service answer from a cache?"
    )]
    Backwards { event: String },
    #[error("the list did not end after {pages} pages: ask for a part of it")]
    TooLong { pages: usize },
    /// The call needs a token, and there is none. Nothing was sent.
    #[error("there is no token")]
    NoToken,
    /// Nothing was sent.
    #[error("no header can carry this {0}")]
    InvalidHeader(&'static str),
}

/// What the service answered instead of a success: a problem after RFC 9457, as far as it is one.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    /// The problem's word for programs; empty if the answer is no problem.
    pub code: String,
    pub title: String,
    pub detail: String,
    /// JSON pointer and detail of each wrong field.
    pub fields: Vec<(String, String)>,
    pub request_id: Option<String>,
    pub retry_after_seconds: Option<u64>,
    /// All members, including those of this code.
    pub problem: Value,
    /// The body as it came.
    pub body: Bytes,
}

impl ApiClient {
    /// # Errors
    /// When no header can carry the token.
    pub fn new(endpoint: Endpoint, token: Option<&str>) -> Result<Self, InvalidToken> {
        Self::bounded(endpoint, token, BOUNDS)
    }

    /// # Errors
    /// When no header can carry the token.
    pub fn bounded(endpoint: Endpoint, token: Option<&str>, bounds: Bounds) -> Result<Self, InvalidToken> {
        let bearer = token.map(|token| HeaderValue::from_str(&format!("Bearer {token}"))).transpose();
        let mut bearer = bearer.map_err(|_| InvalidToken)?;
        bearer.iter_mut().for_each(|bearer| bearer.set_sensitive(true));
        Ok(Self::on(Rc::new(endpoint), bearer, bounds))
    }

    fn on(endpoint: Rc<Endpoint>, bearer: Option<HeaderValue>, bounds: Bounds) -> Self {
        let connection = Connection::bounded(Rc::clone(&endpoint), bounds);
        Self { endpoint, connection, bounds, bearer, date: None, has_sent_change: false }
    }

    /// Another connection to the same service, with the same token.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self::on(Rc::clone(&self.endpoint), self.bearer.clone(), self.bounds)
    }

    /// Sets the longest wait for each answer from now on.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.bounds.timeout = timeout;
        self.connection = Connection::bounded(Rc::clone(&self.endpoint), self.bounds);
    }

    pub fn url(&self) -> &str {
        self.endpoint.url()
    }

    /// When the service gave its last answer, by its own clock: an HTTP date.
    pub fn date(&self) -> Option<&str> {
        self.date.as_deref()
    }

    /// Whether the last call was one that changes something.
    pub fn has_sent_change(&self) -> bool {
        self.has_sent_change
    }

    /// # Errors
    /// [`CallError`].
    pub async fn send(&mut self, call: ApiCall) -> Result<ApiReply, CallError> {
        let request = self.request(call)?;
        let answer = self.connection.send(request).await?;
        self.date = answer.headers.get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
        ApiReply::from_answer(answer)
    }

    /// The body piece by piece, as it arrives.
    ///
    /// # Errors
    /// [`CallError`]; a body that ends too early is an error of [`Stream::next`].
    pub async fn stream(&mut self, call: ApiCall) -> Result<Stream, CallError> {
        let request = self.request(call)?;
        let stream = self.connection.stream(request).await?;
        if is_success(stream.status) {
            return Ok(stream);
        }
        let answer = stream.collect().await?;
        Err(CallError::Refused(Box::new(Refusal::from_answer(answer))))
    }

    /// All pages of a list, as one page.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list<T: DeserializeOwned>(&mut self, path: CallPath) -> Result<Page<T>, CallError> {
        read_list(self, path, None, |_| {}).await
    }

    /// The one place that adds the headers of every call.
    fn request(&mut self, call: ApiCall) -> Result<Request, CallError> {
        self.has_sent_change = call.changes;
        if self.bearer.is_none() && call.path.as_str().starts_with(ADMIN) {
            return Err(CallError::NoToken);
        }
        let mut request = self.endpoint.request(call.method, call.path.as_str(), call.content_type, call.body);
        if let Some(bearer) = &self.bearer {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        }
        for (name, value) in call.headers {
            let value = HeaderValue::from_str(&value).map_err(|_| CallError::InvalidHeader(name))?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        Ok(request)
    }
}

impl ApiCall {
    pub fn get(path: CallPath) -> Self {
        let (headers, body) = (Vec::new(), Bytes::new());
        Self { method: Method::GET, path, changes: false, headers, content_type: None, body }
    }

    pub fn post(path: CallPath, body: &Value) -> Self {
        Self::upload(path, JSON, body.to_string())
    }

    pub fn patch(path: CallPath, body: &Value) -> Self {
        Self { method: Method::PATCH, ..Self::post(path, body) }
    }

    pub fn delete(path: CallPath) -> Self {
        Self { method: Method::DELETE, changes: true, ..Self::get(path) }
    }

    /// POST of a body that is not JSON.
    pub fn upload(path: CallPath, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let content_type = Some(content_type);
        Self { method: Method::POST, changes: true, content_type, body: body.into(), ..Self::get(path) }
    }

    /// The call as one that only says what it would do.
    #[must_use]
    pub fn without_effect(self) -> Self {
        Self { changes: false, ..self }
    }

    /// The call with one more header; `name` in lower case.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl ApiReply {
    fn from_answer(answer: Answer) -> Result<Self, CallError> {
        if is_success(answer.status) {
            return Ok(Self { status: answer.status, headers: answer.headers, body: answer.body });
        }
        Err(CallError::Refused(Box::new(Refusal::from_answer(answer))))
    }

    /// # Errors
    /// [`CallError::Unreadable`] when the body is not of this form.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|_| CallError::Unreadable)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Refusal {
    /// Whether the service decided against the call. Otherwise the service failed, or something in between did, and the
    /// change may have been made.
    pub fn is_refusal(&self) -> bool {
        self.status < 500 && self.status != StatusCode::REQUEST_TIMEOUT.as_u16()
    }

    /// Whether the same call would be refused again: a decision of flashsale, and not of a limit or of something in between.
    pub fn will_come_again(&self) -> bool {
        self.is_refusal() && !self.code.is_empty() && self.status != StatusCode::TOO_MANY_REQUESTS.as_u16()
    }

    fn from_answer(answer: Answer) -> Self {
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |name: &str| problem[name].as_str().map(str::to_owned);
        let title = text("title").unwrap_or_else(|| {
            StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason()).unwrap_or("").into()
        });
        let raw = || cut(&String::from_utf8_lossy(&answer.body), RAW_CHARS_MAX);
        let errors = Vec::<FieldErrorBody<'_>>::deserialize(&problem["errors"]).unwrap_or_default();
        let fields = errors.into_iter().map(|error| (error.pointer.into_owned(), error.detail.into_owned()));
        Self {
            status: answer.status,
            code: text("code").unwrap_or_default(),
            title,
            detail: text("detail").unwrap_or_else(raw),
            fields: fields.collect(),
            request_id: text("request_id"),
            retry_after_seconds: answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok()),
            problem,
            body: answer.body,
        }
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &'static str) -> Refusal {
        Refusal::from_answer(Answer { status, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) })
    }

    #[test]
    fn a_problem_is_read_member_by_member() {
        let refusal = refused(
            422,
            r#"{"title":"Validation failed","status":422,"detail":"one field","code":"validation_failed","request_id":"r1",
                "errors":[{"pointer":"/price","code":"required","detail":"price is required"}],"floor":7}"#,
        );
        assert_eq!((refusal.code.as_str(), refusal.title.as_str()), ("validation_failed", "Validation failed"));
        assert_eq!(refusal.fields, [("/price".to_owned(), "price is required".to_owned())]);
        assert_eq!((refusal.request_id.as_deref(), &refusal.problem["floor"]), (Some("r1"), &7.into()));
    }

    #[test]
    fn an_answer_that_is_no_problem_is_shown_as_it_came() {
        let refusal = refused(502, "<h1>Bad gateway</h1>");
        assert_eq!((refusal.code.as_str(), refusal.title.as_str()), ("", "Bad Gateway"));
        assert_eq!(refusal.detail, "<h1>Bad gateway</h1>");
    }
}
