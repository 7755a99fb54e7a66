//! The calls of the person who runs the drop, behind the bearer token.

mod acts;
pub(super) mod audit;
pub(super) mod customers;
pub(super) mod events;
pub(super) mod export;
pub(super) mod figures;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed;
mod groups;
pub(super) mod import;
mod new_product;
pub(super) mod orders;
pub(super) mod payments;
pub(super) mod product_life;
pub(super) mod products;
pub(super) mod reviews;
pub(super) mod sales;
pub(super) mod token;

use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{AUTHORIZATION, HeaderMap},
    },
};

use super::{
    digests::{Digest, Digests, digest},
    extract,
    parameters::Parameters,
    problem::{Code, FieldError, Problem},
};
use crate::{
    domain::{
        act::{Act, Actor},
        ids::ProductId,
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
    /// The name of each token in `full`.
    actors: Vec<Option<Actor>>,
    reading: Digests,
}

/// A token as its bearer shows it, and the name of its bearer.
pub struct AdminToken<'a> {
    pub name: Option<&'a str>,
    pub secret: &'a str,
}

impl Admins {
    /// `None` when there is no token at all. Tokens of `reading` may read and change nothing.
    pub fn new<'a>(
        full: impl IntoIterator<Item = AdminToken<'a>>,
        reading: impl IntoIterator<Item = &'a str>,
    ) -> Option<Self> {
        let full: Vec<_> = full.into_iter().collect();
        let admins = Self {
            full: Digests::of(full.iter().map(|token| token.secret)),
            actors: full.iter().map(|token| token.name.and_then(Actor::parse)).collect(),
            reading: Digests::of(reading),
        };
        (!admins.full.is_empty() || !admins.reading.is_empty()).then_some(admins)
    }

    fn role(&self, headers: &HeaderMap) -> Option<Role> {
        let given = bearer(headers)?;
        let (full, reading) = (self.full.find(&given), self.reading.find(&given));
        match (full, reading) {
            (Some(at), _) => Some(Role::Full(self.actors[at].clone())),
            (None, Some(_)) => Some(Role::Reading),
            (None, None) => None,
        }
    }
}

/// The digest of the bearer token of a request. Of two headers nobody knows which one a proxy looked at.
pub(super) fn bearer(headers: &HeaderMap) -> Option<Digest> {
    let mut all = headers.get_all(AUTHORIZATION);
    let only = all.next().filter(|_| all.next().is_none())?;
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| digest(token.trim().as_bytes()))
}

enum Role {
    Full(Option<Actor>),
    Reading,
}

/// Lets a reading token only look. Returns who acts.
pub(super) fn authorize(request: &HttpRequest) -> Result<Act, Problem> {
    let only_looks = matches!(*request.method(), Method::GET | Method::HEAD);
    match role_of(request)? {
        Role::Full(actor) => Ok(Act::of(actor)),
        Role::Reading if only_looks => Ok(Act::default()),
        Role::Reading => Err(Problem::new(Code::Forbidden, "this token may read, and change nothing")),
    }
}

/// What is said of a request that is wrong. Who may not ask a thing of admins hears no more than that.
pub(super) fn complaint_for(request: &HttpRequest, problem: Problem) -> Problem {
    let is_theirs = request.path().starts_with(PREFIX) && extract::context(request).admins.is_some();
    is_theirs.then(|| authorize(request).err()).flatten().unwrap_or(problem)
}

/// What the token of a request may do.
fn role_of(request: &HttpRequest) -> Result<Role, Problem> {
    let role = extract::context(request).admins.as_ref().and_then(|admins| admins.role(request.headers()));
    role.ok_or_else(|| Problem::unauthorized("Bearer", "send Authorization: Bearer <token> with an admin token"))
}

/// The complaint about a part of time that ends before it begins.
fn reversed() -> FieldError {
    let detail = "until must not be earlier than since".into();
    FieldError { pointer: "/until".to_owned(), code: "conflict", detail }
}

/// Parameters that several lists have.
impl Parameters {
    fn status(&mut self) -> Option<OrderStatus> {
        let statuses = "pending, in_review, paid, cancelled, expired, refund_required or refunded";
        self.read("status", statuses, OrderStatus::parse)
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
            self.errors.push(reversed());
        }
        period
    }

    pub(super) fn limit(&mut self) -> usize {
        self.limit_to(LIMIT_MAX)
    }

    fn limit_to(&mut self, most: usize) -> usize {
        self.at_most(most).unwrap_or(LIMIT_DEFAULT)
    }
}
