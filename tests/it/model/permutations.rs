//! Every order in which things can happen to one order: all sequences of up to five of them, each on a hold of its own, on
//! the model and on the store. They must agree after each step, and captured money must be in exactly one place.

use std::collections::BTreeMap;

use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use super::{
    machine::SaleTest,
    reference::{Amount, Event, HoldRequest, SaleReference, Transition},
};

/// Sequences on one Redis, before it is emptied: the model searches its lists from end to end.
const CHUNK: usize = 40;
/// So that nobody is refused: the boundary has tests of its own.
const UNITS: u64 = 1_000;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Order,
    Paid,
    /// The same event once more.
    PaidAgain,
    /// The same payment under another event id.
    PaidOtherKey,
    /// Another payment for the same order.
    PaidSecond,
    Failed,
    Cancelled,
    Refunded,
    Processing,
    /// Time passes, beyond every deadline.
    Lapse,
}

use Step::{Cancelled, Failed, Lapse, Order, Paid, PaidAgain, PaidOtherKey, PaidSecond, Processing, Refunded};

/// All sequences of one to `longest` different steps.
fn sequences(steps: &[Step], longest: usize) -> Vec<Vec<Step>> {
    let mut all: Vec<Vec<Step>> = Vec::new();
    let mut last: Vec<Vec<Step>> = vec![Vec::new()];
    for _ in 0..longest {
        let longer = |sequence: &Vec<Step>| {
            let next = steps.iter().filter(|step| !sequence.contains(step));
            next.map(|step| [&sequence[..], &[*step]].concat()).collect::<Vec<_>>()
        };
        last = last.iter().flat_map(longer).collect();
        all.extend(last.iter().cloned());
    }
    all
}

impl Step {
    fn transition(self, hold: usize) -> Transition {
        let key = u32::try_from(hold).unwrap() * 10;
        let event = |number: u32, status, payment| {
            Transition::Settle(Event {
                hold,
                by_order: false,
                status,
                key: key + number,
                payment: Some(payment),
                amount: Amount::Missing,
                refund: None,
            })
        };
        match self {
            Order => Transition::Order(hold),
            Paid | PaidAgain => event(0, "paid", 1),
            PaidOtherKey => event(1, "paid", 1),
            PaidSecond => event(2, "paid", 2),
            Failed => event(3, "failed", 1),
            Cancelled => event(4, "cancelled", 1),
            Refunded => event(5, "refunded", 1),
            Processing => event(6, "processing", 1),
            Lapse => Transition::Clock(300_000),
        }
    }

    fn payment(self) -> Option<&'static str> {
        match self {
            Paid | PaidAgain | PaidOtherKey => Some("pi_1"),
            PaidSecond => Some("pi_2"),
            Order | Failed | Cancelled | Refunded | Processing | Lapse => None,
        }
    }
}

struct Walk {
    test: Option<SaleTest>,
    reference: SaleReference,
}

impl Walk {
    fn begin() -> Self {
        let reference = SaleReference::selling(UNITS);
        Self { test: Some(SaleTest::init_test(&reference)), reference }
    }

    fn step(&mut self, transition: Transition) {
        let reference = std::mem::replace(&mut self.reference, SaleReference::selling(0));
        self.reference = SaleReference::apply(reference, &transition);
        let test = SaleTest::apply(self.test.take().unwrap(), &self.reference, transition);
        self.test = Some(test);
    }

    /// One sequence on the hold with this place.
    fn walk(&mut self, hold: usize, sequence: &[Step]) {
        let request = HoldRequest { lines: BTreeMap::from([(1, 1)]), customer: false, ttl_seconds: None, key: None };
        self.step(Transition::Hold(request));
        for step in sequence {
            let was_paid = self.reference.status(hold) == Some("paid");
            self.step(step.transition(hold));
            if was_paid && *step != Refunded {
                assert_eq!(self.reference.status(hold), Some("paid"), "{sequence:?}: {step:?} undid a payment");
            }
        }
        self.check_money(hold, sequence);
    }

    /// Each payment that was captured is that of the order, or in one review, and never both.
    fn check_money(&mut self, hold: usize, sequence: &[Step]) {
        let test = self.test.as_mut().unwrap();
        let order = test.kept(hold);
        let reviews = test.reviews_of(hold);
        let mut captured: Vec<&str> = sequence.iter().filter_map(|step| step.payment()).collect();
        captured.sort_unstable();
        captured.dedup();
        for payment in captured {
            let settled = order.get("payment").is_some_and(|of| of == payment) && !order.contains_key("review");
            let about = reviews.iter().filter(|review| review[0] != "refund_mismatch" && review[4] == payment).count();
            assert_eq!(usize::from(settled) + about, 1, "{sequence:?}: {payment} in {order:?} and {reviews:?}");
        }
    }
}

#[test]
fn whatever_the_order_of_events_money_ends_in_one_place() {
    let common = [Order, Paid, PaidAgain, PaidOtherKey, Failed, Cancelled, Refunded, Lapse];
    let all = [&common[..], &[PaidSecond, Processing]].concat();
    let mut checked = sequences(&common, 5);
    checked.extend(sequences(&all, 4).into_iter().filter(|s| s.contains(&PaidSecond) || s.contains(&Processing)));
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for chunk in checked.chunks(CHUNK) {
        let mut walk = Walk::begin();
        for (hold, sequence) in chunk.iter().enumerate() {
            walk.walk(hold, sequence);
            *ends.entry(walk.reference.status(hold).unwrap_or("no order")).or_default() += 1;
        }
        SaleTest::check_invariants(walk.test.as_ref().unwrap(), &walk.reference);
        SaleTest::teardown(walk.test.take().unwrap(), walk.reference);
    }
    println!("{} sequences checked, which ended in {ends:?}", checked.len());
    assert_eq!(checked.len(), 8_800 + 3_780);
    for end in ["no order", "pending", "paid", "cancelled", "refund_required", "refunded"] {
        assert!(ends.contains_key(end), "{end} in {ends:?}");
    }
}
