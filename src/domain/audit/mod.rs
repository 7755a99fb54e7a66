//! The audit compares the stored units, customers and indexes of a sale with its records, which are live holds and orders.
//! Records are what customers were promised, so where the two differ the records are right.

mod compare;
mod difference;
mod tally;

use std::collections::{BTreeMap, BTreeSet};

pub use self::{
    compare::{Look, compare},
    difference::{Difference, DifferenceKind, RepairStage},
    tally::Tally,
};
use super::ids::{ProductId, SaleId};

/// Units that come back at one deadline: a sum over all holds, or all pending orders, that lapse then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket {
    /// Epoch milliseconds.
    pub deadline_ms: i64,
    pub product: ProductId,
    pub kind: BucketKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BucketKind {
    Held,
    Pending,
}

impl Bucket {
    fn either<T>(&self, held: T, pending: T) -> T {
        match self.kind {
            BucketKind::Held => held,
            BucketKind::Pending => pending,
        }
    }
}

/// Units of a customer: due back at a deadline, or bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Share {
    DueBack(Bucket),
    Bought(ProductId),
}

/// The counters of a product as they are stored, even where they are impossible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub total: i64,
    pub available: i64,
    pub held: i64,
    pub pending: i64,
    pub sold: i64,
}

/// The stored units of a sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    pub now_ms: i64,
    /// The number of the last write: when it was, in epoch microseconds. No other write of the sale has it.
    pub last_write: i64,
    pub products: BTreeMap<ProductId, Counters>,
    pub buckets: BTreeMap<Bucket, i64>,
    /// The index of the buckets, with the deadline that it has for each.
    pub deadlines: BTreeMap<Bucket, i64>,
    /// Products with something that cannot be read. `None` where even the product cannot.
    pub unreadable: BTreeSet<Option<ProductId>>,
}

impl Stored {
    fn units(&self, bucket: &Bucket) -> i64 {
        self.buckets.get(bucket).copied().unwrap_or(0)
    }

    fn sold(&self, product: ProductId) -> Option<i64> {
        self.products.get(&product).map(|counters| counters.sold)
    }

    /// Whether no script wrote between this and `later`.
    fn rests_until(&self, later: &Self) -> bool {
        self.last_write == later.last_write && self.now_ms <= later.now_ms
    }
}

/// The result for one sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleAudit {
    pub sale: SaleId,
    /// No script wrote during the audit. Otherwise the differences are those that all looks found.
    pub is_exact: bool,
    /// How often the audit read the sale.
    pub looks: u32,
    pub products: usize,
    pub holds: u64,
    pub orders: u64,
    pub customers: usize,
    pub differences: Vec<Difference>,
    /// The number of the last write. A repair is made only while no script has written since.
    pub last_write: i64,
}

/// What an audit can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditOutcome {
    /// The state now, and the differences that were repaired before.
    Audited {
        sales: Vec<SaleAudit>,
        repaired: Vec<(SaleId, Difference)>,
    },
    SaleNotFound,
}
