//! Runs scripts, on one multiplexed connection per worker from the worker's own pool. Every wait has a bound.
//!
//! A runner belongs to one thread, whose runtime drives its connection.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
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
    identity::Identity,
    reply::Reply,
    topology::{Limits, Topology},
};
use crate::domain::cursor::ListCursor;

/// Times that one call is repeated because lapsed units are left to reclaim. Each time reclaims 512 buckets.
const BEHIND_MAX: usize = 1_000;
/// Timeouts in a row after which the runner drops the connection: the server may have been demoted or cut off.
const TIMEOUTS_MAX: u32 = 3;

/// A call of a script: all keys, then all arguments, in one buffer.
pub struct ScriptCall {
    op: Op,
    keys: usize,
    packed: Vec<u8>,
    /// The end of each key and argument in the buffer.
    ends: Vec<usize>,
}

impl ScriptCall {
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

    /// Fields and values.
    pub fn pairs<F: AsRef<[u8]>, V: AsRef<[u8]>>(self, pairs: impl IntoIterator<Item = (F, V)>) -> Self {
        pairs.into_iter().fold(self, |call, (field, value)| call.arg(field).arg(value))
    }

    /// The place after which a page of a list begins.
    pub fn after(self, cursor: Option<&ListCursor>) -> Self {
        self.arg(cursor.map_or(0, |cursor| cursor.ms).to_string()).arg(cursor.map_or("", |cursor| &cursor.key))
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
    /// The wait behind each script.
    barrier: Option<Barrier>,
    /// Which Redis it must be. `None` before that is known.
    identity: Option<Arc<Identity>>,
    /// Held by the caller that connects. Has the last failure, for the callers that waited meanwhile.
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
            identity: None,
            connecting: Mutex::default(),
        }
    }

    /// Answers of scripts then come only after the barrier.
    #[must_use]
    pub fn with_barrier(mut self, barrier: Barrier) -> Self {
        self.barrier = Some(barrier);
        self
    }

    /// Then nothing is asked of another Redis, and each new connection looks which one it leads to.
    #[must_use]
    pub fn with_identity(mut self, identity: Arc<Identity>) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Looks whether this is still the Redis that the service began with.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Replaced`] when it is not.
    pub async fn check_identity(&self) -> Result<(), Failure> {
        let Some(identity) = &self.identity else { return Ok(()) };
        let _in_flight = self.take_place()?;
        let [secret, schema] = Identity::questions();
        identity.check([self.send(&secret, None).await?, self.send(&schema, None).await?])
    }

    /// Calls a script until it has decided. Returns the first word of the reply, and the rest.
    ///
    /// # Errors
    /// [`Failure`]: after `TimedOut` and `Unavailable` the outcome is unknown.
    pub async fn call(&self, call: ScriptCall) -> Result<(String, Reply), Failure> {
        let _in_flight = self.enter()?;
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
        Err(Failure::timed_out(format!("{} has too much to reclaim", script.name)))
    }

    /// Runs a plain command, where nothing needs a decision. The runner may send it twice, so it must be harmless then.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn plain(&self, command: &Cmd) -> Result<Value, Failure> {
        let _in_flight = self.enter()?;
        self.send(command, None).await
    }

    /// The number of connections so far. While it stays the same, so does the server, and it was not restarted.
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
        let mut exists = Reply::read(self.plain(&exists).await?)?;
        for script in self.catalogue.iter() {
            if exists.int()? == 0 {
                self.plain(redis::cmd("SCRIPT").arg("LOAD").arg(&script.source)).await?;
            }
        }
        Ok(())
    }

    /// Sends a command. If the connection is lost, sends it again where that does no harm: when nothing had been sent, or when a
    /// repetition has no second effect. Redis may have decided already.
    async fn send(&self, command: &Cmd, script: Option<&Script>) -> Result<Value, Failure> {
        match self.send_once(command, script).await {
            Err(Attempt::NotSent(_)) => self.send_once(command, script).await,
            Err(Attempt::ConnectionLost(_)) if script.is_none_or(|script| script.resend) => {
                self.send_once(command, script).await
            }
            first => first,
        }
        .map_err(Attempt::into_failure)
    }

    async fn send_once(&self, command: &Cmd, script: Option<&Script>) -> Result<Value, Attempt> {
        let (number, mut connection) = self.connection().await.map_err(Attempt::Failed)?;
        let (mut answer, was_sent) = query(command, &mut connection).await;
        if let (Err(error), Some(script)) = (&answer, script)
            && error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        {
            answer = Box::pin(load_and_send(script, command, &mut connection)).await;
        }
        let answer = self.note(number, answer).map_err(|error| Attempt::of(&error).or_not_sent(was_sent))?;
        if let (Some(barrier), Some(_)) = (self.barrier, script) {
            self.wait_behind(barrier, number, &mut connection).await?;
        }
        Ok(answer)
    }

    /// Waits on the connection of the call, because a server waits for the writes of the connection that asks.
    async fn wait_behind(
        &self,
        barrier: Barrier,
        number: u64,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), Attempt> {
        let Some(command) = barrier.command() else { return Ok(()) };
        let reply = self.note(number, command.query_async(connection).await).map_err(|error| Attempt::of(&error))?;
        barrier.check(&reply).map_err(Attempt::Failed)
    }

    /// Drops the connection when its answer shows that it is useless.
    fn note<T>(&self, number: u64, answer: Result<T, RedisError>) -> Result<T, RedisError> {
        match &answer {
            Ok(_) => self.timeouts.set(0),
            Err(error) if error.is_timeout() => self.timeouts.set(self.timeouts.get() + 1),
            Err(_) => {}
        }
        let timed_out_often = self.timeouts.get() >= TIMEOUTS_MAX;
        if timed_out_often || matches!(&answer, Err(error) if ends_connection(error)) {
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
            // Out of the pool, which would otherwise keep the connection for the next check-out.
            drop(Connection::take(connection));
        }
    }

    /// The connection in use. If there is none, one caller opens it. The others wait, and get the same result.
    async fn connection(&self) -> Result<(u64, MultiplexedConnection), Failure> {
        if let Some(current) = self.in_use() {
            return Ok(current);
        }
        // Boxed, because it is rare, and the futures of calls stay small.
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

    /// A connection that has sent the setup command of the barrier, if there is one.
    async fn new_connection(&self) -> Result<Connection, Failure> {
        let mut connection = self.pool.get().await.map_err(|error| connect_failure(&error))?;
        if let Some(setup) = self.barrier.and_then(|barrier| barrier.setup())
            && let Err(error) = setup.query_async::<Value>(&mut *connection).await
        {
            // Out of the pool, so that no call uses it without its setup.
            drop(Connection::take(connection));
            return Err(Failure::from_redis(&error));
        }
        if let Some(identity) = &self.identity
            && let Err(failure) = check_identity(identity, &mut connection).await
        {
            drop(Connection::take(connection));
            return Err(failure);
        }
        Ok(connection)
    }

    fn in_use(&self) -> Option<(u64, MultiplexedConnection)> {
        self.current.borrow().as_ref().map(|c| (c.number, (*c.connection).clone()))
    }

    fn enter(&self) -> Result<InFlight, Failure> {
        if let Some(identity) = &self.identity {
            identity.check_known()?;
        }
        self.take_place()
    }

    fn take_place(&self) -> Result<InFlight, Failure> {
        let taken = self.in_flight.get();
        if taken >= self.limits.in_flight_max {
            return Err(Failure::overloaded(format!("{taken} calls wait for Redis already")));
        }
        self.in_flight.set(taken + 1);
        Ok(InFlight(Rc::clone(&self.in_flight)))
    }
}

async fn check_identity(identity: &Identity, connection: &mut Connection) -> Result<(), Failure> {
    let mut found = [Value::Nil, Value::Nil];
    for (question, found) in Identity::questions().iter().zip(&mut found) {
        *found = question.query_async(&mut **connection).await.map_err(|error| Failure::from_redis(&error))?;
    }
    identity.check(found)
}

/// The answer to a command, and whether the command was sent.
///
/// The task that drives a connection ends when the server closes it, and a connection without that task fails at once. That task
/// belongs to this thread, so it cannot run, and send something, before the first wait for the answer.
async fn query(command: &Cmd, connection: &mut MultiplexedConnection) -> (Result<Value, RedisError>, bool) {
    let mut asking = pin!(command.query_async(connection));
    let mut has_waited = false;
    let answer = poll_fn(|context| {
        let answer = asking.as_mut().poll(context);
        has_waited |= answer.is_pending();
        answer
    });
    let answer = answer.await;
    (answer, has_waited)
}

async fn load_and_send(
    script: &Script,
    command: &Cmd,
    connection: &mut MultiplexedConnection,
) -> Result<Value, RedisError> {
    let _sha: Value = redis::cmd("SCRIPT").arg("LOAD").arg(&script.source).query_async(connection).await?;
    command.query_async(connection).await
}

fn connect_failure(error: &PoolError) -> Failure {
    match error {
        PoolError::Backend(cause) => Failure::cannot_connect(cause),
        other => Failure::unavailable(format!("cannot connect: {other}")),
    }
}

enum Attempt {
    /// The connection had been lost before.
    NotSent(Failure),
    /// The connection broke. Redis may or may not have decided the call.
    ConnectionLost(Failure),
    Failed(Failure),
}

impl Attempt {
    fn of(error: &RedisError) -> Self {
        let failure = Failure::from_redis(error);
        if error.is_connection_dropped() { Self::ConnectionLost(failure) } else { Self::Failed(failure) }
    }

    fn or_not_sent(self, was_sent: bool) -> Self {
        match self {
            Self::ConnectionLost(failure) if !was_sent => Self::NotSent(failure),
            other => other,
        }
    }

    fn into_failure(self) -> Failure {
        match self {
            Self::NotSent(failure) | Self::ConnectionLost(failure) | Self::Failed(failure) => failure,
        }
    }
}

/// Counts as one call in flight until it is dropped.
struct InFlight(Rc<Cell<usize>>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
