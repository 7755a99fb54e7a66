//! Which of those who wait in a queue are still served: controlled delay (RFC 8289), for a queue that is taken in batches.
//!
//! A queue that is emptied now and then absorbs a burst, and everybody in it is served. Where nobody has waited briefly for a
//! while, more comes than can be served. Then those who waited longer than the target are refused, so that the others are
//! served soon, instead of all of them too late.

use std::time::{Duration, Instant};

/// Who waited no longer than this waited briefly.
pub const TARGET: Duration = Duration::from_millis(50);
/// For so long nobody may have waited briefly. It is also the longest wait of all that are served.
pub const INTERVAL: Duration = Duration::from_millis(500);

pub struct Codel {
    /// When the queue last was empty, or somebody in it had waited briefly.
    good: Instant,
}

impl Codel {
    pub fn new(now: Instant) -> Self {
        Self { good: now }
    }

    /// Whether the next of the queue is served.
    pub fn admits(&mut self, waited: Duration, is_last: bool, now: Instant) -> bool {
        if waited <= TARGET || is_last {
            self.good = now;
        }
        let is_overloaded = now.saturating_duration_since(self.good) > INTERVAL;
        waited <= if is_overloaded { TARGET } else { INTERVAL }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_burst_is_served_up_to_the_longest_wait() {
        let start = Instant::now();
        let mut codel = Codel::new(start);
        for waited in [0, 50, 51, 500] {
            assert!(codel.admits(waited * MS, false, start + waited * MS), "{waited}");
        }
        assert!(!codel.admits(501 * MS, true, start + 501 * MS), "nobody is served later, not even the last one");
    }

    #[test]
    fn a_queue_in_which_nobody_waited_briefly_for_a_while_serves_only_those_who_did() {
        let start = Instant::now();
        let mut codel = Codel::new(start);
        for at in 1..=500 {
            assert!(codel.admits(60 * MS, false, start + at * MS), "{at}");
        }
        assert!(!codel.admits(60 * MS, false, start + 501 * MS));
        assert!(codel.admits(50 * MS, false, start + 502 * MS), "one that waited briefly shows that the queue moves");
        assert!(codel.admits(60 * MS, false, start + 503 * MS));
        assert!(!codel.admits(60 * MS, false, start + 1_003 * MS));
        assert!(codel.admits(60 * MS, true, start + 1_004 * MS), "and so does an empty queue");
        assert!(codel.admits(60 * MS, false, start + 1_504 * MS));
        assert!(!codel.admits(60 * MS, false, start + 1_505 * MS));
    }

    /// Holds that come at twice the pace of a server which takes 16 each 16 ms, for three seconds.
    #[test]
    fn twice_of_what_can_be_served_is_served_to_half_without_a_pause_and_soon() {
        let start = Instant::now();
        let (mut codel, mut queue) = (Codel::new(start), VecDeque::new());
        let (mut served, mut refused, mut longest) = (0_u32, 0_u32, Duration::ZERO);
        for tick in 0..3_000_u32 {
            queue.extend([tick; 2]);
            if tick % 16 != 15 {
                continue;
            }
            let mut room = 16;
            while room > 0
                && let Some(came) = queue.pop_front()
            {
                let waited = (tick - came) * MS;
                if codel.admits(waited, queue.is_empty(), start + tick * MS) {
                    (served, room) = (served + 1, room - 1);
                    longest = longest.max(waited);
                } else {
                    refused += 1;
                }
            }
        }
        assert_eq!(served, 3_000 / 16 * 16, "every batch is full");
        assert!(refused > 2_000 && queue.len() < 600, "{refused} refused, {} wait", queue.len());
        assert!(longest <= INTERVAL);
    }
}
