//! Payments of spread sales that come after the units of their orders came back: units of other shards come to them.

use std::{rc::Rc, time::Instant};

use super::{Failure, Store, gather::Supply};
use crate::domain::{
    ids::{OrderId, SaleId},
    outcome::FindOrderOutcome,
};

/// A search for units in all shards of a sale, for as long as a caller may wait.
pub(super) struct Search {
    shards: Rc<[SaleId]>,
    until: Instant,
    is_over: bool,
}

impl Search {
    pub(super) fn is_over(&self) -> bool {
        self.is_over || self.shards.len() < 2 || Instant::now() >= self.until
    }
}

impl Store {
    /// Money that came waits for no other shard, so a failure of one is none here: the search is over.
    pub(super) async fn search_in(&self, sale: &SaleId) -> Search {
        let sale = sale.whole();
        let shards = match self.spreads.known(&sale) {
            Some(shards) => shards,
            None => self.shards_of(&sale).await.unwrap_or_else(|failure| {
                tracing::debug!(cause = %failure, sale = sale.as_str(), "no units are gathered for its orders");
                Rc::new([sale])
            }),
        };
        Search { shards, until: Instant::now() + self.spreads.tries_max, is_over: false }
    }

    /// Gathers the units of an order in its shard. The search is over where they were in no shard at an instant after this call.
    pub(super) async fn gather_for(&self, order: &OrderId, search: &mut Search) {
        let gathered = self.try_gather_for(order, &search.shards).await;
        search.is_over = !matches!(gathered, Ok(true));
        if let Err(failure) = gathered {
            tracing::debug!(cause = %failure, order = order.as_str(), "no units gathered for an order");
        }
    }

    /// False: there are none. Others may take what was gathered.
    async fn try_gather_for(&self, id: &OrderId, shards: &Rc<[SaleId]>) -> Result<bool, Failure> {
        let FindOrderOutcome::Found(order) = self.find_order(id).await? else { return Ok(false) };
        for line in order.lines.iter().map(|priced| priced.line) {
            let units = line.quantity.get();
            match self.spreads.survey(shards, line.product, units).await? {
                Supply::There => self.spreads.gather(shards, line.product, id.sale(), units).await?,
                Supply::Short(_) => return Ok(false),
            }
        }
        Ok(true)
    }
}
