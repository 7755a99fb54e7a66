//! Clusters and sentinels of servers that a test starts itself.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use redis::Value;
use tempfile::TempDir;

use super::redis::{ServerProcess, free_port, server_program};

/// After so long a server counts as gone: soon where a replica takes over, else later than a loaded machine lets one wait.
const NODE_TIMEOUTS_MS: [&str; 2] = ["2000", "6000"];

/// A cluster: primaries, and as many replicas of each.
pub struct Cluster {
    pub servers: Vec<ServerProcess>,
    primaries: usize,
}

impl Cluster {
    /// Servers number 0 to `primaries` - 1 share the slots. Server `primaries` + n replicates server n.
    pub fn start(primaries: usize, replicas: usize) -> Self {
        Self::start_with(&server_program(), primaries, replicas, &[])
    }

    pub fn start_with(program: &Path, primaries: usize, replicas: usize, more: &[&str]) -> Self {
        let timeout = NODE_TIMEOUTS_MS[usize::from(replicas == 0)];
        let servers: Vec<_> = (0..primaries * (1 + replicas)).map(|_| server(program, timeout, more)).collect();
        let cluster = Self { servers, primaries };
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

    pub fn wait_until_it_works(&self) {
        for server in &self.servers {
            wait(|| is_ok(server.port));
        }
        for n in self.primaries..self.servers.len() {
            wait(|| info(self.servers[n].port, "replication", "master_link_status") == "up");
        }
    }

    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("redis-cluster://{}", hosts.join(","))
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

    /// Ends a server. What it knows of the cluster stays in the folder.
    pub fn kill(&mut self, n: usize) -> Killed {
        let server = self.servers.remove(n);
        let (port, bus) = (server.port, bus_port(&server));
        Killed { n, port, bus, folder: server.end_and_keep_folder() }
    }

    /// Starts it again, in a cluster that has replicas.
    pub fn restart(&mut self, killed: Killed) {
        let bus = killed.bus.to_string();
        let server = ServerProcess::start_in(killed.folder, killed.port, &arguments(NODE_TIMEOUTS_MS[0], &bus));
        self.servers.insert(killed.n, server);
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

/// What is left of a server that was killed.
pub struct Killed {
    n: usize,
    port: u16,
    bus: u16,
    folder: TempDir,
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
            ServerProcess::start_sentinel(folder, free_port(), &path)
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

    /// `login` is what stands in front of the hosts: `:password@`.
    pub fn url(&self, login: &str) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis+sentinel://{login}{}/drop", hosts.join(","))
    }

    /// The port of the primary that the first living sentinel names.
    pub fn primary(&self) -> u16 {
        let named = |sentinel: &ServerProcess| -> Option<(String, u16)> {
            let client = redis::Client::open(sentinel.url()).ok()?;
            let mut connection = client.get_connection_with_timeout(Duration::from_millis(500)).ok()?;
            redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg("drop").query(&mut connection).ok()
        };
        self.sentinels.iter().find_map(named).unwrap().1
    }
}

fn server(program: &Path, node_timeout_ms: &str, more: &[&str]) -> ServerProcess {
    let bus = free_port().to_string();
    ServerProcess::start_program(program, &[&arguments(node_timeout_ms, &bus)[..], more].concat())
}

fn arguments<'a>(node_timeout_ms: &'a str, bus: &'a str) -> Vec<&'a str> {
    let own = ["--cluster-enabled", "yes", "--cluster-node-timeout", node_timeout_ms, "--cluster-port", bus];
    let shared = ["--cluster-require-full-coverage", "no", "--cluster-allow-reads-when-down", "no"];
    [&own[..], &shared, &["--repl-diskless-sync-delay", "0"]].concat()
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
    let Ok(client) = redis::Client::open(format!("redis://127.0.0.1:{port}")) else { return false };
    let Ok(mut connection) = client.get_connection_with_timeout(Duration::from_millis(500)) else { return false };
    let _set = connection.set_read_timeout(Some(Duration::from_millis(500)));
    let info: redis::RedisResult<String> = redis::cmd("CLUSTER").arg("INFO").query(&mut connection);
    info.is_ok_and(|info| info.contains("cluster_state:ok"))
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
