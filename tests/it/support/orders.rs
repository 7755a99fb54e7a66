//! Orders as Redis has them: a head of what all have, and below it the fields and values of each in turn (lua/lib/book.lua).

use std::collections::BTreeMap;

use redis::{Commands, Connection};

/// By name, with absolute instants. What it does not have is missing.
pub fn stored_order(connection: &mut Connection, key: &str) -> BTreeMap<String, String> {
    let text: String = connection.get(key).unwrap();
    let lines: Vec<&str> = text.split('\n').collect();
    assert!(!lines.len().is_multiple_of(2), "{text:?}");
    let head: Vec<&str> = lines[0].splitn(7, ' ').collect();
    let created: i64 = head[1].parse().unwrap();
    let later = |text: &str| text.parse::<i64>().map_or_else(|_| String::new(), |ms| (created + ms).to_string());
    let mut order = BTreeMap::new();
    let mut put = |name: &str, value: String| (!value.is_empty()).then(|| order.insert(name.to_owned(), value));
    put("status", head[0].to_owned());
    put("created", created.to_string());
    put("due", later(head[2]));
    put("hold_deadline", later(head[3]));
    put("total", total(head[4]));
    put("currency", head[5].to_owned());
    put("customer", head.get(6).copied().unwrap_or_default().to_owned());
    order.insert("lines".to_owned(), head[4].to_owned());
    order.extend(lines[1..].chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())));
    order
}

/// Of lines such as `1=2@500000,7=1@1`.
fn total(lines: &str) -> String {
    let costs = lines.split(',').filter_map(|line| line.split_once('=')?.1.split_once('@'));
    let sum: u64 = costs.map(|(units, price)| units.parse::<u64>().unwrap() * price.parse::<u64>().unwrap()).sum();
    if lines.is_empty() { String::new() } else { sum.to_string() }
}

/// Writes it as another hand would. The deadline of its key stays.
pub fn write_status(connection: &mut Connection, key: &str, status: &str) {
    let text: String = connection.get(key).unwrap();
    let (_, rest) = text.split_once(' ').unwrap();
    let text = format!("{status} {rest}");
    redis::cmd("SET").arg(key).arg(text).arg("KEEPTTL").exec(connection).unwrap();
}

/// The deadline in the value of a hold: `<lines> <made>+<length> …`, both in seconds.
pub fn deadline_of_hold(value: &str) -> u64 {
    let term = value.lines().next().and_then(|line| line.split(' ').nth(1)).unwrap();
    term.split('+').map(|seconds| seconds.parse::<u64>().unwrap()).sum::<u64>() * 1_000
}
