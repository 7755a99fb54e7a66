//! `keep_unmatched`: opens a review for a payment event about an id that this service never made.

use super::{Failure, Op, ScriptCall, Store, idempotency, keys::SaleKeys, settle, unknown_word};
use crate::domain::{
    outcome::{SettleOutcome, Settled},
    payment::{PaymentEvent, StatedAmount, Target},
};

/// Characters of a foreign id that a review keeps.
const TARGET_CHARS_MAX: usize = 200;
/// Open reviews of this kind. Beyond that the answer asks the provider to try later: nothing is lost, and memory has a
/// bound.
const OPEN_MAX: u64 = 100_000;

impl Store {
    pub(super) async fn keep_unmatched(&self, event: &PaymentEvent) -> Result<SettleOutcome, Failure> {
        let once = idempotency::hash_of_event(event);
        let once_key = SaleKeys(&self.unmatched_sale).once(&once);
        let (word, _) = self.runner.call(self.keep_unmatched_call(event, &once)).await?;
        let outcome = match word.as_str() {
            "unmatched" => SettleOutcome::Unmatched,
            "duplicate" => SettleOutcome::Duplicate(Settled::default()),
            "idempotency_key_reused" => SettleOutcome::IdempotencyKeyReused,
            "full" => {
                return Err(Failure::unavailable(format!(
                    "{OPEN_MAX} payment events for unknown ids wait in the reviews: look at them and resolve them"
                )));
            }
            word => return Err(unknown_word(Op::KeepUnmatched, word)),
        };
        self.confirm(once_key).await?;
        Ok(outcome)
    }

    fn keep_unmatched_call(&self, event: &PaymentEvent, once: &str) -> ScriptCall {
        let keys = SaleKeys(&self.unmatched_sale);
        let call = ScriptCall::of(Op::KeepUnmatched).keys(keys.book()).keys(keys.reviews()).key(keys.once(once));
        let (payment, amount, currency) = settle::money(event);
        let named = named(event);
        self.terms
            .for_book(call)
            .number(self.terms.event_ms)
            .number(OPEN_MAX)
            .arg(idempotency::fingerprint_of_event(event))
            .arg(idempotency::unmatched_review_key(event))
            .arg(event.status.as_str())
            .arg(named)
            .arg(event.key.as_str())
            .arg(payment)
            .arg(amount)
            .arg(currency)
            .arg(stated(event))
    }
}

/// The ids that the event names, on one line.
fn named(event: &PaymentEvent) -> String {
    let text = match &event.target {
        None => String::new(),
        Some(Target::Order(id) | Target::Hold(id)) => id.clone(),
        Some(Target::Both { order, hold }) => format!("{order} {hold}"),
    };
    visible(&text)
}

/// An amount that could not be read, as it came.
fn stated(event: &PaymentEvent) -> String {
    match &event.amount {
        StatedAmount::NotUnderstood(raw) => visible(raw),
        StatedAmount::NotGiven | StatedAmount::Is(_) => String::new(),
    }
}

fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TARGET_CHARS_MAX).collect()
}
