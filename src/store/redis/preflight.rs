//! What the service stands on: looked at once at start-up. What would lose stock is refused, what is weaker is said.

use std::{collections::HashMap, fmt, sync::Arc};

use redis::Value;

use super::{
    catalogue::Catalogue,
    durability::{Barrier, Demand, Durability, Fsyncs, fsync_always},
    error::Failure,
    keys::{SCHEMA, SECRET},
    reply::Reply,
    runner::Runner,
    topology::Topology,
};
use crate::{
    domain::ids::IdSigner,
    store::{Blueprint, Terms},
};

const SCHEMA_VERSION: &str = "1";
const VERSION_MIN: (u32, u32) = (7, 0);
/// The first version with WAITAOF.
const VERSION_WAITAOF: (u32, u32) = (7, 2);

/// Why the service does not start on this Redis.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error("Redis {0} is too old: the scripts need 7.0 or newer")]
    TooOld(String),
    #[error("Redis evicts keys (maxmemory-policy {0}), which would lose stock: set it to noeviction")]
    Evicts(String),
    #[error("this Redis is a replica and takes no writes: give the address of its primary")]
    Replica,
    #[error(
        "this Redis holds data of key schema {0}, and this version of flashsale knows schema {SCHEMA_VERSION}: run the version that wrote it"
    )]
    OtherSchema(String),
    #[error(
        "durability.payments is fsync, but Redis keeps no append-only file: set appendonly yes, or choose memory or replicas:N"
    )]
    NoAof,
    #[error(
        "durability.payments is fsync, which Redis {0} can only keep with appendfsync always: set that, or use Redis 7.2 or newer"
    )]
    CannotFsync(String),
    #[error(
        "the secret {SECRET} in Redis is damaged: all ids in customers' hands were signed with it; restore it from a backup"
    )]
    Secret,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Standing {
    pub address: String,
    pub engine: String,
    /// Whether it keeps an append-only file.
    pub aof: bool,
    version: String,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aof = if self.aof { "AOF on" } else { "AOF off" };
        write!(f, "{} at {}, primary, noeviction, {aof}", self.engine, self.address)
    }
}

impl Standing {
    /// What is merely weaker than it could be, and what to do.
    pub fn warning(&self) -> Option<&'static str> {
        (!self.aof).then_some(
            "Redis keeps no append-only file: a restart of Redis forgets holds, orders and payments; set appendonly yes",
        )
    }
}

impl Blueprint {
    /// Looks at Redis, claims the key schema, fetches or makes the secret, and loads the scripts.
    ///
    /// # Errors
    /// [`Unfit`].
    pub async fn prepare(
        topology: Topology,
        catalogue: Arc<Catalogue>,
        terms: Terms,
        demand: Demand,
    ) -> Result<(Self, Standing), Unfit> {
        let runner = Runner::new(&topology, Arc::clone(&catalogue));
        let standing = look(&runner, topology.address()).await?;
        let barrier = barrier(&runner, &standing, demand).await?;
        claim_schema(&runner).await?;
        let ids = IdSigner::new(&secret(&runner).await?);
        runner.ensure_scripts().await?;
        Ok((Self { topology, catalogue, terms, ids, barrier, audits: Arc::default() }, standing))
    }
}

async fn look(runner: &Runner, address: String) -> Result<Standing, Unfit> {
    let info = info(runner).await?;
    let of = |name: &str| info.get(name).map_or("", String::as_str);
    let version = of("redis_version").to_owned();
    if parse_version(&version).is_none_or(|v| v < VERSION_MIN) {
        return Err(Unfit::TooOld(version));
    }
    if of("role") == "slave" {
        return Err(Unfit::Replica);
    }
    let policy = of("maxmemory_policy");
    if policy != "noeviction" {
        return Err(Unfit::Evicts(policy.to_owned()));
    }
    let engine = match info.get("valkey_version") {
        Some(valkey) => format!("Valkey {valkey}"),
        None => format!("Redis {version}"),
    };
    Ok(Standing { address, engine, aof: of("aof_enabled") == "1", version })
}

/// What to wait for so that a payment is as durable as demanded, if this server can do it.
async fn barrier(runner: &Runner, standing: &Standing, demand: Demand) -> Result<Option<Barrier>, Unfit> {
    if demand.payments != Durability::Fsync {
        return Ok(Barrier::of(demand, Fsyncs::WhenAsked));
    }
    if !standing.aof {
        return Err(Unfit::NoAof);
    }
    if parse_version(&standing.version).is_some_and(|version| version >= VERSION_WAITAOF) {
        return Ok(Barrier::of(demand, Fsyncs::WhenAsked));
    }
    if demand.is_ours {
        runner.plain(&fsync_always()).await?;
        return Ok(Barrier::of(demand, Fsyncs::WhenTold));
    }
    let is_always = fsyncs_always(runner).await?;
    is_always.then(|| Barrier::of(demand, Fsyncs::Always)).ok_or_else(|| Unfit::CannotFsync(standing.version.clone()))
}

/// Whether the server answers only what is on its disk.
async fn fsyncs_always(runner: &Runner) -> Result<bool, Failure> {
    // A hosted server may refuse the question; then nobody knows.
    let asked = runner.plain(redis::cmd("CONFIG").arg("GET").arg("appendfsync")).await;
    let policy = asked.and_then(|value| Reply::read(value)?.fields());
    Ok(policy.is_ok_and(|policy| policy.get("appendfsync") == Some("always")))
}

async fn info(runner: &Runner) -> Result<HashMap<String, String>, Failure> {
    let text = as_text(runner.plain(&redis::cmd("INFO")).await?)?;
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}

async fn claim_schema(runner: &Runner) -> Result<(), Unfit> {
    let found = get_or_set(runner, SCHEMA, SCHEMA_VERSION).await?;
    if found == SCHEMA_VERSION { Ok(()) } else { Err(Unfit::OtherSchema(found)) }
}

/// Made once, by whoever comes first.
async fn secret(runner: &Runner) -> Result<[u8; 32], Unfit> {
    let mut fresh = [0_u8; 32];
    getrandom::fill(&mut fresh).map_err(|e| Failure::Unavailable(format!("no random numbers: {e}")))?;
    let kept = get_or_set(runner, SECRET, &hex::encode(fresh)).await?;
    read_secret(&kept).ok_or(Unfit::Secret)
}

impl Runner {
    /// The secret as Redis has it now; `None` when it has none that can be read.
    pub async fn secret(&self) -> Result<Option<[u8; 32]>, Failure> {
        match self.plain(redis::cmd("GET").arg(SECRET)).await? {
            Value::Nil => Ok(None),
            value => Ok(read_secret(&as_text(value)?)),
        }
    }
}

async fn get_or_set(runner: &Runner, key: &str, value: &str) -> Result<String, Failure> {
    let earlier = runner.plain(redis::cmd("SET").arg(key).arg(value).arg("NX").arg("GET")).await?;
    if earlier == Value::Nil { Ok(value.to_owned()) } else { as_text(earlier) }
}

fn as_text(value: Value) -> Result<String, Failure> {
    redis::from_redis_value(value).map_err(|error| Failure::unreadable(error.to_string()))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn read_secret(text: &str) -> Option<[u8; 32]> {
    let mut secret = [0; 32];
    hex::decode_to_slice(text, &mut secret).ok().map(|()| secret)
}
