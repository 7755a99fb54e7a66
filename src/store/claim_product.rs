//! `claim_product`: takes an id for a product, and fixes its sale.

use super::{Failure, Op, ScriptCall, Store, keys::PRODUCTS, unknown_word};
use crate::domain::{
    ids::{ProductId, SaleId},
    product::NewProduct,
};

impl Store {
    /// `None` when another product has the id.
    pub(super) async fn claim_product(&self, product: &NewProduct) -> Result<Option<(ProductId, SaleId)>, Failure> {
        let call = ScriptCall::of(Op::ClaimProduct)
            .key(PRODUCTS)
            .arg(product.id.map_or_else(String::new, |id| id.to_string()))
            .arg(product.sale.as_ref().map_or("", |sale| sale.as_str()));
        let (word, mut reply) = self.runner.call(call).await?;
        match word.as_str() {
            "claimed" => {
                let id = ProductId::parse(&reply.text()?).ok_or_else(|| Failure::unreadable("a product id"))?;
                Ok(Some((id, reply.sale_id()?)))
            }
            "already_exists" => Ok(None),
            word => Err(unknown_word(Op::ClaimProduct, word)),
        }
    }
}
