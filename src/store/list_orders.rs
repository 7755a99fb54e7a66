//! `list_orders` and `read_orders`: orders page by page, of one sale or of all. Sales by name, within a sale by the time when an
//! order was made; what is made meanwhile makes no other order come twice or not at all.

use super::{Call, Failure, Op, Store, keys::SaleKeys, record, unknown_word};
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
        let Some(sales) = self.sales(sale).await? else { return Ok(ListOrdersOutcome::SaleNotFound) };
        let (mut orders, mut looked_at) = (Vec::new(), 0);
        for sale in sales.iter().filter(|sale| after.is_none_or(|after| **sale >= after.sale)) {
            let mut last = after.filter(|after| after.sale == *sale).cloned();
            loop {
                let page = self.orders_of(sale, last.as_ref(), READ_MAX).await?;
                let is_last = page.len() < READ_MAX;
                for (cursor, order) in page {
                    looked_at += 1;
                    orders.extend(order.filter(|order| status.is_none_or(|status| order.status == status)));
                    if orders.len() == limit || looked_at == LOOKED_AT_MAX {
                        return Ok(ListOrdersOutcome::Orders { orders, next: Some(cursor) });
                    }
                    last = Some(cursor);
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(ListOrdersOutcome::Orders { orders, next: None })
    }

    /// Orders of one sale with their places; `None` for one whose record is no longer kept.
    pub(super) async fn orders_of(
        &self,
        sale: &SaleId,
        after: Option<&ListCursor>,
        most: usize,
    ) -> Result<Vec<(ListCursor, Option<Order>)>, Failure> {
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
