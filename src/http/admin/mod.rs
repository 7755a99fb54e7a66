//! The calls of the person who runs the drop, behind the bearer token.

pub(super) mod audit;
pub(super) mod events;
pub(super) mod export;
pub(super) mod import;
mod new_product;
pub(super) mod orders;
pub(super) mod payments;
pub(super) mod products;
pub(super) mod reviews;
pub(super) mod sales;

use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{AUTHORIZATION, HeaderMap},
    },
};

use super::{
    digests::{Digests, digest},
    extract,
    parameters::Parameters,
    problem::{Code, FieldError, Problem},
};
use crate::{
    domain::{
        ids::{ProductId, SaleId},
        order::OrderStatus,
        order_filter::Period,
    },
    wire::time,
};

pub(super) const PREFIX: &str = "/api/admin/";
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 100;

/// The tokens of those who may request.
#[derive(Clone)]
pub struct Admins {
    full: Digests,
    reading: Digests,
}

impl Admins {
    /// `None` when there is no token at all. Tokens of `reading` may read and change nothing.
    pub fn new<'a>(
        full: impl IntoIterator<Item = &'a str>,
        reading: impl IntoIterator<Item = &'a str>,
    ) -> Option<Self> {
        let admins = Self { full: Digests::of(full), reading: Digests::of(reading) };
        (!admins.full.is_empty() || !admins.reading.is_empty()).then_some(admins)
    }

    fn role(&self, headers: &HeaderMap) -> Option<Role> {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok())?;
        let (scheme, token) = given.split_once(' ')?;
        let given = digest(token.trim().as_bytes());
        let (full, reading) = (self.full.have(&given), self.reading.have(&given));
        match (scheme.eq_ignore_ascii_case("bearer"), full, reading) {
            (true, true, _) => Some(Role::Full),
            (true, false, true) => Some(Role::Reading),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Full,
    Reading,
}

/// Lets a reading token only GET.
fn authorize(request: &HttpRequest) -> Result<(), Problem> {
    let context = extract::context(request);
    let role = context.admins.as_ref().and_then(|admins| admins.role(request.headers()));
    let only_looks = matches!(*request.method(), Method::GET | Method::HEAD);
    match role {
        Some(Role::Full) => Ok(()),
        Some(Role::Reading) if only_looks => Ok(()),
        Some(Role::Reading) => Err(Problem::new(Code::Forbidden, "this token may read, and change nothing")),
        None => Err(Problem::unauthorized("Bearer", "send Authorization: Bearer <token> with an admin token")),
    }
}

/// Parameters that several lists have.
impl Parameters {
    fn status(&mut self) -> Option<OrderStatus> {
        let statuses = "pending, in_review, paid, cancelled, expired, refund_required or refunded";
        self.read("status", statuses, OrderStatus::parse)
    }

    fn sale(&mut self) -> Option<SaleId> {
        self.read("sale", "the id of a sale", SaleId::parse)
    }

    fn product(&mut self) -> Option<ProductId> {
        self.read("product_id", "the id of a product", ProductId::parse)
    }

    /// `since` and `until`.
    fn period(&mut self) -> Period {
        let what = "an RFC 3339 time such as 2026-11-27T09:00:00Z (in a URL, + is %2B), or epoch milliseconds";
        let mut instant = |name| self.read(name, what, time::parse_or_epoch_ms);
        let period = Period { since_ms: instant("since"), until_ms: instant("until") };
        if period.is_reversed() {
            let detail = "until must not be earlier than since".into();
            self.errors.push(FieldError { pointer: "/until".to_owned(), code: "conflict", detail });
        }
        period
    }

    fn limit(&mut self) -> usize {
        let limit = self.read("limit", "a whole number from 1 to 100", |text| {
            text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
        });
        limit.unwrap_or(LIMIT_DEFAULT)
    }
}
