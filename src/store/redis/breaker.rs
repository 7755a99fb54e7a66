//! Spares callers the wait for a server that does not answer.
//!
//! Three failures in a row to connect or to answer in time open it. While it is open, calls fail at once. One of them goes
//! through after a pause, which doubles each time that one fails too.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Failures in a row that open it.
const FAILURES_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// With the failures in a row.
    Closed(u32),
    /// Until then nobody goes through.
    Open(Instant),
    /// One went through. Should it never come back, another one may after this instant.
    Probing(Instant),
}

pub struct Breaker {
    state: Cell<State>,
    pause: Cell<Duration>,
    /// How long the one that goes through may take.
    probe_max: Duration,
}

impl Breaker {
    pub fn new(probe_max: Duration) -> Self {
        Self { state: Cell::new(State::Closed(0)), pause: Cell::new(PAUSE), probe_max }
    }

    /// Whether a call may go through.
    pub fn lets_through(&self, now: Instant) -> bool {
        match self.state.get() {
            State::Closed(_) => true,
            State::Open(until) | State::Probing(until) if now < until => false,
            _ => {
                self.state.set(State::Probing(now + self.probe_max));
                true
            }
        }
    }

    /// Whether calls are spared, but for one at a time.
    pub fn is_open(&self) -> bool {
        !matches!(self.state.get(), State::Closed(_))
    }

    /// Whoever went through is gone. If nobody knows what came of it, the next may go through at once.
    pub fn left(&self, now: Instant) {
        if matches!(self.state.get(), State::Probing(_)) {
            self.state.set(State::Open(now));
        }
    }

    /// The server answered, whatever it was.
    pub fn answered(&self) {
        self.state.set(State::Closed(0));
        self.pause.set(PAUSE);
    }

    /// The server did not let us connect, or did not answer in time. `spread` is from 0 to 1, so that not all workers come back at
    /// the same instant. True: it opened.
    pub fn failed(&self, now: Instant, spread: f64) -> bool {
        match self.state.get() {
            State::Closed(failures) if failures + 1 < FAILURES_MAX => {
                self.state.set(State::Closed(failures + 1));
                return false;
            }
            State::Closed(_) => {}
            State::Probing(_) => self.pause.set((self.pause.get() * 2).min(PAUSE_MAX)),
            // A call that was sent before it opened.
            State::Open(_) => return false,
        }
        self.state.set(State::Open(now + self.pause.get().mul_f64(1.0 - spread / 4.0)));
        true
    }

    /// The connection broke. That is a failure only of the one that went through, because all calls in flight break with it.
    pub fn broke(&self, now: Instant, spread: f64) {
        if matches!(self.state.get(), State::Probing(_)) {
            self.failed(now, spread);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn opened(now: Instant) -> Breaker {
        let breaker = Breaker::new(2_000 * MS);
        assert_eq!([0, 1, 2].map(|_| breaker.lets_through(now) && breaker.failed(now, 0.0)), [false, false, true]);
        breaker
    }

    #[test]
    fn the_third_failure_in_a_row_opens_it_and_an_answer_in_between_does_not_count() {
        let (breaker, now) = (Breaker::new(2_000 * MS), Instant::now());
        for _ in 0..10 {
            assert!(!breaker.failed(now, 0.0) && !breaker.failed(now, 0.0) && breaker.lets_through(now));
            breaker.answered();
        }
        for _ in 0..10 {
            breaker.broke(now, 0.0);
        }
        assert!(breaker.lets_through(now), "one lost connection ends many calls");
        assert!(!opened(now).lets_through(now));
    }

    #[test]
    fn one_at_a_time_looks_again_after_a_pause_that_doubles_up_to_five_seconds() {
        let start = Instant::now();
        let (breaker, mut now) = (opened(start), start);
        for pause in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            assert!(!breaker.lets_through(now + (pause - 1) * MS), "{pause}");
            now += pause * MS;
            assert!(breaker.lets_through(now), "{pause}");
            assert!(!breaker.lets_through(now), "the others wait for the one that looks");
            breaker.failed(now, 0.0);
            breaker.failed(now, 0.0);
        }
        assert!(breaker.lets_through(now + 5_000 * MS));
        breaker.answered();
        assert!(breaker.lets_through(now));
        assert_eq!([0, 1, 2].map(|_| breaker.failed(now, 0.0)), [false, false, true], "and all begins anew");
        assert!(breaker.lets_through(now + 100 * MS));
    }

    #[test]
    fn one_that_leaves_without_an_answer_makes_room_for_the_next() {
        let start = Instant::now();
        let (breaker, now) = (opened(start), start + 100 * MS);
        assert!(breaker.lets_through(now) && !breaker.lets_through(now));
        breaker.left(now);
        assert!(breaker.lets_through(now));
        breaker.failed(now, 0.0);
        breaker.left(now);
        assert!(!breaker.lets_through(now + 199 * MS), "what is known of it counts");
        breaker.answered();
        breaker.left(now);
        assert!(breaker.lets_through(now));
    }

    #[test]
    fn workers_come_back_at_different_instants_and_one_that_never_returns_stops_nobody() {
        let (breaker, now) = (Breaker::new(2_000 * MS), Instant::now());
        for _ in 0..3 {
            breaker.failed(now, 1.0);
        }
        assert!(!breaker.lets_through(now + 74 * MS));
        assert!(breaker.lets_through(now + 75 * MS));
        assert!(!breaker.lets_through(now + 2_074 * MS));
        assert!(breaker.lets_through(now + 2_075 * MS));
        breaker.broke(now + 2_076 * MS, 0.0);
        assert!(!breaker.lets_through(now + 2_275 * MS));
        assert!(breaker.lets_through(now + 2_276 * MS));
    }
}
