//! When orders lapse, to the millisecond, what a payment that begins does to their deadline, and whose word ends them.

use std::collections::BTreeMap;

use flashsale::store::Op;
use redis::{Commands, Value};

use super::{BOOK_ARGUMENTS, Bench, book, key, word};
use crate::support::orders::stored_order;

fn due(bench: &mut Bench, order: &str) -> i64 {
    stored_order(&mut bench.redis, &key(&format!("order:{order}")))["due"].parse().unwrap()
}

/// A hold of one unit, and its order.
fn pending(bench: &mut Bench, name: &str) {
    assert_eq!(word(&bench.hold(name, &[("1", "1")])), "held");
    assert_eq!(bench.order(name), "created");
}

fn found(bench: &mut Bench) -> usize {
    bench.call(Op::FindDue, &[key("sale"), key("due")], &["64"]).len() - 1
}

fn expired(bench: &mut Bench, order: &str) -> Vec<Value> {
    let keys = [book(), vec![key(&format!("order:{order}"))]].concat();
    bench.call(Op::Expire, &keys, &BOOK_ARGUMENTS)
}

#[test]
fn an_order_lapses_a_millisecond_after_its_deadline_and_not_at_it() {
    let mut bench = Bench::new();
    pending(&mut bench, "a");
    let left = due(&mut bench, "a") - bench.now_ms;
    bench.advance(left);
    assert_eq!((found(&mut bench), expired(&mut bench, "a")[1].clone()), (0, Value::Int(0)));
    assert_eq!(bench.counters(1)[2], 1, "its unit is pending");
    bench.advance(1);
    assert_eq!((found(&mut bench), expired(&mut bench, "a")[1].clone()), (1, Value::Int(1)));
}

#[test]
fn an_order_whose_record_is_gone_is_looked_for_once() {
    let mut bench = Bench::new();
    bench.redis.zadd::<_, _, _, ()>(key("due"), "gone", 1).unwrap();
    assert_eq!(found(&mut bench), 1);
    assert_eq!(expired(&mut bench, "gone")[1], Value::Int(0));
    assert_eq!(found(&mut bench), 0);
}

#[test]
fn a_payment_that_begins_takes_no_time_from_an_order_where_the_sale_gives_less_by_now() {
    let mut bench = Bench::new();
    pending(&mut bench, "a");
    let before = due(&mut bench, "a");
    bench.redis.hset_multiple::<_, _, _, ()>(key("sale"), &[("payment_ms", 1_000), ("payment_max_ms", 1_000)]).unwrap();
    let keys = [book(), vec![key("order:a")]].concat();
    assert_eq!(word(&bench.call(Op::StartPayment, &keys, &BOOK_ARGUMENTS)), "started");
    assert_eq!(due(&mut bench, "a"), before);
}

#[test]
fn no_payment_opens_an_order_again_that_a_person_closed() {
    for by in ["customer", "admin"] {
        let mut bench = Bench::new();
        pending(&mut bench, "a");
        let keys = [book(), ["reviews", "review_records", "resolved", "order:a"].map(key).to_vec()].concat();
        assert_eq!(word(&bench.call(Op::Cancel, &keys, &[&BOOK_ARGUMENTS[..], &[by]].concat())), "cancelled");
        assert_eq!(bench.settle("a", "paid", "e", "pi", ""), "refund_required", "{by}");
        assert_eq!(bench.counters(1)[3], 0, "nothing is sold");
    }
}

#[test]
fn of_two_late_payments_in_one_batch_one_gets_the_last_unit() {
    let mut bench = Bench::new();
    ["a", "b"].into_iter().for_each(|order| pending(&mut bench, order));
    bench.advance(60_000);
    for (rest, units) in [("r1", "5"), ("r2", "4")] {
        assert_eq!(word(&bench.hold(rest, &[("1", units)])), "held");
    }
    let paid = |order: &'static str| [order, "paid", order, order, ""];
    assert_eq!(bench.settle_all(&[paid("a"), paid("b")]), ["applied", "refund_required"]);
    assert_eq!(bench.counters(1), [0, 9, 0, 1]);
}

#[test]
fn where_the_sale_keeps_them_a_failed_payment_of_the_shop_gives_no_units_back() {
    let mut bench = Bench::new();
    for (order, policy, expected) in [("a", "keep", "ignored"), ("b", "release", "applied")] {
        bench.redis.hset::<_, _, _, ()>(key("sale"), "on_payment_failed", policy).unwrap();
        pending(&mut bench, order);
        assert_eq!(bench.settle(order, "failed", order, "", ""), expected);
    }
    assert_eq!(bench.counters(1)[2], 1, "the unit of the first is pending");
}

fn has_order(bench: &mut Bench, hold: &str) -> bool {
    bench.redis.exists(key(&format!("order:{hold}"))).unwrap()
}

#[test]
fn a_payment_that_took_nothing_makes_no_order() {
    let mut bench = Bench::new();
    bench.redis.hset::<_, _, _, ()>(key("sale"), "on_payment_ended", "keep").unwrap();
    assert_eq!(word(&bench.hold("h", &[("1", "1")])), "held");
    for (hold, what) in [("h", "failed"), ("h", "cancelled"), ("gone", "failed"), ("gone", "processing")] {
        let once = format!("{hold}-{what}");
        assert_eq!(bench.settle(hold, what, &once, "pi", ""), "ignored", "{what} of {hold}");
        assert!(!has_order(&mut bench, hold), "{what} of {hold}");
    }
    assert_eq!(bench.counters(1)[1], 1, "it is held as before");
}

#[test]
fn where_the_sale_says_so_the_end_of_a_payment_gives_units_back_unless_another_one_is_under_way() {
    let mut bench = Bench::new();
    bench.redis.hset::<_, _, _, ()>(key("sale"), "on_payment_ended", "release").unwrap();
    assert_eq!(word(&bench.hold("h", &[("1", "1")])), "held");
    assert_eq!(bench.settle("h", "cancelled", "h", "pi", ""), "applied");
    assert_eq!(bench.counters(1), [10, 0, 0, 0]);
    pending(&mut bench, "a");
    assert_eq!(bench.settle("a", "processing", "a1", "pi_1", ""), "applied");
    bench.settle("a", "cancelled", "a2", "pi_2", "");
    assert_eq!(bench.counters(1)[2], 1, "the buyer is paying");
    bench.settle("a", "cancelled", "a3", "pi_1", "");
    assert_eq!(bench.counters(1)[2], 0);
    let left = due(&mut bench, "a") + 1 - bench.now_ms;
    bench.advance(left);
    bench.settle("a", "processing", "a4", "pi_3", "");
    assert_eq!(bench.counters(1), [10, 0, 0, 0], "its time is over");
}

#[test]
fn the_first_payment_that_begins_moves_the_deadline_and_no_other_one() {
    let mut bench = Bench::new();
    pending(&mut bench, "a");
    bench.advance(2_000);
    assert_eq!(bench.settle("a", "processing", "a1", "pi_1", ""), "applied");
    let once = due(&mut bench, "a");
    bench.advance(2_000);
    bench.settle("a", "processing", "a2", "pi_2", "");
    assert_eq!(due(&mut bench, "a"), once);
}

#[test]
fn a_late_payment_is_logged_behind_the_lapse_of_its_order() {
    let mut bench = Bench::new();
    pending(&mut bench, "a");
    bench.advance(100_000);
    assert_eq!(bench.settle("a", "paid", "a1", "pi", ""), "applied");
    let log = order_events(&mut bench);
    let types: Vec<_> = log.iter().map(|entry| &*entry["type"]).collect();
    assert_eq!(types, ["order.created", "order.expired", "order.paid"]);
    let says_that_it_lapsed = |entry: &BTreeMap<String, String>| entry["record"].contains("\nexpired_at\n");
    assert_eq!(log.iter().map(says_that_it_lapsed).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn a_lapse_that_an_act_logs_is_the_work_of_nobody() {
    let mut bench = Bench::new();
    pending(&mut bench, "a");
    bench.advance(100_000);
    let keys = [book(), ["reviews", "review_records", "resolved", "order:a"].map(key).to_vec()].concat();
    let [retention, most] = BOOK_ARGUMENTS;
    let act = format!("{most}\nactor\nanna\nreason\na double click");
    assert_eq!(word(&bench.call(Op::Cancel, &keys, &[retention, &act, "admin"])), "cancelled");
    let log = order_events(&mut bench);
    let acts: Vec<_> = log.iter().map(|entry| (&*entry["type"], entry.get("act").map(String::as_str))).collect();
    let of_anna = Some("actor\nanna\nreason\na double click");
    assert_eq!(acts, [("order.created", None), ("order.expired", None), ("order.cancelled", of_anna)]);
}

/// The entries of the log about orders, oldest first.
fn order_events(bench: &mut Bench) -> Vec<BTreeMap<String, String>> {
    let log: Vec<(String, BTreeMap<String, String>)> =
        redis::cmd("XRANGE").arg(key("events")).arg("-").arg("+").query(&mut bench.redis).unwrap();
    log.into_iter().map(|(_, entry)| entry).filter(|entry| entry["type"].starts_with("order.")).collect()
}
