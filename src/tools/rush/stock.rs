//! The counters of the product, looked at again and again while buyers come.

use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::time::sleep;

use crate::tools::client::{Ask, Endpoint, Line, with_header};

/// Between two looks: short at first, so that a rush that is over at once has a picture too.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_millis(125);
const FIRST: Duration = Duration::from_millis(500);

/// Signed, for a service that is wrong may say anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Stock {
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

impl Stock {
    pub fn taken(&self) -> i64 {
        self.held.saturating_add(self.pending).saturating_add(self.sold)
    }

    /// `total = available + held + pending + sold`, every term at least 0.
    pub fn is_lawful(&self) -> bool {
        let terms = [self.available, self.held, self.pending, self.sold];
        terms.iter().all(|term| *term >= 0) && self.available.checked_add(self.taken()) == Some(self.total)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub at: Duration,
    pub stock: Stock,
}

/// All that was seen. A rush has an end, so this has a bound.
pub struct Samples {
    pub seen: Vec<Sample>,
    /// Looks that had no answer, or none that could be read.
    pub missed: u64,
}

impl Samples {
    pub fn starting_with(stock: Stock) -> Self {
        Self { seen: vec![Sample { at: Duration::ZERO, stock }], missed: 0 }
    }

    pub fn note(&mut self, sample: Option<Sample>) {
        match sample {
            Some(sample) => self.seen.push(sample),
            None => self.missed += 1,
        }
    }

    pub fn first_unlawful(&self) -> Option<Sample> {
        self.seen.iter().find(|sample| !sample.stock.is_lawful()).copied()
    }
}

/// Where the counters of a product are looked at.
#[derive(Clone)]
pub struct Window {
    product: u64,
    /// With one, where admins look: what is seen there takes nothing from a limit that buyers meet.
    token: Option<String>,
}

impl Window {
    pub fn of_buyers(product: u64) -> Self {
        Self { product, token: None }
    }

    pub fn of_admins(product: u64, token: &str) -> Self {
        Self { product, token: Some(token.to_owned()) }
    }

    pub fn ask(&self, endpoint: &Endpoint) -> Ask {
        match &self.token {
            None => endpoint.get(&format!("/api/products/{}", self.product)),
            Some(token) => {
                let request = endpoint.get(&format!("/api/admin/products/{}", self.product));
                with_header(request, "authorization", &format!("Bearer {token}"))
            }
        }
    }
}

/// # Errors
/// Why there is no answer, or what it is instead.
pub async fn look(line: &mut Line, endpoint: &Endpoint, window: &Window) -> Result<Stock, String> {
    let answer = line.send(window.ask(endpoint)).await.map_err(|lost| lost.to_string())?;
    if answer.status != 200 {
        return Err(format!("the answer was {}", answer.status));
    }
    serde_json::from_slice(&answer.body).map_err(|_| "the answer is no product".to_owned())
}

/// Looks until it is dropped.
pub async fn watch(
    line: &mut Line,
    endpoint: &Endpoint,
    window: &Window,
    started: Instant,
    mut saw: impl FnMut(Option<Sample>),
) {
    loop {
        let stock = look(line, endpoint, window).await.ok();
        saw(stock.map(|stock| Sample { at: started.elapsed(), stock }));
        sleep(if started.elapsed() < FIRST { FIRST_PAUSE } else { PAUSE }).await;
    }
}
