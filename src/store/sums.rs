//! Products of spread sales: the first shard says what they are, and all shards together have their units.

use std::{collections::HashMap, rc::Rc};

use futures_util::future::try_join_all;

use super::{
    Failure, Store,
    stock::{Found, Rows},
};
use crate::domain::{
    act::Change,
    ids::{ProductId, SaleId},
    product::{Product, Stock},
    sku::Sku,
};

impl Store {
    /// The product, for all who wait for it.
    pub(super) async fn sum_found(
        &self,
        shards: &[SaleId],
        product: ProductId,
        sku: Option<Sku>,
    ) -> Result<Found, Failure> {
        let calls = shards.iter().map(|shard| {
            let (key, sku) = ((shard.clone(), product), sku.clone());
            async move { self.stocks.submit(&key, sku).await }
        });
        let found = try_join_all(calls).await?;
        let Some((first, seen)) = found.first().and_then(Option::as_ref) else { return Ok(None) };
        let of_shards: Vec<_> = found.iter().map(|found| found.as_ref().map(|(product, _)| &**product)).collect();
        let whole = self.whole(shards, Product::clone(first), &of_shards[1..]).await?;
        Ok(Some((Rc::new(whole), *seen)))
    }

    /// The products of all shards.
    pub(super) async fn sum_rows(&self, shards: &[SaleId], products: &[ProductId]) -> Result<Rows, Failure> {
        if let [only] = shards {
            return self.stock_of(only, products).await;
        }
        let mut all = try_join_all(shards.iter().map(|shard| self.stock_of(shard, products))).await?.into_iter();
        let first = all.next().unwrap_or_default();
        let mut others: Vec<HashMap<ProductId, Product>> = Vec::new();
        for rows in all {
            match rows.into_iter().collect::<Result<Vec<_>, Failure>>() {
                Ok(rows) => others.push(rows.into_iter().map(|(product, _)| (product.id, product)).collect()),
                Err(failure) => return Ok(vec![Err(failure)]),
            }
        }
        let mut wholes = Vec::with_capacity(first.len());
        for row in first {
            wholes.push(match row {
                Ok((product, seen)) => {
                    let of_others: Vec<_> = others.iter().map(|products| products.get(&product.id)).collect();
                    Ok((self.whole(shards, product, &of_others).await?, seen))
                }
                unreadable => unreadable,
            });
        }
        Ok(wholes)
    }

    /// A product of the first shard with the units of the others. One that is gone for good has none.
    async fn whole(
        &self,
        shards: &[SaleId],
        mut first: Product,
        others: &[Option<&Product>],
    ) -> Result<Product, Failure> {
        let (id, living) = (first.id, || others.iter().copied().flatten());
        let mut lent = first.lent + living().map(|other| other.lent).sum::<i64>();
        let has_loans = first.lent != 0 || living().any(|other| other.lent != 0);
        if has_loans && living().count() < others.len() {
            let names = shards[1..].iter().zip(others).filter(|(_, other)| other.is_some()).map(|(shard, _)| shard);
            let names: Vec<SaleId> = shards[..1].iter().chain(names).cloned().collect();
            lent = self.spreads.lent_among(&names, id).await?.into_iter().sum();
        }
        add_shards(&mut first, living(), lent);
        Ok(first)
    }

    /// The same change, with the units of all shards before and after it.
    pub(super) async fn sum_change(
        &self,
        shards: &[SaleId],
        change: Change<Product>,
    ) -> Result<Change<Product>, Failure> {
        let Change { mut after, mut before } = change;
        let rows = self.sum_rows(shards, &[after.id]).await?;
        let Some((now, _)) = rows.into_iter().next().transpose()? else { return Ok(Change { after, before }) };
        if let Some(before) = &mut before {
            let (less, more) = (before.stock.total, after.stock.total);
            let earlier = |units: u64| (units + less).saturating_sub(more);
            before.stock =
                Stock { total: earlier(now.stock.total), available: earlier(now.stock.available), ..now.stock };
        }
        (after.stock, after.next_release_ms) = (now.stock, now.next_release_ms);
        Ok(Change { after, before })
    }
}

/// Adds the units of the other shards, and those that are under way: what was lent counts with the shard that lent it, until another
/// one has it.
fn add_shards<'a>(first: &mut Product, others: impl Iterator<Item = &'a Product>, lent: i64) {
    let mut sum = first.stock;
    for Product { stock, next_release_ms, .. } in others {
        sum.total += stock.total;
        sum.held += stock.held;
        sum.pending += stock.pending;
        sum.sold += stock.sold;
        first.next_release_ms = first.next_release_ms.into_iter().chain(*next_release_ms).min();
    }
    sum.total = sum.total.saturating_add_signed(lent);
    // Shards are read one after the other. A unit that came back in one and was taken in another meanwhile counts twice.
    let taken = sum.held + sum.pending + sum.sold;
    sum.held = sum.held.saturating_sub(taken.saturating_sub(sum.total));
    sum.available = sum.total.saturating_sub(taken);
    (first.stock, first.lent) = (sum, 0);
}
