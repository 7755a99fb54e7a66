//! Holds.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{metadata::metadata_body, time::rfc3339};
use crate::domain::{
    hold::{Hold, PricedLine},
    money::Currency,
    order::Order,
    text::CustomerId,
};

/// Units of one product, with the price of one when the hold was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemBody {
    pub product_id: u64,
    /// Only where the product has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    pub quantity: u64,
    pub unit_price: String,
}

impl ItemBody {
    /// `product 7`, or `AIR-38 (product 7)`, for people.
    pub fn product_name(&self) -> String {
        let product = self.product_id;
        self.sku.as_ref().map_or_else(|| format!("product {product}"), |sku| format!("{sku} (product {product})"))
    }

    pub fn of(PricedLine { line, sku, price }: &PricedLine, currency: Option<&Currency>) -> Self {
        let unit_price = price.written(currency);
        let sku = sku.as_ref().map(|sku| sku.as_str().to_owned());
        Self { product_id: line.product.get(), sku, quantity: line.quantity.get(), unit_price }
    }
}

/// A hold. Only a hold of one product has `product_id`, `sku`, `quantity` and `unit_price` beside its items.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HoldBody<'a> {
    pub id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<String>,
    pub items: Vec<ItemBody>,
    /// What its order costs. Null where the order that it became has no lines.
    pub total_amount: Option<String>,
    pub currency: Option<Cow<'a, str>>,
    pub customer_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
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
        let items: Vec<_> = hold.lines.iter().map(|line| ItemBody::of(line, Some(&hold.currency))).collect();
        let Single { product_id, sku, quantity, unit_price } = single(&items);
        Self {
            id: hold.id.as_str().into(),
            product_id,
            sku,
            quantity,
            unit_price,
            items,
            total_amount: Some(hold.total().in_currency(&hold.currency).to_string()),
            currency: Some(hold.currency.code().into()),
            customer_id: hold.customer.as_ref().map(CustomerId::as_str).map(Cow::Borrowed),
            metadata: hold.metadata.as_ref().map(metadata_body),
            status: status.map(Cow::Borrowed),
            order_id: None,
            expires_at: Some(rfc3339(hold.deadline_ms)),
            expires_in: whole_seconds(hold.deadline_ms - hold.now_ms),
        }
    }

    pub fn of_converted(order: &'a Order) -> Self {
        let currency = order.total.map(|(_, currency)| currency);
        let items: Vec<_> = order.lines.iter().map(|line| ItemBody::of(line, currency.as_ref())).collect();
        let Single { product_id, sku, quantity, unit_price } = single(&items);
        Self {
            id: order.hold.as_str().into(),
            product_id,
            sku,
            quantity,
            unit_price,
            items,
            total_amount: order.total.map(|(amount, currency)| amount.in_currency(&currency).to_string()),
            currency: currency.map(|currency| currency.code().into()),
            customer_id: order.customer.as_ref().map(CustomerId::as_str).map(Cow::Borrowed),
            metadata: order.metadata.as_ref().map(metadata_body),
            status: Some("converted".into()),
            order_id: Some(order.id.as_str().into()),
            expires_at: order.hold_deadline_ms.map(rfc3339),
            expires_in: order.hold_deadline_ms.map_or(0, |deadline| whole_seconds(deadline - order.now_ms)),
        }
    }
}

/// The only item, in parts that are `None` when there are more.
#[derive(Default)]
pub(super) struct Single {
    pub product_id: Option<u64>,
    pub sku: Option<String>,
    pub quantity: Option<u64>,
    pub unit_price: Option<String>,
}

pub(super) fn single(items: &[ItemBody]) -> Single {
    let [ItemBody { product_id, sku, quantity, unit_price }] = items else { return Single::default() };
    Single {
        product_id: Some(*product_id),
        sku: sku.clone(),
        quantity: Some(*quantity),
        unit_price: Some(unit_price.clone()),
    }
}

fn whole_seconds(ms: i64) -> u64 {
    u64::try_from(ms / 1_000).unwrap_or(0)
}
