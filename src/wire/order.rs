//! Orders: as a buyer's server sees one, and as a row of the admin's list and export.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    hold::{ItemBody, Single, single},
    metadata::metadata_body,
    payment::{HeardEventBody, PaymentBody},
    time::rfc3339,
};
use crate::domain::{money::Amount, order::Order, payment::PaymentId, text::CustomerId};

/// An order. Only an order of one product has `product_id`, `sku`, `quantity` and `unit_price` beside its items.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderBody<'a> {
    pub id: Cow<'a, str>,
    pub hold_id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<String>,
    pub items: Vec<ItemBody>,
    pub customer_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    pub status: Cow<'a, str>,
    pub total_amount: Option<String>,
    pub currency: Option<Cow<'a, str>>,
    pub created_at: String,
    pub payment_due_at: String,
    pub paid_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_started_at: Option<String>,
    /// The payment came after the deadline, and units were still available.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

impl<'a> OrderBody<'a> {
    pub fn of(order: &'a Order) -> Self {
        let currency = order.total.map(|(_, currency)| currency);
        let items: Vec<_> = order.lines.iter().map(|line| ItemBody::of(line, currency.as_ref())).collect();
        let Single { product_id, sku, quantity, unit_price } = single(&items);
        Self {
            id: order.id.as_str().into(),
            hold_id: order.hold.as_str().into(),
            product_id,
            sku,
            quantity,
            unit_price,
            items,
            customer_id: order.customer.as_ref().map(CustomerId::as_str).map(Cow::Borrowed),
            metadata: order.metadata.as_ref().map(metadata_body),
            status: order.status.as_str().into(),
            total_amount: order.total.map(|(amount, currency)| amount.in_currency(&currency).to_string()),
            currency: currency.map(|currency| currency.code().into()),
            created_at: rfc3339(order.created_ms),
            payment_due_at: rfc3339(order.payment_due_ms),
            paid_at: order.paid_ms.map(rfc3339),
            payment_started_at: order.started_ms.map(rfc3339),
            late: order.late,
        }
    }
}

/// An order as the shop sees it, in the list and in an export. Every row has all fields, null where there is no value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderRow<'a> {
    pub id: Cow<'a, str>,
    pub sale: Cow<'a, str>,
    pub hold_id: Cow<'a, str>,
    /// Like `quantity`, null in an order of several products.
    pub product_id: Option<u64>,
    #[serde(default)]
    pub sku: Option<String>,
    pub quantity: Option<u64>,
    pub items: Vec<ItemBody>,
    pub customer_id: Option<Cow<'a, str>>,
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    pub status: Cow<'a, str>,
    pub total_amount: Option<String>,
    /// The sums of its payments. Null where nothing was captured or refunded, or nobody knows how much.
    pub captured_amount: Option<String>,
    pub refunded_amount: Option<String>,
    /// What is left of the captured money. Null where nobody knows it.
    pub net_amount: Option<String>,
    /// Where the total is not known, that of the payments.
    pub currency: Option<Cow<'a, str>>,
    pub created_at: String,
    pub payment_due_at: String,
    pub paid_at: Option<String>,
    pub payment_id: Option<Cow<'a, str>>,
    pub payment_started_at: Option<String>,
    pub late: bool,
    /// What is known of each payment. Left out of the CSV.
    pub payments: Vec<PaymentBody<'a>>,
    /// What the shop itself said of the order, in events of no payment. Left out of the CSV, like the next.
    pub shop_events: Vec<HeardEventBody<'a>>,
    /// Events that came after those that are kept.
    pub events_left_out: u64,
}

impl<'a> OrderRow<'a> {
    pub fn of(order: &'a Order) -> Self {
        let currency = order.total.map(|(_, currency)| currency);
        let money = order.money();
        let written = |amount: Amount| amount.written(money.currency.as_ref());
        let only = if let [only] = &order.lines[..] { Some(only) } else { None };
        Self {
            id: order.id.as_str().into(),
            sale: order.hold.sale().name().into(),
            hold_id: order.hold.as_str().into(),
            product_id: only.map(|only| only.line.product.get()),
            sku: only.and_then(|only| only.sku.as_ref()).map(ToString::to_string),
            quantity: only.map(|only| only.line.quantity.get()),
            items: order.lines.iter().map(|line| ItemBody::of(line, currency.as_ref())).collect(),
            customer_id: order.customer.as_ref().map(CustomerId::as_str).map(Cow::Borrowed),
            metadata: order.metadata.as_ref().map(metadata_body),
            status: order.status.as_str().into(),
            total_amount: order.total.map(|(amount, currency)| amount.in_currency(&currency).to_string()),
            captured_amount: money.captured.map(written),
            refunded_amount: money.refunded.map(written),
            net_amount: money.net.map(written),
            currency: money.currency.map(|currency| currency.code().into()),
            created_at: rfc3339(order.created_ms),
            payment_due_at: rfc3339(order.payment_due_ms),
            paid_at: order.paid_ms.map(rfc3339),
            payment_id: order.payment.as_ref().map(PaymentId::as_str).map(Cow::Borrowed),
            payment_started_at: order.started_ms.map(rfc3339),
            late: order.late,
            payments: order.payments.iter().map(|payment| PaymentBody::of(payment, currency.as_ref())).collect(),
            shop_events: order.shop_events.iter().map(HeardEventBody::of).collect(),
            events_left_out: order.events_left_out,
        }
    }
}
