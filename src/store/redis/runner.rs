//! Runs scripts and plain commands on the server that has their keys.
//!
//! A runner belongs to one thread.

use std::{
    cell::Cell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{Cmd, Value};

use super::{
    admission::Permit,
    attempt::Attempt,
    call::{Message, ScriptCall},
    catalogue::{Catalogue, Op},
    durability::Barrier,
    error::Failure,
    identity::Identity,
    keys::{PROBE, SaleKeys},
    made::{self, MadeSales},
    meter::{CallMeter, CallResult},
    node::{Common, Node},
    rank::Rank,
    reply::Reply,
    route::{Place, Route},
    sequence::Sequence,
    slot,
    topology::Topology,
};
use crate::{domain::ids::SaleId, trace::CallSpan};

/// Times that one call is repeated because lapsed units are left to reclaim. Each time reclaims 512 buckets.
const BEHIND_MAX: usize = 1_000;
/// Times that one call is sent on to another server.
const HOPS_MAX: u32 = 5;
/// For how long, and how often, a call is repeated that no server took yet. A fail-over takes longer: nobody waits for that here.
const NOT_NOW_MAX: Duration = Duration::from_millis(250);
const NOT_NOW_PAUSE: Duration = Duration::from_millis(25);

/// What a script answered.
pub struct Decided {
    pub word: String,
    /// Behind the word.
    pub reply: Reply,
    /// Where its first decision stands among those of its sale, where the service shows it.
    pub sequence: Option<Sequence>,
}

pub struct Runner {
    catalogue: Arc<Catalogue>,
    common: Rc<Common>,
    route: Route,
}

impl Runner {
    /// Before it is known which Redis it must be.
    pub fn new(topology: &Topology, catalogue: Arc<Catalogue>) -> Self {
        Self::with(topology, catalogue, None, None, Arc::default())
    }

    /// Answers of scripts come only after the barrier. Nothing is asked of a Redis of another identity, and each new connection
    /// looks which one it leads to.
    pub fn with(
        topology: &Topology,
        catalogue: Arc<Catalogue>,
        identity: Option<Arc<Identity>>,
        barrier: Option<Barrier>,
        meter: Arc<CallMeter>,
    ) -> Self {
        let common = Common {
            topology: topology.clone(),
            barrier,
            identity,
            changes: Cell::default(),
            meter,
            is_of_contacts: false,
        };
        let common = Rc::new(common);
        Self { catalogue, route: Route::new(&common), common }
    }

    /// What its worker counts.
    pub fn meter(&self) -> &CallMeter {
        &self.common.meter
    }

    /// Looks which server is the primary, where Sentinel names it.
    pub async fn look_for_primary(&self) {
        self.route.watch().await;
    }

    /// Looks whether this is still the Redis that the service began with.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Replaced`] when it is not.
    pub async fn check_identity(&self) -> Result<(), Failure> {
        let Some(identity) = &self.common.identity else { return Ok(()) };
        let [secret, schema] = Identity::questions();
        identity
            .check([self.send_plain(&secret, Rank::Payments).await?, self.send_plain(&schema, Rank::Payments).await?])
    }

    /// Where sales and directory may be lost apart: on a cluster.
    pub fn made_sales(&self) -> Option<&MadeSales> {
        let identity = self.common.identity.as_ref().filter(|_| self.common.topology.is_cluster());
        identity.map(|identity| &identity.made_sales)
    }

    /// Whether the sale is there, also where it counts as lost.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn has_sale(&self, sale: &SaleId) -> Result<bool, Failure> {
        Ok(Reply::one(self.send_plain(&made::question(sale), Rank::Reads).await?).int()? == 1)
    }

    /// # Errors
    /// [`Failure::Lost`].
    pub fn check_sale(&self, sale: &SaleId) -> Result<(), Failure> {
        let key = SaleKeys(sale).sale();
        self.made_sales().map_or(Ok(()), |sales| sales.check(|| key.as_bytes()))
    }

    /// Leave to call a script whose keys are in this slot. `None`: it would have come too late.
    ///
    /// # Errors
    /// [`Failure`]: nobody knows which server has the slot, or too much waits for it.
    pub async fn permit(&self, op: Op, slot: u16) -> Result<Option<Permit>, Failure> {
        let node = self.route.node(|| slot, &Place::Owner).await?;
        node.permit(Rank::of(op)).await
    }

    /// Calls a script until it has decided. Returns the first word of the reply, and the rest.
    ///
    /// # Errors
    /// [`Failure`]: after `TimedOut` and `Unavailable` the outcome is unknown.
    pub async fn call(&self, call: ScriptCall) -> Result<(String, Reply), Failure> {
        let Decided { word, reply, sequence } = self.decide(call).await?;
        if let Some(sequence) = sequence {
            sequence.note();
        }
        Ok((word, reply))
    }

    /// [`Runner::call`] of one that decides for several requests.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn decide(&self, call: ScriptCall) -> Result<Decided, Failure> {
        self.check_known(|| call.first_key())?;
        let script = self.catalogue.script(call.op());
        let started = Instant::now();
        for _ in 0..BEHIND_MAX {
            let mut reply = Reply::read(self.send(|| call.slot(), Message::Call(&call, script)).await?)?;
            let word = reply.text()?;
            let sequence = if script.is_numbered { Some(reply.take_sequence()?) } else { None };
            if word != "behind" {
                // A new connection may have shown it.
                self.check_known(|| call.first_key())?;
                self.meter().decided(call.op(), started.elapsed());
                return Ok(Decided { word, reply, sequence });
            }
            if started.elapsed() > self.common.topology.limits.call {
                break;
            }
        }
        Err(Failure::timed_out(format!("{} has too much to reclaim", script.name)))
    }

    /// Runs a plain command, where nothing needs a decision. The runner may send it twice, so it must be harmless then. It goes
    /// where its key is. Without a key it goes where the directory is.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn plain(&self, command: &Cmd) -> Result<Value, Failure> {
        self.checked_plain(command, Rank::Reads).await
    }

    /// The same for a hold, which needs to know its product first.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn plain_for_hold(&self, command: &Cmd) -> Result<Value, Failure> {
        self.checked_plain(command, Rank::Holds).await
    }

    /// The same for a payment that came.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn plain_for_payment(&self, command: &Cmd) -> Result<Value, Failure> {
        self.checked_plain(command, Rank::Payments).await
    }

    /// A number that stays the same as long as calls go to the same servers, none of which was restarted.
    pub fn changes(&self) -> u64 {
        self.common.changes.get()
    }

    /// Whether some slot of a cluster is on its way to another server. Then a walk over all keys may meet a key twice or never.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn moves_slots(&self) -> Result<bool, Failure> {
        if self.spans_sales() {
            return Ok(false);
        }
        for node in self.primaries().await? {
            let nodes = Reply::one(node.ask(redis::cmd("CLUSTER").arg("NODES")).await?).text()?;
            // A server says it of itself alone: `[93->-<id>]` or `[93-<-<id>]`.
            if nodes.lines().any(|line| line.contains("myself") && line.contains('[')) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether one command may name keys of several sales.
    pub fn spans_sales(&self) -> bool {
        !self.common.topology.is_cluster()
    }

    /// The servers that the settings name: where Sentinel names the primary, the sentinels.
    pub fn contacts(&self) -> Vec<Rc<Node>> {
        self.route.contacts()
    }

    /// A replica, or another server that the settings do not name.
    ///
    /// # Errors
    /// When there can be no such address.
    pub fn other_server(&self, host: &str, port: u16) -> Rc<Node> {
        Node::new(&self.common.of_contacts(), &self.common.topology.info_at(host, port))
    }

    /// A key that never exists, in a slot of this server.
    pub fn probe_at(&self, node: &Node) -> String {
        self.route.key_at(node).unwrap_or_else(|| PROBE.to_owned())
    }

    /// All servers that take writes.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn primaries(&self) -> Result<Vec<Rc<Node>>, Failure> {
        self.check_known(|| b"")?;
        self.route.primaries().await
    }

    /// Loads the scripts that a server does not have, so that calls find them.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn ensure_scripts(&self, node: &Rc<Node>) -> Result<(), Failure> {
        let mut exists = redis::cmd("SCRIPT");
        exists.arg("EXISTS");
        for script in self.catalogue.iter() {
            exists.arg(&script.sha);
        }
        let mut exists = Reply::read(node.ask(&exists).await?)?;
        for script in self.catalogue.iter() {
            if exists.int()? == 0 {
                node.ask(redis::cmd("SCRIPT").arg("LOAD").arg(&script.source)).await?;
            }
        }
        Ok(())
    }

    async fn checked_plain(&self, command: &Cmd, rank: Rank) -> Result<Value, Failure> {
        self.check_known(|| slot::key_of(command))?;
        let answer = self.send_plain(command, rank).await?;
        // A new connection may have shown it.
        self.check_known(|| slot::key_of(command))?;
        Ok(answer)
    }

    async fn send_plain(&self, command: &Cmd, rank: Rank) -> Result<Value, Failure> {
        self.send(|| slot::of_command(command), Message::Plain(command, rank)).await
    }

    /// Sends a command. Sends it again where that does no harm: when nothing had been sent or done, or when a repetition has no
    /// second effect. After a lost connection Redis may have decided already.
    async fn send(&self, slot: impl Fn() -> u16, message: Message<'_>) -> Result<Value, Failure> {
        let mut span = CallSpan::of_command(|| message.name());
        let answer = self.send_until_answered(slot, message, &mut span).await;
        span.end(answer.as_ref().err().map(|failure| CallResult::of_failure(failure).as_str()));
        answer
    }

    async fn send_until_answered(
        &self,
        slot: impl Fn() -> u16,
        message: Message<'_>,
        span: &mut CallSpan,
    ) -> Result<Value, Failure> {
        let (mut place, mut is_repeated, mut hops, mut until) = (Place::Owner, false, 0, None);
        let mut may_have_run = false;
        loop {
            let node = self.route.node(&slot, &place).await?;
            span.at(node.address());
            let attempt = match node.send(message, matches!(place, Place::Asking(_))).await {
                Ok(value) => return Ok(value),
                Err(attempt) => attempt,
            };
            self.route.note(&attempt);
            place = Place::Owner;
            match attempt {
                Attempt::NotSent(_) if !is_repeated => is_repeated = true,
                Attempt::ConnectionLost(_) if !is_repeated && message.script().is_none_or(|script| script.resend) => {
                    (is_repeated, may_have_run) = (true, true);
                }
                Attempt::Elsewhere(elsewhere, _) if hops < HOPS_MAX => {
                    hops += 1;
                    self.common.note_change();
                    place = elsewhere;
                }
                Attempt::NotNow(failure) if self.common.topology.has_several_servers() => {
                    let until = *until.get_or_insert_with(|| Instant::now() + NOT_NOW_MAX);
                    if Instant::now() >= until {
                        return Err(if may_have_run { failure.after_decision() } else { failure });
                    }
                    tokio::time::sleep(NOT_NOW_PAUSE).await;
                }
                attempt if may_have_run => return Err(attempt.into_failure().after_decision()),
                attempt => return Err(attempt.into_failure()),
            }
        }
    }

    /// Whether Redis is the one of the start, and has the sale of this key if the sale was made.
    fn check_known<'a>(&self, key: impl FnOnce() -> &'a [u8]) -> Result<(), Failure> {
        let Some(identity) = &self.common.identity else { return Ok(()) };
        identity.check_known()?;
        identity.made_sales.check(key)
    }
}
