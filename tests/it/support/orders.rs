//! Orders as Redis has them: fields and values in turn, one in each line.

use std::collections::BTreeMap;

use redis::{Commands, Connection};

pub fn stored_order(connection: &mut Connection, key: &str) -> BTreeMap<String, String> {
    let text: String = connection.get(key).unwrap();
    let lines: Vec<&str> = text.split('\n').collect();
    assert!(lines.len().is_multiple_of(2), "{text:?}");
    lines.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
}

/// Writes it as another hand would. The deadline of its key stays.
pub fn write_status(connection: &mut Connection, key: &str, status: &str) {
    let text: String = connection.get(key).unwrap();
    let (_, rest) = text.strip_prefix("status\n").and_then(|text| text.split_once('\n')).unwrap();
    let text = format!("status\n{status}\n{rest}");
    redis::cmd("SET").arg(key).arg(text).arg("KEEPTTL").exec(connection).unwrap();
}

/// The deadline in the value of a hold: `<lines> <made>+<length> …`, both in seconds.
pub fn deadline_of_hold(value: &str) -> u64 {
    let term = value.lines().next().and_then(|line| line.split(' ').nth(1)).unwrap();
    term.split('+').map(|seconds| seconds.parse::<u64>().unwrap()).sum::<u64>() * 1_000
}
