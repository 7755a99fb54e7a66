//! Clusters and sentinels of servers that a test starts itself.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use redis::Value;
use tempfile::TempDir;

use super::{
    redis::{ServerProcess, free_port, server_program},
    tls::Certificates,
};

/// After so long a server counts as gone: soon where a replica takes over, else later than a loaded machine lets one wait.
const NODE_TIMEOUTS_MS: [&str; 2] = ["2000", "6000"];

/// A cluster: primaries, and as many replicas of each.
pub struct Cluster {
    pub servers: Vec<ServerProcess>,
    primaries: usize,
    program: PathBuf,
    /// The arguments of each server.
    arguments: Vec<Vec<String>>,
}

impl Cluster {
    /// Servers number 0 to `primaries` - 1 share the slots. Server `primaries` + n replicates server n.
    pub fn start(primaries: usize, replicas: usize) -> Self {
        Self::start_with(&server_program(), primaries, replicas, &[])
    }

    pub fn start_with(program: &Path, primaries: usize, replicas: usize, more: &[&str]) -> Self {
        Self::start_each(program, primaries, replicas, || more.iter().copied().map(str::to_owned).collect())
    }

    /// The servers speak TLS with each other and with clients, who know them as `localhost`. The test has a port without it.
    pub fn start_over_tls(primaries: usize, replicas: usize, certificates: &Certificates) -> Self {
        let names = ["--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname"];
        let more = || {
            let own = certificates.arguments(free_port());
            own.into_iter().chain(["--tls-cluster", "yes"].iter().chain(&names).copied().map(str::to_owned)).collect()
        };
        Self::start_each(&server_program(), primaries, replicas, more)
    }

    fn start_each(program: &Path, primaries: usize, replicas: usize, more: impl Fn() -> Vec<String>) -> Self {
        let timeout = NODE_TIMEOUTS_MS[usize::from(replicas == 0)];
        let arguments: Vec<_> = (0..primaries * (1 + replicas)).map(|_| arguments(timeout, more())).collect();
        let servers = arguments.iter().map(|own| ServerProcess::start_program(program, &texts(own))).collect();
        let cluster = Self { servers, primaries, program: program.to_owned(), arguments };
        cluster.meet();
        cluster.wait_until_it_works();
        cluster
    }

    fn meet(&self) {
        let busses: Vec<_> = self.servers.iter().map(|server| (server.port, bus_port(server))).collect();
        for (n, server) in self.servers.iter().enumerate() {
            let mut connection = connect(server.port);
            run(&mut connection, &format!("CLUSTER SET-CONFIG-EPOCH {}", n + 1));
            if n < self.primaries {
                let share = |n: usize| n * 16_384 / self.primaries;
                run(&mut connection, &format!("CLUSTER ADDSLOTSRANGE {} {}", share(n), share(n + 1) - 1));
            }
            let (port, bus) = busses[0];
            if n > 0 {
                run(&mut connection, &format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
            }
        }
        for n in self.primaries..self.servers.len() {
            let of = self.id(n % self.primaries);
            let mut connection = connect(self.servers[n].port);
            wait(|| redis::cmd("CLUSTER").arg("REPLICATE").arg(&of).exec(&mut connection).is_ok());
        }
    }

    /// Kills a server, and starts it again. It still has its slots, and of its data what its settings let it write to disk.
    pub fn restart(&mut self, n: usize) {
        self.servers[n].restart(&self.program, &texts(&self.arguments[n]));
        self.wait_until_it_works();
    }

    pub fn wait_until_it_works(&self) {
        for server in &self.servers {
            // A server that has not heard of some slots yet is content, where not all of them are demanded.
            wait(|| is_ok(server.port) && cluster_info(server.port).contains("cluster_slots_ok:16384"));
        }
        for n in self.primaries..self.servers.len() {
            wait(|| info(self.servers[n].port, "replication", "master_link_status") == "up");
        }
    }

    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }

    pub fn url_over_tls(&self) -> String {
        let port = |own: &Vec<String>| format!("localhost:{}", tls_port(own));
        format!("rediss-cluster://{}", self.arguments.iter().map(port).collect::<Vec<_>>().join(","))
    }

    /// The name of a server in the cluster.
    pub fn id(&self, n: usize) -> String {
        redis::cmd("CLUSTER").arg("MYID").query(&mut connect(self.servers[n].port)).unwrap()
    }

    /// The primary that has the slot of this key, by its number.
    pub fn owner(&self, key: &str) -> usize {
        let asked = self.servers.iter().map(|server| server.port).find(|port| is_ok(*port)).unwrap();
        let mut connection = connect(asked);
        let slot: i64 = redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query(&mut connection).unwrap();
        let rows: Vec<(i64, i64, (String, u16))> = rows(&mut connection);
        let (.., (_, port)) = rows.into_iter().find(|(from, to, _)| (*from..=*to).contains(&slot)).unwrap();
        self.servers.iter().position(|server| server.port == port).unwrap()
    }

    pub fn connect(&self, n: usize) -> redis::Connection {
        connect(self.servers[n].port)
    }

    /// Ends a server, until it is [brought back](Self::bring_back).
    pub fn kill(&mut self, n: usize) -> Killed {
        let mut server = self.servers.remove(n);
        server.end();
        Killed { n, server }
    }

    /// Starts it again, with what it knows of the cluster, as it was started.
    pub fn bring_back(&mut self, mut killed: Killed) {
        killed.server.start_again();
        self.servers.insert(killed.n, killed.server);
    }

    /// Names of sales, one for each primary in their order.
    pub fn sale_of_each(&self) -> Vec<String> {
        let mut found: HashMap<usize, String> = HashMap::new();
        for number in 0.. {
            let sale = format!("sale-{number}");
            found.entry(self.owner(&format!("fs1:{{{sale}}}:sale"))).or_insert(sale);
            if found.len() == self.primaries {
                break;
            }
        }
        (0..self.primaries).map(|n| found.remove(&n).unwrap()).collect()
    }

    /// Everything on all primaries obeys the invariants.
    pub fn check_invariants(&self) {
        let primaries = self.servers.iter().filter(|server| is_ok(server.port));
        for server in primaries.filter(|server| info(server.port, "replication", "role") == "master") {
            super::invariants::check_all(&mut connect(server.port));
        }
    }
}

/// A server that was killed.
pub struct Killed {
    n: usize,
    server: ServerProcess,
}

/// One primary, a replica of it, and three sentinels that watch them under the name `drop`.
pub struct Sentinels {
    pub servers: Vec<ServerProcess>,
    pub sentinels: Vec<ServerProcess>,
}

impl Sentinels {
    /// Servers and sentinels have passwords of their own where they are given.
    pub fn start(replicas: usize, sentinels: usize, more: &[&str], passwords: Option<[&str; 2]>) -> Self {
        let login: Vec<&str> =
            passwords.iter().flat_map(|[data, _]| ["--requirepass", *data, "--masterauth", *data]).collect();
        let primary = ServerProcess::start(&[&login, more, &["--repl-diskless-sync-delay", "0"][..]].concat());
        let port = primary.port.to_string();
        let replica = || {
            ServerProcess::start(
                &[&login, more, &["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"][..]].concat(),
            )
        };
        let servers: Vec<_> = std::iter::once(primary).chain((0..replicas).map(|_| replica())).collect();
        let quorum = sentinels / 2 + 1;
        let mut config = format!(
            "sentinel monitor drop 127.0.0.1 {port} {quorum}\nsentinel down-after-milliseconds drop 1000\n\
             sentinel failover-timeout drop 4000\n"
        );
        if let Some([data, own]) = passwords {
            let lines =
                ["sentinel auth-pass drop ", data, "\nrequirepass ", own, "\nsentinel sentinel-pass ", own, "\n"];
            config.extend(lines);
        }
        let sentinel = |_| {
            let folder = TempDir::with_prefix("fs").unwrap();
            let path = folder.path().join("sentinel.conf");
            fs::write(&path, &config).unwrap();
            ServerProcess::start_sentinel(folder, free_port(), &path, &[])
        };
        let this = Self { servers, sentinels: (0..sentinels).map(sentinel).collect() };
        this.wait_until_it_works(passwords);
        this
    }

    fn wait_until_it_works(&self, passwords: Option<[&str; 2]>) {
        let (data, password) = passwords.map_or(("", ""), |[data, own]| (data, own));
        // One that has not copied the data yet would be an empty primary.
        for replica in &self.servers[1..] {
            wait(|| info_with(replica.port, data, "replication", "master_link_status") == "up");
        }
        for sentinel in &self.sentinels {
            let mut connection = connect_with(sentinel.port, password);
            let figures = |connection: &mut redis::Connection| -> HashMap<String, String> {
                redis::cmd("SENTINEL").arg("MASTER").arg("drop").query(connection).unwrap_or_default()
            };
            let wanted = [self.servers.len() - 1, self.sentinels.len() - 1].map(|number| number.to_string());
            wait(|| {
                let found = figures(&mut connection);
                ["num-slaves", "num-other-sentinels"].map(|name| found.get(name).cloned().unwrap_or_default()) == wanted
            });
        }
    }

    /// The servers and sentinels speak TLS with each other and with clients, who know them as `localhost`. The test has a port of
    /// each without it. With the URL for the service.
    pub fn start_over_tls(replicas: usize, sentinels: usize, certificates: &Certificates) -> (Self, String) {
        let data = |of: Option<&str>| {
            let own = certificates.arguments(free_port());
            let port = tls_port(&own).to_owned();
            let replica = of.map(|port| ["--replicaof", "localhost", port, "--replica-announce-ip", "localhost"]);
            let more =
                [&["--repl-diskless-sync-delay", "0"][..], replica.as_ref().map_or(&[][..], |words| words)].concat();
            (ServerProcess::start(&[texts(&own), more].concat()), port)
        };
        let (primary, port) = data(None);
        let servers = std::iter::once(primary).chain((0..replicas).map(|_| data(Some(&port)).0)).collect();
        let config = format!(
            "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\nsentinel monitor drop localhost {port} {}\n\
             sentinel down-after-milliseconds drop 1000\nsentinel failover-timeout drop 4000\n",
            sentinels / 2 + 1
        );
        let mut hosts = Vec::new();
        let mut sentinel = |_| {
            let folder = TempDir::with_prefix("fs").unwrap();
            let path = folder.path().join("sentinel.conf");
            fs::write(&path, &config).unwrap();
            let own = certificates.arguments(free_port());
            hosts.push(format!("localhost:{}", tls_port(&own)));
            ServerProcess::start_sentinel(folder, free_port(), &path, &texts(&own))
        };
        let this = Self { servers, sentinels: (0..sentinels).map(&mut sentinel).collect() };
        this.wait_until_it_works(None);
        (this, format!("rediss+sentinel://{}/drop", hosts.join(",")))
    }

    /// `login` is what stands in front of the hosts: `:password@`.
    pub fn url(&self, login: &str) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis+sentinel://{login}{}/drop", hosts.join(","))
    }

    /// Hands over to a replica, as soon as the first sentinel finds it good enough.
    pub fn fail_over(&self) {
        let mut connection = connect(self.sentinels[0].port);
        wait(|| redis::cmd("SENTINEL").arg("FAILOVER").arg("drop").exec(&mut connection).is_ok());
    }

    /// The port of the primary that the first living sentinel names.
    pub fn primary(&self) -> u16 {
        self.primaries()[0]
    }

    /// What each living sentinel names. They hear of a new one within seconds.
    pub fn primaries(&self) -> Vec<u16> {
        let named = |sentinel: &ServerProcess| -> Option<(String, u16)> {
            let client = redis::Client::open(sentinel.url()).ok()?;
            let mut connection = client.get_connection_with_timeout(Duration::from_millis(500)).ok()?;
            redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg("drop").query(&mut connection).ok()
        };
        self.sentinels.iter().filter_map(named).map(|(_, port)| port).collect()
    }
}

fn texts(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

fn tls_port(arguments: &[String]) -> &str {
    let at = arguments.iter().position(|word| word == "--tls-port").expect("a server that speaks TLS");
    &arguments[at + 1]
}

fn arguments(node_timeout_ms: &str, more: Vec<String>) -> Vec<String> {
    let bus = free_port().to_string();
    let all = [
        &["--cluster-enabled", "yes", "--cluster-node-timeout", node_timeout_ms, "--cluster-port", &bus][..],
        &["--cluster-require-full-coverage", "no", "--cluster-allow-reads-when-down", "no"],
        &["--repl-diskless-sync-delay", "0"],
    ]
    .concat();
    all.into_iter().map(str::to_owned).chain(more).collect()
}

fn bus_port(server: &ServerProcess) -> u16 {
    let mut connection = connect(server.port);
    let (_, port): (String, u16) = redis::cmd("CONFIG").arg("GET").arg("cluster-port").query(&mut connection).unwrap();
    port
}

pub fn connect(port: u16) -> redis::Connection {
    connect_with(port, "")
}

pub fn connect_with(port: u16, password: &str) -> redis::Connection {
    let login = if password.is_empty() { String::new() } else { format!(":{password}@") };
    redis::Client::open(format!("redis://{login}127.0.0.1:{port}")).unwrap().get_connection().unwrap()
}

/// Runs a command that is written as one text.
pub fn run(connection: &mut redis::Connection, command: &str) -> Value {
    let mut words = command.split(' ');
    let mut built = redis::cmd(words.next().unwrap());
    words.for_each(|word| _ = built.arg(word));
    built.query(connection).unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// Whether the server sees a working cluster.
pub fn is_ok(port: u16) -> bool {
    cluster_info(port).contains("cluster_state:ok")
}

/// What a server says of the cluster, or nothing.
fn cluster_info(port: u16) -> String {
    let ask = || {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
        let mut connection = client.get_connection_with_timeout(Duration::from_millis(500))?;
        connection.set_read_timeout(Some(Duration::from_millis(500)))?;
        redis::cmd("CLUSTER").arg("INFO").query(&mut connection)
    };
    let info: redis::RedisResult<String> = ask();
    info.unwrap_or_default()
}

pub fn info(port: u16, section: &str, name: &str) -> String {
    info_with(port, "", section, name)
}

fn info_with(port: u16, password: &str, section: &str, name: &str) -> String {
    let info: redis::InfoDict = redis::cmd("INFO").arg(section).query(&mut connect_with(port, password)).unwrap();
    info.get(name).unwrap_or_default()
}

fn rows(connection: &mut redis::Connection) -> Vec<(i64, i64, (String, u16))> {
    let Value::Array(rows) = redis::cmd("CLUSTER").arg("SLOTS").query(connection).unwrap() else { panic!("no slots") };
    let row = |row: Value| {
        let Value::Array(mut row) = row else { panic!("{row:?}") };
        row.truncate(3);
        let Value::Array(mut primary) = row.pop().unwrap() else { panic!("no primary") };
        primary.truncate(2);
        let (from, to) = redis::from_redis_value(Value::Array(row)).unwrap();
        (from, to, redis::from_redis_value(Value::Array(primary)).unwrap())
    };
    rows.into_iter().map(row).collect()
}

fn wait(mut condition: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_mins(1), "the cluster does not work");
        std::thread::sleep(Duration::from_millis(20));
    }
}
