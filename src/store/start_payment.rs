//! `start_payment`: moves the deadline of an order once, because its buyer has begun to pay.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, unknown_word};
use crate::domain::{ids::OrderId, outcome::StartPaymentOutcome};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the payment may have started. The same call then answers that.
    pub async fn start_payment(&self, order: &OrderId) -> Result<StartPaymentOutcome, Failure> {
        let keys = SaleKeys(order.sale());
        let call = self.terms.for_book(ScriptCall::of(Op::StartPayment).keys(keys.book()).key(keys.order(order.key())));
        let (word, mut reply) = self.runner.call(call).await?;
        let hold = self.ids().hold_of(order);
        match word.as_str() {
            "started" => Ok(StartPaymentOutcome::Started(self.read_order(&hold, &mut reply).await?)),
            "already_started" => Ok(StartPaymentOutcome::AlreadyStarted(self.read_order(&hold, &mut reply).await?)),
            "order_not_pending" => Ok(StartPaymentOutcome::OrderNotPending(self.read_order(&hold, &mut reply).await?)),
            "order_not_found" => Ok(StartPaymentOutcome::OrderNotFound),
            word => Err(unknown_word(Op::StartPayment, word)),
        }
    }
}
