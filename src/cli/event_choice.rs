//! Which events are printed: by what they are about, looked at one by one, because the log has no index.

use clap::Args;

use super::arguments::{filled, product_id};
use crate::wire::{event::EventBody, hold::ItemBody};

#[derive(Args)]
pub(super) struct SubjectArgs {
    /// Only events of this order, and of its reviews
    #[arg(long, value_name = "ID", value_parser = filled)]
    order: Option<String>,
    /// Only events of orders and reviews of this customer: the shop's own id
    #[arg(long, value_name = "ID", value_parser = filled)]
    customer: Option<String>,
    /// Only events of this product, and of orders with units of it
    #[arg(long, value_name = "ID", value_parser = product_id)]
    product: Option<u64>,
    /// Only events of the product with this SKU, and of orders with units of it
    #[arg(long, value_name = "SKU", value_parser = filled, conflicts_with = "product")]
    sku: Option<String>,
}

impl SubjectArgs {
    /// Whether any event is left out.
    pub(super) fn is_given(&self) -> bool {
        self.order.is_some() || self.customer.is_some() || self.product.is_some() || self.sku.is_some()
    }

    /// Whether all that was given is so.
    pub(super) fn fits(&self, event: &EventBody<'_>) -> bool {
        self.order.as_deref().is_none_or(|id| is_of_order(event, id))
            && self.customer.as_deref().is_none_or(|id| is_of_customer(event, id))
            && self.product.is_none_or(|id| is_of_product(event, id))
            && self.sku.as_deref().is_none_or(|sku| is_of_sku(event, sku))
    }
}

fn is_of_order(event: &EventBody<'_>, id: &str) -> bool {
    let ids = [
        event.order.as_ref().map(|order| &*order.id),
        event.review.as_ref().and_then(|review| review.order_id.as_deref()),
        event.repair.as_ref().and_then(|repair| repair.order_id.as_deref()),
    ];
    ids.contains(&Some(id))
}

fn is_of_customer(event: &EventBody<'_>, id: &str) -> bool {
    let ids = [
        event.order.as_ref().and_then(|order| order.customer_id.as_deref()),
        event.review.as_ref().and_then(|review| review.customer_id.as_deref()),
        event.repair.as_ref().and_then(|repair| repair.customer_id.as_deref()),
    ];
    ids.contains(&Some(id))
}

fn is_of_product(event: &EventBody<'_>, id: u64) -> bool {
    event.product.as_ref().is_some_and(|product| product.id == id)
        || event.repair.as_ref().is_some_and(|repair| repair.product_id == Some(id))
        || items(event).iter().any(|item| item.product_id == id)
}

fn is_of_sku(event: &EventBody<'_>, sku: &str) -> bool {
    event.product.as_ref().is_some_and(|product| product.sku.as_deref() == Some(sku))
        || items(event).iter().any(|item| item.sku.as_deref() == Some(sku))
}

fn items<'a>(event: &'a EventBody<'_>) -> &'a [ItemBody] {
    event.order.as_ref().map_or(&[], |order| &order.items)
}
