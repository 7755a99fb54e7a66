//! `cancel`: cancels an order that is not paid, or that costs nothing.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, unknown_word};
use crate::domain::{act::Act, ids::OrderId, order::CancelledBy, outcome::CancelOutcome};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the order may be cancelled. The same call then answers that.
    pub async fn cancel(&self, order: &OrderId, by: CancelledBy, act: &Act) -> Result<CancelOutcome, Failure> {
        let keys = SaleKeys(order.sale());
        let call = ScriptCall::of(Op::Cancel).keys(keys.book()).keys(keys.reviews()).key(keys.order(order.key()));
        let (word, mut reply) = self.runner.call(self.terms.for_act(call, act).arg(by.as_str())).await?;
        let hold = self.ids().hold_of(order);
        match word.as_str() {
            "cancelled" => Ok(CancelOutcome::Cancelled(self.read_order(&hold, &mut reply).await?)),
            "already_cancelled" => Ok(CancelOutcome::AlreadyCancelled(self.read_order(&hold, &mut reply).await?)),
            "order_not_cancellable" => {
                Ok(CancelOutcome::OrderNotCancellable(self.read_order(&hold, &mut reply).await?))
            }
            "order_not_found" => Ok(CancelOutcome::OrderNotFound),
            word => Err(unknown_word(Op::Cancel, word)),
        }
    }
}
