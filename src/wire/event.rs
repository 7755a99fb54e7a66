//! Events of the log.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

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
    /// The name of the admin's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
    /// The fields that an admin changed: what each was, and what it is.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub change: Map<String, Value>,
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
    /// `order_of` gives the id of the order that a hold became.
    pub fn of(event: &'a Event, order_of: impl Fn(&HoldId) -> OrderId) -> Self {
        let (at, sale) = (rfc3339(event.at_ms), event.sale.name().into());
        let mut body = Self {
            id: event.id(),
            r#type: type_word(event.kind).into(),
            at,
            sale,
            actor: event.act.actor().map(Into::into),
            reason: event.act.reason().map(Into::into),
            change: event.before.as_ref().map_or_else(Map::new, |before| change(before, &event.about)),
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

/// A page of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventPageBody<T> {
    pub data: Vec<T>,
    /// The `after` of the page that follows, also of one that is still to come.
    pub next_cursor: String,
    /// Whether more is there already.
    #[serde(default)]
    pub more: bool,
    /// Sales whose logs do not have all events any more that came since the cursor.
    #[serde(default)]
    pub missing: Vec<String>,
}

/// What follows from other fields, or from the time.
const DERIVED: [&str; 3] = ["status", "available_stock", "next_release_at"];

fn change(before: &About, after: &About) -> Map<String, Value> {
    match (before, after) {
        (About::Sale(before), About::Sale(after)) => changed_fields(&SaleBody::of(before), &SaleBody::of(after)),
        (About::Product(before), About::Product(after)) => {
            changed_fields(&ProductBody::of(before), &ProductBody::of(after))
        }
        _ => Map::new(),
    }
}

/// The fields of which the value is another one: `{"price": {"from": "9.00", "to": "9.50"}}`. Units also have the difference.
pub fn changed_fields(before: &impl Serialize, after: &impl Serialize) -> Map<String, Value> {
    let fields = |body: Result<Value, _>| body.ok().and_then(|body| body.as_object().cloned()).unwrap_or_default();
    let (mut before, after) = (fields(serde_json::to_value(before)), fields(serde_json::to_value(after)));
    let mut changed = Map::new();
    for (field, to) in after.into_iter().filter(|(field, _)| !DERIVED.contains(&field.as_str())) {
        let from = before.get_mut(&field).map_or(Value::Null, Value::take);
        if from == to {
            continue;
        }
        let delta = to.as_i64().zip(from.as_i64()).filter(|_| field == "total_stock");
        let mut values = Map::from_iter([("from".to_owned(), from), ("to".to_owned(), to)]);
        values.extend(delta.map(|(to, from)| ("delta".to_owned(), (to - from).into())));
        changed.insert(field, values.into());
    }
    // A field that is only there where it has a value.
    for (field, from) in
        before.into_iter().filter(|(field, from)| !from.is_null() && !DERIVED.contains(&field.as_str()))
    {
        changed.entry(field).or_insert_with(|| json!({"from": from, "to": null}));
    }
    changed
}

/// The word of each kind of events.
pub fn type_word(kind: EventKind) -> &'static str {
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
        EventKind::ProductArchived => "product.archived",
        EventKind::ProductMoved => "product.moved",
        EventKind::ProductDeleted => "product.deleted",
        EventKind::ReviewOpened => "review.opened",
        EventKind::ReviewChanged => "review.changed",
        EventKind::ReviewResolved => "review.resolved",
        EventKind::SaleCreated => "sale.created",
        EventKind::SaleChanged => "sale.changed",
        EventKind::SaleRepaired => "sale.repaired",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_the_fields_that_differ_and_not_what_follows_from_them() {
        let before = json!({"price": "9.00", "total_stock": 10, "available_stock": 3, "status": "live", "name": "Cap"});
        let after = json!({"price": "9.50", "total_stock": 7, "available_stock": 0, "status": "paused", "name": "Cap"});
        let expected =
            json!({"price": {"from": "9.00", "to": "9.50"}, "total_stock": {"from": 10, "to": 7, "delta": -3}});
        assert_eq!(Value::from(changed_fields(&before, &after)), expected);
        assert!(changed_fields(&before, &before).is_empty());
        let (with, without) = (json!({"archived": true}), json!({}));
        assert_eq!(Value::from(changed_fields(&with, &without)), json!({"archived": {"from": true, "to": null}}));
    }
}
