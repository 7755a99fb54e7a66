//! The parameters of a query. Unknown ones are refused on every route, because a parameter that nobody reads is a mistake. The
//! exceptions are payment events: money is taken whatever a provider adds to its URL.

use std::collections::HashMap;

use actix_web::{
    Error, HttpRequest,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use percent_encoding::percent_decode_str;

use super::{
    admin,
    problem::{Code, FieldError, Problem},
};
use crate::webhook::visible;

/// Characters of an unknown name that an answer repeats.
const NAME_CHARS_MAX: usize = 40;

/// Parameters that may be empty.
const PLACES: [&str; 2] = ["cursor", "after"];
const NO_UTF8: &str =
    "has percent-escapes that are no UTF-8: write a letter as the bytes that it has in UTF-8, such as %C3%A4";

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
        let (mut given, mut errors) = (HashMap::new(), Vec::new());
        let legible = query.split('&').filter(|pair| is_utf8(pair));
        for (name, text) in legible.flat_map(|pair| url::form_urlencoded::parse(pair.as_bytes()).into_owned()) {
            if given.insert(name.clone(), text).is_some() && known.contains(&&*name) {
                let (pointer, detail) = (format!("/{name}"), format!("{name} is there twice").into());
                errors.push(FieldError { pointer, code: "duplicate_field", detail });
            }
        }
        let unknown = unknown(&given, known);
        errors.extend(query.split('&').filter(|pair| !is_utf8(pair)).map(undecodable));
        Self { given, errors, unknown }
    }

    /// `None` where it is absent or wrong. An empty one is wrong: taken for an absent one it would mean everything. Only the place
    /// in a list may be empty, which is its beginning.
    pub(super) fn read<T>(&mut self, name: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.given.get(name).filter(|text| !(text.is_empty() && PLACES.contains(&name)))?;
        let parsed = if text.is_empty() { None } else { parse(text) };
        if parsed.is_none() {
            let detail = match text.as_str() {
                "" => format!("{name} is empty: leave it out, or send {what}"),
                _ => format!("{name} must be {what}"),
            };
            let detail = detail.into();
            self.errors.push(FieldError { pointer: format!("/{name}"), code: "invalid_format", detail });
        }
        parsed
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
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

fn is_utf8(encoded: &str) -> bool {
    percent_decode_str(encoded).decode_utf8().is_ok()
}

fn undecodable(pair: &str) -> FieldError {
    let name = pair.split('=').next().filter(|name| is_utf8(name)).unwrap_or_default();
    let shown: String = visible(name).chars().take(NAME_CHARS_MAX).collect();
    let escaped = shown.replace('~', "~0").replace('/', "~1");
    let pointer = if name.is_empty() { String::new() } else { format!("/{escaped}") };
    FieldError { pointer, code: "invalid_encoding", detail: format!("the query {NO_UTF8}").into() }
}

/// The path of a request, which a handler reads decoded.
///
/// # Errors
/// When it has escapes that are no UTF-8: nobody could say what they mean.
pub(super) fn check_path(path: &str) -> Result<(), Problem> {
    // Elsewhere there is nothing, however it is spelled.
    if !path.starts_with("/api/") || !path.contains('%') || is_utf8(path) {
        return Ok(());
    }
    let detail = format!("the path {NO_UTF8}").into();
    Err(Problem::of_fields(&[FieldError { pointer: String::new(), code: "invalid_encoding", detail }]))
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
        let problem = admin::complaint_for(request.request(), problem);
        return Ok(request.error_response(problem));
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_parameter_is_refused_unless_it_is_the_beginning_of_a_list() {
        let read = |query: &str| {
            let mut parameters = Parameters::of_query(query, &["sale", "cursor"]);
            let read = ["sale", "cursor"].map(|name| parameters.read(name, "a text", |text| Some(text.to_owned())));
            parameters.finish(read)
        };
        assert_eq!(read("cursor=").unwrap(), [None, None]);
        assert_eq!(read("sale=a+b%20c&cursor=2").unwrap(), [Some("a b c".to_owned()), Some("2".to_owned())]);
        for query in ["sale=", "sale", "cursor=1&sale="] {
            let problem = read(query).unwrap_err();
            let error = &problem.parts().2["errors"][0];
            assert_eq!(
                (&error["pointer"], &error["detail"]),
                (&"/sale".into(), &"sale is empty: leave it out, or send a text".into())
            );
        }
    }

    #[test]
    fn escapes_that_are_no_utf_8_are_refused_in_names_values_and_paths() {
        for (query, pointer) in [
            ("sale=%ff", "/sale"),
            ("sale=a&limit=%C3", "/limit"),
            ("sale=%C3&%A4", "/sale"),
            ("%ff=1", ""),
            ("sale=%ed%a0%80", "/sale"),
            ("a~b/c=%ff", "/a~0b~1c"),
            (&format!("{}=%ff", "x".repeat(3_000)), &*format!("/{}", "x".repeat(NAME_CHARS_MAX))),
        ] {
            let problem = Parameters::of_query(query, &["sale", "limit"]).finish(()).unwrap_err();
            let error = &problem.parts().2["errors"][0];
            assert_eq!((&error["pointer"], &error["code"]), (&pointer.into(), &"invalid_encoding".into()), "{query}");
        }
        assert!(Parameters::of_query("sale=%C3%A4%00+%EF%BF%BD", &["sale"]).finish(()).is_ok());
        for path in ["/api/a%ff", "/api/%C3/%A4", "/api/%80"] {
            assert_eq!(check_path(path).unwrap_err().code(), Code::ValidationFailed);
        }
        for path in ["/a%ff", "/api/%C3%A4", "/api/100%", "/api/%zz", "/api/%2F%25ff"] {
            assert!(check_path(path).is_ok(), "{path}");
        }
    }

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
