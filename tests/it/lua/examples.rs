//! The worked call in the header of each script answers what it says, and a call with a wrong number of keys or arguments
//! answers an error and writes nothing.

use flashsale::store::Op;
use redis::{Commands, Value};

use super::{Bench, book, key};
use crate::support::clock;

/// The time of the worked calls: 2100-01-01, so that no key expires by the clock of the server.
const NOW_MS: i64 = 4_102_444_800_000;

const ARITY: &str = "wrong number of keys or arguments";

struct Example {
    keys: Vec<String>,
    arguments: Vec<String>,
    reply: Vec<Value>,
}

/// Reads `KEYS = { … }  ARGV = { … }  ->  { … }`. Redis itself evaluates the three tables. `book` stands for the keys of the
/// book, and names of keys come without their prefix.
fn example(bench: &mut Bench, op: Op) -> Example {
    let path = format!("{}/lua/{}.lua", env!("CARGO_MANIFEST_DIR"), op.name());
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n-- e.g.   ").unwrap_or_else(|| panic!("{} has no worked call", op.name()));
    let lines =
        section.lines().enumerate().map_while(|(n, line)| if n == 0 { Some(line) } else { line.strip_prefix("--  ") });
    let call = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    let names: Vec<String> = book().iter().map(|name| format!("'{}'", name.replace("fs1:{s}:", ""))).collect();
    let tables = call.strip_prefix("KEYS = ").unwrap().replace("{ book", &format!("{{ {}", names.join(", ")));
    let tables = tables.replace("ARGV = ", ", ").replace("->", ",");
    let tables = tables.replace(", ... ", ", '...' ").replace("{ ... }", "{ '...' }");
    let read: Vec<Vec<Value>> =
        redis::cmd("EVAL").arg(format!("return {{ {tables} }}")).arg(0).query(&mut bench.redis).unwrap();
    let [keys, arguments, reply] = read.try_into().unwrap_or_else(|_| panic!("{}: {call}", op.name()));
    let texts = |values: &[Value]| {
        values.iter().map(|value| redis::from_redis_value_ref(value).unwrap()).collect::<Vec<String>>()
    };
    let full = |name: String| {
        if ["products", "skus"].contains(&name.as_str()) { format!("fs1:{{:all}}:{name}") } else { key(&name) }
    };
    Example { keys: texts(&keys).into_iter().map(full).collect(), arguments: texts(&arguments), reply }
}

/// The state before a worked call, as lua/README.md describes it: two products, a hold h1, an order o1, and a review of a payment for a hold
/// that was gone.
fn set_scene(bench: &mut Bench, op: Op) {
    bench.now_ms = NOW_MS;
    bench.empty();
    bench.request("h1", "1=2 alice", None);
    bench.hold("o1", &[("1", "1")]);
    assert_eq!(bench.order("o1"), "created");
    assert_eq!(bench.settle("gone", "paid", "e1", "pi_1", "500000"), "refund_required");
    match op {
        Op::Expire | Op::FindDue => bench.advance(60_000),
        Op::PutSale => {
            bench.redis.del::<_, ()>(key("sale")).unwrap();
            clock::set_now(&mut bench.redis, "s", NOW_MS);
        }
        _ => {}
    }
}

fn call(bench: &mut Bench, op: Op, keys: &[String], arguments: &[String]) -> redis::RedisResult<Vec<Value>> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    bench.try_call(op, keys, &arguments)
}

/// `'...'` as the last of a list agrees with all that is left, and at the end of a text with the rest of it.
fn agrees(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Array(expected), Value::Array(found)) => match expected.split_last() {
            Some((Value::BulkString(last), first)) if last == b"..." => {
                first.len() <= found.len() && first.iter().zip(found).all(|(a, b)| agrees(a, b))
            }
            _ => expected.len() == found.len() && expected.iter().zip(found).all(|(a, b)| agrees(a, b)),
        },
        (Value::BulkString(expected), Value::BulkString(found)) => {
            expected.strip_suffix(b"...").map_or(expected == found, |start| found.starts_with(start))
        }
        (expected, found) => expected == found,
    }
}

#[test]
fn the_worked_call_of_every_header_answers_what_it_says() {
    let mut bench = Bench::new();
    let mut wrong = Vec::new();
    for op in Op::ALL {
        set_scene(&mut bench, op);
        let Example { keys, arguments, reply } = example(&mut bench, op);
        let found = call(&mut bench, op, &keys, &arguments).unwrap_or_else(|error| panic!("{}: {error}", op.name()));
        if !agrees(&Value::Array(reply), &Value::Array(found.clone())) {
            wrong.push(format!("{} answers {found:?}", op.name()));
        }
    }
    bench.empty();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Changes since the server began. A script that writes nothing leaves the number as it is.
fn changes(bench: &mut Bench) -> u64 {
    let text: String = redis::cmd("INFO").arg("persistence").query(&mut bench.redis).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("rdb_changes_since_last_save:"));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_wrong_number_of_keys_or_arguments_is_an_error_and_writes_nothing() {
    let mut bench = Bench::new();
    for op in Op::ALL {
        set_scene(&mut bench, op);
        let Example { keys, arguments, .. } = example(&mut bench, op);
        // Any number of keys may follow these.
        let least = match op {
            Op::AuditHolds | Op::ReadOrders | Op::Confirm => Some(1),
            Op::Expire => Some(8),
            _ => None,
        };
        let one_key_less = keys[..least.unwrap_or(keys.len()) - 1].to_vec();
        let one_argument_more = [&arguments[..], &["x".to_owned()]].concat();
        let mut calls = vec![(one_key_less, arguments.clone()), (keys.clone(), one_argument_more)];
        if least.is_none() {
            calls.push(([&keys[..], &[format!("{}-more", keys[0])]].concat(), arguments.clone()));
        }
        for (keys, arguments) in calls {
            let before = changes(&mut bench);
            let error = call(&mut bench, op, &keys, &arguments).expect_err(op.name()).to_string();
            let expected = if op == Op::Repair && arguments.len() > 4 { "seven lines" } else { ARITY };
            assert!(error.contains(expected), "{} {keys:?} {arguments:?}: {error}", op.name());
            assert_eq!(changes(&mut bench), before, "{} wrote", op.name());
        }
    }
    bench.empty();
}

#[test]
fn a_worked_call_that_is_wrong_is_found() {
    let text = |text: &str| Value::BulkString(text.into());
    let found = Value::Array(vec![text("held"), Value::Int(5), text("status\npaid")]);
    for (expected, same) in [
        (vec![text("held"), Value::Int(5), text("status...")], true),
        (vec![text("held"), text("...")], true),
        (vec![text("held"), Value::Int(6), text("...")], false),
        (vec![text("held"), Value::Int(5), text("lines...")], false),
        (vec![text("held"), Value::Int(5)], false),
    ] {
        assert_eq!(agrees(&Value::Array(expected), &found), same);
    }
}
