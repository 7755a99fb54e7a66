//! Spans that are sent to a collector.

use std::{borrow::Cow, sync::OnceLock};

use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState, Tracer as _,
    },
};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::{Answered, Caller};

/// The name of a request's span until its route is known.
const UNKNOWN: &str = "HTTP";
/// The longest `tracestate`, as W3C Trace Context wants it kept. Each span has a copy.
const STATE_BYTES_MAX: usize = 512;

static TRACER: OnceLock<Tracer> = OnceLock::new();

struct Tracer {
    spans: SdkTracer,
    trusts_callers: bool,
}

tokio::task_local! {
    /// The span of the request that this task answers, if it is kept.
    static CURRENT: Option<SpanContext>;
}

/// Begins to make spans. `trusts_callers`: a request belongs to the trace that it names, and is kept where the caller's part is.
/// A second call changes nothing.
pub fn start(spans: SdkTracer, trusts_callers: bool) {
    let _first = TRACER.set(Tracer { spans, trusts_callers });
}

impl Tracer {
    fn begin(&self, name: impl Into<Cow<'static, str>>, kind: SpanKind, parent: Option<SpanContext>) -> Option<Span> {
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        // Spans of this thread's own context have nothing to do with the request.
        let context = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        Some(self.spans.build_with_context(builder, &context)).filter(Span::is_recording)
    }
}

/// A request, from its head to the head of its answer. One that is dropped, because its client has left, ends then.
pub struct RequestSpan(Option<Span>);

impl RequestSpan {
    /// `state`: the `tracestate` of the caller, which goes where the trace goes.
    pub fn begin(caller: Option<Caller<'_>>, state: impl FnOnce() -> String) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let parent = caller.filter(|_| tracer.trusts_callers).and_then(|caller| parent(caller, &state()));
        Self(tracer.begin(UNKNOWN, SpanKind::Server, parent))
    }

    /// The id of the trace that has this request. `None`: it is not kept.
    pub fn trace_id(&self) -> Option<String> {
        self.0.as_ref().map(|span| span.span_context().trace_id().to_string())
    }

    /// The work for this request: the spans of its calls are below its own.
    pub fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.0.as_ref().map(|span| span.span_context().clone()), work)
    }

    pub fn end(self, answered: &Answered<'_>) {
        let Some(mut span) = self.0 else { return };
        let method = answered.method;
        span.update_name(answered.route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")));
        span.set_attribute(KeyValue::new("http.request.method", method));
        if let Some(route) = answered.route {
            span.set_attribute(KeyValue::new("http.route", route.to_owned()));
        }
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(answered.status)));
        span.set_attribute(KeyValue::new("flashsale.request_id", answered.request_id.to_owned()));
        // A refusal is no failure.
        if answered.status >= 500 {
            span.set_attribute(KeyValue::new("error.type", answered.status.to_string()));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// A `tracestate` that is malformed or too long is left out; the trace is the caller's all the same.
fn parent(caller: Caller<'_>, state: &str) -> Option<SpanContext> {
    use opentelemetry::trace::{SpanId, TraceId};

    let trace = TraceId::from_hex(caller.trace_id).ok()?;
    let span = SpanId::from_hex(caller.span_id).ok()?;
    let flags = TraceFlags::default().with_sampled(caller.is_sampled);
    let state = Some(state).filter(|state| state.len() <= STATE_BYTES_MAX).and_then(|state| state.parse().ok());
    Some(SpanContext::new(trace, span, flags, true, state.unwrap_or(TraceState::NONE)))
}

/// Something that a request waits for. There is none outside of a request that is kept.
pub struct CallSpan(Option<Span>);

impl CallSpan {
    /// A command, and the script that it calls.
    pub fn of_command<'a>(command: impl FnOnce() -> (&'a str, Option<&'static str>)) -> Self {
        Self::begin(SpanKind::Client, || {
            let (command, script) = command();
            let name = script.map_or_else(|| command.to_owned(), |script| format!("{command} {script}"));
            let mut attributes =
                vec![KeyValue::new("db.system.name", "redis"), KeyValue::new("db.operation.name", command.to_owned())];
            attributes.extend(script.map(|script| KeyValue::new("db.stored_procedure.name", script)));
            (name, attributes)
        })
    }

    /// The wait for a batch, from the queue to the answer. A batch decides for many requests, and belongs to none of them.
    pub fn of_batch(script: &'static str) -> Self {
        Self::begin(SpanKind::Internal, || {
            (format!("batch {script}"), vec![KeyValue::new("db.stored_procedure.name", script)])
        })
    }

    /// The server that is asked: a host and a port, or the path of a socket.
    pub fn at(&mut self, server: &str) {
        let Some(span) = &mut self.0 else { return };
        let host_and_port = server.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let host = host_and_port.map_or(server, |(host, _)| host.trim_matches(['[', ']']));
        span.set_attribute(KeyValue::new("server.address", host.to_owned()));
        if let Some((_, port)) = host_and_port {
            span.set_attribute(KeyValue::new("server.port", i64::from(port)));
        }
    }

    /// `failure`: its word, if there is one.
    pub fn end(self, failure: Option<&'static str>) {
        let Some(mut span) = self.0 else { return };
        if let Some(word) = failure {
            span.set_attribute(KeyValue::new("error.type", word));
            span.set_status(Status::error(word));
        }
        span.end();
    }

    fn begin(kind: SpanKind, describe: impl FnOnce() -> (String, Vec<KeyValue>)) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let Some(parent) = CURRENT.try_with(Clone::clone).ok().flatten() else { return Self(None) };
        let (name, attributes) = describe();
        let mut span = tracer.begin(name, kind, Some(parent));
        if let Some(span) = &mut span {
            span.set_attributes(attributes);
        }
        Self(span)
    }
}
