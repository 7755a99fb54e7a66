//! What a worker counts of its calls to Redis: by server, by script, and by queue.

use std::{
    array,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{attempt::Attempt, catalogue::Op, error::Failure};
use crate::metrics::{Count, Histogram, Scale};

/// Servers that a worker counts one by one. In a cluster whose servers come and go under new addresses, later ones are one.
const SERVERS_MAX: usize = 64;
const OTHER_SERVERS: &str = "others";

/// The cells of one worker.
pub struct CallMeter {
    scripts: [ScriptCells; Op::ALL.len()],
    queues: Mutex<Vec<(Op, Arc<QueueCells>)>>,
    servers: Mutex<Vec<(String, Arc<ServerCells>)>>,
}

/// Calls of a script that were decided.
#[derive(Default)]
pub struct ScriptCells {
    pub calls: Count,
    /// From sending to the decision, together.
    pub micros: Count,
}

/// The queues of all sales for one script.
pub struct QueueCells {
    /// Items that wait for their call.
    pub waiting: Count,
    /// How long items that were sent had waited.
    pub waited: Histogram,
    /// Items of each call.
    pub sizes: Histogram,
}

/// All calls to one server.
pub struct ServerCells {
    results: [Count; CallResult::ALL.len()],
    /// From sending to the answer, whatever it was.
    pub took: Histogram,
    pub in_flight: Count,
    pub connections: Count,
    /// Breakers that let nobody through.
    pub open_breakers: Count,
}

/// Declares the results, one line for each: its variant and its word.
macro_rules! results {
    ($($result:ident $word:literal)+) => {
        /// What came of an attempt to ask a server.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CallResult {
            $($result,)+
        }

        impl CallResult {
            pub const ALL: [Self; [$($word,)+].len()] = [$(Self::$result,)+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$result => $word,)+
                }
            }
        }
    };
}

results! {
    Answered "answered"
    NotSent "not_sent"
    ConnectionLost "connection_lost"
    Elsewhere "elsewhere"
    NotNow "not_now"
    Spared "spared"
    Overloaded "overloaded"
    TimedOut "timed_out"
    Full "full"
    Replaced "replaced"
    Unavailable "unavailable"
    Unreadable "unreadable"
}

impl CallResult {
    pub fn of<T>(answer: &Result<T, Attempt>) -> Self {
        match answer {
            Ok(_) => Self::Answered,
            Err(Attempt::NotSent(_)) => Self::NotSent,
            Err(Attempt::ConnectionLost(_)) => Self::ConnectionLost,
            Err(Attempt::Elsewhere(..)) => Self::Elsewhere,
            Err(Attempt::NotNow(_)) => Self::NotNow,
            Err(Attempt::Spared(_)) => Self::Spared,
            Err(Attempt::Failed(failure)) => Self::of_failure(failure),
        }
    }

    pub fn of_failure(failure: &Failure) -> Self {
        match failure {
            Failure::Overloaded(_) => Self::Overloaded,
            Failure::TimedOut(_) => Self::TimedOut,
            Failure::Full(_) => Self::Full,
            Failure::Replaced(_) | Failure::Lost(_) => Self::Replaced,
            Failure::Unavailable(_) => Self::Unavailable,
            Failure::Unreadable(_) => Self::Unreadable,
        }
    }
}

impl Default for CallMeter {
    fn default() -> Self {
        Self {
            scripts: array::from_fn(|_| ScriptCells::default()),
            queues: Mutex::default(),
            servers: Mutex::default(),
        }
    }
}

impl CallMeter {
    pub fn decided(&self, op: Op, took: Duration) {
        let cells = self.script(op);
        cells.calls.add(1);
        cells.micros.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn script(&self, op: Op) -> &ScriptCells {
        &self.scripts[op as usize]
    }

    /// Cells for the queues of a script. Two batchers of one script share them.
    pub fn queue(&self, op: Op) -> Arc<QueueCells> {
        let mut queues = lock(&self.queues);
        if let Some((_, cells)) = queues.iter().find(|(of, _)| *of == op) {
            return Arc::clone(cells);
        }
        let (waited, sizes) = (Histogram::new(&Scale::TIME), Histogram::new(&Scale::SIZE));
        let cells = Arc::new(QueueCells { waiting: Count::new(), waited, sizes });
        queues.push((op, Arc::clone(&cells)));
        cells
    }

    /// Cells for a server, the same for the same address.
    pub fn server(&self, address: &str) -> Arc<ServerCells> {
        let mut servers = lock(&self.servers);
        let name = if servers.len() < SERVERS_MAX { address } else { OTHER_SERVERS };
        if let Some((_, cells)) = servers.iter().find(|(known, _)| known == address || known == name) {
            return Arc::clone(cells);
        }
        let cells = Arc::new(ServerCells {
            results: array::from_fn(|_| Count::new()),
            took: Histogram::new(&Scale::TIME),
            in_flight: Count::new(),
            connections: Count::new(),
            open_breakers: Count::new(),
        });
        servers.push((name.to_owned(), Arc::clone(&cells)));
        cells
    }

    pub fn queues(&self) -> Vec<(Op, Arc<QueueCells>)> {
        lock(&self.queues).clone()
    }

    pub fn servers(&self) -> Vec<(String, Arc<ServerCells>)> {
        lock(&self.servers).clone()
    }
}

impl ServerCells {
    pub fn count(&self, result: CallResult) {
        self.results[result as usize].add(1);
    }

    pub fn counted(&self, result: CallResult) -> u64 {
        self.results[result as usize].get()
    }
}

fn lock<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_same_cells_and_too_many_addresses_are_one() {
        let meter = CallMeter::default();
        meter.server("10.0.0.1:6379").count(CallResult::Answered);
        meter.server("10.0.0.1:6379").count(CallResult::Answered);
        for server in 0..1_000 {
            meter.server(&format!("10.0.1.{server}:6379")).count(CallResult::TimedOut);
        }
        let servers = meter.servers();
        assert_eq!(servers.len(), SERVERS_MAX + 1);
        assert_eq!(servers[0].1.counted(CallResult::Answered), 2);
        let (name, others) = servers.last().unwrap();
        assert_eq!((&**name, others.counted(CallResult::TimedOut)), (OTHER_SERVERS, 1_001 - SERVERS_MAX as u64));
    }
}
