//! Every order in which things can happen to what a customer has of two products of one group: all sequences of up to three of
//! them, behind a hold of both, on the model and on the store. After each sequence the customer asks for more of either.

use std::collections::BTreeMap;

use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use super::{
    limits::{Limit, SaleLimits},
    machine::{SEEN, SaleTest},
    payments::FREE,
    reference::{Amount, Event, HoldRequest, SaleReference, Transition},
};

const GROUP: Option<&str> = Some("a");
const LIMITS: SaleLimits = SaleLimits { per_customer: Some(4), per_group: Some(3) };

fn hold(lines: &[(u64, u64)]) -> Transition {
    let lines: BTreeMap<u64, u64> = lines.iter().copied().collect();
    Transition::Hold(HoldRequest { lines, customer: true, ttl_seconds: None, key: None })
}

fn event(key: u32, status: &'static str) -> Transition {
    let (payment, amount) = (Some(1), Amount::Right);
    Transition::Settle(Event { hold: 0, by_order: false, status, key, payment, amount, refund: None })
}

/// What can happen after the hold.
fn steps() -> Vec<Transition> {
    vec![
        hold(&[(1, 1)]),
        hold(&[(FREE, 2)]),
        Transition::Release(0),
        Transition::Order(0),
        event(0, "paid"),
        event(1, "refunded"),
        Transition::Cancel(0),
        // Beyond every deadline.
        Transition::Clock(300_000),
        // Product 2 leaves the group.
        Transition::Limit(Limit::Group(2, None)),
        // Less than the customer has.
        Transition::Limit(Limit::Sale(SaleLimits { per_customer: Some(1), per_group: Some(2) })),
        Transition::Limit(Limit::Product(2, Some(1))),
    ]
}

/// All sequences of up to three different steps, as their places.
fn sequences(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    let mut last = all.clone();
    for _ in 0..3 {
        let longer = |sequence: &Vec<usize>| {
            let next = (0..count).filter(|step| !sequence.contains(step));
            next.map(|step| [&sequence[..], &[step]].concat()).collect::<Vec<_>>()
        };
        last = last.iter().flat_map(longer).collect();
        all.extend(last.iter().cloned());
    }
    all
}

#[test]
fn whatever_happens_a_customer_has_no_more_than_the_limits_at_that_moment() {
    let steps = steps();
    let all = sequences(steps.len());
    SEEN.with_borrow_mut(BTreeMap::clear);
    for sequence in &all {
        let mut reference = SaleReference::selling(1, 8);
        let mut test = SaleTest::init_test(&reference);
        let limits = [Limit::Group(1, GROUP), Limit::Group(2, GROUP), Limit::Sale(LIMITS)].map(Transition::Limit);
        let last = [hold(&[(1, 1), (2, 1)]), hold(&[(2, 1)]), hold(&[(1, 1)])];
        let walk = limits.into_iter().chain([hold(&[(1, 1), (2, 1)])]);
        for transition in walk.chain(sequence.iter().map(|step| steps[*step].clone())).chain(last) {
            reference = SaleReference::apply(reference, &transition);
            test = SaleTest::apply(test, &reference, transition);
        }
        SaleTest::check_invariants(&test, &reference);
        SaleTest::teardown(test, reference);
    }
    SEEN.with_borrow(|seen| {
        println!("{} sequences checked: {seen:#?}", all.len());
        for limit in ["product", "group", "sale"] {
            let times = seen.get(&format!("hold customer_limit_reached {limit}")).copied().unwrap_or(0);
            assert!(times >= 10, "{limit} was reached {times} times only");
        }
    });
}
