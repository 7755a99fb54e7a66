//! `find_due`: pending orders whose deadline has passed and that have no `order.expired` event yet.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, unknown_word};
use crate::domain::ids::SaleId;

/// Orders that one call finds.
pub(super) const DUE_MAX: usize = 64;

impl Store {
    /// The keys of these orders, at most [`DUE_MAX`].
    pub(super) async fn find_due(&self, sale: &SaleId) -> Result<Vec<String>, Failure> {
        let keys = SaleKeys(sale);
        let call = ScriptCall::of(Op::FindDue).key(keys.sale()).key(keys.due()).number(DUE_MAX as u64);
        let (word, mut reply) = self.runner.call(call).await?;
        if word != "due" {
            return Err(unknown_word(Op::FindDue, &word));
        }
        let mut due = Vec::new();
        while !reply.is_empty() {
            due.push(reply.text()?);
        }
        Ok(due)
    }
}
