//! Items of orders, as rows for a warehouse.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{metadata::metadata_body, time::rfc3339};
use crate::domain::{
    hold::PricedLine,
    ids::ProductId,
    order::{CountedAs, Order},
    payment::PaymentId,
    text::CustomerId,
};

/// An item of an order in an export. Every row has all fields, null where there is no value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemRow<'a> {
    pub order_id: Cow<'a, str>,
    pub sale: Cow<'a, str>,
    pub product_id: u64,
    pub sku: Option<Cow<'a, str>>,
    /// As it is now. Null where the product is gone.
    pub name: Option<Cow<'a, str>>,
    pub quantity: u64,
    pub unit_price: String,
    /// What all of its units cost.
    pub line_amount: String,
    pub currency: Option<Cow<'a, str>>,
    pub customer_id: Option<Cow<'a, str>>,
    /// That of the order.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// That of the order.
    pub status: Cow<'a, str>,
    /// Where the product counts the units: `pending` or `sold`. Null: they came back.
    pub counted_as: Option<Cow<'a, str>>,
    pub created_at: String,
    pub paid_at: Option<String>,
    pub payment_id: Option<Cow<'a, str>>,
}

impl<'a> ItemRow<'a> {
    /// A row for each item of the order.
    pub fn all_of(order: &'a Order, name_of: impl Fn(ProductId) -> Option<&'a str>) -> impl Iterator<Item = Self> {
        order.lines.iter().map(move |line| Self::of(order, line, name_of(line.line.product)))
    }

    fn of(order: &'a Order, PricedLine { line, sku, price }: &'a PricedLine, name: Option<&'a str>) -> Self {
        let currency = order.total.map(|(_, currency)| currency);
        Self {
            order_id: order.id.as_str().into(),
            sale: order.hold.sale().name().into(),
            product_id: line.product.get(),
            sku: sku.as_ref().map(|sku| sku.as_str().into()),
            name: name.map(Cow::Borrowed),
            quantity: line.quantity.get(),
            unit_price: price.written(currency.as_ref()),
            line_amount: price.times(line.quantity.get()).written(currency.as_ref()),
            currency: currency.map(|currency| currency.code().into()),
            customer_id: order.customer.as_ref().map(CustomerId::as_str).map(Cow::Borrowed),
            metadata: order.metadata.as_ref().map(metadata_body),
            status: order.status.as_str().into(),
            counted_as: order.counted_as().map(CountedAs::as_str).map(Cow::Borrowed),
            created_at: rfc3339(order.created_ms),
            paid_at: order.paid_ms.map(rfc3339),
            payment_id: order.payment.as_ref().map(PaymentId::as_str).map(Cow::Borrowed),
        }
    }
}
