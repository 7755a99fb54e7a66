//! `read_orders`: the orders of one page of a list.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, record::order::order_if_any, reply::Fields, unknown_word};
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
        let keys = SaleKeys(sale);
        let orders = cursors.iter().map(|cursor| keys.order(&cursor.key));
        let (word, mut reply) = self.runner.call(ScriptCall::of(Op::ReadOrders).key(keys.sale()).keys(orders)).await?;
        if word != "orders" {
            return Err(unknown_word(Op::ReadOrders, &word));
        }
        let now_ms = reply.int()?;
        let read = |cursor: &ListCursor| {
            let hold = self.ids().hold(sale, &cursor.key);
            order_if_any(self.ids(), &hold, now_ms, &Fields::from_lines(&reply.text()?)?)
        };
        self.with_skus(cursors.iter().map(read).collect::<Result<Vec<_>, _>>()?).await
    }
}
