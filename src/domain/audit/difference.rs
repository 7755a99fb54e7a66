//! Differences between what is stored and what the records say, and the order in which they are repaired.

use std::collections::HashSet;

use super::{Bucket, BucketKind, Share};
use crate::domain::{
    ids::{HoldId, ProductId},
    text::CustomerId,
};

/// What can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// `total - held - pending - sold`.
    Available,
    /// The sum of the buckets of held units: of the right buckets if the sale rests, else of the stored ones.
    Held,
    /// The same sum of the buckets of pending units.
    Pending,
    /// The sum of the paid orders, and of the refunded ones whose units were not put back.
    Sold,
    /// A bucket: the sum of the holds of that deadline.
    HeldUntil,
    /// A bucket: the sum of the orders of that deadline.
    PendingUntil,
    /// The deadline of a bucket of held units in the index of deadlines.
    HeldDeadline,
    /// The deadline of a bucket of pending units in the index of deadlines.
    PendingDeadline,
    CustomerHeld,
    CustomerPending,
    CustomerBought,
    /// The time of an order in the index of orders.
    OrderIndex,
    /// The deadline of an order in the index of orders that wait for it.
    DueIndex,
    /// A payment of an order names a review which does not exist: nobody would look after that money. The number of these.
    Review,
    /// Captured money of an order that did not go back, pays nothing, and has no review. The number of its payments.
    Money,
    /// A sale that has products and is not in the list of sales.
    SaleIndex,
    /// Terms of a sale or a product that a shard has otherwise than the first one: 1, and 0 is right.
    ShardTerms,
    /// Units that one shard has borrowed from another, and that the other lent to it.
    Loan,
    /// A record that cannot be read, or is gone.
    Record,
}

impl DifferenceKind {
    const ALL: [Self; 19] = [
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
        Self::Money,
        Self::SaleIndex,
        Self::ShardTerms,
        Self::Loan,
        Self::Record,
    ];

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
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
            Self::Money => "money",
            Self::SaleIndex => "sale_index",
            Self::ShardTerms => "shard_terms",
            Self::Loan => "loan",
            Self::Record => "record",
        }
    }
}

/// One thing whose stored value is not what the records say. The values are units. For an index they are the times in it,
/// and 0 where there is no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub kind: DifferenceKind,
    pub product: Option<ProductId>,
    pub customer: Option<CustomerId>,
    /// The hold, or the hold that became the order.
    pub hold: Option<HoldId>,
    /// The deadline of the bucket, epoch milliseconds.
    pub deadline_ms: Option<i64>,
    pub stored: i64,
    pub recomputed: i64,
    pub repairable: bool,
}

/// Equal for the same thing, wrong by as much: kind, product, customer, hold, deadline, by how much.
type DifferenceKey<'a> = (DifferenceKind, Option<ProductId>, Option<&'a CustomerId>, Option<&'a str>, Option<i64>, i64);

impl Difference {
    pub fn new(kind: DifferenceKind, stored: i64, recomputed: i64) -> Self {
        let repairable = !matches!(
            kind,
            DifferenceKind::Review | DifferenceKind::Money | DifferenceKind::SaleIndex | DifferenceKind::Record
        );
        Self { kind, product: None, customer: None, hold: None, deadline_ms: None, stored, recomputed, repairable }
    }

    /// A record that cannot be read, or is gone.
    pub fn record() -> Self {
        Self::new(DifferenceKind::Record, 1, 0)
    }

    #[must_use]
    pub fn of_hold(mut self, hold: HoldId) -> Self {
        self.hold = Some(hold);
        self
    }

    /// Units that were borrowed twice are more than there are. Only a fail-over that lost the loan does that, and later loans
    /// make up for it.
    pub fn loan(product: ProductId, borrowed: i64, lent: i64) -> Self {
        let difference = Self::new(DifferenceKind::Loan, borrowed, lent).of_product(product);
        Self { repairable: lent > borrowed, ..difference }
    }

    #[must_use]
    pub fn of_product(mut self, product: ProductId) -> Self {
        self.product = Some(product);
        self
    }

    pub(super) fn of_bucket(mut self, bucket: &Bucket) -> Self {
        self.deadline_ms = Some(bucket.deadline_ms);
        self.of_product(bucket.product)
    }

    pub(super) fn of_share(customer: &CustomerId, share: &Share, stored: i64, recomputed: i64) -> Self {
        let difference = match share {
            Share::Bought(product) => {
                Self::new(DifferenceKind::CustomerBought, stored, recomputed).of_product(*product)
            }
            Share::DueBack(bucket) => {
                let kind = bucket.either(DifferenceKind::CustomerHeld, DifferenceKind::CustomerPending);
                Self::new(kind, stored, recomputed).of_bucket(bucket)
            }
        };
        Self { customer: Some(customer.clone()), ..difference }
    }

    /// The bucket whose units or deadline differ.
    pub(super) fn bucket(&self) -> Option<Bucket> {
        let kind = match self.kind {
            DifferenceKind::HeldUntil | DifferenceKind::HeldDeadline => BucketKind::Held,
            DifferenceKind::PendingUntil | DifferenceKind::PendingDeadline => BucketKind::Pending,
            _ => return None,
        };
        Some(Bucket { deadline_ms: self.deadline_ms?, product: self.product?, kind })
    }

    fn key(&self) -> DifferenceKey<'_> {
        let hold = self.hold.as_ref().map(HoldId::key);
        (self.kind, self.product, self.customer.as_ref(), hold, self.deadline_ms, self.by())
    }

    /// The differences that an earlier look found too, wrong by as much.
    #[must_use]
    pub fn persisting(found: Vec<Self>, earlier: &[Self]) -> Vec<Self> {
        let known: HashSet<_> = earlier.iter().map(Self::key).collect();
        found.into_iter().filter(|difference| known.contains(&difference.key())).collect()
    }

    fn by(&self) -> i64 {
        self.recomputed - self.stored
    }

    /// When it is repaired. Other scripts run between the stages, so no bucket may ever have more units than its counter:
    /// those units would come back without having been taken. So buckets shrink before the counters change, and grow after
    /// that.
    pub fn repair_stage(&self) -> RepairStage {
        match self.kind {
            DifferenceKind::Available | DifferenceKind::Held | DifferenceKind::Pending | DifferenceKind::Sold => {
                RepairStage::Counters
            }
            _ if self.bucket().is_some() && self.by() > 0 => RepairStage::GrowBuckets,
            _ => RepairStage::BeforeCounters,
        }
    }
}

/// The stages of a repair, in their order. One call repairs all counters of a product, because only together they keep its
/// total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepairStage {
    BeforeCounters,
    Counters,
    GrowBuckets,
}
