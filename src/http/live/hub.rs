//! Who watches what in this process.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::watch;

use super::snapshot::Snapshot;
use crate::domain::ids::{ProductId, SaleId};

/// What a stream is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    Product(ProductId),
    /// All products of a sale that everybody sees.
    Sale(SaleId),
}

impl Topic {
    pub(super) fn sale(&self) -> Option<&SaleId> {
        match self {
            Self::Product(_) => None,
            Self::Sale(sale) => Some(sale),
        }
    }
}

/// Where the newest snapshot is. A watcher that is slow misses those in between.
pub(super) type Snapshots = watch::Receiver<Arc<Snapshot>>;

/// The streams of all workers.
pub struct Live {
    topics: Mutex<HashMap<Topic, Arc<watch::Sender<Arc<Snapshot>>>>>,
    watchers: AtomicUsize,
    watchers_max: usize,
}

impl Live {
    /// At most so many watch at the same time.
    pub fn new(watchers_max: usize) -> Self {
        Self { topics: Mutex::default(), watchers: AtomicUsize::new(0), watchers_max }
    }

    pub(in crate::http) fn watchers(&self) -> usize {
        self.watchers.load(Ordering::Relaxed)
    }

    /// Products and sales that are read.
    pub(super) fn topics_read(&self) -> usize {
        self.topics().len()
    }

    /// `None`: all places are taken.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let one_more = |watchers| (watchers < self.watchers_max).then_some(watchers + 1);
        self.watchers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Place(Arc::clone(self)))
    }

    /// `None`: nobody reads this topic yet.
    pub(super) fn follow(&self, topic: &Topic) -> Option<Snapshots> {
        self.topics().get(topic).map(|channel| channel.subscribe())
    }

    /// Follows a topic. Whoever is the first gets it to read.
    pub(super) fn begin(self: &Arc<Self>, topic: Topic, first: Snapshot) -> (Snapshots, Option<Reading>) {
        let mut topics = self.topics();
        if let Some(channel) = topics.get(&topic) {
            return (channel.subscribe(), None);
        }
        let (sender, snapshots) = watch::channel(Arc::new(first));
        let channel = Arc::new(sender);
        topics.insert(topic.clone(), Arc::clone(&channel));
        (snapshots, Some(Reading { live: Arc::clone(self), topic, channel }))
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<Topic, Arc<watch::Sender<Arc<Snapshot>>>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a watcher, until it is dropped.
pub(super) struct Place(Arc<Live>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A topic that somebody reads. When it is dropped, for whatever reason, all of its streams end.
pub(super) struct Reading {
    live: Arc<Live>,
    topic: Topic,
    channel: Arc<watch::Sender<Arc<Snapshot>>>,
}

impl Reading {
    pub(super) fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Products and sales that the process reads, this one among them.
    pub(super) fn topics_read(&self) -> usize {
        self.live.topics_read()
    }

    pub(super) fn last(&self) -> Arc<Snapshot> {
        Arc::clone(&self.channel.borrow())
    }

    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.channel.send_replace(Arc::new(snapshot));
    }

    /// Whether nobody watches. Then it is over: whoever comes next begins anew.
    pub(super) fn has_ended(&self) -> bool {
        let mut topics = self.live.topics();
        let is_unwatched = self.channel.receiver_count() == 0;
        if is_unwatched {
            topics.remove(&self.topic);
        }
        is_unwatched
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut topics = self.live.topics();
        // It may be another's by now.
        if topics.get(&self.topic).is_some_and(|channel| Arc::ptr_eq(channel, &self.channel)) {
            topics.remove(&self.topic);
        }
    }
}
