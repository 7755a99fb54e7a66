//! The cool-down of a customer, walked at random: what was left unpaid in a row, since when, and until when the next hold is
//! refused. The reference keeps a list of what the customer has.

use std::{cell::Cell, collections::BTreeSet};

use flashsale::domain::{
    act::Act,
    ids::SaleId,
    order::CancelledBy,
    outcome::{CancelOutcome, ChangeSaleOutcome},
    sale::SaleChange,
};
use proptest::{prelude::*, test_runner::TestRunner};
use proptest_state_machine::StateMachineTest;

use super::{
    machine::SaleTest,
    reference::{Amount, Event, HOLD_MS, HoldRequest, PAYMENT_MS, SaleReference, Transition, whole_second},
};
use crate::support::random_cases;

const CASES: u32 = 100;
const COOLDOWN_MS: i64 = 60_000;

#[derive(Clone, Debug)]
enum Step {
    Hold,
    /// Turns one of the last things into an order, releases it, cancels it, or pays it, where that can be done.
    Order(usize),
    Release(usize),
    Cancel(usize, CancelledBy),
    Pay(usize),
    /// How many may be left unpaid in a row (0: any number), and whether a release counts.
    Terms(u64, bool),
    Clock(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0_usize..4;
    let by = prop::sample::select(vec![CancelledBy::Customer, CancelledBy::Customer, CancelledBy::Admin]);
    prop_oneof![
        8 => Just(Step::Hold),
        5 => at.clone().prop_map(Step::Order),
        2 => at.clone().prop_map(Step::Release),
        4 => (at.clone(), by).prop_map(|(at, by)| Step::Cancel(at, by)),
        2 => at.prop_map(Step::Pay),
        1 => (prop::sample::select(vec![0_u64, 2, 2, 3]), any::<bool>()).prop_map(|(most, releases)| Step::Terms(most, releases)),
        4 => (500_i64..40_000).prop_map(Step::Clock),
        2 => (60_000_i64..130_000).prop_map(Step::Clock),
    ]
}

/// What the customer has or had.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Held,
    Pending,
    /// It lapsed as a hold, was released, cancelled or paid.
    Over,
    /// An order that lapsed: money for it may still come.
    LapsedOrder,
}

#[derive(Clone, Copy, Debug)]
struct Thing {
    deadline: i64,
    state: State,
}

#[derive(Debug, Default)]
struct Customer {
    now: i64,
    things: Vec<Thing>,
    /// How many were left unpaid in a row, and when the last of them was.
    left: u64,
    left_at: i64,
    most: u64,
    releases_count: bool,
}

impl Customer {
    /// What lapsed within one second was left once.
    fn lapse(&mut self) {
        let mut deadlines = BTreeSet::new();
        for thing in self.things.iter_mut().filter(|thing| self.now > thing.deadline) {
            thing.state = match thing.state {
                State::Held => State::Over,
                State::Pending => State::LapsedOrder,
                State::Over | State::LapsedOrder => continue,
            };
            deadlines.insert(thing.deadline);
        }
        self.left += deadlines.len() as u64;
        self.left_at = deadlines.last().map_or(self.left_at, |last| self.left_at.max(*last));
    }

    /// A sale without a cool-down counts what lapses, because a customer's units have deadlines anyway, and nothing else.
    fn leave(&mut self) {
        if self.most > 0 {
            (self.left, self.left_at) = (self.left + 1, self.now);
        }
    }

    /// Does the step, and says which command to give and what it must answer. `None`: it cannot be done now.
    fn expect(&mut self, step: &Step) -> Option<(Transition, String)> {
        self.lapse();
        let last = self.things.len();
        let place = |at: &usize| last.checked_sub(at + 1);
        match step {
            Step::Hold => {
                let again = self.left_at + COOLDOWN_MS;
                let request = HoldRequest { lines: [(1, 1)].into(), customer: true, ttl_seconds: None, key: None };
                if self.most > 0 && self.left >= self.most && self.now < again {
                    return Some((Transition::Hold(request), format!("hold customer_cooling_down until {again}")));
                }
                self.things.push(Thing { deadline: whole_second(self.now + HOLD_MS), state: State::Held });
                Some((Transition::Hold(request), "hold held".into()))
            }
            Step::Order(at) => {
                let at = place(at).filter(|at| self.things[*at].state == State::Held)?;
                self.things[at] = Thing { deadline: whole_second(self.now + PAYMENT_MS), state: State::Pending };
                Some((Transition::Order(at), "order created".into()))
            }
            Step::Release(at) => {
                let at = place(at).filter(|at| self.things[*at].state == State::Held)?;
                self.things[at].state = State::Over;
                if self.releases_count {
                    self.leave();
                }
                Some((Transition::Release(at), "release released".into()))
            }
            Step::Cancel(at, by) => {
                let at =
                    place(at).filter(|at| matches!(self.things[*at].state, State::Pending | State::LapsedOrder))?;
                // One that lapsed was counted then.
                if self.things[at].state == State::Pending && *by != CancelledBy::Admin {
                    self.leave();
                }
                self.things[at].state = State::Over;
                Some((Transition::Cancel(at), "cancel cancelled".into()))
            }
            Step::Pay(at) => {
                let at =
                    place(at).filter(|at| matches!(self.things[*at].state, State::Pending | State::LapsedOrder))?;
                self.things[at].state = State::Over;
                (self.left, self.left_at) = (0, 0);
                let key = u32::try_from(at).unwrap();
                let (payment, amount, refund) = (None, Amount::Missing, None);
                let event = Event { hold: at, by_order: true, status: "paid", key, payment, amount, refund };
                Some((Transition::Settle(event), "settle applied".into()))
            }
            Step::Terms(..) | Step::Clock(_) => None,
        }
    }
}

impl SaleTest {
    fn set_cooldown(&self, most: u64, releases_count: bool) {
        let change = SaleChange {
            cooldown_holds: Some(most),
            cooldown_ms: Some(u64::try_from(COOLDOWN_MS).unwrap()),
            cooldown_counts_releases: Some(releases_count),
            ..SaleChange::default()
        };
        let sale = SaleId::parse("drop").unwrap();
        let changed = self.runtime.block_on(self.store.change_sale(&sale, &change, &Act::default())).unwrap();
        assert!(matches!(changed, ChangeSaleOutcome::Changed(_)), "{changed:?}");
    }

    fn cancel_as_admin(&self, at: usize) -> String {
        let order = self.store.ids().order_of(&self.holds[at]);
        match self.runtime.block_on(self.store.cancel(&order, CancelledBy::Admin, &Act::default())).unwrap() {
            CancelOutcome::Cancelled(_) => "cancel cancelled".into(),
            other => format!("{other:?}"),
        }
    }
}

#[test]
fn a_cool_down_counts_what_the_model_counts() {
    let config = random_cases(CASES);
    let refused = Cell::new(0);
    let outcome = TestRunner::new(config).run(&prop::collection::vec(step(), 20..80), |steps| {
        let mut reference = SaleReference::selling(1, 1_000);
        let mut test = SaleTest::init_test(&reference);
        let mut customer = Customer { most: 2, ..Customer::default() };
        test.set_cooldown(2, false);
        for step in &steps {
            match step {
                Step::Clock(ms) => {
                    reference.clock += ms;
                    customer.now += ms;
                    test.set_clock(&reference);
                    continue;
                }
                Step::Terms(most, releases_count) => {
                    (customer.most, customer.releases_count) = (*most, *releases_count);
                    test.set_cooldown(*most, *releases_count);
                    continue;
                }
                _ => {}
            }
            let Some((transition, expected)) = customer.expect(step) else { continue };
            let got = match step {
                Step::Cancel(_, CancelledBy::Admin) => {
                    let Transition::Cancel(at) = transition else { unreachable!("a cancellation") };
                    test.cancel_as_admin(at)
                }
                _ => test.run(&transition),
            };
            assert!(got.starts_with(&expected), "{got} and not {expected}, at {} after {step:?}", customer.now);
            refused.set(refused.get() + u32::from(expected.contains("cooling_down")));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(refused.get() >= 50, "a cool-down was met {} times only", refused.get());
}
