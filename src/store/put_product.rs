//! `put_product`: makes a product. `claim_product` takes the id first, in the directory, which is another hash slot. After a
//! crash in between, the same call finishes the product.

use super::{
    Failure, Op, ScriptCall, Store,
    claim_product::Claim,
    keys::SaleKeys,
    listing::{Listing, Step},
    lost_shards::check_shard,
    record, unknown_word,
};
use crate::domain::{
    act::Act,
    ids::{ProductId, SaleId, Shards},
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
        let product = &self.with_shards(product).await?;
        if let Some(sale) = &product.sale {
            check_shard(&self.runner, &self.spreads.shards(sale, product.shards), sale).await?;
        }
        let Claim { id, sale, shards } = match self.claim_product(product).await? {
            Ok(claimed) => claimed,
            Err(other) => return Ok(PutProductOutcome::AlreadyExists(other)),
        };
        if product.sale.is_none() {
            self.check_made(&sale).await?;
        }
        check_shard(&self.runner, &self.spreads.shards(&sale, shards), &sale).await?;
        self.add_to_sales(&sale, shards).await?;
        let (word, mut reply) = self.runner.call(self.put_product_call(id, &sale, product, act)).await?;
        match word.as_str() {
            "created" => {
                self.note_made(&sale).await;
                let made = record::product::only_product(&sale, &mut reply)?;
                let made = Product { sku: product.sku.clone(), ..made };
                let other = self.claim_again(product, id, &sale, act).await.map_err(Failure::after_decision)?;
                if let Some(other) = other {
                    return Ok(PutProductOutcome::AlreadyExists(other));
                }
                self.deal(&sale, shards, id, product.total).await.map_err(Failure::after_decision)?;
                Ok(PutProductOutcome::Created { product: made, new_sale: reply.int()? == 1 })
            }
            "already_exists" => {
                // It may have come only so far.
                self.deal(&sale, shards, id, 0).await?;
                Ok(PutProductOutcome::AlreadyExists(id))
            }
            "shards_differ" => {
                // Its entry in the directory must not name a sale that does not exist.
                self.give_back(product, id, &sale).await?;
                Err(Failure::unavailable("the sale was made a moment ago: send it again"))
            }
            "currency_differs" => {
                Ok(PutProductOutcome::CurrencyDiffers { sale_currency: record::currency(&reply.text()?)? })
            }
            word => Err(unknown_word(Op::PutProduct, word)),
        }
    }

    /// The product with the number of shards that its sale has.
    async fn with_shards(&self, product: &NewProduct) -> Result<NewProduct, Failure> {
        let shards = match &product.sale {
            Some(sale) => Shards::new(self.shards_of(sale).await?.len() as u64),
            None => None,
        };
        Ok(NewProduct { shards: shards.unwrap_or(product.shards), ..product.clone() })
    }

    /// Gives the other shards of its sale the product, and each a part of so many units.
    async fn deal(&self, sale: &SaleId, shards: Shards, id: ProductId, units: u64) -> Result<(), Failure> {
        let shards = self.spreads.shards(sale, shards);
        self.spreads.copy_to_shards(&shards, Some(id)).await?;
        self.spreads.deal(&shards, id, units).await
    }

    /// Takes the claim of a product back that was not made.
    async fn give_back(&self, product: &NewProduct, id: ProductId, sale: &SaleId) -> Result<(), Failure> {
        let claimed = Listing { sale: sale.clone(), shards: product.shards, sku: product.sku.clone() };
        self.bury(id, &claimed, &Step::None).await.map(|_| ())
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
            .arg(record::product::rules(product))
            .arg(record::sale::stored_shards(product.shards).map_or_else(String::new, |(_, count)| count));
        let terms = SaleTerms::of_new_sale(sale, SaleChange::default(), &self.terms.sale);
        call.pairs(record::sale::stored_terms(&terms)).pairs(record::sale::stored_shards(product.shards))
    }
}
