//! Durability of money: what must have happened to the effect of a payment event before it is answered.

use std::time::Duration;

use redis::{Cmd, Value};

use super::error::Failure;

/// What an answer to a payment event means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Redis has it; how long that lasts is up to its own settings.
    Memory,
    /// It is on the disk of the primary.
    Fsync,
    /// So many replicas have it in memory.
    Replicas(u32),
}

impl Durability {
    /// `memory`, `fsync`, or `replicas:N` with N from 1 to 100.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "memory" => Some(Self::Memory),
            None if text == "fsync" => Some(Self::Fsync),
            Some(("replicas", count)) => {
                count.parse().ok().filter(|count| (1..=100).contains(count)).map(Self::Replicas)
            }
            _ => None,
        }
    }
}

/// What is asked of Redis, and how long to wait for it.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    pub payments: Durability,
    pub timeout: Duration,
    /// The server is embedded, so that its settings are ours.
    pub is_ours: bool,
}

/// What a server can do for what is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsyncs {
    /// It can be waited for.
    WhenAsked,
    /// Its settings say that it answers nothing else.
    Always,
    /// As `Always`, but by our word, which it forgets when it ends: whoever connects says it again.
    WhenTold,
}

/// What makes an answer to a call durable, on the connection of that call.
#[derive(Clone, Copy, Debug)]
pub struct Barrier {
    reach: Reach,
    timeout: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Reach {
    Replicas(u32),
    Disk,
    DiskBeforeAnswer,
}

impl Barrier {
    /// `None` where an answer means enough as it is.
    pub fn of(demand: Demand, fsyncs: Fsyncs) -> Option<Self> {
        let reach = match (demand.payments, fsyncs) {
            (Durability::Memory, _) | (Durability::Fsync, Fsyncs::Always) => return None,
            (Durability::Fsync, Fsyncs::WhenAsked) => Reach::Disk,
            (Durability::Fsync, Fsyncs::WhenTold) => Reach::DiskBeforeAnswer,
            (Durability::Replicas(count), _) => Reach::Replicas(count),
        };
        Some(Self { reach, timeout: demand.timeout })
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What is said once on a connection, before its first call.
    pub fn greeting(&self) -> Option<Cmd> {
        matches!(self.reach, Reach::DiskBeforeAnswer).then(fsync_always)
    }

    /// What is waited for behind a call. WAITAOF or WAIT: both wait for the last write of the connection that sends them.
    pub fn command(&self) -> Option<Cmd> {
        let ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let mut wait;
        match self.reach {
            Reach::Replicas(count) => {
                wait = redis::cmd("WAIT");
                wait.arg(count).arg(ms);
            }
            Reach::Disk => {
                wait = redis::cmd("WAITAOF");
                wait.arg(1).arg(0).arg(ms);
            }
            Reach::DiskBeforeAnswer => return None,
        }
        Some(wait)
    }

    /// # Errors
    /// [`Failure::TimedOut`] when it was not reached in time.
    pub fn check(&self, reached: &Value) -> Result<(), Failure> {
        let ms = self.timeout.as_millis();
        match (self.reach, reached) {
            (Reach::Replicas(count), Value::Int(acknowledged)) if *acknowledged >= i64::from(count) => Ok(()),
            (Reach::Replicas(count), _) => {
                Err(Failure::TimedOut(format!("fewer than {count} replicas have the payment after {ms} ms")))
            }
            (_, Value::Array(counts)) if matches!(counts.first(), Some(Value::Int(1..))) => Ok(()),
            _ => Err(Failure::TimedOut(format!("the payment is not on disk after {ms} ms"))),
        }
    }
}

/// Tells a server to answer only what is on its disk.
pub fn fsync_always() -> Cmd {
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("appendfsync").arg("always");
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durability_is_one_of_three_words() {
        assert_eq!(Durability::parse("memory"), Some(Durability::Memory));
        assert_eq!(Durability::parse("fsync"), Some(Durability::Fsync));
        assert_eq!(Durability::parse("replicas:2"), Some(Durability::Replicas(2)));
        for text in ["", "disk", "memory:1", "replicas", "replicas:", "replicas:0", "replicas:101", "replicas:-1"] {
            assert_eq!(Durability::parse(text), None, "{text}");
        }
    }
}
