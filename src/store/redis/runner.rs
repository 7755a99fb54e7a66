//! Runs scripts: one multiplexed connection per worker, checked out of the worker's own pool, with every wait bounded.
//!
//! A runner belongs to one thread, whose runtime drives its connection.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use deadpool_redis::{Connection, Pool, PoolError};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value, aio::MultiplexedConnection};
use tokio::sync::Mutex;

use super::{
    catalogue::{Catalogue, Op, Script},
    durability::Barrier,
    error::{Failure, ends_connection},
    reply::Reply,
    topology::{Limits, Topology},
};

/// Times that one call may be made again because lapsed units were left to reclaim: each gives back 512 buckets.
const BEHIND_MAX: usize = 1_000;
/// Timeouts in a row after which the connection is given up: the server may have been demoted or cut off.
const TIMEOUTS_MAX: u32 = 3;

/// A call of a script: first all keys, then all arguments, packed one behind the other.
pub struct Call {
    op: Op,
    keys: usize,
    packed: Vec<u8>,
    /// Where each word ends.
    ends: Vec<usize>,
}

impl Call {
    pub fn of(op: Op) -> Self {
        Self { op, keys: 0, packed: Vec::with_capacity(256), ends: Vec::with_capacity(16) }
    }

    pub fn key(self, key: impl AsRef<[u8]>) -> Self {
        self.key_of("", key)
    }

    /// A key in two parts.
    pub fn key_of(mut self, prefix: &str, rest: impl AsRef<[u8]>) -> Self {
        debug_assert_eq!(self.keys, self.ends.len(), "keys come before arguments");
        self.keys += 1;
        self.packed.extend_from_slice(prefix.as_bytes());
        self.arg(rest)
    }

    pub fn keys<K: AsRef<[u8]>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        keys.into_iter().fold(self, Self::key)
    }

    pub fn arg(mut self, arg: impl AsRef<[u8]>) -> Self {
        self.packed.extend_from_slice(arg.as_ref());
        self.ends.push(self.packed.len());
        self
    }

    pub fn number(self, number: u64) -> Self {
        self.arg(number.to_string())
    }

    fn command(&self, script: &Script) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&script.sha).arg(self.keys);
        let mut start = 0;
        for end in &self.ends {
            command.arg(&self.packed[start..*end]);
            start = *end;
        }
        command
    }
}

/// The connection in use, numbered so that a late failure of an old one does not end its successor.
struct Current {
    number: u64,
    connection: Connection,
}

pub struct Runner {
    pool: Pool,
    catalogue: Arc<Catalogue>,
    limits: Limits,
    current: RefCell<Option<Current>>,
    connected: Cell<u64>,
    timeouts: Cell<u32>,
    in_flight: Rc<Cell<usize>>,
    /// What is waited for behind each script.
    barrier: Option<Barrier>,
    /// Held by the one who connects; remembers the last failure for those who waited meanwhile.
    connecting: Mutex<Option<(Instant, Failure)>>,
}

impl Runner {
    pub fn new(topology: &Topology, catalogue: Arc<Catalogue>) -> Self {
        Self {
            pool: topology.pool(),
            catalogue,
            limits: topology.limits,
            current: RefCell::default(),
            connected: Cell::default(),
            timeouts: Cell::default(),
            in_flight: Rc::default(),
            barrier: None,
            connecting: Mutex::default(),
        }
    }

    /// Answers of scripts come only once the barrier is passed.
    #[must_use]
    pub fn with_barrier(mut self, barrier: Barrier) -> Self {
        self.barrier = Some(barrier);
        self
    }

    /// Calls a script until it has decided; gives the reply after its first word, and that word.
    ///
    /// # Errors
    /// [`Failure`]: after `TimedOut` and `Unavailable` the outcome is unknown.
    pub async fn call(&self, call: Call) -> Result<(String, Reply), Failure> {
        let _place = self.place()?;
        let script = self.catalogue.script(call.op);
        let command = call.command(script);
        let started = Instant::now();
        for _ in 0..BEHIND_MAX {
            let mut reply = Reply::read(self.send(&command, Some(script)).await?)?;
            let word = reply.text()?;
            if word != "behind" {
                return Ok((word, reply));
            }
            if started.elapsed() > self.limits.call {
                break;
            }
        }
        Err(Failure::TimedOut(format!("{} has too much to reclaim", script.name)))
    }

    /// Runs a plain command, for what needs no decision. It may be sent twice, so it must be one that does no harm then.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn plain(&self, command: &Cmd) -> Result<Value, Failure> {
        let _place = self.place()?;
        self.send(command, None).await
    }

    /// How many connections there were. As long as it is the same, so is the server, and it was not started again.
    pub fn connections(&self) -> u64 {
        self.connected.get()
    }

    /// Loads the scripts that Redis does not have, so that calls find them.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn ensure_scripts(&self) -> Result<(), Failure> {
        let mut exists = redis::cmd("SCRIPT");
        exists.arg("EXISTS");
        for script in self.catalogue.iter() {
            exists.arg(&script.sha);
        }
        let mut there = Reply::read(self.plain(&exists).await?)?;
        for script in self.catalogue.iter() {
            if there.int()? == 0 {
                self.plain(redis::cmd("SCRIPT").arg("LOAD").arg(&script.source)).await?;
            }
        }
        Ok(())
    }

    /// Sends a command, and sends it again when the connection was lost and that does no harm: perhaps only the connection
    /// is gone, and Redis may have decided already.
    async fn send(&self, command: &Cmd, script: Option<&Script>) -> Result<Value, Failure> {
        match self.send_once(command, script).await {
            Err(Attempt::Lost(_)) if script.is_none_or(|script| script.resend) => self.send_once(command, script).await,
            first => first,
        }
        .map_err(Attempt::into_failure)
    }

    async fn send_once(&self, command: &Cmd, script: Option<&Script>) -> Result<Value, Attempt> {
        let (number, mut connection) = self.connection().await.map_err(Attempt::Failed)?;
        let mut answer = command.query_async(&mut connection).await;
        if let (Err(error), Some(script)) = (&answer, script)
            && error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        {
            answer = Box::pin(load_and_send(script, command, &mut connection)).await;
        }
        let answer = self.heard(number, answer).map_err(|error| Attempt::of(&error))?;
        if let (Some(barrier), Some(_)) = (self.barrier, script) {
            self.pass(barrier, number, &mut connection).await?;
        }
        Ok(answer)
    }

    /// On the connection of the call: a server waits for what that connection wrote.
    async fn pass(&self, barrier: Barrier, number: u64, connection: &mut MultiplexedConnection) -> Result<(), Attempt> {
        let Some(command) = barrier.command() else { return Ok(()) };
        let reached = self.heard(number, command.query_async(connection).await).map_err(|error| Attempt::of(&error))?;
        barrier.check(&reached).map_err(Attempt::Failed)
    }

    /// Learns from an answer whether the connection is still worth keeping.
    fn heard<T>(&self, number: u64, answer: Result<T, RedisError>) -> Result<T, RedisError> {
        match &answer {
            Ok(_) => self.timeouts.set(0),
            Err(error) if error.is_timeout() => self.timeouts.set(self.timeouts.get() + 1),
            Err(_) => {}
        }
        let worn_out = self.timeouts.get() >= TIMEOUTS_MAX;
        if worn_out || matches!(&answer, Err(error) if ends_connection(error)) {
            self.timeouts.set(0);
            self.forget(number);
        }
        answer
    }

    fn forget(&self, number: u64) {
        let mut current = self.current.borrow_mut();
        if current.as_ref().is_some_and(|c| c.number == number)
            && let Some(Current { connection, .. }) = current.take()
        {
            // Taken out of the pool, which would otherwise keep it for the next check-out.
            drop(Connection::take(connection));
        }
    }

    /// The connection in use; where there is none, one caller connects and the others share its luck.
    async fn connection(&self) -> Result<(u64, MultiplexedConnection), Failure> {
        if let Some(current) = self.in_use() {
            return Ok(current);
        }
        // Boxed, as all that is rare, so that the futures of calls are small.
        Box::pin(self.connect()).await
    }

    async fn connect(&self) -> Result<(u64, MultiplexedConnection), Failure> {
        let asked = Instant::now();
        let mut last = self.connecting.lock().await;
        if let Some(current) = self.in_use() {
            return Ok(current);
        }
        if let Some((at, failure)) = &*last
            && *at >= asked
        {
            return Err(failure.clone());
        }
        match self.new_connection().await {
            Ok(connection) => {
                let number = self.connected.get() + 1;
                self.connected.set(number);
                let multiplexed = (*connection).clone();
                *self.current.borrow_mut() = Some(Current { number, connection });
                Ok((number, multiplexed))
            }
            Err(failure) => {
                *last = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// One that was greeted, where the barrier wants that.
    async fn new_connection(&self) -> Result<Connection, Failure> {
        let mut connection = self.pool.get().await.map_err(|error| connect_failure(&error))?;
        if let Some(greeting) = self.barrier.and_then(|barrier| barrier.greeting())
            && let Err(error) = greeting.query_async::<Value>(&mut *connection).await
        {
            // Not back into the pool: nobody shall use it ungreeted.
            drop(Connection::take(connection));
            return Err(Failure::from_redis(&error));
        }
        Ok(connection)
    }

    fn in_use(&self) -> Option<(u64, MultiplexedConnection)> {
        self.current.borrow().as_ref().map(|c| (c.number, (*c.connection).clone()))
    }

    fn place(&self) -> Result<Place, Failure> {
        let taken = self.in_flight.get();
        if taken >= self.limits.in_flight_max {
            return Err(Failure::Overloaded(format!("{taken} calls wait for Redis already")));
        }
        self.in_flight.set(taken + 1);
        Ok(Place(Rc::clone(&self.in_flight)))
    }
}

async fn load_and_send(
    script: &Script,
    command: &Cmd,
    connection: &mut MultiplexedConnection,
) -> Result<Value, RedisError> {
    let _sha: Value = redis::cmd("SCRIPT").arg("LOAD").arg(&script.source).query_async(connection).await?;
    command.query_async(connection).await
}

/// Connecting failed, so nothing was sent: even a timeout is a plain absence.
fn connect_failure(error: &PoolError) -> Failure {
    match error {
        PoolError::Backend(cause) => Failure::Unavailable(format!("cannot connect: {cause}")),
        other => Failure::Unavailable(format!("cannot connect: {other}")),
    }
}

enum Attempt {
    /// The connection broke; the call may or may not have been decided.
    Lost(Failure),
    Failed(Failure),
}

impl Attempt {
    fn of(error: &RedisError) -> Self {
        let failure = Failure::from_redis(error);
        if error.is_connection_dropped() { Self::Lost(failure) } else { Self::Failed(failure) }
    }

    fn into_failure(self) -> Failure {
        match self {
            Self::Lost(failure) | Self::Failed(failure) => failure,
        }
    }
}

/// A place among the calls in flight, given back on drop.
struct Place(Rc<Cell<usize>>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
