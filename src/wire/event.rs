//! Events of the log.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    audit::DifferenceBody, order::OrderBody, product::ProductBody, review::ReviewBody, sale::SaleBody, time::rfc3339,
};
use crate::domain::{
    event::{About, Event, EventKind},
    ids::{HoldId, OrderId},
};

/// An event of the log, with the thing that it is about as it was then.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventBody<'a> {
    pub id: String,
    pub r#type: Cow<'a, str>,
    pub at: String,
    pub sale: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderBody<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<ReviewBody<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductBody<'a>>,
    /// The sale itself, because `sale` is its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<SaleBody<'a>>,
    /// The difference that an audit repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<DifferenceBody<'a>>,
}

impl<'a> EventBody<'a> {
    /// `id` is the cursor of a reader that has seen the event. `order_of` gives the id of the order that a hold became.
    pub fn of(event: &'a Event, id: String, order_of: impl Fn(&HoldId) -> OrderId) -> Self {
        let (at, sale) = (rfc3339(event.at_ms), event.sale.as_str().into());
        let mut body = Self {
            id,
            r#type: type_word(event.kind).into(),
            at,
            sale,
            order: None,
            review: None,
            product: None,
            terms: None,
            repair: None,
        };
        match &event.about {
            About::Order(order) => body.order = Some(OrderBody::of(order)),
            About::Review(review) => body.review = Some(ReviewBody::of(review)),
            About::Product(product) => body.product = Some(ProductBody::of(product)),
            About::Sale(sale) => body.terms = Some(SaleBody::of(sale)),
            About::Repair(difference) => body.repair = Some(DifferenceBody::of(&event.sale, difference, order_of)),
        }
        body
    }
}

fn type_word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::OrderCreated => "order.created",
        EventKind::OrderPaymentStarted => "order.payment_started",
        EventKind::OrderInReview => "order.in_review",
        EventKind::OrderPaid => "order.paid",
        EventKind::OrderCancelled => "order.cancelled",
        EventKind::OrderExpired => "order.expired",
        EventKind::OrderRefundRequired => "order.refund_required",
        EventKind::OrderRefunded => "order.refunded",
        EventKind::ProductCreated => "product.created",
        EventKind::ProductChanged => "product.changed",
        EventKind::ProductRestocked => "product.restocked",
        EventKind::ReviewOpened => "review.opened",
        EventKind::ReviewChanged => "review.changed",
        EventKind::ReviewResolved => "review.resolved",
        EventKind::SaleCreated => "sale.created",
        EventKind::SaleChanged => "sale.changed",
        EventKind::SaleRepaired => "sale.repaired",
    }
}
