//! Products whose name, SKU or id a reader has a part of. There is no index of names: a page looks at some of them, one after the other.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Failure, Reply, Store, keys::SaleKeys, listing::Listing};
use crate::domain::{ids::ProductId, product_query::Search};

/// Products that one page examines. A page of what is rare may be short or empty, and the next page goes on behind it.
const EXAMINED_MAX: usize = 1_000;
/// Names that are asked for at the same time.
const CALLS_AT_ONCE: usize = 64;

impl Store {
    /// Keeps those of the first candidates that fit. Returns the last one that was looked at, where there are more.
    pub(super) async fn search_products(
        &self,
        search: &Search,
        candidates: &mut Vec<(ProductId, Listing)>,
    ) -> Result<Option<ProductId>, Failure> {
        let has_more = candidates.len() > EXAMINED_MAX;
        candidates.truncate(EXAMINED_MAX);
        let end = candidates.last().filter(|_| has_more).map(|(product, _)| *product);
        let looks = std::mem::take(candidates).into_iter().map(async |(product, listing)| {
            // The directory says the rest, so only names are asked for.
            let fits = search.fits_directory(product, listing.sku.as_ref())
                || self.name_of(product, &listing).await?.is_some_and(|name| search.fits(&name));
            Ok::<_, Failure>(fits.then_some((product, listing)))
        });
        let found: Vec<_> = stream::iter(looks).buffered(CALLS_AT_ONCE).try_collect().await?;
        candidates.extend(found.into_iter().flatten());
        Ok(end)
    }

    /// `None` where its sale does not have it.
    async fn name_of(&self, product: ProductId, listing: &Listing) -> Result<Option<String>, Failure> {
        let key = SaleKeys(&listing.sale).product(product);
        Reply::one(self.runner.plain(redis::cmd("HGET").arg(key).arg("name")).await?).text_or_none()
    }
}
