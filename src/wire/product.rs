//! Products.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{metadata::metadata_body, time::rfc3339};
use crate::domain::{product::Product, sku::Sku};

/// A product and its exact stock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProductBody<'a> {
    pub id: u64,
    pub sale: Cow<'a, str>,
    pub name: Cow<'a, str>,
    /// Like the metadata only where the product has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    pub price: String,
    pub currency: Cow<'a, str>,
    pub total_stock: u64,
    pub available_stock: u64,
    pub held_stock: u64,
    pub pending_stock: u64,
    pub sold_stock: u64,
    pub max_per_hold: u64,
    pub max_per_customer: Option<u64>,
    /// The status of its sale: `live`, `scheduled`, `paused` or `ended`.
    pub status: Cow<'a, str>,
    pub starts_at: Option<String>,
    pub ends_at: Option<String>,
    pub next_release_at: Option<String>,
    pub group: Option<Cow<'a, str>>,
    pub visibility: Cow<'a, str>,
    /// Only where it is true.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
}

impl<'a> ProductBody<'a> {
    pub fn of(product: &'a Product) -> Self {
        Self {
            id: product.id.get(),
            sale: product.sale.as_str().into(),
            name: Cow::Borrowed(&product.name),
            sku: product.sku.as_ref().map(Sku::as_str).map(Cow::Borrowed),
            metadata: product.metadata.as_ref().map(metadata_body),
            price: product.price.in_currency(&product.currency).to_string(),
            currency: product.currency.code().into(),
            total_stock: product.stock.total,
            available_stock: product.stock.available,
            held_stock: product.stock.held,
            pending_stock: product.stock.pending,
            sold_stock: product.stock.sold,
            max_per_hold: product.max_per_hold,
            max_per_customer: product.max_per_customer,
            status: product.window.status(product.now_ms).as_str().into(),
            starts_at: product.window.starts_ms.map(rfc3339),
            ends_at: product.window.ends_ms.map(rfc3339),
            next_release_at: product.next_release_ms.map(rfc3339),
            group: product.group.as_ref().map(|group| group.as_str().into()),
            visibility: product.visibility.as_str().into(),
            archived: product.archived,
        }
    }
}
