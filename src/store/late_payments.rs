//! Payments of spread sales that come after the units of their orders came back.

use std::{cell::RefCell, collections::HashMap};

use super::{Failure, Store};
use crate::domain::{
    ids::{OrderId, ProductId, SaleId},
    order::OrderStatus,
    outcome::FindOrderOutcome,
};

/// Units that late payments of this worker are about to take, by shard and product.
#[derive(Default)]
pub(super) struct LatePayments(RefCell<HashMap<(SaleId, ProductId), u64>>);

/// Units of one of them, until it is settled.
pub(super) struct Wanted<'a> {
    all: &'a LatePayments,
    of: (SaleId, ProductId),
    units: u64,
}

impl LatePayments {
    /// These units, and all that are wanted there now.
    fn want(&self, shard: &SaleId, product: ProductId, units: u64) -> (Wanted<'_>, u64) {
        let of = (shard.clone(), product);
        let mut all = self.0.borrow_mut();
        let sum = all.entry(of.clone()).or_default();
        *sum += units;
        (Wanted { all: self, of, units }, *sum)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        let mut all = self.all.0.borrow_mut();
        if let Some(sum) = all.get_mut(&self.of) {
            *sum -= self.units;
            if *sum == 0 {
                all.remove(&self.of);
            }
        }
    }
}

impl Store {
    /// Where the units of an order came back, gathers as many in its shard, if there are: somebody is about to ask for them, which is
    /// over when the answer is dropped. Money that came waits for no other shard, so a failure of one is none here.
    pub(super) async fn gather_for(&self, order: &OrderId) -> Vec<Wanted<'_>> {
        let mut wanted = Vec::new();
        if let Err(failure) = self.try_gather_for(order, &mut wanted).await {
            tracing::debug!(cause = %failure, order = order.as_str(), "no units gathered for an order");
        }
        wanted
    }

    async fn try_gather_for<'a>(&'a self, id: &OrderId, wanted: &mut Vec<Wanted<'a>>) -> Result<(), Failure> {
        let sale = id.sale().whole();
        let shards = match self.spreads.known(&sale) {
            Some(shards) => shards,
            None => self.shards_of(&sale).await?,
        };
        if shards.len() == 1 {
            return Ok(());
        }
        let FindOrderOutcome::Found(order) = self.find_order(id).await? else { return Ok(()) };
        let has_none =
            matches!(order.status, OrderStatus::Expired | OrderStatus::Cancelled | OrderStatus::RefundRequired);
        for line in order.lines.iter().filter(|_| has_none).map(|priced| priced.line) {
            // Others who pay late at the same time need theirs too.
            let (own, all) = self.spreads.late.want(id.sale(), line.product, line.quantity.get());
            wanted.push(own);
            self.spreads.gather(&shards, line.product, id.sale(), all).await?;
        }
        Ok(())
    }
}
