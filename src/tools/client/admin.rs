//! The service as the person who runs the drop asks it: with a token, and with refusals that can be read.

use std::{fmt::Write as _, rc::Rc, time::Duration};

use hyper::{
    HeaderMap, Method, StatusCode,
    body::Bytes,
    header::{AUTHORIZATION, DATE, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde_json::Value;

use super::{Answer, Ask, Bounds, Endpoint, Line, Lost, Stream};

/// Where only those who have a token may ask.
const ADMIN: &str = "/api/admin";
/// An import takes its time.
const BOUNDS: Bounds = Bounds { patience: Duration::from_mins(1), body_bytes_max: 64 << 20 };
/// Of a list that is read as a whole: a million objects in pages of a hundred.
const PAGES_MAX: usize = 10_000;
/// Of an answer that is not ours, so much is shown.
const RAW_CHARS_MAX: usize = 200;
const JSON: &str = "application/json";

/// The service, and who asks.
pub struct Admin {
    endpoint: Rc<Endpoint>,
    line: Line,
    bearer: Option<HeaderValue>,
    date: Option<String>,
}

/// One request.
pub struct Call {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    content_type: Option<&'static str>,
    body: Bytes,
}

/// An answer of success.
#[derive(Debug)]
pub struct Reply {
    headers: HeaderMap,
    pub body: Bytes,
}

/// Why a call came to nothing.
#[derive(Debug)]
pub enum Trouble {
    /// The service answered, with something that is no success.
    Refused(Box<Refusal>),
    /// The service did not answer, or not to the end.
    Lost(Lost),
    /// It answered with success, and with something that is not ours.
    Unreadable,
    /// The call needs a token, and there is none. Nothing was sent.
    NoToken,
    /// Whatever else keeps a command from doing its work: a file that cannot be read, flags that do not fit.
    NotRun(String),
}

/// What the service said instead of a success: a problem after RFC 9457, as far as it is one.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    /// The problem's word for programs; empty when it was no problem.
    pub code: String,
    pub title: String,
    pub detail: String,
    /// JSON pointer and detail of each field that is wrong.
    pub fields: Vec<(String, String)>,
    pub request_id: Option<String>,
    pub retry_after_seconds: Option<u64>,
    /// All members, with those of this code.
    pub problem: Value,
    /// As it came.
    pub body: Bytes,
}

impl Admin {
    /// # Errors
    /// When no header can carry the token.
    pub fn new(endpoint: Endpoint, token: Option<&str>) -> Result<Self, String> {
        let bearer = token.map(|token| HeaderValue::from_str(&format!("Bearer {token}"))).transpose();
        let mut bearer = bearer.map_err(|_| "the admin token has characters that no header can carry")?;
        bearer.iter_mut().for_each(|bearer| bearer.set_sensitive(true));
        let endpoint = Rc::new(endpoint);
        Ok(Self { line: Line::bounded(Rc::clone(&endpoint), BOUNDS), endpoint, bearer, date: None })
    }

    /// Waits so long for each answer from now on.
    pub fn wait(&mut self, patience: Duration) {
        self.line = Line::bounded(Rc::clone(&self.endpoint), Bounds { patience, ..BOUNDS });
    }

    pub fn url(&self) -> &str {
        self.endpoint.url()
    }

    /// When the last answer was given, by the service's clock: an HTTP date.
    pub fn date(&self) -> Option<&str> {
        self.date.as_deref()
    }

    /// # Errors
    /// [`Trouble`].
    pub async fn send(&mut self, call: Call) -> Result<Reply, Trouble> {
        let ask = self.ask(call)?;
        let answer = self.line.send(ask).await.map_err(Trouble::Lost)?;
        self.date = answer.headers.get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
        Reply::of(answer)
    }

    /// The body piece by piece, as it arrives.
    ///
    /// # Errors
    /// [`Trouble`]; that the body ended before its end is told by [`Stream::next`].
    pub async fn stream(&mut self, call: Call) -> Result<Stream, Trouble> {
        let ask = self.ask(call)?;
        let stream = self.line.stream(ask).await.map_err(Trouble::Lost)?;
        if is_success(stream.status) {
            return Ok(stream);
        }
        let answer = stream.collect().await.map_err(Trouble::Lost)?;
        Err(Trouble::Refused(Box::new(Refusal::of(answer))))
    }

    /// All pages of a list, as one list of that form.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn list(&mut self, path: &str) -> Result<Value, Trouble> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut whole = self.send(Call::get(format!("{path}{joint}limit=100"))).await?.json()?;
        for _ in 1..PAGES_MAX {
            let Some(cursor) = whole["next_cursor"].as_str().map(escape) else { break };
            let mut page = self.send(Call::get(format!("{path}{joint}limit=100&cursor={cursor}"))).await?.json()?;
            let rows = whole["data"].as_array_mut().zip(page["data"].as_array_mut());
            let (rows, more) = rows.ok_or(Trouble::Unreadable)?;
            rows.append(more);
            whole["next_cursor"] = page["next_cursor"].take();
        }
        Ok(whole)
    }

    /// The one place where headers are added that every call has.
    fn ask(&self, call: Call) -> Result<Ask, Trouble> {
        if self.bearer.is_none() && call.path.starts_with(ADMIN) {
            return Err(Trouble::NoToken);
        }
        let mut ask = self.endpoint.request(call.method, &call.path, call.content_type, call.body);
        if let Some(bearer) = &self.bearer {
            ask.headers_mut().insert(AUTHORIZATION, bearer.clone());
        }
        for (name, value) in call.headers {
            let value = HeaderValue::from_str(&value);
            let value = value.map_err(|_| Trouble::NotRun(format!("no header can carry this {name}")))?;
            ask.headers_mut().insert(HeaderName::from_static(name), value);
        }
        Ok(ask)
    }
}

impl Call {
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), headers: Vec::new(), content_type: None, body: Bytes::new() }
    }

    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::upload(path, JSON, body.to_string())
    }

    pub fn patch(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::PATCH, ..Self::post(path, body) }
    }

    /// POST of a body that is not JSON.
    pub fn upload(path: impl Into<String>, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let content_type = Some(content_type);
        Self { method: Method::POST, content_type, body: body.into(), ..Self::get(path) }
    }

    /// With a header more; `name` in lower case.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Reply {
    fn of(answer: Answer) -> Result<Self, Trouble> {
        if is_success(answer.status) {
            return Ok(Self { headers: answer.headers, body: answer.body });
        }
        Err(Trouble::Refused(Box::new(Refusal::of(answer))))
    }

    /// # Errors
    /// [`Trouble::Unreadable`] when it is no JSON.
    pub fn json(&self) -> Result<Value, Trouble> {
        serde_json::from_slice(&self.body).map_err(|_| Trouble::Unreadable)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Refusal {
    /// Whether the service decided against it. Else it failed, or somebody between did: what was to be done may be done.
    pub fn is_refusal(&self) -> bool {
        self.status < 500 && self.status != StatusCode::REQUEST_TIMEOUT.as_u16()
    }

    fn of(answer: Answer) -> Self {
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |name: &str| problem[name].as_str().map(str::to_owned);
        let title = text("title").unwrap_or_else(|| {
            StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason()).unwrap_or("").into()
        });
        let raw = || String::from_utf8_lossy(&answer.body).chars().take(RAW_CHARS_MAX).collect();
        let fields = problem["errors"].as_array().into_iter().flatten().map(|error| {
            let text = |name: &str| error[name].as_str().unwrap_or("").to_owned();
            (text("pointer"), text("detail"))
        });
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

/// A text as one segment of a path, or as a value in a query.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _infallible = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &'static str) -> Refusal {
        Refusal::of(Answer { status, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) })
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
    fn what_is_no_problem_is_shown_as_it_came() {
        let refusal = refused(502, "<h1>Bad gateway</h1>");
        assert_eq!((refusal.code.as_str(), refusal.title.as_str()), ("", "Bad Gateway"));
        assert_eq!(refusal.detail, "<h1>Bad gateway</h1>");
    }

    #[test]
    fn a_text_cannot_leave_its_segment() {
        assert_eq!(escape("drop-1_a.b~c"), "drop-1_a.b~c");
        assert_eq!(escape("a/b ?é"), "a%2Fb%20%3F%C3%A9");
    }
}
