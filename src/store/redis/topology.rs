//! Where Redis is, and how to connect to it: one server, at one address.

use std::time::Duration;

use deadpool_redis::{Manager, Pool, Runtime};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, RedisError,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

/// Connections that a worker's pool may hold: one for all calls, one to replace it.
const POOL_SIZE: usize = 2;

/// Bounds on every wait for Redis.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connect: Duration,
    pub call: Duration,
    /// Calls of one worker that may be in flight at the same time.
    pub in_flight_max: usize,
    /// Requests of one worker that may wait in one queue: holds of one sale, readers of one product.
    pub queue_max: usize,
}

/// How to reach Redis.
#[derive(Clone, Debug)]
pub struct Topology {
    info: ConnectionInfo,
    pub limits: Limits,
}

impl Topology {
    /// One server: `redis://`, `rediss://` or `unix://`, with user, password and database where the URL has them.
    ///
    /// # Errors
    /// When the URL cannot be read. The error does not repeat it, because it may have a password.
    pub fn single(url: &str, limits: Limits) -> Result<Self, RedisError> {
        let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5));
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
        let info = url.into_connection_info()?.set_tcp_settings(tcp);
        Client::open(info.clone())?;
        Ok(Self { info, limits })
    }

    /// Whether `single` can read the URL.
    pub fn understands(url: &str) -> bool {
        url.into_connection_info().is_ok_and(|info| Client::open(info).is_ok())
    }

    /// A pool for one worker. The runtime that makes a connection drives it, so workers share none.
    pub fn pool(&self) -> Pool {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.limits.connect))
            .set_response_timeout(Some(self.limits.call));
        let manager = Manager::new_with_config(self.info.clone(), config).expect("the address was checked in `single`");
        Pool::builder(manager)
            .max_size(POOL_SIZE)
            .wait_timeout(Some(self.limits.connect))
            .create_timeout(Some(self.limits.connect))
            .recycle_timeout(Some(self.limits.connect))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a runtime for the timeouts is given")
    }

    /// The address, without user and password.
    pub fn address(&self) -> String {
        self.info.addr().to_string()
    }
}
