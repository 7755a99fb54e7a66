//! Waits with a limit, and what the log says about them.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

pub const POLL: Duration = Duration::from_millis(20);
/// A wait that takes longer is logged.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// Logs once that a wait takes long.
pub struct Notice {
    what: &'static str,
    since: Instant,
    was_logged: bool,
}

impl Notice {
    pub fn new(what: &'static str) -> Self {
        Self { what, since: Instant::now(), was_logged: false }
    }

    pub fn log_if_long(&mut self) {
        if !self.was_logged && self.since.elapsed() > LONG_WAIT {
            tracing::info!("waiting: {}", self.what);
            self.was_logged = true;
        }
    }
}

/// Whether the condition became true within the limit.
pub fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if done() {
            return true;
        }
        if started.elapsed() > limit {
            return false;
        }
        thread::sleep(POLL);
    }
}

/// The last five lines of a log.
pub fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
