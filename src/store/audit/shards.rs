//! What an audit finds between the shards of a spread sale: terms that differ, and units under way.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::{
        audit::{Difference, DifferenceKind, SaleAudit},
        ids::{ProductId, SaleId},
    },
    store::{Failure, Store, find_terms::SharedTerms},
};

impl Store {
    /// One audit for each sale, of all its shards.
    pub(super) async fn as_wholes(&self, audits: Vec<SaleAudit>) -> Result<Vec<SaleAudit>, Failure> {
        let mut wholes: BTreeMap<SaleId, SaleAudit> = BTreeMap::new();
        let mut spread = BTreeSet::new();
        for audit in audits {
            let sale = audit.sale.whole();
            if audit.sale.is_shard() {
                spread.insert(sale.clone());
            }
            match wholes.get_mut(&sale) {
                Some(whole) => add(whole, audit),
                None => _ = wholes.insert(sale.clone(), SaleAudit { sale, ..audit }),
            }
        }
        for sale in spread {
            let found = Failure::or_damage(self.differences_of_shards(&sale).await, &sale)?;
            // One of them is gone.
            let found = found.unwrap_or_else(|| vec![Difference::record()]);
            wholes.entry(sale).and_modify(|whole| whole.differences.extend(found));
        }
        Ok(wholes.into_values().collect())
    }

    /// Finishes what was begun between the shards of these sales, and says what it was.
    pub(super) async fn mend_shards(
        &self,
        sales: impl Iterator<Item = &SaleId>,
    ) -> Result<Vec<(SaleId, Difference)>, Failure> {
        let mut mended = Vec::new();
        let spread: BTreeSet<_> = sales.filter(|sale| sale.is_shard()).map(SaleId::whole).collect();
        for sale in spread {
            let found = Failure::or_damage(self.differences_of_shards(&sale).await, &sale)?;
            let (Some(found), Some(shards)) = (found, Failure::or_damage(self.shards_of(&sale).await, &sale)?) else {
                continue;
            };
            for difference in found.into_iter().filter(|difference| difference.repairable) {
                self.spreads.copy_to_shards(&shards, difference.product).await?;
                if let Some(product) = difference.product {
                    self.spreads.finish_loans(&shards, product).await?;
                }
                mended.push((sale.clone(), difference));
            }
        }
        Ok(mended)
    }

    async fn differences_of_shards(&self, sale: &SaleId) -> Result<Vec<Difference>, Failure> {
        let shards = self.shards_of(sale).await?;
        let of_sale = self.products().await?.into_iter().filter(|(_, listing)| listing.sale == *sale);
        let products: Vec<ProductId> = of_sale.map(|(product, _)| product).collect();
        let mut found = Vec::new();
        for product in std::iter::once(None).chain(products.iter().copied().map(Some)) {
            let [first, others @ ..] = &*shards else { continue };
            let Some(right) = self.spreads.find_terms(first, product).await? else { continue };
            for shard in others {
                let own = self.spreads.find_terms(shard, product).await?;
                if !own.is_some_and(|own| is_same(&own, &right)) {
                    let difference = Difference::new(DifferenceKind::ShardTerms, 1, 0);
                    found.push(product.map_or(difference.clone(), |product| difference.of_product(product)));
                }
            }
        }
        for product in products {
            found.extend(self.spreads.open_loans(&shards, product).await?);
        }
        Ok(found)
    }
}

/// The terms of a sale are compared once, without those of its products.
fn is_same(own: &SharedTerms, right: &SharedTerms) -> bool {
    let sorted = |terms: &SharedTerms| -> BTreeSet<(String, String)> {
        let all = terms.sale.iter().chain(terms.product.iter()).chain(terms.record.iter());
        all.map(|(field, value)| (field.to_owned(), value.to_owned())).collect()
    };
    sorted(own) == sorted(right)
}

fn add(whole: &mut SaleAudit, shard: SaleAudit) {
    whole.is_exact &= shard.is_exact;
    whole.looks = whole.looks.max(shard.looks);
    whole.products = whole.products.max(shard.products);
    whole.holds += shard.holds;
    whole.orders += shard.orders;
    whole.customers += shard.customers;
    whole.differences.extend(shard.differences);
}
