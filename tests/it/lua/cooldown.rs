//! What counts for the cool-down of a customer: everything that locks units and ends unpaid.

use flashsale::store::Op;
use redis::{Commands, Value};

use super::{BOOK_ARGUMENTS, Bench, book, key, word};
use crate::support::stock;

/// A sale in which two in a row make a customer wait for a minute.
fn cooling() -> Bench {
    let mut bench = Bench::new();
    bench.set_rules("", "cooldown_holds=2");
    bench.redis.hset::<_, _, _, ()>(key("sale"), "cooldown_ms", 60_000).unwrap();
    bench
}

impl Bench {
    fn hold_of_bob(&mut self, hold: &str) -> String {
        word(&self.request(hold, "1=1 bob", None))
    }

    fn order_of_bob(&mut self, hold: &str) {
        assert_eq!(self.hold_of_bob(hold), "held");
        assert_eq!(self.order(hold), "created");
    }

    fn cancel(&mut self, hold: &str, by: &str) -> String {
        let keys =
            [book(), ["reviews", "review_records", "resolved"].map(key).to_vec(), vec![key(&format!("order:{hold}"))]]
                .concat();
        word(&self.call(Op::Cancel, &keys, &[&BOOK_ARGUMENTS[..], &[by]].concat()))
    }

    fn release_of_bob(&mut self, hold: &str, by: &str) {
        assert_eq!(self.hold_of_bob(hold), "held");
        let keys = [book(), vec![key(&format!("hold:{hold}")), key(&format!("order:{hold}"))]].concat();
        assert_eq!(word(&self.call(Op::Release, &keys, &[&BOOK_ARGUMENTS[..], &[by]].concat())), "released");
    }
}

#[test]
fn who_orders_and_does_not_pay_must_wait_from_the_last_lapse() {
    let mut bench = cooling();
    for hold in ["a", "b"] {
        bench.order_of_bob(hold);
        bench.advance(52_000);
    }
    let refused = bench.request("c", "1=1 bob", None);
    assert_eq!(word(&refused), "customer_cooling_down");
    let Value::Int(until) = refused[1] else { panic!("{refused:?}") };
    assert!((58_000..=60_000).contains(&(until - bench.now_ms)), "a minute from the deadline, not from now");
    assert_eq!(word(&bench.request("c", "1=1 ann", None)), "held", "others need not wait");
    bench.advance(until - bench.now_ms);
    assert_eq!(bench.hold_of_bob("d"), "held");
}

#[test]
fn an_order_that_is_cancelled_unpaid_counts_unless_an_admin_cancels_it() {
    for (by, expected) in [("customer", "customer_cooling_down"), ("admin", "held")] {
        let mut bench = cooling();
        for hold in ["a", "b"] {
            bench.order_of_bob(hold);
            assert_eq!(bench.cancel(hold, by), "cancelled");
        }
        assert_eq!(bench.hold_of_bob("c"), expected, "{by}");
    }
    let mut bench = cooling();
    for hold in ["a", "b"] {
        bench.order_of_bob(hold);
        assert_eq!(bench.settle(hold, "failed", hold, "", ""), "applied");
    }
    assert_eq!(bench.hold_of_bob("c"), "customer_cooling_down", "a payment that failed");
}

#[test]
fn an_order_that_lapsed_and_is_cancelled_afterwards_counts_once_and_so_does_a_hold_of_two_products() {
    let mut bench = cooling();
    bench.order_of_bob("a");
    bench.advance(52_000);
    assert_eq!(bench.cancel("a", "customer"), "cancelled");
    assert_eq!(bench.hold_of_bob("b"), "held");
    let mut bench = cooling();
    assert_eq!(word(&bench.request("a", "1=1,2=1 bob", None)), "held");
    bench.advance(102_000);
    assert_eq!(bench.hold_of_bob("b"), "held");
    bench.advance(102_000);
    assert_eq!(bench.hold_of_bob("c"), "customer_cooling_down");
}

#[test]
fn a_release_counts_where_the_sale_says_so() {
    for (counts, expected) in [(0, "held"), (1, "customer_cooling_down")] {
        let mut bench = cooling();
        bench.redis.hset::<_, _, _, ()>(key("sale"), "cooldown_counts_releases", counts).unwrap();
        bench.release_of_bob("a", "buyer");
        bench.release_of_bob("b", "buyer");
        assert_eq!(bench.hold_of_bob("c"), expected);
    }
}

#[test]
fn a_hold_that_the_buyer_never_learned_of_counts_for_nothing() {
    let mut bench = cooling();
    bench.redis.hset::<_, _, _, ()>(key("sale"), "cooldown_counts_releases", "1").unwrap();
    for hold in ["a", "b", "c"] {
        bench.release_of_bob(hold, "service");
    }
    assert_eq!(bench.hold_of_bob("d"), "held");
}

#[test]
fn who_pays_starts_anew() {
    let mut bench = cooling();
    bench.order_of_bob("a");
    assert_eq!(bench.cancel("a", "customer"), "cancelled");
    bench.order_of_bob("b");
    assert_eq!(bench.settle("b", "paid", "b", "", ""), "applied");
    bench.order_of_bob("c");
    assert_eq!(bench.cancel("c", "customer"), "cancelled");
    assert_eq!(bench.hold_of_bob("d"), "held");
}

#[test]
fn orders_that_cost_nothing_end_no_cool_down_and_count_when_they_are_cancelled() {
    let mut bench = cooling();
    stock::set(&mut bench.redis, &key("stock"), 1, "price", 0);
    for hold in ["a", "b"] {
        bench.order_of_bob(hold);
        assert_eq!(bench.cancel(hold, "customer"), "cancelled");
    }
    assert_eq!(bench.hold_of_bob("c"), "customer_cooling_down");
}

#[test]
fn without_a_cool_down_or_a_customer_nothing_is_kept_of_what_was_cancelled() {
    for (rules, request) in [("max_per_customer=9", "1=1 bob"), ("cooldown_holds=2", "1=1")] {
        let mut bench = cooling();
        bench.set_rules("", rules);
        assert_eq!(word(&bench.request("a", request, None)), "held");
        assert_eq!(bench.order("a"), "created");
        assert_eq!(bench.cancel("a", "customer"), "cancelled");
        assert_eq!(bench.redis.exists::<_, bool>(key("customers")), Ok(false));
    }
}
