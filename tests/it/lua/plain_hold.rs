//! Rules that a sale and its products do not have cost a hold nothing: Redis gets the same commands as if there were none.

use std::time::Duration;

use redis::Commands;

use super::{Bench, key, word};

/// What the scripts ask Redis during `run`, one command a line, without the prefix of the keys.
fn asked(bench: &mut Bench, run: impl FnOnce(&mut Bench)) -> Vec<String> {
    let mut monitor = bench.server.connect();
    redis::cmd("MONITOR").exec(&mut monitor).unwrap();
    monitor.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    run(bench);
    redis::cmd("ECHO").arg("over").exec(&mut bench.redis).unwrap();
    let mut lines = Vec::new();
    loop {
        let redis::Value::SimpleString(line) = monitor.recv_response().unwrap() else { panic!("no line") };
        if line.ends_with("\"ECHO\" \"over\"") {
            return lines;
        }
        if let Some((_, command)) = line.split_once(" lua] ") {
            lines.push(command.replace(&key(""), "").replace('"', ""));
        }
    }
}

#[test]
fn a_hold_without_rules_asks_redis_for_nothing_more() {
    let mut bench = Bench::new();
    bench.hold("first", &[("2", "1")]);
    let (now, deadline) = (bench.now_ms, bench.now_ms + 100_000);
    let commands = asked(&mut bench, |bench| assert_eq!(word(&bench.request("a", "1=2 bob", None)), "held"));
    let value: String = bench.redis.get(key("hold:a")).unwrap();
    let expected = [
        "HMGET sale last_write hold_ms hold_max_ms starts ends paused rules currency".to_owned(),
        "HGET sale test_now".to_owned(),
        format!("ZRANGE deadlines -inf ({now} BYSCORE LIMIT 0 512"),
        "EXISTS hold:a".to_owned(),
        "HMGET stock 1:available 1:held 1:pending 1:max_per_hold 1:rules 1:price".to_owned(),
        "HGET customers bob".to_owned(),
        format!("SET hold:a {value} PXAT {deadline}"),
        format!("HINCRBY lapses {deadline}:1:h 2"),
        format!("ZADD deadlines {deadline} {deadline}:1:h"),
        format!("HSET customers bob {deadline}:1:h=2"),
        "HSET stock 1:available 8 1:held 2".to_owned(),
        format!("HSET sale last_write {}", now * 1_000 + 3),
    ];
    assert_eq!(commands, expected);
}
