//! `find_sale`: the terms of a sale.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, record, unknown_word};
use crate::domain::{ids::SaleId, outcome::FindSaleOutcome};

impl Store {
    /// # Errors
    /// [`Failure`].
    pub async fn find_sale(&self, id: &SaleId) -> Result<FindSaleOutcome, Failure> {
        let (word, mut reply) = self.runner.call(ScriptCall::of(Op::FindSale).key(SaleKeys(id).sale())).await?;
        match word.as_str() {
            "found" => Ok(FindSaleOutcome::Found(record::sale::read(id, &mut reply)?)),
            "sale_not_found" => Ok(FindSaleOutcome::SaleNotFound),
            word => Err(unknown_word(Op::FindSale, word)),
        }
    }
}
