//! Deadlines that nobody knows.

use jiff::Timestamp;
use serde_json::json;

use super::{BEGAN_MS, Truth, check, rules};
use crate::chaos::history::{History, Outcome, Request, Target};

/// An order whose deadline is after two seconds. After three it was in review, and after four its units are back.
fn in_review_until_it_lapsed(may_have_been_paid: bool) -> History {
    let order = || "order_1".to_owned();
    let mut truth = Truth::of_units(5);
    truth.hold(1);
    let (hold, _) = truth.holds[0].clone();
    let due = Timestamp::from_millisecond(i64::try_from(BEGAN_MS).unwrap() + 2_000).unwrap();
    let made = json!({"id": order(), "hold_id": hold, "status": "pending", "payment_due_at": due.to_string()});
    truth.push(Request::Order { hold }, 201, made, true);
    if may_have_been_paid {
        let (id, word, payment) = ("e".to_owned(), "paid".into(), Some("pi".to_owned()));
        let event =
            Request::Event { id, word, payment, target: Target::Order(order()), amount: Some("0.01".to_owned()) };
        truth.push(event, 200, json!({}), true);
        truth.calls.last_mut().unwrap().outcome = Outcome::Unknown("the connection broke".to_owned());
    }
    truth.now_us = 3_000_000;
    let refused = json!({"code": "order_not_cancellable", "order_status": "in_review"});
    truth.push(Request::Cancel { order: order() }, 409, refused, false);
    truth.now_us = 4_000_000;
    (truth.held, truth.available) = (0, 5);
    truth.read();
    truth.history()
}

#[test]
fn a_deadline_that_nobody_knows_may_pass_after_an_answer_that_it_had_not() {
    let verdict = check(&in_review_until_it_lapsed(true));
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
    assert_eq!(rules(&check(&in_review_until_it_lapsed(false))), ["order"], "nobody asked for a later deadline");
}
