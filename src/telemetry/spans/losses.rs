//! Both ends of the queue of spans: its bound, and what is lost there.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor},
};

/// Spans that wait to be sent, with those on their way.
pub(super) const QUEUE_MAX: usize = 4_096;
/// The pause between two warnings.
const WARNING_PAUSE: Duration = Duration::from_mins(1);

/// What both ends of the queue count.
#[derive(Debug, Default)]
pub(super) struct Losses {
    waiting: AtomicUsize,
    /// Spans that nobody gets, since the last line about them.
    lost: AtomicUsize,
    /// Why the last message was not sent, which the SDK calls a network error whatever it is.
    reason: Mutex<Option<String>>,
}

impl Losses {
    pub(super) fn because(&self, reason: String) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    fn take_reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The last line: what was lost since the one before it, and what still waits.
    pub(super) fn log_rest(&self) {
        let lost = self.take() + self.waiting.load(Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "the last spans were not sent");
        }
    }

    fn take(&self) -> usize {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

/// The end at which requests are. The SDK would drop what finds no room without a word.
#[derive(Debug)]
pub(super) struct Queue {
    next: BatchSpanProcessor,
    losses: Arc<Losses>,
}

impl Queue {
    pub(super) fn new(next: BatchSpanProcessor, losses: Arc<Losses>) -> Self {
        Self { next, losses }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.losses.waiting.fetch_add(1, Ordering::Relaxed) < QUEUE_MAX {
            self.next.on_end(span);
        } else {
            self.losses.waiting.fetch_sub(1, Ordering::Relaxed);
            self.losses.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// The end at which the collector is.
#[derive(Debug)]
pub(super) struct Watched<E> {
    exporter: E,
    losses: Arc<Losses>,
    log: Mutex<Log>,
}

impl<E> Watched<E> {
    pub(super) fn new(exporter: E, losses: Arc<Losses>) -> Self {
        Self { exporter, losses, log: Mutex::default() }
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        let count = spans.len();
        let sent = self.exporter.export(spans).await;
        self.losses.waiting.fetch_sub(count, Ordering::Relaxed);
        if sent.is_err() {
            self.losses.lost.fetch_add(count, Ordering::Relaxed);
        }
        self.log.lock().unwrap_or_else(PoisonError::into_inner).note(&self.losses, sent.as_ref().err());
        sent
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// What the log says already.
#[derive(Debug, Default)]
struct Log {
    warned: Option<Instant>,
    says_away: bool,
}

impl Log {
    /// Warns once a minute at most, however often the collector comes and goes.
    fn note(&mut self, losses: &Losses, failure: Option<&OTelSdkError>) {
        let reason = losses.take_reason();
        let is_time = self.warned.is_none_or(|warned| warned.elapsed() >= WARNING_PAUSE);
        match failure {
            Some(error) if is_time => {
                let error = reason.unwrap_or_else(|| error.to_string());
                tracing::warn!(
                    error,
                    lost = losses.take(),
                    "the collector takes no spans; they are dropped until it does"
                );
                (self.warned, self.says_away) = (Some(Instant::now()), true);
            }
            None if self.says_away => {
                tracing::info!(lost = losses.take(), "the collector takes spans again");
                self.says_away = false;
            }
            None if is_time && losses.lost.load(Ordering::Relaxed) > 0 => {
                tracing::warn!(
                    lost = losses.take(),
                    "spans came faster than the collector took them; some were dropped"
                );
                self.warned = Some(Instant::now());
            }
            _ => {}
        }
    }
}
