//! Spans on their way to a collector: OTLP over HTTP.
//!
//! Requests put spans into a queue with a bound and go on. A thread of the SDK's own sends them. What finds no room, and what
//! the collector does not take, is dropped and counted.

mod losses;

use std::{
    io,
    rc::Rc,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use tokio::{runtime, task::LocalSet};

use self::losses::{Losses, QUEUE_MAX, Queue, Watched};
use crate::{
    config::Tracing,
    tools::client::{Bounds, Connection, Endpoint, EndpointError, TransportError},
    trace,
};

const PATH: &str = "/v1/traces";
/// The spans of one message.
const MESSAGE_MAX: usize = 512;
/// The longest wait for a message that is not full.
const PAUSE: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long the end of the process waits for what is not sent yet.
const FINISH_MAX: Duration = Duration::from_secs(2);

static SENDING: OnceLock<(SdkTracerProvider, Arc<Losses>)> = OnceLock::new();

/// Begins to send spans to the collector of the settings, if there is one. A second call changes nothing.
///
/// # Errors
/// When the exporter cannot be made.
pub fn start(tracing: &Tracing) -> io::Result<()> {
    let Some(url) = tracing.otlp_endpoint.as_deref() else { return Ok(()) };
    let losses = Arc::<Losses>::default();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector { url: url.to_owned(), losses: Arc::clone(&losses) })
        .with_endpoint(format!("{}{PATH}", url.trim_end_matches('/')))
        .with_timeout(TIMEOUT)
        .build()
        .map_err(io::Error::other)?;
    let bounds = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE_MAX)
        .with_max_export_batch_size(MESSAGE_MAX)
        .with_scheduled_delay(PAUSE)
        .build();
    let sending =
        BatchSpanProcessor::builder(Watched::new(exporter, Arc::clone(&losses))).with_batch_config(bounds).build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(Queue::new(sending, Arc::clone(&losses)))
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(tracing.sample_ratio))))
        .with_resource(resource())
        .build();
    if SENDING.set((provider.clone(), losses)).is_ok() {
        trace::start(provider.tracer(env!("CARGO_PKG_NAME")), tracing.trust_callers);
        tracing::info!(collector = url, sample_ratio = tracing.sample_ratio, "traces");
    }
    Ok(())
}

/// Sends what waits, for two seconds at most. Call it before the end of the log.
pub(super) fn finish() {
    let Some((provider, losses)) = SENDING.get() else { return };
    // What it did not send is counted.
    let _late = provider.shutdown_with_timeout(FINISH_MAX);
    losses.log_rest();
}

fn resource() -> Resource {
    let mut id = [0; 16];
    // Without random numbers two processes look like one, which hurts nobody but a reader of traces.
    let _filled = getrandom::fill(&mut id);
    Resource::builder()
        .with_service_name(env!("CARGO_PKG_NAME"))
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", hex::encode(id)),
        ])
        .build()
}

/// The collector, as the thread that sends knows it. No other thread asks it, so that one may wait here.
#[derive(Debug)]
struct Collector {
    url: String,
    losses: Arc<Losses>,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        Ok(self.send(request).inspect_err(|error| self.losses.because(error.to_string()))?)
    }
}

impl Collector {
    /// A connection for each message, of which there are few: so a collector is found again that has moved.
    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
        let endpoint = Endpoint::parse(&self.url)?;
        let (head, body) = request.into_parts();
        let mut message = endpoint.post(PATH, body);
        message.headers_mut().extend(head.headers);
        let bounds = Bounds { timeout: TIMEOUT, body_bytes_max: ANSWER_BYTES_MAX };
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let answered = LocalSet::new()
            .block_on(&runtime, async { Connection::bounded(Rc::new(endpoint), bounds).send(message).await })?;
        let mut response = Response::new(answered.body);
        *response.status_mut() = answered.status.try_into().map_err(io::Error::other)?;
        *response.headers_mut() = answered.headers;
        Ok(response)
    }
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Runtime(#[from] io::Error),
}
