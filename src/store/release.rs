//! `release`: gives back the units of a live hold.

use super::{
    Failure, Op, Reply, ScriptCall, ServiceTerms, Store, ids::IdPart, keys::SaleKeys, redis::runner::Runner,
    unknown_word,
};
use crate::domain::{
    ids::{HoldId, SaleId},
    outcome::ReleaseOutcome,
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the hold may be released.
    pub async fn release(&self, hold: &HoldId) -> Result<ReleaseOutcome, Failure> {
        let (word, _) = self.runner.call(call(self.terms, hold.sale(), hold.key(), By::Buyer)).await?;
        match word.as_str() {
            "released" => Ok(ReleaseOutcome::Released),
            "hold_converted" => Ok(ReleaseOutcome::HoldConverted(self.ids().order_of(hold))),
            "hold_expired" => Ok(ReleaseOutcome::HoldExpired),
            word => Err(unknown_word(Op::Release, word)),
        }
    }
}

/// Releases a hold that nobody knows of, if it exists. Whether it did.
pub(super) async fn unclaimed(
    runner: &Runner,
    terms: ServiceTerms,
    sale: &SaleId,
    key: IdPart,
) -> Result<bool, Failure> {
    let (word, _): (_, Reply) = runner.call(call(terms, sale, key.as_str(), By::Service)).await?;
    Ok(word == "released")
}

/// Who gives it back. Where releases count for a cool-down, only those of a buyer do.
#[derive(Clone, Copy)]
enum By {
    Buyer,
    Service,
}

fn call(terms: ServiceTerms, sale: &SaleId, key: &str, by: By) -> ScriptCall {
    let keys = SaleKeys(sale);
    let call = ScriptCall::of(Op::Release).keys(keys.book()).key(keys.hold(key)).key(keys.order(key));
    let by = match by {
        By::Buyer => "buyer",
        By::Service => "service",
    };
    terms.for_book(call).arg(by)
}
