//! Reviews: money that a person must look at.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::time::rfc3339;
use crate::domain::review::{Review, ReviewReason, Subject};

/// A review. Where the event named nothing of ours, `sale` and `order_id` are null and `reference` is what it named.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReviewBody<'a> {
    pub id: String,
    pub status: Cow<'a, str>,
    pub reason: Cow<'a, str>,
    pub sale: Option<Cow<'a, str>>,
    pub order_id: Option<Cow<'a, str>>,
    pub reference: Option<Cow<'a, str>>,
    pub event: Cow<'a, str>,
    pub event_id: Cow<'a, str>,
    pub payment_id: Option<Cow<'a, str>>,
    pub amount: Option<String>,
    pub currency: Option<Cow<'a, str>>,
    pub opened_at: String,
    pub resolved_at: Option<String>,
    pub note: Option<Cow<'a, str>>,
}

impl<'a> ReviewBody<'a> {
    pub fn of(review: &'a Review) -> Self {
        let (sale, order_id, reference) = match &review.subject {
            Subject::Order(order) => (Some(review.id.sale.as_str().into()), Some(order.as_str().into()), None),
            Subject::Unmatched(named) => (None, None, Some(named.as_str().into())),
        };
        Self {
            id: review.id.to_string(),
            status: if review.resolved_ms.is_some() { "resolved" } else { "open" }.into(),
            reason: reason_word(review.reason).into(),
            sale,
            order_id,
            reference,
            event: review.status.as_str().into(),
            event_id: Cow::Borrowed(&review.event),
            payment_id: review.payment.as_deref().map(Cow::Borrowed),
            amount: review.amount.map(|amount| amount.written(review.currency.as_ref())),
            currency: review.currency.map(|currency| currency.code().into()),
            opened_at: rfc3339(review.opened_ms),
            resolved_at: review.resolved_ms.map(rfc3339),
            note: review.note.as_deref().map(Cow::Borrowed),
        }
    }
}

fn reason_word(reason: ReviewReason) -> &'static str {
    match reason {
        ReviewReason::AmountMismatch => "amount_mismatch",
        ReviewReason::DuplicatePayment => "duplicate_payment",
        ReviewReason::RefundMismatch => "refund_mismatch",
        ReviewReason::HoldExpired => "hold_expired",
        ReviewReason::UnitsGone => "units_gone",
        ReviewReason::OrderCancelled => "order_cancelled",
        ReviewReason::Unmatched => "unmatched",
    }
}
