//! What buyers were told that they have: the other side of the proof.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use super::{shop::Heard, tally::Class, timeline::Fate};

/// Grows with what is granted, never with the number of buyers.
#[derive(Default)]
pub struct Ledger {
    /// Buyers who were given a unit.
    pub granted: u64,
    /// Buyers of whom it is unknown.
    pub unknown: u64,
    /// Grants under an id that somebody else had already.
    pub shared_ids: u64,
    /// Wishes of which the copies were answered with different holds.
    pub differing_holds: u64,
    /// Wishes of which one copy was granted and another refused.
    pub torn_holds: u64,
    pub orders: u64,
    pub unknown_orders: u64,
    /// The first and the last deadline of a hold that was granted.
    pub deadlines: Option<(Instant, Instant)>,
    ids: HashSet<u64>,
    hasher: RandomState,
    payments: HashMap<String, Copies>,
}

/// The answers to the copies of one payment event.
#[derive(Clone, Copy, Default)]
struct Copies {
    applied: u32,
    duplicate: u32,
    unknown: u32,
    other: u32,
    other_order: bool,
}

/// What became of the payment events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Payments {
    pub sent: u64,
    pub paid: u64,
    pub unknown: u64,
    /// Events of which the copies were applied twice, or answered with different orders.
    pub differing: u64,
}

impl Ledger {
    /// Judges the answers to the copies of one wish; gives what the buyer came out with, and the hold.
    pub fn judge_hold(&mut self, heard: Vec<Heard>) -> (Fate, Option<String>) {
        let any = |class| heard.iter().any(|heard: &Heard| heard.class == class);
        let (granted, refused, unknown) = (any(Class::Accepted), any(Class::Refused), any(Class::Unknown));
        if !granted {
            // A copy without an answer may have been granted, whatever the others were told.
            self.unknown += u64::from(unknown);
            return (if refused && !unknown { Fate::Refused } else { Fate::Failed }, None);
        }
        self.granted += 1;
        self.torn_holds += u64::from(refused);
        let mut holds = heard.into_iter().filter(|heard| heard.class == Class::Accepted);
        let first = holds.next().expect("one was granted");
        self.differing_holds += u64::from(holds.any(|other| other.id != first.id));
        let id = first.id.unwrap_or_default();
        self.shared_ids += u64::from(!self.ids.insert(self.hasher.hash_one(&id)));
        self.note_deadline(first.expires_in);
        (Fate::Accepted, Some(id))
    }

    fn note_deadline(&mut self, expires_in: Option<u64>) {
        let Some(deadline) = expires_in.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)))
        else {
            return;
        };
        let (first, last) = self.deadlines.unwrap_or((deadline, deadline));
        self.deadlines = Some((first.min(deadline), last.max(deadline)));
    }

    pub fn judge_order(&mut self, heard: Heard) -> Option<String> {
        match heard.class {
            Class::Accepted => {
                self.orders += 1;
                heard.id
            }
            Class::Unknown => {
                self.unknown_orders += 1;
                None
            }
            Class::Refused | Class::Failed => None,
        }
    }

    pub fn judge_payment(&mut self, order: &str, heard: &Heard) {
        let copies = self.payments.entry(order.to_owned()).or_default();
        match (heard.class, heard.code.as_ref()) {
            (Class::Accepted, "applied") => copies.applied += 1,
            (Class::Accepted, "duplicate") => copies.duplicate += 1,
            (Class::Unknown, _) => copies.unknown += 1,
            _ => copies.other += 1,
        }
        copies.other_order |= heard.id.as_deref().is_some_and(|id| id != order);
    }

    /// Whether requests may still take effect that nobody waits for any more.
    pub fn is_in_doubt(&self) -> bool {
        self.unknown + self.unknown_orders + self.payments().unknown > 0
    }

    pub fn payments(&self) -> Payments {
        let mut sum = Payments::default();
        for copies in self.payments.values() {
            let settled = copies.applied + copies.duplicate > 0;
            sum.sent += 1;
            sum.paid += u64::from(settled);
            sum.unknown += u64::from(!settled && copies.unknown > 0);
            sum.differing += u64::from(copies.applied > 1 || copies.other_order || (settled && copies.other > 0));
        }
        sum
    }
}
