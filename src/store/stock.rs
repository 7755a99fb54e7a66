//! `stock`: the units of products, exact at the instant of the answer.

use std::rc::Rc;

use super::{
    Failure, Op, Reply, ScriptCall, Store,
    batch::Work,
    keys::SaleKeys,
    listing::Listing,
    record::{product::ProductHead, rules::Rules},
    redis::slot,
    unknown_word,
};
use crate::domain::{
    ids::{ProductId, SaleId},
    outcome::StockOutcome,
    product::Product,
    sku::Sku,
    visibility::{Audience, Visibility},
};

/// The products of a reply that exist, and who sees each. Some of them may be unreadable.
pub(super) type Rows = Vec<Result<(Product, Visibility), Failure>>;

/// The same of one product, for all who read it. `None`: it does not exist.
pub(super) type Found = Option<(Rc<Product>, Visibility)>;

impl Store {
    /// # Errors
    /// [`Failure`].
    pub async fn stock(&self, product: ProductId, audience: Audience) -> Result<StockOutcome, Failure> {
        Ok(outcome(self.found(product).await?, audience))
    }

    /// # Errors
    /// [`Failure`].
    pub async fn stock_of_sku(&self, sku: &Sku, audience: Audience) -> Result<StockOutcome, Failure> {
        let Some(product) = self.product_of(sku).await? else { return Ok(StockOutcome::ProductNotFound) };
        let found = self.found(product).await?;
        if found.is_some() {
            return Ok(outcome(found, audience));
        }
        match self.look_up_sku(sku).await?.filter(|newer| *newer != product) {
            Some(newer) => self.stock(newer, audience).await,
            None => Ok(StockOutcome::ProductNotFound),
        }
    }

    /// Looks where the product is now, if the worker remembered a sale of before.
    async fn found(&self, product: ProductId) -> Result<Found, Failure> {
        let Some(listing) = self.listing_of(product).await? else { return Ok(None) };
        let sale = listing.sale.clone();
        let found = self.found_in(product, listing).await?;
        if found.is_some() || self.sale_instead(product, &sale).await?.is_none() {
            return Ok(found);
        }
        let Some(listing) = self.listing_of(product).await? else { return Ok(None) };
        self.found_in(product, listing).await
    }

    async fn found_in(&self, product: ProductId, Listing { sale, shards, sku }: Listing) -> Result<Found, Failure> {
        if shards.are_several() {
            return Box::pin(self.sum_found(&self.spreads.shards(&sale, shards), product, sku)).await;
        }
        self.stocks.submit(&(sale, product), sku).await
    }

    /// If the sale itself is unreadable or gone, that is the only row.
    pub(super) async fn stock_of(&self, sale: &SaleId, products: &[ProductId]) -> Result<Rows, Failure> {
        let (word, reply) = match self.runner.call(stock_call(sale, products)).await {
            Err(lost @ Failure::Lost(_)) => return Ok(vec![Err(lost)]),
            called => called?,
        };
        match read_rows(sale, products, &word, reply) {
            Err(unreadable @ Failure::Unreadable(_)) => Ok(vec![Err(unreadable)]),
            rows => rows,
        }
    }
}

/// Reads one product for all who wait for it. The call starts after they asked, so their answer was true at an instant in
/// between.
pub(super) struct Stocks;

impl Work for Stocks {
    type Key = (SaleId, ProductId);
    /// The SKU of the product, the same for all.
    type Item = Option<Sku>;
    type Answer = Found;
    const OP: Op = Op::Stock;
    const BATCH_MAX: usize = usize::MAX;

    fn slot((sale, _product): &Self::Key) -> u16 {
        slot::of_sale(sale)
    }

    fn call(&self, (sale, product): &Self::Key, _readers: &[Option<Sku>]) -> ScriptCall {
        stock_call(sale, &[*product])
    }

    fn read(
        &self,
        (sale, product): &Self::Key,
        mut readers: Vec<Option<Sku>>,
        word: &str,
        reply: Reply,
    ) -> Result<Vec<Found>, Failure> {
        let count = readers.len();
        let sku = readers.pop().flatten();
        let found = read_rows(sale, &[*product], word, reply)?.pop().transpose()?;
        let found = found.map(|(product, seen)| (Rc::new(Product { sku, ..product }), seen));
        Ok(vec![found; count])
    }
}

fn outcome(found: Found, audience: Audience) -> StockOutcome {
    match found {
        Some((product, seen)) if audience.sees(seen) => StockOutcome::Stock(product),
        _ => StockOutcome::ProductNotFound,
    }
}

fn stock_call(sale: &SaleId, products: &[ProductId]) -> ScriptCall {
    let keys = SaleKeys(sale);
    let call = ScriptCall::of(Op::Stock).keys(keys.units()).keys(products.iter().map(|id| keys.product(*id)));
    products.iter().fold(call, |call, id| call.number(id.get()))
}

fn read_rows(sale: &SaleId, products: &[ProductId], word: &str, mut reply: Reply) -> Result<Rows, Failure> {
    if word != "stock" {
        return Err(unknown_word(Op::Stock, word));
    }
    let of_sale = |failure: Failure| failure.about(format!("sale {sale}"));
    let head = ProductHead::read(&mut reply).map_err(of_sale)?;
    let sale_visibility = Rules::read(&reply.text()?).visibility().map_err(of_sale)?;
    let mut found = Vec::new();
    for product in products {
        let row = reply.list()?;
        if !row.is_empty() {
            let read = head.product(sale, row).map(|product| {
                let seen = product.seen_in(sale_visibility);
                (product, seen)
            });
            found.push(read.map_err(|failure| failure.about(format!("product {} of sale {sale}", product.get()))));
        }
    }
    Ok(found)
}
