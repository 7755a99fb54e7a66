//! Products of spread sales: the first shard says what they are, and all shards together have their units.

use std::{borrow::Borrow, collections::HashMap, rc::Rc};

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
        let mut found = try_join_all(calls).await?.into_iter();
        let Some((first, seen)) = found.next().flatten() else { return Ok(None) };
        let mut whole = Product::clone(&first);
        add_shards(&mut whole, found.flatten().map(|(other, _)| other));
        Ok(Some((Rc::new(whole), seen)))
    }

    /// The products of all shards.
    pub(super) async fn sum_rows(&self, shards: &[SaleId], products: &[ProductId]) -> Result<Rows, Failure> {
        if let [only] = shards {
            return self.stock_of(only, products).await;
        }
        let mut all = try_join_all(shards.iter().map(|shard| self.stock_of(shard, products))).await?.into_iter();
        let mut first = all.next().unwrap_or_default();
        let mut others: HashMap<ProductId, Vec<Product>> = HashMap::new();
        for row in all.flatten() {
            match row {
                Ok((product, _)) => others.entry(product.id).or_default().push(product),
                Err(failure) => return Ok(vec![Err(failure)]),
            }
        }
        for (product, _) in first.iter_mut().flatten() {
            let others = others.remove(&product.id).unwrap_or_default();
            add_shards(product, others.iter());
        }
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

/// Adds the units of the other shards. What is under way counts: what was lent counts with the shard that lent it, until another
/// one has it.
fn add_shards<P: Borrow<Product>>(first: &mut Product, others: impl Iterator<Item = P>) {
    let (mut sum, mut lent) = (first.stock, first.lent);
    for other in others {
        let other: &Product = other.borrow();
        let Product { stock, lent: own, next_release_ms, .. } = other;
        sum.total += stock.total;
        sum.held += stock.held;
        sum.pending += stock.pending;
        sum.sold += stock.sold;
        lent += own;
        first.next_release_ms = first.next_release_ms.into_iter().chain(*next_release_ms).min();
    }
    sum.total = sum.total.saturating_add_signed(lent);
    // Shards are read one after the other. A unit that came back in one and was taken in another meanwhile counts twice.
    let taken = sum.held + sum.pending + sum.sold;
    sum.held = sum.held.saturating_sub(taken.saturating_sub(sum.total));
    sum.available = sum.total.saturating_sub(taken);
    (first.stock, first.lent) = (sum, 0);
}
