//! `read_orders`: the orders of one page of a list.

use super::{Failure, Op, Reply, ScriptCall, Store, keys::SaleKeys, record::order::order_if_any, unknown_word};
use crate::domain::{cursor::ListCursor, ids::SaleId, order::Order};

impl Store {
    /// An order for each cursor, as it is now. `None` for one whose record is no longer kept.
    pub(super) async fn read_orders(
        &self,
        sale: &SaleId,
        cursors: &[ListCursor],
    ) -> Result<Vec<Option<Order>>, Failure> {
        if cursors.is_empty() {
            return Ok(Vec::new());
        }
        let mut reply = self.order_records(sale, cursors).await?;
        let now_ms = reply.int()?;
        let read = |cursor: &ListCursor| {
            let hold = self.ids().hold(sale, &cursor.key);
            order_if_any(self.ids(), &hold, now_ms, &reply.text()?)
        };
        self.with_skus(cursors.iter().map(read).collect::<Result<Vec<_>, _>>()?).await
    }

    /// When they were read, and then the record of each.
    pub(super) async fn order_records(&self, sale: &SaleId, cursors: &[ListCursor]) -> Result<Reply, Failure> {
        let keys = SaleKeys(sale);
        let orders = cursors.iter().map(|cursor| keys.order(&cursor.key));
        let (word, reply) = self.runner.call(ScriptCall::of(Op::ReadOrders).key(keys.sale()).keys(orders)).await?;
        if word == "orders" { Ok(reply) } else { Err(unknown_word(Op::ReadOrders, &word)) }
    }
}
