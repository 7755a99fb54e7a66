//! Calls from web pages of other origins (CORS), for the origins of the settings.
//!
//! Preflights ask for nothing and are answered before the gate. Every other answer is marked, refusals too, so that the page can
//! read them. No credentials of the browser (cookies) are ever allowed: this service knows none.

use actix_web::{
    HttpResponse,
    dev::RequestHead,
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};

use super::problem::{Code, Problem};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PATCH, DELETE, OPTIONS");
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, idempotency-key, x-api-key, x-request-id");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Retry-After, X-Request-Id, Idempotency-Replayed, Location, Allow, WWW-Authenticate, X-Orders-Estimated",
);
/// Seconds for which a browser may remember a preflight: as long as any of them does.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const PREFLIGHT_VARY: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// The origins that may call.
#[derive(Debug)]
pub enum Cors {
    Any,
    These(Vec<HeaderValue>),
}

/// What the answer to one request must say. `None`: the origin may not read it.
pub(super) struct Allowed(Option<HeaderValue>);

impl Cors {
    /// `Ok(None)` for no origins.
    ///
    /// # Errors
    /// The numbers, from 1, of the texts that are no origins.
    pub fn new(origins: &[String]) -> Result<Option<Self>, Vec<usize>> {
        if let [only] = origins
            && only == "*"
        {
            return Ok(Some(Self::Any));
        }
        let wrong: Vec<_> = (1..).zip(origins).filter(|(_, text)| !is_origin(text)).map(|(number, _)| number).collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let values = origins.iter().filter_map(|text| HeaderValue::from_str(text).ok()).collect::<Vec<_>>();
        Ok((!values.is_empty()).then_some(Self::These(values)))
    }

    pub(super) fn allowed(&self, headers: &HeaderMap) -> Allowed {
        Allowed(headers.get(header::ORIGIN).and_then(|origin| match self {
            Self::Any => Some(ANY),
            Self::These(origins) => origins.contains(origin).then(|| origin.clone()),
        }))
    }
}

/// Whether a browser asks if it may send another request.
pub(super) fn is_preflight(head: &RequestHead) -> bool {
    head.method == Method::OPTIONS
        && head.headers().contains_key(header::ORIGIN)
        && head.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

impl Allowed {
    /// The answer to a preflight, before it is marked.
    pub(super) fn preflight(&self) -> Result<HttpResponse, Problem> {
        if self.0.is_none() {
            return Err(Problem::new(
                Code::Forbidden,
                "pages of this origin may not call; http.cors_origins names those that may",
            ));
        }
        let mut response = HttpResponse::new(StatusCode::NO_CONTENT);
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
            (header::VARY, PREFLIGHT_VARY),
        ] {
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }

    /// An answer depends on the origin even where it is refused, or a cache would give it to another one.
    pub(super) fn mark(self, headers: &mut HeaderMap) {
        const ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
        let insert = |headers: &mut HeaderMap, name: HeaderName, value| drop(headers.insert(name, value));
        if !headers.contains_key(header::VARY) {
            insert(headers, header::VARY, ORIGIN);
        }
        if let Some(origin) = self.0 {
            insert(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            insert(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}

/// As a browser spells it: a scheme, a host in small letters, and a port where it is not the usual one.
fn is_origin(text: &str) -> bool {
    // No origin has patterns. Whoever writes one expects more than this compares.
    let is_plain = text != "null" && !text.contains('*');
    is_plain && url::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Result<Option<Cors>, Vec<usize>> {
        Cors::new(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn origins_are_as_browsers_spell_them() {
        for good in
            ["https://shop.example", "http://localhost:3000", "https://xn--bcher-kva.example", "http://[::1]:8080"]
        {
            assert!(matches!(of(&[good]), Ok(Some(Cors::These(_)))), "{good}");
        }
        for bad in [
            "https://shop.example/",
            "https://Shop.example",
            "https://shop.example:443",
            "shop.example",
            "null",
            "",
            "https://*.shop.example",
            "https://shop.example/path",
            "https://user@shop.example",
            "file:///tmp",
        ] {
            assert_eq!(of(&["https://shop.example", bad]).unwrap_err(), [2], "{bad}");
        }
        assert!(matches!(of(&["*"]), Ok(Some(Cors::Any))));
        assert_eq!(of(&["https://shop.example", "*"]).unwrap_err(), [2], "all, or some");
        assert!(matches!(of(&[]), Ok(None)));
    }
}
