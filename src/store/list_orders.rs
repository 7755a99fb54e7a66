//! `list_orders` and `read_orders`: orders page by page, of one sale or of all. Sales by name, within a sale by the time when an
//! order was made; what is made meanwhile makes no other order come twice or not at all.

use std::collections::VecDeque;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Call, Failure, Op, Store, keys::SaleKeys, record, reply::Reply, unknown_word};
use crate::domain::{
    cursor::ListCursor,
    ids::SaleId,
    order::{Order, OrderStatus},
    outcome::ListOrdersOutcome,
};

/// Orders that one call reads.
const READ_MAX: usize = 100;
/// Orders that one page looks at: with a rare status it may be found short, and goes on with the next.
const LOOKED_AT_MAX: usize = 1_000;
/// Sales whose orders are counted at the same time.
const CALLS_AT_ONCE: usize = 16;

/// Where a walk through orders is. It holds the names of the sales that are still to come, and no orders.
pub struct OrderWalk {
    sales: VecDeque<SaleId>,
    /// The last order that was told, of the first of these sales.
    last: Option<ListCursor>,
}

/// An order with its place in the list; `None` for one whose record is no longer kept.
type Place = (ListCursor, Option<Order>);

impl Store {
    /// At most `limit` orders behind the cursor, all of them or those of one status. `next` is there while there may be more.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list_orders(
        &self,
        status: Option<OrderStatus>,
        sale: Option<&SaleId>,
        after: Option<&ListCursor>,
        limit: usize,
    ) -> Result<ListOrdersOutcome, Failure> {
        let Some(mut walk) = self.walk_orders(sale, after).await? else { return Ok(ListOrdersOutcome::SaleNotFound) };
        let (mut orders, mut looked_at) = (Vec::new(), 0);
        while let Some(page) = self.next_places(&mut walk).await? {
            for (cursor, order) in page {
                looked_at += 1;
                orders.extend(order.filter(|order| status.is_none_or(|status| order.status == status)));
                if orders.len() == limit || looked_at == LOOKED_AT_MAX {
                    return Ok(ListOrdersOutcome::Orders { orders, next: Some(cursor) });
                }
            }
        }
        Ok(ListOrdersOutcome::Orders { orders, next: None })
    }

    /// Begins to walk through all orders behind the cursor, of one sale or of the sales that there are now; `None` when there is
    /// no such sale.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn walk_orders(
        &self,
        sale: Option<&SaleId>,
        after: Option<&ListCursor>,
    ) -> Result<Option<OrderWalk>, Failure> {
        let Some(mut sales) = self.sales(sale).await? else { return Ok(None) };
        sales.retain(|sale| after.is_none_or(|after| *sale >= after.sale));
        Ok(Some(OrderWalk { sales: sales.into(), last: after.cloned() }))
    }

    /// The orders of the next page, 100 at most, each as it stands now; `None` at the end.
    ///
    /// # Errors
    /// [`Failure`]; the walk goes on where it was.
    pub async fn next_orders(&self, walk: &mut OrderWalk) -> Result<Option<Vec<Order>>, Failure> {
        let page = self.next_places(walk).await?;
        Ok(page.map(|page| page.into_iter().filter_map(|(_, order)| order).collect()))
    }

    /// How many orders lie before a walk that begins. A few of them may have lost their records, and more may come.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn count_orders(&self, walk: &OrderWalk) -> Result<u64, Failure> {
        let count = async |sale: &SaleId| {
            let found = self.runner.plain(redis::cmd("ZCARD").arg(SaleKeys(sale).orders())).await?;
            Reply::one(found).count()
        };
        let counts = stream::iter(walk.sales.iter().map(count)).buffered(CALLS_AT_ONCE);
        counts.try_fold(0, async |total, count| Ok(total + count)).await
    }

    async fn next_places(&self, walk: &mut OrderWalk) -> Result<Option<Vec<Place>>, Failure> {
        while let Some(sale) = walk.sales.front() {
            let last = walk.last.as_ref().filter(|last| last.sale == *sale);
            let page = self.orders_of(sale, last, READ_MAX).await?;
            walk.last = page.last().map(|(cursor, _)| cursor.clone());
            if page.len() < READ_MAX {
                walk.sales.pop_front();
            }
            if !page.is_empty() {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    /// Orders of one sale with their places.
    pub(super) async fn orders_of(
        &self,
        sale: &SaleId,
        after: Option<&ListCursor>,
        most: usize,
    ) -> Result<Vec<Place>, Failure> {
        let call = Call::of(Op::ListOrders).key(SaleKeys(sale).orders());
        let call = call.arg(after.map_or(0, |after| after.ms).to_string()).arg(after.map_or("", |after| &after.key));
        let (word, mut reply) = self.runner.call(call.number(most as u64)).await?;
        if word != "orders" {
            return Err(unknown_word(Op::ListOrders, &word));
        }
        let mut places = Vec::new();
        while !reply.is_empty() {
            let (key, ms) = (reply.text()?, reply.int()?);
            places.push(ListCursor { sale: sale.clone(), ms, key });
        }
        let orders = self.read_orders(sale, &places).await?;
        Ok(places.into_iter().zip(orders).collect())
    }

    async fn read_orders(&self, sale: &SaleId, places: &[ListCursor]) -> Result<Vec<Option<Order>>, Failure> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let keys = SaleKeys(sale);
        let call = Call::of(Op::ReadOrders).key(keys.sale()).keys(places.iter().map(|place| keys.order(&place.key)));
        let (word, mut reply) = self.runner.call(call).await?;
        if word != "orders" {
            return Err(unknown_word(Op::ReadOrders, &word));
        }
        let now_ms = reply.int()?;
        let read = |place: &ListCursor| {
            let hold = self.ids().hold(sale, &place.key);
            record::order_if_any(self.ids(), &hold, now_ms, &reply.list()?.fields()?)
        };
        places.iter().map(read).collect()
    }
}
