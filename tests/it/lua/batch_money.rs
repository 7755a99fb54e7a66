//! A batch of orders or payment events has the same result as the same calls one by one: the same answers, and the same keys
//! in Redis, down to the log of events.

use std::{cell::RefCell, collections::BTreeMap};

use flashsale::store::Op;
use proptest::prelude::*;
use redis::{Commands, Value};

use super::{BOOK_ARGUMENTS, Bench, book, key, word};
use crate::support::{invariants, orders::stored_order, random_cases};

const HOLDS: usize = 6;
const DAY: &str = "86400000";

#[derive(Clone, Debug)]
struct Event {
    hold: usize,
    what: &'static str,
    once: u8,
    payment: &'static str,
    amount: &'static str,
}

#[derive(Clone, Debug)]
enum Step {
    Hold(usize, Vec<(u8, u8)>),
    Release(usize),
    Orders(Vec<usize>),
    Settle(Vec<Event>),
    Cancel(usize),
    StartPayment(usize),
    Expire,
    /// The review with this place among the open ones, and what a person decides.
    Resolve(usize, &'static str),
    Policy(&'static str, &'static str),
    Advance(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let what = prop::sample::select(vec![
        "paid",
        "paid",
        "paid",
        "paid",
        "refunded",
        "refunded",
        "failed",
        "cancelled",
        "processing",
        "refund_failed",
        "disputed",
        "dispute_won",
        "dispute_lost",
    ]);
    let payment = prop::sample::select(vec!["pi_1", "pi_1", "pi_1", "pi_2", ""]);
    // 50.00 is right for one unit of one product.
    let amount = prop::sample::select(vec!["", "", "", "500000", "500000", "400000", "1000000"]);
    (0..HOLDS, what, 0_u8..40, payment, amount).prop_map(|(hold, what, once, payment, amount)| Event {
        hold,
        what,
        once,
        payment,
        amount,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let lines = prop_oneof![
        5 => (1_u8..=1, 1_u8..=3).prop_map(|line| vec![line]),
        2 => Just(vec![(2, 1)]),
        2 => Just(vec![(1, 1), (2, 1)]),
    ];
    let policy = prop::sample::select(vec![
        ("on_payment_failed", "keep"),
        ("on_payment_failed", "release"),
        ("on_payment_ended", "keep"),
        ("on_payment_ended", "release"),
        ("payment_amount", "exact"),
        ("payment_amount", "at_least"),
        ("restock_refunds", "0"),
        ("restock_refunds", "1"),
    ]);
    prop_oneof![
        8 => (0..HOLDS, lines).prop_map(|(hold, lines)| Step::Hold(hold, lines)),
        1 => (0..HOLDS).prop_map(Step::Release),
        5 => prop::collection::vec(0..HOLDS, 1..8).prop_map(Step::Orders),
        10 => prop::collection::vec(event(), 1..16).prop_map(Step::Settle),
        1 => (0..HOLDS).prop_map(Step::Cancel),
        1 => (0..HOLDS).prop_map(Step::StartPayment),
        1 => Just(Step::Expire),
        3 => (0_usize..4, prop::sample::select(vec!["accept", "refund", "dismiss"])).prop_map(|(at, action)| Step::Resolve(at, action)),
        1 => policy.prop_map(|(name, value)| Step::Policy(name, value)),
        3 => prop::sample::select(vec![1_i64, 30_000, 60_000, 120_000]).prop_map(Step::Advance),
    ]
}

fn name(hold: usize) -> String {
    format!("h{hold}")
}

fn settle(bench: &mut Bench, events: &[Event]) -> Vec<Value> {
    let mut keys = reviewing();
    let mut arguments: Vec<String> = [BOOK_ARGUMENTS[0], BOOK_ARGUMENTS[1], DAY].map(str::to_owned).to_vec();
    for event in events {
        let (hold, Event { what, once, payment, amount, .. }) = (name(event.hold), event);
        keys.extend([format!("hold:{hold}"), format!("order:{hold}"), format!("once:{once}")].map(|name| key(&name)));
        let fingerprint = format!("{hold}-{what}-{payment}-{amount}");
        arguments.push(format!("{what}\n{fingerprint}\n{once}\n{payment}\n{amount}\n\n\n\n\n\n\n"));
    }
    decided(bench, Op::Settle, &keys, &arguments)
}

fn orders(bench: &mut Bench, holds: &[usize]) -> Vec<Value> {
    let mut keys = book();
    keys.extend(holds.iter().flat_map(|hold| [key(&format!("hold:h{hold}")), key(&format!("order:h{hold}"))]));
    decided(bench, Op::Order, &keys, &BOOK_ARGUMENTS.map(str::to_owned))
}

/// The decisions of a reply, without its word and its time.
fn decided(bench: &mut Bench, op: Op, keys: &[String], arguments: &[String]) -> Vec<Value> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut reply = bench.call(op, keys, &arguments);
    assert_eq!(word(&reply), "decided");
    reply.split_off(2)
}

/// Redis answers the fields of a hash in any order once a value of it is long.
fn sorted(value: Value) -> Value {
    match value {
        Value::BulkString(bytes) => Value::BulkString(sorted_fields(&String::from_utf8(bytes).unwrap()).into_bytes()),
        other => other,
    }
}

fn sorted_fields(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut fields: Vec<String> = lines.chunks(2).map(|field| field.join("\n")).collect();
    fields.sort_unstable();
    fields.join("\n")
}

fn reviewing() -> Vec<String> {
    [book(), ["reviews", "review_records", "resolved"].map(key).to_vec()].concat()
}

fn about_order(bench: &mut Bench, op: Op, hold: usize, arguments: &[&str]) -> Vec<Value> {
    let keys = [book(), vec![key(&format!("order:h{hold}"))]].concat();
    bench.call(op, &keys, &[&BOOK_ARGUMENTS[..], arguments].concat())
}

/// Does the step, in one call if it is a batch, and returns the answers.
fn take(bench: &mut Bench, step: &Step) -> Vec<Value> {
    match step {
        // A hold has a new id each time, so one that was an order before is not made again.
        Step::Hold(hold, _) if bench.redis.exists(key(&format!("order:h{hold}"))).unwrap() => Vec::new(),
        Step::Hold(hold, lines) => {
            let lines: Vec<_> = lines.iter().map(|(product, units)| (product.to_string(), units.to_string())).collect();
            let lines: Vec<_> = lines.iter().map(|(product, units)| (product.as_str(), units.as_str())).collect();
            bench.hold(&name(*hold), &lines)
        }
        Step::Release(hold) => {
            let keys = [book(), vec![key(&format!("hold:h{hold}")), key(&format!("order:h{hold}"))]].concat();
            bench.call(Op::Release, &keys, &[&BOOK_ARGUMENTS[..], &["buyer"]].concat())
        }
        Step::Orders(holds) => orders(bench, holds),
        Step::Settle(events) => settle(bench, events),
        Step::Cancel(hold) => {
            let arguments = [&BOOK_ARGUMENTS[..], &["customer"]].concat();
            bench.call(Op::Cancel, &[reviewing(), vec![key(&format!("order:h{hold}"))]].concat(), &arguments)
        }
        Step::StartPayment(hold) => about_order(bench, Op::StartPayment, *hold, &[]),
        Step::Expire => {
            let keys = [book(), (0..HOLDS).map(|hold| key(&format!("order:h{hold}"))).collect()].concat();
            bench.call(Op::Expire, &keys, &BOOK_ARGUMENTS)
        }
        Step::Resolve(at, action) => {
            let open: Vec<String> = bench.redis.zrange(key("reviews"), 0, -1).unwrap();
            let Some(id) = open.get(*at) else { return Vec::new() };
            let record: String = bench.redis.hget(key("review_records"), id).unwrap();
            let order = key(&format!("order:{}", record.split('\n').nth(2).unwrap()));
            let arguments = [&BOOK_ARGUMENTS[..], &[id, action, "seen"]].concat();
            bench.call(Op::Resolve, &[reviewing(), vec![order]].concat(), &arguments)
        }
        Step::Policy(name, value) => {
            bench.redis.hset::<_, _, _, ()>(key("sale"), name, value).unwrap();
            Vec::new()
        }
        Step::Advance(ms) => {
            bench.advance(*ms);
            Vec::new()
        }
    }
}

/// Does the step with one call for each part of a batch.
fn take_apart(bench: &mut Bench, step: &Step) -> Vec<Value> {
    match step {
        Step::Orders(holds) => holds.iter().flat_map(|hold| orders(bench, &[*hold])).collect(),
        Step::Settle(events) => events.iter().flat_map(|event| settle(bench, std::slice::from_ref(event))).collect(),
        step => take(bench, step),
    }
}

/// Everything that Redis has of the sale: values, deadlines of keys, and the log without its ids, because these contain the
/// time of the server.
fn kept(bench: &mut Bench) -> BTreeMap<String, String> {
    let redis = &mut bench.redis;
    let names: Vec<String> = redis.keys("fs1:{s}:*").unwrap();
    let mut all = BTreeMap::new();
    for name in names {
        let kind: String = redis::cmd("TYPE").arg(&name).query(redis).unwrap();
        let value = match kind.as_str() {
            "hash" => {
                let mut fields = redis.hgetall::<_, BTreeMap<String, String>>(&name).unwrap();
                // One call is one write, and several are several: a bucket that came and went within one was never there.
                ["last_write", "last_freed", "first_due"].iter().for_each(|name| _ = fields.remove(*name));
                format!("{fields:?}")
            }
            "zset" => format!("{:?}", redis.zrange_withscores::<_, Vec<(String, f64)>>(&name, 0, -1).unwrap()),
            "stream" => {
                let entries: Vec<(String, Vec<String>)> =
                    redis::cmd("XRANGE").arg(&name).arg("-").arg("+").query(redis).unwrap();
                format!(
                    "{:#?}",
                    entries
                        .iter()
                        .map(|(_, fields)| fields.iter().map(|text| sorted_fields(text)).collect::<Vec<_>>())
                        .collect::<Vec<_>>()
                )
            }
            _ => redis.get(&name).unwrap(),
        };
        // How long an event is remembered is counted by the server's own clock.
        let until: i64 = if name.contains(":once:") { 0 } else { redis.pexpire_time(&name).unwrap() };
        all.insert(name, format!("{value} until {until}"));
    }
    all
}

#[test]
fn batches_of_orders_and_payment_events_are_decided_as_one_by_one() {
    let benches = RefCell::new((Bench::new(), Bench::new()));
    proptest!(random_cases(150), |(steps in prop::collection::vec(step(), 4..24))| {
        let (batched, single) = &mut *benches.borrow_mut();
        single.now_ms = batched.now_ms;
        batched.empty();
        single.empty();
        for step in &steps {
            let [batch, one_by_one] = [take(batched, step), take_apart(single, step)].map(|answers| answers.into_iter().map(sorted).collect::<Vec<_>>());
            prop_assert_eq!(batch, one_by_one, "{:?}", step);
        }
        prop_assert_eq!(kept(batched), kept(single));
        invariants::check(&mut batched.redis);
    });
}

#[test]
fn events_of_one_batch_about_one_payment_join() {
    let mut bench = Bench::new();
    bench.hold("h0", &[("1", "1")]);
    assert_eq!(bench.order("h0"), "created");
    let paid = |once, amount| Event { hold: 0, what: "paid", once, payment: "pi_1", amount };
    settle(&mut bench, &[paid(1, "400000"), paid(2, "500000"), paid(3, "300000")]);
    let order = stored_order(&mut bench.redis, &key("order:h0"));
    let open: Vec<String> = bench.redis.zrange(key("reviews"), 0, -1).unwrap();
    assert_eq!(
        (order["status"].as_str(), open.len()),
        ("paid", 0),
        "the largest amount counts, and closes the review of the first"
    );
}

#[test]
fn a_refund_of_nothing_says_nothing_of_another_payment() {
    let mut bench = Bench::new();
    bench.hold("a", &[("1", "1")]);
    assert_eq!(bench.order("a"), "created");
    assert_eq!(bench.settle("a", "paid", "e1", "p1", "500000"), "applied");
    assert_eq!(bench.settle("a", "refunded", "e2", "p1", ""), "applied");
    let before: String = bench.redis.get(key("order:a")).unwrap();
    assert_eq!(bench.settle("a", "refunded", "e3", "p2", "0"), "duplicate");
    let order: String = bench.redis.get(key("order:a")).unwrap();
    let facts = |text: &str| text.split_once("\nheard\n").unwrap().0.to_owned();
    assert_eq!(facts(&order), facts(&before), "{order}");
}
