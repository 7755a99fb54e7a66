//! Loans between shards of a spread sale, and the terms that shards have from the first one.

use std::collections::BTreeMap;

use flashsale::store::Op;
use redis::Value;

use super::{BOOK_ARGUMENTS, Bench, TERMS, book, key, word};
use crate::support::{orders::stored_order, stock};

/// Keys of a shard: its units and its loans.
pub fn keys(shard: &str) -> Vec<String> {
    ["sale", "stock", "lapses", "deadlines", "loans"].map(|name| format!("fs1:{{{shard}}}:{name}")).to_vec()
}

fn lend(bench: &mut Bench, from: &str, to: &str, most: &str) -> Vec<i64> {
    numbers(&bench.call(Op::Lend, &keys(from), &["1", to, most]))
}

fn borrow(bench: &mut Bench, from: &str, to: &str, ever: i64) -> Vec<i64> {
    numbers(&bench.call(Op::Borrow, &keys(to), &["1", from, &ever.to_string()]))
}

/// A whole loan of so many units.
fn lend_and_borrow(bench: &mut Bench, from: &str, to: &str, units: &str) {
    let lent = lend(bench, from, to, units);
    assert_eq!((lent[0].to_string().as_str(), borrow(bench, from, to, lent[1])), (units, vec![lent[0]]));
}

fn numbers(reply: &[Value]) -> Vec<i64> {
    reply[1..].iter().map(|value| redis::from_redis_value_ref(value).unwrap()).collect()
}

/// What a shard has of product 1: total, available and lent.
fn units_in(bench: &mut Bench, shard: &str) -> [i64; 3] {
    let key = format!("fs1:{{{shard}}}:stock");
    ["total", "available", "lent"].map(|name| stock::units_if_any(&mut bench.redis, &key, 1, name).unwrap_or_default())
}

/// Gives a shard what the first one has.
fn copy_to(bench: &mut Bench, shard: &str, as_of: &str, price: &str) {
    let keys = [&keys(shard)[..4], &[format!("fs1:{{{shard}}}:product:1")]].concat();
    let sale = ["hold_ms", "100000", "currency", "USD", "paused", "0"];
    let product = ["price", price, "earlier_prices", "", "max_per_hold", "5", "rules", ""];
    let head = [as_of, "1", "3", "4"];
    let reply = bench.call(Op::CopyTerms, &keys, &[&head[..], &sale, &product, &["name", "Item"]].concat());
    assert_eq!(word(&reply), "copied");
    super::clock::set_now(&mut bench.redis, shard, bench.now_ms);
}

/// The number of the last write that made units available.
fn last_freed(bench: &mut Bench) -> i64 {
    numbers(&bench.call(Op::FindFree, &keys("s")[..4], &["1"]))[1]
}

/// Provokes the words of these scripts. The units are the same afterwards.
pub fn provoke(bench: &mut Bench) {
    let before = bench.counters(1);
    for op in [Op::FindFree, Op::Lend, Op::Borrow] {
        let arguments: &[&str] = if op == Op::FindFree { &["9"] } else { &["9", "s_2", "1"] };
        let keys = if op == Op::FindFree { keys("s")[..4].to_vec() } else { keys("s") };
        assert_eq!(word(&bench.call(op, &keys, arguments)), "product_not_found");
    }
    copy_to(bench, "s_2", "5", "500000");
    lend_and_borrow(bench, "s", "s_2", "5");
    // An order that was cancelled.
    assert_eq!(bench.settle_each(&[(["a", "paid", "waits", "pi_1", ""], true)]), ["units_gone"]);
    lend_and_borrow(bench, "s_2", "s", "5");
    assert_eq!(bench.counters(1), before);
    assert_eq!(word(&bench.call(Op::FindFree, &keys("s")[..4], &["1"])), "free");
    let terms = |bench: &mut Bench, sale: &str, id: &str| {
        let keys = ["sale".to_owned(), "stock".to_owned(), format!("product:{id}")];
        word(&bench.call(Op::FindTerms, &keys.map(|name| format!("fs1:{{{sale}}}:{name}")), &[id]))
    };
    assert_eq!(["1", "9"].map(|id| terms(bench, "s", id)), ["terms", "product_not_found"]);
    assert_eq!(terms(bench, "nobody", "1"), "sale_not_found");
    copy_to(bench, "s_9", "5", "500000");
    let keys = [book(), vec![key("product:8")]].concat();
    let product = ["8", "Item", "", "500000", "USD", "1", "5", "", "3"];
    let reply = bench.call(Op::PutProduct, &keys, &[&BOOK_ARGUMENTS[..], &product, &TERMS].concat());
    assert_eq!(word(&reply), "shards_differ");
}

#[test]
fn a_shard_lends_what_is_free_and_the_other_has_each_unit_once() {
    let mut bench = Bench::new();
    copy_to(&mut bench, "s_2", "5", "500000");
    bench.hold("a", &[("1", "4")]);
    assert_eq!(lend(&mut bench, "s", "s_2", "2"), [2, 2]);
    assert_eq!(lend(&mut bench, "s", "s_2", "100"), [4, 6], "no unit that is held");
    assert_eq!(lend(&mut bench, "s", "s_2", "1"), [0, 6]);
    assert_eq!(units_in(&mut bench, "s"), [4, 0, 6]);
    assert_eq!(borrow(&mut bench, "s", "s_2", 2), [2]);
    assert_eq!(borrow(&mut bench, "s", "s_2", 6), [4]);
    // Late, and sent again.
    assert_eq!(borrow(&mut bench, "s", "s_2", 2), [0]);
    assert_eq!(borrow(&mut bench, "s", "s_2", 6), [0]);
    assert_eq!(units_in(&mut bench, "s_2"), [6, 6, -6]);
    assert_eq!(lend(&mut bench, "s_2", "s", "5"), [5, 5], "in the other direction it counts from 0");
    assert_eq!(borrow(&mut bench, "s_2", "s", 5), [5]);
    assert_eq!((units_in(&mut bench, "s"), units_in(&mut bench, "s_2")), ([9, 5, 1], [1, 1, -1]));
    assert_eq!(lend(&mut bench, "s", "s_3", "1"), [1, 1], "each other shard has a sum of its own");
}

#[test]
fn a_shard_says_when_it_last_made_units_available_and_loans_do_not() {
    let mut bench = Bench::new();
    let mut seen = last_freed(&mut bench);
    let mut frees = |bench: &mut Bench, what: &str, expected: bool| {
        let now = last_freed(bench);
        assert_eq!(now > seen, expected, "{what}");
        seen = now;
    };
    bench.hold("a", &[("1", "2")]);
    bench.hold("b", &[("1", "1")]);
    bench.hold("c", &[("1", "1")]);
    frees(&mut bench, "a hold", false);
    bench.order("a");
    bench.order("c");
    frees(&mut bench, "an order", false);
    copy_to(&mut bench, "s_2", "5", "500000");
    lend_and_borrow(&mut bench, "s", "s_2", "2");
    lend_and_borrow(&mut bench, "s_2", "s", "1");
    frees(&mut bench, "a loan", false);
    assert_eq!(bench.settle("a", "paid", "e1", "pi_1", "1000000"), "applied");
    frees(&mut bench, "a payment", false);
    let release = [book(), ["hold:b", "order:b"].map(key).to_vec()].concat();
    assert_eq!(word(&bench.call(Op::Release, &release, &[&BOOK_ARGUMENTS[..], &["buyer"]].concat())), "released");
    frees(&mut bench, "a release", true);
    let restock = [book(), vec![key("product:1")]].concat();
    for (delta, expected) in [("-1", false), ("1", true), ("0", false)] {
        let arguments = [&BOOK_ARGUMENTS[..], &["1", "delta", delta, "1000"]].concat();
        assert_eq!(word(&bench.call(Op::Restock, &restock, &arguments)), "restocked");
        frees(&mut bench, delta, expected);
    }
    bench.advance(60_000);
    frees(&mut bench, "a lapse", true);
}

#[test]
fn money_that_waits_for_units_of_other_shards_is_settled_once_they_are_there() {
    let mut bench = Bench::new();
    copy_to(&mut bench, "s_2", "5", "500000");
    for name in ["a", "b"] {
        bench.hold(name, &[("1", "3")]);
        bench.order(name);
    }
    let paid = |order: &'static str, once: &'static str| ([order, "paid", once, order, "1500000"], true);
    lend_and_borrow(&mut bench, "s", "s_2", "4");
    assert_eq!(bench.settle_each(&[paid("a", "a1")]), ["applied"], "its units are with it");
    bench.advance(60_000);
    lend_and_borrow(&mut bench, "s", "s_2", "3");
    // Then nothing is known of it: neither of the event nor of its payment.
    let before = stored_order(&mut bench.redis, &key("order:b"));
    assert_eq!(bench.settle_each(&[paid("b", "b1"), paid("b", "b1")]), ["units_gone", "units_gone"]);
    assert_eq!(stored_order(&mut bench.redis, &key("order:b")), before);
    assert_eq!(bench.settle_each(&[paid("a", "a1"), paid("a", "a2")]), ["duplicate", "duplicate"]);
    lend_and_borrow(&mut bench, "s_2", "s", "3");
    assert_eq!(bench.settle_each(&[paid("b", "b1"), paid("b", "b1")]), ["applied", "duplicate"]);
    assert_eq!(stored_order(&mut bench.redis, &key("order:b"))["status"], "paid");
}

#[test]
fn a_shard_keeps_the_newest_terms_and_what_is_its_own() {
    let mut bench = Bench::new();
    copy_to(&mut bench, "s_2", "50", "700000");
    assert_eq!(units_in(&mut bench, "s_2"), [0, 0, 0], "it comes without units");
    let first_due = redis::cmd("HGET").arg("fs1:{s_2}:sale").arg("first_due").query::<String>(&mut bench.redis);
    assert_eq!(first_due.unwrap(), "0", "it looks for what is due");
    lend_and_borrow(&mut bench, "s", "s_2", "3");
    copy_to(&mut bench, "s_2", "40", "500000");
    let price = |bench: &mut Bench| stock::text(&mut bench.redis, "fs1:{s_2}:stock", 1, "price").unwrap();
    assert_eq!(price(&mut bench), "700000", "an older copy came late");
    copy_to(&mut bench, "s_2", "60", "900000");
    assert_eq!((price(&mut bench).as_str(), units_in(&mut bench, "s_2")), ("900000", [3, 3, -3]));
    assert_eq!(word(&bench.hold("due", &[("2", "1")])), "held", "so that the sale knows when something is due");
    let found = bench.call(Op::FindTerms, &["sale", "stock"].map(key), &[]);
    let stored: BTreeMap<String, String> = redis::from_redis_value_ref(&found[2]).unwrap();
    let own = ["last_write", "last_freed", "first_due", "copied", "shards"];
    assert!(stored.contains_key("hold_ms") && !own.iter().any(|name| stored.contains_key(*name)), "{stored:?}");
}

#[test]
fn units_that_somebody_made_unreadable_are_not_forgotten_with_the_next_terms() {
    let mut bench = Bench::new();
    copy_to(&mut bench, "s_2", "50", "700000");
    lend_and_borrow(&mut bench, "s", "s_2", "3");
    stock::set(&mut bench.redis, "fs1:{s_2}:stock", 1, "max_per_hold", "x");
    let damaged = stock::whole(&mut bench.redis, "fs1:{s_2}:stock", 1);
    copy_to(&mut bench, "s_2", "60", "900000");
    assert_eq!(stock::whole(&mut bench.redis, "fs1:{s_2}:stock", 1), damaged);
    stock::set(&mut bench.redis, "fs1:{s_2}:stock", 1, "max_per_hold", "5");
    copy_to(&mut bench, "s_2", "70", "900000");
    assert_eq!(units_in(&mut bench, "s_2"), [3, 3, -3]);
    assert_eq!(stock::text(&mut bench.redis, "fs1:{s_2}:stock", 1, "price").unwrap(), "900000");
}

#[test]
fn a_product_leaves_no_shard_while_units_of_it_are_in_another() {
    let mut bench = Bench::new();
    let keys = [book(), vec![key("product:1")]].concat();
    let remove =
        |bench: &mut Bench| word(&bench.call(Op::RemoveProduct, &keys, &[&BOOK_ARGUMENTS[..], &["1"]].concat()));
    copy_to(&mut bench, "s_2", "5", "500000");
    lend_and_borrow(&mut bench, "s", "s_2", "3");
    assert_eq!(remove(&mut bench), "product_has_holds");
    lend_and_borrow(&mut bench, "s_2", "s", "3");
    assert_eq!(remove(&mut bench), "removed");
}
