//! `claim_product`: takes an id and a SKU for a product, and fixes its sale.

use super::{
    Failure, Op, Reply, ScriptCall, Store,
    keys::{PRODUCTS, SKUS},
    unknown_word,
};
use crate::domain::{
    ids::{ProductId, SaleId},
    product::NewProduct,
};

impl Store {
    /// Id and sale, or the product that has the id or the SKU.
    pub(super) async fn claim_product(
        &self,
        product: &NewProduct,
    ) -> Result<Result<(ProductId, SaleId), ProductId>, Failure> {
        let call = ScriptCall::of(Op::ClaimProduct)
            .key(PRODUCTS)
            .key(SKUS)
            .arg(product.id.map_or_else(String::new, |id| id.to_string()))
            .arg(product.sale.as_ref().map_or("", |sale| sale.as_str()))
            .arg(product.sku.as_ref().map_or("", |sku| sku.as_str()));
        let (word, mut reply) = self.runner.call(call).await?;
        match word.as_str() {
            "claimed" => Ok(Ok((product_id(&mut reply)?, reply.sale_id()?))),
            "already_exists" => Ok(Err(product_id(&mut reply)?)),
            word => Err(unknown_word(Op::ClaimProduct, word)),
        }
    }
}

fn product_id(reply: &mut Reply) -> Result<ProductId, Failure> {
    ProductId::parse(&reply.text()?).ok_or_else(|| Failure::unreadable("a product id"))
}
