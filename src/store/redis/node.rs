//! One server: the connection of a worker to it, and bounds on every wait.
//!
//! A node belongs to one thread, whose runtime drives its connection.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use deadpool_redis::{Connection, Pool, PoolError};
use redis::{Cmd, ConnectionInfo, ErrorKind, RedisError, ServerErrorKind, Value, aio::MultiplexedConnection};
use tokio::sync::Mutex;

use super::{
    admission::{Admission, Permit},
    attempt::Attempt,
    away,
    breaker::Breaker,
    call::Message,
    durability::Barrier,
    error::{Failure, ends_connection},
    facts::Facts,
    identity::Identity,
    meter::{CallMeter, CallResult, ServerCells},
    query::{is_script_missing, load_and_send, query},
    rank::Rank,
    server_clock::{ServerClock, word_and_time},
    topology::Topology,
    waiting::SharedWait,
};

/// What the connections of a runner have in common.
#[derive(Clone)]
pub struct Common {
    pub topology: Topology,
    /// The wait behind each script.
    pub barrier: Option<Barrier>,
    /// Which Redis it must be. `None` before that is known.
    pub identity: Option<Arc<Identity>>,
    /// Counts connections that were made again, and what else may lead to another server.
    pub changes: Cell<u64>,
    pub meter: Arc<CallMeter>,
    /// Nobody waits for its servers: their breakers are not counted.
    pub is_of_contacts: bool,
}

impl Common {
    /// Calls may go to another server from now on, or to one that was restarted.
    pub fn note_change(&self) {
        self.changes.set(self.changes.get() + 1);
    }

    /// For servers that are asked about others, and never for our data: they may be replicas or sentinels.
    pub fn of_contacts(&self) -> Rc<Self> {
        Rc::new(Self { barrier: None, identity: None, is_of_contacts: true, ..self.clone() })
    }
}

/// The connection in use, numbered so that a late failure of an old one does not end its successor.
struct Current {
    number: u64,
    connection: Connection,
    waits: Rc<SharedWait>,
    clock: Rc<ServerClock>,
}

/// A connection to send something on.
struct Open {
    number: u64,
    connection: MultiplexedConnection,
    waits: Rc<SharedWait>,
    /// The clock of the server behind this connection. The next one may lead to another server.
    clock: Rc<ServerClock>,
}

pub struct Node {
    common: Rc<Common>,
    address: String,
    pool: Pool,
    current: RefCell<Option<Current>>,
    connected: Cell<u64>,
    /// A timeout may mean that the server was demoted or cut off, so the connection ends when this opens.
    breaker: Breaker,
    admission: Admission,
    cells: Arc<ServerCells>,
    /// Whether the breaker is counted as open.
    is_counted_open: Cell<bool>,
    /// Held by the caller that connects. Has the last failure, for the callers that waited meanwhile.
    connecting: Mutex<Option<(Instant, Failure)>>,
}

impl Node {
    pub fn new(common: &Rc<Common>, info: &ConnectionInfo) -> Rc<Self> {
        let cells = common.meter.server(&info.addr().to_string());
        Rc::new(Self {
            address: info.addr().to_string(),
            pool: common.topology.pool(info),
            common: Rc::clone(common),
            current: RefCell::default(),
            connected: Cell::default(),
            breaker: Breaker::new(common.topology.limits.connect + common.topology.limits.call),
            admission: Admission::new(Arc::clone(&cells)),
            cells,
            is_counted_open: Cell::default(),
            connecting: Mutex::default(),
        })
    }

    /// Host and port, or the path of a socket.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends a command once, and waits for what must follow a script.
    ///
    /// # Errors
    /// [`Attempt`].
    pub async fn send(self: &Rc<Self>, message: Message<'_>, is_asking: bool) -> Result<Value, Attempt> {
        let answer = self.attempt(message, is_asking).await;
        self.cells.count(CallResult::of(&answer));
        answer
    }

    async fn attempt(self: &Rc<Self>, message: Message<'_>, is_asking: bool) -> Result<Value, Attempt> {
        let permit = match message.take_permit().filter(|permit| self.admission.gave(permit)) {
            Some(permit) => Some(permit),
            None => self.admit(message.rank().here()).await.map_err(Attempt::Failed)?,
        };
        let Some((_place, turn)) = permit.map(Permit::into_parts) else {
            return Err(Attempt::Failed(Failure::overloaded("it waited for its turn for too long")));
        };
        // Behind the turn: it may have opened meanwhile.
        if !self.breaker.lets_through(Instant::now()) {
            let failure = format!("{} did not answer several times in a row", self.address);
            return Err(Attempt::Spared(Failure::unavailable(failure)));
        }
        let _through = Through(&self.breaker);
        let mut open = self.open().await.map_err(Attempt::Failed)?;
        let mut answer = self.send_on(&mut open, message, is_asking).await?;
        if is_too_late(&answer) && message.deadline().is_some_and(|deadline| Instant::now() < deadline) {
            // Its clock stepped forward: nobody has given up yet. The answer has put right what is known of that clock.
            answer = Box::pin(self.send_on(&mut open, message, is_asking)).await?;
        }
        turn.answered();
        if is_too_late(&answer) {
            return Err(Attempt::Failed(Failure::overloaded("Redis took up the call when its callers had given up")));
        }
        if let (Some(barrier), Some(_)) = (self.common.barrier, message.script()) {
            self.wait_behind(barrier, &open).await?;
        }
        Ok(answer)
    }

    /// Leave to send something. `None`: it would have come too late.
    ///
    /// # Errors
    /// [`Failure::Overloaded`]: too much waits already.
    pub async fn permit(&self, rank: Rank) -> Result<Option<Permit>, Failure> {
        let permit = self.admit(rank).await;
        if !matches!(permit, Ok(Some(_))) {
            self.cells.count(CallResult::Overloaded);
        }
        permit
    }

    async fn admit(&self, rank: Rank) -> Result<Option<Permit>, Failure> {
        // Nobody waits for a server that is not asked, and the one call that an open breaker lets through is sent at once.
        self.admission.permit(rank, self.common.topology.limits.in_flight_max, !self.breaker.is_open()).await
    }

    async fn send_on(&self, open: &mut Open, message: Message<'_>, is_asking: bool) -> Result<Value, Attempt> {
        let command = message.command(&open.clock);
        let sent = Instant::now();
        let (mut answer, was_sent) = query(&command, is_asking, &mut open.connection).await;
        if let Some(script) = message.script()
            && is_script_missing(&answer)
        {
            answer = Box::pin(load_and_send(script, &command, is_asking, &mut open.connection)).await;
        }
        self.cells.took.observe_time(sent.elapsed());
        self.note(open.number, &answer);
        let answer = answer.map_err(|error| Attempt::of(&error).or_not_sent(was_sent))?;
        match word_and_time(&answer).filter(|_| message.deadline().is_some()) {
            Some((TOO_LATE, now_ms)) => open.clock.correct(sent, now_ms),
            Some((_, now_ms)) => open.clock.note(sent, now_ms),
            None => {}
        }
        Ok(answer)
    }

    /// Asks this server itself, whatever it is.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn ask(self: &Rc<Self>, command: &Cmd) -> Result<Value, Failure> {
        self.send(Message::Plain(command, Rank::Payments), false).await.map_err(Attempt::into_failure)
    }

    /// Waits on the connection of the call, because a server waits for the writes of the connection that asks.
    async fn wait_behind(self: &Rc<Self>, barrier: Barrier, open: &Open) -> Result<(), Attempt> {
        let Some(command) = barrier.command() else { return Ok(()) };
        let (this, number) = (Rc::clone(self), open.number);
        let see = move |answer: &Result<Value, RedisError>| this.note(number, answer);
        let reply = SharedWait::join(&open.waits, command, &open.connection, see).await;
        barrier.check(&reply.map_err(|error| Attempt::of(&error))?).map_err(Attempt::Failed)
    }

    /// Notes what an answer shows of the server, and drops the connection when it is useless. An old connection shows nothing of the
    /// server any more.
    fn note(&self, number: u64, answer: &Result<Value, RedisError>) {
        if self.current.borrow().as_ref().is_none_or(|current| current.number != number) {
            return;
        }
        let is_given_up = match answer {
            Err(error) if error.is_timeout() => self.breaker.failed(Instant::now(), spread()) || ends_connection(error),
            Err(error) if error.is_connection_dropped() => {
                self.breaker.broke(Instant::now(), spread());
                true
            }
            Err(error) => {
                self.breaker.answered();
                ends_connection(error)
            }
            Ok(_) => {
                self.breaker.answered();
                false
            }
        };
        if is_given_up {
            self.forget(number);
        }
        self.count_breaker();
    }

    /// Counts the breaker as open, or no longer.
    fn count_breaker(&self) {
        let is_open = self.breaker.is_open() && !self.common.is_of_contacts;
        if self.is_counted_open.replace(is_open) == is_open {
            return;
        }
        if is_open {
            self.cells.open_breakers.add(1);
        } else {
            self.cells.open_breakers.take(1);
        }
        away::note(&self.address, is_open);
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
    async fn open(&self) -> Result<Open, Failure> {
        if let Some(open) = self.in_use() {
            return Ok(open);
        }
        // Boxed, because it is rare, and the futures of calls stay small.
        Box::pin(self.connect()).await
    }

    async fn connect(&self) -> Result<Open, Failure> {
        let asked = Instant::now();
        let mut last = self.connecting.lock().await;
        if let Some(open) = self.in_use() {
            return Ok(open);
        }
        if let Some((at, failure)) = &*last
            && *at >= asked
        {
            return Err(failure.clone());
        }
        let made = self.new_connection().await;
        self.count_breaker();
        match made {
            Ok((connection, clock)) => {
                self.cells.connections.add(1);
                let number = self.connected.get() + 1;
                // The first one of a node is no change: nothing was asked of it before.
                if self.connected.replace(number) > 0 {
                    self.common.note_change();
                }
                let (waits, clock) = (Rc::default(), Rc::new(clock));
                let open = Open {
                    number,
                    connection: (*connection).clone(),
                    waits: Rc::clone(&waits),
                    clock: Rc::clone(&clock),
                };
                *self.current.borrow_mut() = Some(Current { number, connection, waits, clock });
                Ok(open)
            }
            Err(failure) => {
                *last = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// A connection that leads to the right server, and has sent the setup command of the barrier, if there is one. With the
    /// clock of that server.
    async fn new_connection(&self) -> Result<(Connection, ServerClock), Failure> {
        let mut connection = match self.pool.get().await {
            Ok(connection) => connection,
            Err(error) => {
                self.breaker.failed(Instant::now(), spread());
                return Err(connect_failure(&self.address, &error));
            }
        };
        match self.greet(&mut connection).await {
            Ok(clock) => Ok((connection, clock)),
            Err(failure) => {
                match failure {
                    Failure::TimedOut(_) => _ = self.breaker.failed(Instant::now(), spread()),
                    // It answers, though it is not the right one, or not ready yet.
                    _ => self.breaker.answered(),
                }
                // Out of the pool, so that no call uses it.
                drop(Connection::take(connection));
                Err(failure)
            }
        }
    }

    async fn greet(&self, connection: &mut Connection) -> Result<ServerClock, Failure> {
        let clock = ServerClock::default();
        if let Some(setup) = self.common.barrier.and_then(|barrier| barrier.setup()) {
            ask(&setup, connection).await?;
        }
        let Some(identity) = &self.common.identity else { return Ok(clock) };
        if self.common.topology.has_several_servers() {
            // The check at the start did not see this one.
            let facts = Facts::read(ask(&redis::cmd("INFO"), connection).await?)?;
            facts.check().map_err(|unusable| Failure::unavailable(format!("{}: {unusable}", self.address)))?;
        }
        check_identity(identity, connection).await?;
        if self.common.topology.is_cluster() {
            identity.made_sales.look_at(connection).await;
        }
        let sent = Instant::now();
        if let Ok(time) = ask(&redis::cmd("TIME"), connection).await {
            clock.note_time(sent, time);
        }
        Ok(clock)
    }

    fn in_use(&self) -> Option<Open> {
        let current = self.current.borrow();
        current.as_ref().map(|c| Open {
            number: c.number,
            connection: (*c.connection).clone(),
            waits: Rc::clone(&c.waits),
            clock: Rc::clone(&c.clock),
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.is_counted_open.get() {
            self.cells.open_breakers.take(1);
        }
    }
}

/// The word of a script that was called with `not_after`, and ran later: nothing was done.
const TOO_LATE: &[u8] = b"too_late";

fn is_too_late(answer: &Value) -> bool {
    matches!(word_and_time(answer), Some((TOO_LATE, _)))
}

/// From 0 to 1, another one each time.
fn spread() -> f64 {
    f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX)
}

async fn ask(command: &Cmd, connection: &mut Connection) -> Result<Value, Failure> {
    command.query_async(&mut **connection).await.map_err(|error| Failure::from_redis(&error))
}

async fn check_identity(identity: &Identity, connection: &mut Connection) -> Result<(), Failure> {
    let mut found = [Value::Nil, Value::Nil];
    for (question, found) in Identity::questions().iter().zip(&mut found) {
        *found = match question.query_async(&mut **connection).await {
            Ok(found) => found,
            // Another node of the cluster has the answer.
            Err(error) if is_elsewhere(&error) => return Ok(()),
            Err(error) => return Err(Failure::from_redis(&error)),
        };
    }
    identity.check(found)
}

fn is_elsewhere(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::ClusterDown)
    )
}

fn connect_failure(address: &str, error: &PoolError) -> Failure {
    match error {
        PoolError::Backend(cause) => Failure::cannot_connect(address, cause),
        other => Failure::unavailable(format!("cannot connect to {address}: {other}")),
    }
}

/// A call that a breaker let through, until it is dropped: perhaps before it has an answer, as that of a client who left.
struct Through<'a>(&'a Breaker);

impl Drop for Through<'_> {
    fn drop(&mut self) {
        self.0.left(Instant::now());
    }
}
