//! How many calls a server answers a second, while something is in flight all the time, and so how many may be in flight at once.

use std::time::{Duration, Instant};

/// The pace is measured for so long.
const WINDOW: Duration = Duration::from_millis(200);
/// So much work of a server is in flight. More than the way to it and back, so that it never waits for work; much less than a
/// caller waits.
const AHEAD: Duration = Duration::from_millis(125);
/// In flight at a server whose pace is not known.
const AT_FIRST: usize = 64;
/// However slow it is, or how far away.
const AT_LEAST: usize = 16;

#[derive(Default)]
pub struct Pace {
    /// The beginning of the window, and the answers since. `None`: nothing is in flight.
    since: Option<Instant>,
    answers: u32,
    /// Answers a second in the last two windows. A server that stood still for a moment spoils one of them at most, so the better one
    /// counts.
    per_second: [Option<f64>; 2],
}

impl Pace {
    /// A call is sent.
    pub fn sent(&mut self, now: Instant) {
        if self.since.is_none() {
            (self.since, self.answers) = (Some(now), 0);
        }
    }

    /// A call ended, with an answer or without, and so many are still in flight.
    pub fn ended(&mut self, now: Instant, has_answer: bool, in_flight: usize) {
        let Some(since) = self.since else { return };
        self.answers += u32::from(has_answer);
        let lasted = now.saturating_duration_since(since);
        if lasted >= WINDOW {
            self.per_second = [self.per_second[1], Some(f64::from(self.answers) / lasted.as_secs_f64())];
            (self.since, self.answers) = (Some(now), 0);
        }
        if in_flight == 0 {
            self.since = None;
        }
    }

    pub fn in_flight_max(&self) -> usize {
        let known = self.per_second.into_iter().flatten().reduce(f64::max);
        known.map_or(AT_FIRST, |per_second| whole(per_second * AHEAD.as_secs_f64()).max(AT_LEAST))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of calls")]
fn whole(number: f64) -> usize {
    number as usize
}
