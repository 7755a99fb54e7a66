//! `find_customer`: what counts for a customer, in one sale or in all, and which of the latest orders are theirs.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Failure, Op, Reply, ScriptCall, Store, audit::bucket, keys::SaleKeys, spread::shard_of, unknown_word};
use crate::domain::{
    cursor::ListCursor,
    customer::{Counted, Customer, SaleCustomer},
    ids::{ProductId, SaleId},
    order::Order,
    outcome::{FindCustomerOutcome, FindSaleOutcome},
    sale::Sale,
    text::CustomerId,
};

/// Sales that one request looks into.
const SALES_MAX: usize = 1_000;
/// Sales that are read at the same time.
const CALLS_AT_ONCE: usize = 16;
/// The latest orders that one request examines, of all sales together.
const EXAMINED_MAX: usize = 1_000;
/// Orders that one call reads.
const READ_MAX: usize = 100;
/// Products that one call reads.
const PRODUCTS_MAX: usize = 64;
/// Orders that an answer has at most.
const ORDERS_MAX: usize = 50;

impl Store {
    /// # Errors
    /// [`Failure`].
    pub async fn find_customer(
        &self,
        customer: &CustomerId,
        sale: Option<&SaleId>,
    ) -> Result<FindCustomerOutcome, Failure> {
        let Some(all) = self.sales(sale).await? else { return Ok(FindCustomerOutcome::SaleNotFound) };
        let ids = self.shards_for(customer, all).await?;
        if ids.len() > SALES_MAX {
            return Ok(FindCustomerOutcome::TooManySales { sales: ids.len() });
        }
        // A sale that was asked for is answered though nothing counts there.
        let calls = ids.iter().map(|id| self.customer_of(id, customer, sale.is_some()));
        let found: Vec<_> = stream::iter(calls).buffered(CALLS_AT_ONCE).try_collect().await?;
        let latest = (EXAMINED_MAX / ids.len().max(1)).max(1);
        let calls = ids.iter().map(|id| self.latest_orders(id, customer, latest));
        let pages: Vec<_> = stream::iter(calls).buffered(CALLS_AT_ONCE).try_collect().await?;
        let mut answer = Customer {
            sales: found.into_iter().flatten().collect(),
            orders: Vec::new(),
            orders_examined: 0,
            has_older: false,
        };
        for (orders, examined) in pages {
            answer.orders.extend(orders);
            answer.orders_examined += examined as u64;
            answer.has_older |= examined == latest;
        }
        answer.orders.sort_by_key(|order| std::cmp::Reverse(order.created_ms));
        answer.has_older |= answer.orders.len() > ORDERS_MAX;
        answer.orders.truncate(ORDERS_MAX);
        Ok(FindCustomerOutcome::Found(answer))
    }

    /// The shard of the customer in each sale, by the names of the sales.
    async fn shards_for(&self, customer: &CustomerId, all: Vec<SaleId>) -> Result<Vec<SaleId>, Failure> {
        let mut is_spread: BTreeMap<SaleId, bool> = BTreeMap::new();
        for shard in all {
            *is_spread.entry(shard.whole()).or_default() |= shard.is_shard();
        }
        let one = async |(sale, is_spread): (SaleId, bool)| {
            if !is_spread {
                return Ok(sale);
            }
            let shards = self.shards_of(&sale).await?;
            Ok(shard_of(&shards, customer.as_str()).clone())
        };
        stream::iter(is_spread).map(one).buffered(CALLS_AT_ONCE).try_collect().await
    }

    async fn customer_of(
        &self,
        sale: &SaleId,
        customer: &CustomerId,
        is_wanted: bool,
    ) -> Result<Option<SaleCustomer>, Failure> {
        let call = ScriptCall::of(Op::FindCustomer).keys(SaleKeys(sale).holding()).arg(customer.as_str());
        let (word, mut reply) = self.runner.call(call).await?;
        let counted = match word.as_str() {
            "found" => read_counted(&mut reply)?,
            "customer_not_found" if is_wanted => Counted { now_ms: reply.int()?, ..Counted::default() },
            "customer_not_found" => return Ok(None),
            word => return Err(unknown_word(Op::FindCustomer, word)),
        };
        // The one that keeps unmatched payment events has no terms.
        let FindSaleOutcome::Found(terms) = self.find_sale(sale).await? else { return Ok(None) };
        let terms = Sale { id: sale.whole(), ..terms };
        let ids: Vec<ProductId> = counted.products().into_iter().collect();
        let mut products = Vec::new();
        for some in ids.chunks(PRODUCTS_MAX) {
            for product in self.stock_of(sale, some).await? {
                products.push(product?.0);
            }
        }
        Ok(Some(SaleCustomer { sale: terms, counted, products }))
    }

    /// Those of the customer among so many latest orders of a sale, and how many were examined.
    async fn latest_orders(
        &self,
        sale: &SaleId,
        customer: &CustomerId,
        latest: usize,
    ) -> Result<(Vec<Order>, usize), Failure> {
        let mut range = redis::cmd("ZRANGE");
        range.arg(SaleKeys(sale).orders()).arg(0).arg(latest - 1).arg("REV").arg("WITHSCORES");
        let mut reply = Reply::read(self.runner.plain(&range).await?)?;
        let mut places = Vec::new();
        while !reply.is_empty() {
            let (key, ms) = (reply.text()?, reply.int()?);
            places.push(ListCursor { sale: sale.clone(), ms, key });
        }
        let mut orders = Vec::new();
        for some in places.chunks(READ_MAX) {
            let read = self.read_orders(sale, some).await?.into_iter().flatten();
            orders.extend(read.filter(|order| order.customer.as_ref() == Some(customer)));
        }
        Ok((orders, places.len()))
    }
}

fn read_counted(reply: &mut Reply) -> Result<Counted, Failure> {
    let unreadable = || Failure::unreadable("the units of a customer");
    let mut counted = Counted {
        now_ms: reply.int()?,
        abandoned: reply.count()?,
        abandoned_ms: reply.instant_or_none()?,
        ..Counted::default()
    };
    let (mut due_back, mut bought) = (reply.list()?, reply.list()?);
    while !due_back.is_empty() {
        let name = due_back.text()?;
        counted.due_back.insert(bucket(&name).ok_or_else(unreadable)?, due_back.count()?);
    }
    while !bought.is_empty() {
        let product = ProductId::parse(&bought.text()?).ok_or_else(unreadable)?;
        counted.bought.insert(product, bought.count()?);
    }
    Ok(counted)
}
