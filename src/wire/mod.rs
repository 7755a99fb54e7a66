//! The bodies of the public interface, one definition each. `http` writes them, and the tools read them.
//!
//! A body borrows what it is made of when it is written, and owns it when it is read. Amounts are decimal strings, and times
//! are RFC 3339 in UTC with milliseconds.

pub mod audit;
pub mod customer;
pub mod event;
pub mod figures;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed;
pub mod hold;
pub mod import;
pub mod item;
pub mod metadata;
pub mod order;
pub mod payment;
pub mod problem;
pub mod product;
pub mod review;
pub mod sale;
pub mod table;
pub mod time;
pub mod token;
pub mod webhook;

use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// The `cursor` of the page that follows. `None` on the last page.
    pub next_cursor: Option<String>,
}

/// A list that comes whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct List<T> {
    pub data: Vec<T>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{order::OrderBody, product::ProductBody, *};

    #[test]
    fn a_body_is_read_as_it_was_written() {
        let product = json!({
            "id": 1, "sale": "p1", "name": "A \"quoted\" name", "price": "50.00", "currency": "USD", "total_stock": 100,
            "available_stock": 95, "held_stock": 5, "pending_stock": 0, "sold_stock": 0, "max_per_hold": 10,
            "max_per_customer": null, "status": "live", "starts_at": null, "ends_at": null,
            "next_release_at": "2026-11-22T15:04:05.000Z", "group": "air-max", "visibility": "public",
        });
        let read: Page<ProductBody<'static>> =
            serde_json::from_value(json!({"data": [product], "next_cursor": "1"})).unwrap();
        // As a text: the order of the fields is part of what people see.
        assert_eq!(serde_json::to_string(&read.data[0]).unwrap(), product.to_string());
        assert_eq!((read.data[0].available_stock, read.next_cursor.as_deref()), (95, Some("1")));
    }

    #[test]
    fn what_is_left_out_in_writing_may_be_missing_in_reading() {
        let order = json!({
            "id": "order_x", "hold_id": "hold_x", "items": [
                {"product_id": 1, "quantity": 2, "unit_price": "0.40"},
                {"product_id": 2, "quantity": 1, "unit_price": "0.20"}],
            "customer_id": null, "status": "pending", "total_amount": "1.00", "currency": "USD", "created_at": "c",
            "payment_due_at": "d", "paid_at": null,
        });
        let read: OrderBody<'static> = serde_json::from_value(order.clone()).unwrap();
        assert_eq!((read.product_id, read.late, &*read.status), (None, false, "pending"));
        assert_eq!(serde_json::to_string(&read).unwrap(), order.to_string());
        let newer: Value = json!({"data": [], "next_cursor": null, "of_next_year": 1});
        assert!(serde_json::from_value::<Page<OrderBody<'static>>>(newer).is_ok(), "a newer service may say more");
    }
}
