//! `change_product`: name, metadata, price and limits of a product. `name_product` has the steps of a new SKU.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, record, record::rules, redis::rank::PERSON, unknown_word};
use crate::domain::{
    act::Act,
    ids::{ProductId, SaleId, Shards},
    money::LINE_TOTAL_MAX,
    outcome::ChangeProductOutcome,
    product::ProductChange,
    quantity::Quantity,
    sku::Sku,
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the product may be changed. The same call then changes nothing more.
    pub async fn change_product(
        &self,
        id: ProductId,
        change: &ProductChange,
        act: &Act,
    ) -> Result<ChangeProductOutcome, Failure> {
        PERSON.within(self.change_or_name(id, change, act)).await
    }

    async fn change_or_name(
        &self,
        id: ProductId,
        change: &ProductChange,
        act: &Act,
    ) -> Result<ChangeProductOutcome, Failure> {
        match &change.sku {
            // Several calls: a failure of one of them leaves open what the others did.
            Some(sku) => self.change_and_name(id, sku, change, act).await.map_err(Failure::after_decision),
            None => self.change_listed(id, change, act).await,
        }
    }

    /// Changes a product whose SKU stays.
    pub(super) async fn change_listed(
        &self,
        id: ProductId,
        change: &ProductChange,
        act: &Act,
    ) -> Result<ChangeProductOutcome, Failure> {
        let Some(sale) = self.sale_of(id).await? else { return Ok(ChangeProductOutcome::ProductNotFound) };
        let outcome = self.change_product_of((&sale.0, sale.1), id, change, None, act).await?;
        if outcome != ChangeProductOutcome::ProductNotFound {
            return Ok(outcome);
        }
        match self.sale_instead(id, &sale.0).await? {
            Some(newer) => self.change_product_of((&newer.0, newer.1), id, change, None, act).await,
            None => Ok(outcome),
        }
    }

    /// `new_sku`: the product has it since a moment ago.
    pub(super) async fn change_product_of(
        &self,
        (sale, shards): (&SaleId, Shards),
        id: ProductId,
        change: &ProductChange,
        new_sku: Option<&Sku>,
        act: &Act,
    ) -> Result<ChangeProductOutcome, Failure> {
        if let Some(price) = change.price
            && let Some(currency) = self.currency_of(sale).await?
            && !price.fits(&currency)
        {
            return Ok(ChangeProductOutcome::PriceTooFine(currency));
        }
        let (word, mut reply) = self.runner.call(self.change_product_call(id, sale, change, new_sku, act)).await?;
        match word.as_str() {
            "changed" => {
                let mut changed = record::product::changed_product(sale, &mut reply)?;
                if shards.are_several() {
                    let shards = self.spreads.shards(sale, shards);
                    self.spreads.share_terms(&shards, Some(id)).await.map_err(Failure::after_decision)?;
                    changed = self.sum_change(&shards, changed).await.map_err(Failure::after_decision)?;
                }
                match new_sku {
                    Some(_) => changed.after.sku = new_sku.cloned(),
                    None => changed = self.with_skus(changed).await?,
                }
                Ok(ChangeProductOutcome::Changed(changed))
            }
            "product_not_found" => Ok(ChangeProductOutcome::ProductNotFound),
            "price_too_large" => Ok(ChangeProductOutcome::PriceTooLarge),
            word => Err(unknown_word(Op::ChangeProduct, word)),
        }
    }

    fn change_product_call(
        &self,
        id: ProductId,
        sale: &SaleId,
        change: &ProductChange,
        new_sku: Option<&Sku>,
        act: &Act,
    ) -> ScriptCall {
        let keys = SaleKeys(sale);
        let call = ScriptCall::of(Op::ChangeProduct).keys(keys.book()).key(keys.product(id));
        let call = self.terms.for_act(call, act).number(id.get()).number(LINE_TOTAL_MAX);
        let changes = [
            ("name", change.name.as_ref().map(|name| name.as_str().to_owned())),
            (
                "metadata",
                change.metadata.as_ref().map(|all| all.as_ref().map_or_else(String::new, record::metadata_line)),
            ),
            ("price", change.price.map(|price| price.ten_thousandths().to_string())),
            ("max_per_hold", change.max_per_hold.map(|most| most.get().to_string())),
            ("max_per_customer", change.max_per_customer.map(|most| rules::limit(most.map(Quantity::get)))),
            ("group", change.group.as_ref().map(|group| rules::group(group.as_ref()))),
            ("visibility", change.visibility.map(rules::visibility)),
            ("archived", change.archived.map(rules::archived)),
            ("sku", new_sku.map(|sku| sku.as_str().to_owned())),
        ];
        call.pairs(changes.into_iter().filter_map(|(field, value)| Some((field, value?))))
    }
}
