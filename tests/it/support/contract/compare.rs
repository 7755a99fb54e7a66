//! One request and its answer, compared with the document.

use std::io::Read;

use hyper::HeaderMap;
use serde_json::{Value, json};

use super::{Document, PAGES};

/// Where any parameters are taken.
const ANY_PARAMETERS: [&str; 2] = [MONEY, "/openapi.json"];
/// Where any body is taken, however it is spelled: what is wrong is kept for a person.
const MONEY: &str = "/api/payments/";

pub struct Exchange<'a> {
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// What was sent, if it is JSON.
    pub sent: Option<&'a [u8]>,
    pub status: u16,
    pub headers: &'a HeaderMap,
    /// `None`: it is not read here.
    pub body: Option<&'a [u8]>,
}

impl Exchange<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap_or("no text"))
    }

    /// Without what comes behind a semicolon.
    fn media_type(&self) -> &str {
        self.header("content-type").unwrap_or_default().split(';').next().unwrap().trim()
    }

    /// The body, without a compression of the whole.
    fn plain_body(&self) -> Option<Vec<u8>> {
        let body = self.body.filter(|_| self.method != "HEAD")?;
        if self.header("content-encoding") != Some("gzip") {
            return Some(body.to_vec());
        }
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body).read_to_end(&mut plain).expect("what is named gzip");
        Some(plain)
    }
}

impl Document {
    /// Why this answer is not one that the document has.
    pub fn compare(&self, exchange: &Exchange<'_>) -> Result<(), String> {
        let path = exchange.target.split('?').next().unwrap();
        if PAGES.contains(&path) || path.starts_with("/assets/") {
            return Ok(());
        }
        if exchange.method == "OPTIONS" && exchange.status == 204 {
            return Ok(());
        }
        let Some(methods) = self.path(exchange.target) else { return self.compare_stray(exchange) };
        let method = if exchange.method == "HEAD" { "get".to_owned() } else { exchange.method.to_lowercase() };
        let operation = &methods[method];
        if operation.is_null() {
            return self.compare_stray(exchange);
        }
        let documented = &operation["responses"][exchange.status.to_string()];
        if documented.is_null() {
            return Err("the operation has no such status".to_owned());
        }
        let documented = self.resolved(documented);
        self.compare_headers(documented, exchange)?;
        self.compare_body(documented, exchange)?;
        if exchange.status < 300 { self.compare_request(methods, operation, exchange) } else { Ok(()) }
    }

    /// A path or method that the document does not have is answered with a problem.
    fn compare_stray(&self, exchange: &Exchange<'_>) -> Result<(), String> {
        if exchange.status < 400 {
            return Err("there is no such path or method".to_owned());
        }
        let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
        self.compare_body(&json!({"content": content}), exchange)
    }

    fn compare_headers(&self, documented: &Value, exchange: &Exchange<'_>) -> Result<(), String> {
        for (name, header) in documented["headers"].as_object().into_iter().flatten() {
            let header = self.resolved(header);
            let Some(text) = exchange.header(name) else {
                if header["required"] == true {
                    return Err(format!("no header {name}"));
                }
                continue;
            };
            let value = match header["schema"]["type"].as_str() {
                Some("integer") => text.parse::<i64>().map_or_else(|_| json!(text), Value::from),
                _ => json!(text),
            };
            self.complaints(&header["schema"], &value).map_err(|why| format!("header {name}: {why}"))?;
        }
        Ok(())
    }

    fn compare_body(&self, documented: &Value, exchange: &Exchange<'_>) -> Result<(), String> {
        let Some(content) = documented["content"].as_object() else {
            let is_empty = exchange.body.is_none_or(<[u8]>::is_empty);
            return if is_empty { Ok(()) } else { Err("it has a body".to_owned()) };
        };
        let media_type = exchange.media_type();
        let Some(media) = content.get(media_type) else { return Err(format!("its body is {media_type:?}")) };
        let Some(body) = exchange.plain_body() else { return Ok(()) };
        match media_type {
            "application/x-ndjson" => self.compare_lines(&media["schema"], exchange, &body),
            kind if kind.ends_with("json") => self.complaints(&media["schema"], &read(&body)?),
            _ => std::str::from_utf8(&body).map(drop).map_err(|error| error.to_string()),
        }
    }

    /// Whoever chose columns or another way to write times gets lines of another shape.
    fn compare_lines(&self, schema: &Value, exchange: &Exchange<'_>, body: &[u8]) -> Result<(), String> {
        if ["columns=", "times=", "zone="].iter().any(|chosen| exchange.target.contains(chosen)) {
            return Ok(());
        }
        let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.try_for_each(|line| self.complaints(&schema["contentSchema"], &read(line)?))
    }

    /// What the service took must be something that the document lets a client send.
    fn compare_request(&self, methods: &Value, operation: &Value, exchange: &Exchange<'_>) -> Result<(), String> {
        let body = &operation["requestBody"];
        let has_shape = !body.is_null() && !exchange.target.starts_with(MONEY);
        if let Some(sent) = exchange.sent.filter(|sent| has_shape && !sent.is_empty()) {
            let schema = &body["content"]["application/json"]["schema"];
            self.complaints(schema, &read(sent)?).map_err(|why| format!("it took what it may not be sent: {why}"))?;
        }
        if ANY_PARAMETERS.iter().any(|path| exchange.target.starts_with(path)) {
            return Ok(());
        }
        let listed = [&methods["parameters"], &operation["parameters"]];
        let parameters: Vec<_> =
            listed.iter().filter_map(|list| list.as_array()).flatten().map(|one| self.resolved(one)).collect();
        let query = exchange.target.split_once('?').map_or("", |(_, query)| query);
        for (name, _) in url::form_urlencoded::parse(query.as_bytes()) {
            let is_known = parameters.iter().any(|known| known["in"] == "query" && known["name"] == *name);
            if !is_known {
                return Err(format!("it took a parameter {name}"));
            }
        }
        Ok(())
    }

    /// Why the data of an event of a stream is not what the document says.
    pub fn compare_event(&self, path: &str, data: &Value) -> Result<(), String> {
        let operation = &self.path(path).ok_or("there is no such path")?["get"];
        let schema = &self.resolved(&operation["responses"]["200"])["content"]["text/event-stream"]["schema"];
        self.complaints(&schema["contentSchema"], data)
    }
}

fn read(json: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(json).map_err(|error| format!("no JSON: {error}"))
}
