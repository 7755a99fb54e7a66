//! The answer to a payment event.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::order::OrderBody;
use crate::domain::review::{ReviewId, ReviewReason};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookBody<'a> {
    pub message: Cow<'a, str>,
    /// `applied`, `duplicate`, `ignored`, `refund_required`, `review` or `unmatched`.
    pub outcome: Cow<'a, str>,
    /// The order as it is now. `None` where the event is about no order of ours.
    pub order: Option<OrderBody<'a>>,
    /// The review that the event opened or changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<WebhookReview<'a>>,
}

/// Why a person must look.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookReview<'a> {
    pub id: String,
    pub reason: Cow<'a, str>,
}

impl WebhookReview<'_> {
    pub fn of((id, reason): &(ReviewId, ReviewReason)) -> Self {
        Self { id: id.to_string(), reason: reason.as_str().into() }
    }
}
