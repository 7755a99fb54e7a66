//! Products page by page, by id. They are read with `stock`.

use std::{collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Failure, Reply, Store, keys::SaleKeys, listing::Listing, record::rules::Rules, stock::Rows};
use crate::domain::{
    ids::{ProductId, SaleId, Shards},
    outcome::{ListProductsOutcome, ProductList},
    product::Product,
    product_query::ProductQuery,
    visibility::{Audience, Visibility},
};

/// Products that one call reads: a script that reads more would keep holds waiting.
const CHUNK: usize = 64;
/// Calls of one list that wait for Redis at the same time. Holds are decided between them.
const CALLS_AT_ONCE: usize = 16;
/// Longest time to list products.
const LIST_MAX: Duration = Duration::from_secs(5);

impl Store {
    /// [`Store::list_products`], for all who ask for the same at the same time.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn share_product_list(
        self: &Arc<Self>,
        query: &ProductQuery,
    ) -> Result<Rc<ListProductsOutcome>, Failure> {
        let (store, wanted) = (Arc::clone(self), query.clone());
        let call = move || {
            let (store, wanted) = (Arc::clone(&store), wanted.clone());
            async move { store.list_products(&wanted).await }
        };
        self.product_lists.ask(query.clone(), call).await
    }

    /// At most `limit` products that the reader sees, by id. `next` is set while there are more, and in a search while there may be.
    /// Up to 64 products of one sale are of one instant.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list_products(&self, query: &ProductQuery) -> Result<ListProductsOutcome, Failure> {
        let page = tokio::time::timeout(LIST_MAX, self.page_of_products(query)).await;
        page.unwrap_or_else(|_| Err(Failure::timed_out("there are too many products to list")))
    }

    async fn page_of_products(&self, query: &ProductQuery) -> Result<ListProductsOutcome, Failure> {
        if let Some(sale) = &query.sale
            && !self.is_sale_for(sale, query.audience).await?
        {
            return Ok(ListProductsOutcome::SaleNotFound);
        }
        let mut candidates = self.candidates(query).await?;
        let mut examined_to = None;
        if let Some(search) = &query.search {
            examined_to = self.search_products(search, &mut candidates).await?;
        }
        let (mut list, mut at) = (ProductList { products: Vec::new(), left_out: Vec::new() }, 0);
        // Products that the reader does not see leave no gap in a page, and are no cursor.
        while at < candidates.len() && list.products.len() <= query.limit {
            let wanted = (query.limit - list.products.len()).saturating_add(1);
            let size = if at == 0 { wanted } else { wanted.max(CHUNK) };
            let some = &candidates[at..candidates.len().min(at.saturating_add(size))];
            at += some.len();
            let (rows, left_out) = self.read_rows(some).await?;
            let seen = rows.into_iter().filter(|(product, seen)| query.has(product, *seen));
            list.products.extend(seen.map(|(product, _)| product));
            list.left_out.extend(left_out);
        }
        let more = list.products.len() > query.limit;
        list.products.truncate(query.limit);
        let next = list.products.last().filter(|_| more).map(|product| product.id).or(examined_to);
        list.products = self.with_skus(list.products).await?;
        Ok(ListProductsOutcome::Products { list, next })
    }

    /// Whether there is such a sale for such a reader.
    async fn is_sale_for(&self, sale: &SaleId, audience: Audience) -> Result<bool, Failure> {
        if self.sales(Some(sale)).await?.is_none() {
            return Ok(false);
        }
        if audience == Audience::Admins {
            return Ok(true);
        }
        let rules = self.runner.plain(redis::cmd("HGET").arg(SaleKeys(sale).sale()).arg("rules")).await?;
        let rules = Reply::one(rules).text_or_none()?.unwrap_or_default();
        Ok(Audience::Knowing.sees(Rules::read(&rules).visibility()?))
    }

    /// What the directory has of the products that are asked for, by id.
    async fn candidates(&self, query: &ProductQuery) -> Result<Vec<(ProductId, Listing)>, Failure> {
        let mut candidates = match &query.ids {
            None => self.products().await?,
            Some(ids) => {
                let mut ids = ids.clone();
                ids.sort_unstable();
                ids.dedup();
                self.look_up_products(&ids).await?
            }
        };
        candidates.retain(|(product, listing)| query.may_have(*product, &listing.sale));
        Ok(candidates)
    }

    /// The products that exist. One that cannot be read does not hide the others.
    pub(super) async fn read_products(&self, wanted: &[(ProductId, Listing)]) -> Result<ProductList, Failure> {
        let (rows, left_out) = self.read_rows(wanted).await?;
        let products = rows.into_iter().map(|(product, _)| product).collect();
        Ok(ProductList { products: self.with_skus(products).await?, left_out })
    }

    /// By id, with who sees each, and why the others cannot be read.
    async fn read_rows(
        &self,
        wanted: &[(ProductId, Listing)],
    ) -> Result<(Vec<(Product, Visibility)>, Vec<String>), Failure> {
        let mut by_sale: BTreeMap<&SaleId, (Shards, Vec<ProductId>)> = BTreeMap::new();
        for (product, listing) in wanted {
            by_sale.entry(&listing.sale).or_insert((listing.shards, Vec::new())).1.push(*product);
        }
        let chunks = by_sale.iter().flat_map(|(sale, (shards, ids))| {
            let shards = self.spreads.shards(sale, *shards);
            ids.chunks(CHUNK).map(move |chunk| (Rc::clone(&shards), chunk))
        });
        let calls = chunks.map(|(shards, chunk)| async move { self.sum_rows(&shards, chunk).await });
        let rows: Vec<Rows> = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
        let (mut products, mut left_out) = (Vec::new(), Vec::new());
        for row in rows.into_iter().flatten() {
            match row {
                Ok(product) => products.push(product),
                Err(failure) => left_out.push(failure.to_string()),
            }
        }
        products.sort_by_key(|(product, _)| product.id);
        Ok((products, left_out))
    }
}
