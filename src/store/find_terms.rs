//! `find_terms`: what the first shard of a sale says of the sale and of a product.

use super::{Failure, Op, ScriptCall, keys::SaleKeys, reply::Fields, spread::Spreads, unknown_word};
use crate::domain::ids::{ProductId, SaleId};

/// What the other shards must have too, field by field as it is stored.
pub(super) struct SharedTerms {
    /// The number of the last write of the first shard at that moment.
    pub as_of: String,
    pub sale: Fields,
    /// The terms of the product.
    pub product: Fields,
    /// Its record.
    pub record: Fields,
}

impl Spreads {
    /// `None`: there is no such sale or product.
    pub(super) async fn find_terms(
        &self,
        first: &SaleId,
        product: Option<ProductId>,
    ) -> Result<Option<SharedTerms>, Failure> {
        let keys = SaleKeys(first);
        let [sale, stock, ..] = keys.units();
        let mut call = ScriptCall::of(Op::FindTerms).key(sale).key(stock);
        if let Some(id) = product {
            call = call.key(keys.product(id)).number(id.get());
        }
        let (word, mut reply) = self.runner.call(call).await?;
        match word.as_str() {
            "terms" => {
                let (as_of, sale) = (reply.text()?, reply.list()?.fields()?);
                let mut rest = || if product.is_some() { reply.list()?.fields() } else { Fields::from_lines("") };
                Ok(Some(SharedTerms { as_of, sale, product: rest()?, record: rest()? }))
            }
            "sale_not_found" | "product_not_found" => Ok(None),
            word => Err(unknown_word(Op::FindTerms, word)),
        }
    }
}
