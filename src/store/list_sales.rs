//! Sales page by page, by name. Each is read with `find_sale`.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Failure, Store};
use crate::domain::{ids::SaleId, outcome::FindSaleOutcome, sale::Sale};

/// Sales that are read at the same time.
const CALLS_AT_ONCE: usize = 16;

impl Store {
    /// At most `limit` sales after this one, and whether there are more.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list_sales(&self, after: Option<&SaleId>, limit: usize) -> Result<(Vec<Sale>, bool), Failure> {
        let ids = self.sales(None).await?.unwrap_or_default();
        let rest: Vec<SaleId> =
            ids.into_iter().filter(|id| !id.is_shard()).filter(|id| after.is_none_or(|after| id > after)).collect();
        // A name without terms is a sale that is being made, or the one that keeps unmatched payment events.
        // One that is gone with its server keeps nobody from the others.
        let calls = rest.iter().map(async |id| Failure::or_damage(self.find_sale(id).await, id));
        let found = stream::iter(calls).buffered(CALLS_AT_ONCE).try_filter_map(async |outcome| {
            Ok(match outcome {
                Some(FindSaleOutcome::Found(sale)) => Some(sale),
                Some(FindSaleOutcome::SaleNotFound) | None => None,
            })
        });
        let mut sales: Vec<Sale> = found.take(limit + 1).try_collect().await?;
        let more = sales.len() > limit;
        sales.truncate(limit);
        Ok((sales, more))
    }
}
