//! Lines that anybody could cause ten thousand times a second are logged once a second, with how many were left out.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_secs(1);

/// One for each kind of line and thread.
pub(super) struct Throttle {
    last: Cell<Option<Instant>>,
    unsaid: Cell<u64>,
}

impl Throttle {
    pub(super) const fn new() -> Self {
        Self { last: Cell::new(None), unsaid: Cell::new(0) }
    }

    /// How many were left out since the last line, when it is time for another.
    pub(super) fn pass(&self) -> Option<u64> {
        if self.last.get().is_some_and(|last| last.elapsed() < PAUSE) {
            self.unsaid.set(self.unsaid.get() + 1);
            return None;
        }
        self.last.set(Some(Instant::now()));
        Some(self.unsaid.replace(0))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_line_passes_and_those_right_after_it_are_counted() {
        let throttle = super::Throttle::new();
        assert_eq!(throttle.pass(), Some(0));
        assert_eq!(throttle.pass(), None);
        assert_eq!(throttle.unsaid.get(), 1);
    }
}
