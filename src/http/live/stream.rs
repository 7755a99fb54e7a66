//! The stream of one watcher.

use std::{convert::Infallible, rc::Rc, time::Duration};

use actix_web::web::Bytes;
use futures_util::{Stream, stream};
use tokio::{select, time::sleep};

use super::hub::{Place, Snapshots};
use crate::http::{
    Draining,
    edge::{Hangup, gone},
};

/// After so long without an event, a comment shows proxies and browsers that the stream lives, and the service that they do. Shorter
/// than what a proxy waits: the documented nginx 15 s, others 30 or 60.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A browser that lost its stream comes back after a time between these, so that not all come at once.
const RETRY_MS: u64 = 2_000;
const RETRY_MORE_MS: u64 = 3_000;

pub(super) struct Watcher {
    snapshots: Snapshots,
    /// What it gets at once.
    welcome: Option<Bytes>,
    seen: u64,
    has_ended: bool,
    draining: Draining,
    hangup: Option<Rc<Hangup>>,
    _place: Place,
}

impl Watcher {
    /// `known`: the id of the last event that the browser has.
    pub(super) fn new(
        mut snapshots: Snapshots,
        known: Option<&str>,
        place: Place,
        draining: Draining,
        hangup: Option<Rc<Hangup>>,
    ) -> Self {
        let snapshot = snapshots.borrow_and_update().clone();
        let retry_ms = RETRY_MS + getrandom::u64().unwrap_or_default() % RETRY_MORE_MS;
        let welcome = [format!("retry: {retry_ms}\n\n").as_bytes(), &snapshot.welcome(known)].concat().into();
        let (seen, has_ended) = (snapshot.version(), snapshot.is_last);
        Self { snapshots, welcome: Some(welcome), seen, has_ended, draining, hangup, _place: place }
    }

    pub(super) fn events(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, async |mut watcher| Some((Ok(watcher.next().await?), watcher)))
    }

    /// `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(welcome) = self.welcome.take() {
            return Some(welcome);
        }
        loop {
            if self.has_ended {
                return None;
            }
            select! {
                () = self.draining.begun() => return None,
                () = gone(self.hangup.as_deref()) => return None,
                changed = self.snapshots.changed() => changed.ok()?,
                () = sleep(HEARTBEAT) => return Some(Bytes::from_static(b":\n\n")),
            }
            let snapshot = self.snapshots.borrow_and_update().clone();
            let event = snapshot.since(self.seen);
            (self.seen, self.has_ended) = (snapshot.version(), snapshot.is_last);
            if !event.is_empty() {
                return Some(event);
            }
        }
    }
}
