//! How long a call that is sent now would wait behind those in flight, at the pace at which a server answers.
//!
//! Calls of different sales share no batch, so they wait in the server itself, where nobody can refuse the ones that waited for too
//! long. So new holds are refused before they are sent, when they would wait for too long.

use std::time::{Duration, Instant};

use super::rank::Rank;

/// The pace is measured for so long, from an answer on.
const WINDOW: Duration = Duration::from_millis(200);
/// A server that answered within this keeps up, however few it was asked: who comes at once then is sent.
const SOON: Duration = Duration::from_millis(50);

/// Whoever would wait for longer is not sent: first lists, then reads, and last new holds. It is an estimate: where much too much is
/// asked, half wait for twice as long. `None`: it is sent however long it waits.
fn wait_max(rank: Rank) -> Option<Duration> {
    match rank {
        Rank::Payments | Rank::Orders | Rank::Releases => None,
        Rank::Holds => Some(Duration::from_millis(250)),
        Rank::Reads => Some(Duration::from_millis(200)),
        Rank::Lists => Some(Duration::from_millis(125)),
    }
}

#[derive(Default)]
pub struct Pace {
    /// The first answer of the window, and how many came since.
    since: Option<Instant>,
    answers: u32,
    /// Answers a second in the last two windows, while something was in flight all the time. A server that stood still for a moment
    /// spoils one of them at most, so the better one counts.
    per_second: [Option<f64>; 2],
    /// How long the last call took that was answered.
    last_took: Duration,
}

impl Pace {
    /// A call is sent, behind so many that are in flight.
    pub fn sent(&mut self, in_flight: usize) {
        // All that was asked before was answered, or is given up: what was measured says nothing of the server as it is now.
        if in_flight == 0 {
            *self = Self::default();
        }
    }

    pub fn answered(&mut self, now: Instant, took: Duration) {
        self.last_took = took;
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

    /// Whether one more call of this rank is sent while so many are in flight.
    pub fn admits(&self, rank: Rank, in_flight: usize) -> bool {
        let (Some(wait_max), [Some(before), Some(last)]) = (wait_max(rank), self.per_second) else { return true };
        if self.last_took <= SOON {
            return true;
        }
        #[expect(clippy::cast_precision_loss, reason = "calls in flight are few")]
        let wait_seconds = in_flight as f64 / before.max(last);
        wait_seconds <= wait_max.as_secs_f64()
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
                if pace.admits(Rank::Holds, queue.len()) {
                    pace.sent(queue.len());
                    queue.push_back(tick);
                } else {
                    refused += 1;
                }
            }
            if !stands(tick)
                && let Some(sent) = queue.pop_front()
            {
                pace.answered(start + tick * MS, (tick - sent) * MS);
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
            pace.answered(start + tick * MS, 100 * MS);
        }
        assert!(!pace.admits(Rank::Holds, 1_000));
        // All calls in flight broke, and nobody answered the last one.
        pace.sent(0);
        assert!(pace.admits(Rank::Holds, 1_000));
    }

    /// Answers each millisecond, so that what is in flight waits for as many milliseconds.
    fn busy(took: Duration) -> Pace {
        let start = Instant::now();
        let mut pace = Pace::default();
        for tick in 0..500 {
            pace.sent(100);
            pace.answered(start + tick * MS, took);
        }
        pace
    }

    #[test]
    fn lists_are_refused_before_reads_and_reads_before_holds_and_what_gives_units_back_never() {
        let pace = busy(100 * MS);
        let most = |rank| (0..100_000).take_while(|in_flight| pace.admits(rank, *in_flight)).count();
        let most = [Rank::Lists, Rank::Reads, Rank::Holds, Rank::Releases].map(most);
        assert_eq!(most, [126, 201, 251, 100_000]);
    }

    #[test]
    fn a_burst_on_a_server_that_is_far_away_and_keeps_up_is_sent() {
        // Something is in flight all the time, and no more is asked than a part of what could be.
        let pace = busy(20 * MS);
        assert!(pace.admits(Rank::Holds, 10_000));
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
