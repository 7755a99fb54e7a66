//! What a comparison found, as it is printed and written as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

/// Something that the log knows and the store does not, or not yet. The worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Paid in the log. In the store it is gone, or in another state.
    PaidOrder,
    /// Money came in the log, which was in review, or should go or went back.
    OrderWithMoney,
    /// Money came that a person must look at.
    Review,
    Sale,
    Product,
    /// No money came.
    Order,
}

impl What {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PaidOrder => "paid_order",
            Self::OrderWithMoney => "order_with_money",
            Self::Review => "review",
            Self::Sale => "sale",
            Self::Product => "product",
            Self::Order => "order",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub what: What,
    pub sale: String,
    /// The id of the order, review, product or sale.
    pub id: String,
    pub in_log: String,
    /// `None`: it is not there.
    pub in_store: Option<String>,
    /// The fields that differ: what each is in the log, and in the store.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    pub amount: Option<String>,
    pub currency: Option<String>,
    /// When the last event about it was written.
    pub at: String,
}

/// A line of the log that is no event, which nothing else is concluded from.
#[derive(Clone, Debug, Serialize)]
pub struct UnreadableLine {
    pub line: u64,
    pub why: String,
}

impl UnreadableLine {
    /// `3 is no event: …`
    pub fn line_and_why(&self) -> String {
        format!("{} {}", self.line, self.why)
    }
}

/// Things of one kind.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counts {
    pub in_log: u64,
    /// The store does not have them.
    pub missing: u64,
    /// The store has them as they were before.
    pub older: u64,
}

/// Money of orders that are paid in the log and not in the store.
#[derive(Clone, Debug, Serialize)]
pub struct LostMoney {
    pub currency: String,
    pub amount: String,
    pub orders: u64,
}

/// Units of those orders, which the store may sell again.
#[derive(Clone, Debug, Serialize)]
pub struct LostUnits {
    pub product_id: u64,
    pub units: u64,
    /// `None`: the store has no such product.
    pub available_stock: Option<u64>,
}

/// The whole result.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// Nothing is missing or older, and every line was read.
    pub ok: bool,
    pub events: u64,
    /// The first event that the store lacks.
    pub lost_since: Option<String>,
    pub orders: Counts,
    pub reviews: Counts,
    pub products: Counts,
    pub sales: Counts,
    /// Unpaid orders that the store does not keep any more, as it should be.
    pub forgotten_orders: u64,
    pub paid: Vec<LostMoney>,
    pub units: Vec<LostUnits>,
    pub unreadable_lines: u64,
    pub unreadable: Vec<UnreadableLine>,
    pub differences: Vec<Finding>,
}

/// Sums of lost money and units, while they are counted.
#[derive(Default)]
pub(super) struct Sums {
    /// Ten-thousandths and orders, by currency.
    pub(super) money: BTreeMap<&'static str, (u64, u64)>,
    pub(super) units: BTreeMap<u64, u64>,
}
