//! Prints the step at work, the time since the start, and an estimate of the time left.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

pub struct Progress {
    started: Instant,
    /// Estimated seconds of all steps, of the finished ones, and of the one at work.
    all: f64,
    done: Cell<f64>,
    at_work: Cell<f64>,
}

impl Progress {
    pub fn of(seconds: f64) -> Self {
        Self { started: Instant::now(), all: seconds, done: Cell::new(0.0), at_work: Cell::new(0.0) }
    }

    /// Ends the step before and begins this one, with the seconds that it should take.
    pub fn step(&self, seconds: f64, what: &str) {
        self.done.set(self.done.get() + self.at_work.replace(seconds));
        let elapsed = self.started.elapsed();
        let left = left(elapsed.as_secs_f64(), self.done.get(), self.all);
        eprintln!("[{}, {} left] {what}", clock(elapsed), clock(left));
    }
}

/// The estimate, corrected by the time that the finished steps really took.
fn left(elapsed: f64, done: f64, all: f64) -> Duration {
    // The first steps say little.
    let weight = (done / 30.0).min(1.0);
    let pace = if done > 0.0 { (elapsed / done) * weight + (1.0 - weight) } else { 1.0 };
    Duration::from_secs_f64(((all - done) * pace).max(1.0))
}

fn clock(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_how_long_the_steps_before_took() {
        assert_eq!(left(0.0, 0.0, 100.0).as_secs(), 100);
        assert_eq!(left(100.0, 50.0, 100.0).as_secs(), 100);
    }
}
