//! How long a call that is sent now would wait behind those in flight, at the pace at which a server answers.
//!
//! Calls of different sales share no batch, so they wait in the server itself, where nobody can refuse the ones that waited for too
//! long. So new holds are refused before they are sent, when they would wait for too long.

use std::time::{Duration, Instant};

/// The pace is measured for so long, from an answer on.
const WINDOW: Duration = Duration::from_millis(200);
/// Whoever would wait for longer is not sent. It is an estimate: where much too much is asked, half wait for twice as long.
const WAIT_MAX: Duration = Duration::from_millis(250);

#[derive(Default)]
pub struct Pace {
    /// The first answer of the window, and how many came since.
    since: Option<Instant>,
    answers: u32,
    /// Answers a second in the last two windows, while something was in flight all the time. A server that stood still for a moment
    /// spoils one of them at most, so the better one counts.
    per_second: [Option<f64>; 2],
}

impl Pace {
    /// A call is sent, behind so many that are in flight.
    pub fn sent(&mut self, in_flight: usize) {
        // All that was asked before was answered, or is given up: what was measured says nothing of the server as it is now.
        if in_flight == 0 {
            *self = Self::default();
        }
    }

    pub fn answered(&mut self, now: Instant) {
        let Some(since) = self.since else {
            self.since = Some(now);
            return;
        };
        self.answers += 1;
        let lasted = now.saturating_duration_since(since);
        if lasted >= WINDOW {
            self.per_second = [self.per_second[1], Some(f64::from(self.answers) / lasted.as_secs_f64())];
            (self.since, self.answers) = (Some(now), 0);
        }
    }

    /// Whether one more call that may wait is sent while so many are in flight. A burst on a server that kept up is.
    pub fn admits(&self, in_flight: usize) -> bool {
        let [Some(before), Some(last)] = self.per_second else { return true };
        #[expect(clippy::cast_precision_loss, reason = "calls in flight are few")]
        let wait_seconds = in_flight as f64 / before.max(last);
        wait_seconds <= WAIT_MAX.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Calls that come so many each millisecond to a server that answers one each millisecond, or none while it stands still. Answers how
    /// many were answered, how many were refused, and the longest wait.
    fn play(come: &[u32], stands: impl Fn(u32) -> bool) -> (u32, u32, u32) {
        let start = Instant::now();
        let (mut pace, mut queue) = (Pace::default(), VecDeque::new());
        let (mut answered, mut refused, mut longest) = (0, 0, 0);
        for (tick, come) in (0..).zip(come) {
            for _ in 0..*come {
                if pace.admits(queue.len()) {
                    pace.sent(queue.len());
                    queue.push_back(tick);
                } else {
                    refused += 1;
                }
            }
            if !stands(tick)
                && let Some(sent) = queue.pop_front()
            {
                pace.answered(start + tick * MS);
                answered += 1;
                longest = longest.max(tick - sent);
            }
        }
        (answered, refused, longest)
    }

    #[test]
    fn twice_and_ten_times_of_what_is_answered_is_answered_to_a_part_without_a_pause_and_soon() {
        for times in [2, 10] {
            // What came before there was a pace is answered first.
            let (answered, refused, longest) = play(&vec![times; 6_000], |_| false);
            assert_eq!(answered, 6_000, "{times} times");
            assert!(refused > 6_000 * (times - 1) - 3_000, "{refused} refused of {times} times");
            assert!(longest <= 410 * times, "{longest} ms at {times} times");
        }
    }

    #[test]
    fn a_burst_on_a_server_that_keeps_up_is_sent() {
        let mut come = vec![0; 3_000];
        come[1_000] = 1_000;
        assert_eq!(play(&come, |_| false), (1_000, 0, 999));
    }

    #[test]
    fn a_server_that_stood_still_for_a_moment_loses_nobody() {
        // One comes each other millisecond.
        let come: Vec<_> = (0..3_000).map(|tick| tick % 2).collect();
        let (answered, refused, longest) = play(&come, |tick| (1_000..1_300).contains(&tick));
        assert_eq!((answered, refused), (1_500, 0));
        assert!(longest <= 300, "{longest}");
    }

    #[test]
    fn a_server_that_went_away_in_an_overload_begins_anew() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for tick in 0..500 {
            pace.sent(100);
            pace.answered(start + tick * MS);
        }
        assert!(!pace.admits(1_000));
        // All calls in flight broke, and nobody answered the last one.
        pace.sent(0);
        assert!(pace.admits(1_000));
    }

    #[test]
    fn after_an_overload_all_are_sent_again() {
        let mut come = vec![3; 2_000];
        come.extend([0; 1_000]);
        come.extend((0..1_000).map(|tick| tick % 2));
        let (answered, refused, _) = play(&come, |_| false);
        let (of_overload, refused_then, _) = play(&come[..3_000], |_| false);
        assert_eq!((answered, refused), (of_overload + 500, refused_then));
    }
}
