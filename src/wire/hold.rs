//! Holds.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::time::rfc3339;
use crate::domain::{
    hold::{Hold, Line},
    order::Order,
    text::CustomerId,
};

/// Units of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemBody {
    pub product_id: u64,
    pub quantity: u64,
}

impl ItemBody {
    pub fn of(line: &Line) -> Self {
        Self { product_id: line.product.get(), quantity: line.quantity.get() }
    }
}

/// A hold. Only a hold of one product has `product_id` and `quantity`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HoldBody<'a> {
    pub id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u64>,
    pub items: Vec<ItemBody>,
    pub customer_id: Option<Cow<'a, str>>,
    /// `active` or `converted`. The answer to a new hold has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Cow<'a, str>>,
    /// The order that the hold became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Cow<'a, str>>,
    pub expires_at: Option<String>,
    /// Whole seconds that are left, never too many.
    pub expires_in: u64,
}

impl<'a> HoldBody<'a> {
    pub fn of(hold: &'a Hold, status: Option<&'static str>) -> Self {
        let items: Vec<_> = hold.lines.as_slice().iter().map(ItemBody::of).collect();
        let (product_id, quantity) = single(&items);
        Self {
            id: hold.id.as_str().into(),
            product_id,
            quantity,
            items,
            customer_id: hold.customer.as_ref().map(CustomerId::as_str).map(Cow::Borrowed),
            status: status.map(Cow::Borrowed),
            order_id: None,
            expires_at: Some(rfc3339(hold.deadline_ms)),
            expires_in: whole_seconds(hold.deadline_ms - hold.now_ms),
        }
    }

    pub fn of_converted(order: &'a Order) -> Self {
        let items: Vec<_> = order.lines.iter().map(|priced| ItemBody::of(&priced.line)).collect();
        let (product_id, quantity) = single(&items);
        Self {
            id: order.hold.as_str().into(),
            product_id,
            quantity,
            items,
            customer_id: order.customer.as_ref().map(CustomerId::as_str).map(Cow::Borrowed),
            status: Some("converted".into()),
            order_id: Some(order.id.as_str().into()),
            expires_at: order.hold_deadline_ms.map(rfc3339),
            expires_in: order.hold_deadline_ms.map_or(0, |deadline| whole_seconds(deadline - order.now_ms)),
        }
    }
}

/// `product_id` and `quantity` of a single line.
pub(super) fn single(items: &[ItemBody]) -> (Option<u64>, Option<u64>) {
    if let [item] = items { (Some(item.product_id), Some(item.quantity)) } else { (None, None) }
}

fn whole_seconds(ms: i64) -> u64 {
    u64::try_from(ms / 1_000).unwrap_or(0)
}
