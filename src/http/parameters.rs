//! The parameters of a query. Unknown ones are refused on every route, because a parameter that nobody reads is a mistake. The
//! exceptions are payment events: money is taken whatever a provider adds to its URL.

use std::collections::HashMap;

use actix_web::{
    Error, HttpRequest,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Query,
};

use super::problem::{Code, FieldError, Problem};
use crate::webhook::visible;

/// Characters of an unknown name that an answer repeats.
const NAME_CHARS_MAX: usize = 40;

/// The parameters of a request. All complaints are made together.
pub(super) struct Parameters {
    given: HashMap<String, String>,
    pub(super) errors: Vec<FieldError>,
    unknown: Option<Problem>,
}

impl Parameters {
    /// Complains about unknown parameters.
    pub(super) fn of(request: &HttpRequest, known: &[&str]) -> Self {
        Self::of_query(request.query_string(), known)
    }

    pub(super) fn of_query(query: &str, known: &[&str]) -> Self {
        let pairs = Query::<Vec<(String, String)>>::from_query(query).map_or_else(|_| Vec::new(), Query::into_inner);
        let (mut given, mut errors) = (HashMap::new(), Vec::new());
        for (name, text) in pairs {
            if given.insert(name.clone(), text).is_some() && known.contains(&&*name) {
                let (pointer, detail) = (format!("/{name}"), format!("{name} is there twice").into());
                errors.push(FieldError { pointer, code: "duplicate_field", detail });
            }
        }
        let unknown = unknown(&given, known);
        Self { given, errors, unknown }
    }

    /// `None` where it is absent, empty, or wrong.
    pub(super) fn read<T>(&mut self, name: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.given.get(name).filter(|text| !text.is_empty())?;
        let parsed = parse(text);
        if parsed.is_none() {
            let detail = format!("{name} must be {what}").into();
            self.errors.push(FieldError { pointer: format!("/{name}"), code: "invalid_format", detail });
        }
        parsed
    }

    /// The parameter `limit`.
    pub(super) fn at_most(&mut self, most: usize) -> Option<usize> {
        self.read("limit", &format!("a whole number from 1 to {most}"), |text| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|limit| is_number && (1..=most).contains(limit))
        })
    }

    pub(super) fn finish<T>(self, asked: T) -> Result<T, Problem> {
        match self.unknown {
            Some(problem) => Err(problem),
            None if self.errors.is_empty() => Ok(asked),
            None => Err(Problem::of_fields(&self.errors)),
        }
    }
}

fn unknown(given: &HashMap<String, String>, known: &[&str]) -> Option<Problem> {
    let mut names: Vec<_> = given.keys().filter(|name| !known.contains(&name.as_str())).collect();
    names.sort();
    let name: String = visible(names.first()?).chars().take(NAME_CHARS_MAX).collect();
    let detail = match known {
        [] => format!("the query has a parameter {name:?}, and this resource knows none"),
        known => format!("the query has a parameter {name:?}; known are {}", known.join(", ")),
    };
    Some(Problem::new(Code::UnknownParameter, detail).with("parameter", name))
}

/// Middleware of the routes that know no parameter, for `actix_web::middleware::from_fn`.
pub(super) async fn none(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if !request.query_string().is_empty()
        && let Err(problem) = Parameters::of(request.request(), &[]).finish(())
    {
        return Ok(request.error_response(problem));
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_is_there_twice_is_named_whichever_value_is_right() {
        for query in ["limit=1&limit=2", "limit=&sale=a&limit=2", "limit=1&lim%69t=1"] {
            let problem = Parameters::of_query(query, &["limit", "sale"]).finish(()).unwrap_err();
            assert_eq!(problem.code(), Code::ValidationFailed);
            let errors = &problem.parts().2["errors"];
            assert_eq!((&errors[0]["pointer"], &errors[0]["code"]), (&"/limit".into(), &"duplicate_field".into()));
        }
        assert!(Parameters::of_query("limit=1&&sale=a", &["limit", "sale"]).finish(()).is_ok());
        let unknown = Parameters::of_query("x=1&x=2", &["limit"]).finish(()).unwrap_err();
        assert_eq!(unknown.code(), Code::UnknownParameter);
    }
}
