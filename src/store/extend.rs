//! `extend`: moves the deadline of a live hold.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, record, unknown_word};
use crate::domain::{ids::HoldId, outcome::ExtendOutcome};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout its deadline may have moved.
    pub async fn extend(&self, id: &HoldId, more_ms: u64) -> Result<ExtendOutcome, Failure> {
        let keys = SaleKeys(id.sale());
        let call = ScriptCall::of(Op::Extend).keys(keys.book()).key(keys.hold(id.key())).key(keys.order(id.key()));
        let (word, mut reply) = self.runner.call(self.terms.for_book(call).number(more_ms)).await?;
        match word.as_str() {
            "extended" => Ok(ExtendOutcome::Extended(self.with_skus(record::hold(id, &mut reply)?).await?)),
            "extension_limit_reached" => Ok(ExtendOutcome::ExtensionLimitReached { deadline_ms: reply.int()? }),
            "hold_converted" => Ok(ExtendOutcome::HoldConverted(self.ids().order_of(id))),
            "hold_expired" => Ok(ExtendOutcome::HoldExpired),
            word => Err(unknown_word(Op::Extend, word)),
        }
    }
}
