//! What a fail-over may lose, and what it may not.

use serde_json::json;

use super::{Truth, check, reply_of, rules};
use crate::chaos::history::{FaultSpan, History, Outcome, Request};

/// A fail-over behind the first call, whose hold has the key k. A new server writes, too.
fn with_fail_over(mut history: History) -> History {
    for call in &mut history.calls[1..] {
        if let Outcome::Answered(reply) = &mut call.outcome {
            reply.sequence.as_mut().unwrap().0 += 5_000_000;
        }
    }
    history.faults.push(FaultSpan {
        name: "FailOver".to_owned(),
        start_ns: 1_200_000_000,
        end_ns: 4_000_000_000,
        lost_at_ns: vec![1_800_000_000],
    });
    history
}

fn name_key(truth: &mut Truth) {
    let Request::Hold { key, .. } = &mut truth.calls.last_mut().unwrap().request else { panic!() };
    *key = Some("k".to_owned());
}

/// A hold that was answered, and five seconds later is not there.
fn of_a_lost_hold() -> Truth {
    let mut truth = Truth::of_units(5);
    truth.hold(1);
    name_key(&mut truth);
    truth.now_us += 5_000_000;
    truth.available = 5;
    truth.held = 0;
    truth
}

#[test]
fn a_write_that_a_fail_over_forgot_is_counted_and_is_a_violation_without_one() {
    let mut truth = of_a_lost_hold();
    truth.read();
    let hold = truth.holds[0].0.clone();
    truth.push(Request::ReadHold { hold }, 410, json!({"code": "hold_expired"}), false);
    let verdict = check(&with_fail_over(truth.clone().history()));
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
    assert_eq!(verdict.lost, 1);
    let mut without = with_fail_over(truth.history());
    without.faults.clear();
    assert!(rules(&check(&without)).contains(&"order"));
}

#[test]
fn a_key_whose_hold_was_lost_may_make_another_that_nobody_was_answered() {
    let mut truth = of_a_lost_hold();
    // This call made it, and the next is answered as a repetition of it.
    for is_answered in [false, true] {
        truth.hold(1);
        name_key(&mut truth);
        let call = truth.calls.last_mut().unwrap();
        if is_answered {
            reply_of(call).is_replayed = true;
        } else {
            call.outcome = Outcome::Unknown("the connection broke".to_owned());
        }
    }
    // They are one hold.
    truth.available += 1;
    truth.held -= 1;
    truth.read();
    let history = with_fail_over(truth.history());
    let verdict = check(&history);
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
    let mut lie = history;
    lie.calls.remove(1);
    assert!(rules(&check(&lie)).contains(&"order"), "nobody asked for it before it was repeated");
}

#[test]
fn what_an_old_primary_took_when_it_was_back_is_lost_where_it_is_demoted_at_the_end_of_the_fault() {
    let mut truth = Truth::of_units(5);
    truth.read();
    truth.hold(1);
    truth.restock("late", 1);
    truth.now_us += 5_000_000;
    (truth.available, truth.held, truth.total) = (5, 0, 5);
    truth.read();
    let mut history = truth.history();
    history.faults.push(FaultSpan {
        name: "FailOver".to_owned(),
        start_ns: 500_000_000,
        end_ns: 3_000_000_000,
        lost_at_ns: vec![800_000_000],
    });
    assert_eq!(rules(&check(&history)), ["order"], "what the fault lost was written before it");
    history.faults[0].lost_at_ns.push(3_000_000_000);
    let verdict = check(&history);
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
}
