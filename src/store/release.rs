//! `release`: gives back the units of a live hold.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, unknown_word};
use crate::domain::{ids::HoldId, outcome::ReleaseOutcome};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the hold may be released.
    pub async fn release(&self, hold: &HoldId) -> Result<ReleaseOutcome, Failure> {
        let keys = SaleKeys(hold.sale());
        let call = ScriptCall::of(Op::Release).keys(keys.book()).key(keys.hold(hold.key())).key(keys.order(hold.key()));
        let (word, _) = self.runner.call(self.terms.for_book(call)).await?;
        match word.as_str() {
            "released" => Ok(ReleaseOutcome::Released),
            "hold_converted" => Ok(ReleaseOutcome::HoldConverted(self.ids().order_of(hold))),
            "hold_expired" => Ok(ReleaseOutcome::HoldExpired),
            word => Err(unknown_word(Op::Release, word)),
        }
    }
}
