//! The contract of the service, `web/openapi.json`, against which each answer is held that a test reads. `Ask` sends requests so.
//!
//! Left out, and sent with `send` of the client instead (`openapi.rs` has the list): what other programs than ours answer, and what
//! nginx changed on its way. A test that writes to a connection itself shows what it read to `check_text`, if it keeps the whole answer.

mod compare;
mod document;

use hyper::HeaderMap;
use reqwest::{RequestBuilder, Response};

pub use compare::Exchange;
pub use document::Document;

/// Paths of the pages for people, which the document does not have; nor does it have their files, `/assets/…`.
pub const PAGES: [&str; 4] = ["/", "/dashboard", "/docs", "/demo/payments"];

/// Requests to our service, whose answers must be as the document says.
pub trait Ask {
    /// The whole answer.
    fn ask(self) -> impl Future<Output = reqwest::Result<Response>> + Send;

    /// An answer whose body the test reads as it comes. Its status and headers are looked at.
    fn ask_head(self) -> impl Future<Output = reqwest::Result<Response>> + Send;
}

impl Ask for RequestBuilder {
    async fn ask(self) -> reqwest::Result<Response> {
        let (request, response) = send(self).await?;
        let (status, version, headers) = (response.status(), response.version(), response.headers().clone());
        let body = response.bytes().await?;
        request.check(status.as_u16(), &headers, Some(&body));
        let mut whole = hyper::Response::builder().status(status).version(version).body(body).unwrap();
        *whole.headers_mut() = headers;
        Ok(whole.into())
    }

    async fn ask_head(self) -> reqwest::Result<Response> {
        let (request, response) = send(self).await?;
        request.check(response.status().as_u16(), response.headers(), None);
        Ok(response)
    }
}

/// What of a request decides how its answer may look.
struct Sent {
    method: String,
    target: String,
    /// A body in JSON.
    json: Option<Vec<u8>>,
}

async fn send(request: RequestBuilder) -> reqwest::Result<(Sent, Response)> {
    let (client, request) = request.build_split();
    let request = request?;
    let json = request.body().and_then(|body| body.as_bytes()).filter(|_| is_plain_json(request.headers()));
    let target = request.url().query().map_or_else(String::new, |query| format!("?{query}"));
    let sent = Sent {
        method: request.method().to_string(),
        target: request.url().path().to_owned() + &target,
        // A byte order mark is allowed in front of it.
        json: json.map(|json| json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json).to_vec()),
    };
    Ok((sent, client.execute(request).await?))
}

fn is_plain_json(headers: &HeaderMap) -> bool {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next() == Some("application/json") && !headers.contains_key("content-encoding")
}

impl Sent {
    fn check(&self, status: u16, headers: &HeaderMap, body: Option<&[u8]>) {
        check(&Exchange {
            method: &self.method,
            target: &self.target,
            sent: self.json.as_deref(),
            status,
            headers,
            body,
        });
    }
}

/// Holds one answer against the document.
pub fn check(exchange: &Exchange<'_>) {
    if let Err(why) = Document::ours().compare(exchange) {
        panic!("{} {} was answered {}: {why}", exchange.method, exchange.target, exchange.status);
    }
}

/// The same for an answer as it came on a connection, which was closed behind it.
pub fn check_text(method: &str, target: &str, answer: &str) {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return };
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.get(9..12)?.parse().ok()).expect("a line with a status");
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name: hyper::header::HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    let is_whole = length == Some(body.len());
    check(&Exchange {
        method,
        target,
        sent: None,
        status,
        headers: &headers,
        body: is_whole.then_some(body.as_bytes()),
    });
}

/// The data of one event of a stream.
pub fn check_event(path: &str, data: &serde_json::Value) {
    if let Err(why) = Document::ours().compare_event(path, data) {
        panic!("an event of {path}: {why}: {data}");
    }
}
