//! What the person who runs the drop may ask, behind the bearer token.

pub(super) mod events;
pub(super) mod products;
pub(super) mod reviews;

use std::collections::HashMap;

use actix_web::{
    HttpRequest,
    http::header::{AUTHORIZATION, HeaderMap},
    web::Query,
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    Desk, extract,
    problem::{Code, FieldError, Problem},
};
use crate::domain::ids::SaleId;

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 100;

/// Compares digests, in constant time, so that neither the token nor its length shows.
fn authorize(request: &HttpRequest) -> Result<(), Problem> {
    let desk = extract::desk(request);
    if is_admin(request.headers(), &desk) {
        return Ok(());
    }
    Err(Problem::new(Code::Unauthorized, "send Authorization: Bearer <token> with the admin token"))
}

fn is_admin(headers: &HeaderMap, desk: &Desk) -> bool {
    let Some(expected) = &desk.admin_token else { return false };
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or("");
    let Some((scheme, token)) = given.split_once(' ') else { return false };
    let same = Sha256::digest(token.trim()).ct_eq(&Sha256::digest(expected.expose()));
    scheme.eq_ignore_ascii_case("bearer") && bool::from(same)
}

fn sale_not_found() -> Problem {
    Problem::new(Code::SaleNotFound, "there is no such sale")
}

/// The parameters of a list; all complaints are made together.
struct Parameters {
    given: HashMap<String, String>,
    errors: Vec<FieldError>,
}

impl Parameters {
    /// Complains about those that are not known.
    fn of(request: &HttpRequest, known: &[&str]) -> Self {
        let given = Query::<HashMap<String, String>>::from_query(request.query_string());
        let given = given.map_or_else(|_| HashMap::new(), Query::into_inner);
        let mut parameters = Self { errors: Vec::new(), given };
        if parameters.given.keys().any(|name| !known.contains(&name.as_str())) {
            let detail = format!("there is a parameter that is not known here; known are {}", known.join(", "));
            parameters.errors.push(FieldError { pointer: String::new(), code: "unknown_field", detail: detail.into() });
        }
        parameters
    }

    /// `None` where it is absent, empty, or wrong.
    fn read<T>(&mut self, name: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.given.get(name).filter(|text| !text.is_empty())?;
        let parsed = parse(text);
        if parsed.is_none() {
            let detail = format!("{name} must be {what}").into();
            self.errors.push(FieldError { pointer: format!("/{name}"), code: "invalid_format", detail });
        }
        parsed
    }

    fn sale(&mut self) -> Option<SaleId> {
        self.read("sale", "the id of a sale", SaleId::parse)
    }

    fn limit(&mut self) -> usize {
        let limit = self.read("limit", "a whole number from 1 to 100", |text| {
            text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
        });
        limit.unwrap_or(LIMIT_DEFAULT)
    }

    fn finish<T>(self, asked: T) -> Result<T, Problem> {
        if self.errors.is_empty() { Ok(asked) } else { Err(Problem::of_fields(&self.errors)) }
    }
}
