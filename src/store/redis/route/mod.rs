//! Which server a call goes to: the one, the primary that Sentinel names, or the primary of a slot of a cluster.

mod cluster;
mod sentinel;
mod table;

use std::rc::Rc;

use self::{cluster::Cluster, sentinel::Sentinels};
use super::{
    attempt::Attempt,
    error::Failure,
    node::{Common, Node},
    topology::Servers,
};

/// Where a call is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The server that has the slot, as far as is known.
    Owner,
    /// Where another server said that the slot is: `host:port`.
    At(String),
    /// Where another server said that the key is already, while its slot moves.
    Asking(String),
}

pub enum Route {
    Single(Rc<Node>),
    Sentinel(Rc<Sentinels>),
    Cluster(Rc<Cluster>),
}

impl Route {
    pub fn new(common: &Rc<Common>) -> Self {
        match common.topology.servers() {
            Servers::Single(info) => Self::Single(Node::new(common, info)),
            Servers::Sentinel(watched) => Self::Sentinel(Sentinels::new(common, watched)),
            Servers::Cluster(seeds) => Self::Cluster(Cluster::new(common, seeds)),
        }
    }

    /// # Errors
    /// [`Failure`] when nobody knows.
    pub async fn node(&self, slot: impl Fn() -> u16, place: &Place) -> Result<Rc<Node>, Failure> {
        match self {
            Self::Single(node) => Ok(Rc::clone(node)),
            Self::Sentinel(sentinels) => sentinels.primary().await,
            Self::Cluster(cluster) => match place {
                Place::Owner => cluster.owner(slot()).await,
                Place::At(address) | Place::Asking(address) => cluster.node_at(address),
            },
        }
    }

    /// All servers that take writes.
    ///
    /// # Errors
    /// [`Failure`] when nobody knows.
    pub async fn primaries(&self) -> Result<Vec<Rc<Node>>, Failure> {
        match self {
            Self::Single(node) => Ok(vec![Rc::clone(node)]),
            Self::Sentinel(sentinels) => Ok(vec![sentinels.primary().await?]),
            Self::Cluster(cluster) => cluster.primaries().await,
        }
    }

    /// The servers that the settings name.
    pub fn contacts(&self) -> Vec<Rc<Node>> {
        match self {
            Self::Single(node) => vec![Rc::clone(node)],
            Self::Sentinel(sentinels) => sentinels.contacts(),
            Self::Cluster(cluster) => cluster.contacts(),
        }
    }

    /// A key in a slot of this server. `None`: it takes any.
    pub fn key_at(&self, node: &Node) -> Option<String> {
        match self {
            Self::Cluster(cluster) => cluster.key_at(node),
            _ => None,
        }
    }

    /// Looks again which server it is, if an attempt hints at another one.
    pub fn note(&self, attempt: &Attempt) {
        let hints = match attempt {
            // Whoever heard nothing of it looked already.
            Attempt::Elsewhere(Place::Asking(_), _) | Attempt::Spared(_) => false,
            Attempt::Failed(failure) => matches!(failure, Failure::Unavailable(_) | Failure::TimedOut(_)),
            _ => true,
        };
        match self {
            Self::Sentinel(sentinels) if hints => sentinels.look_soon(),
            Self::Cluster(cluster) if hints => cluster.look_soon(),
            _ => {}
        }
    }

    /// Looks which server it is where nothing else shows that it changed: a primary that Sentinel replaced goes on taking writes
    /// for seconds, and they are lost.
    pub async fn watch(&self) {
        if let Self::Sentinel(sentinels) = self {
            sentinels.look().await;
        }
    }
}
