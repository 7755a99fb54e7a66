//! Redis alone: what a hold costs it, called with 64 holds, and how many bytes one takes, as the number of live holds grows.

use std::io;

use flashsale::store::{Catalogue, script::Op};

use crate::stand::{Durability, Redis};

const HOLDS_PER_CALL: usize = 64;

/// What holds cost Redis while there are so many.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    pub live: usize,
    /// Time in the script for each hold of the last tenth, in microseconds.
    pub us_per_hold: f64,
    pub bytes_per_hold: f64,
}

/// # Errors
/// When Redis cannot be started or used.
pub fn growth(marks: &[usize]) -> io::Result<Vec<Growth>> {
    let redis = Redis::start(Durability::Off)?;
    let mut connection = redis.connect()?;
    let source = &Catalogue::compiled().script(Op::Hold).source.clone();
    let mut load = redis::cmd("SCRIPT");
    let sha: String = load.arg("LOAD").arg(source).query(&mut connection).map_err(io::Error::other)?;
    prepare(&mut connection)?;
    let empty_bytes = info(&mut connection, "memory", "used_memory:")?;
    let mut live = 0;
    let mut grown = Vec::new();
    for mark in marks {
        let last_tenth = mark - (mark / 10).max(HOLDS_PER_CALL);
        hold_until(&mut connection, &sha, &mut live, last_tenth)?;
        let (from, before_us) = (live, script_us(&mut connection)?);
        hold_until(&mut connection, &sha, &mut live, *mark)?;
        let us = script_us(&mut connection)? - before_us;
        let bytes = info(&mut connection, "memory", "used_memory:")? - empty_bytes;
        grown.push(Growth { live, us_per_hold: us / count(live - from), bytes_per_hold: bytes / count(live) });
    }
    Ok(grown)
}

fn prepare(connection: &mut redis::Connection) -> io::Result<()> {
    let mut pipe = redis::pipe();
    pipe.cmd("HSET").arg("fs1:{p1}:sale").arg(&["currency", "USD", "hold_ms", "900000", "hold_max_ms", "3600000"]);
    let units = "1000000000";
    let stock = ["1:total", units, "1:available", units, "1:held", "0", "1:pending", "0", "1:sold", "0"];
    pipe.cmd("HSET").arg("fs1:{p1}:stock").arg(&stock).arg(&["1:price", "10000", "1:max_per_hold", "10"]);
    pipe.exec(connection).map_err(io::Error::other)
}

fn hold_until(connection: &mut redis::Connection, sha: &str, live: &mut usize, mark: usize) -> io::Result<()> {
    while *live < mark {
        let mut call = redis::cmd("EVALSHA");
        call.arg(sha).arg(4 + HOLDS_PER_CALL);
        ["sale", "stock", "lapses", "deadlines"].iter().for_each(|name| _ = call.arg(format!("fs1:{{p1}}:{name}")));
        (0..HOLDS_PER_CALL).for_each(|n| _ = call.arg(format!("fs1:{{p1}}:hold:{}", nonce(*live + n))));
        call.arg(HOLDS_PER_CALL).arg(86_400_000).arg(HOLDS_PER_CALL).arg("1=1");
        call.exec(connection).map_err(io::Error::other)?;
        *live += HOLDS_PER_CALL;
    }
    Ok(())
}

/// Twelve characters as the service's are: each number its own, scattered.
fn nonce(n: usize) -> String {
    format!("{:012x}", (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16)
}

fn script_us(connection: &mut redis::Connection) -> io::Result<f64> {
    info(connection, "commandstats", "cmdstat_evalsha:").or(Ok(0.0))
}

/// A figure of INFO: the number behind the name, or its `usec`.
fn info(connection: &mut redis::Connection, section: &str, name: &str) -> io::Result<f64> {
    let text: String = redis::cmd("INFO").arg(section).query(connection).map_err(io::Error::other)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
    let value = line.split(',').find_map(|part| part.strip_prefix("usec=")).unwrap_or(line);
    value.trim().parse().map_err(|_| io::Error::other(format!("INFO {section} has no {name}")))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}
