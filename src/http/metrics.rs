//! GET /metrics: what this process counted and what is in the store, for Prometheus.

use std::time::{Duration, SystemTime};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    web::Data,
};

use super::{
    HttpContext, admin,
    answer::NO_STORE,
    digests::Digests,
    extract::{self, FromHttp, Parsed},
    problem::{Code, Problem},
};
use crate::{
    metrics::{Exposition, Kind, write_process},
    store::Store,
};

pub(super) const PATH: &str = "/metrics";

/// Who may read metrics, and how much of the store they show.
#[derive(Clone)]
pub struct MetricsTerms {
    /// Nobody needs a token.
    open: bool,
    readers: Digests,
    products_max: usize,
}

impl MetricsTerms {
    /// `readers`: tokens that may read metrics and nothing else.
    pub fn new<'a>(open: bool, readers: impl IntoIterator<Item = &'a str>, products_max: usize) -> Self {
        Self { open, readers: Digests::of(readers), products_max }
    }

    /// Whether somebody may read them, where there are no admins.
    pub(super) fn has_readers(&self) -> bool {
        self.open || !self.readers.is_empty()
    }
}

pub(super) async fn read(
    context: Data<HttpContext>,
    store: Data<Store>,
    Parsed(ReadRequest): Parsed<ReadRequest>,
) -> HttpResponse {
    let mut metrics = Exposition::default();
    let version = env!("CARGO_PKG_VERSION");
    metrics.family("flashsale_build_info", Kind::Gauge, "The version of this process. Always 1.");
    metrics.sample(&[("version", version)], 1);
    let figures = store.figures();
    let started = Duration::from_millis(u64::try_from(figures.started_ms).unwrap_or(0));
    write_process(&mut metrics, SystemTime::UNIX_EPOCH + started);
    context.requests.write(&mut metrics);
    let help = "Whether the process is about to stop.";
    metrics.single("flashsale_draining", Kind::Gauge, help, u8::from(context.draining.has_begun()));
    let help = "Streams of stock that are open.";
    metrics.single("flashsale_watchers", Kind::Gauge, help, context.live.watchers());
    store.write_counts(&mut metrics);
    store.write_state(&mut metrics, context.metrics.products_max).await;
    let mut response = HttpResponse::Ok().body(metrics.into_text());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Exposition::CONTENT_TYPE));
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE.clone());
    response
}

pub(super) struct ReadRequest;

impl FromHttp for ReadRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        let context = extract::context(&request);
        let terms = &context.metrics;
        if terms.open || admin::bearer(request.headers()).is_some_and(|token| terms.readers.find(&token).is_some()) {
            return Ok(Self);
        }
        admin::authorize(&request).map(|_| Self).map_err(|problem| {
            let is_unknown = problem.code() == Code::Unauthorized;
            let detail = "send Authorization: Bearer <token> with the token of metrics.token, or an admin token";
            if is_unknown { Problem::unauthorized("Bearer", detail) } else { problem }
        })
    }
}
