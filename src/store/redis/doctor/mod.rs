//! The doctor: looks at everything that the service needs of its servers, and says what is weak, what is wrong, and what to
//! do about it. It changes nothing. Here it asks. The other files judge the answers, and ask nobody.

mod cluster;
mod data;
mod fail_over;
mod finding;
mod measure;
mod rights;
mod sentinels;
mod server;

use std::{
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;
use redis::Value;

pub use self::finding::{Chart, Finding, Level};
use self::{
    cluster::ClusterState,
    data::{SecretState, Stored},
    measure::Sample,
    rights::Right,
    sentinels::{More, Sentinel, View},
    server::Server,
};
use super::{
    catalogue::Catalogue,
    durability::Durability,
    error::Failure,
    facts::Facts,
    keys::{PRODUCTS, SALES, SCHEMA, SECRET, payment_entry},
    made,
    node::Node,
    preflight::{PreflightError, check_kind},
    reply::Reply,
    runner::Runner,
    secret,
    topology::{Kind, Topology},
};
use crate::domain::ids::SaleId;

/// Questions from which clock and latency are computed.
const SAMPLES: usize = 21;

/// What the settings ask of the servers.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    pub kind: Kind,
    pub payments: Durability,
    /// The server is embedded: the service starts it with its own settings.
    pub is_ours: bool,
    /// Connections of one service to each server. 0: not known.
    pub connections: u64,
}

/// Looks at everything. Every question has the bounds of the settings, and a server that does not answer the first one is
/// asked nothing else, so this ends.
pub async fn examine(topology: &Topology, catalogue: Arc<Catalogue>, needs: Needs) -> Vec<Finding> {
    let schema = catalogue.schema();
    let runner = Runner::new(topology, catalogue);
    let mut chart = Chart::of(if needs.is_ours { "embedded Redis".to_owned() } else { topology.to_string() });
    match check_kind(&runner, topology).await {
        Ok(()) => chart.ok("kind", kind_word(needs)),
        // Those that do not answer have a finding each.
        Err(PreflightError::Failure(_)) => {}
        Err(error) => {
            chart.problem("kind", error.to_string(), "correct redis.url");
            return chart.findings();
        }
    }
    let mut findings = chart.findings();
    findings.extend(match needs.kind {
        Kind::Sentinel => look_at_sentinels(&runner, topology).await,
        _ => Vec::new(),
    });
    let primaries = match runner.primaries().await {
        Ok(primaries) => primaries,
        Err(failure) => {
            let mut chart = Chart::of(topology.to_string());
            server::judge_silence(&failure, &mut chart);
            findings.extend(chart.findings());
            return findings;
        }
    };
    if needs.kind == Kind::Cluster {
        findings.extend(look_at_contacts(&runner, &primaries).await);
    }
    let (looks, together) = look_at_servers(&primaries, needs).await;
    findings.extend(together);
    let is_there = looks.iter().any(|look| look.answers.is_some());
    let replicas: Vec<_> = looks.iter().filter_map(|look| look.answers.as_ref()).flat_map(Server::replicas).collect();
    for (node, look) in primaries.iter().zip(looks) {
        let answers = look.answers;
        findings.extend(look.findings);
        if let Some(server) = answers {
            findings.extend(try_out(&runner, topology, node, &server, needs).await);
        }
    }
    findings.extend(look_at_replicas(&runner, &replicas, needs).await);
    if is_there {
        findings.extend(look_at_data(&runner, schema).await);
    }
    findings
}

/// The weaknesses that a look at the start finds: the settings of the servers, and whether all slots are there.
pub async fn weaknesses(runner: &Runner, topology: &Topology, needs: Needs, primaries: &[Rc<Node>]) -> Vec<Finding> {
    let (looks, mut findings) = look_at_servers(primaries, needs).await;
    findings.extend(looks.into_iter().flat_map(|look| look.findings));
    if needs.kind == Kind::Sentinel {
        findings.extend(look_at_sentinels(runner, topology).await);
    }
    findings.retain(|finding| finding.level >= Level::Warning);
    findings
}

fn kind_word(needs: Needs) -> &'static str {
    match needs.kind {
        Kind::Single if needs.is_ours => "a server that the service runs by itself",
        Kind::Single => "one server",
        Kind::Sentinel => "a primary that Sentinel names",
        Kind::Cluster => "a cluster",
    }
}

/// What one server says.
struct Look {
    findings: Vec<Finding>,
    /// `None`: it did not answer.
    answers: Option<Server>,
    state: Option<ClusterState>,
}

/// Each server, and what all of a cluster say together.
async fn look_at_servers(primaries: &[Rc<Node>], needs: Needs) -> (Vec<Look>, Vec<Finding>) {
    let looks = join_all(primaries.iter().map(|node| look_at(node, needs))).await;
    let mut together = Chart::of("cluster");
    if needs.kind == Kind::Cluster {
        let states: Vec<_> = looks.iter().filter_map(|look| look.state.clone()).collect();
        cluster::judge_all(&states, primaries.len(), &mut together);
    }
    (looks, together.findings())
}

async fn look_at(node: &Rc<Node>, needs: Needs) -> Look {
    let mut chart = Chart::of(place(node, needs));
    let (server, state) = match read(node, needs).await {
        Ok(read) => read,
        Err(failure) => {
            server::judge_silence(&failure, &mut chart);
            return Look { findings: chart.findings(), answers: None, state: None };
        }
    };
    server::judge(&server, needs, &mut chart);
    fail_over::judge(&server, needs, &mut chart);
    if let Some(state) = &state {
        cluster::judge_one(state, &server, &mut chart);
    }
    Look { findings: chart.findings(), answers: Some(server), state }
}

fn place(node: &Node, needs: Needs) -> &str {
    if needs.is_ours { "embedded Redis" } else { node.address() }
}

async fn read(node: &Rc<Node>, needs: Needs) -> Result<(Server, Option<ClusterState>), Failure> {
    let info = Reply::one(node.ask(&redis::cmd("INFO")).await?).text()?;
    let mut get = redis::cmd("CONFIG");
    get.arg("GET").arg(&server::SETTINGS);
    let settings = match node.ask(&get).await {
        Ok(found) => Some(Reply::of_pairs(found)?.fields()?.into_iter().collect::<HashMap<_, _>>()),
        Err(failure) if failure.word().is_some() => None,
        Err(failure) => return Err(failure),
    };
    let state = match needs.kind {
        Kind::Cluster => {
            let text = Reply::one(node.ask(redis::cmd("CLUSTER").arg("INFO")).await?).text()?;
            Some(ClusterState::read(&text))
        }
        _ => None,
    };
    Ok((Server::new(&info, settings), state))
}

/// The servers of the settings that are no primaries: a service that starts while others are away needs them.
async fn look_at_contacts(runner: &Runner, primaries: &[Rc<Node>]) -> Vec<Finding> {
    let is_primary = |node: &Rc<Node>| primaries.iter().any(|primary| primary.address() == node.address());
    let others: Vec<_> = runner.contacts().into_iter().filter(|node| !is_primary(node)).collect();
    let answers = join_all(others.iter().map(async |node| node.ask(&redis::cmd("INFO")).await)).await;
    let mut findings = Vec::new();
    for (node, answer) in others.iter().zip(answers) {
        let mut chart = Chart::of(node.address());
        if let Err(failure) = answer {
            let advice = "start it, or take it out of redis.url";
            chart.warning("server", format!("{failure}; it has no slots, so no sale waits for it"), advice);
        }
        findings.extend(chart.findings());
    }
    findings
}

/// Whether each replica could take over: the user of the service must be there too, with its rights.
async fn look_at_replicas(runner: &Runner, replicas: &[(String, u16)], needs: Needs) -> Vec<Finding> {
    let looks = replicas.iter().map(async |(host, port)| {
        let node = runner.other_server(host, *port);
        let mut chart = Chart::of(format!("{} (replica)", node.address()));
        match node.ask(&redis::cmd("INFO")).await {
            Ok(info) => {
                let info = Reply::one(info).text().unwrap_or_default();
                let commands = rights::needed(needs, Facts::of_info(&info).knows_waitaof());
                let rights = read_rights(&node, &commands, runner).await;
                match &rights {
                    Err(failure) if !failure.is_refused_login() => {}
                    _ => rights::judge(&rights.map_err(|failure| failure.to_string()), &mut chart),
                }
            }
            Err(failure) => server::judge_silent_replica(&failure, &mut chart),
        }
        chart.findings()
    });
    join_all(looks).await.into_iter().flatten().collect()
}

async fn look_at_sentinels(runner: &Runner, topology: &Topology) -> Vec<Finding> {
    let name = topology.primary_name().unwrap_or_default();
    let contacts = runner.contacts();
    let views = join_all(contacts.iter().map(|node| view(node, name))).await;
    let sentinels = contacts.iter().zip(views).map(|(node, view)| Sentinel {
        address: node.address().to_owned(),
        view: view.map_err(|failure| failure.to_string()),
    });
    let mut chart = Chart::of("sentinels");
    sentinels::judge(&sentinels.collect::<Vec<_>>(), &mut chart);
    chart.findings()
}

async fn view(sentinel: &Rc<Node>, name: &str) -> Result<View, Failure> {
    let ask = async |question: &str| sentinel.ask(redis::cmd("SENTINEL").arg(question).arg(name)).await;
    let found = ask("GET-MASTER-ADDR-BY-NAME").await?;
    if found == Value::Nil {
        return Err(Failure::unavailable(format!("it knows no primary named {name}")));
    }
    let mut found = Reply::read(found)?;
    let named = format!("{}:{}", found.text()?, found.text()?);
    let more = match ask("MASTER").await {
        Ok(found) => {
            let fields = Reply::of_pairs(found)?.fields()?;
            let count = |name: &str| Ok::<_, Failure>(u64::try_from(fields.int(name)?).unwrap_or(0));
            let flags = fields.text("flags")?;
            let is_down = flags.contains("s_down") || flags.contains("o_down");
            Some(More { quorum: count("quorum")?, others: count("num-other-sentinels")?, is_down })
        }
        Err(failure) if failure.word().is_some() => None,
        Err(failure) => return Err(failure),
    };
    Ok(View { named, more })
}

/// Asks the server for what the service asks of it.
async fn try_out(runner: &Runner, topology: &Topology, node: &Rc<Node>, server: &Server, needs: Needs) -> Vec<Finding> {
    let mut chart = Chart::of(place(node, needs));
    if needs.kind == Kind::Cluster {
        let probe = node.ask(redis::cmd("EXISTS").arg(runner.probe_at(node))).await;
        cluster::judge_probe(probe.err().map(|failure| failure.to_string()).as_deref(), &mut chart);
    }
    measure::judge(&sample(node).await, topology.limits.call, &mut chart);
    let commands = rights::needed(needs, server.facts.knows_waitaof());
    match read_rights(node, &commands, runner).await {
        Ok(rights) => rights::judge(&Ok(rights), &mut chart),
        Err(failure) if failure.is_refused_login() => rights::judge(&Err(failure.to_string()), &mut chart),
        Err(failure) => chart.note("rights", format!("what its user may do is unknown: {failure}"), ""),
    }
    chart.findings()
}

async fn sample(node: &Rc<Node>) -> Vec<Sample> {
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let (asked, before_ms) = (Instant::now(), now_ms());
        let Ok(answer) = node.ask(&redis::cmd("TIME")).await else { break };
        let took = asked.elapsed();
        let time = Reply::read(answer).and_then(|mut time| Ok(time.int()? * 1_000 + time.int()? / 1_000));
        let Ok(server_ms) = time else { break };
        let half = i64::try_from(took.as_millis()).unwrap_or(i64::MAX) / 2;
        samples.push(Sample { took, server_ms, here_ms: before_ms + half });
    }
    samples
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The script that asks stays among the scripts of the server, where it takes a kilobyte.
async fn read_rights(node: &Rc<Node>, commands: &[&'static str], runner: &Runner) -> Result<Vec<Right>, Failure> {
    let load = node.ask(redis::cmd("SCRIPT").arg("LOAD").arg(rights::SCRIPT)).await?;
    let mut call = redis::cmd("EVALSHA");
    call.arg(Reply::one(load).text()?).arg(0);
    // Keys of each kind, so that a rule with too narrow a pattern is noticed.
    let keys = [runner.probe_at(node), payment_entry("probe")];
    for key in &keys {
        commands.iter().for_each(|command| _ = call.arg(rights::words(command, key)));
    }
    let mut answers = Reply::read(node.ask(&call).await?)?;
    let mut rights: Vec<_> = commands.iter().map(|command| Right { command, may: Some(true) }).collect();
    for _ in &keys {
        for right in &mut rights {
            right.may = match (answers.int()?, right.may) {
                (1, may) => may,
                (0, _) | (_, Some(false)) => Some(false),
                _ => None,
            };
        }
    }
    Ok(rights)
}

async fn look_at_data(runner: &Runner, schema: &str) -> Vec<Finding> {
    let mut chart = Chart::of("data");
    match read_data(runner).await {
        Ok(stored) => data::judge(&stored, schema, &mut chart),
        Err(failure) => {
            chart.problem("directory", failure.to_string(), "without the directory no service starts: see above");
        }
    }
    chart.findings()
}

async fn read_data(runner: &Runner) -> Result<Stored, Failure> {
    let get = async |key: &str| Reply::one(runner.plain(redis::cmd("GET").arg(key)).await?).text_or_none();
    let secret = match get(SECRET).await? {
        None => SecretState::Missing,
        Some(text) if secret::is_readable(&text) => SecretState::Readable,
        Some(_) => SecretState::Unreadable,
    };
    let found = runner.plain(redis::cmd("EXISTS").arg(SALES).arg(PRODUCTS)).await?;
    let lost = if runner.spans_sales() { Vec::new() } else { lost_sales(runner).await? };
    let lost = Some(made::names(&lost)).filter(|names| !names.is_empty());
    Ok(Stored { schema: get(SCHEMA).await?, secret, has_sales: Reply::one(found).int()? > 0, lost })
}

async fn lost_sales(runner: &Runner) -> Result<Vec<SaleId>, Failure> {
    let (made, found) = made::look(runner).await?;
    Ok(found.into_iter().filter(|(sale, is_there)| !is_there && made.contains(sale)).map(|(sale, _)| sale).collect())
}
