//! A customer of a sale: what counts for them, what each limit leaves, and why their next hold would be refused. `lua/hold.lua`
//! decides by the same rules, in the same order.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    audit::{Bucket, BucketKind},
    ids::ProductId,
    limits::CustomerLimit,
    order::Order,
    outcome::{HoldOutcome, Shortage},
    product::Product,
    quantity::Quantity,
    sale::{Sale, SaleStatus},
    visibility::Visibility,
};

/// What counts for a customer in a sale, at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub now_ms: i64,
    /// Held and pending units, and until when they are.
    pub due_back: BTreeMap<Bucket, u64>,
    pub bought: BTreeMap<ProductId, u64>,
    /// Holds and orders that were left in a row.
    pub abandoned: u64,
    /// When the last of them was.
    pub abandoned_ms: Option<i64>,
}

/// Units of a customer by where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CustomerUnits {
    pub held: u64,
    pub pending: u64,
    pub bought: u64,
}

impl CustomerUnits {
    pub fn sum(&self) -> u64 {
        self.held + self.pending + self.bought
    }
}

/// A limit, and what of this customer counts there: held, pending and bought units together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedLimit {
    pub of: CustomerLimit,
    pub most: u64,
    pub counted: u64,
}

impl CountedLimit {
    /// Units that the customer may still have.
    pub fn remaining(&self) -> u64 {
        self.most.saturating_sub(self.counted)
    }

    /// Whether it counts units of this product.
    pub fn covers(&self, product: &Product) -> bool {
        match &self.of {
            CustomerLimit::Product(id) => *id == product.id,
            CustomerLimit::Group(group) => product.group.as_ref() == Some(group),
            CustomerLimit::Sale => true,
        }
    }
}

/// A customer in a sale, with the products of which they have units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleCustomer {
    pub sale: Sale,
    pub counted: Counted,
    pub products: Vec<Product>,
}

/// What is known of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The sales in which something counts.
    pub sales: Vec<SaleCustomer>,
    /// Those among the latest orders that are theirs, the latest first.
    pub orders: Vec<Order>,
    /// How many of the latest orders, of whatever customers, were looked at.
    pub orders_examined: u64,
    /// Whether there are older ones.
    pub has_older: bool,
}

impl Counted {
    pub fn units_of(&self, product: ProductId) -> CustomerUnits {
        let due = |kind| {
            let buckets = self.due_back.iter().filter(|(bucket, _)| bucket.product == product && bucket.kind == kind);
            buckets.map(|(_, units)| units).sum()
        };
        let bought = self.bought.get(&product).copied().unwrap_or_default();
        CustomerUnits { held: due(BucketKind::Held), pending: due(BucketKind::Pending), bought }
    }

    /// The products of which the customer has units.
    pub fn products(&self) -> BTreeSet<ProductId> {
        self.due_back.keys().map(|bucket| bucket.product).chain(self.bought.keys().copied()).collect()
    }
}

impl SaleCustomer {
    pub fn status(&self) -> SaleStatus {
        self.sale.terms.window.status(self.counted.now_ms)
    }

    /// Until when the customer must wait.
    pub fn cooling_until_ms(&self) -> Option<i64> {
        let terms = &self.sale.terms;
        let again = self.counted.abandoned_ms? + i64::try_from(terms.cooldown_ms).unwrap_or(i64::MAX);
        let left_too_many = terms.cooldown_holds > 0 && self.counted.abandoned >= terms.cooldown_holds;
        (left_too_many && self.counted.now_ms < again).then_some(again)
    }

    /// All limits that count units of this customer, in order of precedence.
    pub fn limits(&self) -> Vec<CountedLimit> {
        let counted = |product: &Product| self.counted.units_of(product.id).sum();
        let of_product = |product: &Product| {
            let of = CustomerLimit::Product(product.id);
            Some(CountedLimit { of, most: product.max_per_customer?, counted: counted(product) })
        };
        let mut limits: Vec<_> = self.products.iter().filter_map(of_product).collect();
        if let Some(most) = self.sale.terms.max_per_group.map(Quantity::get) {
            let groups: BTreeSet<_> = self.products.iter().filter_map(|product| product.group.as_ref()).collect();
            limits.extend(groups.into_iter().map(|group| {
                let members = self.products.iter().filter(|product| product.group.as_ref() == Some(group));
                CountedLimit { of: CustomerLimit::Group(group.clone()), most, counted: members.map(counted).sum() }
            }));
        }
        let of_sale = self.sale.terms.max_per_customer.map(Quantity::get);
        limits.extend(of_sale.map(|most| CountedLimit {
            of: CustomerLimit::Sale,
            most,
            counted: self.products.iter().map(counted).sum(),
        }));
        limits
    }

    /// Why a hold of anything in this sale would be refused. `None`: it depends on the product.
    pub fn refusal(&self) -> Option<HoldOutcome> {
        let (window, now_ms) = (self.sale.terms.window, self.counted.now_ms);
        match self.status() {
            SaleStatus::Live => {}
            status => return Some(HoldOutcome::SaleNotOpen { status, starts_ms: window.starts_ms, now_ms }),
        }
        if let Some(until_ms) = self.cooling_until_ms() {
            return Some(HoldOutcome::CustomerCoolingDown { until_ms, now_ms });
        }
        reached(self.limits().into_iter().filter(|limit| limit.of == CustomerLimit::Sale))
    }

    /// Why a hold of one unit of this product would be refused. `None`: it would not.
    pub fn refusal_of(&self, product: &Product) -> Option<HoldOutcome> {
        let limit = || reached(self.limits().into_iter().filter(|limit| limit.covers(product)));
        let shortage = || {
            let stock = product.stock;
            let shortage = Shortage {
                product: product.id,
                available: stock.available,
                coming_back: stock.held + stock.pending,
                next_release_ms: product.next_release_ms,
                now_ms: product.now_ms,
            };
            (stock.available == 0).then_some(HoldOutcome::InsufficientStock(shortage))
        };
        if product.seen_in(self.sale.terms.visibility) == Visibility::Hidden {
            return Some(HoldOutcome::ProductNotFound(product.id));
        }
        // A limit of the product comes before that of the sale.
        let anything = self.refusal().filter(|refusal| !matches!(refusal, HoldOutcome::CustomerLimitReached { .. }));
        anything.or_else(limit).or_else(shortage)
    }
}

/// The first limit that leaves nothing.
fn reached(mut limits: impl Iterator<Item = CountedLimit>) -> Option<HoldOutcome> {
    let CountedLimit { of, most, .. } = limits.find(|limit| limit.remaining() == 0)?;
    Some(HoldOutcome::CustomerLimitReached { limit: of, most, remaining: 0 })
}
