//! Looks for an order of the calls of each product that fits real time and the model, without the sequence of the sale: Wing and
//! Gong's search, with Lowe's memory of what was tried.
//!
//! Between two instants at which nothing was under way lies a window. The search of a window begins with every state in which the
//! one before may have ended. Calls of unknown outcome are no part of the search: they widen the states from when they began.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    super::history::{Call, History, Product, Request},
    Violation,
    figures::{self, Figures},
    life::{self, Deadlines, SLACK_MS, State, Window},
    roster::{Roster, may_change, may_have_been_repeated},
};

/// States that the search of one window may try. One that needs more is undecided.
const TRIED_MAX: usize = 1_000;
/// And those of all windows about a product.
const TRIED_ALL_MAX: usize = 8_000;
/// States with which a window may begin.
const STARTS_MAX: usize = 64;

/// What a product is, at some point of an order: its totals, its lives, and the latest begin of a call that changed it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Point {
    totals: Vec<i64>,
    /// By life. One that is not in the list is absent.
    lives: Vec<(usize, Vec<State>)>,
    from_ns: u64,
}

/// Windows that were decided, and those that were left.
#[derive(Clone, Copy, Debug, Default)]
pub struct Searched {
    pub windows: usize,
    pub undecided: usize,
}

struct Search<'a> {
    history: &'a History,
    roster: &'a Roster,
    product: Product,
    deadlines: Vec<Deadlines>,
    /// Calls of unknown outcome about this product.
    open: Vec<usize>,
    /// Calls whose answers are yet to come in an order that is tried, and which may have taken effect.
    early: Vec<usize>,
    /// Whether each of all calls may have been sent twice.
    is_repeated: Vec<bool>,
    /// The open calls of each life.
    open_of: HashMap<usize, Vec<usize>>,
    tried: usize,
    /// How many calls of the window the best order has, and why no other fits behind it.
    best: (usize, Vec<String>),
}

pub fn check(history: &History, roster: &Roster) -> (Searched, Option<Violation>) {
    let mut all = Searched::default();
    for offer in &history.offers {
        let mut search = Search {
            history,
            roster,
            product: offer.product,
            deadlines: vec![Deadlines::default(); roster.lives.len()],
            open: Vec::new(),
            early: Vec::new(),
            is_repeated: history.calls.iter().map(|call| may_have_been_repeated(history, call)).collect(),
            open_of: HashMap::new(),
            tried: 0,
            best: (0, Vec::new()),
        };
        let (searched, violation) = search.run(offer.units);
        all.windows += searched.windows;
        all.undecided += searched.undecided;
        if violation.is_some() {
            return (all, violation);
        }
    }
    (all, None)
}

impl Search<'_> {
    fn run(&mut self, units: i64) -> (Searched, Option<Violation>) {
        let calls = &self.history.calls;
        let about: Vec<_> = (0..calls.len()).filter(|number| self.is_about(*number)).collect();
        self.open =
            about.iter().copied().filter(|n| calls[*n].is_unknown() && may_change(&calls[*n].request)).collect();
        // Nobody knows what a new primary has, so the search ends where one may have taken over. What was under way then may have
        // taken effect before.
        let end = self.history.faults.iter().filter(|span| span.may_lose()).map(|span| span.start_ns).min();
        let is_cut = |number: &usize| end.is_some_and(|end| calls[*number].end_ns >= end);
        let under_way =
            about.iter().filter(|n| is_cut(n) && calls[**n].reply().is_some() && may_change(&calls[**n].request));
        self.open.extend(under_way);
        for number in &self.open {
            if let Some(life) = self.roster.life_of[*number] {
                self.open_of.entry(life).or_default().push(*number);
            }
        }
        let mut known: Vec<_> =
            about.into_iter().filter(|number| calls[*number].reply().is_some() && !is_cut(number)).collect();
        known.sort_by_key(|number| calls[*number].start_ns);
        let mut starts = BTreeSet::from([Point { totals: vec![units], lives: vec![], from_ns: 0 }]);
        let mut searched = Searched::default();
        for window in windows(calls, &known) {
            match self.search(window, starts) {
                Some(ends) if ends.is_empty() => {
                    let (most, why) = &self.best;
                    let said = format!(
                        "no order of these calls about product {} explains their answers; behind {most} of them: {}",
                        self.product,
                        why.join("; ")
                    );
                    return (searched, Some(Violation::new("windows", said, window.to_vec())));
                }
                Some(ends) if ends.len() <= STARTS_MAX => starts = ends,
                _ => {
                    searched.undecided += 1;
                    break;
                }
            }
            searched.windows += 1;
        }
        (searched, None)
    }

    fn is_about(&self, number: usize) -> bool {
        let of_life = self.roster.life_of[number]
            .is_some_and(|life| self.roster.lives[life].lines.iter().any(|(product, _)| *product == self.product));
        let call = &self.history.calls[number];
        match &call.request {
            Request::Hold { .. } => {
                let is_refused = call.reply().is_some_and(|reply| reply.body["product_id"] == self.product);
                of_life || is_refused && call.status() == Some(409)
            }
            Request::ReadProduct { product } | Request::Restock { product, .. } => *product == self.product,
            _ => of_life,
        }
    }

    /// The states in which a window may end. `None`: the search would take too long.
    fn search(&mut self, window: &[usize], starts: BTreeSet<Point>) -> Option<BTreeSet<Point>> {
        let calls = &self.history.calls;
        self.best = (0, Vec::new());
        let (mut tried, mut ends) = (HashSet::new(), BTreeSet::new());
        let mut stack: Vec<_> = starts.into_iter().map(|point| (vec![false; window.len()], point)).collect();
        while let Some((done, point)) = stack.pop() {
            let waiting = || window.iter().zip(&done).enumerate().filter(|(_, (_, is_done))| !**is_done);
            // What begins after another has ended comes after it.
            let Some(horizon) = waiting().map(|(_, (number, _))| calls[*number].end_ns).min() else {
                ends.insert(point);
                continue;
            };
            let (mut next, mut why) = (Vec::new(), Vec::new());
            // One that may have been sent twice took effect before it was answered.
            let early = waiting().map(|(_, (number, _))| *number);
            self.early = early.filter(|number| self.is_repeated[*number]).collect();
            for (at, (number, _)) in waiting().filter(|(_, (number, _))| calls[**number].start_ns <= horizon) {
                match self.step(*number, &point) {
                    Ok(after) => next.push((at, after)),
                    Err(said) => why.push(format!("call {number}: {said}")),
                }
            }
            let count = done.iter().filter(|is_done| **is_done).count();
            if next.is_empty() && count >= self.best.0 {
                self.best = (count, why);
            }
            // One that fits now and changes nothing may as well come now: no other order is better.
            let unchanged =
                next.iter().position(|(at, next)| *next == point && !may_count_elsewhere(&calls[window[*at]]));
            let chosen = unchanged.map_or(&next[..], |only| &next[only..=only]);
            for (at, next) in chosen {
                let mut done = done.clone();
                done[*at] = true;
                if tried.insert((done.clone(), next.clone())) {
                    stack.push((done, next.clone()));
                }
            }
            if tried.len() > TRIED_MAX || self.tried + tried.len() > TRIED_ALL_MAX {
                return None;
            }
        }
        self.tried += tried.len();
        Some(ends)
    }

    /// What is after this call, or why its answer does not fit.
    fn step(&mut self, number: usize, point: &Point) -> Result<Point, String> {
        let call = &self.history.calls[number];
        let reply = call.reply().ok_or("no answer")?;
        let from_ns = point.from_ns.max(call.start_ns);
        let window = if self.history.has_other_clock {
            Window { from_ms: 0, to_ms: u64::MAX, answered_ms: u64::MAX }
        } else {
            let [begin, end] = [from_ns, call.end_ns].map(|ns| self.history.epoch_ms(ns));
            Window { from_ms: begin.saturating_sub(SLACK_MS), to_ms: end + SLACK_MS, answered_ms: end }
        };
        let totals = self.totals(point, call);
        if matches!(call.request, Request::Hold { .. } | Request::ReadProduct { .. }) {
            let figures = self.figures(point, call, window);
            figures::check(&call.request, reply, self.product, &figures, &totals)?;
        }
        let mut next = Point { totals: point.totals.clone(), lives: point.lives.clone(), from_ns };
        if let Request::Restock { delta, key, .. } = &call.request {
            let is_open = |n: &usize| matches!(&self.history.calls[*n].request, Request::Restock { key: open, .. } if open == key);
            let may_repeat = self.was_asked(key, number) || self.open.iter().any(is_open);
            next.totals = figures::restocked(&totals, *delta, reply, may_repeat);
            if next.totals.is_empty() {
                return Err(format!("a restock of one of {totals:?}"));
            }
        }
        if let Some(life) = self.roster.life_of[number] {
            let states = self.states(point, life, call, window);
            let after = life::answered(call, reply, &states, &mut self.deadlines[life], window);
            if after.is_empty() {
                return Err(format!("the hold or order may be {states:?}"));
            }
            let states = after;
            match next.lives.binary_search_by_key(&life, |(known, _)| *known) {
                Ok(at) => next.lives[at].1 = states,
                Err(at) => next.lives.insert(at, (life, states)),
            }
        }
        // What changes nothing leaves no trace of when it was.
        if next.totals == point.totals && next.lives == point.lives {
            next.from_ns = point.from_ns;
        }
        Ok(next)
    }

    /// Whether the same restock was asked for by another call.
    fn was_asked(&self, key: &str, number: usize) -> bool {
        let is_same = |call: &Call| matches!(&call.request, Request::Restock { key: other, .. } if other == key);
        self.history.calls.iter().enumerate().any(|(other, call)| other != number && is_same(call))
    }

    fn totals(&self, point: &Point, call: &Call) -> Vec<i64> {
        let deltas = self.open.iter().filter_map(|n| match &self.history.calls[*n] {
            open if open.start_ns > call.end_ns => None,
            Call { request: Request::Restock { delta, .. }, .. } => Some(*delta),
            _ => None,
        });
        figures::widen_totals(&point.totals, deltas)
    }

    /// In which states a life may be when this call is decided.
    fn states(&mut self, point: &Point, life: usize, call: &Call, window: Window) -> Vec<State> {
        let known = point.lives.binary_search_by_key(&life, |(known, _)| *known).ok();
        let states = known.map_or_else(|| vec![State::Absent], |at| point.lives[at].1.clone());
        let (history, roster) = (self.history, self.roster);
        let early = self.early.iter().filter(|n| roster.life_of[**n] == Some(life));
        let open = self.open_of.get(&life).into_iter().flatten().chain(early);
        let open: Vec<_> = open.map(|n| &history.calls[*n]).filter(|open| open.start_ns <= call.end_ns).collect();
        if open.is_empty() && states.iter().all(|state| !matches!(state, State::Held(_) | State::Pending(_))) {
            return states;
        }
        let deadlines = &mut self.deadlines[life];
        // What was not answered may have come before a deadline passed, or after.
        let states = life::widen(&states, &open, deadlines, |call| history.times(call));
        let states = life::lapse(&states, deadlines, window);
        let states = life::widen(&states, &open, deadlines, |call| history.times(call));
        life::lapse(&states, deadlines, window)
    }

    fn figures(&mut self, point: &Point, call: &Call, window: Window) -> Figures {
        let early = self.early.iter().filter_map(|n| self.roster.life_of[*n]);
        let unknown = self.open_of.keys().copied().chain(early);
        let lives: BTreeSet<_> = point.lives.iter().map(|(life, _)| *life).chain(unknown).collect();
        let mut figures = Figures::default();
        for life in lives {
            let states = self.states(point, life, call, window);
            figures.add(&states, figures::units_of(&self.roster.lives[life].lines, self.product), 1);
        }
        figures
    }
}

/// Whether a call that changes nothing where it is tried may be one that changes something at another place with the same answer. A
/// restock may read like a repetition, and a payment like a second one, though it paid what had been refunded before it.
fn may_count_elsewhere(call: &Call) -> bool {
    match &call.request {
        Request::Restock { .. } => true,
        Request::Event { .. } => {
            let outcome = call.reply().map_or("", |reply| reply.text("outcome"));
            !matches!(outcome, "ignored" | "duplicate")
        }
        _ => false,
    }
}

/// Calls that overlap each other, one after another.
fn windows<'a>(calls: &[Call], known: &'a [usize]) -> Vec<&'a [usize]> {
    let (mut windows, mut from, mut end) = (Vec::new(), 0, 0);
    for (at, number) in known.iter().enumerate() {
        if at > from && calls[*number].start_ns > end {
            windows.push(&known[from..at]);
            from = at;
        }
        end = end.max(calls[*number].end_ns);
    }
    if from < known.len() {
        windows.push(&known[from..]);
    }
    windows
}
