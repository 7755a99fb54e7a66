//! Redis Cluster: the primary of each slot, asked of the cluster and asked again whenever something hints at a change.
//!
//! No lock is held while a call waits, and nothing is sent twice that may have run, because a router that does either makes one
//! bad server everybody's problem.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use redis::ConnectionInfo;
use tokio::{sync::Mutex, task::spawn_local};

use super::table::{Table, split};
use crate::store::redis::{
    error::Failure,
    keys::probe_of,
    node::{Common, Node},
    reply::Reply,
    slot::of_key,
};

/// The pause between two looks at the table.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// After this time a call looks again, though nothing hints at a change.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Keys that are tried for a server. One with a hundredth of the slots has one among the first hundred.
const KEYS_TRIED: u32 = 200_000;

pub struct Cluster {
    common: Rc<Common>,
    /// The servers of the settings, which may be replicas by now.
    contacts: Vec<Rc<Node>>,
    nodes: RefCell<HashMap<String, Rc<Node>>>,
    table: RefCell<Table>,
    looked: Cell<Option<Instant>>,
    is_looking: Cell<bool>,
    /// Held by the caller that looks for the first time.
    first: Mutex<()>,
}

impl Cluster {
    pub(super) fn new(common: &Rc<Common>, seeds: &[ConnectionInfo]) -> Rc<Self> {
        let of_contacts = common.of_contacts();
        Rc::new(Self {
            common: Rc::clone(common),
            contacts: seeds.iter().map(|seed| Node::new(&of_contacts, seed)).collect(),
            nodes: RefCell::default(),
            table: RefCell::default(),
            looked: Cell::default(),
            is_looking: Cell::default(),
            first: Mutex::default(),
        })
    }

    pub(super) fn contacts(&self) -> Vec<Rc<Node>> {
        self.contacts.clone()
    }

    /// A key that the server has the slot of.
    pub(super) fn key_at(&self, node: &Node) -> Option<String> {
        let table = self.table.borrow();
        let keys = (0..KEYS_TRIED).map(probe_of);
        keys.into_iter().find(|key| table.owner(of_key(key.as_bytes())) == Some(node.address()))
    }

    pub(super) async fn owner(self: &Rc<Self>, slot: u16) -> Result<Rc<Node>, Failure> {
        self.know().await?;
        let owner = self.table.borrow().owner(slot).map(str::to_owned);
        let Some(address) = owner else {
            self.look_soon();
            return Err(Failure::unavailable("no server of the cluster has the slot"));
        };
        self.node_at(&address)
    }

    pub(super) async fn primaries(self: &Rc<Self>) -> Result<Vec<Rc<Node>>, Failure> {
        self.know().await?;
        let addresses: Vec<_> = self.table.borrow().primaries().into_iter().map(str::to_owned).collect();
        addresses.iter().map(|address| self.node_at(address)).collect()
    }

    /// The server at `host:port`, with user, password and TLS as in the settings.
    pub(super) fn node_at(&self, address: &str) -> Result<Rc<Node>, Failure> {
        if let Some(node) = self.nodes.borrow().get(address) {
            return Ok(Rc::clone(node));
        }
        let Some((host, port)) = split(address) else {
            return Err(Failure::unreadable(format!("the address {address:?} of a server of the cluster")));
        };
        let node = Node::new(&self.common, &self.common.topology.info_at(host, port));
        self.nodes.borrow_mut().insert(address.to_owned(), Rc::clone(&node));
        Ok(node)
    }

    /// Looks soon, in a task of its own. Callers never wait for it.
    pub(super) fn look_soon(self: &Rc<Self>) {
        if self.is_looking.replace(true) {
            return;
        }
        let looking = Looking(Rc::clone(self));
        spawn_local(async move {
            let cluster = &looking.0;
            if let Some(rest) = cluster.looked.get().and_then(|at| LOOK_PAUSE.checked_sub(at.elapsed())) {
                tokio::time::sleep(rest).await;
            }
            if let Err(failure) = cluster.look().await {
                tracing::debug!(cause = %failure, "no server of the cluster says who has its slots");
            }
        });
    }

    /// Looks first where nothing is known yet.
    async fn know(self: &Rc<Self>) -> Result<(), Failure> {
        if self.looked.get().is_some_and(|at| at.elapsed() >= LOOK_AGAIN) {
            self.look_soon();
        }
        if !self.table.borrow().is_empty() {
            return Ok(());
        }
        let _first = self.first.lock().await;
        if self.table.borrow().is_empty() { self.look().await } else { Ok(()) }
    }

    /// Asks all servers at once, so that none that hangs delays the answer. The first answer of a server counts that sees a
    /// working cluster, else the first of all: a server that was cut off from the others knows only what was.
    async fn look(&self) -> Result<(), Failure> {
        self.looked.set(Some(Instant::now()));
        let mut answers: FuturesUnordered<_> = self.known()?.into_iter().map(ask).collect();
        let (mut doubtful, mut failure) = (None, None);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok((table, true)) => {
                    self.take(table);
                    return Ok(());
                }
                Ok((table, false)) => _ = doubtful.get_or_insert(table),
                Err(why) => failure = Some(why),
            }
        }
        match (doubtful, failure) {
            (Some(table), _) => {
                self.take(table);
                Ok(())
            }
            (None, failure) => {
                Err(failure.unwrap_or_else(|| Failure::unavailable("no server of the cluster is known")))
            }
        }
    }

    /// The servers of the settings, and primaries that they do not name.
    fn known(&self) -> Result<Vec<Rc<Node>>, Failure> {
        let is_contact = |address: &str| self.contacts.iter().any(|contact| contact.address() == address);
        let table = self.table.borrow();
        let others = table.primaries().into_iter().filter(|address| !is_contact(address));
        self.contacts.iter().cloned().map(Ok).chain(others.map(|address| self.node_at(address))).collect()
    }

    fn take(&self, table: Table) {
        if *self.table.borrow() == table {
            return;
        }
        tracing::debug!(primaries = ?table.primaries(), uncovered = table.uncovered(), "the slots of the cluster");
        self.common.note_change();
        // A server that is no primary any more takes its waiting callers with it.
        let primaries: Vec<_> = table.primaries().into_iter().map(str::to_owned).collect();
        self.nodes.borrow_mut().retain(|address, _| primaries.contains(address));
        self.table.replace(table);
    }
}

/// What a server says of the slots, and whether it sees a working cluster.
async fn ask(node: Rc<Node>) -> Result<(Table, bool), Failure> {
    let table = Table::read(node.ask(redis::cmd("CLUSTER").arg("SLOTS")).await?, node.address())?;
    if table.is_empty() {
        return Err(Failure::unavailable(format!("{} knows no slots", node.address())));
    }
    let state = Reply::one(node.ask(redis::cmd("CLUSTER").arg("INFO")).await?).text()?;
    Ok((table, state.lines().any(|line| line.trim() == "cluster_state:ok")))
}

/// However it ends, the next hint begins another look.
struct Looking(Rc<Cluster>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.is_looking.set(false);
    }
}
