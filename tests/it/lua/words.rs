//! Every reply word that a header names is provoked, and no other comes.

use std::{collections::BTreeSet, path::Path};

use flashsale::store::script::Op;
use redis::{Commands, Value};

use super::{Bench, key, list, units, word};

/// The words of a header: the first token of each line of its REPLY section.
fn words_of_header(script: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("lua/{script}.lua"));
    let text = std::fs::read_to_string(path).unwrap();
    let header = text.lines().skip_while(|line| !line.starts_with("-- REPLY"));
    let section = header.take_while(|line| !line.starts_with("-- cost"));
    let tokens = section.map(|line| line.trim_start_matches("-- REPLY").trim_start_matches("--").trim());
    let first = tokens.map(|text| text.split([' ', ',']).next().unwrap_or("").to_owned());
    first.filter(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).collect()
}

#[test]
fn every_word_of_every_header_is_answered_and_no_other() {
    let mut bench = Bench::new();
    provoke_products(&mut bench);
    provoke_holds(&mut bench);
    provoke_orders(&mut bench);
    provoke_settlements(&mut bench);
    provoke_behind(&mut bench);
    for op in Op::ALL {
        let seen: BTreeSet<String> =
            bench.words.iter().filter(|(name, _)| *name == op.name()).map(|(_, word)| word.clone()).collect();
        assert_eq!(seen, words_of_header(op.name()), "{}", op.name());
    }
}

fn provoke_products(bench: &mut Bench) {
    assert_eq!(bench.put_product("1", "USD", "7"), "already_exists");
    assert_eq!(bench.put_product("3", "EUR", "7"), "currency_differs");
    let claim =
        |bench: &mut Bench, id: &str, sale: &str| bench.call(Op::ClaimProduct, &["fs1:products".into()], &[id, sale]);
    assert_eq!(word(&claim(bench, "1", "s")), "claimed");
    assert_eq!(word(&claim(bench, "1", "s")), "claimed", "the same claim again goes on");
    assert_eq!(word(&claim(bench, "1", "other")), "already_exists");
    let next = claim(bench, "", "");
    assert_eq!(next[1..], [Value::BulkString(b"2".into()), Value::BulkString(b"p2".into())]);
    let keys = [&units()[..], &[key("product:1"), key("product:9")]].concat();
    let stock = bench.call(Op::Stock, &keys, &["1", "9"]);
    assert_eq!(list(&stock[3]).len(), 10);
    assert!(list(&stock[4]).is_empty(), "product 9 is not there");
}

fn provoke_holds(bench: &mut Bench) {
    assert_eq!(word(&bench.hold("a", &[("1", "3")])), "held");
    assert_eq!(word(&bench.hold("a", &[("1", "3")])), "held", "sent twice, held once");
    assert_eq!(bench.counters(1), [7, 3, 0, 0]);
    assert_eq!(word(&bench.hold("b", &[("9", "1")])), "product_not_found");
    assert_eq!(word(&bench.hold("b", &[("1", "6")])), "quantity_above_limit");
    let short = bench.hold("b", &[("1", "5"), ("2", "2")]);
    assert_eq!(word(&short), "insufficient_stock");
    assert_eq!(short[1..], [Value::BulkString(b"2".into()), Value::Int(1), Value::Int(0), Value::Int(0)]);
    assert_eq!(bench.counters(1), [7, 3, 0, 0], "nothing of the refused hold was kept");
    let claimed = |bench: &mut Bench, hold: &str, fingerprint: &str| {
        bench.wish(hold, &format!("1=1 alice\n0 {fingerprint} {hold}"), Some("k"))
    };
    assert_eq!(word(&claimed(bench, "c", "f")), "held");
    assert_eq!(word(&claimed(bench, "c", "f")), "held", "our own call, sent twice");
    let replayed = claimed(bench, "d", "f");
    assert_eq!((word(&replayed).as_str(), &replayed[2]), ("replayed", &Value::BulkString(b"c".into())));
    assert_eq!(word(&claimed(bench, "e", "other")), "idempotency_key_reused");
    assert_eq!(bench.counters(1), [6, 4, 0, 0]);
    let keys = [&units()[..], &[key("hold:c"), key("order:c")]].concat();
    assert_eq!(word(&bench.call(Op::Release, &keys, &[])), "released");
    assert_eq!(word(&bench.call(Op::Release, &keys, &[])), "hold_expired");
    let find = |bench: &mut Bench, hold: &str| {
        let keys = [key("sale"), key(&format!("hold:{hold}")), key(&format!("order:{hold}"))];
        word(&bench.call(Op::FindHold, &keys, &[]))
    };
    assert_eq!(find(bench, "a"), "active");
    assert_eq!(find(bench, "c"), "hold_expired");
    assert_eq!(word(&bench.order("a")), "created");
    assert_eq!(find(bench, "a"), "converted");
    let keys = [&units()[..], &[key("hold:a"), key("order:a")]].concat();
    assert_eq!(word(&bench.call(Op::Release, &keys, &[])), "hold_converted");
}

fn provoke_orders(bench: &mut Bench) {
    assert_eq!(word(&bench.order("a")), "exists");
    assert_eq!(word(&bench.order("c")), "hold_expired");
    let find = |bench: &mut Bench, hold: &str| {
        word(&bench.call(Op::FindOrder, &[key("sale"), key(&format!("order:{hold}"))], &[]))
    };
    assert_eq!(find(bench, "a"), "found");
    assert_eq!(find(bench, "c"), "order_not_found");
    let cancel = |bench: &mut Bench, hold: &str| {
        let keys = [&units()[..], &[key(&format!("order:{hold}"))]].concat();
        word(&bench.call(Op::Cancel, &keys, &["customer"]))
    };
    assert_eq!(cancel(bench, "c"), "order_not_found");
    assert_eq!(cancel(bench, "a"), "cancelled");
    assert_eq!(cancel(bench, "a"), "already_cancelled");
    assert_eq!(bench.counters(1), [10, 0, 0, 0]);
    bench.hold("f", &[("1", "1")]);
    assert_eq!(bench.settle("f", "paid", "f", "", ""), "applied");
    assert_eq!(cancel(bench, "f"), "order_not_cancellable");
}

fn provoke_settlements(bench: &mut Bench) {
    assert_eq!(bench.settle("f", "paid", "f", "", ""), "duplicate");
    assert_eq!(bench.settle("f", "failed", "f", "", ""), "idempotency_key_reused");
    assert_eq!(bench.settle("f", "failed", "f2", "", ""), "ignored");
    assert_eq!(bench.settle("gone", "paid", "g", "pi_1", ""), "refund_required");
    bench.hold("h", &[("1", "2")]);
    assert_eq!(bench.settle("h", "paid", "h1", "", "999999"), "review");
    assert_eq!(bench.settle("h", "paid", "h2", "", "1000000"), "applied");
    assert_eq!(bench.counters(1), [7, 0, 0, 3]);
}

fn provoke_behind(bench: &mut Bench) {
    let settle_keys = [&units()[..], &["hold:z", "order:z", "once:z", "reviews"].map(key)].concat();
    let hold_keys = [&units()[..], &[key("hold:z")]].concat();
    let stock_keys = [&units()[..], &[key("product:1")]].concat();
    let calls: [(Op, &[String], &[&str]); 3] = [
        (Op::Settle, &settle_keys, &["failed", "f", "60000", "z", "e", "", "", ""]),
        (Op::Hold, &hold_keys, &["1", "60000", "1", "1=1"]),
        (Op::Stock, &stock_keys, &["1"]),
    ];
    for (op, keys, arguments) in calls {
        // What the call before held lapses too.
        let before = bench.counters(1);
        owe_many(bench, 1_200);
        bench.advance(1_000_000);
        assert_eq!(word(&bench.call(op, keys, arguments)), "behind", "512 of 1,200 buckets");
        assert_eq!(word(&bench.call(op, keys, arguments)), "behind");
        assert_ne!(word(&bench.call(op, keys, arguments)), "behind");
        let held = i64::from(op == Op::Hold);
        assert_eq!(bench.counters(1), [before[0] + before[1] + 1_200 - held, held, before[2], before[3]]);
    }
}

/// Adds units that are held in buckets of their own, in the seconds to come.
fn owe_many(bench: &mut Bench, buckets: i64) {
    let mut pipe = redis::pipe();
    for n in 1..=buckets {
        let deadline = bench.now_ms / 1_000 * 1_000 + n * 500 / 1_000 * 1_000 + n;
        let name = format!("{deadline}:1:h");
        pipe.hset(key("lapses"), &name, 1).ignore().zadd(key("deadlines"), &name, deadline).ignore();
    }
    for name in ["1:held", "1:total"] {
        pipe.hincr(key("stock"), name, buckets).ignore();
    }
    pipe.exec(&mut bench.redis).unwrap();
}

#[test]
fn quantities_that_are_none_are_a_bug_of_the_caller_and_change_nothing() {
    let mut bench = Bench::new();
    for units_text in ["0", "-1", "1.5", "nan", "inf", "1e999", "0x10000000", "1000001", "", " "] {
        let keys = [&units()[..], &[key("hold:a")]].concat();
        let reply = bench.try_call(Op::Hold, &keys, &["1", "60000", "1", &format!("1={units_text}")]);
        assert!(reply.is_err(), "{units_text:?} gave {reply:?}");
    }
    let keys = [&units()[..], &[key("hold:a")]].concat();
    let twice = bench.try_call(Op::Hold, &keys, &["1", "60000", "1", "1=1,1=1"]);
    assert!(twice.is_err(), "one product in two lines");
    assert_eq!(bench.counters(1), [10, 0, 0, 0]);
}

#[test]
fn a_clock_that_steps_back_revives_nothing() {
    let mut bench = Bench::new();
    bench.hold("a", &[("2", "1")]);
    bench.advance(101_001);
    assert_eq!(word(&bench.hold("b", &[("2", "1")])), "held", "the first one lapsed");
    bench.advance(-101_001);
    assert_eq!(word(&bench.order("a")), "hold_expired", "its unit was given away");
    assert_eq!(word(&bench.hold("c", &[("2", "1")])), "insufficient_stock");
    assert_eq!(bench.counters(2), [0, 1, 0, 0]);
}

#[test]
fn a_deadline_is_the_last_instant_of_a_hold() {
    let mut bench = Bench::new();
    let held = bench.hold("a", &[("2", "1")]);
    let Value::Int(deadline) = held[1] else { panic!("{held:?}") };
    assert_eq!(deadline, bench.now_ms + 100_000);
    bench.advance(100_000);
    assert_eq!(word(&bench.hold("b", &[("2", "1")])), "insufficient_stock", "at the deadline it is still held");
    bench.advance(1);
    assert_eq!(word(&bench.hold("b", &[("2", "1")])), "held", "a millisecond later it is not");
    bench.advance(100_000);
    let expected = (bench.now_ms + 999) / 1_000 * 1_000;
    let lapses: Vec<(String, i64)> = bench.redis.hgetall(key("lapses")).unwrap();
    assert_eq!(lapses, [(format!("{expected}:2:h"), 1)], "rounded up to a whole second");
}

#[test]
fn a_hold_is_stored_as_its_lines_and_its_customer() {
    let mut bench = Bench::new();
    bench.wish("a", "1=2,2=1 alice\n5000", None);
    assert_eq!(bench.redis.get::<_, String>(key("hold:a")).unwrap(), "1=2,2=1 alice");
}
