//! `confirm`: waits until settled payment events are as durable as the settings ask for, on connections that holds never
//! use.
//!
//! The script checks whether the settled events are still there, and writes a mark after them. The runner then waits, on the
//! same connection, until that mark is durable. So a server that took over between settling and waiting is never mistaken
//! for one that kept the effect. All events that were settled before a call share its wait.
//!
//! Each sale has a mark of its own, because one script has keys of one slot. The runner lets all sales of a server share a wait,
//! so one fsync serves them all.

use std::{rc::Rc, sync::Arc};

use super::{
    Blueprint, Failure, Op, Reply, ScriptCall, Store,
    batch::{Batcher, Timeouts, Work},
    keys::SaleKeys,
    redis::{meter::CallMeter, runner::Runner, slot},
    unknown_word,
};
use crate::domain::ids::SaleId;

impl Store {
    /// `once_key` is the key of the event that was settled in this sale.
    pub(super) async fn confirm(&self, sale: &SaleId, once_key: String) -> Result<(), Failure> {
        let Some(confirms) = &self.confirms else { return Ok(()) };
        // The event is settled by now, so no failure may say that nothing was done.
        if confirms.submit(sale, once_key).await.map_err(Failure::after_decision)? {
            return Ok(());
        }
        Err(Failure::unavailable("a server went away with the effect of a payment event; it must be sent again"))
    }
}

/// Confirms events: one queue for each sale.
pub(super) struct Confirms;

impl Confirms {
    /// On a runner of its own, because its connection waits for disks and replicas. `None` where there is nothing to wait
    /// for.
    pub(super) fn batcher(blueprint: &Blueprint, meter: &Arc<CallMeter>) -> Option<Rc<Batcher<Self>>> {
        let barrier = blueprint.barrier?;
        let mut topology = blueprint.topology.clone();
        topology.limits.call += barrier.timeout();
        let limits = topology.limits;
        let identity = Some(Arc::clone(&blueprint.identity));
        let runner =
            Runner::with(&topology, Arc::clone(&blueprint.catalogue), identity, Some(barrier), Arc::clone(meter));
        // A call may sit through a wait of other sales in front of it and one that began just before, and then through its own. So
        // may the call of the same sale in front of it.
        let timeouts = Timeouts { wait: 2 * (limits.call + 2 * barrier.timeout()), queue_max: limits.queue_max };
        Some(Batcher::new(Rc::new(runner), Self, timeouts))
    }
}

impl Work for Confirms {
    type Key = SaleId;
    type Item = String;
    type Answer = bool;
    const OP: Op = Op::Confirm;
    const BATCH_MAX: usize = 512;

    fn slot(sale: &SaleId) -> u16 {
        slot::of_sale(sale)
    }

    fn call(&self, sale: &SaleId, once_keys: &[String]) -> ScriptCall {
        ScriptCall::of(Self::OP).key(SaleKeys(sale).mark()).keys(once_keys)
    }

    fn read(&self, _sale: &SaleId, once_keys: Vec<String>, word: &str, mut reply: Reply) -> Result<Vec<bool>, Failure> {
        if word != "marked" {
            return Err(unknown_word(Op::Confirm, word));
        }
        once_keys.iter().map(|_| Ok(reply.int()? == 1)).collect()
    }
}
