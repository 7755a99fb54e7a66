//! The frame around every request: its id, its line in the log, and problems rendered with that id.

use std::{cell::Cell, time::Instant};

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
};

use super::{problem::Problem, throttle::Throttle};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 64;

/// Middleware for `actix_web::middleware::from_fn`.
///
/// # Errors
/// What lies within may fail; routes of this service answer problems instead.
pub async fn frame(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = given_id(request.headers()).unwrap_or_else(fresh_id);
    let started = Instant::now();
    let mut response = next.call(request).await?.map_into_boxed_body();
    let problem = response.response().error().and_then(|error| error.as_error::<Problem>());
    if let Some(problem) = problem {
        log_failure(problem, &id);
        let rendered = problem.render(&id);
        response = response.into_response(rendered);
    }
    tracing::debug!(
        request_id = id,
        method = %response.request().method(),
        path = response.request().path(),
        status = response.status().as_u16(),
        elapsed_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request"
    );
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    Ok(response)
}

/// The caller's own id, when it is one that can stand in a log: `[A-Za-z0-9._-]{1,64}`.
fn given_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    (plain && (1..=REQUEST_ID_CHARS_MAX).contains(&text.len())).then(|| text.to_owned())
}

thread_local! {
    static PREFIX: u64 = {
        let mut bytes = [0; 8];
        // Without random numbers the ids of two workers may meet, which hurts nobody but a reader of logs.
        let _filled = getrandom::fill(&mut bytes);
        u64::from_le_bytes(bytes)
    };
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static FAILURES: Throttle = const { Throttle::new() };
}

/// Random for each worker, then counted: unique without asking for random numbers every time.
fn fresh_id() -> String {
    let count = COUNT.get();
    COUNT.set(count + 1);
    format!("{:016x}-{count:x}", PREFIX.with(|prefix| *prefix))
}

fn log_failure(problem: &Problem, id: &str) {
    let Some(failure) = problem.failure() else { return };
    let code = problem.code().row().0;
    if let Some(unsaid) = FAILURES.with(Throttle::pass) {
        tracing::error!(request_id = id, code, cause = %failure, unsaid, "request failed");
    }
}
