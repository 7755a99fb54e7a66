//! The audit: what a sale's counters, buckets, customers and indexes say, against what its records say. Records, which are
//! live holds and orders, are what customers were told; where the two differ, the records are right.

mod compare;
mod tally;

use std::collections::{BTreeMap, BTreeSet, HashSet};

pub use self::{
    compare::{Look, compare},
    tally::Tally,
};
use super::{
    ids::{HoldId, ProductId, SaleId},
    text::CustomerId,
};

/// Units that come back at one deadline: a sum over all holds, or all pending orders, that lapse then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket {
    /// Epoch milliseconds.
    pub deadline_ms: i64,
    pub product: ProductId,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Held,
    Pending,
}

/// Units of a customer: owed until a deadline, or bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Share {
    Owed(Bucket),
    Bought(ProductId),
}

/// The counters of a product, as they are stored: even what cannot be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub total: i64,
    pub available: i64,
    pub held: i64,
    pub pending: i64,
    pub sold: i64,
}

/// What is stored of the units of a sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    pub now_ms: i64,
    /// When a script last wrote.
    pub last_now_ms: i64,
    pub products: BTreeMap<ProductId, Counters>,
    pub buckets: BTreeMap<Bucket, i64>,
    /// The index of the buckets, with the instant under which each stands.
    pub deadlines: BTreeMap<Bucket, i64>,
    /// Products of which something cannot be read, or `None` where even the product cannot.
    pub unreadable: BTreeSet<Option<ProductId>>,
}

impl Stored {
    fn units(&self, bucket: &Bucket) -> i64 {
        self.buckets.get(bucket).copied().unwrap_or(0)
    }

    fn sold(&self, product: ProductId) -> Option<i64> {
        self.products.get(&product).map(|counters| counters.sold)
    }

    /// Whether nothing was written from the one to the other. A script that writes in the millisecond of the last one leaves
    /// no trace, nor does one while the clock has stepped back, so the first must be later than that, and the second no earlier.
    fn rests_until(&self, later: &Self) -> bool {
        self.now_ms > self.last_now_ms && self.last_now_ms == later.last_now_ms && self.now_ms <= later.now_ms
    }
}

/// What can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// `total - held - pending - sold`.
    Available,
    /// The sum of the buckets of held units, as they are when they are right if the sale rests, else as they are stored.
    Held,
    /// As much of pending units.
    Pending,
    /// The sum of the orders that were paid, and of refunds that were not put back.
    Sold,
    /// A bucket: the sum of the holds of that deadline.
    HeldUntil,
    /// A bucket: the sum of the orders of that deadline.
    PendingUntil,
    /// Where a bucket of held units stands in the index of deadlines.
    HeldDeadline,
    /// Where a bucket of pending units stands in the index of deadlines.
    PendingDeadline,
    CustomerHeld,
    CustomerPending,
    CustomerBought,
    /// Where an order stands in the index of orders.
    OrderIndex,
    /// Where an order stands among those that wait for their deadline.
    DueIndex,
    /// An order that names a review which is not there: money that nobody would look after.
    Review,
    /// A sale that has products and is not in the list of sales.
    SaleIndex,
    /// A record that cannot be read, or is gone.
    Record,
}

impl What {
    const ALL: [Self; 16] = [
        Self::Available,
        Self::Held,
        Self::Pending,
        Self::Sold,
        Self::HeldUntil,
        Self::PendingUntil,
        Self::HeldDeadline,
        Self::PendingDeadline,
        Self::CustomerHeld,
        Self::CustomerPending,
        Self::CustomerBought,
        Self::OrderIndex,
        Self::DueIndex,
        Self::Review,
        Self::SaleIndex,
        Self::Record,
    ];

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.as_str() == word)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Held => "held",
            Self::Pending => "pending",
            Self::Sold => "sold",
            Self::HeldUntil => "held_until",
            Self::PendingUntil => "pending_until",
            Self::HeldDeadline => "held_deadline",
            Self::PendingDeadline => "pending_deadline",
            Self::CustomerHeld => "customer_held",
            Self::CustomerPending => "customer_pending",
            Self::CustomerBought => "customer_bought",
            Self::OrderIndex => "order_index",
            Self::DueIndex => "due_index",
            Self::Review => "review",
            Self::SaleIndex => "sale_index",
            Self::Record => "record",
        }
    }
}

/// The same of two things that are the same, and wrong by as much: what, product, customer, hold, deadline, by how much.
type Key<'a> = (What, Option<ProductId>, Option<&'a CustomerId>, Option<&'a str>, Option<i64>, i64);

/// One thing that is stored otherwise than the records say. Counts of units, or instants of an index, where 0 is: not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub what: What,
    pub product: Option<ProductId>,
    pub customer: Option<CustomerId>,
    /// The hold, or the hold that the order was.
    pub hold: Option<HoldId>,
    /// The deadline that it is about, epoch milliseconds.
    pub deadline_ms: Option<i64>,
    pub stored: i64,
    pub recomputed: i64,
    pub repairable: bool,
}

impl Difference {
    pub fn new(what: What, stored: i64, recomputed: i64) -> Self {
        let repairable = !matches!(what, What::Review | What::SaleIndex | What::Record);
        Self { what, product: None, customer: None, hold: None, deadline_ms: None, stored, recomputed, repairable }
    }

    #[must_use]
    pub fn of_hold(mut self, hold: HoldId) -> Self {
        self.hold = Some(hold);
        self
    }

    fn of_product(mut self, product: ProductId) -> Self {
        self.product = Some(product);
        self
    }

    fn of_bucket(mut self, bucket: &Bucket) -> Self {
        self.deadline_ms = Some(bucket.deadline_ms);
        self.of_product(bucket.product)
    }

    fn of_share(customer: &CustomerId, share: &Share, stored: i64, recomputed: i64) -> Self {
        let mut difference = match share {
            Share::Bought(product) => Self::new(What::CustomerBought, stored, recomputed).of_product(*product),
            Share::Owed(bucket) => {
                let what = bucket.either(What::CustomerHeld, What::CustomerPending);
                Self::new(what, stored, recomputed).of_bucket(bucket)
            }
        };
        difference.customer = Some(customer.clone());
        difference
    }

    /// The bucket that it is about, if it is one.
    fn bucket(&self) -> Option<Bucket> {
        let kind = match self.what {
            What::HeldUntil | What::HeldDeadline => Kind::Held,
            What::PendingUntil | What::PendingDeadline => Kind::Pending,
            _ => return None,
        };
        Some(Bucket { deadline_ms: self.deadline_ms?, product: self.product?, kind })
    }

    fn key(&self) -> Key<'_> {
        let hold = self.hold.as_ref().map(HoldId::key);
        (self.what, self.product, self.customer.as_ref(), hold, self.deadline_ms, self.by())
    }

    /// Those that were there before, wrong by as much.
    #[must_use]
    pub fn persisting(found: Vec<Self>, earlier: &[Self]) -> Vec<Self> {
        let known: HashSet<_> = earlier.iter().map(Self::key).collect();
        found.into_iter().filter(|difference| known.contains(&difference.key())).collect()
    }

    fn by(&self) -> i64 {
        self.recomputed - self.stored
    }

    /// When it is repaired. Whatever comes in between, no bucket may have more units than its counter: they would come back
    /// without having been taken. So buckets shrink before the counters change, and grow after that.
    pub fn turn(&self) -> Turn {
        match self.what {
            What::Available | What::Held | What::Pending | What::Sold => Turn::Counters,
            _ if self.bucket().is_some() && self.by() > 0 => Turn::Last,
            _ => Turn::First,
        }
    }
}

/// The order of repairs. Counters of one product are repaired in one call, for only together they leave it what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    First,
    Counters,
    Last,
}

impl Bucket {
    fn either<T>(&self, held: T, pending: T) -> T {
        match self.kind {
            Kind::Held => held,
            Kind::Pending => pending,
        }
    }
}

/// What was found about one sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleAudit {
    pub sale: SaleId,
    /// Nothing was written while it was audited. Else what moved was looked at again, and what differs did so each time.
    pub is_exact: bool,
    /// How often it was looked at.
    pub looks: u32,
    pub products: usize,
    pub holds: u64,
    pub orders: u64,
    pub customers: usize,
    pub differences: Vec<Difference>,
    /// When a script last wrote, epoch milliseconds: a repair asks whether that is still so.
    pub last_now_ms: i64,
}

/// Of a wish to audit and, where it was asked for, to repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditOutcome {
    /// As it is now, and what was repaired before.
    Audited {
        sales: Vec<SaleAudit>,
        repaired: Vec<(SaleId, Difference)>,
    },
    SaleNotFound,
}
