//! The directory, which is in a hash slot of its own: all sales, and the sale of each product.

use redis::Value;

use super::{
    Failure, Reply, Store,
    keys::{PRODUCTS, SALES, SaleKeys},
    record,
};
use crate::domain::{
    ids::{ProductId, SaleId},
    money::Currency,
};

/// Products whose sale a worker remembers. It asks Redis for the others each time.
const REMEMBERED_MAX: usize = 100_000;

impl Store {
    /// The sale, or all sales in the order of their names, with the one that keeps unmatched payment events. `None` when
    /// there is no such sale.
    pub(super) async fn sales(&self, one: Option<&SaleId>) -> Result<Option<Vec<SaleId>>, Failure> {
        if let Some(sale) = one {
            let found = self.runner.plain(redis::cmd("SISMEMBER").arg(SALES).arg(sale.as_str())).await?;
            let exists = Reply::one(found).int()? == 1 || *sale == self.unmatched_sale;
            return Ok(exists.then(|| vec![sale.clone()]));
        }
        let mut names = Reply::read(self.runner.plain(redis::cmd("SMEMBERS").arg(SALES)).await?)?;
        let mut sales = vec![self.unmatched_sale.clone()];
        while !names.is_empty() {
            sales.push(names.sale_id()?);
        }
        sales.sort_unstable();
        Ok(Some(sales))
    }

    pub(super) async fn add_to_sales(&self, sale: &SaleId) -> Result<(), Failure> {
        self.runner.plain(redis::cmd("SADD").arg(SALES).arg(sale.as_str())).await.map(|_| ())
    }

    /// The sale of a product. It never changes, so the worker remembers it.
    pub(super) async fn sale_of(&self, product: ProductId) -> Result<Option<SaleId>, Failure> {
        if let Some(sale) = self.known_sales.borrow().get(&product) {
            return Ok(Some(sale.clone()));
        }
        // Boxed, so that the many requests that do not come here are small while they wait.
        Box::pin(self.look_up_sale(product)).await
    }

    /// The sale of a product as Redis has it now.
    pub(super) async fn look_up_sale(&self, product: ProductId) -> Result<Option<SaleId>, Failure> {
        let found = self.runner.plain(redis::cmd("HGET").arg(PRODUCTS).arg(product.get())).await?;
        if found == Value::Nil {
            return Ok(None);
        }
        let sale = Reply::one(found).sale_id()?;
        let mut known = self.known_sales.borrow_mut();
        if known.len() < REMEMBERED_MAX {
            known.insert(product, sale.clone());
        }
        Ok(Some(sale))
    }

    /// All products that were ever given an id, by id.
    pub(super) async fn products(&self) -> Result<Vec<(ProductId, SaleId)>, Failure> {
        let all = Reply::read(self.runner.plain(redis::cmd("HGETALL").arg(PRODUCTS)).await?)?;
        let entry = |(product, sale): (String, String)| {
            let entry = ProductId::parse(&product).zip(SaleId::parse(&sale));
            entry.ok_or_else(|| Failure::unreadable(format!("{product} in {sale:?} in the directory of products")))
        };
        let mut products = all.fields()?.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        products.sort_unstable();
        Ok(products)
    }

    /// The currency of all products of the sale. It never changes. `None` when the sale has no product yet.
    pub(super) async fn currency_of(&self, sale: &SaleId) -> Result<Option<Currency>, Failure> {
        let found = self.runner.plain(redis::cmd("HGET").arg(SaleKeys(sale).sale()).arg("currency")).await?;
        Reply::one(found).text_or_none()?.map(|code| record::currency(&code)).transpose()
    }
}
