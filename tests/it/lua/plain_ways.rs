//! The plain ways of `hold`, `order` and `settle` (lua/lib/plain_*): they ask Redis for little, and must do just what is done
//! without them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use flashsale::store::{Catalogue, Op};
use redis::{Commands, Value};

use super::{BOOK_ARGUMENTS, Bench, book, holding, key, word};
use crate::support::clock;

/// What the scripts ask Redis during `run`, one command a line, without the prefix of the keys.
fn asked(bench: &mut Bench, run: impl FnOnce(&mut Bench)) -> Vec<String> {
    let mut monitor = bench.server.connect();
    redis::cmd("MONITOR").exec(&mut monitor).unwrap();
    monitor.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    run(bench);
    redis::cmd("ECHO").arg("over").exec(&mut bench.redis).unwrap();
    let mut lines = Vec::new();
    loop {
        let Value::SimpleString(line) = monitor.recv_response().unwrap() else { panic!("no line") };
        if line.ends_with("\"ECHO\" \"over\"") {
            return lines;
        }
        if let Some((_, command)) = line.split_once(" lua] ") {
            lines.push(command.replace(&key(""), "").replace('"', ""));
        }
    }
}

const SALE: &str = "HMGET sale last_write first_due hold_ms starts ends paused rules currency";
const ALL_OF_SALE: &str = "HMGET sale last_write first_due hold_ms hold_max_ms starts ends paused rules currency";

#[test]
fn a_plain_hold_asks_redis_for_eight_things() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    let (now, deadline) = (bench.now_ms, bench.now_ms + 100_000);
    let commands = asked(&mut bench, |bench| assert_eq!(word(&bench.request("a", "1=2", None)), "held"));
    let value: String = bench.redis.get(key("hold:a")).unwrap();
    let expected = [
        SALE.to_owned(),
        "HGET sale test_now".to_owned(),
        "EXISTS hold:a".to_owned(),
        "HGET stock 1".to_owned(),
        format!("SET hold:a {value} PXAT {deadline}"),
        "HSET stock 1 7 3 0 0 10 500000 5 ".to_owned(),
        format!("HINCRBY lapses {deadline}:1:h 2"),
        format!("HSET sale last_write {}", now * 1_000 + 3),
    ];
    assert_eq!(commands, expected);
}

#[test]
fn a_plain_order_and_its_payment_ask_redis_for_little() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    bench.hold("a", &[("1", "2")]);
    assert_eq!(bench.order("first"), "created");
    let (now, deadline, due) = (bench.now_ms, bench.now_ms + 100_000, bench.now_ms + 50_000);
    let commands = asked(&mut bench, |bench| assert_eq!(bench.order("a"), "created"));
    let record = |paid: &str| {
        let order = format!("lines\\n1=2@500000\\ntotal\\n1000000\\ncurrency\\nUSD\\ncreated\\n{now}\\ndue\\n{due}");
        format!(
            "status\\n{}\\n{order}\\nhold_deadline\\n{deadline}{paid}",
            if paid.is_empty() { "pending" } else { "paid" }
        )
    };
    let pending = record("");
    let expected = [
        "HMGET sale last_write first_due payment_ms currency".to_owned(),
        "HGET sale test_now".to_owned(),
        "EXISTS order:a".to_owned(),
        "GET hold:a".to_owned(),
        "HGET stock 1".to_owned(),
        "DEL hold:a".to_owned(),
        format!("SET order:a {pending}"),
        format!("ZADD orders {now} a"),
        format!("ZADD due {due} a"),
        format!("XADD events MAXLEN ~ 1000 * type order.created at {now} order a record {pending}"),
        "HSET stock 1 7 0 3 0 10 500000 5 ".to_owned(),
        format!("HINCRBY lapses {deadline}:1:h -2"),
        format!("HDEL lapses {deadline}:1:h"),
        format!("ZREM deadlines {deadline}:1:h"),
        format!("HINCRBY lapses {due}:1:p 2"),
        format!("HSET sale last_write {}", now * 1_000 + 5),
    ];
    assert_eq!(commands, expected);

    let commands = asked(&mut bench, |bench| assert_eq!(bench.settle("a", "paid", "e", "pi", "1000000"), "applied"));
    let paid = record(&format!("\\npayment:pi\\ncaptured=1000000 exact=1\\npaid_at\\n{now}\\npayment\\npi"));
    let order: String = bench.redis.get(key("order:a")).unwrap();
    let heard = order.split_once("\nheard\n\t").unwrap().1;
    let expected = [
        "HMGET sale last_write first_due payment_ms".to_owned(),
        "HGET sale test_now".to_owned(),
        "EXISTS once:e".to_owned(),
        "GET order:a".to_owned(),
        "HGET stock 1".to_owned(),
        "SET once:e paid-pi-1000000 PX 60000".to_owned(),
        format!("SET order:a {paid}\\nheard\\n\\t{heard}"),
        "ZREM due a".to_owned(),
        format!("XADD events MAXLEN ~ 1000 * type order.paid at {now} order a record {paid}"),
        "HSET stock 1 7 0 1 2 10 500000 5 ".to_owned(),
        format!("HINCRBY lapses {due}:1:p -2"),
        format!("HSET sale last_write {}", now * 1_000 + 6),
    ];
    assert_eq!(commands, expected);
}

#[test]
fn a_hold_of_a_customer_asks_for_two_things_more() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    let deadline = bench.now_ms + 100_000;
    let plain = asked(&mut bench, |bench| assert_eq!(word(&bench.request("a", "1=2", None)), "held"));
    let commands = asked(&mut bench, |bench| assert_eq!(word(&bench.request("b", "1=2 bob", None)), "held"));
    assert_eq!(commands.len(), plain.len() + 2);
    assert!(commands.contains(&"HGET customers bob".to_owned()), "{commands:?}");
    assert!(commands.contains(&format!("HSET customers bob {deadline}:1:h=2")), "{commands:?}");
}

#[test]
fn rules_cost_a_hold_nothing_where_there_are_none() {
    let mut bench = Bench::new();
    bench.hold("first", &[("2", "1")]);
    let (now, deadline) = (bench.now_ms, bench.now_ms + 90_000);
    let commands = asked(&mut bench, |bench| assert_eq!(word(&bench.request("a", "1=2 bob\n90000", None)), "held"));
    let value: String = bench.redis.get(key("hold:a")).unwrap();
    let expected = [
        ALL_OF_SALE.to_owned(),
        "HGET sale test_now".to_owned(),
        "EXISTS hold:a".to_owned(),
        "HMGET stock 1".to_owned(),
        "HGET customers bob".to_owned(),
        format!("SET hold:a {value} PXAT {deadline}"),
        format!("HSET customers bob {deadline}:1:h=2"),
        format!("HINCRBY lapses {deadline}:1:h 2"),
        format!("ZADD deadlines {deadline} {deadline}:1:h"),
        "HSET stock 1 8 2 0 0 10 500000 5 ".to_owned(),
        format!("HSET sale last_write {} first_due {deadline}", now * 1_000 + 3),
    ];
    assert_eq!(commands, expected);
}

#[test]
fn a_call_is_of_one_instant_though_its_clock_goes_on() {
    let mut bench = Bench::new();
    bench.catalogue = clock::catalogue_with(|file, text| match file {
        // Each look at the clock is a millisecond later than the one before, as on a server without a frozen TIME.
        "lib/clock.lua" => text.replace("local time = {", "ms = ms + redis.call('INCR', 'looks')\n  local time = {"),
        _ => text,
    });
    bench.hold("first", &[("1", "1")]);
    bench.set_rules("2", "group=g");
    let begin = bench.now_ms;
    let looks: i64 = bench.redis.get("looks").unwrap();
    // The product of the second run has rules, so it is not plain. The sale ends between the two looks of the call.
    let _: () = bench.redis.hset(key("sale"), "ends", begin + looks + 2).unwrap();
    let keys = [&holding()[..], &["hold:a", "hold:b"].map(key)].concat();
    let reply = bench.call(Op::Hold, &keys, &["2", "60000", "", "1", "1=1", "1", "2=1"]);
    assert_eq!(super::decisions(&reply).iter().map(|decision| word(decision)).collect::<Vec<_>>(), ["held"; 2]);
}

#[test]
fn what_a_customer_bought_in_the_plain_way_counts_for_it() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    let entries = |bench: &mut Bench| bench.redis.hget::<_, _, String>(key("customers"), "bob").unwrap();
    let (held, pending) = (bench.now_ms + 100_000, bench.now_ms + 50_000);
    for (name, bought) in [("a", "1=2"), ("b", "1=2 1=2")] {
        let before = bought.strip_suffix("1=2").unwrap();
        assert_eq!(word(&bench.request(name, "1=2 bob", None)), "held");
        assert_eq!(entries(&mut bench), format!("{before}{held}:1:h=2"));
        assert_eq!(bench.order(name), "created");
        assert_eq!(entries(&mut bench), format!("{before}{pending}:1:p=2"));
        assert_eq!(bench.settle(name, "paid", name, "pi", "1000000"), "applied");
        assert_eq!(entries(&mut bench), bought);
    }
    for name in ["c", "d"] {
        assert_eq!(word(&bench.request(name, "1=1 bob", None)), "held");
    }
    assert_eq!(entries(&mut bench), format!("1=2 1=2 {held}:1:h=1 {held}:1:h=1"));
    bench.set_rules("", "max_per_customer=7");
    assert_eq!(word(&bench.request("e", "1=1 bob", None)), "held");
    assert_eq!(word(&bench.request("f", "1=1 bob", None)), "customer_limit_reached");
}

#[test]
fn neighbours_of_one_product_are_paid_together() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    for name in ["a", "b", "c"] {
        assert_eq!(word(&bench.request(name, "1=1", None)), "held");
    }
    assert_eq!(bench.orders(&["a", "b", "c"]), ["created"; 3]);
    let paid = ["a", "b", "c"].map(|name| [name, "paid", name, "pi", "500000"]);
    assert_eq!(bench.settle_all(&paid), ["applied"; 3]);
    assert_eq!(bench.counters(1), [6, 1, 0, 3]);
}

#[test]
fn no_event_makes_an_order_long() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    assert_eq!(word(&bench.request("a", "1=1", None)), "held");
    assert_eq!(bench.order("a"), "created");
    assert_eq!(bench.settle("a", "paid", &"e".repeat(200), "pi", "500000"), "applied");
    let order: String = bench.redis.get(key("order:a")).unwrap();
    let heard = order.split_once("\nheard\n\t").unwrap().1;
    assert!(heard.len() <= 64 && heard.ends_with('…'), "{heard}");
}

#[test]
fn a_payment_ends_the_cool_down_of_its_customer_whichever_way_it_goes() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    bench.redis.hset::<_, _, _, ()>(key("customers"), "bob", format!("abandoned=2@{}", bench.now_ms)).unwrap();
    assert_eq!(word(&bench.request("a", "1=2 bob", None)), "held");
    assert_eq!(bench.order("a"), "created");
    assert_eq!(bench.settle("a", "paid", "e", "pi", "1000000"), "applied");
    assert_eq!(bench.redis.hget::<_, _, String>(key("customers"), "bob").unwrap(), "1=2");
}

#[test]
fn a_plain_hold_that_comes_back_first_is_looked_for_first() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    bench.redis.hset::<_, _, _, ()>(key("sale"), "hold_ms", 10_000).unwrap();
    assert_eq!(word(&bench.request("a", "1=1", None)), "held");
    let first_due: i64 = bench.redis.hget(key("sale"), "first_due").unwrap();
    assert_eq!(first_due, bench.now_ms + 10_000);
    bench.advance(10_001);
    assert_eq!(bench.counters(1)[..2], [8, 2], "nobody looked yet");
    assert_eq!(word(&bench.request("b", "1=1", None)), "held");
    assert_eq!(bench.counters(1)[..2], [8, 2], "one came back, and one was taken");
}

#[test]
fn where_units_are_held_already_no_hold_is_of_nothing_or_before_its_sale() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    let nothing = [&holding()[..], &[key("hold:a")]].concat();
    let refused = bench.try_call(Op::Hold, &nothing, &["1", "60000", "", "1", "1=0"]).unwrap_err();
    assert!(refused.to_string().contains("1 to 1000000 units"), "{refused}");
    bench.redis.hset::<_, _, _, ()>(key("sale"), "starts", bench.now_ms + 1).unwrap();
    assert_eq!(word(&bench.request("a", "1=1", None)), "sale_not_started");
    bench.advance(1);
    assert_eq!(word(&bench.request("a", "1=1", None)), "held");
}

/// The catalogue without the plain ways: what is behind them decides everything.
fn long_ways() -> Catalogue {
    clock::catalogue_with(|file, text| {
        let Some((head, body)) = text.split_once("\ndo\n").filter(|_| file.starts_with("lib/plain_")) else {
            return text;
        };
        let plain = body.replacen("local is_plain", "local is_plain_too", 1);
        format!("{head}\ndo\n  local is_plain = false\n{plain}")
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
                // Without the ids, which are of the server's own clock.
                let entries: Vec<(String, Vec<String>)> =
                    redis::cmd("XRANGE").arg(&name).arg("-").arg("+").query(redis).unwrap();
                format!("{:?}", entries.into_iter().map(|(_, fields)| fields).collect::<Vec<_>>())
            }
            _ => redis.get::<_, String>(&name).unwrap(),
        };
        let lives: i64 = redis::cmd("PEXPIRETIME").arg(&name).query(redis).unwrap();
        // Of an idempotency key it depends on the server's own clock.
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
}

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
    match any(10) {
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
                        format!("e{}", any(30)),
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
        _ => Step::Price([500_000, 400_000, 7, 0][any(4)]),
    }
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
            let events: Vec<[&str; 5]> = events.iter().map(|event| event.each_ref().map(String::as_str)).collect();
            bench.settle_all(&events).into_iter().map(Value::SimpleString).collect()
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
    }
}

#[test]
fn the_plain_ways_answer_and_store_what_the_long_ones_do() {
    for seed in 0..40_u64 {
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
            let replies = [&mut short, &mut long].map(|bench| answer(bench, step));
            assert_eq!(replies[0], replies[1], "seed {seed}: {steps:?}");
            let both = [&mut short, &mut long].map(stored);
            assert_eq!(both[0], both[1], "seed {seed}: {steps:?}");
        }
    }
}
