//! The life of a hold and of the order that it becomes: what each call does to it, and which answers fit.
//!
//! A checker does not know everything: answers get lost, and deadlines pass between two calls. So a life is a *set* of states in which
//! it may be. A call of unknown outcome widens the set, an answer narrows it, and an empty set is a lie.

use super::super::history::{Call, Reply, Request};

/// Clocks are compared with such a slack.
pub const SLACK_MS: u64 = 30;
/// A call that nobody has an answer to may take effect so much later than its caller gave up: a service may have stood still with it.
/// A hold never comes so late.
const LATE_MS: u64 = 60_000;
const LATE_HOLD_MS: u64 = 5_000;
const HOLD_MS: u64 = 1_000;
const PAYMENT_MS: u64 = 2_000;
const LONGEST_MS: u64 = 4_000;

/// A deadline of this life, by its number in [`Deadlines`].
type Due = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    Absent,
    Held(Due),
    /// Lapsed or released.
    Gone,
    Pending(Due),
    Expired,
    /// Cancelled by a payment event: a late payment may still pay it.
    Ended,
    /// Cancelled by its buyer.
    Cancelled,
    Sold,
    /// Its money went back, or must.
    Refunded,
}

/// Where the units of a life are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Held,
    Pending,
    Sold,
}

/// The deadlines that a life may have had, each between two instants.
#[derive(Clone, Debug, Default)]
pub struct Deadlines(Vec<(u64, u64)>);

/// The instants between which something was decided, in epoch milliseconds.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_field_names, reason = "the unit of an instant is the last part of its name")]
pub struct Window {
    pub from_ms: u64,
    pub to_ms: u64,
    /// When the answer came. What only reads sees by then what has passed, though nothing was written.
    pub answered_ms: u64,
}

impl State {
    pub fn place(self) -> Option<Place> {
        match self {
            Self::Held(_) => Some(Place::Held),
            Self::Pending(_) => Some(Place::Pending),
            Self::Sold => Some(Place::Sold),
            _ => None,
        }
    }

    fn is_order(self) -> bool {
        !matches!(self, Self::Absent | Self::Held(_) | Self::Gone)
    }
}

impl Deadlines {
    fn number(&mut self, from_ms: u64, to_ms: u64) -> Due {
        let wanted = (from_ms, to_ms);
        self.0.iter().position(|known| *known == wanted).unwrap_or_else(|| {
            self.0.push(wanted);
            self.0.len() - 1
        })
    }

    fn may_be(&self, due: Due, ms: u64) -> bool {
        (self.0[due].0..=self.0[due].1).contains(&ms)
    }

    fn may_have_passed(&self, due: Due, by_ms: u64) -> bool {
        by_ms.saturating_add(SLACK_MS) > self.0[due].0
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The instants at which one of them, but for the first so many, begins or ends to have passed.
    pub fn edges_from(&self, first: usize) -> impl Iterator<Item = u64> {
        self.0[first..].iter().flat_map(|(from, to)| [*from, *to])
    }
}

/// What may have become of these states by the time of the window, because deadlines passed.
pub fn lapse(states: &[State], deadlines: &Deadlines, window: Window) -> Vec<State> {
    let mut after = Vec::new();
    for state in states {
        let (due, lapsed) = match *state {
            State::Held(due) => (due, State::Gone),
            State::Pending(due) => (due, State::Expired),
            other => {
                after.push(other);
                continue;
            }
        };
        let (from, to) = deadlines.0[due];
        if window.from_ms <= to {
            after.push(*state);
        }
        if window.to_ms > from {
            after.push(lapsed);
        }
    }
    sorted(after)
}

/// These states, and all that calls whose outcome nobody knows may have made of them.
/// `times` are the instants between which a call was under way.
pub fn widen(
    states: &[State],
    calls: &[&Call],
    deadlines: &mut Deadlines,
    times: impl Fn(&Call) -> (u64, u64),
) -> Vec<State> {
    let asked = asked(calls, times);
    let mut all = states.to_vec();
    let mut new = all.clone();
    while let Some(state) = new.pop() {
        for (request, (from_ms, to_ms)) in &asked {
            let late_ms = if matches!(request, Request::Hold { .. }) { LATE_HOLD_MS } else { LATE_MS };
            for reached in unanswered(request, state, deadlines, (*from_ms, to_ms.saturating_add(late_ms))) {
                new.extend(join(&mut all, reached, deadlines));
            }
        }
    }
    sorted(all)
}

/// What these calls asked for, each once, and between which instants: in a fail-over thousands of them say the same.
fn asked<'a>(calls: &[&'a Call], times: impl Fn(&Call) -> (u64, u64)) -> Vec<(&'a Request, (u64, u64))> {
    let mut all: Vec<(&Request, (u64, u64))> = Vec::new();
    for call in calls {
        let (from, to) = times(call);
        match all.iter_mut().find(|(known, _)| **known == call.request) {
            Some((_, known)) => *known = (known.0.min(from), known.1.max(to)),
            None => all.push((&call.request, (from, to))),
        }
    }
    all
}

/// All these states, each once.
pub fn joined<'a>(states: impl Iterator<Item = &'a State>, deadlines: &mut Deadlines) -> Vec<State> {
    let mut all = Vec::new();
    for state in states {
        join(&mut all, *state, deadlines);
    }
    sorted(all)
}

/// Adds a state to the others, and returns what is new. Of deadlines that nobody knows there is one, as wide as all of them
/// together: else a few calls without an answer would make hundreds.
fn join(all: &mut Vec<State>, reached: State, deadlines: &mut Deadlines) -> Option<State> {
    if all.contains(&reached) {
        return None;
    }
    let wide_due = |state: State, deadlines: &Deadlines| match (reached, state) {
        (State::Held(_), State::Held(due)) | (State::Pending(_), State::Pending(due)) => {
            let (from, to) = deadlines.0[due];
            (from < to).then_some(due)
        }
        _ => None,
    };
    let like = wide_due(reached, deadlines)
        .and_then(|own| all.iter().enumerate().find_map(|(at, state)| Some((at, wide_due(*state, deadlines)?, own))));
    let Some((at, known, own)) = like else {
        all.push(reached);
        return Some(reached);
    };
    let [(from, to), (own_from, own_to)] = [known, own].map(|due| deadlines.0[due]);
    let hull = deadlines.number(from.min(own_from), to.max(own_to));
    if hull == known {
        return None;
    }
    all[at] = if matches!(reached, State::Held(_)) { State::Held(hull) } else { State::Pending(hull) };
    Some(all[at])
}

/// The states in which this call may leave such a one, when nobody knows its answer. It may also have done nothing.
fn unanswered(request: &Request, state: State, deadlines: &mut Deadlines, (from, to): (u64, u64)) -> Vec<State> {
    let mut due =
        |ms: u64| deadlines.number(from.saturating_add(ms).saturating_sub(SLACK_MS), to.saturating_add(ms + 1_000));
    match (request, state) {
        (Request::Hold { .. }, State::Absent) => vec![State::Held(due(HOLD_MS))],
        (Request::Release { .. }, State::Held(_)) => vec![State::Gone],
        (Request::Extend { seconds, .. }, State::Held(due)) => {
            let (from, to) = deadlines.0[due];
            vec![State::Held(
                deadlines.number(from, to.saturating_add(seconds * 1_000).min(from.saturating_add(LONGEST_MS))),
            )]
        }
        (Request::Order { .. }, State::Held(_)) => vec![State::Pending(due(PAYMENT_MS))],
        (Request::Cancel { .. }, State::Pending(_) | State::Expired | State::Ended) => vec![State::Cancelled],
        (Request::StartPayment { .. }, State::Pending(old)) => vec![State::Pending(later(deadlines, old, to))],
        (Request::Event { word, payment, .. }, state) => match (&**word, state) {
            ("paid", State::Held(_)) => vec![State::Sold, State::Refunded, State::Pending(soon(deadlines, from, to))],
            ("paid", State::Pending(old)) => {
                vec![State::Sold, State::Refunded, State::Pending(later(deadlines, old, to))]
            }
            // Money that comes late takes the units again, if they are there.
            ("paid", State::Expired | State::Ended | State::Refunded) => {
                vec![State::Sold, State::Refunded, State::Pending(soon(deadlines, from, to))]
            }
            ("processing" | "refunded", State::Held(_)) => vec![State::Pending(due(PAYMENT_MS))],
            ("processing", State::Pending(old)) => vec![State::Pending(later(deadlines, old, to))],
            ("failed", State::Pending(_)) if payment.is_none() => vec![State::Ended],
            // Another payment, which does not fit, may be left to look at.
            ("refunded", State::Sold) => vec![State::Refunded, State::Pending(soon(deadlines, from, to))],
            ("paid", State::Gone | State::Cancelled | State::Absent) | ("refunded", _) => vec![State::Refunded],
            _ => vec![],
        },
        _ => vec![],
    }
}

/// A deadline of an order in review, or of one that is being paid.
fn soon(deadlines: &mut Deadlines, from_ms: u64, to_ms: u64) -> Due {
    deadlines.number(from_ms.saturating_sub(SLACK_MS), to_ms.saturating_add(LONGEST_MS))
}

/// A deadline that moved, at most to so long after `now_ms`.
fn later(deadlines: &mut Deadlines, old: Due, now_ms: u64) -> Due {
    let (from, to) = deadlines.0[old];
    deadlines.number(from, to.max(now_ms.saturating_add(LONGEST_MS)))
}

/// The states in which a call with this answer may leave these. None: the answer does not fit.
pub fn answered(call: &Call, reply: &Reply, states: &[State], deadlines: &mut Deadlines, window: Window) -> Vec<State> {
    let after = states.iter().flat_map(|state| of_state(call, reply, *state, deadlines, window)).collect();
    sorted(after)
}

fn of_state(call: &Call, reply: &Reply, state: State, deadlines: &mut Deadlines, window: Window) -> Vec<State> {
    let is_gone = |state: State, deadlines: &Deadlines| match state {
        State::Gone | State::Absent => true,
        State::Held(due) => deadlines.may_have_passed(due, window.answered_ms),
        _ => false,
    };
    let unchanged = |fits: bool| if fits { vec![state] } else { vec![] };
    match (&call.request, reply.status, &*reply.code) {
        (Request::Hold { .. }, 200 | 201, _) if reply.is_replayed => unchanged(state != State::Absent),
        (Request::Hold { .. }, 201, _) if state == State::Absent => held(reply, deadlines),
        (Request::ReadHold { .. } | Request::Extend { .. }, 200, _) if reply.body["status"] == "converted" => {
            unchanged(state.is_order())
        }
        (Request::ReadHold { .. }, 200, _) => match (state, reply.instant_ms("expires_at")) {
            (State::Held(due), Some(ms)) if deadlines.may_be(due, ms) => held(reply, deadlines),
            _ => vec![],
        },
        (Request::Extend { seconds, .. }, 200, _) => match (state, reply.instant_ms("expires_at")) {
            // By so much, once.
            (State::Held(due), Some(ms)) if ms <= deadlines.0[due].1.saturating_add(seconds * 1_000) => {
                held(reply, deadlines)
            }
            _ => vec![],
        },
        (Request::Extend { .. }, 409, "extension_limit_reached") => unchanged(matches!(state, State::Held(_))),
        (Request::Release { .. }, 204, _) => {
            if matches!(state, State::Held(_)) {
                vec![State::Gone]
            } else {
                vec![]
            }
        }
        (Request::Release { .. } | Request::Extend { .. }, 409, "hold_converted") => unchanged(state.is_order()),
        (_, 410, _) => unchanged(is_gone(state, deadlines)),
        (Request::Order { .. }, 201, _) => match state {
            State::Held(_) => pending(reply, deadlines),
            _ => vec![],
        },
        (Request::Cancel { .. }, 200, _) => match state {
            State::Pending(_) | State::Expired | State::Ended | State::Cancelled => vec![State::Cancelled],
            _ => vec![],
        },
        (Request::Cancel { .. } | Request::StartPayment { .. }, 409, _) => {
            fitting(reply, reply.text("order_status"), state, deadlines, window)
        }
        (Request::StartPayment { .. }, 200, _) => match state {
            State::Pending(_) => pending(reply, deadlines),
            _ => vec![],
        },
        (Request::ReadOrder { .. } | Request::Order { .. }, 200, _) => {
            fitting(reply, reply.text("status"), state, deadlines, window)
        }
        (Request::Cancel { .. } | Request::ReadOrder { .. } | Request::StartPayment { .. }, 404, _) => {
            // The name of an order follows from its hold, so it may be asked for where there is none, or none any more.
            unchanged(!state.is_order())
        }
        (Request::Event { .. }, 200, _) => {
            let times = (window.from_ms, window.to_ms);
            let mut reached = unanswered(&call.request, state, deadlines, times);
            reached.push(state);
            let Some(status) = reply.body["order"]["status"].as_str() else { return reached };
            reached.into_iter().flat_map(|state| fitting(reply, status, state, deadlines, window)).collect()
        }
        // A request that is wrong in itself changes nothing.
        (_, 422, _) | (Request::Hold { .. }, 404 | 409, _) => vec![state],
        _ => vec![],
    }
}

fn held(reply: &Reply, deadlines: &mut Deadlines) -> Vec<State> {
    reply.instant_ms("expires_at").map(|ms| State::Held(deadlines.number(ms, ms))).into_iter().collect()
}

fn pending(reply: &Reply, deadlines: &mut Deadlines) -> Vec<State> {
    reply.instant_ms("payment_due_at").map(|ms| State::Pending(deadlines.number(ms, ms))).into_iter().collect()
}

/// What an order of this status is, if it may be this one.
fn fitting(reply: &Reply, status: &str, state: State, deadlines: &mut Deadlines, window: Window) -> Vec<State> {
    match (status, state) {
        ("pending" | "in_review", State::Pending(due)) => match reply.instant_ms("payment_due_at") {
            Some(ms) if deadlines.may_be(due, ms) => pending(reply, deadlines),
            Some(_) => vec![],
            None => vec![state],
        },
        ("expired" | "refund_required", State::Pending(due)) if deadlines.may_have_passed(due, window.answered_ms) => {
            vec![state]
        }
        // One that was made for a refund, after its hold was gone, says that it is expired. It has no units.
        ("paid", State::Sold)
        | ("cancelled", State::Cancelled | State::Ended)
        | ("expired", State::Expired | State::Refunded)
        | ("refund_required" | "refunded", State::Refunded) => vec![state],
        // An order in review that lapsed.
        ("refund_required", State::Expired) => vec![State::Refunded],
        _ => vec![],
    }
}

fn sorted(mut states: Vec<State>) -> Vec<State> {
    states.sort_unstable();
    states.dedup();
    states
}

#[test]
fn deadlines_that_nobody_knows_are_one_as_wide_as_all_of_them() {
    let mut deadlines = Deadlines::default();
    let wide: Vec<_> = (0..100).map(|n| State::Held(deadlines.number(n, n + 1_000))).collect();
    let exact = State::Held(deadlines.number(5_000, 5_000));
    let all = joined(wide.iter().chain([&exact]), &mut deadlines);
    let hull = State::Held(deadlines.number(0, 1_099));
    assert_eq!(all, sorted(vec![exact, hull]));
}
