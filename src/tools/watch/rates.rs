//! What services decide a second: the difference of what they counted.

use std::{collections::BTreeMap, time::Instant};

use serde::Serialize;

use crate::wire::figures::{FigureBody, FiguresBody};

/// Outcome and reason.
type Name = (String, String);

/// What a process had counted.
pub struct Seen {
    pub at: Instant,
    families: [BTreeMap<Name, u64>; 3],
}

impl Seen {
    pub fn of(figures: &FiguresBody<'_>, at: Instant) -> Self {
        let counts = |rows: &[FigureBody<'_>]| {
            rows.iter().map(|row| ((row.outcome.to_string(), row.reason.to_string()), row.count)).collect()
        };
        Self { at, families: [&figures.holds, &figures.orders, &figures.payment_events].map(|rows| counts(rows)) }
    }
}

/// What is decided a second, by outcome and reason. Empty until two looks at a process can be compared.
#[derive(Default)]
pub struct Rates {
    pub holds: BTreeMap<Name, f64>,
    pub orders: BTreeMap<Name, f64>,
    pub payment_events: BTreeMap<Name, f64>,
    /// The time between the two looks; the longest, if it differs from process to process.
    pub seconds: Option<f64>,
}

impl Rates {
    /// Adds what one process did between two looks.
    pub fn add(&mut self, before: &Seen, after: &Seen) {
        let seconds = (after.at - before.at).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        self.seconds = Some(self.seconds.map_or(seconds, |most| most.max(seconds)));
        let families = [&mut self.holds, &mut self.orders, &mut self.payment_events];
        for ((rates, before), after) in families.into_iter().zip(&before.families).zip(&after.families) {
            for (name, count) in after {
                let more = count.saturating_sub(before.get(name).copied().unwrap_or(0));
                *rates.entry(name.clone()).or_default() += f64::from(u32::try_from(more).unwrap_or(u32::MAX)) / seconds;
            }
        }
    }
}

/// The rates of what is counted together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FamilyView {
    /// `null` until two looks can be compared.
    pub per_second: Option<f64>,
    /// Those that are not zero, the largest first.
    pub by_outcome: Vec<RateView>,
}

/// A rate and what it is of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RateView {
    pub outcome: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub per_second: f64,
}

impl FamilyView {
    /// The sum of an outcome.
    pub fn of_outcome(&self, outcome: &str) -> Option<f64> {
        self.per_second?;
        Some(self.by_outcome.iter().filter(|rate| rate.outcome == outcome).map(|rate| rate.per_second).sum())
    }
}

impl From<BTreeMap<Name, f64>> for FamilyView {
    fn from(rates: BTreeMap<Name, f64>) -> Self {
        let per_second = (!rates.is_empty()).then(|| rounded(rates.values().sum()));
        let some = rates.into_iter().filter(|(_, rate)| *rate > 0.0);
        let mut by_outcome: Vec<_> =
            some.map(|((outcome, reason), rate)| RateView { outcome, reason, per_second: rounded(rate) }).collect();
        by_outcome.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
        Self { per_second, by_outcome }
    }
}

fn rounded(rate: f64) -> f64 {
    (rate * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn seen(at: Instant, held: u64, sold_out: u64) -> Seen {
        let figures = json!({"process": "a", "started_at": "x", "redis_at": null, "redis_ms": null, "orders": [],
            "payment_events": [], "holds": [{"outcome": "held", "count": held},
            {"outcome": "refused", "reason": "sold_out", "count": sold_out}]});
        Seen::of(&serde_json::from_value(figures).unwrap(), at)
    }

    #[test]
    fn rates_are_the_differences_of_all_processes_by_the_time_between_two_looks() {
        let begun = Instant::now();
        let later = begun + Duration::from_secs(2);
        let mut rates = Rates::default();
        rates.add(&seen(begun, 10, 0), &seen(later, 30, 0));
        rates.add(&seen(begun, 5, 100), &seen(later, 6, 500));
        let holds = FamilyView::from(rates.holds);
        let named = |rate: &RateView| format!("{} {} {}", rate.outcome, rate.reason, rate.per_second);
        assert_eq!(holds.by_outcome.iter().map(named).collect::<Vec<_>>(), ["refused sold_out 200", "held  10.5"]);
        assert_eq!((holds.per_second, holds.of_outcome("refused")), (Some(210.5), Some(200.0)));
        assert_eq!(FamilyView::from(rates.orders), FamilyView::default(), "nothing is known of orders");
    }
}
