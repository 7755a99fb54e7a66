//! What a server says of itself, and whether the service may use it.

use std::collections::HashMap;

use redis::Value;

use super::{error::Failure, reply::Reply};

const VERSION_MIN: (u32, u32) = (7, 0);
/// The first version with WAITAOF.
const VERSION_WAITAOF: (u32, u32) = (7, 2);

/// Why the service does not use a server.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unusable {
    #[error("Redis {0} is too old: the scripts need 7.0 or newer")]
    TooOld(String),
    #[error("Redis evicts keys (maxmemory-policy {0}), which would lose stock: set it to noeviction")]
    Evicts(String),
    #[error("this Redis is a replica and takes no writes: give the address of its primary")]
    Replica,
}

/// The kind of service that a server takes part in: `redis_mode` of INFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerMode {
    Standalone,
    Sentinel,
    Cluster,
}

/// From INFO.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `Redis 7.2.4` or `Valkey 9.1.2`.
    pub engine: String,
    pub version: String,
    pub mode: ServerMode,
    /// Whether it keeps an append-only file.
    pub aof: bool,
    is_replica: bool,
    eviction: String,
}

impl Facts {
    /// # Errors
    /// [`Failure::Unreadable`].
    pub fn read(info: Value) -> Result<Self, Failure> {
        Ok(Self::of_info(&Reply::one(info).text()?))
    }

    pub fn of_info(text: &str) -> Self {
        let pairs: HashMap<_, _> = text.lines().filter_map(|line| line.split_once(':')).collect();
        let of = |name: &str| pairs.get(name).map_or("", |value| value.trim());
        let version = of("redis_version").to_owned();
        Self {
            engine: match pairs.get("valkey_version") {
                Some(valkey) => format!("Valkey {}", valkey.trim()),
                None => format!("Redis {version}"),
            },
            version,
            // Valkey calls it `server_mode`, and keeps the old name where it is asked to.
            mode: match [of("redis_mode"), of("server_mode")] {
                ["cluster", _] | [_, "cluster"] => ServerMode::Cluster,
                ["sentinel", _] | [_, "sentinel"] => ServerMode::Sentinel,
                _ => ServerMode::Standalone,
            },
            aof: of("aof_enabled") == "1",
            is_replica: of("role") == "slave",
            eviction: of("maxmemory_policy").to_owned(),
        }
    }

    /// Everything for which the service does not use this server.
    pub fn faults(&self) -> Vec<Unusable> {
        let is_old = self.version().is_none_or(|version| version < VERSION_MIN);
        let faults = [
            is_old.then(|| Unusable::TooOld(self.version.clone())),
            self.is_replica.then_some(Unusable::Replica),
            (self.eviction != "noeviction").then(|| Unusable::Evicts(self.eviction.clone())),
        ];
        faults.into_iter().flatten().collect()
    }

    /// # Errors
    /// [`Unusable`].
    pub fn check(&self) -> Result<(), Unusable> {
        self.faults().into_iter().next().map_or(Ok(()), Err)
    }

    pub fn knows_waitaof(&self) -> bool {
        self.version().is_some_and(|version| version >= VERSION_WAITAOF)
    }

    fn version(&self) -> Option<(u32, u32)> {
        let mut parts = self.version.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(lines: &str) -> Facts {
        Facts::read(Value::BulkString(lines.replace('\n', "\r\n").into_bytes())).unwrap()
    }

    #[test]
    fn a_server_is_known_by_its_info() {
        let redis =
            facts("# Server\nredis_version:7.0.15\nredis_mode:cluster\nrole:master\nmaxmemory_policy:noeviction");
        assert_eq!((redis.engine.as_str(), redis.mode, redis.aof), ("Redis 7.0.15", ServerMode::Cluster, false));
        assert_eq!((redis.check(), redis.knows_waitaof()), (Ok(()), false));
        let valkey = facts(
            "redis_version:7.2.4\nvalkey_version:9.1.2\nserver_mode:sentinel\nrole:slave\nmaxmemory_policy:noeviction\naof_enabled:1",
        );
        assert_eq!((valkey.engine.as_str(), valkey.mode, valkey.aof), ("Valkey 9.1.2", ServerMode::Sentinel, true));
        assert_eq!((valkey.check(), valkey.knows_waitaof()), (Err(Unusable::Replica), true));
        let old = facts("redis_version:6.2.1\nredis_mode:standalone\nrole:master\nmaxmemory_policy:noeviction");
        assert_eq!((old.check(), old.mode), (Err(Unusable::TooOld("6.2.1".into())), ServerMode::Standalone));
        let evicts = facts("redis_version:7.0.0\nrole:master\nmaxmemory_policy:allkeys-lru");
        assert_eq!(evicts.check(), Err(Unusable::Evicts("allkeys-lru".into())));
    }
}
