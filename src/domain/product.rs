//! Products and their units.

use super::{
    ids::{ProductId, SaleId, Shards},
    limits::Group,
    metadata::Metadata,
    money::{Amount, Currency, LINE_TOTAL_MAX},
    quantity::Quantity,
    sale::Window,
    sku::Sku,
    text::Name,
    visibility::Visibility,
};

/// Where the units of a product are. Invariant: `total = available + held + pending + sold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    pub total: u64,
    pub available: u64,
    pub held: u64,
    pub pending: u64,
    pub sold: u64,
}

/// A product. Times are epoch milliseconds of the Redis clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    pub id: ProductId,
    pub sale: SaleId,
    pub name: String,
    pub sku: Option<Sku>,
    pub metadata: Option<Metadata>,
    pub price: Amount,
    pub currency: Currency,
    pub stock: Stock,
    pub max_per_hold: u64,
    /// The bound on a customer's held, pending and bought units together. `None`: no limit.
    pub max_per_customer: Option<u64>,
    /// The window of its sale.
    pub window: Window,
    /// The time of the answer.
    pub now_ms: i64,
    /// The next instant at which units may come back.
    pub next_release_ms: Option<i64>,
    /// The products that `max_per_group` of the sale counts together with this one.
    pub group: Option<Group>,
    pub visibility: Visibility,
    /// It is sold no more, and only admins see it. Its holds and orders go on.
    pub archived: bool,
    /// In a shard of a spread sale: its units that other shards have or that are under way, less those of others here.
    pub lent: i64,
}

impl Product {
    /// Who sees the product in a sale of this visibility.
    pub fn seen_in(&self, sale: Visibility) -> Visibility {
        if self.archived { Visibility::Hidden } else { self.visibility.max(sale) }
    }
}

/// A product to be made.
#[derive(Clone, Debug)]
pub struct NewProduct {
    /// `None`: the next free id.
    pub id: Option<ProductId>,
    /// `None`: the product gets a sale of its own.
    pub sale: Option<SaleId>,
    /// Slots of a sale that is made for it. One that it names has its own number.
    pub shards: Shards,
    pub name: Name,
    pub sku: Option<Sku>,
    pub metadata: Option<Metadata>,
    pub price: Amount,
    pub currency: Currency,
    pub total: u64,
    /// `None`: the default.
    pub max_per_hold: Option<Quantity>,
    /// `None`: no limit.
    pub max_per_customer: Option<Quantity>,
    pub group: Option<Group>,
    /// `None`: the default.
    pub visibility: Option<Visibility>,
}

/// A field in which two products may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProductField {
    Sale,
    Name,
    Sku,
    Metadata,
    Price,
    Currency,
    Total,
    MaxPerHold,
    MaxPerCustomer,
    Group,
    Visibility,
}

impl NewProduct {
    pub fn max_per_hold(&self) -> u64 {
        self.max_per_hold.map_or(MAX_PER_HOLD_DEFAULT, Quantity::get)
    }

    /// The fields in which this product would differ from an existing one. What it does not name, of SKU, metadata, limits, group
    /// and visibility, is not compared.
    pub fn differs_from(&self, existing: &Product) -> Vec<ProductField> {
        let is_same_sale = self.sale.as_ref().map_or(existing.sale.is_reserved(), |sale| *sale == existing.sale);
        let is_same_limit = |wanted: Option<Quantity>, most| wanted.is_none_or(|wanted| Some(wanted.get()) == most);
        let same = [
            (ProductField::Sale, is_same_sale),
            (ProductField::Name, self.name.as_str() == existing.name),
            (ProductField::Sku, self.sku.is_none() || self.sku == existing.sku),
            (ProductField::Metadata, self.metadata.is_none() || self.metadata == existing.metadata),
            (ProductField::Price, self.price == existing.price),
            (ProductField::Currency, self.currency == existing.currency),
            (ProductField::Total, self.total == existing.stock.total),
            (ProductField::MaxPerHold, is_same_limit(self.max_per_hold, Some(existing.max_per_hold))),
            (ProductField::MaxPerCustomer, is_same_limit(self.max_per_customer, existing.max_per_customer)),
            (ProductField::Group, self.group.is_none() || self.group == existing.group),
            (ProductField::Visibility, self.visibility.is_none_or(|wanted| wanted == existing.visibility)),
        ];
        same.into_iter().filter_map(|(field, is_same)| (!is_same).then_some(field)).collect()
    }

    /// The change that makes an existing product with these differences like this one, as far as a change can. With another
    /// sale, SKU or currency it is another product, which stays as it is.
    pub fn change_of(&self, existing: &Product, differs: &[ProductField]) -> Option<ProductChange> {
        let has = |field| differs.contains(&field);
        let has_other_sku = has(ProductField::Sku) && existing.sku.is_some();
        let is_other = has(ProductField::Sale) || has_other_sku || has(ProductField::Currency);
        let can_change = differs.iter().any(|field| field.can_change(existing));
        (can_change && !is_other).then(|| ProductChange {
            name: has(ProductField::Name).then(|| self.name.clone()),
            sku: self.sku.clone().filter(|_| has(ProductField::Sku)),
            metadata: has(ProductField::Metadata).then(|| self.metadata.clone()),
            price: has(ProductField::Price).then_some(self.price),
            max_per_hold: self.max_per_hold.filter(|_| has(ProductField::MaxPerHold)),
            max_per_customer: self.max_per_customer.filter(|_| has(ProductField::MaxPerCustomer)).map(Some),
            group: self.group.clone().filter(|_| has(ProductField::Group)).map(Some),
            visibility: self.visibility.filter(|_| has(ProductField::Visibility)),
            archived: None,
        })
    }
}

impl ProductField {
    /// Whether a change of this product can change it. Units are restocked, and sale, SKU and currency stay
    /// for ever, but a product without a SKU may get one.
    pub fn can_change(self, existing: &Product) -> bool {
        match self {
            Self::Sku => existing.sku.is_none(),
            Self::Sale | Self::Currency | Self::Total => false,
            _ => true,
        }
    }
}

/// Changes of a product. `None`: the field stays.
#[derive(Clone, Debug, Default)]
pub struct ProductChange {
    pub name: Option<Name>,
    /// A product may get a SKU once.
    pub sku: Option<Sku>,
    pub metadata: Option<Option<Metadata>>,
    /// Checked against the decimals of the currency once that is known.
    pub price: Option<Amount>,
    pub max_per_hold: Option<Quantity>,
    pub max_per_customer: Option<Option<Quantity>>,
    pub group: Option<Option<Group>>,
    pub visibility: Option<Visibility>,
    pub archived: Option<bool>,
}

/// A change of the number of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restock {
    /// Units to add, or to take away.
    Delta(i64),
    Total(u64),
}

/// The `max_per_hold` of a product that names none.
pub const MAX_PER_HOLD_DEFAULT: u64 = 10;

/// Whether the largest hold of a product costs an amount that the scripts can compute exactly.
pub fn fits_one_hold(price: Amount, max_per_hold: u64) -> bool {
    price.times(max_per_hold).ten_thousandths() <= LINE_TOTAL_MAX
}

/// The most units of one product.
pub const TOTAL_MAX: u64 = 1_000_000_000;
/// The largest `max_per_hold`.
pub const PER_HOLD_MAX: u64 = 1_000;
