//! `confirm`: waits until settled payment events are as durable as the settings ask for, on connections that holds never
//! use.
//!
//! The script checks whether the settled events are still there, and writes a mark after them. The runner then waits, on the
//! same connection, until that mark is durable. So a server that took over between settling and waiting is never mistaken
//! for one that kept the effect. All events that were settled before a call share its wait.
//!
//! This is the one script that spans sales: its keys are the mark, and events of any sales, in any hash slots. That is sound
//! because it decides nothing and because one server has all keys. With several primaries it needs a queue, and a mark, for
//! each of them.

use std::{rc::Rc, sync::Arc};

use super::{
    Blueprint, Failure, Op, Reply, ScriptCall, Store,
    batch::{Batcher, Timeouts, Work},
    keys::MARK,
    redis::runner::Runner,
    unknown_word,
};

impl Store {
    /// `once_key` is the key of the event that was settled.
    pub(super) async fn confirm(&self, once_key: String) -> Result<(), Failure> {
        let Some(confirms) = &self.confirms else { return Ok(()) };
        if confirms.submit(&(), once_key).await? {
            return Ok(());
        }
        Err(Failure::unavailable("a server went away with the effect of a payment event; it must be sent again"))
    }
}

/// Confirms events: one queue for all sales.
pub(super) struct Confirms;

impl Confirms {
    /// On a runner of its own, because its connection waits for disks and replicas. `None` where there is nothing to wait
    /// for.
    pub(super) fn batcher(blueprint: &Blueprint) -> Option<Rc<Batcher<Self>>> {
        let barrier = blueprint.barrier?;
        let mut topology = blueprint.topology.clone();
        topology.limits.call += barrier.timeout();
        let limits = topology.limits;
        let runner = Runner::new(&topology, Arc::clone(&blueprint.catalogue)).with_barrier(barrier);
        // An event that comes during one wait sits through the rest of it, and then through its own.
        let timeouts = Timeouts { wait: 2 * limits.call, queue_max: limits.queue_max };
        Some(Batcher::new(Rc::new(runner), Self, timeouts))
    }
}

impl Work for Confirms {
    type Key = ();
    type Item = String;
    type Answer = bool;
    const BATCH_MAX: usize = 512;

    fn call(&self, _key: &(), once_keys: &[String]) -> ScriptCall {
        ScriptCall::of(Op::Confirm).key(MARK).keys(once_keys)
    }

    fn read(&self, _key: &(), once_keys: Vec<String>, word: &str, mut reply: Reply) -> Result<Vec<bool>, Failure> {
        if word != "marked" {
            return Err(unknown_word(Op::Confirm, word));
        }
        once_keys.iter().map(|_| Ok(reply.int()? == 1)).collect()
    }
}
