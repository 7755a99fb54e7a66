//! What a run plays on: one Redis, several services on it, and whatever stands between them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{proxy::Proxy, services::Service};
use crate::support::{
    cluster::{Cluster, Sentinels},
    invariants,
    redis::{ServerProcess, newer_server, server_program},
};

/// What must survive is on disk before it is acknowledged.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];
/// A primary takes nothing while no replica hears it.
const ALL_REPLICAS: [&str; 4] = ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"];
/// Debian's package of libfaketime.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    Standalone,
    Sentinel,
    Cluster,
}

impl Topology {
    pub const ALL: [Self; 3] = [Self::Standalone, Self::Sentinel, Self::Cluster];

    pub fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topology| topology.name() == text)
    }

    fn durability(self) -> &'static str {
        if self == Self::Standalone { "memory" } else { "replicas:1" }
    }
}

pub enum Redis {
    Standalone(ServerProcess),
    Sentinel(Sentinels),
    Cluster(Cluster),
}

pub struct Stage {
    pub redis: Redis,
    pub services: Vec<Service>,
    /// Names of sales, on a server each where there are several.
    pub sales: Vec<String>,
    /// One for each service, in front of a standalone Redis.
    pub proxies: Vec<Proxy>,
    /// Where the clock of Redis can be set: how far it is from the true one, as libfaketime reads it.
    pub clock_file: Option<PathBuf>,
    /// Valkey moves a slot at once.
    pub is_valkey: bool,
    /// A primary takes nothing that no replica hears.
    pub demands_replicas: bool,
    pub folder: TempDir,
}

impl Stage {
    /// Valkey, where the machine has it, if `wants_valkey`.
    pub fn build(topology: Topology, services: usize, wants_valkey: bool, demands_replicas: bool) -> Self {
        let folder = TempDir::with_prefix("fs-chaos").unwrap();
        let replicated = [&DURABLE[..], if demands_replicas { &ALL_REPLICAS } else { &[] }].concat();
        let valkey = newer_server().filter(|_| wants_valkey);
        let (program, clock_file) = wrapper(folder.path(), valkey.as_deref());
        let redis = match topology {
            Topology::Standalone => Redis::Standalone(ServerProcess::start_program(&program, &DURABLE)),
            Topology::Sentinel => Redis::Sentinel(Sentinels::start(1, 3, &replicated, None)),
            Topology::Cluster => Redis::Cluster(Cluster::start_with(&program, 3, 1, &replicated)),
        };
        let proxies = match &redis {
            Redis::Standalone(server) => (0..services).map(|_| Proxy::start(server.port)).collect(),
            Redis::Sentinel(_) | Redis::Cluster(_) => Vec::new(),
        };
        let sales = match &redis {
            Redis::Cluster(cluster) => cluster.sale_of_each(),
            Redis::Standalone(_) | Redis::Sentinel(_) => vec!["east".to_owned(), "west".to_owned()],
        };
        let mut stage = Self {
            redis,
            services: Vec::new(),
            sales,
            proxies,
            clock_file,
            is_valkey: valkey.is_some(),
            demands_replicas,
            folder,
        };
        for name in 0..services {
            let service = Service::start(stage.folder.path(), name, &stage.url(name), topology.durability());
            stage.services.push(service);
        }
        stage.wait_until_it_works();
        stage
    }

    fn url(&self, service: usize) -> String {
        match &self.redis {
            Redis::Standalone(_) => format!("redis://127.0.0.1:{}", self.proxies[service].port),
            Redis::Sentinel(sentinels) => sentinels.url(""),
            Redis::Cluster(cluster) => cluster.url(),
        }
    }

    /// The servers that have data.
    pub fn servers(&mut self) -> &mut [ServerProcess] {
        match &mut self.redis {
            Redis::Standalone(server) => std::slice::from_mut(server),
            Redis::Sentinel(sentinels) => &mut sentinels.servers,
            Redis::Cluster(cluster) => &mut cluster.servers,
        }
    }

    /// Waits until everything is there again. Panics with what is not.
    pub fn wait_until_it_works(&mut self) {
        for server in self.servers() {
            wait("the server has loaded its data", || answers(server.port));
        }
        self.wait_for_replicas();
        for number in 0..self.services.len() {
            assert!(self.services[number].wait_until_it_is_ready(), "service {number} is not ready after a minute");
        }
    }

    /// The servers of which one may take over from another.
    pub fn ports_of_pairs(&self) -> Vec<u16> {
        let servers = match &self.redis {
            Redis::Standalone(_) => return Vec::new(),
            Redis::Sentinel(sentinels) => &sentinels.servers,
            Redis::Cluster(cluster) => &cluster.servers,
        };
        servers.iter().map(|server| server.port).collect()
    }

    /// Waits until each primary has its replica.
    pub fn wait_for_replicas(&self) {
        let ports = self.ports_of_pairs();
        let has_its_part = |port: u16| {
            let Some(text) = replication(port) else { return false };
            text.contains("role:master") && text.contains("state=online")
                || text.contains("role:slave") && text.contains("master_link_status:up")
        };
        wait("primaries and replicas are together", || ports.iter().all(|port| has_its_part(*port)));
        if let Redis::Sentinel(sentinels) = &self.redis {
            let primary = sentinels.primary();
            wait("the sentinels name the primary", || {
                replication(primary).is_some_and(|text| text.contains("role:master"))
            });
        }
    }

    /// Everything in Redis obeys the invariants. Call it when nothing is in progress.
    pub fn check_invariants(&mut self) {
        match &self.redis {
            Redis::Cluster(cluster) => cluster.check_invariants(),
            Redis::Sentinel(sentinels) => invariants::check(&mut crate::support::cluster::connect(sentinels.primary())),
            Redis::Standalone(server) => invariants::check(&mut crate::support::cluster::connect(server.port)),
        }
    }
}

/// A program that is the server, but survives a file that may not grow, and has a clock that the nemesis can set.
fn wrapper(folder: &Path, valkey: Option<&Path>) -> (PathBuf, Option<PathBuf>) {
    let server = valkey.map_or_else(server_program, Path::to_owned);
    // No link is followed: the name says which of its programs it is.
    let server = std::path::absolute(&server).unwrap();
    let clock = folder.join("clock");
    fs::write(&clock, "+0").unwrap();
    // libfaketime and the allocator of Debian's redis-server do not go together.
    let has_clock = valkey.is_some() && Path::new(FAKETIME).exists();
    let faked = format!(
        "export LD_PRELOAD={FAKETIME} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_TIMESTAMP_FILE={}\n",
        clock.display()
    );
    let script =
        format!("#!/bin/sh\ntrap '' XFSZ\n{}exec {} \"$@\"\n", if has_clock { &*faked } else { "" }, server.display());
    let program = folder.join("redis-server");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    (program, has_clock.then_some(clock))
}

fn replication(port: u16) -> Option<String> {
    replication_of(&mut connect(port)?)
}

pub fn replication_of(connection: &mut redis::Connection) -> Option<String> {
    redis::cmd("INFO").arg("replication").query(connection).ok()
}

pub fn answers(port: u16) -> bool {
    connect(port).is_some_and(|mut connection| {
        let loading: redis::RedisResult<String> = redis::cmd("INFO").arg("persistence").query(&mut connection);
        loading.is_ok_and(|text| text.contains("loading:0"))
    })
}

/// A connection that waits for nobody for long.
pub fn connect(port: u16) -> Option<redis::Connection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).ok()?;
    let connection = client.get_connection_with_timeout(Duration::from_secs(1)).ok()?;
    connection.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    Some(connection)
}

pub fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_mins(1), "{what}: still not so after a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}
