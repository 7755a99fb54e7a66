//! `repair`: puts right what an audit found to differ.

use super::read;
use crate::{
    domain::{
        act::Act,
        audit::{Difference, RepairStage, SaleAudit},
    },
    store::{Failure, Op, ScriptCall, Store, keys::SaleKeys, unknown_word},
};

/// Differences that one call repairs. A few more, if they are counters of one product.
const REPAIRS_MAX: usize = 64;

impl Store {
    /// Repairs a sale that rests. Returns the differences that were repaired: none, if a script has written since the audit.
    pub(super) async fn repair(&self, audit: &SaleAudit, act: &Act) -> Result<Vec<Difference>, Failure> {
        let mut repaired = Vec::new();
        let wanted = audit.differences.iter().filter(|d| d.repairable && audit.is_exact).collect();
        let mut last_write = audit.last_write;
        for some in batches(wanted) {
            let call = self.terms.for_act(ScriptCall::of(Op::Repair).keys(SaleKeys(&audit.sale).book()), act);
            let call = call.arg(last_write.to_string());
            let call = some.iter().fold(call, |call, difference| call.arg(read::difference_argument(difference)));
            let (word, mut reply) = self.runner.call(call).await?;
            match word.as_str() {
                "repaired" => last_write = reply.int()?,
                "moved" | "below_zero" => break,
                word => return Err(unknown_word(Op::Repair, word)),
            }
            repaired.extend(some.into_iter().cloned());
        }
        Ok(repaired)
    }
}

/// Differences that one call repairs, in the order of their stages.
fn batches(mut wanted: Vec<&Difference>) -> Vec<Vec<&Difference>> {
    wanted.sort_by_key(|difference| difference.repair_stage());
    let mut calls: Vec<Vec<&Difference>> = Vec::new();
    for difference in wanted {
        let joins = |call: &&mut Vec<&Difference>| {
            let is_one_product = call.last().is_some_and(|last| last.product == difference.product);
            call[0].repair_stage() == difference.repair_stage()
                && (call.len() < REPAIRS_MAX || (difference.repair_stage() == RepairStage::Counters && is_one_product))
        };
        match calls.last_mut().filter(joins) {
            Some(call) => call.push(difference),
            None => calls.push(vec![difference]),
        }
    }
    calls
}
