//! The rush over time: one interval for each second, and intervals for plots that grow wider as the rush grows longer.
//! Memory is constant but for the seconds.

use std::time::Duration;

use hdrhistogram::Histogram;

const FIRST_WIDTH_US: u64 = 10_000;
const INTERVALS_MAX: u64 = 80;
const SECOND_US: u64 = 1_000_000;
/// The longest latency that the histograms distinguish. With its retries a request may take longer than one wait.
const LATENCY_US_MAX: u64 = 3_600_000_000;

/// What a buyer ended up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuyerResult {
    Accepted,
    Refused,
    Failed,
}

/// The figures of one interval. A buyer counts when the hold is decided, a latency when the answer comes.
#[derive(Clone, Debug)]
pub struct IntervalStats {
    pub accepted: u64,
    pub refused: u64,
    pub failed: u64,
    pub requests: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

#[derive(Clone)]
struct Interval {
    accepted: u64,
    refused: u64,
    failed: u64,
    latency: Histogram<u32>,
}

impl Interval {
    fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_US_MAX, 2).expect("the bounds are in order");
        Self { accepted: 0, refused: 0, failed: 0, latency }
    }

    fn count(&mut self, result: BuyerResult) {
        match result {
            BuyerResult::Accepted => self.accepted += 1,
            BuyerResult::Refused => self.refused += 1,
            BuyerResult::Failed => self.failed += 1,
        }
    }

    fn absorb(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.failed += other.failed;
        self.latency.add(&other.latency).expect("all intervals have the same bounds");
    }

    fn stats(&self) -> IntervalStats {
        IntervalStats {
            accepted: self.accepted,
            refused: self.refused,
            failed: self.failed,
            requests: self.latency.len(),
            p50_us: self.latency.value_at_quantile(0.5),
            p99_us: self.latency.value_at_quantile(0.99),
            max_us: if self.latency.is_empty() { 0 } else { self.latency.max() },
        }
    }
}

/// A histogram of microseconds in three significant figures.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are in order")
}

pub struct Timeline {
    seconds: Vec<IntervalStats>,
    second: Interval,
    intervals: Vec<Interval>,
    width_us: u64,
}

impl Timeline {
    pub fn new() -> Self {
        Self { seconds: Vec::new(), second: Interval::new(), intervals: Vec::new(), width_us: FIRST_WIDTH_US }
    }

    pub fn record_buyer(&mut self, at: Duration, result: BuyerResult) {
        let current = self.advance(at);
        self.intervals[current].count(result);
        self.second.count(result);
    }

    pub fn record_answer(&mut self, at: Duration, latency_us: u64) {
        let current = self.advance(at);
        self.intervals[current].latency.saturating_record(latency_us);
        self.second.latency.saturating_record(latency_us);
    }

    /// The figures of each second, from the first on.
    pub fn seconds(&self) -> Vec<IntervalStats> {
        let mut seconds = self.seconds.clone();
        seconds.push(self.second.stats());
        seconds
    }

    /// The intervals for plots, and how long each is.
    pub fn intervals(&self) -> (Vec<IntervalStats>, Duration) {
        (self.intervals.iter().map(Interval::stats).collect(), Duration::from_micros(self.width_us))
    }

    /// Makes room for this instant; gives the index of its interval.
    fn advance(&mut self, at: Duration) -> usize {
        let at_us = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        while (self.seconds.len() as u64) < at_us / SECOND_US {
            let ended = std::mem::replace(&mut self.second, Interval::new());
            self.seconds.push(ended.stats());
        }
        while at_us / self.width_us >= INTERVALS_MAX {
            self.intervals = self.intervals.chunks(2).map(merge).collect();
            self.width_us *= 2;
        }
        let index = usize::try_from(at_us / self.width_us).unwrap_or_default();
        while self.intervals.len() <= index {
            self.intervals.push(Interval::new());
        }
        index
    }
}

fn merge(intervals: &[Interval]) -> Interval {
    let mut all = Interval::new();
    intervals.iter().for_each(|interval| all.absorb(interval));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rush_of_any_length_has_few_intervals_and_loses_no_count() {
        let mut timeline = Timeline::new();
        for ms in 0..20_000 {
            timeline.record_buyer(Duration::from_millis(ms), BuyerResult::Accepted);
            timeline.record_answer(Duration::from_millis(ms), 100 + ms);
        }
        let (intervals, width) = timeline.intervals();
        assert!(intervals.len() as u64 <= INTERVALS_MAX && width == Duration::from_millis(320), "{width:?}");
        for rows in [intervals, timeline.seconds()] {
            assert_eq!(rows.iter().map(|row| row.accepted).sum::<u64>(), 20_000);
            assert_eq!(rows.iter().map(|row| row.requests).sum::<u64>(), 20_000);
        }
        assert_eq!(timeline.seconds().len(), 20);
    }

    #[test]
    fn a_second_in_which_nothing_happened_is_listed_too() {
        let mut timeline = Timeline::new();
        timeline.record_buyer(Duration::from_millis(3_500), BuyerResult::Refused);
        let counts: Vec<u64> = timeline.seconds().iter().map(|row| row.refused).collect();
        assert_eq!(counts, [0, 0, 0, 1]);
    }
}
