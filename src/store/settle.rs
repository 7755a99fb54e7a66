//! `settle`: what a payment event does.

use super::{
    Call, Failure, Op, Store,
    keys::{SaleKeys, UNMATCHED},
    once::{self, Use},
    unknown_word,
};
use crate::domain::{
    ids::HoldId,
    outcome::SettleOutcome,
    payment::{PaymentEvent, Target},
};

/// Of an id that is not ours only so much is kept.
const TARGET_CHARS_MAX: usize = 200;

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the event may be settled. The same event then answers `Duplicate`.
    pub async fn settle(&self, event: &PaymentEvent) -> Result<SettleOutcome, Failure> {
        let Some(hold) = self.hold_of_target(&event.target) else { return self.keep_unmatched(event).await };
        let (word, mut reply) = self.runner.call(self.settle_call(&hold, event)).await?;
        if word == "idempotency_key_reused" {
            return Ok(SettleOutcome::IdempotencyKeyReused);
        }
        let order = self.read_order_if_any(&hold, &mut reply)?;
        match word.as_str() {
            "applied" => Ok(SettleOutcome::Applied(order)),
            "duplicate" => Ok(SettleOutcome::Duplicate(order)),
            "ignored" => Ok(SettleOutcome::Ignored(order)),
            "refund_required" => Ok(SettleOutcome::RefundRequired(order)),
            "review" => Ok(SettleOutcome::Review(order)),
            word => Err(unknown_word(Op::Settle, word)),
        }
    }

    /// For a person to look at. Kept under the event's id: the same event again changes nothing.
    async fn keep_unmatched(&self, event: &PaymentEvent) -> Result<SettleOutcome, Failure> {
        let (Target::Order(target) | Target::Hold(target)) = &event.target;
        let target: String = target.chars().take(TARGET_CHARS_MAX).collect();
        let text = [
            event.status.as_str(),
            &event.amount.map_or_else(String::new, |a| a.ten_thousandths().to_string()),
            event.currency.map_or("", |c| c.code()),
            event.payment.as_ref().map_or("", |p| p.as_str()),
            &target,
        ]
        .join(" ");
        self.runner.plain(redis::cmd("HSETNX").arg(UNMATCHED).arg(event.key.as_str()).arg(text)).await?;
        Ok(SettleOutcome::Unmatched)
    }

    fn hold_of_target(&self, target: &Target) -> Option<HoldId> {
        match target {
            Target::Order(text) => self.ids().parse(text).map(|order| self.ids().hold_of(&order)),
            Target::Hold(text) => self.ids().parse(text),
        }
    }

    fn settle_call(&self, hold: &HoldId, event: &PaymentEvent) -> Call {
        let keys = SaleKeys(hold.sale());
        Call::of(Op::Settle)
            .keys(keys.units())
            .key(keys.hold(hold.key()))
            .key(keys.order(hold.key()))
            .key(keys.once(&once::hash(Use::Payment, &event.key)))
            .key(keys.reviews())
            .arg(event.status.as_str())
            .arg(once::fingerprint_of_event(event))
            .number(self.terms.event_ms)
            .arg(hold.key())
            .arg(event.key.as_str())
            .arg(event.payment.as_ref().map_or("", |p| p.as_str()))
            .arg(event.amount.map_or_else(String::new, |a| a.ten_thousandths().to_string()))
            .arg(event.currency.map_or("", |c| c.code()))
    }
}
