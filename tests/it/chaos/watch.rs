//! What happens in a run that the nemesis did not order: a machine too busy to let anybody run, and a replica that took over while its
//! primary was only slow. The checkers must know of both.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Scope, sleep},
    time::{Duration, Instant},
};

use super::{
    history::{FaultSpan, STALL},
    stage::{connect, replication_of},
};

const TICK: Duration = Duration::from_millis(20);
/// The pause between two questions to a server, which has other work.
const ASK: Duration = Duration::from_millis(100);
/// A tick that comes so late says that nobody ran.
const LATE: Duration = Duration::from_millis(500);
/// The old primary may answer for so long before its replica takes over, and after, until it hears of that.
const AROUND: Duration = Duration::from_secs(5);

/// Spans since the run began.
pub struct Watch {
    began: Instant,
    stalls: Mutex<Vec<FaultSpan>>,
    promotions: Mutex<Vec<Instant>>,
    has_ended: AtomicBool,
}

struct Watching<'a>(&'a Watch);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Ordering::Relaxed);
    }
}

impl Watch {
    pub fn new(began: Instant) -> Self {
        let (stalls, promotions) = Default::default();
        Self { began, stalls, promotions, has_ended: AtomicBool::new(false) }
    }

    /// Watches these servers, each in a thread, and the machine, until what it returns is dropped.
    pub fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, ports: Vec<u16>) -> impl Drop + use<'scope> {
        scope.spawn(|| self.tick());
        for port in ports {
            scope.spawn(move || self.follow(port));
        }
        Watching(self)
    }

    fn tick(&self) {
        let mut last = Instant::now();
        while !self.has_ended.load(Ordering::Relaxed) {
            sleep(TICK);
            if last.elapsed() > LATE {
                self.stalls.lock().unwrap().push(self.span(STALL, last, Instant::now(), None));
            }
            last = Instant::now();
        }
    }

    /// Notes when this server becomes a primary.
    fn follow(&self, port: u16) {
        let mut replica_at = None;
        let mut connection = None;
        while !self.has_ended.load(Ordering::Relaxed) {
            sleep(ASK);
            let asked = Instant::now();
            if connection.is_none() {
                connection = connect(port);
            }
            let Some(text) = connection.as_mut().and_then(replication_of) else {
                connection = None;
                continue;
            };
            if text.contains("role:slave") {
                replica_at = Some(asked);
            } else if let Some(at) = replica_at.take() {
                self.promotions.lock().unwrap().push(at);
            }
        }
    }

    /// What it saw beside these faults of the nemesis.
    pub fn spans(&self, ordered: &[FaultSpan]) -> Vec<FaultSpan> {
        let is_ordered = |at: u64| {
            ordered.iter().any(|span| span.name.contains("FailOver") && (span.start_ns..=span.end_ns).contains(&at))
        };
        let mut all = std::mem::take(&mut *self.stalls.lock().unwrap());
        for at in self.promotions.lock().unwrap().iter().filter(|at| !is_ordered(self.ns(**at))) {
            let from = at.checked_sub(AROUND).map_or(self.began, |from| from.max(self.began));
            all.push(self.span("UnorderedFailOver", from, *at + AROUND, Some(*at)));
        }
        all
    }

    fn span(&self, name: &str, from: Instant, to: Instant, lost_at: Option<Instant>) -> FaultSpan {
        let [start_ns, end_ns] = [from, to].map(|at| self.ns(at));
        FaultSpan {
            name: name.to_owned(),
            start_ns,
            end_ns,
            lost_at_ns: lost_at.map(|at| self.ns(at)).into_iter().collect(),
        }
    }

    fn ns(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_nanos()).unwrap()
    }
}
