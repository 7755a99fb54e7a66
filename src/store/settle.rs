//! `settle`: what a payment event does.

use super::{
    Call, Failure, Op, Reply, Store,
    keys::{SaleKeys, UNMATCHED},
    once::{self, Use},
    unknown_word,
};
use crate::domain::{
    ids::HoldId,
    outcome::SettleOutcome,
    payment::{PaymentEvent, PaymentStatus, Target},
};

/// Of an id that is not ours only so much is kept.
const TARGET_CHARS_MAX: usize = 200;
/// Beyond so many the provider is told to try later, so that nothing is dropped and memory has a bound.
const UNMATCHED_MAX: i64 = 100_000;

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the event may be settled. The same event then answers `Duplicate`.
    pub async fn settle(&self, event: &PaymentEvent) -> Result<SettleOutcome, Failure> {
        let hold = match self.hold_of_target(&event.target) {
            Ok(Some(hold)) => hold,
            Ok(None) if event.status == PaymentStatus::Ignored => return Ok(SettleOutcome::Ignored(None)),
            Ok(None) => return self.keep_unmatched(event).await,
            Err(TargetsDiffer) => return Ok(SettleOutcome::TargetsDiffer),
        };
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

    /// For a person to look at. Kept under the event's id, and so only once.
    async fn keep_unmatched(&self, event: &PaymentEvent) -> Result<SettleOutcome, Failure> {
        let count = Reply::one(self.runner.plain(redis::cmd("HLEN").arg(UNMATCHED)).await?).int()?;
        if count >= UNMATCHED_MAX {
            return Err(Failure::Unavailable(format!("{UNMATCHED} has {count} entries: look at them and remove them")));
        }
        let (key, text) = (event.key.as_str(), describe(event));
        let kept = self.runner.plain(redis::cmd("HSETNX").arg(UNMATCHED).arg(key).arg(&text)).await?;
        if Reply::one(kept).int()? == 1 {
            return Ok(SettleOutcome::Unmatched);
        }
        let earlier = Reply::one(self.runner.plain(redis::cmd("HGET").arg(UNMATCHED).arg(key)).await?).text()?;
        Ok(if earlier == text { SettleOutcome::Duplicate(None) } else { SettleOutcome::IdempotencyKeyReused })
    }

    /// `None`: this service never made the id.
    fn hold_of_target(&self, target: &Target) -> Result<Option<HoldId>, TargetsDiffer> {
        let of_order = |text: &str| self.ids().parse(text).map(|order| self.ids().hold_of(&order));
        match target {
            Target::Order(order) => Ok(of_order(order)),
            Target::Hold(hold) => Ok(self.ids().parse(hold)),
            Target::Both { order, hold } => {
                let (one, other) = (of_order(order), self.ids().parse(hold));
                if one == other { Ok(one) } else { Err(TargetsDiffer) }
            }
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

struct TargetsDiffer;

/// Status, amount, currency, payment and target, as far as they were given.
fn describe(event: &PaymentEvent) -> String {
    let target = match &event.target {
        Target::Order(id) | Target::Hold(id) => id.clone(),
        Target::Both { order, hold } => format!("{order} {hold}"),
    };
    [
        event.status.as_str(),
        &event.amount.map_or_else(String::new, |a| a.ten_thousandths().to_string()),
        event.currency.map_or("", |c| c.code()),
        event.payment.as_ref().map_or("", |p| p.as_str()),
        &target.chars().take(TARGET_CHARS_MAX).collect::<String>(),
    ]
    .join(" ")
}
