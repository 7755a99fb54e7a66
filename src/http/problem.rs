//! Problems: every answer that is no success, after RFC 9457. One table has code, status and title.

use std::{borrow::Cow, fmt};

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{
        ConnectionType, StatusCode,
        header::{self, HeaderValue},
    },
    web::Bytes,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answer;
use crate::{store::Failure, wire::problem::FieldErrorBody};

/// The prefix of the `type` of a problem. The rest is its code with hyphens.
const TYPE_PREFIX: &str = "https://flashsale.example/problems/";
/// Bytes that hold nearly every problem.
const BODY_BYTES: usize = 512;

/// A full store gets room by lapsing holds, or by a person, and another store needs a person.
const FULL_RETRY_SECONDS: u64 = 5;
const OVERLOADED_RETRY_SECONDS_MAX: u64 = 3;

static PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

macro_rules! codes {
    ($($code:ident $word:literal $status:literal $title:literal;)*) => {
        /// What went wrong, as a word that programs compare.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($code),* }

        impl Code {
            /// All codes, for tests and documentation.
            pub const ALL: &[Code] = &[$(Code::$code),*];

            /// Word on the wire, HTTP status, and title.
            pub fn row(self) -> (&'static str, u16, &'static str) {
                match self { $(Code::$code => ($word, $status, $title)),* }
            }
        }
    };
}

codes! {
    MalformedJson          "malformed_json"           400 "The body is not JSON";
    UnknownParameter       "unknown_parameter"        400 "Unknown parameter";
    Unauthorized           "unauthorized"             401 "Not authorized";
    SignatureMissing       "signature_missing"        401 "Signature missing";
    SignatureInvalid       "signature_invalid"        401 "Signature invalid";
    TimestampOutOfTolerance "timestamp_out_of_tolerance" 401 "Timestamp out of tolerance";
    Forbidden              "forbidden"                403 "Forbidden";
    NotFound               "not_found"                404 "Not found";
    ProductNotFound        "product_not_found"        404 "Product not found";
    HoldNotFound           "hold_not_found"           404 "Hold not found";
    OrderNotFound          "order_not_found"          404 "Order not found";
    SaleNotFound           "sale_not_found"           404 "Sale not found";
    PaymentNotFound        "payment_not_found"        404 "Payment not found";
    ReviewNotFound         "review_not_found"         404 "Review not found";
    MethodNotAllowed       "method_not_allowed"       405 "Method not allowed";
    RequestTimeout         "request_timeout"          408 "Request timeout";
    InsufficientStock      "insufficient_stock"       409 "Insufficient stock";
    SaleNotStarted         "sale_not_started"         409 "The sale has not started";
    SalePaused             "sale_paused"              409 "The sale is paused";
    SaleEnded              "sale_ended"               409 "The sale has ended";
    CustomerLimitReached   "customer_limit_reached"   409 "Customer limit reached";
    CustomerCoolingDown    "customer_cooling_down"    409 "The customer must wait";
    ExtensionLimitReached  "extension_limit_reached"  409 "Extension limit reached";
    BelowPromised          "below_promised"           409 "Below what is promised";
    ProductHasOrders       "product_has_orders"       409 "The product has orders";
    ProductHasHolds        "product_has_holds"        409 "The product has holds";
    ProductHasSku          "product_has_sku"          409 "The product has a SKU";
    SaleIsSpread           "sale_is_spread"           409 "The sale is spread";
    HoldConverted          "hold_converted"           409 "The hold is an order already";
    OrderNotCancellable    "order_not_cancellable"    409 "The order cannot be cancelled";
    OrderNotPending        "order_not_pending"        409 "The order is not pending";
    ReviewResolved         "review_resolved"          409 "The review is resolved";
    PaymentNotAcceptable   "payment_not_acceptable"   409 "The payment cannot pay the order";
    UnitsGone              "units_gone"               409 "The units are gone";
    AlreadyExists          "already_exists"           409 "Already exists";
    HoldExpired            "hold_expired"             410 "The hold is gone";
    CursorExpired          "cursor_expired"           410 "The cursor is too old";
    BodyTooLarge           "body_too_large"           413 "Body too large";
    UnsupportedMediaType   "unsupported_media_type"   415 "Unsupported media type";
    ValidationFailed       "validation_failed"        422 "Validation failed";
    UnknownField           "unknown_field"            422 "Unknown field";
    QuantityAboveLimit     "quantity_above_limit"     422 "Quantity above limit";
    CustomerIdRequired     "customer_id_required"     422 "A customer id is required";
    SaleRequired           "sale_required"            422 "A sale is required";
    ProductsOfDifferentSales "products_of_different_sales" 422 "Products of different sales";
    IdempotencyKeyReused   "idempotency_key_reused"   422 "Idempotency key reused";
    UpgradeRequired        "upgrade_required"         426 "Upgrade required";
    RateLimited            "rate_limited"             429 "Too many requests";
    Overloaded             "overloaded"               503 "Overloaded";
    TooManyWatchers        "too_many_watchers"        503 "Too many watchers";
    StoreUnavailable       "store_unavailable"        503 "Store unavailable";
    StoreReplaced          "store_replaced"           503 "The store is another";
    StoreFull              "store_full"               503 "The store is full";
    StoreTimeout           "store_timeout"            503 "Store timeout";
    Draining               "draining"                 503 "Draining";
}

/// One thing that is wrong in a body. Texts are ours: nothing of the request is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901).
    pub pointer: String,
    pub code: &'static str,
    pub detail: Cow<'static, str>,
}

impl FieldError {
    fn body(&self) -> FieldErrorBody<'_> {
        let Self { pointer, code, detail } = self;
        FieldErrorBody { pointer: pointer.into(), code: (*code).into(), detail: detail.as_ref().into() }
    }
}

/// An answer that is no success. Boxed, because nearly all answers are none of these.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: Code,
    detail: Cow<'static, str>,
    extras: Vec<(&'static str, Value)>,
    retry_after_seconds: Option<u64>,
    allow: Option<String>,
    challenge: Option<&'static str>,
    accept_encoding: Option<&'static str>,
    close: bool,
    failure: Option<Failure>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            code,
            detail: detail.into(),
            extras: Vec::new(),
            retry_after_seconds: None,
            allow: None,
            challenge: None,
            accept_encoding: None,
            close: false,
            failure: None,
        }))
    }

    /// Adds a member beside the standard ones.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.extras.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// The connection is of no more use, because the body was not read to its end.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.0.close = true;
        self
    }

    pub fn closes(&self) -> bool {
        self.0.close
    }

    pub fn method_not_allowed(allow: String) -> Self {
        let mut problem = Self::new(Code::MethodNotAllowed, format!("this resource takes {allow}"));
        problem.0.allow = Some(allow);
        problem
    }

    /// `challenge` says how to be let in.
    pub fn unauthorized(challenge: &'static str, detail: &'static str) -> Self {
        let mut problem = Self::new(Code::Unauthorized, detail);
        problem.0.challenge = Some(challenge);
        problem
    }

    /// `known`: the codings that a body may have.
    pub fn unknown_coding(known: &'static str) -> Self {
        let mut problem =
            Self::new(Code::UnsupportedMediaType, format!("send the body without Content-Encoding, or in {known}"));
        problem.0.accept_encoding = Some(known);
        problem
    }

    /// `unknown_field` when that is all, else `validation_failed`.
    pub fn of_fields(errors: &[FieldError]) -> Self {
        let only_unknown = errors.iter().all(|error| error.code == "unknown_field");
        let code = if only_unknown { Code::UnknownField } else { Code::ValidationFailed };
        let detail = errors.iter().map(|error| error.detail.as_ref()).collect::<Vec<_>>().join("; ");
        let list: Vec<Value> = errors.iter().map(|error| json!(error.body())).collect();
        Self::new(code, detail).with("errors", list)
    }

    /// The failure behind it, for the log.
    pub fn failure(&self) -> Option<&Failure> {
        self.0.failure.as_ref()
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Code, detail and further members, for a problem that is one row of an answer.
    pub fn parts(&self) -> (String, String, Map<String, Value>) {
        let more = self.0.extras.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        (self.code().row().0.to_owned(), self.0.detail.clone().into_owned(), more)
    }

    /// The answer, with the id of the request in it.
    pub fn render(&self, request_id: &str) -> HttpResponse {
        let body = BoxBody::new(Bytes::from(self.body(request_id)));
        let mut response = HttpResponse::with_body(self.status_code(), body);
        if self.0.close {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON.clone());
        headers.insert(header::CACHE_CONTROL, answer::NO_STORE.clone());
        if let Some(seconds) = self.0.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(Ok(allow)) = self.0.allow.as_deref().map(HeaderValue::from_str) {
            headers.insert(header::ALLOW, allow);
        }
        if let Some(challenge) = self.0.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(codings) = self.0.accept_encoding {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(codings));
        }
        if self.code() == Code::UpgradeRequired {
            headers.insert(header::UPGRADE, HeaderValue::from_static("HTTP/1.1"));
        }
        response
    }

    /// A problem on the wire.
    fn body(&self, request_id: &str) -> Vec<u8> {
        let Parts { code, detail, extras, .. } = &*self.0;
        let (word, status, title) = code.row();
        let mut body = Vec::with_capacity(BODY_BYTES);
        body.extend_from_slice(b"{\"type\":\"");
        body.extend_from_slice(TYPE_PREFIX.as_bytes());
        body.extend(word.bytes().map(|byte| if byte == b'_' { b'-' } else { byte }));
        body.extend_from_slice(b"\"");
        member(&mut body, "title", |body| text(body, title));
        member(&mut body, "status", |body| json(body, &status));
        member(&mut body, "detail", |body| text(body, detail));
        member(&mut body, "code", |body| text(body, word));
        member(&mut body, "request_id", |body| text(body, request_id));
        for (name, value) in extras {
            member(&mut body, name, |body| match value {
                Value::String(string) => text(body, string),
                other => json(body, other),
            });
        }
        body.push(b'}');
        body
    }
}

fn member(body: &mut Vec<u8>, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    body.extend_from_slice(b",\"");
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(b"\":");
    value(body);
}

/// Nearly every text is plain and is copied. Others are escaped.
fn text(body: &mut Vec<u8>, text: &str) {
    // Counts, instead of leaving at the first: so the compiler makes a few wide steps of it.
    let odd = text.bytes().filter(|byte| *byte < b' ' || *byte == b'"' || *byte == b'\\').count();
    if odd > 0 {
        return json(body, text);
    }
    body.push(b'"');
    body.extend_from_slice(text.as_bytes());
    body.push(b'"');
}

fn json(body: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Nothing in a problem can fail to be written.
    let _written = serde_json::to_writer(body, value);
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.row().0, self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.row().1).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Without a body: the frame renders it, once, when the id of the request is at hand.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let problem = match &failure {
            Failure::Replaced(found) => Self::new(
                Code::StoreReplaced,
                format!(
                    "Redis is not the one that the service began with: {found}; nothing was done. Restore a backup, or restart \
                     the service to begin with what is there"
                ),
            ),
            Failure::Lost(sale) => Self::new(
                Code::StoreReplaced,
                format!(
                    "the data of the sale {sale} is gone, because a server of the Redis cluster lost it; nothing was done. Other \
                     sales go on. Restore the data of that server, or let the sale begin anew (docs/operations.md)"
                ),
            ),
            Failure::Overloaded(_) => {
                Self::new(Code::Overloaded, "more requests wait than can be served; nothing was done, try again")
            }
            Failure::Full(_) => Self::new(
                Code::StoreFull,
                "the store has no memory left for this; nothing was done. Reads, releases, cancellations and payments go on",
            ),
            Failure::TimedOut(_) => Self::new(
                Code::StoreTimeout,
                "the store did not answer in time; whether a change took effect is unknown: send it again, with its key if it has one",
            ),
            Failure::Unreadable(_) => Self::new(
                Code::StoreUnavailable,
                "something that is stored cannot be read: the log of the service says what, and an audit what else is damaged",
            ),
            Failure::Unavailable(_) => Self::new(
                Code::StoreUnavailable,
                "the store cannot be used at the moment; send the request again, with its key if it has one",
            ),
        };
        let retry_seconds = match failure {
            Failure::Full(_) | Failure::Replaced(_) | Failure::Lost(_) => FULL_RETRY_SECONDS,
            // Different ones, so that those who are refused together do not come back together.
            Failure::Overloaded(_) => 1 + getrandom::u64().unwrap_or_default() % OVERLOADED_RETRY_SECONDS_MAX,
            Failure::TimedOut(_) | Failure::Unavailable(_) | Failure::Unreadable(_) => 1,
        };
        let mut problem = problem.retry_after(retry_seconds);
        problem.0.failure = Some(failure);
        problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_json_whatever_its_texts_are() {
        let odd = "a \"quote\", a \\, a\nline, \u{1}, é";
        let problem =
            Problem::new(Code::InsufficientStock, odd).with("reason", odd).with("next_release_at", Value::Null);
        let read: Value = serde_json::from_slice(&problem.body("id-1")).unwrap();
        let expected = json!({
            "type": "https://flashsale.example/problems/insufficient-stock", "title": "Insufficient stock", "status": 409,
            "detail": odd, "code": "insufficient_stock", "request_id": "id-1", "reason": odd, "next_release_at": null,
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn codes_are_unique_and_statuses_are_what_the_contract_says() {
        let mut words: Vec<_> = Code::ALL.iter().map(|code| code.row().0).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| {
            [400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 422, 426, 429, 503].contains(&code.row().1)
        }));
    }
}
