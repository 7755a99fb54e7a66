//! `order`: turns a live hold into a pending order.

use super::{Call, Failure, Op, Store, keys::SaleKeys, unknown_word};
use crate::domain::{ids::HoldId, outcome::OrderOutcome};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the order may exist. The same call then finds it.
    pub async fn order(&self, hold: &HoldId) -> Result<OrderOutcome, Failure> {
        let keys = SaleKeys(hold.sale());
        let call = Call::of(Op::Order).keys(keys.units()).key(keys.hold(hold.key())).key(keys.order(hold.key()));
        let (word, mut reply) = self.runner.call(call.number(self.terms.retention_ms)).await?;
        match word.as_str() {
            "created" => Ok(OrderOutcome::Created(self.read_order(hold, &mut reply)?)),
            "exists" => Ok(OrderOutcome::Exists(self.read_order(hold, &mut reply)?)),
            "hold_expired" => Ok(OrderOutcome::HoldExpired),
            word => Err(unknown_word(Op::Order, word)),
        }
    }
}
