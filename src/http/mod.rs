//! HTTP: parses requests into domain types, and answers outcomes as JSON. Only this room knows status codes.

mod admin;
mod answer;
mod body;
mod cors;
mod digests;
mod edge;
mod extract;
mod fast_path;
mod fields;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed;
pub mod gate;
mod gzip;
mod health;
mod holds;
mod live;
mod metadata;
mod meter;
mod metrics;
mod orders;
mod pages;
mod parameters;
mod payments;
pub mod problem;
mod products;
mod refusals;
pub mod routes;
mod simulated_provider;
mod throttle;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use crate::webhook::signature::Verifier;

pub use admin::{AdminToken, Admins};
pub use cors::Cors;
pub use edge::{Pace, Places, edge};
pub use fast_path::FastPath;
pub use frame::frame;
pub use gate::Gate;
pub use live::Live;
pub use meter::{RequestMeter, Requests};
pub use metrics::MetricsTerms;
pub use pages::Pages;
pub use simulated_provider::SimulatedProvider;

/// What all workers share.
#[derive(Clone)]
pub struct HttpContext {
    pub limits: BodyLimits,
    /// One for each provider.
    pub verifiers: Arc<[Verifier]>,
    /// The tokens of the admin routes. `None`: these routes do not exist.
    pub admins: Option<Admins>,
    /// The gate of the storefront. `None`: every call passes.
    pub gate: Option<Arc<Gate>>,
    /// The origins of web pages that may call. `None`: none may.
    pub cors: Option<Arc<Cors>>,
    pub draining: Draining,
    pub metrics: MetricsTerms,
    /// Who watches stock as it changes.
    pub live: Arc<Live>,
    pub pages: Pages,
    /// Only the demo has one.
    pub simulated_provider: Option<Arc<SimulatedProvider>>,
    /// The requests that all workers counted.
    pub requests: Arc<Requests>,
    /// Whether answers say in which order their sale decided.
    pub shows_sequence: bool,
}

/// Bounds on the bodies of requests.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    pub body_bytes_max: usize,
    pub webhook_bytes_max: usize,
    pub read_timeout: Duration,
}

/// Set when the service begins to stop.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<(AtomicBool, Notify)>);

impl Draining {
    pub fn begin(&self) {
        self.0.0.store(true, Ordering::Release);
        self.0.1.notify_waiters();
    }

    pub fn has_begun(&self) -> bool {
        self.0.0.load(Ordering::Relaxed)
    }

    /// Waits until it begins.
    pub async fn begun(&self) {
        // It gets the word from here on, so none is lost between the look and the wait.
        let begun = self.0.1.notified();
        if !self.0.0.load(Ordering::Acquire) {
            begun.await;
        }
    }
}
