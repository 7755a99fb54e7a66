//! Where Redis is, and how to connect to it: one server, the primary that Sentinel names, or a cluster.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use deadpool_redis::{Manager, Pool, Runtime};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

/// Connections that a worker's pool may hold: one for all calls, one to replace it.
const POOL_SIZE: usize = 2;

/// Bounds on every wait for Redis.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connect: Duration,
    pub call: Duration,
    /// Calls of one worker to one server that may be in flight at the same time.
    pub in_flight_max: usize,
    /// Requests of one worker that may wait in one queue: holds of one sale, readers of one product.
    pub queue_max: usize,
}

/// What kind of servers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Single,
    Sentinel,
    Cluster,
}

/// User and password of the sentinels, which are not those of the servers they watch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Login<'a> {
    pub user: Option<&'a str>,
    pub password: Option<&'a str>,
}

/// How to reach Redis.
#[derive(Clone, Debug)]
pub struct Topology {
    servers: Servers,
    /// A server with the user, the password and the TLS of all of them.
    like: ConnectionInfo,
    pub limits: Limits,
}

#[derive(Clone, Debug)]
pub enum Servers {
    Single(ConnectionInfo),
    Sentinel(Watched),
    /// Some servers of the cluster, which know the others.
    Cluster(Vec<ConnectionInfo>),
}

/// A primary that sentinels watch.
#[derive(Clone, Debug)]
pub struct Watched {
    pub name: String,
    pub sentinels: Vec<ConnectionInfo>,
    pub primary: Arc<Primary>,
}

/// The primary that the sentinels named last. All workers share it.
#[derive(Debug, Default)]
pub struct Primary {
    version: AtomicU64,
    named: Mutex<Option<String>>,
}

impl Primary {
    /// Another number whenever another server was named.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub fn named(&self) -> (u64, Option<String>) {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        (self.version(), named.clone())
    }

    /// The version of that name.
    pub fn name(&self, address: &str) -> u64 {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.as_deref() == Some(address) {
            return self.version();
        }
        if let Some(before) = named.replace(address.to_owned()) {
            tracing::warn!(%before, now = %address, "Sentinel names another primary");
        }
        self.version.fetch_add(1, Ordering::AcqRel) + 1
    }
}

impl Topology {
    /// One server: `redis://`, `rediss://` or `unix://`, with user, password and database where the URL has them.
    ///
    /// # Errors
    /// When the URL cannot be read. The error does not repeat it, because it may have a password.
    pub fn single(url: &str, limits: Limits) -> Result<Self, RedisError> {
        let info = info(url)?;
        Ok(Self { servers: Servers::Single(info.clone()), like: info, limits })
    }

    /// Servers of one cluster, each a URL as for `single`.
    ///
    /// # Errors
    /// When a URL cannot be read, or there is none.
    pub fn cluster(urls: &[String], limits: Limits) -> Result<Self, RedisError> {
        let (like, seeds) = infos(urls)?;
        Ok(Self { servers: Servers::Cluster(seeds), like, limits })
    }

    /// The primary with this name. Each URL is that of a sentinel, but its user, password and database are those of the primary.
    ///
    /// # Errors
    /// When a URL cannot be read, or there is none.
    pub fn sentinel(urls: &[String], name: &str, login: Login<'_>, limits: Limits) -> Result<Self, RedisError> {
        let (like, servers) = infos(urls)?;
        let mut settings = RedisConnectionInfo::default();
        settings = login.user.into_iter().fold(settings, RedisConnectionInfo::set_username);
        settings = login.password.into_iter().fold(settings, RedisConnectionInfo::set_password);
        let sentinels = servers.into_iter().map(|info| info.set_redis_settings(settings.clone())).collect();
        let watched = Watched { name: name.to_owned(), sentinels, primary: Arc::default() };
        Ok(Self { servers: Servers::Sentinel(watched), like, limits })
    }

    /// Whether `single` can read the URL.
    pub fn understands(url: &str) -> bool {
        info(url).is_ok()
    }

    pub(super) fn servers(&self) -> &Servers {
        &self.servers
    }

    pub fn kind(&self) -> Kind {
        match self.servers {
            Servers::Single(_) => Kind::Single,
            Servers::Sentinel(_) => Kind::Sentinel,
            Servers::Cluster(_) => Kind::Cluster,
        }
    }

    /// Whether the one server runs on this machine.
    pub fn is_on_this_machine(&self) -> bool {
        let Servers::Single(info) = &self.servers else { return false };
        match info.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => {
                host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
            _ => true,
        }
    }

    /// The name by which sentinels know the primary.
    pub fn primary_name(&self) -> Option<&str> {
        match &self.servers {
            Servers::Sentinel(watched) => Some(&watched.name),
            _ => None,
        }
    }

    pub fn is_cluster(&self) -> bool {
        self.kind() == Kind::Cluster
    }

    /// Whether calls may go to servers that were not there at the start.
    pub(super) fn has_several_servers(&self) -> bool {
        self.kind() != Kind::Single
    }

    /// Another server of the same kind.
    pub(super) fn info_at(&self, host: &str, port: u16) -> ConnectionInfo {
        let host = host.to_owned();
        let addr = match self.like.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        self.like.clone().set_addr(addr)
    }

    /// A pool for one worker. The runtime that makes a connection drives it, so workers share none.
    pub(super) fn pool(&self, info: &ConnectionInfo) -> Pool {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.limits.connect))
            .set_response_timeout(Some(self.limits.call));
        let manager = Manager::new_with_config(info.clone(), config).expect("the address was checked in `single`");
        Pool::builder(manager)
            .max_size(POOL_SIZE)
            .wait_timeout(Some(self.limits.connect))
            .create_timeout(Some(self.limits.connect))
            .recycle_timeout(Some(self.limits.connect))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a runtime for the timeouts is given")
    }
}

/// The address, without user and password.
impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all =
            |infos: &[ConnectionInfo]| infos.iter().map(|info| info.addr().to_string()).collect::<Vec<_>>().join(",");
        match &self.servers {
            Servers::Single(info) => write!(f, "{}", info.addr()),
            Servers::Sentinel(watched) => write!(f, "{} of the sentinels {}", watched.name, all(&watched.sentinels)),
            Servers::Cluster(seeds) => write!(f, "cluster of {}", all(seeds)),
        }
    }
}

fn infos(urls: &[String]) -> Result<(ConnectionInfo, Vec<ConnectionInfo>), RedisError> {
    let all = urls.iter().map(|url| info(url)).collect::<Result<Vec<_>, _>>()?;
    let none = || RedisError::from((redis::ErrorKind::InvalidClientConfig, "no server"));
    Ok((all.first().cloned().ok_or_else(none)?, all))
}

fn info(url: &str) -> Result<ConnectionInfo, RedisError> {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5));
    let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    let info = url.into_connection_info()?.set_tcp_settings(tcp);
    Client::open(info.clone())?;
    Ok(info)
}
