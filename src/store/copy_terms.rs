//! `copy_terms`: gives a shard the terms that the first shard of its sale has.

use super::{Failure, Op, ScriptCall, find_terms::SharedTerms, keys::SaleKeys, spread::Spreads, unknown_word};
use crate::domain::ids::{ProductId, SaleId};

impl Spreads {
    /// Older terms that come late change nothing.
    pub(super) async fn copy_terms(
        &self,
        shard: &SaleId,
        product: Option<ProductId>,
        terms: &SharedTerms,
    ) -> Result<(), Failure> {
        let keys = SaleKeys(shard);
        let mut call = ScriptCall::of(Op::CopyTerms).keys(keys.units());
        if let Some(id) = product {
            call = call.key(keys.product(id));
        }
        let count = |fields: &super::reply::Fields| fields.iter().count() as u64;
        call = call.arg(&terms.as_of).arg(product.map_or_else(String::new, |id| id.to_string()));
        call = call.number(count(&terms.sale)).number(count(&terms.product));
        call = call.pairs(terms.sale.iter()).pairs(terms.product.iter()).pairs(terms.record.iter());
        match self.runner.call(call).await?.0.as_str() {
            "copied" => Ok(()),
            word => Err(unknown_word(Op::CopyTerms, word)),
        }
    }
}
