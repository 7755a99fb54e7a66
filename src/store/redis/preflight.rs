//! The pre-flight: checks Redis once at start-up. What would lose stock is refused. What is merely weaker is a warning.

use std::{collections::HashMap, fmt};

use super::{
    durability::{Barrier, Durability, DurabilityWanted, FsyncSupport, fsync_always},
    error::Failure,
    keys::{PRODUCTS, SALES, SCHEMA, SECRET},
    reply::Reply,
    runner::Runner,
    secret::{self, SigningKey, get_or_set},
};

const VERSION_MIN: (u32, u32) = (7, 0);
/// The first version with WAITAOF.
const VERSION_WAITAOF: (u32, u32) = (7, 2);

/// Why the service does not start on this Redis.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error("Redis {0} is too old: the scripts need 7.0 or newer")]
    TooOld(String),
    #[error("Redis evicts keys (maxmemory-policy {0}), which would lose stock: set it to noeviction")]
    Evicts(String),
    #[error("this Redis is a replica and takes no writes: give the address of its primary")]
    Replica,
    #[error(
        "this Redis holds data of key schema {found}, and this version of flashsale knows schema {known}: run the version \
         that wrote it, or begin with an empty Redis (docs/operations.md, \"Upgrade\")"
    )]
    OtherSchema { found: String, known: &'static str },
    #[error(
        "durability.payments is fsync, but Redis keeps no append-only file: set appendonly yes, or \
         choose memory or replicas:N"
    )]
    NoAof,
    #[error(
        "durability.payments is fsync, which Redis {0} can only keep with appendfsync always: \
         set that, or use Redis 7.2 or newer"
    )]
    CannotFsync(String),
    #[error(
        "the secret {SECRET} in Redis is damaged or gone: all ids in customers' hands were signed with it; restore it from a backup"
    )]
    Secret,
}

/// The facts about a Redis that passed the check.
#[derive(Clone, Debug)]
pub struct PreflightReport {
    pub address: String,
    pub engine: String,
    /// Whether it keeps an append-only file.
    pub aof: bool,
    version: String,
}

impl fmt::Display for PreflightReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aof = if self.aof { "AOF on" } else { "AOF off" };
        write!(f, "{} at {}, primary, noeviction, {aof}", self.engine, self.address)
    }
}

impl PreflightReport {
    /// A weakness of this Redis, and its cure.
    pub fn warning(&self) -> Option<&'static str> {
        (!self.aof).then_some(
            "Redis keeps no append-only file: a restart of Redis forgets holds, orders and payments; set appendonly yes",
        )
    }
}

/// The facts about this Redis, and what the service must wait for there so that a payment is as durable as wanted.
///
/// # Errors
/// [`PreflightError`].
pub async fn check(
    runner: &Runner,
    address: String,
    wanted: DurabilityWanted,
) -> Result<(PreflightReport, Option<Barrier>), PreflightError> {
    let report = read_facts(runner, address).await?;
    let barrier = choose_barrier(runner, &report, wanted).await?;
    Ok((report, barrier))
}

async fn read_facts(runner: &Runner, address: String) -> Result<PreflightReport, PreflightError> {
    let info = info(runner).await?;
    let of = |name: &str| info.get(name).map_or("", String::as_str);
    let version = of("redis_version").to_owned();
    if parse_version(&version).is_none_or(|v| v < VERSION_MIN) {
        return Err(PreflightError::TooOld(version));
    }
    if of("role") == "slave" {
        return Err(PreflightError::Replica);
    }
    let policy = of("maxmemory_policy");
    if policy != "noeviction" {
        return Err(PreflightError::Evicts(policy.to_owned()));
    }
    let engine = match info.get("valkey_version") {
        Some(valkey) => format!("Valkey {valkey}"),
        None => format!("Redis {version}"),
    };
    Ok(PreflightReport { address, engine, aof: of("aof_enabled") == "1", version })
}

async fn choose_barrier(
    runner: &Runner,
    report: &PreflightReport,
    wanted: DurabilityWanted,
) -> Result<Option<Barrier>, PreflightError> {
    if wanted.payments != Durability::Fsync {
        return Ok(Barrier::of(wanted, FsyncSupport::Waitaof));
    }
    if !report.aof {
        return Err(PreflightError::NoAof);
    }
    if parse_version(&report.version).is_some_and(|version| version >= VERSION_WAITAOF) {
        return Ok(Barrier::of(wanted, FsyncSupport::Waitaof));
    }
    if wanted.is_ours {
        runner.plain(&fsync_always()).await?;
        return Ok(Barrier::of(wanted, FsyncSupport::AlwaysSetByUs));
    }
    if !fsyncs_always(runner).await? {
        return Err(PreflightError::CannotFsync(report.version.clone()));
    }
    Ok(Barrier::of(wanted, FsyncSupport::AlwaysConfigured))
}

/// Whether the server answers only what is on its disk.
async fn fsyncs_always(runner: &Runner) -> Result<bool, Failure> {
    // A hosted server may refuse CONFIG. Then its policy is unknown, which is not enough.
    let found = runner.plain(redis::cmd("CONFIG").arg("GET").arg("appendfsync")).await;
    let policy = found.and_then(|value| Reply::read(value)?.fields());
    Ok(policy.is_ok_and(|policy| policy.get("appendfsync") == Some("always")))
}

async fn info(runner: &Runner) -> Result<HashMap<String, String>, Failure> {
    let text = Reply::one(runner.plain(&redis::cmd("INFO")).await?).text()?;
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}

/// Marks this Redis with the key schema of this version, and gives its secret. An empty one gets a secret first, so a marked one
/// has one, unless somebody removed it.
///
/// # Errors
/// [`PreflightError::OtherSchema`] when another version marked it, [`PreflightError::Secret`] when the secret is lost.
pub async fn claim(runner: &Runner, schema: &'static str) -> Result<SigningKey, PreflightError> {
    let check = |found: String| {
        if found == schema { Ok(()) } else { Err(PreflightError::OtherSchema { found, known: schema }) }
    };
    let found = runner.plain(redis::cmd("GET").arg(SCHEMA)).await?;
    if let Some(found) = Reply::one(found).text_or_none()? {
        check(found)?;
        return secret::find(runner).await;
    }
    // Whoever made a sale had a secret. One that is gone now is not made anew.
    let has_data = Reply::one(runner.plain(redis::cmd("EXISTS").arg(SALES).arg(PRODUCTS)).await?).int()? > 0;
    let secret = if has_data { secret::find(runner).await? } else { secret::find_or_make(runner).await? };
    check(get_or_set(runner, SCHEMA, schema).await?)?;
    Ok(secret)
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
