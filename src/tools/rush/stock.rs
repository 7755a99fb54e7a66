//! The counters of the products over time, while buyers come.

use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::time::sleep;

use super::products::ProductReader;

/// The pause between two samples at first, so that a rush that is over at once has a picture too.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_millis(125);
const FIRST: Duration = Duration::from_millis(500);

/// The counters of a product. They are signed, unlike those of the wire, because a faulty service may answer anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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

    /// The counters of several products, summed.
    pub fn sum(all: &[Self]) -> Self {
        let sum = |term: fn(&Self) -> i64| all.iter().map(term).fold(0, i64::saturating_add);
        Self {
            total: sum(|stock| stock.total),
            available: sum(|stock| stock.available),
            held: sum(|stock| stock.held),
            pending: sum(|stock| stock.pending),
            sold: sum(|stock| stock.sold),
        }
    }
}

/// The counters of all products at one instant, since the start of the rush.
#[derive(Clone, Copy, Debug)]
pub struct StockSample {
    pub at: Duration,
    /// Their sum.
    pub stock: StockCounters,
    /// The first product whose counters do not add up, by its place.
    pub unbalanced: Option<(usize, StockCounters)>,
    /// Units that are taken above the total, of all products together.
    pub above_total: i64,
}

impl StockSample {
    pub fn of(all: &[StockCounters], at: Duration) -> Self {
        let unbalanced = all.iter().position(|stock| !stock.are_balanced()).map(|place| (place, all[place]));
        let above = |stock: &StockCounters| stock.taken().saturating_sub(stock.total).max(0);
        let above_total = all.iter().map(above).fold(0, i64::saturating_add);
        Self { at, stock: StockCounters::sum(all), unbalanced, above_total }
    }
}

/// All samples of a rush. A rush has an end, so their number has a bound.
pub struct StockSamples {
    pub all: Vec<StockSample>,
    /// Reads without an answer, or with an unreadable one.
    pub missed: u64,
}

impl StockSamples {
    pub fn starting_with(stock: &[StockCounters]) -> Self {
        Self { all: vec![StockSample::of(stock, Duration::ZERO)], missed: 0 }
    }

    pub fn add(&mut self, sample: Option<StockSample>) {
        match sample {
            Some(sample) => self.all.push(sample),
            None => self.missed += 1,
        }
    }
}

impl ProductReader {
    /// Takes samples until the future is dropped.
    pub async fn sample(&mut self, started: Instant, mut add: impl FnMut(Option<StockSample>)) {
        loop {
            let stock = self.read().await.ok();
            add(stock.map(|stock| StockSample::of(&stock, started.elapsed())));
            sleep(if started.elapsed() < FIRST { FIRST_PAUSE } else { PAUSE }).await;
        }
    }
}
