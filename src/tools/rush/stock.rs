//! The product's counters, read again and again while buyers come.

use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::time::sleep;

use crate::tools::client::api::{ApiCall, ApiClient, CallError};

/// The pause between two samples at first, so that a rush that is over at once has a picture too.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_millis(125);
const FIRST: Duration = Duration::from_millis(500);

/// The counters of a product. They are signed, unlike those of the wire, because a faulty service may answer anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct StockCounters {
    #[serde(rename = "total_stock")]
    pub total: i64,
    #[serde(rename = "available_stock")]
    pub available: i64,
    #[serde(rename = "held_stock")]
    pub held: i64,
    #[serde(rename = "pending_stock")]
    pub pending: i64,
    #[serde(rename = "sold_stock")]
    pub sold: i64,
}

impl StockCounters {
    pub fn taken(&self) -> i64 {
        self.held.saturating_add(self.pending).saturating_add(self.sold)
    }

    /// `total = available + held + pending + sold`, every term at least 0.
    pub fn are_balanced(&self) -> bool {
        let terms = [self.available, self.held, self.pending, self.sold];
        terms.iter().all(|term| *term >= 0) && self.available.checked_add(self.taken()) == Some(self.total)
    }
}

/// The counters at one instant, since the start of the rush.
#[derive(Clone, Copy, Debug)]
pub struct StockSample {
    pub at: Duration,
    pub stock: StockCounters,
}

/// All samples of a rush. A rush has an end, so their number has a bound.
pub struct StockSamples {
    pub all: Vec<StockSample>,
    /// Reads without an answer, or with an unreadable one.
    pub missed: u64,
}

impl StockSamples {
    pub fn starting_with(stock: StockCounters) -> Self {
        Self { all: vec![StockSample { at: Duration::ZERO, stock }], missed: 0 }
    }

    pub fn add(&mut self, sample: Option<StockSample>) {
        match sample {
            Some(sample) => self.all.push(sample),
            None => self.missed += 1,
        }
    }

    pub fn first_unbalanced(&self) -> Option<StockSample> {
        self.all.iter().find(|sample| !sample.stock.are_balanced()).copied()
    }
}

/// Reads the counters of one product, on a connection of its own.
pub struct StockReader {
    client: ApiClient,
    path: String,
}

impl StockReader {
    pub fn as_buyer(client: ApiClient, product: u64) -> Self {
        Self { client, path: format!("/api/products/{product}") }
    }

    /// Reads over the admin route, which takes nothing from the rate limit that buyers meet.
    pub fn as_admin(client: ApiClient, product: u64) -> Self {
        Self { client, path: format!("/api/admin/products/{product}") }
    }

    /// # Errors
    /// [`CallError`].
    pub async fn read(&mut self) -> Result<StockCounters, CallError> {
        self.client.send(ApiCall::get(self.path.as_str())).await?.json()
    }

    /// Takes samples until the future is dropped.
    pub async fn sample(&mut self, started: Instant, mut add: impl FnMut(Option<StockSample>)) {
        loop {
            let stock = self.read().await.ok();
            add(stock.map(|stock| StockSample { at: started.elapsed(), stock }));
            sleep(if started.elapsed() < FIRST { FIRST_PAUSE } else { PAUSE }).await;
        }
    }
}
