//! The ways of holds, orders and payments that are not plain, where a plain one would hide what they do: a hold with metadata
//! and all that follows from it.

use flashsale::store::Op;
use redis::Commands;

use super::{BOOK_ARGUMENTS, Bench, book, key, word};

/// A hold of a unit with metadata, so that neither its order nor a payment of that is plain.
fn held(bench: &mut Bench, name: &str) {
    assert_eq!(word(&bench.request(name, "1=1\n0\n{}", None)), "held");
}

fn freed(bench: &mut Bench) -> Option<String> {
    bench.redis.hget(key("sale"), "last_freed").unwrap()
}

#[test]
fn at_its_deadline_a_hold_can_be_ordered_and_a_millisecond_later_it_cannot() {
    for (late, word) in [(0, "created"), (1, "hold_expired")] {
        let mut bench = Bench::new();
        held(&mut bench, "a");
        bench.advance(100_000 + late);
        assert_eq!(bench.order("a"), word);
    }
}

#[test]
fn only_what_makes_units_available_says_so() {
    let mut bench = Bench::new();
    held(&mut bench, "a");
    held(&mut bench, "b");
    let before = freed(&mut bench);
    assert_eq!(bench.order("a"), "created");
    assert_eq!(bench.settle("a", "paid", "e", "pi", "500000"), "applied");
    assert_eq!(freed(&mut bench), before);
    let keys = [book(), ["hold:b", "order:b"].map(key).to_vec()].concat();
    assert_eq!(word(&bench.call(Op::Release, &keys, &[&BOOK_ARGUMENTS[..], &["buyer"]].concat())), "released");
    assert_ne!(freed(&mut bench), before);
}

#[test]
fn an_event_is_forgotten_in_time() {
    let mut bench = Bench::new();
    held(&mut bench, "a");
    assert_eq!(bench.order("a"), "created");
    assert_eq!(bench.settle("a", "paid", "e", "pi", "500000"), "applied");
    let lives: i64 = redis::cmd("PTTL").arg(key("once:e")).query(&mut bench.redis).unwrap();
    assert!((1..=60_000).contains(&lives), "{lives}");
}

#[test]
fn what_comes_back_at_this_very_instant_is_held_still() {
    let mut bench = Bench::new();
    assert_eq!(word(&bench.request("a", "1=1\n10000", None)), "held");
    assert_eq!(word(&bench.request("b", "1=2\n20000", None)), "held");
    bench.advance(20_000);
    let stock = [["sale", "stock", "lapses", "deadlines"].map(key).to_vec(), vec![key("product:1")]].concat();
    assert_eq!(word(&bench.call(Op::Stock, &stock, &["1"])), "stock");
    assert_eq!(bench.counters(1)[..2], [8, 2], "one came back, and two have a moment left");
    bench.advance(1);
    bench.call(Op::Stock, &stock, &["1"]);
    assert_eq!(bench.counters(1)[..2], [10, 0]);
}

#[test]
fn a_repair_of_the_index_is_looked_at_though_the_sale_knew_of_a_later_deadline() {
    let mut bench = Bench::new();
    assert_eq!(word(&bench.request("a", "1=1\n10000", None)), "held");
    let deadline = bench.now_ms + 10_000;
    let _: () = bench.redis.zrem(key("deadlines"), format!("{deadline}:1:h")).unwrap();
    let _: () = bench.redis.hset(key("sale"), "first_due", deadline + 60_000).unwrap();
    let seen: String = bench.redis.hget(key("sale"), "last_write").unwrap();
    let difference = format!("held_deadline\n1\n\n\n{deadline}\n0\n{deadline}");
    let reply = bench.call(Op::Repair, &book(), &[BOOK_ARGUMENTS[0], BOOK_ARGUMENTS[1], &seen, &difference]);
    assert_eq!(word(&reply), "repaired");
    bench.advance(10_001);
    assert_eq!(word(&bench.request("b", "1=10", None)), "quantity_above_limit");
    assert_eq!(word(&bench.request("b", "1=5", None)), "held");
    assert_eq!(bench.counters(1)[..2], [5, 5], "the unit came back");
}
