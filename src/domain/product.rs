//! Products and their units.

use super::{
    ids::{ProductId, SaleId},
    money::{Amount, Currency},
    quantity::Quantity,
    sale::Window,
    text::Name,
};

/// Where the units of a product are. The law: `total = available + held + pending + sold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    pub total: u64,
    pub available: u64,
    pub held: u64,
    pub pending: u64,
    pub sold: u64,
}

/// A product as it stands. Times are epoch milliseconds of the Redis clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    pub id: ProductId,
    pub sale: SaleId,
    pub name: String,
    pub price: Amount,
    pub currency: Currency,
    pub stock: Stock,
    pub max_per_hold: u64,
    /// Held, pending and bought units together; `None`: no limit.
    pub max_per_customer: Option<u64>,
    /// When its sale takes holds.
    pub window: Window,
    /// When Redis said so.
    pub now_ms: i64,
    /// When units come back next, if any may.
    pub next_release_ms: Option<i64>,
}

/// A product to be made.
#[derive(Clone, Debug)]
pub struct NewProduct {
    /// `None`: the next free one.
    pub id: Option<ProductId>,
    /// `None`: a sale of its own.
    pub sale: Option<SaleId>,
    pub name: Name,
    pub price: Amount,
    pub currency: Currency,
    pub total: u64,
    pub max_per_hold: Quantity,
    pub max_per_customer: Option<Quantity>,
}

impl NewProduct {
    /// The fields in which a product that is there already is another than this one would be.
    pub fn differs_from(&self, there: &Product) -> Vec<&'static str> {
        let is_same_sale = self.sale.as_ref().map_or(there.sale.is_reserved(), |sale| *sale == there.sale);
        let same = [
            ("sale", is_same_sale),
            ("name", self.name.as_str() == there.name),
            ("price", self.price == there.price),
            ("currency", self.currency == there.currency),
            ("total_stock", self.total == there.stock.total),
            ("max_per_hold", self.max_per_hold.get() == there.max_per_hold),
            ("max_per_customer", self.max_per_customer.map(Quantity::get) == there.max_per_customer),
        ];
        same.into_iter().filter_map(|(field, is_same)| (!is_same).then_some(field)).collect()
    }
}

/// What to change of a product; `None` where it stays.
#[derive(Clone, Debug, Default)]
pub struct ProductChange {
    pub name: Option<Name>,
    /// Checked against the decimals of the currency once that is known.
    pub price: Option<Amount>,
    pub max_per_hold: Option<Quantity>,
    pub max_per_customer: Option<Option<Quantity>>,
}

/// How many units there shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restock {
    /// So many more, or fewer.
    Delta(i64),
    Total(u64),
}

/// The most units of one product.
pub const TOTAL_MAX: u64 = 1_000_000_000;
/// The largest `max_per_hold`.
pub const PER_HOLD_MAX: u64 = 1_000;
