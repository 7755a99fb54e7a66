//! Redis Sentinel: the primary that most sentinels name. All sentinels are asked at once, so that none that hangs delays the
//! answer, and none that was cut off from the others decides it.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use redis::{Cmd, Value};
use tokio::{sync::Mutex, task::spawn_local};

use super::table::{address, split};
use crate::store::redis::{
    error::Failure,
    node::{Common, Node},
    reply::Reply,
    topology::Watched,
};

/// The pause between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

pub struct Sentinels {
    common: Rc<Common>,
    watched: Watched,
    nodes: Vec<Rc<Node>>,
    /// The primary, and which version of what the workers share named it.
    primary: RefCell<Option<(u64, Rc<Node>)>>,
    looked: Cell<Option<Instant>>,
    is_looking: Cell<bool>,
    /// Held by the caller that looks.
    looking: Mutex<()>,
}

impl Sentinels {
    pub(super) fn new(common: &Rc<Common>, watched: &Watched) -> Rc<Self> {
        let of_sentinels = common.of_contacts();
        Rc::new(Self {
            common: Rc::clone(common),
            nodes: watched.sentinels.iter().map(|info| Node::new(&of_sentinels, info)).collect(),
            watched: watched.clone(),
            primary: RefCell::default(),
            looked: Cell::default(),
            is_looking: Cell::default(),
            looking: Mutex::default(),
        })
    }

    pub(super) fn contacts(&self) -> Vec<Rc<Node>> {
        self.nodes.clone()
    }

    pub(super) async fn primary(self: &Rc<Self>) -> Result<Rc<Node>, Failure> {
        let version = self.watched.primary.version();
        if let Some((of, node)) = &*self.primary.borrow()
            && *of == version
        {
            return Ok(Rc::clone(node));
        }
        let (version, named) = match self.watched.primary.named() {
            (version, Some(named)) => (version, named),
            (_, None) => self.look_first().await?,
        };
        let node = self.node_at(&named)?;
        self.primary.replace(Some((version, Rc::clone(&node))));
        Ok(node)
    }

    /// Another connection only where it is another server.
    fn node_at(&self, named: &str) -> Result<Rc<Node>, Failure> {
        if let Some((_, node)) = &*self.primary.borrow()
            && node.address() == named
        {
            return Ok(Rc::clone(node));
        }
        let Some((host, port)) = split(named) else {
            return Err(Failure::unreadable(format!("the address {named:?} that Sentinel gave")));
        };
        self.common.note_change();
        Ok(Node::new(&self.common, &self.common.topology.info_at(host, port)))
    }

    /// Looks soon, in a task of its own. Callers never wait for it.
    pub(super) fn look_soon(self: &Rc<Self>) {
        if self.is_looking.replace(true) {
            return;
        }
        let looking = Looking(Rc::clone(self));
        spawn_local(async move {
            if let Some(rest) = looking.0.looked.get().and_then(|at| LOOK_PAUSE.checked_sub(at.elapsed())) {
                tokio::time::sleep(rest).await;
            }
            looking.0.look().await;
        });
    }

    /// Looks which the primary is. All workers then use that one.
    pub(super) async fn look(&self) {
        match self.ask().await {
            Ok(Named::ByMost(named)) => _ = self.watched.primary.name(&named),
            Ok(Named::BySome(named)) => tracing::debug!(%named, "not enough sentinels name it"),
            Err(failure) => tracing::debug!(cause = %failure, "no sentinel names the primary"),
        }
    }

    async fn look_first(&self) -> Result<(u64, String), Failure> {
        let _looking = self.looking.lock().await;
        if let (version, Some(named)) = self.watched.primary.named() {
            return Ok((version, named));
        }
        // Where none is known, whatever is named is better.
        let (Named::ByMost(named) | Named::BySome(named)) = self.ask().await?;
        Ok((self.watched.primary.name(&named), named))
    }

    /// The address that more than half of the sentinels give, else the most frequent one.
    async fn ask(&self) -> Result<Named, Failure> {
        self.looked.set(Some(Instant::now()));
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.watched.name);
        let question = &question;
        let mut answers: FuturesUnordered<_> = self.nodes.iter().map(|sentinel| named_by(sentinel, question)).collect();
        let (mut votes, mut failure) = (HashMap::new(), None);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(named) => {
                    let vote = votes.entry(named.clone()).or_insert(0);
                    *vote += 1;
                    if *vote * 2 > self.nodes.len() {
                        return Ok(Named::ByMost(named));
                    }
                }
                // A refusal says more than that another sentinel is away.
                Err(why) if failure.as_ref().is_none_or(|known: &Failure| !known.is_refused_login()) => {
                    failure = Some(why);
                }
                Err(_) => {}
            }
        }
        let most = votes.into_iter().max_by_key(|(_, vote)| *vote);
        most.map(|(named, _)| Named::BySome(named))
            .ok_or_else(|| failure.map_or_else(|| Failure::unavailable("there are no sentinels"), Failure::of_sentinel))
    }
}

async fn named_by(sentinel: &Rc<Node>, question: &Cmd) -> Result<String, Failure> {
    let found = sentinel.ask(question).await?;
    if found == Value::Nil {
        return Err(Failure::unavailable(format!("the sentinel {} knows no primary of that name", sentinel.address())));
    }
    let mut found = Reply::read(found)?;
    let (host, port) = (found.text()?, found.text()?);
    let port = port.parse().map_err(|_| Failure::unreadable(format!("the port {port:?} that Sentinel gave")))?;
    Ok(address(&host, port))
}

enum Named {
    /// More than half of the sentinels.
    ByMost(String),
    /// Fewer answered alike: one that was cut off from the others may be among them.
    BySome(String),
}

/// However it ends, the next hint begins another look.
struct Looking(Rc<Sentinels>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.is_looking.set(false);
    }
}
