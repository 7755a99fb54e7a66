//! The rush over time: a row for each second, and ticks for plots that grow wider as the rush grows longer. Constant memory.

use std::time::Duration;

use hdrhistogram::Histogram;

const FIRST_TICK_US: u64 = 10_000;
const TICKS_MAX: u64 = 80;
const SECOND_US: u64 = 1_000_000;
/// The longest latency that is told from others; with its retries a request may take longer than one wait.
const LATENCY_US_MAX: u64 = 3_600_000_000;

/// What a buyer came out with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Accepted,
    Refused,
    Failed,
}

/// A stretch of time. Buyers are counted when their wish for units is decided, latencies when their answer comes.
#[derive(Clone, Debug)]
pub struct Row {
    pub accepted: u64,
    pub refused: u64,
    pub failed: u64,
    pub requests: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

#[derive(Clone)]
struct Tick {
    accepted: u64,
    refused: u64,
    failed: u64,
    latency: Histogram<u32>,
}

impl Tick {
    fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_US_MAX, 2).expect("the bounds are in order");
        Self { accepted: 0, refused: 0, failed: 0, latency }
    }

    fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Accepted => self.accepted += 1,
            Fate::Refused => self.refused += 1,
            Fate::Failed => self.failed += 1,
        }
    }

    fn absorb(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.failed += other.failed;
        self.latency.add(&other.latency).expect("all ticks have the same bounds");
    }

    fn row(&self) -> Row {
        Row {
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
    seconds: Vec<Row>,
    second: Tick,
    ticks: Vec<Tick>,
    tick_us: u64,
}

impl Timeline {
    pub fn new() -> Self {
        Self { seconds: Vec::new(), second: Tick::new(), ticks: Vec::new(), tick_us: FIRST_TICK_US }
    }

    pub fn decided(&mut self, at: Duration, fate: Fate) {
        let tick = self.advance(at);
        self.ticks[tick].count(fate);
        self.second.count(fate);
    }

    pub fn answered(&mut self, at: Duration, latency_us: u64) {
        let tick = self.advance(at);
        self.ticks[tick].latency.saturating_record(latency_us);
        self.second.latency.saturating_record(latency_us);
    }

    /// A row for each second from the first on.
    pub fn seconds(&self) -> Vec<Row> {
        let mut rows = self.seconds.clone();
        rows.push(self.second.row());
        rows
    }

    /// Rows for plots, and how long each is.
    pub fn ticks(&self) -> (Vec<Row>, Duration) {
        (self.ticks.iter().map(Tick::row).collect(), Duration::from_micros(self.tick_us))
    }

    /// Makes room for this instant; gives the place of its tick.
    fn advance(&mut self, at: Duration) -> usize {
        let at_us = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        while (self.seconds.len() as u64) < at_us / SECOND_US {
            let ended = std::mem::replace(&mut self.second, Tick::new());
            self.seconds.push(ended.row());
        }
        while at_us / self.tick_us >= TICKS_MAX {
            self.ticks = self.ticks.chunks(2).map(merge).collect();
            self.tick_us *= 2;
        }
        let place = usize::try_from(at_us / self.tick_us).unwrap_or_default();
        while self.ticks.len() <= place {
            self.ticks.push(Tick::new());
        }
        place
    }
}

fn merge(ticks: &[Tick]) -> Tick {
    let mut all = Tick::new();
    ticks.iter().for_each(|tick| all.absorb(tick));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_length_of_a_rush_its_ticks_are_few_and_nothing_is_lost() {
        let mut timeline = Timeline::new();
        for ms in 0..20_000 {
            timeline.decided(Duration::from_millis(ms), Fate::Accepted);
            timeline.answered(Duration::from_millis(ms), 100 + ms);
        }
        let (ticks, width) = timeline.ticks();
        assert!(ticks.len() as u64 <= TICKS_MAX && width == Duration::from_millis(320), "{width:?}");
        for rows in [ticks, timeline.seconds()] {
            assert_eq!(rows.iter().map(|row| row.accepted).sum::<u64>(), 20_000);
            assert_eq!(rows.iter().map(|row| row.requests).sum::<u64>(), 20_000);
        }
        assert_eq!(timeline.seconds().len(), 20);
    }

    #[test]
    fn seconds_in_which_nothing_happened_have_a_row_too() {
        let mut timeline = Timeline::new();
        timeline.decided(Duration::from_millis(3_500), Fate::Refused);
        let counts: Vec<u64> = timeline.seconds().iter().map(|row| row.refused).collect();
        assert_eq!(counts, [0, 0, 0, 1]);
    }
}
