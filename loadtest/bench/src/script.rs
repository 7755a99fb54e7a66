//! The service's `hold` script, called as the service calls it, where HTTP would take too long.

use std::{io, time::Duration};

use flashsale::store::{Catalogue, Op};

use crate::stand::Redis;

pub const HOLDS_PER_CALL: usize = 64;

/// Holds of one unit of product 1, each with an id of its own.
pub struct Holds {
    connection: redis::Connection,
    sha: String,
    made: usize,
}

impl Holds {
    /// # Errors
    /// When Redis does not answer.
    pub fn of(redis: &Redis) -> io::Result<Self> {
        let mut connection = redis.connect()?;
        let source = &Catalogue::compiled().script(Op::Hold).source.clone();
        let mut load = redis::cmd("SCRIPT");
        let sha = load.arg("LOAD").arg(source).query(&mut connection).map_err(io::Error::other)?;
        Ok(Self { connection, sha, made: 0 })
    }

    pub fn made(&self) -> usize {
        self.made
    }

    pub fn connection(&mut self) -> &mut redis::Connection {
        &mut self.connection
    }

    /// One call, for holds of this length or of the sale's.
    pub fn hold(&mut self, lasting: Option<Duration>) -> io::Result<()> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.sha).arg(5 + HOLDS_PER_CALL);
        ["sale", "stock", "lapses", "deadlines", "customers"]
            .iter()
            .for_each(|name| _ = call.arg(format!("fs1:{{p1}}:{name}")));
        (0..HOLDS_PER_CALL).for_each(|n| _ = call.arg(key(self.made + n)));
        let wish = lasting.map_or_else(|| "1=1".to_owned(), |lasting| format!("1=1\n{}", lasting.as_millis()));
        call.arg(HOLDS_PER_CALL).arg(86_400_000).arg("").arg(HOLDS_PER_CALL).arg(wish);
        let reply: redis::Value = call.query(&mut self.connection).map_err(io::Error::other)?;
        // The reply has the number of decided holds, the time, and one run of holds with the same outcome.
        let redis::Value::Array(parts) = &reply else { return Err(unexpected(&reply)) };
        let all = redis::Value::Int(i64::try_from(HOLDS_PER_CALL).unwrap_or(i64::MAX));
        if parts.get(2) != Some(&all) {
            return Err(unexpected(&reply));
        }
        self.made += HOLDS_PER_CALL;
        Ok(())
    }

    /// Drops the keys of the last holds, so that there are as many keys as before. The counters of the sale stay changed.
    pub fn drop_last(&mut self, holds: usize) -> io::Result<()> {
        let mut unlink = redis::cmd("UNLINK");
        (self.made - holds..self.made).for_each(|n| _ = unlink.arg(key(n)));
        unlink.exec(&mut self.connection).map_err(io::Error::other)
    }
}

fn unexpected(reply: &redis::Value) -> io::Error {
    io::Error::other(format!("the hold script answers {reply:?}"))
}

/// An id of twelve characters like the service's, another one for each number, scattered.
fn key(n: usize) -> String {
    format!("fs1:{{p1}}:hold:{:012x}", (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn count(n: usize) -> f64 {
    n as f64
}
