//! The words of a sale as types. Knows neither HTTP nor Redis nor serde: whoever holds a value of these types may trust it.

pub mod act;
pub mod audit;
pub mod cursor;
pub mod customer;
pub mod event;
pub mod event_cursor;
pub mod figures;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed;
pub mod hold;
pub mod ids;
pub mod limits;
pub mod metadata;
pub mod money;
pub mod order;
pub mod order_filter;
pub mod outcome;
pub mod payment;
pub mod product;
pub mod product_query;
pub mod quantity;
pub mod review;
pub mod sale;
pub mod sku;
pub mod text;
pub mod visibility;
