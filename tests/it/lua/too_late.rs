//! Holds whose callers have given up, by the clock of the server.

use flashsale::store::Op;
use redis::{Commands, Value};

use super::{Bench, holding, key, word};

/// The reply to a call for one unit of product 2 whose caller gives up at this time of the server's clock.
pub(super) fn hold_until(bench: &mut Bench, hold: &str, not_after: i64) -> Vec<Value> {
    let keys = [&holding()[..], &[key(&format!("hold:{hold}"))]].concat();
    bench.call(Op::Hold, &keys, &["1", "60000", &not_after.to_string(), "1", "2=1"])
}

#[test]
fn a_hold_whose_caller_has_given_up_does_nothing() {
    let mut bench = Bench::new();
    bench.hold("a", &[("2", "1")]);
    bench.advance(101_001);
    let lapses: Vec<(String, i64)> = bench.redis.hgetall(key("lapses")).unwrap();
    let now_ms = bench.now_ms;
    let late = hold_until(&mut bench, "b", now_ms - 1);
    assert_eq!((word(&late), &late[1..]), ("too_late".to_owned(), &[Value::Int(now_ms)][..]));
    assert_eq!(
        bench.redis.hgetall::<_, Vec<(String, i64)>>(key("lapses")).unwrap(),
        lapses,
        "it reclaims nothing either"
    );
    assert_eq!(bench.counters(2), [0, 1, 0, 0]);
    assert_eq!(word(&hold_until(&mut bench, "b", now_ms)), "decided", "in the last millisecond it is in time");
    assert_eq!(bench.counters(2), [0, 1, 0, 0], "the unit that lapsed was held again");
}

#[test]
fn a_wrong_time_of_the_caller_holds_nothing_that_is_not_free() {
    let mut bench = Bench::new();
    bench.hold("a", &[("2", "1")]);
    for not_after in [bench.now_ms, bench.now_ms + 101_001, i64::MAX] {
        let decided = hold_until(&mut bench, "b", not_after);
        assert_eq!(word(&decided[3..]), "insufficient_stock", "{not_after}: its hold lives by the server's clock");
    }
    for not_after in [i64::MIN, -1, 0, bench.now_ms - 101_001] {
        assert_eq!(word(&hold_until(&mut bench, "b", not_after)), "too_late", "{not_after}");
    }
    // The clock of the server stepped back, and that of the sale did not: the caller speaks of that of the server.
    bench.advance(-50_000);
    let now_ms = bench.now_ms;
    assert_eq!(word(&hold_until(&mut bench, "b", now_ms)), "decided");
    assert_eq!(bench.counters(2), [0, 1, 0, 0]);
}
