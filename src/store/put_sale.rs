//! `put_sale`: makes a sale.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, lost_shards::check_shard, record, unknown_word};
use crate::domain::{
    act::Act,
    ids::{SaleId, Shards},
    outcome::{FindSaleOutcome, PutSaleOutcome},
    sale::{SaleChange, SaleTerms},
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the sale may exist.
    pub async fn put_sale(
        &self,
        id: &SaleId,
        shards: Shards,
        wanted: &SaleChange,
        act: &Act,
    ) -> Result<PutSaleOutcome, Failure> {
        // Nothing begins in a store that was emptied: a restart begins a new one, or a backup comes back.
        self.check_identity().await?;
        self.check_made(id).await?;
        check_shard(&self.runner, &self.spreads.shards(id, shards), id).await?;
        if shards.are_several() && self.finish_sale(id).await? {
            return Ok(PutSaleOutcome::AlreadyExists);
        }
        // Before the sale itself, so that no sale is ever missing in the list.
        self.add_to_sales(id, shards).await?;
        let call = self.terms.for_act(ScriptCall::of(Op::PutSale).keys(SaleKeys(id).book()), act);
        let call =
            call.pairs(record::sale::stored_terms(&SaleTerms::of_new_sale(id, wanted.clone(), &self.terms.sale)));
        let (word, mut reply) = self.runner.call(call.pairs(record::sale::stored_shards(shards))).await?;
        if shards.are_several() {
            self.finish_sale(id).await.map_err(Failure::after_decision)?;
        }
        match word.as_str() {
            "created" => {
                self.note_made(id).await;
                Ok(PutSaleOutcome::Created(record::sale::read(id, &mut reply)?))
            }
            "already_exists" => Ok(PutSaleOutcome::AlreadyExists),
            word => Err(unknown_word(Op::PutSale, word)),
        }
    }

    /// Gives all shards of a sale its terms: it may have come only so far. Whether there is such a sale.
    async fn finish_sale(&self, id: &SaleId) -> Result<bool, Failure> {
        let FindSaleOutcome::Found(sale) = self.find_sale(id).await? else { return Ok(false) };
        self.spreads.copy_to_shards(&self.spreads.shards(id, sale.shards), None).await?;
        Ok(true)
    }
}
