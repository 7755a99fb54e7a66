//! The frame around every request: its id, its line in the log, and problems rendered with that id.

use std::{cell::Cell, fmt::Display, rc::Rc, time::Instant};

use actix_web::{
    Error, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        ConnectionType, Method, StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
};

use super::{
    admin,
    body::Shared,
    meter::{InFlight, RequestMeter, RouteCells, word},
    parameters::check_path,
    problem::{Code, Problem},
    throttle::Throttle,
};
use crate::trace::{Answered, Caller, RequestSpan};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 64;
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The facts about a request that its answer, its line in the log and metrics need.
pub(super) struct Frame {
    given_id: Option<String>,
    trace: Option<String>,
    span: RequestSpan,
    started: Instant,
    in_flight: InFlight,
}

impl Frame {
    pub(super) fn open(headers: &HeaderMap, meter: &Rc<RequestMeter>) -> Self {
        let caller = caller(headers);
        let span = RequestSpan::begin(caller, || joined(headers, &TRACESTATE));
        let trace = span.trace_id().or_else(|| caller.map(|caller| caller.trace_id.to_owned()));
        Self { given_id: given_id(headers), trace, span, started: Instant::now(), in_flight: meter.begin() }
    }

    /// The work for this request.
    pub(super) fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        self.span.around(work)
    }

    /// `route`: its pattern, if there is one.
    pub(super) fn close(
        self,
        answer: Result<HttpResponse, Problem>,
        method: &Method,
        route: Option<&str>,
        path: impl Display,
    ) -> HttpResponse {
        let names = Names { id: self.given_id.unwrap_or_else(fresh_id), trace: self.trace };
        let mut response = answer.unwrap_or_else(|problem| render(&problem, &names));
        count(&self.in_flight.meter().route(route, method), self.started, &names, method, path, response.status());
        end(self.span, &names, method, route, response.status());
        mark(response.headers_mut(), &names.id);
        response
    }
}

/// The frame as middleware, for `actix_web::middleware::from_fn`.
///
/// # Errors
/// When the inner service fails. Routes of this service answer problems instead.
pub async fn frame(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    let meter = request.app_data::<Rc<RequestMeter>>().expect("the application registers its meter");
    let Frame { given_id, trace, span, started, in_flight } = Frame::open(request.headers(), meter);
    let names = Names { id: given_id.unwrap_or_else(fresh_id), trace };
    let body = Shared::of(&mut request);
    let mut response = match check_path(request.path()) {
        Ok(()) => span.around(next.call(request)).await?.map_into_boxed_body(),
        Err(problem) => {
            let problem = admin::complaint_for(request.request(), problem);
            request.error_response(problem)
        }
    };
    let problem = response.response().error().and_then(|error| error.as_error::<Problem>());
    let unread = if let Some(problem) = problem {
        let rendered = render(problem, &names);
        let closes = problem.closes();
        response = response.into_response(rendered);
        if closes { None } else { body }
    } else {
        body
    };
    if let Some(body) = unread
        && !body.drain().await
    {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let request = response.request();
    let route = request.match_pattern();
    let cells = in_flight.meter().route(route.as_deref(), request.method());
    count(&cells, started, &names, request.method(), request.path(), response.status());
    end(span, &names, request.method(), route.as_deref(), response.status());
    mark(response.headers_mut(), &names.id);
    Ok(response)
}

/// How the log names a request.
struct Names {
    id: String,
    /// That of the trace that has it, or else of the one of which the caller says that it is a part.
    trace: Option<String>,
}

fn render(problem: &Problem, names: &Names) -> HttpResponse {
    log_failure(problem, names);
    problem.render(&names.id)
}

/// Counts an answer, and logs it.
fn count(cells: &RouteCells, started: Instant, names: &Names, method: &Method, path: impl Display, status: StatusCode) {
    let took = started.elapsed();
    cells.answered(status, took);
    tracing::debug!(
        request_id = names.id,
        trace_id = names.trace,
        %method,
        %path,
        status = status.as_u16(),
        elapsed_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "request"
    );
}

fn end(span: RequestSpan, names: &Names, method: &Method, route: Option<&str>, status: StatusCode) {
    span.end(&Answered { method: word(method), route, status: status.as_u16(), request_id: &names.id });
}

fn mark(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
}

/// The caller's own id, when it is one that can stand in a log: `[A-Za-z0-9._-]{1,64}`.
fn given_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    (plain && (1..=REQUEST_ID_CHARS_MAX).contains(&text.len())).then(|| text.to_owned())
}

/// The trace of the caller. Two of them are none: nobody knows which one is meant.
fn caller(headers: &HeaderMap) -> Option<Caller<'_>> {
    let mut given = headers.get_all(TRACEPARENT);
    let text = given.next()?.to_str().ok()?;
    if given.next().is_some() { None } else { Caller::parse(text) }
}

/// All values of a header that may come in several lines.
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get_all(name).filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",")
}

thread_local! {
    static PREFIX: String = {
        let mut bytes = [0; 8];
        // Without random numbers the ids of two workers may meet, which hurts nobody but a reader of logs.
        let _filled = getrandom::fill(&mut bytes);
        format!("{:016x}-", u64::from_le_bytes(bytes))
    };
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static FAILURES: Throttle = const { Throttle::new() };
}

/// Random for each worker, then counted: unique without asking for random numbers every time.
fn fresh_id() -> String {
    let count = COUNT.get();
    COUNT.set(count + 1);
    PREFIX.with(|prefix| format!("{prefix}{count:x}"))
}

fn log_failure(problem: &Problem, names: &Names) {
    let Some(failure) = problem.failure() else { return };
    // The store logs that once, with what to do.
    if problem.code() == Code::StoreReplaced {
        return;
    }
    let code = problem.code().row().0;
    if let Some(unsaid) = FAILURES.with(Throttle::pass) {
        tracing::error!(request_id = names.id, trace_id = names.trace, code, cause = %failure, unsaid, "request failed");
    }
}

#[cfg(test)]
mod tests {
    use super::{COUNT, fresh_id};

    #[test]
    fn a_fresh_id_is_a_prefix_and_the_count_in_hexadecimal() {
        for (count, digits) in
            [(0, "0"), (1, "1"), (15, "f"), (16, "10"), (0x01a2_b3c0, "1a2b3c0"), (u64::MAX - 1, "fffffffffffffffe")]
        {
            COUNT.set(count);
            let id = fresh_id();
            let (prefix, counted) = id.split_once('-').unwrap();
            assert_eq!((prefix.len(), counted), (16, digits));
        }
    }
}
