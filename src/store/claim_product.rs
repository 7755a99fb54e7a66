//! `claim_product`: takes an id and a SKU for a product, and fixes its sale.

use super::{
    Failure, Op, ScriptCall, Store,
    change_listing::product_id,
    keys::{PRODUCTS, SKUS},
    listing::spread,
    unknown_word,
};
use crate::domain::{
    ids::{ProductId, SaleId, Shards},
    product::NewProduct,
};

/// A product that may be made.
pub(super) struct Claim {
    pub id: ProductId,
    pub sale: SaleId,
    pub shards: Shards,
}

impl Store {
    /// The claim, or the product that has the id or the SKU.
    pub(super) async fn claim_product(&self, product: &NewProduct) -> Result<Result<Claim, ProductId>, Failure> {
        let call = ScriptCall::of(Op::ClaimProduct)
            .key(PRODUCTS)
            .key(SKUS)
            .arg(product.id.map_or_else(String::new, |id| id.to_string()))
            .arg(product.sale.as_ref().map_or("", |sale| sale.as_str()))
            .arg(product.sku.as_ref().map_or("", |sku| sku.as_str()))
            .arg(spread(product.shards));
        let (word, mut reply) = self.runner.call(call).await?;
        match word.as_str() {
            "claimed" => Ok(Ok(Claim { id: product_id(&mut reply)?, sale: reply.sale_id()?, shards: product.shards })),
            "already_exists" => Ok(Err(product_id(&mut reply)?)),
            word => Err(unknown_word(Op::ClaimProduct, word)),
        }
    }
}
