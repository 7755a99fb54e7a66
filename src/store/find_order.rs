//! `find_order`: an order as it is now.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, unknown_word};
use crate::domain::{ids::OrderId, outcome::FindOrderOutcome};

impl Store {
    /// # Errors
    /// [`Failure`].
    pub async fn find_order(&self, id: &OrderId) -> Result<FindOrderOutcome, Failure> {
        let keys = SaleKeys(id.sale());
        let call = ScriptCall::of(Op::FindOrder).key(keys.sale()).key(keys.order(id.key()));
        let (word, mut reply) = self.runner.call(call).await?;
        match word.as_str() {
            "found" => Ok(FindOrderOutcome::Found(self.read_order(&self.ids().hold_of(id), &mut reply).await?)),
            "order_not_found" => Ok(FindOrderOutcome::OrderNotFound),
            word => Err(unknown_word(Op::FindOrder, word)),
        }
    }
}
