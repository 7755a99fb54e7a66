//! The plain ways of `hold`, `order` and `settle` (lua/lib/plain_*): they ask Redis for little, and must do just what is done
//! without them.

use std::time::Duration;

use flashsale::store::Op;
use redis::{Commands, Value};

use super::{Bench, holding, key, word};

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

/// How often a script looked into the deadlines: for what is due, and for the first one behind that.
fn looks(commands: &[String]) -> usize {
    commands.iter().filter(|command| command.starts_with("ZRANGE")).count()
}

const SALE: &str = "HMGET sale last_write first_due hold_ms starts ends paused rules currency";
const ALL_OF_SALE: &str = "HMGET sale last_write first_due hold_ms hold_max_ms starts ends paused rules currency";

#[test]
fn a_plain_hold_asks_redis_for_seven_things() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    let (now, deadline) = (bench.now_ms, bench.now_ms + 100_000);
    let commands = asked(&mut bench, |bench| assert_eq!(word(&bench.request("a", "1=2", None)), "held"));
    let value: String = bench.redis.get(key("hold:a")).unwrap();
    let expected = [
        "HGET sale test_now".to_owned(),
        SALE.to_owned(),
        "HGET stock 1".to_owned(),
        format!("HSET sale last_write {}", now * 1_000 + 3),
        format!("SET hold:a {value} NX PXAT {deadline}"),
        "HSET stock 1 7 3 0 0 10 500000 5 ".to_owned(),
        format!("HINCRBY lapses {deadline}:1:h 2"),
    ];
    assert_eq!(commands, expected);
}

#[test]
fn a_refusal_asks_redis_for_little_for_as_long_as_a_product_is_sold_out() {
    let mut bench = Bench::new();
    bench.hold("last", &[("2", "1")]);
    let refuse = |bench: &mut Bench| assert_eq!(word(&bench.request("a", "2=1", None)), "insufficient_stock");
    let of_sale = |more: &[&'static str]| [&["HGET sale test_now", SALE, "HGET stock 2"], more].concat();
    assert_eq!(asked(&mut bench, refuse), of_sale(&["ZRANGE deadlines 0 0", "EXISTS hold:a"]));
    assert_eq!(bench.settle("last", "paid", "e", "pi", "500000"), "applied");
    assert_eq!(asked(&mut bench, refuse), of_sale(&["EXISTS hold:a"]));
    // The sale looks once for what is due, where there is nothing any more.
    bench.advance(100_001);
    assert_eq!(looks(&asked(&mut bench, refuse)), 2);
    assert_eq!(asked(&mut bench, refuse), of_sale(&["EXISTS hold:a"]));
}

#[test]
fn a_new_sale_knows_when_something_is_due() {
    let mut bench = Bench::new();
    let ask = |bench: &mut Bench| assert_eq!(word(&bench.request("a", "9=1", None)), "product_not_found");
    assert_eq!(looks(&asked(&mut bench, ask)), 0);
    // Somebody deletes the sale, and it is made anew.
    bench.hold("a", &[("1", "1")]);
    bench.redis.del::<_, ()>(key("sale")).unwrap();
    bench.advance(0);
    assert_eq!(bench.put_product("3", "USD", "5"), "created");
    assert_eq!(bench.redis.hget::<_, _, i64>(key("sale"), "first_due").unwrap(), bench.now_ms + 100_000);
}

#[test]
fn a_plain_order_and_its_payment_ask_redis_for_little() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    bench.hold("a", &[("1", "2")]);
    assert_eq!(bench.order("first"), "created");
    let (now, deadline, due) = (bench.now_ms, bench.now_ms + 100_000, bench.now_ms + 50_000);
    let commands = asked(&mut bench, |bench| assert_eq!(bench.order("a"), "created"));
    let pending = format!("pending {now} 50000 100000 1=2@500000 USD");
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
        format!("XADD events MAXLEN ~ 1000 {now}-* type order.created at {now} order a record {pending}"),
        "HSET stock 1 7 0 3 0 10 500000 5 ".to_owned(),
        format!("HINCRBY lapses {deadline}:1:h -2"),
        format!("HDEL lapses {deadline}:1:h"),
        format!("ZREM deadlines {deadline}:1:h"),
        format!("HINCRBY lapses {due}:1:p 2"),
        format!("HSET sale last_write {}", now * 1_000 + 5),
    ];
    assert_eq!(commands, expected);

    let commands = asked(&mut bench, |bench| assert_eq!(bench.settle("a", "paid", "e", "pi", "1000000"), "applied"));
    let of_payment = format!("payment:pi\\ncaptured=1000000 exact=1\\npaid_at\\n{now}\\npayment\\npi");
    let paid = format!("paid {now} 50000 100000 1=2@500000 USD\\n{of_payment}");
    let order: String = bench.redis.get(key("order:a")).unwrap();
    let heard = order.split_once("\nheard\n\t").unwrap().1;
    let expected = [
        "HMGET sale last_write first_due payment_ms".to_owned(),
        "HGET sale test_now".to_owned(),
        "GET once:e".to_owned(),
        "GET order:a".to_owned(),
        "HGET stock 1".to_owned(),
        "SET once:e paid-pi-1000000 PX 60000".to_owned(),
        format!("SET order:a {paid}\\nheard\\n\\t{heard}"),
        "ZREM due a".to_owned(),
        format!("XADD events MAXLEN ~ 1000 {now}-* type order.paid at {now} order a record {paid}"),
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
fn a_hold_that_limits_allow_asks_for_little_and_counts_what_counts() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    bench.put_product("3", "USD", "9");
    for (product, rules) in
        [("1", "group=g"), ("2", "group=h"), ("3", "max_per_customer=2 group=g"), ("", "max_per_group=4")]
    {
        bench.set_rules(product, rules);
    }
    let (now, deadline) = (bench.now_ms, bench.now_ms + 100_000);
    // Two of the group count, and the product of another group, what lapsed and who left before do not.
    let entries = format!("1=1 {deadline}:3:h=1 2=9 {}:1:h=8 abandoned=7@{}", now - 1_000, now - 1_000);
    let _: () = bench.redis.hset(key("customers"), "bob", &entries).unwrap();
    let commands = asked(&mut bench, |bench| assert_eq!(word(&bench.request("a", "1=2 bob", None)), "held"));
    let value: String = bench.redis.get(key("hold:a")).unwrap();
    let expected = [
        "HGET sale test_now".to_owned(),
        SALE.to_owned(),
        "HGET stock 1".to_owned(),
        "HGET customers bob".to_owned(),
        "HGET stock 3".to_owned(),
        "HGET stock 2".to_owned(),
        format!("HSET sale last_write {}", now * 1_000 + 4),
        format!("SET hold:a {value} NX PXAT {deadline}"),
        format!("HSET customers bob {entries} {deadline}:1:h=2"),
        "HSET stock 1 7 3 0 0 10 500000 5 group=g".to_owned(),
        format!("HINCRBY lapses {deadline}:1:h 2"),
    ];
    assert_eq!(commands, expected);
    assert_eq!(word(&bench.request("b", "1=1 bob", None)), "customer_limit_reached");
    assert_eq!(word(&bench.request("b", "1=1", None)), "customer_id_required");
    // One more of product 3, where its own limit is.
    bench.set_rules("", "");
    assert_eq!(word(&bench.request("c", "3=1 bob", None)), "held");
    assert_eq!(word(&bench.request("d", "3=1 bob", None)), "customer_limit_reached");
    bench.empty();
}

#[test]
fn rules_cost_a_hold_nothing_where_there_are_none() {
    let mut bench = Bench::new();
    bench.hold("first", &[("2", "1")]);
    let (now, deadline) = (bench.now_ms, bench.now_ms + 90_000);
    let commands = asked(&mut bench, |bench| assert_eq!(word(&bench.request("a", "1=2 bob\n90000", None)), "held"));
    let value: String = bench.redis.get(key("hold:a")).unwrap();
    let expected = [
        "HGET sale test_now".to_owned(),
        ALL_OF_SALE.to_owned(),
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
fn a_call_is_of_one_instant_though_each_of_its_writes_has_a_time_of_its_own() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    let begin = bench.now_ms;
    // So much of a customer is known that the second run is not plain. The first one writes in the last microsecond before the
    // sale ends.
    let _: () = bench.redis.hset(key("customers"), "bob", "1=1 ".repeat(60).trim_end()).unwrap();
    let _: () = bench.redis.hset(key("sale"), "last_write", begin * 1_000 + 998).unwrap();
    let _: () = bench.redis.hset(key("sale"), "ends", begin + 1).unwrap();
    let keys = [&holding()[..], &["hold:a", "hold:b"].map(key)].concat();
    let reply = bench.call(Op::Hold, &keys, &["2", "60000", "", "1", "1=1", "1", "2=1 bob"]);
    assert_eq!(super::decisions(&reply).iter().map(|decision| word(decision)).collect::<Vec<_>>(), ["held"; 2]);
    bench.empty();
}

#[test]
fn a_run_of_which_one_hold_is_there_already_is_not_counted_twice() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    assert_eq!(word(&bench.request("b", "1=1", None)), "held");
    let keys = [&holding()[..], &["hold:a", "hold:b", "hold:c"].map(key)].concat();
    let reply = bench.call(Op::Hold, &keys, &["3", "60000", "", "3", "1=1"]);
    assert_eq!(super::decisions(&reply).iter().map(|decision| word(decision)).collect::<Vec<_>>(), ["held"; 3]);
    assert_eq!(bench.counters(1), [6, 4, 0, 0]);
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
fn an_event_that_came_before_is_answered_between_others_and_writes_nothing() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    for name in ["a", "b", "c"] {
        // Bob has another hold all the time, and pays in the plain way all the same.
        assert_eq!(word(&bench.request(name, "1=1 bob", None)), "held");
    }
    assert_eq!(bench.orders(&["a", "b"]), ["created"; 2]);
    let [a, b] = ["a", "b"].map(|name| [name, "paid", name, "pi", "500000"]);
    assert_eq!(bench.settle_all(&[a, a, b, a]), ["applied", "duplicate", "applied", "duplicate"]);
    assert_eq!(bench.counters(1), [6, 2, 0, 2]);
    let paid = asked(&mut bench, |bench| assert_eq!(bench.settle_all(&[b, a]), ["duplicate"; 2]));
    let expected = [
        "HMGET sale last_write first_due payment_ms",
        "HGET sale test_now",
        "GET once:b",
        "GET order:b",
        "GET once:a",
        "GET order:a",
    ];
    assert_eq!(paid, expected);
    // Nobody is shown what the order heard.
    let reply = bench.settle_reply(&[(a, false), (b, false)]);
    let shown = [3, 7].map(|place| format!("{:?}", reply[place]));
    assert!(shown.iter().all(|text| text.contains("paid ") && !text.contains("heard")), "{shown:?}");
    // It is another event with the same id.
    let other = ["b", "paid", "b", "pj", "500000"];
    assert_eq!(bench.settle_all(&[a, other]), ["duplicate", "idempotency_key_reused"]);
    assert_eq!(bench.order("c"), "created");
    assert_eq!(bench.settle("c", "paid", "b", "pj", "500000"), "idempotency_key_reused");
}

#[test]
fn an_order_that_heard_of_a_payment_keeps_it_when_another_one_pays() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    assert_eq!(word(&bench.request("a", "1=1", None)), "held");
    assert_eq!(bench.order("a"), "created");
    bench.settle("a", "processing", "e1", "p1", "500000");
    let before: String = bench.redis.get(key("order:a")).unwrap();
    assert!(before.starts_with("pending ") && before.contains("payment:p1"), "{before}");
    assert_eq!(bench.settle("a", "paid", "e2", "p2", "500000"), "applied");
    let order: String = bench.redis.get(key("order:a")).unwrap();
    assert!(["payment:p1", "payment:p2", "e1", "e2"].iter().all(|what| order.contains(what)), "{order}");
    assert_eq!(bench.counters(1), [8, 1, 0, 1]);
}

#[test]
fn a_plain_hold_with_a_key_too_many_is_an_error_and_makes_nothing() {
    let mut bench = Bench::new();
    bench.hold("first", &[("1", "1")]);
    let keys = [&holding()[..], &["hold:a", "once:k"].map(key)].concat();
    let refused = bench.try_call(Op::Hold, &keys, &["1", "60000", "", "1", "1=1"]).unwrap_err();
    assert!(refused.to_string().contains("wrong number of keys"), "{refused}");
    assert_eq!(bench.counters(1), [9, 1, 0, 0]);
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
    // A hold of bob lapses, and somebody gives it back, before the order is paid.
    assert_eq!(word(&bench.request("lapses", "1=1 bob", None)), "held");
    bench.advance(60_000);
    assert_eq!(word(&bench.request("b", "1=1 bob", None)), "held");
    assert_eq!(bench.order("b"), "created");
    bench.advance(41_000);
    assert_eq!(word(&bench.request("of_ann", "1=1", None)), "held");
    assert_eq!(bench.settle("b", "paid", "f", "pi", "500000"), "applied");
    assert_eq!(bench.redis.hget::<_, _, String>(key("customers"), "bob").unwrap(), "1=3");
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
