//! `change_sale`: other terms for a sale.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, record, redis::rank::PERSON, unknown_word};
use crate::domain::{
    act::Act,
    ids::SaleId,
    outcome::ChangeSaleOutcome,
    sale::{SaleChange, SaleTerm},
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the terms may be changed. The same call then changes nothing more.
    pub async fn change_sale(&self, id: &SaleId, change: &SaleChange, act: &Act) -> Result<ChangeSaleOutcome, Failure> {
        PERSON.within(self.change_terms(id, change, act)).await
    }

    async fn change_terms(&self, id: &SaleId, change: &SaleChange, act: &Act) -> Result<ChangeSaleOutcome, Failure> {
        let call = self.terms.for_act(ScriptCall::of(Op::ChangeSale).keys(SaleKeys(id).book()), act);
        let (word, mut reply) = self.runner.call(call.pairs(record::sale::stored_change(change))).await?;
        match word.as_str() {
            "changed" => {
                let changed = record::sale::changed(id, &mut reply)?;
                let shards = self.spreads.shards(id, changed.after.shards);
                self.spreads.share_terms(&shards, None).await.map_err(Failure::after_decision)?;
                Ok(ChangeSaleOutcome::Changed(changed))
            }
            "sale_not_found" => Ok(ChangeSaleOutcome::SaleNotFound),
            "terms_conflict" => Ok(ChangeSaleOutcome::TermsConflict { term: conflict(&reply.text()?)? }),
            word => Err(unknown_word(Op::ChangeSale, word)),
        }
    }
}

/// The term of a stored field that conflicts with another.
fn conflict(field: &str) -> Result<SaleTerm, Failure> {
    match field {
        "hold_ms" => Ok(SaleTerm::HoldLength),
        "payment_ms" => Ok(SaleTerm::PaymentLength),
        "ends" => Ok(SaleTerm::End),
        field => Err(Failure::unreadable(format!("the conflict of {field:?}"))),
    }
}
