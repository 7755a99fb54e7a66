//! What the service granted to buyers, by its answers: the other side of the proof.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use super::{
    answers::{AnswerClass, StepAnswer},
    timeline::BuyerResult,
};

/// Grows with what is granted, never with the number of buyers.
#[derive(Default)]
pub struct Ledger {
    /// Buyers who got a unit.
    pub granted: u64,
    /// Buyers who may have got one.
    pub unknown: u64,
    /// Grants under an id that another buyer had already.
    pub shared_ids: u64,
    /// Buyers whose copies of one hold were answered with different holds.
    pub differing_holds: u64,
    /// Buyers of whose copies one was granted and another refused.
    pub contradicted_holds: u64,
    pub orders: u64,
    pub unknown_orders: u64,
    /// The first and the last deadline of all granted holds.
    pub deadlines: Option<(Instant, Instant)>,
    ids: HashSet<u64>,
    hasher: RandomState,
    payments: HashMap<String, PaymentCopies>,
}

/// The answers to the copies of one payment event.
#[derive(Clone, Copy, Default)]
struct PaymentCopies {
    applied: u32,
    duplicate: u32,
    unknown: u32,
    other: u32,
    other_order: bool,
}

/// Payment events, counted by what became of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct PaymentCounts {
    pub sent: u64,
    pub paid: u64,
    pub unknown: u64,
    /// Events of which the copies were applied twice, or answered with different orders.
    pub differing: u64,
}

impl Ledger {
    /// Records the answers to all copies of one hold. Gives what the buyer ended up with, and the hold.
    pub fn record_hold(&mut self, answers: Vec<StepAnswer>) -> (BuyerResult, Option<String>) {
        let any = |class| answers.iter().any(|answer: &StepAnswer| answer.class == class);
        let (granted, refused, unknown) =
            (any(AnswerClass::Accepted), any(AnswerClass::Refused), any(AnswerClass::Unknown));
        if !granted {
            // A copy without an answer may have been granted, whatever the other answers were.
            self.unknown += u64::from(unknown);
            return (if refused && !unknown { BuyerResult::Refused } else { BuyerResult::Failed }, None);
        }
        self.granted += 1;
        self.contradicted_holds += u64::from(refused);
        let mut holds = answers.into_iter().filter(|answer| answer.class == AnswerClass::Accepted);
        let first = holds.next().expect("one was granted");
        self.differing_holds += u64::from(holds.any(|other| other.id != first.id));
        let id = first.id.unwrap_or_default();
        self.shared_ids += u64::from(!self.ids.insert(self.hasher.hash_one(&id)));
        self.record_deadline(first.expires_in);
        (BuyerResult::Accepted, Some(id))
    }

    fn record_deadline(&mut self, expires_in: Option<u64>) {
        let Some(deadline) = expires_in.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)))
        else {
            return;
        };
        let (first, last) = self.deadlines.unwrap_or((deadline, deadline));
        self.deadlines = Some((first.min(deadline), last.max(deadline)));
    }

    /// Records the answer to an order; gives its id.
    pub fn record_order(&mut self, answer: StepAnswer) -> Option<String> {
        match answer.class {
            AnswerClass::Accepted => {
                self.orders += 1;
                answer.id
            }
            AnswerClass::Unknown => {
                self.unknown_orders += 1;
                None
            }
            AnswerClass::Refused | AnswerClass::Failed => None,
        }
    }

    pub fn record_payment(&mut self, order: &str, answer: &StepAnswer) {
        let copies = self.payments.entry(order.to_owned()).or_default();
        match (answer.class, answer.code.as_ref()) {
            (AnswerClass::Accepted, "applied") => copies.applied += 1,
            (AnswerClass::Accepted, "duplicate") => copies.duplicate += 1,
            (AnswerClass::Unknown, _) => copies.unknown += 1,
            _ => copies.other += 1,
        }
        copies.other_order |= answer.id.as_deref().is_some_and(|id| id != order);
    }

    /// Whether requests that nobody waits for any more may still take effect.
    pub fn is_in_doubt(&self) -> bool {
        self.unknown + self.unknown_orders + self.payments().unknown > 0
    }

    pub fn payments(&self) -> PaymentCounts {
        let mut sum = PaymentCounts::default();
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
