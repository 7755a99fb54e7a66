//! `list_orders`: orders page by page, of one sale or of all: sales by name, and the orders of a sale by the time when they
//! were made. Orders that are made meanwhile make no other order come twice or not at all. `read_orders` reads their
//! records.

use std::collections::VecDeque;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Failure, Op, Reply, ScriptCall, Store, keys::SaleKeys, payment_directory::ORDERS_MAX, unknown_word};
use crate::domain::{
    cursor::ListCursor,
    ids::SaleId,
    order::Order,
    order_filter::{OrderFilter, Period},
    outcome::ListOrdersOutcome,
};

/// Orders that one call lists.
pub(super) const LIST_MAX: usize = 100;
/// Orders that one page examines. A page of what is rare may be short or empty, and the next page goes on behind it.
const EXAMINED_MAX: usize = 1_000;
/// Looks into indexes that one page takes. Many sales may have no order that could be wanted.
const LOOKS_MAX: usize = 100;
/// Sales whose orders are counted at the same time.
const CALLS_AT_ONCE: usize = 16;

/// The state of a walk through orders: the names of the sales that are still to come, and no orders.
pub struct OrderWalk {
    sales: VecDeque<SaleId>,
    /// The place where the walk is, in the first of these sales or in the one before.
    last: Option<ListCursor>,
    /// Orders of another time are passed over, and not read.
    period: Period,
}

impl OrderWalk {
    #[must_use]
    pub fn within(self, period: Period) -> Self {
        Self { period, ..self }
    }
}

/// An order with its cursor. `None` for one whose record is no longer kept.
type ListedOrder = (ListCursor, Option<Order>);

impl Store {
    /// At most `limit` wanted orders behind the cursor. `next` is set while there may be more.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list_orders(
        &self,
        wanted: &OrderFilter,
        after: Option<&ListCursor>,
        limit: usize,
    ) -> Result<ListOrdersOutcome, Failure> {
        let mut sale = wanted.sale.clone();
        if let Some(product) = wanted.product {
            let Some(of) = self.look_up_sale(product).await? else { return Ok(ListOrdersOutcome::ProductNotFound) };
            if sale.as_ref().is_some_and(|sale| *sale != of) {
                return Ok(orders(Vec::new()));
            }
            sale = Some(of);
        }
        if let Some(payment) = &wanted.payment {
            // Where the directory may know more, or a page is too short, they are looked for like anything else.
            let mut found = self.orders_of_payment(payment).await?;
            if found.len() < ORDERS_MAX && found.len() <= limit {
                found.retain(|order| wanted.accepts(order));
                return Ok(orders(found));
            }
        }
        let Some(walk) = self.walk_orders(sale.as_ref(), after).await? else {
            return Ok(ListOrdersOutcome::SaleNotFound);
        };
        self.search(walk.within(wanted.period), wanted, limit).await
    }

    async fn search(
        &self,
        mut walk: OrderWalk,
        wanted: &OrderFilter,
        limit: usize,
    ) -> Result<ListOrdersOutcome, Failure> {
        let (mut found, mut examined) = (Vec::new(), 0);
        for _ in 0..LOOKS_MAX {
            let Some(page) = self.look(&mut walk).await? else { return Ok(orders(found)) };
            for (cursor, order) in page {
                examined += 1;
                found.extend(order.filter(|order| wanted.accepts(order)));
                if found.len() == limit || examined == EXAMINED_MAX {
                    return Ok(ListOrdersOutcome::Orders { orders: found, next: Some(cursor) });
                }
            }
        }
        let next = walk.last.filter(|_| !walk.sales.is_empty());
        Ok(ListOrdersOutcome::Orders { orders: found, next })
    }

    /// Begins a walk through all orders behind the cursor, of one sale or of the sales that exist now. `None` when there is
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
        Ok(Some(OrderWalk { sales: sales.into(), last: after.cloned(), period: Period::default() }))
    }

    /// The orders of the next page, 100 at most, each as it is now. `None` at the end.
    ///
    /// # Errors
    /// [`Failure`]; the same call goes on where the walk was.
    pub async fn next_orders(&self, walk: &mut OrderWalk) -> Result<Option<Vec<Order>>, Failure> {
        let page = self.next_page(walk).await?;
        Ok(page.map(|page| page.into_iter().filter_map(|(_, order)| order).collect()))
    }

    /// The number of orders of a walk that begins. A few of them may have lost their records, and more may come.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn count_orders(&self, walk: &OrderWalk) -> Result<u64, Failure> {
        let Period { since_ms, until_ms } = walk.period;
        let since = since_ms.map_or("-inf".to_owned(), |ms| ms.to_string());
        let until = until_ms.map_or("+inf".to_owned(), |ms| format!("({ms}"));
        let count = async |sale: &SaleId| {
            let mut count = redis::cmd("ZCOUNT");
            count.arg(SaleKeys(sale).orders()).arg(&since).arg(&until);
            Reply::one(self.runner.plain(&count).await?).count()
        };
        let counts = stream::iter(walk.sales.iter().map(count)).buffered(CALLS_AT_ONCE);
        counts.try_fold(0, async |total, count| Ok(total + count)).await
    }

    async fn next_page(&self, walk: &mut OrderWalk) -> Result<Option<Vec<ListedOrder>>, Failure> {
        loop {
            let page = self.look(walk).await?;
            if page.as_ref().is_none_or(|page| !page.is_empty()) {
                return Ok(page);
            }
        }
    }

    /// The next orders of the first sale of the walk, perhaps none. `None` when no sale is left.
    async fn look(&self, walk: &mut OrderWalk) -> Result<Option<Vec<ListedOrder>>, Failure> {
        let Some(sale) = walk.sales.front() else { return Ok(None) };
        let last = walk.last.as_ref().filter(|last| last.sale == *sale);
        let page = self.orders_of(sale, last, walk.period).await?;
        walk.last = Some(page.last().map_or_else(|| ListCursor::end_of(sale), |(cursor, _)| cursor.clone()));
        if page.len() < LIST_MAX {
            walk.sales.pop_front();
        }
        Ok(Some(page))
    }

    async fn orders_of(
        &self,
        sale: &SaleId,
        last: Option<&ListCursor>,
        period: Period,
    ) -> Result<Vec<ListedOrder>, Failure> {
        let cursors = self.order_places(sale, last, period).await?;
        let orders = self.read_orders(sale, &cursors).await?;
        Ok(cursors.into_iter().zip(orders).collect())
    }

    /// The orders of a page, by the time when they were made: fewer than [`LIST_MAX`] only at the end.
    pub(super) async fn order_places(
        &self,
        sale: &SaleId,
        last: Option<&ListCursor>,
        period: Period,
    ) -> Result<Vec<ListCursor>, Failure> {
        let first = period.since_ms.map(|ms| ListCursor { sale: sale.clone(), ms, key: String::new() });
        let after = [last, first.as_ref()].into_iter().flatten().max_by_key(|place| (place.ms, place.key.as_str()));
        let call = ScriptCall::of(Op::ListOrders).key(SaleKeys(sale).orders()).after(after).number(LIST_MAX as u64);
        let (word, mut reply) = self.runner.call(call).await?;
        if word != "orders" {
            return Err(unknown_word(Op::ListOrders, &word));
        }
        let mut cursors = Vec::new();
        while !reply.is_empty() {
            let (key, ms) = (reply.text()?, reply.int()?);
            cursors.push(ListCursor { sale: sale.clone(), ms, key });
        }
        cursors.retain(|cursor| !period.is_over_at(cursor.ms));
        Ok(cursors)
    }
}

fn orders(orders: Vec<Order>) -> ListOrdersOutcome {
    ListOrdersOutcome::Orders { orders, next: None }
}
