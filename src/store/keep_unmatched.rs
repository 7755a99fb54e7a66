//! `keep_unmatched`: opens a review for a payment event about an id that this service never made.

use super::{Failure, Op, ScriptCall, Store, idempotency, keys::SaleKeys, record, settle, unknown_word};
use crate::domain::{
    ids::{HoldId, HoldKind, IdKind, OrderKind},
    outcome::{SettleOutcome, Settled},
    payment::{Foreign, PaymentEvent, PaymentId, StatedAmount, Target},
    review::ReviewId,
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
        let (word, mut reply) = self.runner.call(self.keep_unmatched_call(event, &once)).await?;
        let mut about_review = || {
            let review = record::review::id_and_reason(&self.unmatched_sale, &reply.text()?, "unmatched")?;
            Ok::<_, Failure>(Settled { order: None, review })
        };
        let outcome = match word.as_str() {
            "unmatched" => SettleOutcome::Unmatched(about_review()?),
            "ignored" => SettleOutcome::Ignored(Settled::default()),
            "duplicate" => SettleOutcome::Duplicate(about_review()?),
            "idempotency_key_reused" => SettleOutcome::IdempotencyKeyReused,
            "full" => {
                return Err(Failure::unavailable(format!(
                    "{OPEN_MAX} payment events for unknown ids wait in the reviews: look at them and resolve them"
                )));
            }
            word => return Err(unknown_word(Op::KeepUnmatched, word)),
        };
        self.note_made(&self.unmatched_sale).await;
        self.confirm(&self.unmatched_sale, once_key).await?;
        Ok(outcome)
    }

    /// Closes the review of a payment that named nothing of ours, because a later event of it names an order.
    pub(super) async fn close_unmatched(&self, payment: &PaymentId, hold: &HoldId) -> Result<(), Failure> {
        let first = idempotency::unmatched_review_of(payment);
        let order = self.ids().order_of(hold);
        for number in 0.. {
            let Some(id) = ReviewId::new(self.unmatched_sale.clone(), &numbered(&first, number)) else { break };
            let Some(review) = self.find_review(&id).await? else { break };
            if review.resolved_ms.is_none() {
                self.close_review(&id, &format!("a later event named {}", order.as_str())).await?;
            }
        }
        Ok(())
    }

    fn keep_unmatched_call(&self, event: &PaymentEvent, once: &str) -> ScriptCall {
        let keys = SaleKeys(&self.unmatched_sale);
        let call = ScriptCall::of(Op::KeepUnmatched).keys(keys.book()).keys(keys.reviews());
        let kept = event.payment.as_ref().map(idempotency::hash_of_payment).unwrap_or_default();
        let call = call.key(keys.once(once)).key(keys.kept(&kept));
        let (payment, amount, currency) = settle::money(event);
        let named = named(event);
        self.terms
            .for_book(call)
            .number(self.terms.event_ms)
            .number(if self.opens_review(event) { OPEN_MAX } else { 0 })
            .arg(idempotency::fingerprint_of_event(event))
            .arg(idempotency::unmatched_review_key(event))
            .arg(event.status.as_str())
            .arg(named)
            .arg(event.key.as_str())
            .arg(payment)
            .arg(amount)
            .arg(currency)
            .arg(stated(event))
            .arg(once)
            .arg(settle::event_text(event))
            .number(self.terms.refundable_ms)
    }

    /// Whether a person must look at an event that names nothing of ours. One that names an id of our form is a mistake, and no
    /// business of another application.
    fn opens_review(&self, event: &PaymentEvent) -> bool {
        let ours = |id: &str| id.starts_with(OrderKind::PREFIX) || id.starts_with(HoldKind::PREFIX);
        let names_ours = match &event.target {
            None => false,
            Some(Target::Order(id) | Target::Hold(id)) => ours(id),
            Some(Target::Both { order, hold }) => ours(order) || ours(hold),
        };
        names_ours || self.terms.foreign == Foreign::Review
    }
}

/// The key of a review: the first 18 characters and a number to base 36.
pub(super) fn numbered(first: &str, number: u32) -> String {
    let digit = |value: u32| char::from_digit(value % 36, 36).unwrap_or('0');
    format!("{first}{}{}", digit(number / 36), digit(number))
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
