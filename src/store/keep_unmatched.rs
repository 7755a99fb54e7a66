//! `keep_unmatched`: payment events about ids that were never made here wait for a person.

use super::{
    Call, Failure, Op, Store,
    idempotency::{self, Use},
    keys::SaleKeys,
    settle, unknown_word,
};
use crate::domain::{
    outcome::SettleOutcome,
    payment::{PaymentEvent, Target},
};

/// Of an id that is not ours only so much is kept.
const TARGET_CHARS_MAX: usize = 200;
/// While so many are open the provider is told to try later, so that nothing is dropped and memory has a bound.
const OPEN_MAX: u64 = 100_000;

impl Store {
    pub(super) async fn keep_unmatched(&self, event: &PaymentEvent) -> Result<SettleOutcome, Failure> {
        let once = idempotency::hash(Use::Payment, &event.key);
        let once_key = SaleKeys(&self.nowhere).once(&once);
        let (word, _) = self.runner.call(self.keep_call(event, &once)).await?;
        let outcome = match word.as_str() {
            "unmatched" => SettleOutcome::Unmatched,
            "duplicate" => SettleOutcome::Duplicate(None),
            "idempotency_key_reused" => SettleOutcome::IdempotencyKeyReused,
            "full" => {
                return Err(Failure::Unavailable(format!(
                    "{OPEN_MAX} payment events for unknown ids wait in the reviews: look at them and resolve them"
                )));
            }
            word => return Err(unknown_word(Op::KeepUnmatched, word)),
        };
        self.confirmed(once_key).await?;
        Ok(outcome)
    }

    fn keep_call(&self, event: &PaymentEvent, once: &str) -> Call {
        let keys = SaleKeys(&self.nowhere);
        let call = Call::of(Op::KeepUnmatched).keys(keys.book()).keys(keys.reviews()).key(keys.once(once));
        let (payment, amount, currency) = settle::money(event);
        let named = named(event);
        self.terms
            .for_book(call)
            .number(self.terms.event_ms)
            .number(OPEN_MAX)
            .arg(idempotency::fingerprint_of_event(event))
            .arg(idempotency::review(&named, event))
            .arg(event.status.as_str())
            .arg(named)
            .arg(event.key.as_str())
            .arg(payment)
            .arg(amount)
            .arg(currency)
    }
}

/// What the event names, on one line.
fn named(event: &PaymentEvent) -> String {
    let text = match &event.target {
        Target::Order(id) | Target::Hold(id) => idempotency::with_doubt(id, event),
        Target::Both { order, hold } => idempotency::with_doubt(&format!("{order} {hold}"), event),
    };
    text.chars().filter(|c| !c.is_control()).take(TARGET_CHARS_MAX).collect()
}
