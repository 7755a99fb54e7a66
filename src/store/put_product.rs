//! `put_product`: makes a product. `claim_product` takes the id first, in the directory, which is another hash slot. After a
//! crash in between, the same call finishes the product.

use super::{Failure, Op, ScriptCall, Store, claim_product::Claim, keys::SaleKeys, record, unknown_word};
use crate::domain::{
    act::Act,
    ids::{ProductId, SaleId},
    outcome::PutProductOutcome,
    product::{NewProduct, Product},
    sale::{SaleChange, SaleTerms},
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the product may exist.
    pub async fn put_product(&self, product: &NewProduct, act: &Act) -> Result<PutProductOutcome, Failure> {
        // As in put_sale, because it may make a sale.
        self.check_identity().await?;
        // Also before the claim, so that a product that will be refused takes no id.
        if let Some(sale) = &product.sale {
            self.check_made(sale).await?;
            if let Some(currency) = self.currency_of(sale).await?.filter(|currency| *currency != product.currency) {
                return Ok(PutProductOutcome::CurrencyDiffers { sale_currency: currency });
            }
        }
        let Claim { id, sale } = match self.claim_product(product).await? {
            Ok(claimed) => claimed,
            Err(other) => return Ok(PutProductOutcome::AlreadyExists(other)),
        };
        if product.sale.is_none() {
            self.check_made(&sale).await?;
        }
        self.add_to_sales(&sale).await?;
        let (word, mut reply) = self.runner.call(self.put_product_call(id, &sale, product, act)).await?;
        match word.as_str() {
            "created" => {
                self.note_made(&sale).await;
                let made = record::product::only_product(&sale, &mut reply)?;
                let made = Product { sku: product.sku.clone(), ..made };
                if let Some(other) = self.claim_again(product, id, &sale, act).await? {
                    return Ok(PutProductOutcome::AlreadyExists(other));
                }
                Ok(PutProductOutcome::Created { product: made, new_sale: reply.int()? == 1 })
            }
            "already_exists" => Ok(PutProductOutcome::AlreadyExists(id)),
            "currency_differs" => {
                Ok(PutProductOutcome::CurrencyDiffers { sale_currency: record::currency(&reply.text()?)? })
            }
            word => Err(unknown_word(Op::PutProduct, word)),
        }
    }

    /// A deletion may have come between the claim and the product, and have taken the claim for the rest of its own. So may one
    /// that came between two tries of the same call. Claims it once more, or takes the product away and answers the one that has the id now.
    async fn claim_again(
        &self,
        product: &NewProduct,
        id: ProductId,
        sale: &SaleId,
        act: &Act,
    ) -> Result<Option<ProductId>, Failure> {
        let again = NewProduct { id: Some(id), sale: Some(sale.clone()), ..product.clone() };
        let Err(other) = self.claim_product(&again).await? else { return Ok(None) };
        self.remove_product(sale, id, None, act).await?;
        Ok(Some(other))
    }

    fn put_product_call(&self, id: ProductId, sale: &SaleId, product: &NewProduct, act: &Act) -> ScriptCall {
        let keys = SaleKeys(sale);
        let call = ScriptCall::of(Op::PutProduct).keys(keys.book()).key(keys.product(id));
        let call = self
            .terms
            .for_act(call, act)
            .number(id.get())
            .arg(product.name.as_str())
            .arg(product.metadata.as_ref().map_or_else(String::new, record::metadata_line))
            .number(product.price.ten_thousandths())
            .arg(product.currency.code())
            .number(product.total)
            .number(product.max_per_hold())
            .arg(record::product::rules(product));
        call.pairs(record::sale::stored_terms(&SaleTerms::of_new_sale(sale, SaleChange::default(), &self.terms.sale)))
    }
}
