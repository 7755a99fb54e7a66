//! Products page by page, by id, or all at once. They are read with `stock`.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Failure, Store, stock::Rows};
use crate::domain::{
    ids::{ProductId, SaleId},
    outcome::{ListProductsOutcome, ProductList},
};

/// Products that one call reads.
const CHUNK: usize = 64;
/// Calls of one list that wait for Redis at the same time. Holds are decided between them.
const CALLS_AT_ONCE: usize = 16;
/// Longest time to list all products.
const LIST_MAX: Duration = Duration::from_secs(5);

impl Store {
    /// All products, by id. Up to 64 products of one sale are of one instant.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn stock_of_all(&self) -> Result<ProductList, Failure> {
        let all = tokio::time::timeout(LIST_MAX, self.read_all()).await;
        all.unwrap_or_else(|_| Err(Failure::timed_out("there are too many products to list")))
    }

    /// At most `limit` products after this one, by id: all, or those of a sale. `next` is set while there are more.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list_products(
        &self,
        sale: Option<&SaleId>,
        after: Option<ProductId>,
        limit: usize,
    ) -> Result<ListProductsOutcome, Failure> {
        if sale.is_some() && self.sales(sale).await?.is_none() {
            return Ok(ListProductsOutcome::SaleNotFound);
        }
        let mut page = self.products().await?;
        page.retain(|(id, of)| after.is_none_or(|after| *id > after) && sale.is_none_or(|sale| of == sale));
        let more = page.len() > limit;
        page.truncate(limit);
        // From the directory and not from the products that can be read: a page without any of them is not the last page.
        let next = page.last().filter(|_| more).map(|(id, _)| *id);
        Ok(ListProductsOutcome::Products { list: self.read_products(page).await?, next })
    }

    async fn read_all(&self) -> Result<ProductList, Failure> {
        self.read_products(self.products().await?).await
    }

    /// The products that exist. One that cannot be read does not hide the others.
    pub(super) async fn read_products(&self, wanted: Vec<(ProductId, SaleId)>) -> Result<ProductList, Failure> {
        let mut by_sale: BTreeMap<SaleId, Vec<ProductId>> = BTreeMap::new();
        for (product, sale) in wanted {
            by_sale.entry(sale).or_default().push(product);
        }
        let chunks = by_sale.iter().flat_map(|(sale, ids)| ids.chunks(CHUNK).map(move |chunk| (sale, chunk)));
        let calls = chunks.map(|(sale, chunk)| self.stock_of(sale, chunk));
        let rows: Vec<Rows> = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
        let mut list = ProductList { products: Vec::new(), left_out: Vec::new() };
        for row in rows.into_iter().flatten() {
            match row {
                Ok(product) => list.products.push(product),
                Err(failure) => list.left_out.push(failure.to_string()),
            }
        }
        list.products = self.with_skus(list.products).await?;
        list.products.sort_by_key(|product| product.id);
        Ok(list)
    }
}
