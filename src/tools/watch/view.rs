//! What a look saw. As JSON it is what `flashsale watch --json` prints.

use std::collections::BTreeMap;

use serde::Serialize;

use super::rates::FamilyView;
use crate::{
    domain::sale::{SaleStatus, Window},
    wire::{product::ProductBody, sale::SaleBody, time},
};

/// All that a look saw.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// The time of Redis.
    pub at: Option<String>,
    /// The sale that is watched. `null`: all.
    pub sale: Option<String>,
    pub services: Vec<ServiceView>,
    /// The processes that answered: rates are of these.
    pub processes: usize,
    /// The time between the two looks that rates compare.
    pub seconds: Option<f64>,
    /// The slowest answer of Redis.
    pub redis_ms: Option<f64>,
    /// Rates of all sales, whichever is watched: a service counts no sale by itself.
    pub holds: FamilyView,
    pub orders: FamilyView,
    pub payment_events: FamilyView,
    /// The stock that was read last.
    pub stock: Option<StockView>,
    /// For how long it could not be read.
    pub stock_silent_seconds: Option<u64>,
}

/// A service that is watched.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceView {
    pub url: String,
    /// For how long it did not answer. `null`: it answers.
    pub silent_seconds: Option<u64>,
    pub why: Option<String>,
}

/// What is in Redis, whichever service reads it.
#[derive(Clone, Debug, Serialize)]
pub struct StockView {
    pub sales: Vec<SaleView>,
    pub products: Vec<ProductBody<'static>>,
    pub has_more_products: bool,
    pub reviews: Reviews,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Reviews {
    pub open: usize,
    pub has_more: bool,
}

/// When a sale takes holds.
#[derive(Clone, Debug, Serialize)]
pub struct SaleView {
    pub id: String,
    pub starts_at: Option<String>,
    pub ends_at: Option<String>,
    pub paused: bool,
}

impl SaleView {
    pub fn named(sale: &SaleBody<'_>) -> Self {
        Self {
            id: sale.id.to_string(),
            starts_at: sale.starts_at.clone(),
            ends_at: sale.ends_at.clone(),
            paused: sale.paused,
        }
    }

    /// The sales of products, by name. A product knows the status of its sale.
    pub fn of_products(products: &[ProductBody<'_>]) -> Vec<Self> {
        let mut sales = BTreeMap::new();
        for product in products {
            sales.entry(&*product.sale).or_insert_with(|| Self {
                id: product.sale.to_string(),
                starts_at: product.starts_at.clone(),
                ends_at: product.ends_at.clone(),
                paused: product.status == SaleStatus::Paused.as_str(),
            });
        }
        sales.into_values().collect()
    }

    pub fn status(&self, now_ms: i64) -> SaleStatus {
        self.window().status(now_ms)
    }

    /// `opens in 0:42`, `live, ends in 12:03`, `paused`
    pub fn state(&self, now_ms: i64) -> String {
        let (window, status) = (self.window(), self.status(now_ms));
        match (status, window.starts_ms, window.ends_ms) {
            (SaleStatus::Scheduled, Some(starts), _) => format!("opens in {}", countdown(starts - now_ms)),
            (SaleStatus::Live | SaleStatus::Paused, _, Some(ends)) => {
                format!("{}, ends in {}", status.as_str(), countdown(ends - now_ms))
            }
            _ => status.as_str().to_owned(),
        }
    }

    fn window(&self) -> Window {
        let instant = |text: &Option<String>| text.as_deref().and_then(time::parse);
        Window { starts_ms: instant(&self.starts_at), ends_ms: instant(&self.ends_at), paused: self.paused }
    }
}

/// `0:42`, `12:03`, `3:07:09`. Rounded up, so that it is over at 0:00.
fn countdown(ms: i64) -> String {
    let seconds = (ms.max(0) + 999) / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_says_how_long_until_it_opens_or_ends() {
        let (starts, ends) = ("2026-11-27T09:00:00.000Z", "2026-11-27T10:00:00.000Z");
        let sale =
            SaleView { id: "d".into(), starts_at: Some(starts.into()), ends_at: Some(ends.into()), paused: false };
        let at = |sale: &SaleView, before_ms: i64| sale.state(time::parse(starts).unwrap() - before_ms);
        assert_eq!(at(&sale, 41_001), "opens in 0:42");
        assert_eq!(at(&sale, 11_229_000), "opens in 3:07:09");
        assert_eq!(at(&sale, 0), "live, ends in 1:00:00");
        assert_eq!(at(&sale, -3_600_000), "ended");
        let paused = SaleView { paused: true, ends_at: None, ..sale };
        assert_eq!([at(&paused, 1), at(&paused, 0)], ["opens in 0:01", "paused"]);
    }
}
