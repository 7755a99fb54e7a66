//! `put_sale`: makes a sale.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, record, unknown_word};
use crate::domain::{
    act::Act,
    ids::SaleId,
    outcome::PutSaleOutcome,
    sale::{SaleChange, SaleTerms},
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the sale may exist.
    pub async fn put_sale(&self, id: &SaleId, wanted: &SaleChange, act: &Act) -> Result<PutSaleOutcome, Failure> {
        // Nothing begins in a store that was emptied: a restart begins a new one, or a backup comes back.
        self.check_identity().await?;
        self.check_made(id).await?;
        // Before the sale itself, so that no sale is ever missing in the list.
        self.add_to_sales(id).await?;
        let call = self.terms.for_act(ScriptCall::of(Op::PutSale).keys(SaleKeys(id).book()), act);
        let call =
            call.pairs(record::sale::stored_terms(&SaleTerms::of_new_sale(id, wanted.clone(), &self.terms.sale)));
        let (word, mut reply) = self.runner.call(call).await?;
        match word.as_str() {
            "created" => {
                self.note_made(id).await;
                Ok(PutSaleOutcome::Created(record::sale::read(id, &mut reply)?))
            }
            "already_exists" => Ok(PutSaleOutcome::AlreadyExists),
            word => Err(unknown_word(Op::PutSale, word)),
        }
    }
}
