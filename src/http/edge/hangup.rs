//! Clients who have gone, for whoever keeps an answer open while nothing happens. A connection that is not written to says nothing else
//! of them.

use std::{cell::Cell, future, rc::Rc};

use actix_web::HttpRequest;
use tokio::sync::Notify;

/// The end of what a client sends. One that has closed its half alone is taken for gone too, as proxies do.
#[derive(Default)]
pub(in crate::http) struct Hangup {
    is_heard: Cell<bool>,
    heard: Notify,
}

impl Hangup {
    pub(super) fn hear(&self) {
        self.is_heard.set(true);
        self.heard.notify_waiters();
    }

    /// That of the connection of a request.
    pub(in crate::http) fn of(request: &HttpRequest) -> Option<Rc<Self>> {
        request.conn_data::<Rc<Self>>().cloned()
    }
}

/// Waits until the client has gone.
pub(in crate::http) async fn gone(hangup: Option<&Hangup>) {
    match hangup {
        Some(hangup) if hangup.is_heard.get() => {}
        Some(hangup) => hangup.heard.notified().await,
        None => future::pending().await,
    }
}
