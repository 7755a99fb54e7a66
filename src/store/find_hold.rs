//! `find_hold`: a hold as it is now.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, record, unknown_word};
use crate::domain::{ids::HoldId, outcome::FindHoldOutcome};

impl Store {
    /// # Errors
    /// [`Failure`].
    pub async fn find_hold(&self, id: &HoldId) -> Result<FindHoldOutcome, Failure> {
        let keys = SaleKeys(id.sale());
        let call = ScriptCall::of(Op::FindHold).keys(keys.units()).key(keys.hold(id.key())).key(keys.order(id.key()));
        let (word, mut reply) = self.runner.call(call).await?;
        match word.as_str() {
            "active" => Ok(FindHoldOutcome::Active(self.with_skus(record::hold(id, &mut reply)?).await?)),
            "converted" => Ok(FindHoldOutcome::Converted(self.read_order(id, &mut reply).await?)),
            "hold_expired" => Ok(FindHoldOutcome::HoldExpired),
            word => Err(unknown_word(Op::FindHold, word)),
        }
    }
}
