//! Durability of money: where the effect of a payment event must be before the service answers the event.

use std::time::Duration;

use redis::{Cmd, Value};

use super::error::Failure;

/// What an answer to a payment event means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// In Redis. Its own settings decide how soon it is on disk.
    Memory,
    /// On the disk of the primary.
    Fsync,
    /// In the memory of so many replicas.
    Replicas(u32),
}

impl Durability {
    /// `memory`, `fsync`, or `replicas:N` with N from 1 to 100.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "memory" => Some(Self::Memory),
            None if text == "fsync" => Some(Self::Fsync),
            Some(("replicas", count)) if !count.starts_with('+') => {
                count.parse().ok().filter(|count| (1..=100).contains(count)).map(Self::Replicas)
            }
            _ => None,
        }
    }
}

/// The durability that the settings ask for, and how long the service waits for it.
#[derive(Clone, Copy, Debug)]
pub struct DurabilityWanted {
    pub payments: Durability,
    pub timeout: Duration,
    /// The server is embedded, so the service may change its settings.
    pub is_ours: bool,
}

/// How a server makes sure that something is on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsyncSupport {
    /// It has WAITAOF.
    Waitaof,
    /// Its own settings say `appendfsync always`.
    AlwaysConfigured,
    /// The service sets `appendfsync always`. A server forgets that when it ends, so each new connection sets it again.
    AlwaysSetByUs,
}

/// A wait behind a call, on the same connection, until the writes of that call are durable.
#[derive(Clone, Copy, Debug)]
pub struct Barrier {
    guarantee: Guarantee,
    timeout: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Guarantee {
    Wait {
        replicas: u32,
    },
    Waitaof,
    /// The server answers only what is on its disk, so there is nothing to wait for.
    AppendfsyncAlways,
}

impl Barrier {
    /// `None` where every answer of the server is durable enough.
    pub fn of(wanted: DurabilityWanted, fsync: FsyncSupport) -> Option<Self> {
        let guarantee = match (wanted.payments, fsync) {
            (Durability::Memory, _) | (Durability::Fsync, FsyncSupport::AlwaysConfigured) => return None,
            (Durability::Fsync, FsyncSupport::Waitaof) => Guarantee::Waitaof,
            (Durability::Fsync, FsyncSupport::AlwaysSetByUs) => Guarantee::AppendfsyncAlways,
            (Durability::Replicas(replicas), _) => Guarantee::Wait { replicas },
        };
        Some(Self { guarantee, timeout: wanted.timeout })
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The replicas that it waits for.
    pub fn replicas(&self) -> u32 {
        if let Guarantee::Wait { replicas } = self.guarantee { replicas } else { 0 }
    }

    /// The command that a new connection sends before its first call.
    pub fn setup(&self) -> Option<Cmd> {
        matches!(self.guarantee, Guarantee::AppendfsyncAlways).then(fsync_always)
    }

    /// The command behind a call: WAITAOF or WAIT. Both wait for the last write of the connection that sends them.
    pub fn command(&self) -> Option<Cmd> {
        let ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let mut wait;
        match self.guarantee {
            Guarantee::Wait { replicas } => {
                wait = redis::cmd("WAIT");
                wait.arg(replicas).arg(ms);
            }
            Guarantee::Waitaof => {
                wait = redis::cmd("WAITAOF");
                wait.arg(1).arg(0).arg(ms);
            }
            Guarantee::AppendfsyncAlways => return None,
        }
        Some(wait)
    }

    /// # Errors
    /// [`Failure::TimedOut`] when the writes were not durable in time.
    pub fn check(&self, reply: &Value) -> Result<(), Failure> {
        let ms = self.timeout.as_millis();
        match (self.guarantee, reply) {
            (Guarantee::Wait { replicas }, Value::Int(acknowledged)) if *acknowledged >= i64::from(replicas) => Ok(()),
            (Guarantee::Wait { replicas }, _) => {
                Err(Failure::timed_out(format!("fewer than {replicas} replicas have the payment after {ms} ms")))
            }
            (_, Value::Array(counts)) if matches!(counts.first(), Some(Value::Int(1..))) => Ok(()),
            _ => Err(Failure::timed_out(format!("the payment is not on disk after {ms} ms"))),
        }
    }
}

/// Makes a server answer only what is on its disk.
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
        for text in [
            "",
            "disk",
            "memory:1",
            "replicas",
            "replicas:",
            "replicas:0",
            "replicas:101",
            "replicas:-1",
            "replicas:+1",
        ] {
            assert_eq!(Durability::parse(text), None, "{text}");
        }
    }
}
