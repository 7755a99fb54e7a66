//! Durability of money: what must have happened to the effect of a payment event before it is answered.

use std::time::Duration;

use redis::{Cmd, Value};

use super::Failure;

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

/// What is waited for behind a call, on the connection of that call.
#[derive(Clone, Copy, Debug)]
pub struct Barrier {
    durability: Durability,
    timeout: Duration,
}

impl Barrier {
    /// `None` where nothing needs to be waited for. `is_always`: this server answers only what is on its disk.
    pub fn of(demand: Demand, is_always: bool) -> Option<Self> {
        let Demand { payments, timeout, .. } = demand;
        match payments {
            Durability::Memory => None,
            Durability::Fsync if is_always => None,
            durability => Some(Self { durability, timeout }),
        }
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// WAITAOF or WAIT: both wait for the last write of the connection that sends them.
    pub fn command(&self) -> Cmd {
        let ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        match self.durability {
            Durability::Replicas(count) => {
                let mut wait = redis::cmd("WAIT");
                wait.arg(count).arg(ms);
                wait
            }
            Durability::Memory | Durability::Fsync => {
                let mut wait = redis::cmd("WAITAOF");
                wait.arg(1).arg(0).arg(ms);
                wait
            }
        }
    }

    /// # Errors
    /// [`Failure::TimedOut`] when it was not reached in time.
    pub fn check(&self, reached: &Value) -> Result<(), Failure> {
        let ms = self.timeout.as_millis();
        match (self.durability, reached) {
            (Durability::Replicas(count), Value::Int(acknowledged)) if *acknowledged >= i64::from(count) => Ok(()),
            (Durability::Replicas(count), _) => {
                Err(Failure::TimedOut(format!("fewer than {count} replicas have the payment after {ms} ms")))
            }
            (_, Value::Array(counts)) if matches!(counts.first(), Some(Value::Int(1..))) => Ok(()),
            _ => Err(Failure::TimedOut(format!("the payment is not on disk after {ms} ms"))),
        }
    }
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
