//! A Redis server of our own, on a unix socket in a folder of its own.

use std::{io, path::PathBuf, process::Stdio};

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

pub struct Redis {
    running: Running,
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
        let folder = TempDir::with_prefix("fs-bench")?;
        let (aof, fsync) = match durability {
            Durability::Off => ("no", "no"),
            Durability::EverySecond => ("yes", "everysec"),
            Durability::Always => ("yes", "always"),
        };
        let mut command = running::command(program()?, None);
        command.args(["--port", "0", "--save", "", "--appendonly", aof, "--appendfsync", fsync]);
        command.arg("--unixsocket").arg(folder.path().join("redis.sock")).arg("--dir").arg(folder.path());
        command.args(["--maxmemory-policy", "noeviction", "--hz", "100"]).stdout(Stdio::null());
        let redis = Self { running: Running::start(&mut command)?, folder };
        eventually("redis-server answers", || redis.running.is_alive(), || redis.try_connect().is_some())?;
        Ok(redis)
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.folder.path().join("redis.sock").display())
    }

    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    pub fn connect(&self) -> io::Result<redis::Connection> {
        self.try_connect().ok_or_else(|| io::Error::other("Redis does not answer"))
    }

    fn try_connect(&self) -> Option<redis::Connection> {
        redis::Client::open(self.url()).ok()?.get_connection().ok()
    }
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
