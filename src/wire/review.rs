//! Reviews: money that a person must look at.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{metadata::metadata_body, time::rfc3339};
use crate::domain::review::{Review, Subject};

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
    pub refunded_amount: Option<String>,
    /// An amount that could not be read, as the provider sent it.
    pub stated_amount: Option<Cow<'a, str>>,
    /// What the order costs, its customer, its metadata and its deadline, when the review was opened.
    pub expected_amount: Option<String>,
    /// The money may have come in another one.
    pub expected_currency: Option<Cow<'a, str>>,
    pub customer_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    pub payment_due_at: Option<String>,
    /// The review about the same payment that was resolved before.
    pub previous_id: Option<String>,
    pub opened_at: String,
    pub resolved_at: Option<String>,
    /// The name of the token of whoever resolved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Cow<'a, str>>,
    /// `accept`, `refund` or `dismiss`. Null where a later event resolved it.
    pub action: Option<Cow<'a, str>>,
    pub note: Option<Cow<'a, str>>,
}

impl<'a> ReviewBody<'a> {
    pub fn of(review: &'a Review) -> Self {
        let (sale, order_id, reference) = match &review.subject {
            Subject::Order(order) => (Some(review.id.sale.name().into()), Some(order.as_str().into()), None),
            Subject::Unmatched(named) => (None, None, Some(named.as_str().into())),
        };
        Self {
            id: review.id.to_string(),
            status: if review.resolved_ms.is_some() { "resolved" } else { "open" }.into(),
            reason: review.reason.as_str().into(),
            sale,
            order_id,
            reference,
            event: review.status.as_str().into(),
            event_id: Cow::Borrowed(&review.event),
            payment_id: review.payment.as_deref().map(Cow::Borrowed),
            amount: review.amount.map(|amount| amount.written(review.currency.as_ref())),
            currency: review.currency.map(|currency| currency.code().into()),
            refunded_amount: review.refunded.map(|amount| amount.written(review.currency.as_ref())),
            stated_amount: review.stated.as_deref().map(Cow::Borrowed),
            expected_amount: review.expected.map(|(amount, currency)| amount.written(Some(&currency))),
            expected_currency: review.expected.map(|(_, currency)| currency.code().into()),
            customer_id: review.customer.as_deref().map(Cow::Borrowed),
            metadata: review.metadata.as_ref().map(metadata_body),
            payment_due_at: review.due_ms.map(rfc3339),
            previous_id: review.previous.as_ref().map(ToString::to_string),
            opened_at: rfc3339(review.opened_ms),
            resolved_at: review.resolved_ms.map(rfc3339),
            actor: review.actor.as_deref().map(Cow::Borrowed),
            action: review.action.map(|action| action.as_str().into()),
            note: review.note.as_deref().map(Cow::Borrowed),
        }
    }
}
