//! The directory, which is in a hash slot of its own: all sales, the sale and the SKU of each product, and the product of each
//! SKU.

use super::{
    Failure, Reply, Runner, Store,
    keys::{PRODUCTS, SALES, SKUS, SaleKeys},
    listing::{Entry, Listing, Step},
    record,
};
use crate::domain::{
    ids::{ProductId, SaleId, Shards},
    money::Currency,
    sku::{ProductKey, Sku},
};

/// SKUs that a worker remembers. It asks Redis for the others each time.
const REMEMBERED_MAX: usize = 100_000;
/// Products that one call looks up.
const ASKED_MAX: usize = 1_000;

/// All sales in the order of their names, with the one that keeps unmatched payment events.
pub(super) async fn all_sales(runner: &Runner) -> Result<Vec<SaleId>, Failure> {
    let mut names = Reply::read(runner.plain(redis::cmd("SMEMBERS").arg(SALES)).await?)?;
    let mut sales = vec![SaleId::unmatched()];
    while !names.is_empty() {
        sales.push(names.sale_id()?);
    }
    sales.sort_unstable();
    Ok(sales)
}

impl Store {
    /// The sale, or all sales in the order of their names, with the one that keeps unmatched payment events. Each with all its
    /// shards. `None` when there is no such sale.
    pub(super) async fn sales(&self, one: Option<&SaleId>) -> Result<Option<Vec<SaleId>>, Failure> {
        if let Some(sale) = one {
            let found = self.runner.plain(redis::cmd("SISMEMBER").arg(SALES).arg(sale.as_str())).await?;
            if Reply::one(found).int()? == 0 {
                return Ok((*sale == self.unmatched_sale).then(|| vec![sale.clone()]));
            }
            // How many shards a sale has that is gone, nobody knows.
            let shards = Failure::or_damage(self.shards_of(sale).await, sale)?;
            let mut shards = shards.map_or_else(|| vec![sale.clone()], |shards| shards.to_vec());
            shards.sort_unstable();
            return Ok(Some(shards));
        }
        all_sales(&self.runner).await.map(Some)
    }

    /// Adds the sale, with all its shards.
    pub(super) async fn add_to_sales(&self, sale: &SaleId, shards: Shards) -> Result<(), Failure> {
        let mut add = redis::cmd("SADD");
        add.arg(SALES);
        self.spreads.shards(sale, shards).iter().for_each(|shard| _ = add.arg(shard.as_str()));
        self.runner.plain(&add).await.map(|_| ())
    }

    /// The sale of a product and its shards, which the worker remembers.
    pub(super) async fn sale_of(&self, product: ProductId) -> Result<Option<(SaleId, Shards)>, Failure> {
        if let Some(sale) = self.known_products.sale(product) {
            return Ok(Some(sale));
        }
        Ok(self.listing_of(product).await?.map(|listing| (listing.sale, listing.shards)))
    }

    /// What the directory says of a product, which the worker remembers.
    pub(super) async fn listing_of(&self, product: ProductId) -> Result<Option<Listing>, Failure> {
        if let Some(listing) = self.known_products.listing(product) {
            return Ok(Some(listing));
        }
        // Boxed, so that the many requests that do not come here are small while they wait.
        let found = Box::pin(self.look_up_products(&[product])).await?;
        Ok(found.into_iter().next().map(|(_, listing)| listing))
    }

    /// Those of these products that are in the directory. The worker remembers them.
    pub(super) async fn look_up_products(&self, wanted: &[ProductId]) -> Result<Vec<(ProductId, Listing)>, Failure> {
        let asked = self.known_products.moment();
        let mut found = Vec::new();
        for (product, entry) in self.entries_of(wanted).await? {
            match entry {
                Entry::Product(listing, _) => found.push((product, listing)),
                Entry::Deleted(_) => self.known_products.forget(product),
            }
        }
        self.known_products.remember(&found, asked);
        Ok(found)
    }

    /// The entries of these products, also of deleted ones.
    pub(super) async fn entries_of(&self, wanted: &[ProductId]) -> Result<Vec<(ProductId, Entry)>, Failure> {
        let mut found = Vec::new();
        for some in wanted.chunks(ASKED_MAX) {
            let mut ask = redis::cmd("HMGET");
            ask.arg(PRODUCTS);
            some.iter().for_each(|product| _ = ask.arg(product.get()));
            let mut reply = Reply::read(self.runner.plain_for_hold(&ask).await?)?;
            for product in some {
                let Some(text) = reply.text_or_none()? else { continue };
                let entry = Entry::read(&text).ok_or_else(|| unlisted(&product.to_string(), &text))?;
                found.push((*product, entry));
            }
        }
        Ok(found)
    }

    /// The sale of a product, as the directory has it now.
    pub(super) async fn look_up_sale(&self, product: ProductId) -> Result<Option<SaleId>, Failure> {
        let found = self.look_up_products(&[product]).await?;
        Ok(found.into_iter().next().map(|(_, listing)| listing.sale))
    }

    /// The sale of a product that is not in this one, where the worker remembers it.
    pub(super) async fn sale_instead(
        &self,
        product: ProductId,
        of: &SaleId,
    ) -> Result<Option<(SaleId, Shards)>, Failure> {
        self.known_products.forget(product);
        Ok(self.sale_of(product).await?.filter(|(sale, _)| sale != of))
    }

    /// The product with this SKU, which the worker remembers.
    pub(super) async fn product_of(&self, sku: &Sku) -> Result<Option<ProductId>, Failure> {
        if let Some(product) = self.known_skus.borrow().get(sku) {
            return Ok(Some(*product));
        }
        self.look_up_sku(sku).await
    }

    /// The product that a person names. One that is named by an id may not exist.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn product_named(&self, key: &ProductKey) -> Result<Option<ProductId>, Failure> {
        match key {
            ProductKey::Id(id) => Ok(Some(*id)),
            ProductKey::Sku(sku) => self.look_up_sku(sku).await,
        }
    }

    /// The product with this SKU, as the directory has it now.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn look_up_sku(&self, sku: &Sku) -> Result<Option<ProductId>, Failure> {
        let found = self.runner.plain_for_hold(redis::cmd("HGET").arg(SKUS).arg(sku.as_str())).await?;
        let Some(text) = Reply::one(found).text_or_none()? else {
            self.known_skus.borrow_mut().remove(sku);
            return Ok(None);
        };
        let product = ProductId::parse(&text).ok_or_else(|| unlisted(sku.as_str(), &text))?;
        let mut known = self.known_skus.borrow_mut();
        if known.len() < REMEMBERED_MAX || known.contains_key(sku) {
            known.insert(sku.clone(), product);
        }
        drop(known);
        Ok(Some(product))
    }

    /// The entry of a product as it is now. `None`: there is no such product.
    pub(super) async fn entry_of(&self, product: ProductId) -> Result<Option<(Listing, Step)>, Failure> {
        let found = self.runner.plain(redis::cmd("HGET").arg(PRODUCTS).arg(product.get())).await?;
        let Some(text) = Reply::one(found).text_or_none()? else { return Ok(None) };
        match Entry::read(&text).ok_or_else(|| unlisted(&product.to_string(), &text))? {
            Entry::Product(listing, step) => Ok(Some((listing, step))),
            Entry::Deleted(_) => Ok(None),
        }
    }

    /// What the worker remembers of the product is wrong.
    pub(super) fn forget_product(&self, product: ProductId, sku: Option<&Sku>) {
        self.known_products.forget(product);
        if let Some(sku) = sku {
            self.known_skus.borrow_mut().remove(sku);
        }
    }

    /// All products that were given an id and not deleted, by id.
    pub(super) async fn products(&self) -> Result<Vec<(ProductId, Listing)>, Failure> {
        let asked = self.known_products.moment();
        let all = Reply::read(self.runner.plain(redis::cmd("HGETALL").arg(PRODUCTS)).await?)?;
        let entry = |(product, text): (String, String)| {
            let entry = ProductId::parse(&product).zip(Entry::read(&text));
            Ok(match entry.ok_or_else(|| unlisted(&product, &text))? {
                (id, Entry::Product(listing, _)) => Some((id, listing)),
                (_, Entry::Deleted(_)) => None,
            })
        };
        let listed = all.fields()?.into_iter().filter_map(|pair| entry(pair).transpose());
        let listed = listed.collect::<Result<Vec<_>, Failure>>()?;
        self.known_products.remember(&listed, asked);
        let mut products = listed;
        products.sort_unstable_by_key(|(product, _)| *product);
        Ok(products)
    }

    /// The currency of all products of the sale. It never changes. `None` when the sale has no product yet.
    pub(super) async fn currency_of(&self, sale: &SaleId) -> Result<Option<Currency>, Failure> {
        let found = self.runner.plain(redis::cmd("HGET").arg(SaleKeys(sale).sale()).arg("currency")).await?;
        Reply::one(found).text_or_none()?.map(|code| record::currency(&code)).transpose()
    }
}

fn unlisted(name: &str, text: &str) -> Failure {
    Failure::unreadable(format!("{name} in {text:?} in the directory of products"))
}
