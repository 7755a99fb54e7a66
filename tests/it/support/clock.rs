//! A clock that the test sets. The scripts of the service take their time only from Redis. These read it from the sale.

use flashsale::store::Catalogue;
use redis::{Commands, Connection};

use super::mutant;

/// A day ahead of the server's own clock, so that Redis drops no key by its TTL while a test runs.
pub const AHEAD_MS: i64 = 86_400_000;

/// The scripts of the service, with one line changed: where the time comes from.
pub fn catalogue() -> Catalogue {
    catalogue_with(|_, text| text)
}

/// The same, with files changed further.
pub fn catalogue_with(edit: impl Fn(&str, String) -> String) -> Catalogue {
    let own = "local time = redis.call('TIME')";
    let set = "local ms = tonumber(redis.call('HGET', KEYS[1], 'test_now') or 0)\n  \
               local time = { math.floor(ms / 1000), (ms % 1000) * 1000 }";
    Catalogue::edited(|file, text| {
        let text = mutant::edit(file, text);
        assert!(file != "lib/clock.lua" || text.contains(own));
        edit(file, text.replace(own, set))
    })
}

pub fn set_now(redis: &mut Connection, sale: &str, now_ms: i64) {
    redis.hset::<_, _, _, ()>(format!("fs1:{{{sale}}}:sale"), "test_now", now_ms).unwrap();
}

/// A round instant to start from.
pub fn start_ms(redis: &mut Connection) -> i64 {
    let (seconds, _micros): (i64, i64) = redis::cmd("TIME").query(redis).unwrap();
    seconds * 1_000 + AHEAD_MS
}
