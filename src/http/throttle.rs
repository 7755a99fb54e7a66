//! Lines that anybody could cause ten thousand times a second are logged once a second, with how many were left out.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_secs(1);
/// The most names that a tally distinguishes.
const NAMES_MAX: usize = 64;

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

/// Lines about names that somebody else chooses. Each name has a throttle and a count of its own, so that each is logged.
pub(super) struct Tally {
    names: RefCell<HashMap<String, (Throttle, u64)>>,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { names: RefCell::default() }
    }

    /// How often a name came, when it is time for a line about it. Beyond [`NAMES_MAX`] all further names count as one.
    pub(super) fn pass(&self, name: &str) -> Option<u64> {
        let mut names = self.names.borrow_mut();
        let is_further = names.len() >= NAMES_MAX && !names.contains_key(name);
        let name = if is_further { "" } else { name };
        let (throttle, count) = names.entry(name.to_owned()).or_insert((Throttle::new(), 0));
        *count += 1;
        throttle.pass().map(|_| *count)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_name_passes_at_once_and_has_a_count_of_its_own() {
        let tally = super::Tally::new();
        assert_eq!(["a", "a", "b", "a"].map(|name| tally.pass(name)), [Some(1), None, Some(1), None]);
        assert_eq!(tally.names.borrow()["a"].1, 3);
        for number in 0..1_000 {
            tally.pass(&number.to_string());
        }
        let names = tally.names.borrow();
        assert_eq!((names.len(), names[""].1), (super::NAMES_MAX + 1, 1_002 - super::NAMES_MAX as u64));
    }

    #[test]
    fn the_first_line_passes_and_those_right_after_it_are_counted() {
        let throttle = super::Throttle::new();
        assert_eq!(throttle.pass(), Some(0));
        assert_eq!(throttle.pass(), None);
        assert_eq!(throttle.unsaid.get(), 1);
    }
}
