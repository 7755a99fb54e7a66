//! The plain ways of `hold`, `order` and `settle` (lua/lib/plain_*) against the scripts without them, over random calls: the
//! same answers, and the same keys, down to the log of events.

use std::collections::{BTreeMap, BTreeSet};

use flashsale::store::{Catalogue, Op};
use redis::{Commands, Value};

use super::{BOOK_ARGUMENTS, Bench, book, holding, key};
use crate::support::clock;

/// The catalogue without the plain ways: what is behind them decides everything.
fn long_ways() -> Catalogue {
    clock::catalogue_with(|file, text| match file {
        "lib/plain_runs.lua" => {
            let (head, body) = text.split_once("server_now, reply)\n").unwrap();
            format!("{head}server_now, reply)\n  do return next_run, sale + 5 end\n{body}")
        }
        "lib/plain_order.lua" | "lib/plain_payment.lua" => {
            let (head, body) = text.split_once("\ndo\n").unwrap();
            let plain = body.replacen("local is_plain", "local is_plain_too", 1);
            format!("{head}\ndo\n  local is_plain = false\n{plain}")
        }
        _ => text,
    })
}

/// The entries of a customer: those of one name together, and those that lapsed are holds that were abandoned.
fn entries(text: &str, now_ms: i64) -> BTreeMap<String, i64> {
    let (mut entries, mut lapsed) = (BTreeMap::<String, i64>::new(), BTreeSet::new());
    for (name, value) in text.split(' ').filter_map(|entry| entry.split_once('=')) {
        let deadline = name.split_once(':').map(|(deadline, _)| deadline.parse::<i64>().unwrap());
        if deadline.is_some_and(|deadline| deadline < now_ms) {
            lapsed.insert(deadline);
        } else {
            let count = value.split('@').next().unwrap().parse::<i64>().unwrap();
            *entries.entry(name.to_owned()).or_default() += count;
        }
    }
    let lapsed = i64::try_from(lapsed.len()).unwrap();
    *entries.entry("abandoned".to_owned()).or_default() += lapsed;
    entries.retain(|_, count| *count > 0);
    entries
}

/// All that is stored and read again. The number of the last write and `first_due` may differ: a script whose plain way did
/// not decide all wrote twice, and `first_due` is a bound (support/invariants.rs).
fn stored(bench: &mut Bench) -> BTreeMap<String, String> {
    let (now_ms, redis) = (bench.now_ms, &mut bench.redis);
    let keys: Vec<String> = redis.keys("*").unwrap();
    let mut all = BTreeMap::new();
    for name in keys {
        let kind: String = redis::cmd("TYPE").arg(&name).query(redis).unwrap();
        let value = match kind.as_str() {
            "hash" => {
                let mut fields: BTreeMap<String, String> = redis.hgetall(&name).unwrap();
                fields.retain(|field, _| !["last_write", "last_freed", "first_due"].contains(&field.as_str()));
                let customers = fields.iter().map(|(customer, text)| (customer, entries(text, now_ms)));
                if name.ends_with(":customers") {
                    format!("{:?}", customers.filter(|(_, entries)| !entries.is_empty()).collect::<Vec<_>>())
                } else {
                    format!("{fields:?}")
                }
            }
            "zset" => format!("{:?}", redis.zrange_withscores::<_, Vec<(String, String)>>(&name, 0, -1).unwrap()),
            "set" => format!("{:?}", redis.smembers::<_, BTreeSet<String>>(&name).unwrap()),
            "stream" => {
                let entries: Vec<(String, Vec<String>)> =
                    redis::cmd("XRANGE").arg(&name).arg("-").arg("+").query(redis).unwrap();
                format!("{entries:?}")
            }
            _ => redis.get::<_, String>(&name).unwrap(),
        };
        let lives: i64 = redis::cmd("PEXPIRETIME").arg(&name).query(redis).unwrap();
        // The life of an idempotency key depends on the server's own clock.
        let lives = if name.contains(":once:") { i64::from(lives > 0) } else { lives };
        all.insert(name, format!("{value} {lives}"));
    }
    all
}

/// One of what a caller may do.
#[derive(Debug)]
enum Step {
    /// Runs, each with the name of its first hold, a number of holds, and what they ask for.
    Hold(Vec<(usize, usize, &'static str)>),
    Order(Vec<usize>),
    /// Holds, and for each what happened, the event, the payment and the amount.
    Settle(Vec<(usize, [String; 4])>),
    Wait(i64),
    Price(i64),
    /// Rules of a product, or of the sale where it is ''.
    Rules(&'static str, &'static str),
}

const RULES: [(&str, &str); 14] = [
    ("", ""),
    ("", "max_per_customer=3"),
    ("", "max_per_group=2"),
    ("", "max_per_group=3 max_per_customer=5"),
    ("", "visibility=hidden"),
    ("", "cooldown_holds=2 max_per_customer=4"),
    ("1", ""),
    ("1", "group=a max_per_customer=2"),
    ("1", "max_per_customer=3"),
    ("1", "archived=1"),
    ("2", "max_per_customer=1 group=b"),
    ("2", "group=a"),
    ("3", "group=a"),
    ("3", "visibility=hidden max_per_customer=9"),
];

const REQUESTS: [&str; 16] = [
    "1=1",
    "1=1",
    "2=1",
    "3=1",
    "1=2",
    "1=2",
    "3=2",
    "1=6",
    "9=1",
    "1=1 bob",
    "1=1 bob",
    "3=1 bob",
    "2=1 ann",
    "1=2 ann",
    "1=1,3=1\n90000",
    "1=1 bob\n0\n{}",
];

fn any_step(any: &mut impl FnMut(usize) -> usize, holds: &mut usize) -> Step {
    match any(11) {
        0..=3 => Step::Hold(
            (0..=any(4))
                .map(|_| {
                    let (first, size) = (*holds, 1 + any(3));
                    *holds += size;
                    (first, size, REQUESTS[any(REQUESTS.len())])
                })
                .collect(),
        ),
        4..=5 => Step::Order((0..=any(4)).map(|_| any(*holds + 1)).collect()),
        6..=7 => {
            let event = |any: &mut dyn FnMut(usize) -> usize, hold: usize| {
                let what = ["paid", "paid", "paid", "paid", "failed", "refunded"][any(6)];
                let amount = ["500000", "500000", "1000000", "700000", ""][any(5)];
                (
                    hold,
                    [
                        what.to_owned(),
                        format!("e{}", any(12)),
                        [format!("p{hold}"), format!("p{hold}"), format!("p{hold}x"), String::new()][any(4)].clone(),
                        amount.to_owned(),
                    ],
                )
            };
            Step::Settle(
                (0..=any(4))
                    .map(|_| {
                        let hold = any(*holds + 1);
                        event(any, hold)
                    })
                    .collect(),
            )
        }
        8 => Step::Wait([1, 1_000, 40_000, 70_000][any(4)]),
        9 => Step::Price([500_000, 400_000, 7, 0][any(4)]),
        _ => {
            let (product, rules) = RULES[any(RULES.len())];
            Step::Rules(product, rules)
        }
    }
}

/// What the scripts answer to a call for holds. `hold_sales` decides it as far as it can, and `hold` what it leaves.
fn answer_in_two_calls(bench: &mut Bench, runs: &[(usize, usize, &str)]) -> Vec<Value> {
    let keys_of = |runs: &[(usize, usize, &str)]| -> Vec<String> {
        let holds = runs.iter().flat_map(|(first, size, _)| *first..first + size);
        holding().into_iter().chain(holds.map(|hold| key(&format!("hold:{hold}")))).collect()
    };
    let requests = |runs: &[(usize, usize, &str)]| -> Vec<String> {
        runs.iter().flat_map(|(_, size, request)| [size.to_string(), (*request).to_owned()]).collect()
    };
    let holds = |runs: &[(usize, usize, &str)]| runs.iter().map(|(_, size, _)| size).sum::<usize>().to_string();
    let arguments = [vec![String::new(), holds(runs), runs.len().to_string()], requests(runs)].concat();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let reply = bench.call(Op::HoldSales, &keys_of(runs), &arguments);
    let [head, now, decided_at, _write, _has_only_seen, _may_exist, Value::Int(values), answers @ ..] = &reply[..]
    else {
        panic!("{reply:?}")
    };
    assert_eq!(*values, i64::try_from(answers.len()).unwrap());
    let is_word =
        |value: &&Value| matches!(value, Value::BulkString(word) if word == b"held" || word == b"insufficient_stock");
    let left = &runs[answers.iter().filter(is_word).count()..];
    assert_eq!(decided_at, if left.len() == runs.len() { &Value::Int(0) } else { now }, "{reply:?}");
    if left.is_empty() {
        return [&[head.clone(), now.clone()], answers].concat();
    }
    let arguments = [vec![holds(left), "60000".to_owned(), String::new()], requests(left)].concat();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let rest = bench.call(Op::Hold, &keys_of(left), &arguments);
    [&rest[..2], answers, &rest[2..]].concat()
}

/// What the scripts answer to the step.
fn answer(bench: &mut Bench, step: &Step) -> Vec<Value> {
    match step {
        Step::Hold(runs) => {
            let holds: Vec<String> = runs
                .iter()
                .flat_map(|(first, size, _)| *first..first + size)
                .map(|hold| key(&format!("hold:{hold}")))
                .collect();
            let mut arguments = vec![holds.len().to_string(), "60000".to_owned(), String::new()];
            arguments.extend(runs.iter().flat_map(|(_, size, request)| [size.to_string(), (*request).to_owned()]));
            let keys: Vec<String> = holding().into_iter().chain(holds).collect();
            bench.call(Op::Hold, &keys, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
        }
        Step::Order(holds) => {
            let pairs =
                holds.iter().flat_map(|hold| [format!("hold:{hold}"), format!("order:{hold}")]).map(|name| key(&name));
            let keys: Vec<String> = book().into_iter().chain(pairs).collect();
            bench.call(Op::Order, &keys, &BOOK_ARGUMENTS)
        }
        Step::Settle(events) => {
            let events: Vec<_> = events.iter().map(|(hold, event)| (hold.to_string(), event)).collect();
            let events: Vec<_> = events
                .iter()
                .map(|(hold, [what, id, payment, amount])| [hold.as_str(), what, id, payment, amount].map(String::from))
                .collect();
            let events: Vec<_> = events.iter().map(|event| (event.each_ref().map(String::as_str), false)).collect();
            bench.settle_reply(&events)
        }
        Step::Wait(ms) => {
            bench.advance(*ms);
            Vec::new()
        }
        Step::Price(price) => {
            let keys = [book(), vec![key("product:1")]].concat();
            let price = price.to_string();
            let arguments = [&BOOK_ARGUMENTS[..], &["1", "500000000000000", "price", &price]].concat();
            bench.call(Op::ChangeProduct, &keys, &arguments)
        }
        Step::Rules(product, rules) => {
            bench.set_rules(product, rules);
            Vec::new()
        }
    }
}

#[test]
fn the_plain_ways_answer_and_store_what_the_long_ones_do() {
    for seed in 0..80_u64 {
        let mut state = seed;
        let mut any = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        let [mut short, mut long] = [Bench::new(), Bench::new()];
        long.now_ms = short.now_ms;
        long.catalogue = long_ways();
        for bench in [&mut short, &mut long] {
            bench.empty();
            bench.put_product("3", "USD", "6");
        }
        let (mut holds, mut steps) = (0, Vec::new());
        for _ in 0..25 {
            steps.push(any_step(&mut any, &mut holds));
            let step = steps.last().unwrap();
            let replies = match step {
                Step::Hold(runs) if seed % 2 == 0 => [answer_in_two_calls(&mut short, runs), answer(&mut long, step)],
                step => [&mut short, &mut long].map(|bench| answer(bench, step)),
            };
            assert_eq!(replies[0], replies[1], "seed {seed}: {steps:?}");
            let both = [&mut short, &mut long].map(stored);
            assert_eq!(both[0], both[1], "seed {seed}: {steps:?}");
        }
    }
}
