//! Judges the history of a run. Everything here is pure: the same history has the same verdict.

pub mod effects;
pub mod figures;
pub mod life;
pub mod limits;
pub mod money;
pub mod order;
pub mod roster;
mod tests;
pub mod windows;

use super::history::History;

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub struct Violation {
    pub rule: &'static str,
    pub said: String,
    /// The calls that show it, by their numbers.
    pub calls: Vec<usize>,
    /// What the checker was sure of, for whoever looks for the mistake in it.
    pub known: String,
}

#[derive(Debug, Default)]
pub struct Verdict {
    pub violations: Vec<Violation>,
    /// Holds that were answered and that a fail-over forgot.
    pub lost: usize,
    pub searched: windows::Searched,
}

impl Violation {
    pub fn new(rule: &'static str, said: String, calls: Vec<usize>) -> Self {
        Self { rule, said, calls, known: String::new() }
    }
}

pub fn check(history: &History) -> Verdict {
    let roster = roster::Roster::read(history);
    let mut verdict = Verdict::default();
    verdict.violations.extend(effects::check(history, &roster));
    verdict.violations.extend(money::check(history));
    let (lost, violations) = order::check(history, &roster);
    verdict.lost = lost;
    verdict.violations.extend(violations);
    // A search of what is wrong anyway takes long, and says no more.
    if verdict.violations.is_empty() {
        let (searched, violation) = windows::check(history, &roster);
        verdict.searched = searched;
        verdict.violations.extend(violation);
    }
    verdict
}
