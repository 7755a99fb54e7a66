//! The pre-flight: checks Redis once at start-up. What would lose stock is refused. What is merely weaker is a warning.

use std::{fmt, rc::Rc};

use redis::Value;

use super::{
    doctor::{self, Finding, Needs},
    durability::{Barrier, Durability, DurabilityWanted, FsyncSupport, fsync_always},
    error::Failure,
    facts::{Facts, ServerMode, Unusable},
    keys::{PRODUCTS, SALES, SCHEMA, SECRET},
    node::Node,
    reply::Reply,
    runner::Runner,
    secret::{self, SigningKey, get_or_set},
    topology::{Kind, Topology},
};

/// Why the service does not start on this Redis.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error("{0}")]
    OtherKind(String),
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
    address: String,
    engine: String,
    /// Whether all servers keep an append-only file.
    aof: bool,
    primaries: usize,
    weaknesses: Vec<Finding>,
}

impl fmt::Display for PreflightReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aof = if self.aof { "AOF on" } else { "AOF off" };
        let primaries = match self.primaries {
            1 => "primary".to_owned(),
            several => format!("{several} primaries"),
        };
        write!(f, "{} at {}, {primaries}, noeviction, {aof}", self.engine, self.address)
    }
}

impl PreflightReport {
    /// What is weaker than it could be.
    pub fn weaknesses(&self) -> &[Finding] {
        &self.weaknesses
    }
}

/// A server that takes writes, and what it says of itself.
type Primary = (Rc<Node>, Facts);

/// The facts about this Redis, and what the service must wait for there so that a payment is as durable as wanted.
///
/// # Errors
/// [`PreflightError`].
pub async fn check(
    runner: &Runner,
    topology: &Topology,
    wanted: DurabilityWanted,
) -> Result<(PreflightReport, Option<Barrier>), PreflightError> {
    check_kind(runner, topology).await?;
    let nodes = runner.primaries().await?;
    let mut primaries: Vec<Primary> = Vec::new();
    let mut away = None;
    for node in &nodes {
        match facts_of(node).await {
            Ok(facts) => {
                facts.check()?;
                primaries.push((Rc::clone(node), facts));
            }
            // A primary that is away hurts its own sales alone, also at the start. Its server is looked at when it is back.
            Err(failure) if topology.is_cluster() && failure.is_absence() => away = Some(failure),
            Err(failure) => return Err(failure.into()),
        }
    }
    if let (true, Some(failure)) = (primaries.is_empty(), away) {
        return Err(failure.into());
    }
    let needs = Needs { kind: topology.kind(), payments: wanted.payments, is_ours: wanted.is_ours, connections: 0 };
    let weaknesses =
        if wanted.is_ours { Vec::new() } else { doctor::weaknesses(runner, topology, needs, &nodes).await };
    let report = PreflightReport {
        address: topology.to_string(),
        engine: primaries.first().map(|(_, facts)| facts.engine.clone()).unwrap_or_default(),
        aof: primaries.iter().all(|(_, facts)| facts.aof),
        primaries: primaries.len(),
        weaknesses,
    };
    Ok((report, choose_barrier(&primaries, wanted).await?))
}

async fn facts_of(node: &Rc<Node>) -> Result<Facts, Failure> {
    Facts::read(node.ask(&redis::cmd("INFO")).await?)
}

/// Looks whether the servers of the settings are of the kind that the settings say.
pub(super) async fn check_kind(runner: &Runner, topology: &Topology) -> Result<(), PreflightError> {
    let mut failure = Failure::unavailable("no server is known");
    for node in runner.contacts() {
        match facts_of(&node).await {
            Ok(facts) => {
                let names = if facts.mode == ServerMode::Sentinel { watched_names(&node).await } else { Vec::new() };
                return kind_complaint(topology, facts.mode, node.address(), &names)
                    .map_or(Ok(()), |what| Err(PreflightError::OtherKind(what)));
            }
            // A refusal says more than that another one is away.
            Err(why) if !failure.is_refused_login() => failure = why,
            Err(_) => {}
        }
    }
    Err(if topology.kind() == Kind::Sentinel { failure.of_sentinel() } else { failure }.into())
}

/// The names of the primaries that a sentinel watches.
async fn watched_names(sentinel: &Rc<Node>) -> Vec<String> {
    let Ok(found) = sentinel.ask(redis::cmd("SENTINEL").arg("MASTERS")).await else { return Vec::new() };
    let name = |primary: Value| Reply::of_pairs(primary).ok()?.fields().ok()?.get("name").map(str::to_owned);
    match found {
        Value::Array(primaries) => primaries.into_iter().filter_map(name).collect(),
        _ => Vec::new(),
    }
}

/// What to write instead of the URL of the settings.
fn kind_complaint(topology: &Topology, mode: ServerMode, at: &str, names: &[String]) -> Option<String> {
    let known = if names.is_empty() { "<name>".to_owned() } else { names.join(" or ") };
    match (topology.kind(), mode) {
        (Kind::Single, ServerMode::Standalone) | (Kind::Cluster, ServerMode::Cluster) => None,
        (Kind::Sentinel, ServerMode::Sentinel) => {
            let name = topology.primary_name().unwrap_or_default();
            (!names.is_empty() && !names.iter().any(|known| known == name))
                .then(|| format!("Sentinel at {at} watches no primary named {name}: it watches {known}"))
        }
        (_, ServerMode::Sentinel) => {
            Some(format!("{at} is a sentinel: write redis.url = \"redis+sentinel://{at}/{known}\""))
        }
        (_, ServerMode::Cluster) => {
            Some(format!("{at} is a server of a cluster: write redis.url = \"redis-cluster://{at}\""))
        }
        (Kind::Sentinel, ServerMode::Standalone) => {
            Some(format!("{at} is no sentinel: give the addresses of the sentinels, usually at port 26379"))
        }
        (Kind::Cluster, ServerMode::Standalone) => {
            Some(format!("{at} is no server of a cluster: write redis.url = \"redis://{at}\""))
        }
    }
}

async fn choose_barrier(primaries: &[Primary], wanted: DurabilityWanted) -> Result<Option<Barrier>, PreflightError> {
    if wanted.payments != Durability::Fsync {
        return Ok(Barrier::of(wanted, FsyncSupport::Waitaof));
    }
    if primaries.iter().any(|(_, facts)| !facts.aof) {
        return Err(PreflightError::NoAof);
    }
    if primaries.iter().all(|(_, facts)| facts.knows_waitaof()) {
        return Ok(Barrier::of(wanted, FsyncSupport::Waitaof));
    }
    for (node, facts) in primaries {
        if wanted.is_ours {
            node.ask(&fsync_always()).await?;
        } else if !fsyncs_always(node).await? {
            return Err(PreflightError::CannotFsync(facts.version.clone()));
        }
    }
    let support = if wanted.is_ours { FsyncSupport::AlwaysSetByUs } else { FsyncSupport::AlwaysConfigured };
    Ok(Barrier::of(wanted, support))
}

/// Whether the server answers only what is on its disk.
async fn fsyncs_always(node: &Rc<Node>) -> Result<bool, Failure> {
    // A hosted server may refuse CONFIG. Then its policy is unknown, which is not enough.
    let found = node.ask(redis::cmd("CONFIG").arg("GET").arg("appendfsync")).await;
    let policy = found.and_then(|value| Reply::read(value)?.fields());
    Ok(policy.is_ok_and(|policy| policy.get("appendfsync") == Some("always")))
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
