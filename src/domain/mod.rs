//! The words of a sale as types. Knows neither HTTP nor Redis nor serde: whoever holds a value of these types may trust it.

pub mod audit;
pub mod cursor;
pub mod event;
pub mod hold;
pub mod ids;
pub mod money;
pub mod order;
pub mod order_filter;
pub mod outcome;
pub mod payment;
pub mod product;
pub mod quantity;
pub mod review;
pub mod sale;
pub mod text;
