//! Every order in which things can happen to one order, with a deadline, another buyer and a person in between: all sequences of
//! up to four of them, each on a sale with one unit, on the model and on the store. They must agree after each step, and captured
//! money must be in exactly one place.

use std::collections::BTreeMap;

use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use super::{
    machine::SaleTest,
    payments::FREE,
    reference::{Amount, Event, HoldRequest, SaleReference, Transition},
};

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Order,
    Paid,
    /// Less than the total.
    PaidLess,
    /// More than the total.
    PaidMore,
    /// Another payment for the same order.
    PaidSecond,
    Cancelled,
    Refunded,
    RefundedSecond,
    /// As much as the order costs, which is nothing where it is free.
    RefundedTotal,
    Processing,
    /// Time passes, beyond every deadline.
    Lapse,
    /// Somebody else wants the unit.
    OtherBuyer,
    /// The buyer cancels.
    Cancel,
    /// The shop's own webhook cancels.
    ShopCancels,
    Accept,
    Refund,
    Dismiss,
}

use Step::{
    Accept, Cancel, Cancelled, Dismiss, Lapse, Order, OtherBuyer, Paid, PaidLess, PaidMore, PaidSecond, Processing,
    Refund, Refunded, RefundedSecond, RefundedTotal, ShopCancels,
};

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

fn one_unit(product: u64) -> Transition {
    let lines = BTreeMap::from([(product, 1)]);
    Transition::Hold(HoldRequest { lines, customer: false, ttl_seconds: None, key: None })
}

impl Step {
    fn transition(self, product: u64) -> Transition {
        let event = |key, status, payment, amount| {
            Transition::Settle(Event { hold: 0, by_order: false, status, key, payment, amount, refund: None })
        };
        match self {
            Order => Transition::Order(0),
            Paid => event(0, "paid", Some(1), Amount::Right),
            PaidLess => event(1, "paid", Some(1), Amount::Less),
            PaidMore => event(7, "paid", Some(1), Amount::More),
            PaidSecond => event(2, "paid", Some(2), Amount::Right),
            Cancelled => event(3, "cancelled", Some(1), Amount::Missing),
            Refunded => event(4, "refunded", Some(1), Amount::Missing),
            RefundedSecond => event(5, "refunded", Some(2), Amount::Missing),
            RefundedTotal => event(9, "refunded", Some(1), Amount::Right),
            Processing => event(6, "processing", Some(1), Amount::Missing),
            Lapse => Transition::Clock(300_000),
            OtherBuyer => one_unit(product),
            Cancel => Transition::Cancel(0),
            ShopCancels => event(8, "cancelled", None, Amount::Missing),
            Accept => Transition::Resolve(0, "accept"),
            Refund => Transition::Resolve(0, "refund"),
            Dismiss => Transition::Resolve(0, "dismiss"),
        }
    }
}

/// One sequence, on one unit of a product. Answers the status that the order ends in.
fn walk(product: u64, sequence: &[Step]) -> &'static str {
    let mut reference = SaleReference::selling(product, 1);
    let mut test = SaleTest::init_test(&reference);
    for transition in [one_unit(product)].into_iter().chain(sequence.iter().map(|step| step.transition(product))) {
        reference = SaleReference::apply(reference, &transition);
        test = SaleTest::apply(test, &reference, transition);
    }
    SaleTest::check_invariants(&test, &reference);
    let status = reference.status(0).unwrap_or("no order");
    SaleTest::teardown(test, reference);
    status
}

#[test]
fn whatever_the_order_of_events_and_people_money_ends_in_one_place() {
    let steps = [
        Order,
        Paid,
        PaidLess,
        PaidSecond,
        Cancelled,
        Refunded,
        RefundedSecond,
        Processing,
        Lapse,
        OtherBuyer,
        Cancel,
        Accept,
        Refund,
        Dismiss,
    ];
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    // All of two and three, and four of those that matter most to each other.
    let mut all = sequences(&steps, 3);
    let chosen = [Order, Paid, PaidLess, Refunded, Lapse, OtherBuyer, Accept];
    all.extend(sequences(&chosen, 4).into_iter().filter(|sequence| sequence.len() == 4));
    for sequence in &all {
        *ends.entry(walk(1, sequence)).or_default() += 1;
    }
    println!("{} sequences checked, which ended in {ends:?}", all.len());
    for end in ["no order", "pending", "in_review", "paid", "cancelled", "refund_required", "refunded"] {
        assert!(ends.contains_key(end), "{end} in {ends:?}");
    }
}

#[test]
fn an_order_that_costs_nothing_is_cancelled_once_and_loses_no_money_that_came_all_the_same() {
    let steps = [Paid, PaidMore, Refunded, Cancel, ShopCancels, OtherBuyer, Lapse];
    let by_person = [PaidMore, Cancel, ShopCancels, Refund, Accept, Dismiss, Refunded];
    let mut all = sequences(&steps, 2);
    for steps in [steps, by_person] {
        all.extend(sequences(&steps, 3).into_iter().map(|sequence| [&[Order], &sequence[..]].concat()));
    }
    // What came went back, and then the provider says that nothing went back.
    all.extend(sequences(&[PaidMore, Refunded, Cancel, ShopCancels, RefundedTotal], 5));
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for sequence in &all {
        *ends.entry(walk(FREE, sequence)).or_default() += 1;
    }
    println!("{} sequences checked, which ended in {ends:?}", all.len());
    for end in ["no order", "paid", "cancelled", "refund_required", "refunded"] {
        assert!(ends.contains_key(end), "{end} in {ends:?}");
    }
}
