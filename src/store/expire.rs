//! `expire`: logs an `order.expired` event for each pending order that has lapsed. Nothing else depends on it: units of a
//! lapsed order come back by themselves, and its status follows from the time.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, unknown_word};
use crate::domain::ids::SaleId;

impl Store {
    /// How many of these orders have lapsed.
    pub(super) async fn expire(&self, sale: &SaleId, due: &[String]) -> Result<u64, Failure> {
        let keys = SaleKeys(sale);
        let call = ScriptCall::of(Op::Expire).keys(keys.book()).keys(due.iter().map(|order| keys.order(order)));
        let (word, mut reply) = self.runner.call(self.terms.for_book(call)).await?;
        if word == "expired" { reply.count() } else { Err(unknown_word(Op::Expire, &word)) }
    }
}
