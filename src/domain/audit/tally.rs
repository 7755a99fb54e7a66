//! Adds up what the records of a sale say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Bucket, Difference, Share, What};
use crate::domain::{ids::ProductId, text::CustomerId};

/// What the records of a sale say, added up record by record.
#[derive(Debug, Default)]
pub struct Tally {
    pub holds: u64,
    pub orders: u64,
    pub(super) buckets: BTreeMap<Bucket, i64>,
    pub(super) sold: BTreeMap<ProductId, i64>,
    pub(super) products: BTreeSet<ProductId>,
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
    /// A product that has a name.
    pub fn add_product(&mut self, product: ProductId) {
        self.products.insert(product);
    }

    /// Something of the sale that cannot be read at all.
    pub fn add_damage(&mut self) {
        let damage = Difference::new(What::Record, 1, 0);
        if !self.differences.contains(&damage) {
            self.differences.push(damage);
        }
    }

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
    /// left to [`super::compare`].
    pub fn compare_customer(&mut self, customer: &CustomerId, stored: &BTreeMap<Share, i64>, horizon_ms: i64) {
        let shares = self.customers.entry(customer.clone()).or_default();
        let has_moved = shares.before.as_ref().is_some_and(|before| before != stored);
        if std::mem::replace(&mut shares.was_compared, true) || has_moved {
            return;
        }
        self.differences.extend(differences_of_customer(customer, stored, &shares.units, horizon_ms));
    }

    /// A customer of whom cannot be read what is stored.
    pub fn add_unreadable_customer(&mut self, customer: &CustomerId) {
        let shares = self.customers.entry(customer.clone()).or_default();
        if !std::mem::replace(&mut shares.was_compared, true) {
            let difference = Difference::new(What::Record, 1, 0);
            self.differences.push(Difference { customer: Some(customer.clone()), ..difference });
        }
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
