//! The audit: what a sale's counters, buckets, customers and indexes say, against what its records say. Records, which are
//! live holds and orders, are what customers were told; where the two differ, the records are right.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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
}

impl Stored {
    fn units(&self, bucket: &Bucket) -> i64 {
        self.buckets.get(bucket).copied().unwrap_or(0)
    }

    fn sold(&self, product: ProductId) -> Option<i64> {
        self.products.get(&product).map(|counters| counters.sold)
    }

    /// Whether nothing was written from the one to the other. A script that writes in the millisecond of the last one leaves
    /// no trace, so the first must be later than that.
    fn rests_until(&self, later: &Self) -> bool {
        self.now_ms > self.last_now_ms && self.last_now_ms == later.last_now_ms
    }
}

/// What can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// `total - held - pending - sold`.
    Available,
    /// The sum of the buckets of held units.
    Held,
    /// The sum of the buckets of pending units.
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
    /// A record that cannot be read.
    Record,
}

impl What {
    const ALL: [Self; 15] = [
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
            Self::Record => "record",
        }
    }
}

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
        let repairable = !matches!(what, What::Review | What::Record);
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

    /// Whether it is the same thing, wrong by as much.
    pub fn persists_in(&self, later: &[Self]) -> bool {
        later.iter().any(|other| {
            self.what == other.what
                && self.product == other.product
                && self.customer == other.customer
                && self.hold == other.hold
                && self.deadline_ms == other.deadline_ms
                && self.by() == other.by()
        })
    }

    fn by(&self) -> i64 {
        self.recomputed - self.stored
    }

    /// What its repair adds to the product's available units.
    fn frees(&self) -> i64 {
        match self.what {
            What::Available => self.by(),
            What::Held | What::Pending | What::Sold | What::HeldUntil | What::PendingUntil => -self.by(),
            _ => 0,
        }
    }
}

impl Bucket {
    fn either<T>(&self, held: T, pending: T) -> T {
        match self.kind {
            Kind::Held => held,
            Kind::Pending => pending,
        }
    }
}

/// What the records of a sale say, added up record by record.
#[derive(Debug, Default)]
pub struct Tally {
    pub holds: u64,
    pub orders: u64,
    buckets: BTreeMap<Bucket, i64>,
    sold: BTreeMap<ProductId, i64>,
    customers: HashMap<CustomerId, Shares>,
    pub differences: Vec<Difference>,
}

#[derive(Debug, Default)]
struct Shares {
    units: BTreeMap<Share, i64>,
    /// What was stored before the records were read, of those who are looked at again.
    before: Option<BTreeMap<Share, i64>>,
    was_compared: bool,
}

impl Tally {
    /// Units of a live hold or a pending order.
    pub fn owe(&mut self, bucket: Bucket, units: i64, customer: Option<&CustomerId>) {
        *self.buckets.entry(bucket).or_default() += units;
        self.share(customer, Share::Owed(bucket), units);
    }

    /// Units of an order that was paid.
    pub fn buy(&mut self, product: ProductId, units: i64, customer: Option<&CustomerId>) {
        self.keep_sold(product, units);
        self.share(customer, Share::Bought(product), units);
    }

    /// Units that were refunded and stay sold. They do not count against the customer's limit.
    pub fn keep_sold(&mut self, product: ProductId, units: i64) {
        *self.sold.entry(product).or_default() += units;
    }

    fn share(&mut self, customer: Option<&CustomerId>, share: Share, units: i64) {
        let Some(customer) = customer else { return };
        *self.customers.entry(customer.clone()).or_default().units.entry(share).or_default() += units;
    }

    /// What is stored of a customer before the records are read: if it moves until [`Tally::compare_customer`], it is not judged.
    pub fn watch_customer(&mut self, customer: CustomerId, stored: BTreeMap<Share, i64>) {
        self.customers.entry(customer).or_default().before = Some(stored);
    }

    /// What is stored of one customer, who may come again. What lapsed up to the horizon does not count; what lapses later is
    /// left to [`compare`].
    pub fn compare_customer(&mut self, customer: &CustomerId, stored: &BTreeMap<Share, i64>, horizon_ms: i64) {
        let shares = self.customers.entry(customer.clone()).or_default();
        let has_moved = shares.before.as_ref().is_some_and(|before| before != stored);
        if std::mem::replace(&mut shares.was_compared, true) || has_moved {
            return;
        }
        self.differences.extend(differences_of_customer(customer, stored, &shares.units, horizon_ms));
    }

    /// Those of whom nothing is stored.
    pub fn compare_unseen_customers(&mut self, horizon_ms: i64) {
        for (customer, shares) in &self.customers {
            let has_moved = shares.before.as_ref().is_some_and(|before| !before.is_empty());
            if !shares.was_compared && !has_moved {
                let none = BTreeMap::new();
                self.differences.extend(differences_of_customer(customer, &none, &shares.units, horizon_ms));
            }
        }
    }

    /// Those who have something, or of whom something is stored.
    pub fn customers(&self) -> usize {
        self.customers.len()
    }
}

fn differences_of_customer(
    customer: &CustomerId,
    stored: &BTreeMap<Share, i64>,
    recomputed: &BTreeMap<Share, i64>,
    horizon_ms: i64,
) -> Vec<Difference> {
    let judged = |share: &&Share| !matches!(share, Share::Owed(bucket) if bucket.deadline_ms <= horizon_ms);
    let shares: BTreeSet<&Share> = stored.keys().chain(recomputed.keys()).filter(judged).collect();
    let of = |units: &BTreeMap<Share, i64>, share| units.get(share).copied().unwrap_or(0);
    shares
        .into_iter()
        .map(|share| (share, of(stored, share), of(recomputed, share)))
        .filter(|(_, stored, recomputed)| stored != recomputed)
        .map(|(share, stored, recomputed)| Difference::of_share(customer, share, stored, recomputed))
        .collect()
}

/// What one look at a sale found.
#[derive(Debug)]
pub struct Look {
    /// Nothing was written meanwhile: what differs is wrong. Else it may only have moved.
    pub is_exact: bool,
    pub differences: Vec<Difference>,
}

/// Compares what was stored before and after the records were read with what they say. What moved in between is not judged.
pub fn compare(before: &Stored, after: &Stored, tally: &Tally) -> Look {
    let ahead = |difference: &&Difference| {
        difference.customer.is_none() || difference.deadline_ms.is_none_or(|deadline_ms| deadline_ms > after.now_ms)
    };
    let mut differences: Vec<_> = tally.differences.iter().filter(ahead).cloned().collect();
    let wrong = wrong_buckets(before, after, tally);
    for (bucket, recomputed) in &wrong {
        let what = bucket.either(What::HeldUntil, What::PendingUntil);
        differences.push(Difference::new(what, after.units(bucket), *recomputed).of_bucket(bucket));
    }
    differences.extend(wrong_deadlines(after, &wrong));
    differences.extend(wrong_counters(before, after, tally));
    differences.sort_by_key(|difference| (difference.product, difference.what, difference.deadline_ms));
    mark_what_cannot_be_repaired(&mut differences, after);
    Look { is_exact: before.rests_until(after), differences }
}

/// Those whose deadline is ahead; of the others the records are gone.
fn wrong_buckets(before: &Stored, after: &Stored, tally: &Tally) -> BTreeMap<Bucket, i64> {
    let ahead = |bucket: &&Bucket| bucket.deadline_ms > after.now_ms;
    let all: BTreeSet<&Bucket> = after.buckets.keys().chain(tally.buckets.keys()).filter(ahead).collect();
    let recomputed = |bucket| tally.buckets.get(bucket).copied().unwrap_or(0);
    all.into_iter()
        .filter(|bucket| before.units(bucket) == after.units(bucket))
        .map(|bucket| (*bucket, recomputed(bucket)))
        .filter(|(bucket, recomputed)| after.units(bucket) != *recomputed)
        .collect()
}

/// Each bucket is in the index, as it will be when it is right, and nothing else is.
fn wrong_deadlines(after: &Stored, wrong: &BTreeMap<Bucket, i64>) -> Vec<Difference> {
    let all: BTreeSet<&Bucket> = after.buckets.keys().chain(after.deadlines.keys()).chain(wrong.keys()).collect();
    let difference = |bucket: &Bucket| {
        let units = wrong.get(bucket).copied().unwrap_or_else(|| after.units(bucket));
        let expected = if units > 0 { bucket.deadline_ms } else { 0 };
        let stored = after.deadlines.get(bucket).copied().unwrap_or(0);
        let what = bucket.either(What::HeldDeadline, What::PendingDeadline);
        (stored != expected).then(|| Difference::new(what, stored, expected).of_bucket(bucket))
    };
    all.into_iter().filter_map(difference).collect()
}

fn wrong_counters(before: &Stored, after: &Stored, tally: &Tally) -> Vec<Difference> {
    let mut sums: BTreeMap<(ProductId, Kind), i64> = BTreeMap::new();
    for (bucket, units) in &after.buckets {
        *sums.entry((bucket.product, bucket.kind)).or_default() += units;
    }
    let owed = |product, kind| sums.get(&(product, kind)).copied().unwrap_or(0);
    let sold = |product: ProductId| tally.sold.get(&product).copied().unwrap_or(0);
    let mut found = Vec::new();
    for (product, c) in &after.products {
        let mut check = |what, stored: i64, recomputed: i64| {
            if stored != recomputed {
                found.push(Difference::new(what, stored, recomputed).of_product(*product));
            }
        };
        check(What::Available, c.available, c.total - c.held - c.pending - c.sold);
        check(What::Held, c.held, owed(*product, Kind::Held));
        check(What::Pending, c.pending, owed(*product, Kind::Pending));
        if before.sold(*product) == Some(c.sold) {
            check(What::Sold, c.sold, sold(*product));
        }
    }
    found
}

/// No repair takes units that are not there: then more are promised than the product has, which a person must settle.
fn mark_what_cannot_be_repaired(differences: &mut [Difference], after: &Stored) {
    let mut available: BTreeMap<ProductId, i64> =
        after.products.iter().map(|(product, counters)| (*product, counters.available)).collect();
    for difference in differences.iter() {
        if let Some(units) = difference.product.and_then(|product| available.get_mut(&product)) {
            *units += difference.frees();
        }
    }
    for difference in differences.iter_mut().filter(|difference| difference.frees() != 0) {
        let would_be = difference.product.and_then(|product| available.get(&product));
        difference.repairable = would_be.is_some_and(|units| *units >= 0);
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
