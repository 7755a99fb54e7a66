//! The readers of the bodies that admins send.

pub(crate) use super::import::fuzzed::{lines, tables};
use super::{new_product, products, reviews, sales};
use crate::http::fuzzed::Reader;

/// What each makes of a body, as a text.
pub(in crate::http) const READERS: [Reader; 6] = [
    |json, errors| new_product::read(json, errors).map(|read| format!("{read:?}")),
    |json, errors| products::read_change(json, errors).map(|read| format!("{read:?}")),
    |json, errors| products::read_restock(json, errors).map(|read| format!("{read:?}")),
    |json, errors| sales::read_sale(json, errors).map(|read| format!("{read:?}")),
    |json, errors| sales::read_change(json, errors).map(|read| format!("{read:?}")),
    |json, errors| reviews::read_decision(json, errors).map(|read| format!("{read:?}")),
];
