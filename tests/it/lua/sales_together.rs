//! `hold_sales`: holds of several sales in one call.

use flashsale::store::Op;
use redis::{Commands, Value};

use super::{BOOK_ARGUMENTS, Bench, TERMS, book, holding, key, word};
use crate::support::{clock, stock};

/// The same key of the sale `t`.
fn in_t(name: &str) -> String {
    key(name).replace("{s}", "{t}")
}

/// A sale `t` with seven units of product 3, beside the sale `s` of the bench. Both know when something is due.
fn two_sales() -> Bench {
    let mut bench = Bench::new();
    clock::set_now(&mut bench.redis, "t", bench.now_ms);
    let keys: Vec<String> = book().into_iter().chain([key("product:3")]).map(|key| key.replace("{s}", "{t}")).collect();
    let arguments = [&BOOK_ARGUMENTS[..], &["3", "Item", "", "700000", "EUR", "7", "5", "", ""], &TERMS].concat();
    assert_eq!(word(&bench.call(Op::PutProduct, &keys, &arguments)), "created");
    redis::cmd("SADD").arg("fs1:{:all}:sales").arg("t").exec(&mut bench.redis).unwrap();
    bench.hold("first", &[("1", "1")]);
    let keys =
        [&holding()[..], &[key("hold:other")]].concat().iter().map(|key| key.replace("{s}", "{t}")).collect::<Vec<_>>();
    assert_eq!(word(&bench.call(Op::Hold, &keys, &["1", "60000", "", "1", "3=1"])), "decided");
    bench
}

/// Asks for runs of `s`, and then of `t`. A run is a number of holds and a request.
fn hold_both(bench: &mut Bench, not_after: &str, s: &[(usize, &str)], t: &[(usize, &str)]) -> Vec<Value> {
    let (mut keys, mut arguments) = (Vec::new(), vec![not_after.to_owned()]);
    for (runs, tag) in [(s, "{s}"), (t, "{t}")] {
        let holds: usize = runs.iter().map(|(holds, _)| holds).sum();
        let own = (0..holds).map(|n| key(&format!("hold:{n}")));
        keys.extend(holding().into_iter().chain(own).map(|key| key.replace("{s}", tag)));
        arguments.extend([holds, runs.len()].map(|number| number.to_string()));
        arguments.extend(runs.iter().flat_map(|(holds, request)| [holds.to_string(), (*request).to_owned()]));
    }
    bench.call(Op::HoldSales, &keys, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn units_of_t(bench: &mut Bench, name: &str) -> i64 {
    stock::units(&mut bench.redis, &in_t("stock"), 3, name)
}

/// What is decided of a run of so many holds.
fn held(holds: i64, deadline: i64, costs: &str) -> Vec<Value> {
    vec![Value::Int(holds), Value::BulkString(b"held".into()), Value::Int(deadline), Value::BulkString(costs.into())]
}

/// The same of product 2, which is sold out. So many units of it come back, the first of them then.
fn short(holds: i64, coming_back: i64, then: i64) -> Vec<Value> {
    let [word, product] = ["insufficient_stock", "2"].map(|text| Value::BulkString(text.into()));
    [vec![Value::Int(holds), word, product], [0, coming_back, then].map(Value::Int).to_vec()].concat()
}

/// What is said of a sale with so many values, of which the last write has this number.
fn decided(write: i64, has_only_seen: bool, values: i64) -> Vec<Value> {
    [write / 1_000, write, has_only_seen.into(), 0, values].map(Value::Int).to_vec()
}

/// What is said of a sale of which nothing was decided.
fn left(may_exist: bool) -> Vec<Value> {
    [0, 0, 0, may_exist.into(), 0].map(Value::Int).to_vec()
}

#[test]
fn holds_of_two_sales_are_made_in_one_call() {
    let mut bench = two_sales();
    let (now, deadline) = (bench.now_ms, bench.now_ms + 100_000);
    let reply = hold_both(&mut bench, "", &[(2, "1=2"), (1, "2=1 bob")], &[(3, "3=1")]);
    let [of_s, of_t] =
        ["s", "t"].map(|sale| bench.redis.hget::<_, _, i64>(format!("fs1:{{{sale}}}:sale"), "last_write").unwrap());
    assert!(of_s / 1_000 == now && of_t / 1_000 == now, "{of_s} {of_t}");
    let expected = [
        vec![Value::BulkString(b"decided".into()), Value::Int(now)],
        decided(of_s, false, 8),
        held(2, deadline, "USD 500000"),
        held(1, deadline, "USD 500000"),
        decided(of_t, false, 4),
        held(3, deadline, "EUR 700000"),
    ];
    assert_eq!(reply, expected.concat());
    assert_eq!([bench.counters(1), bench.counters(2)], [[5, 5, 0, 0], [0, 1, 0, 0]]);
    assert_eq!(["available", "held"].map(|name| units_of_t(&mut bench, name)), [3, 4]);
    assert_eq!(bench.redis.hget::<_, _, String>(key("customers"), "bob").unwrap(), format!("{deadline}:2:h=1"));
    assert!(bench.redis.exists::<_, bool>(in_t("hold:2")).unwrap());
}

#[test]
fn what_is_not_plain_is_left_with_what_came_behind_it_in_its_sale() {
    let mut bench = two_sales();
    let (now, deadline) = (bench.now_ms, bench.now_ms + 100_000);
    // For the second run there is a unit, and not two.
    let reply = hold_both(&mut bench, "", &[(1, "1=1"), (2, "2=1"), (1, "1=1")], &[(1, "3=1")]);
    let one_run = |write, costs| [decided(write, false, 4), held(1, deadline, costs)].concat();
    let write = now * 1_000 + 3;
    assert_eq!(reply[2..], [one_run(write, "USD 500000"), one_run(write - 1, "EUR 700000")].concat());
    assert_eq!([bench.counters(1), bench.counters(2)], [[8, 2, 0, 0], [1, 0, 0, 0]]);
    bench.redis.del::<_, ()>([key("hold:0"), in_t("hold:0")].as_slice()).unwrap();
    for why in [("paused", "1"), ("ends", "1"), ("first_due", "1"), ("rules", "visibility=hidden")] {
        let before: Option<String> = bench.redis.hget(in_t("sale"), why.0).unwrap();
        let stored: String = bench.redis.hget(in_t("stock"), "3").unwrap();
        let _: () = bench.redis.hset(in_t("sale"), why.0, why.1).unwrap();
        let reply = hold_both(&mut bench, "", &[(1, "9=1")], &[(1, "3=1")]);
        assert_eq!(reply[2..], [left(false), left(false)].concat(), "{why:?}");
        assert_eq!(bench.redis.hget::<_, _, String>(in_t("stock"), "3").unwrap(), stored, "{why:?}");
        let _: () = bench.redis.hset(in_t("sale"), why.0, before.unwrap_or_default()).unwrap();
    }
    bench.empty();
}

#[test]
fn a_sale_that_somebody_made_unreadable_keeps_no_other_one_from_selling() {
    let mut bench = two_sales();
    for kind in ["a term", "a key"] {
        if kind == "a term" {
            bench.redis.hset::<_, _, _, ()>(key("sale"), "hold_ms", "soon").unwrap();
        } else {
            bench.redis.hset::<_, _, _, ()>(key("sale"), "hold_ms", "1000").unwrap();
            bench.redis.set::<_, _, ()>(key("stock"), "no hash").unwrap();
        }
        bench.redis.del::<_, ()>(in_t("hold:0")).unwrap();
        let reply = hold_both(&mut bench, "", &[(1, "1=1")], &[(1, "3=1")]);
        assert_eq!(reply[2..7], left(true), "{reply:?}");
        assert_eq!(reply[9..12], decided(0, false, 4)[2..]);
        assert_eq!(reply[12..], held(1, bench.now_ms + 100_000, "EUR 700000"));
        assert!(!bench.redis.exists::<_, bool>(key("hold:0")).unwrap());
    }
    assert_eq!(units_of_t(&mut bench, "held"), 3);
    bench.empty();
}

#[test]
fn what_was_decided_before_damage_was_noticed_is_left_and_found_again() {
    let mut bench = two_sales();
    let _: () = bench.redis.set(key("customers"), "no hash").unwrap();
    let _: () = bench.redis.hset(key("sale"), "first_due", bench.now_ms + 500_000).unwrap();
    let deadline = bench.now_ms + 100_000;
    let reply = hold_both(&mut bench, "", &[(1, "1=2"), (1, "2=1 bob")], &[(1, "3=1")]);
    assert_eq!(reply[2..7], left(true), "{reply:?}");
    assert_eq!(reply[9..12], decided(0, false, 4)[2..]);
    assert_eq!(reply[12..], held(1, deadline, "EUR 700000"));
    let keys = [&holding()[..], &[key("hold:0")]].concat();
    let found = bench.call(Op::Hold, &keys, &["1", "60000", "", "1", "1=2"]);
    assert_eq!(found[2..], held(1, deadline, "USD 500000"));
    assert_eq!(bench.counters(1), [7, 3, 0, 0], "they were taken once");
    assert_eq!(bench.redis.hget::<_, _, i64>(key("sale"), "first_due").unwrap(), deadline, "and come back in time");
    bench.empty();
}

#[test]
fn what_is_sold_out_is_refused_and_nothing_is_written() {
    let mut bench = Bench::new();
    bench.hold("last", &[("2", "1")]);
    let deadline = bench.now_ms + 100_000;
    let last_write = |bench: &mut Bench| bench.redis.hget::<_, _, i64>(key("sale"), "last_write").unwrap();
    let seen = last_write(&mut bench);
    let refused = hold_both(&mut bench, "", &[(2, "2=1"), (1, "2=1 bob")], &[]);
    let both = [short(2, 1, deadline), short(1, 1, deadline)].concat();
    assert_eq!(refused[2..], [decided(seen, true, 12), both.clone(), left(false)].concat());
    assert_eq!(last_write(&mut bench), seen);
    // One of the holds is there: the call came before, when there were units.
    bench.redis.set::<_, _, ()>(key("hold:1"), "2=1 0+1").unwrap();
    assert_eq!(hold_both(&mut bench, "", &[(2, "2=1")], &[])[2..], [left(true), left(false)].concat());
    bench.redis.del::<_, ()>(key("hold:1")).unwrap();
    // Something else is held behind them. Then its bucket is the first one, and to look further is for `hold`.
    let reply = hold_both(&mut bench, "", &[(2, "2=1"), (1, "2=1 bob"), (1, "1=1")], &[]);
    let made = last_write(&mut bench);
    let all = [both, held(1, deadline, "USD 500000")].concat();
    assert_eq!(reply[2..], [decided(made, false, 16), all, left(false)].concat());
    assert_eq!(hold_both(&mut bench, "", &[(1, "2=1")], &[])[2..7], left(false));
    // Nothing comes back any more.
    assert_eq!(bench.settle("last", "paid", "e", "pi", "500000"), "applied");
    let reply = hold_both(&mut bench, "", &[(1, "2=1")], &[]);
    assert_eq!(reply[2..13], [decided(last_write(&mut bench), true, 6), short(1, 0, 0)].concat());
    assert_eq!(bench.counters(2), [0, 0, 0, 1]);
}

#[test]
fn a_call_that_comes_twice_leaves_what_it_made() {
    let mut bench = two_sales();
    let (of_s, of_t) = ([(1, "1=1")], [(2, "3=1")]);
    let first = hold_both(&mut bench, "", &of_s, &of_t);
    assert_eq!(first.len(), 2 + 2 * 9);
    let again = hold_both(&mut bench, "", &of_s, &of_t);
    assert_eq!(again[2..], [left(true), left(true)].concat());
    // Also where something else comes first.
    bench.redis.hset::<_, _, _, ()>(key("sale"), "paused", "1").unwrap();
    bench.redis.hset::<_, _, _, ()>(in_t("sale"), "rules", "max_per_customer=1").unwrap();
    assert_eq!(hold_both(&mut bench, "", &of_s, &of_t)[2..], again[2..]);
    assert_eq!((bench.counters(1), units_of_t(&mut bench, "held")), ([8, 2, 0, 0], 3));
}

#[test]
fn holds_of_several_sales_whose_callers_have_given_up_do_nothing() {
    let mut bench = two_sales();
    let now = bench.now_ms;
    let late = hold_both(&mut bench, &(now - 1).to_string(), &[(1, "1=1")], &[(1, "3=1")]);
    assert_eq!(late, [Value::BulkString(b"too_late".into()), Value::Int(now)]);
    assert_eq!((bench.counters(1), units_of_t(&mut bench, "held")), ([9, 1, 0, 0], 1));
    assert_eq!(word(&hold_both(&mut bench, &now.to_string(), &[(1, "1=1")], &[(1, "3=1")])), "decided");
    assert_eq!((bench.counters(1), units_of_t(&mut bench, "held")), ([8, 2, 0, 0], 2));
}

/// For the words of its header.
pub(super) fn provoke(bench: &mut Bench) {
    let keys = [&holding()[..], &[key("hold:together")]].concat();
    let now = bench.now_ms;
    for (not_after, expected) in [(now - 1, "too_late"), (now, "decided")] {
        assert_eq!(word(&bench.call(Op::HoldSales, &keys, &[&not_after.to_string(), "1", "1", "1", "9=1"])), expected);
    }
}
