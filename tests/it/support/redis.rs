//! Private Redis servers. Both kinds end with the test, however it ends.

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use flashsale::{
    embedded::Embedded,
    store::{Limits, Login, Topology},
};
use tempfile::TempDir;

use super::cluster::{Cluster, Sentinels};

/// The program under test, which also guards embedded servers.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_flashsale");

/// What the tests run on: `FLASHSALE_TEST_REDIS`. Embedded, where it is empty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TestRedis {
    Embedded,
    Standalone,
    Sentinel,
    /// One primary that has all slots: scripts with keys of several slots are refused, and tests look at all data in one place.
    Cluster,
}

impl TestRedis {
    pub fn of_environment() -> Self {
        match std::env::var("FLASHSALE_TEST_REDIS").unwrap_or_default().as_str() {
            "" | "embedded" => Self::Embedded,
            "standalone" => Self::Standalone,
            "sentinel" => Self::Sentinel,
            "cluster" => Self::Cluster,
            other => panic!("FLASHSALE_TEST_REDIS is {other}; it must be embedded, standalone, sentinel or cluster"),
        }
    }
}

/// A Redis of one primary in a folder of its own, of the kind that `FLASHSALE_TEST_REDIS` says.
pub enum PrivateRedis {
    Embedded { server: Embedded, _folder: TempDir },
    Standalone(ServerProcess),
    Sentinel(Sentinels),
    Cluster(Cluster),
}

impl PrivateRedis {
    pub fn start() -> Self {
        match TestRedis::of_environment() {
            TestRedis::Embedded => Self::start_embedded(),
            TestRedis::Standalone => Self::Standalone(ServerProcess::start(&["--appendonly", "yes"])),
            TestRedis::Sentinel => Self::Sentinel(Sentinels::start(0, 1, &["--appendonly", "yes"], None)),
            TestRedis::Cluster => Self::Cluster(Cluster::start_with(&server_program(), 1, 0, &["--appendonly", "yes"])),
        }
    }

    /// For a test of what embedded servers alone do.
    pub fn start_embedded() -> Self {
        let folder = TempDir::with_prefix("fs").unwrap();
        let server =
            Embedded::start(folder.path(), Some(&server_program()), Path::new(PROGRAM), Duration::from_mins(1));
        let server = server.unwrap();
        Self::Embedded { server, _folder: folder }
    }

    /// For the settings of the service.
    pub fn url(&self) -> String {
        match self {
            Self::Embedded { server, .. } => server.url(),
            Self::Standalone(server) => server.url(),
            Self::Sentinel(sentinels) => sentinels.url(""),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    /// The same for a user of the server.
    pub fn url_of(&self, user: &str, password: &str) -> String {
        match self {
            Self::Embedded { server, .. } => {
                format!("{}?user={user}&pass={password}", server.url().replace("unix://", "unix:"))
            }
            other => other.url().replace("://", &format!("://{user}:{password}@")),
        }
    }

    /// How many commands a plain read of all of so many sales takes: in a cluster one names keys of one sale alone.
    pub fn reads_of(&self, sales: u64) -> u64 {
        if matches!(self, Self::Cluster(_)) { sales } else { 1 }
    }

    /// For a connection to the server itself.
    pub fn server_url(&self) -> String {
        match self {
            Self::Embedded { server, .. } => server.url(),
            Self::Standalone(server) => server.url(),
            Self::Sentinel(sentinels) => sentinels.servers[0].url(),
            Self::Cluster(cluster) => cluster.servers[0].url(),
        }
    }

    pub fn connect(&self) -> redis::Connection {
        redis::Client::open(self.server_url()).unwrap().get_connection().unwrap()
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        pid(&mut self.connect())
    }
}

/// How the store reaches a server with such a URL.
pub fn topology(url: &str, limits: Limits) -> Topology {
    let hosts = |hosts: &str| hosts.split(',').map(|host| format!("redis://{host}")).collect::<Vec<_>>();
    if let Some(seeds) = url.strip_prefix("redis-cluster://") {
        return Topology::cluster(&hosts(seeds), limits).unwrap();
    }
    match url.strip_prefix("redis+sentinel://").and_then(|rest| rest.rsplit_once('/')) {
        Some((sentinels, name)) => Topology::sentinel(&hosts(sentinels), name, Login::default(), limits).unwrap(),
        None => Topology::single(url, limits).unwrap(),
    }
}

pub fn pid(connection: &mut redis::Connection) -> u32 {
    let info: redis::InfoDict = redis::cmd("INFO").arg("server").query(connection).unwrap();
    info.get("process_id").unwrap()
}

/// STOP makes the process hang, and CONT wakes it.
pub fn signal_process(pid: u32, signal: &str) {
    assert!(Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success());
}

/// A server that a test starts itself, with its own arguments.
pub struct ServerProcess {
    child: Child,
    /// How it was started.
    start: (PathBuf, Vec<String>),
    pub folder: TempDir,
    pub port: u16,
}

impl ServerProcess {
    /// On a TCP port of the loopback address.
    pub fn start(arguments: &[&str]) -> Self {
        let port = free_port();
        Self::start_in(TempDir::with_prefix("fs").unwrap(), port, arguments)
    }

    /// Starts this program instead of the first server that is found.
    pub fn start_program(program: &Path, arguments: &[&str]) -> Self {
        Self::run(program, TempDir::with_prefix("fs").unwrap(), free_port(), arguments)
    }

    /// A sentinel, which rewrites its settings.
    pub fn start_sentinel(folder: TempDir, port: u16, settings: &Path, arguments: &[&str]) -> Self {
        let (port_text, settings) = (port.to_string(), settings.display().to_string());
        let own = [&settings, "--sentinel", "--port", &port_text, "--bind", "127.0.0.1", "--logfile", "redis.log"];
        Self::spawn(&server_program(), folder, port, &[&own, arguments].concat())
    }

    pub fn start_in(folder: TempDir, port: u16, arguments: &[&str]) -> Self {
        Self::run(&server_program(), folder, port, arguments)
    }

    /// Kills it, and starts it with these arguments on the same port, in the same folder.
    pub fn restart(&mut self, program: &Path, arguments: &[&str]) {
        self.start = start_of(program, &self.folder, &with_common(self.port, arguments));
        self.start_again();
    }

    fn run(program: &Path, folder: TempDir, port: u16, arguments: &[&str]) -> Self {
        let arguments = with_common(port, arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Self::spawn(program, folder, port, &arguments)
    }

    fn spawn(program: &Path, folder: TempDir, port: u16, arguments: &[&str]) -> Self {
        let start = start_of(program, &folder, arguments);
        let mut server = Self { child: run(&start), start, folder, port };
        server.wait_until_it_listens();
        server
    }

    /// Starts it again, on its port and folder, after its end.
    pub fn start_again(&mut self) {
        self.end();
        self.child = run(&self.start);
        self.wait_until_it_listens();
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether the server on this machine was built with TLS.
    pub fn knows_tls() -> bool {
        let folder = TempDir::with_prefix("fs").unwrap();
        let port = free_port().to_string();
        let arguments = ["--port", "0", "--tls-port", &port, "--dir", folder.path().to_str().unwrap()];
        // Without a certificate it ends at once, and its output says whether it lacks TLS or the certificate.
        let output = Command::new(server_program()).args(arguments).output().unwrap();
        !String::from_utf8_lossy(&output.stdout).contains("Failed finding TLS support")
    }

    /// Whether the server on this machine has WAITAOF.
    pub fn knows_waitaof() -> bool {
        knows_waitaof(&server_program())
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn end(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }

    /// Ends it, and keeps its files for one that is started in its place.
    pub fn end_and_keep_folder(mut self) -> TempDir {
        let kept = TempDir::with_prefix("fs").unwrap();
        self.end();
        std::fs::remove_dir(kept.path()).unwrap();
        std::fs::rename(self.folder.path(), kept.path()).unwrap();
        kept
    }

    fn wait_until_it_listens(&mut self) {
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "the server does not listen");
            let log = || std::fs::read_to_string(self.folder.path().join("redis.log")).unwrap_or_default();
            assert!(matches!(self.child.try_wait(), Ok(None)), "the server ended at once: {}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What every data server gets before the arguments of its test. One with a TLS port alone is given `--port 0`.
fn with_common(port: u16, arguments: &[&str]) -> Vec<String> {
    let port = ["--port".to_owned(), port.to_string()];
    let own_port = if arguments.contains(&"--port") { &port[..0] } else { &port[..] };
    let common = ["--bind", "127.0.0.1", "--save", "", "--logfile", "redis.log"].map(str::to_owned);
    let arguments = arguments.iter().map(|argument| (*argument).to_owned());
    own_port.iter().cloned().chain(common).chain(arguments).collect()
}

fn start_of(program: &Path, folder: &TempDir, arguments: &[impl AsRef<str>]) -> (PathBuf, Vec<String>) {
    let folder = folder.path().display().to_string();
    let arguments = arguments.iter().map(AsRef::as_ref).chain(["--dir", &folder]).map(str::to_owned).collect();
    (program.to_owned(), arguments)
}

fn run((program, arguments): &(PathBuf, Vec<String>)) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    loop {
        match command.spawn() {
            // A program that a test has just written is open in whatever another thread starts at that moment.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            started => return started.unwrap(),
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// Another one each time: what a server left is not that of another test, which somebody still asks for the first. None of those that
/// a system gives to connections (from 32768 on): while a server is away, nobody else may get its port.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = u16::try_from(10_000 + getrandom::u32().unwrap() % 22_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}

pub fn server_program() -> PathBuf {
    server_programs().into_iter().next().expect("a redis-server; scripts/bootstrap installs one")
}

/// A server with WAITAOF (Redis 7.2), if this machine has one: the newer of two that `scripts/bootstrap --tests` installs.
pub fn newer_server() -> Option<PathBuf> {
    server_programs().into_iter().find(|program| knows_waitaof(program))
}

/// Those of this machine, behind the one that `FLASHSALE_TEST_SERVER` names.
fn server_programs() -> Vec<PathBuf> {
    let chosen = std::env::var_os("FLASHSALE_TEST_SERVER").filter(|path| !path.is_empty());
    let chosen = chosen.map(|path| std::path::absolute(path).unwrap());
    assert!(
        chosen.as_ref().is_none_or(|path| path.is_file()),
        "FLASHSALE_TEST_SERVER is {chosen:?}, which is no program"
    );
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from(".cache/bin")]);
    let programs = folders.flat_map(|folder| ["redis-server", "valkey-server"].map(|name| folder.join(name)));
    chosen.into_iter().chain(programs.filter(|program| program.is_file())).collect()
}

/// From `Redis server v=7.0.15 sha=...`. Every Valkey has WAITAOF.
fn knows_waitaof(program: &Path) -> bool {
    let output = Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("0");
    let mut parts = number.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next(), parts.next()) >= (Some(7), Some(2))
}
