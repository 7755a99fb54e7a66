//! Redis servers of our own, each in a folder of its own: one on a unix socket or a port, or the primaries of a cluster.

use std::{io, net::TcpListener, path::PathBuf, process::Stdio};

use tempfile::TempDir;

use super::eventually;
use crate::running::{self, Running};

/// How Redis writes to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    Off,
    EverySecond,
    Always,
}

/// What servers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    /// One, on a unix socket.
    Socket,
    /// One, on a port.
    Port,
    /// So many primaries, without replicas.
    Cluster(u16),
}

const SLOTS: u16 = 16_384;

pub struct Redis {
    running: Running,
    /// `None`: it is on a unix socket.
    port: Option<u16>,
    // Dropped after the process that uses it.
    folder: TempDir,
}

/// Redis's figures of its script calls so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scripts {
    pub calls: f64,
    pub us: f64,
}

impl Redis {
    /// # Errors
    /// When it cannot be started or does not answer.
    pub fn start(durability: Durability) -> io::Result<Self> {
        Self::start_with(durability, None, &[])
    }

    /// One server, or the primaries of a cluster.
    ///
    /// # Errors
    /// When one cannot be started or does not answer.
    pub fn start_all(durability: Durability, servers: Servers) -> io::Result<Vec<Self>> {
        match servers {
            Servers::Socket => Ok(vec![Self::start(durability)?]),
            Servers::Port => Ok(vec![Self::start_with(durability, Some(free_port()?), &[])?]),
            Servers::Cluster(primaries) => Self::start_cluster(durability, primaries),
        }
    }

    fn start_cluster(durability: Durability, primaries: u16) -> io::Result<Vec<Self>> {
        let mut servers: Vec<Self> = Vec::new();
        let mut first = None;
        for n in 0..primaries {
            let (port, bus) = (free_port()?, free_port()?);
            let more = ["--cluster-enabled", "yes", "--cluster-port", &bus.to_string()];
            let server = Self::start_with(durability, Some(port), &more)?;
            let (from, end) = (n * (SLOTS / primaries), (n + 1) * (SLOTS / primaries));
            let last = if n + 1 == primaries { SLOTS - 1 } else { end - 1 };
            let cluster = |words: &[String]| {
                redis::cmd("CLUSTER").arg(words).exec(&mut server.connect()?).map_err(io::Error::other)
            };
            cluster(&["ADDSLOTSRANGE".into(), from.to_string(), last.to_string()])?;
            let (port, bus) = *first.get_or_insert((port, bus));
            cluster(&["MEET".into(), "127.0.0.1".into(), port.to_string(), bus.to_string()])?;
            servers.push(server);
        }
        let works = |server: &Self| {
            let text: Option<String> =
                server.try_connect().and_then(|mut line| redis::cmd("CLUSTER").arg("INFO").query(&mut line).ok());
            let text = text.unwrap_or_default();
            ["cluster_state:ok".into(), format!("cluster_known_nodes:{primaries}")]
                .iter()
                .all(|fact| text.contains(fact))
        };
        eventually("the cluster works", || true, || servers.iter().all(works))?;
        Ok(servers)
    }

    fn start_with(durability: Durability, port: Option<u16>, more: &[&str]) -> io::Result<Self> {
        let folder = TempDir::with_prefix("fs-bench")?;
        let (aof, fsync) = match durability {
            Durability::Off => ("no", "no"),
            Durability::EverySecond => ("yes", "everysec"),
            Durability::Always => ("yes", "always"),
        };
        let mut command = running::command(program()?, None);
        command.args(["--bind", "127.0.0.1", "--port", &port.unwrap_or(0).to_string()]);
        command.args(["--save", "", "--appendonly", aof, "--appendfsync", fsync]);
        command.arg("--unixsocket").arg(folder.path().join("redis.sock")).arg("--dir").arg(folder.path());
        command.args(["--maxmemory-policy", "noeviction", "--hz", "100"]).args(more).stdout(Stdio::null());
        let redis = Self { running: Running::start(&mut command)?, port, folder };
        eventually("redis-server answers", || redis.running.is_alive(), || redis.try_connect().is_some())?;
        Ok(redis)
    }

    pub fn url(&self) -> String {
        match self.port {
            Some(port) => format!("redis://127.0.0.1:{port}"),
            None => self.socket(),
        }
    }

    /// The address of all these servers.
    pub fn url_of_all(servers: &[Self], kind: Servers) -> String {
        let addresses = servers.iter().filter_map(|server| Some(format!("127.0.0.1:{}", server.port?)));
        match kind {
            Servers::Cluster(_) => format!("redis-cluster://{}", addresses.collect::<Vec<_>>().join(",")),
            _ => servers.iter().map(Self::url).collect(),
        }
    }

    fn socket(&self) -> String {
        format!("unix://{}", self.folder.path().join("redis.sock").display())
    }

    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    pub fn connect(&self) -> io::Result<redis::Connection> {
        self.try_connect().ok_or_else(|| io::Error::other("Redis does not answer"))
    }

    fn try_connect(&self) -> Option<redis::Connection> {
        redis::Client::open(self.socket()).ok()?.get_connection().ok()
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The program of the server, found as the service finds it.
pub fn program() -> io::Result<PathBuf> {
    let cached = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.cache/bin/valkey-server");
    let found = running::find("redis-server").or_else(|| running::find("valkey-server"));
    found.or_else(|| cached.exists().then_some(cached)).ok_or_else(|| {
        io::Error::other("neither redis-server nor valkey-server is in PATH: run scripts/bootstrap --bench")
    })
}

pub fn scripts(connection: &mut redis::Connection) -> io::Result<Scripts> {
    let text = info(connection, "commandstats")?;
    let line = text.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:")).unwrap_or("");
    let field = |name: &str| {
        line.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')?.parse().ok()).unwrap_or(0.0)
    };
    Ok(Scripts { calls: field("calls"), us: field("usec") })
}

/// How often each command was executed so far, in scripts and without, by its name.
pub type Commands = std::collections::BTreeMap<String, f64>;

pub fn commands(connection: &mut redis::Connection) -> io::Result<Commands> {
    let text = info(connection, "commandstats")?;
    let count = |line: &str| {
        let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), figures.split(',').next()?.parse().ok()?))
    };
    Ok(text.lines().filter_map(count).collect())
}

/// Bytes that Redis uses.
pub fn memory(connection: &mut redis::Connection) -> io::Result<f64> {
    figure(connection, "memory", "used_memory:")
}

/// The number behind a name in a section of INFO.
pub fn figure(connection: &mut redis::Connection, section: &str, name: &str) -> io::Result<f64> {
    let text = info(connection, section)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.ok_or_else(|| io::Error::other(format!("INFO {section} has no {name}")))
}

fn info(connection: &mut redis::Connection, section: &str) -> io::Result<String> {
    redis::cmd("INFO").arg(section).query(connection).map_err(io::Error::other)
}
