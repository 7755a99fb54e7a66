//! What somebody changed in Redis by hand: it stops what needs it, and leaves nothing half done.

use flashsale::store::Op;
use redis::{Commands, RedisResult, Value};

use super::{BOOK_ARGUMENTS, Bench, book, bounds::restock, call_of_settle, key};
use crate::support::invariants;

const ALL: [&str; 3] = ["a", "b", "c"];

/// Makes a key one of another type, and returns what was there.
fn spoil(bench: &mut Bench, name: &str) -> Option<Vec<u8>> {
    let was = redis::cmd("DUMP").arg(key(name)).query(&mut bench.redis).unwrap();
    bench.redis.del::<_, ()>(key(name)).unwrap();
    bench.redis.rpush::<_, _, ()>(key(name), "no text").unwrap();
    was
}

fn mend(bench: &mut Bench, name: &str, was: Option<Vec<u8>>) {
    bench.redis.del::<_, ()>(key(name)).unwrap();
    if let Some(was) = was {
        redis::cmd("RESTORE").arg(key(name)).arg(0).arg(was).exec(&mut bench.redis).unwrap();
    }
}

fn order_all(bench: &mut Bench) -> RedisResult<Vec<Value>> {
    let pairs = ALL.iter().flat_map(|hold| [key(&format!("hold:{hold}")), key(&format!("order:{hold}"))]);
    let keys: Vec<String> = book().into_iter().chain(pairs).collect();
    bench.try_call(Op::Order, &keys, &BOOK_ARGUMENTS)
}

fn pay_all(bench: &mut Bench) -> RedisResult<Vec<Value>> {
    let payments = ALL.map(|hold| format!("pi_{hold}"));
    let events = ALL.iter().zip(&payments).map(|(hold, pi)| ([*hold, "paid", *hold, pi, "500000"], false));
    let (keys, arguments) = call_of_settle(&events.collect::<Vec<_>>());
    bench.try_call(Op::Settle, &keys, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Three holds of one customer.
fn three_holds() -> Bench {
    let mut bench = Bench::new();
    for hold in ALL {
        bench.request(hold, "1=1 ann", None);
    }
    bench
}

#[test]
fn an_order_in_front_of_a_hold_of_another_type_is_made_whole() {
    let mut bench = three_holds();
    for name in ["hold:b", "customers"] {
        let was = spoil(&mut bench, name);
        assert!(order_all(&mut bench).is_err(), "{name}");
        mend(&mut bench, name, was);
        invariants::check(&mut bench.redis);
    }
    assert_eq!(bench.counters(1), [7, 2, 1, 0], "one was ordered before the call came to the other");
    order_all(&mut bench).unwrap();
    assert_eq!(bench.counters(1), [7, 0, 3, 0]);
}

#[test]
fn a_payment_in_front_of_a_key_of_another_type_is_made_whole() {
    // Money for an order that cannot be read is kept for a person.
    for (name, fails, counters) in
        [("once:b", false, [7, 0, 0, 3]), ("order:b", false, [7, 0, 1, 2]), ("customers", true, [7, 0, 3, 0])]
    {
        let mut bench = three_holds();
        order_all(&mut bench).unwrap();
        let was = spoil(&mut bench, name);
        assert_eq!(pay_all(&mut bench).is_err(), fails, "{name}");
        if name == "customers" {
            mend(&mut bench, name, was);
            invariants::check(&mut bench.redis);
        }
        assert_eq!(bench.counters(1), counters, "{name}");
        assert_eq!(bench.settle("a", "paid", "a", "pi_a", "500000"), if fails { "applied" } else { "duplicate" });
        bench.empty();
    }
}

#[test]
fn a_clock_of_a_sale_that_somebody_took_back_stops_nothing() {
    let mut bench = Bench::new();
    for hold in ["before", "a", "b"] {
        bench.hold(hold, &[("1", "1")]);
    }
    bench.order("before");
    let length = |bench: &mut Bench| redis::cmd("XLEN").arg(key("events")).query::<usize>(&mut bench.redis).unwrap();
    let logged = length(&mut bench);
    // Behind the last entry of the log.
    bench.advance(-10);
    bench.redis.hset::<_, _, _, ()>(key("sale"), "last_write", bench.now_ms * 1_000).unwrap();
    assert_eq!(bench.orders(&["a", "b"]), ["created"; 2]);
    assert_eq!(bench.settle("a", "paid", "a", "pi_a", "500000"), "applied");
    assert_eq!(restock(&mut bench, "delta", "2", "20", &[]), "restocked");
    assert_eq!((bench.counters(1), length(&mut bench)), ([9, 0, 2, 1], logged + 4));
    bench.empty();
}
