//! The answer to a payment event.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::order::OrderBody;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookBody<'a> {
    pub message: Cow<'a, str>,
    /// `applied`, `duplicate`, `ignored`, `refund_required`, `review` or `unmatched`.
    pub outcome: Cow<'a, str>,
    /// The order as it is now. `None` where the event is about no order of ours.
    pub order: Option<OrderBody<'a>>,
}
