//! Adds up what the records of a sale say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Bucket, Difference, Share};
use crate::domain::{ids::ProductId, text::CustomerId};

/// The sums over the records of a sale, and the differences that were found on the way.
#[derive(Debug, Default)]
pub struct Tally {
    pub holds: u64,
    pub orders: u64,
    pub(super) buckets: BTreeMap<Bucket, i64>,
    pub(super) sold: BTreeMap<ProductId, i64>,
    /// Products that have a record, with their name.
    pub(super) products: BTreeSet<ProductId>,
    customers: HashMap<CustomerId, CustomerShares>,
    pub differences: Vec<Difference>,
}

#[derive(Debug, Default)]
struct CustomerShares {
    units: BTreeMap<Share, i64>,
    /// The stored shares before the records were read, of the customers whom an earlier look found to differ.
    before: Option<BTreeMap<Share, i64>>,
    was_compared: bool,
}

impl Tally {
    /// A product that has a record.
    pub fn add_product(&mut self, product: ProductId) {
        self.products.insert(product);
    }

    /// Something of the sale cannot be read at all.
    pub fn add_damage(&mut self) {
        let damage = Difference::record();
        if !self.differences.contains(&damage) {
            self.differences.push(damage);
        }
    }

    /// Units of a live hold or a pending order.
    pub fn add_due_back(&mut self, bucket: Bucket, units: i64, customer: Option<&CustomerId>) {
        *self.buckets.entry(bucket).or_default() += units;
        self.add_share(customer, Share::DueBack(bucket), units);
    }

    /// Units of a paid order.
    pub fn add_bought(&mut self, product: ProductId, units: i64, customer: Option<&CustomerId>) {
        self.add_sold(product, units);
        self.add_share(customer, Share::Bought(product), units);
    }

    /// Units that were refunded and stay sold. They do not count against the customer's limit.
    pub fn add_sold(&mut self, product: ProductId, units: i64) {
        *self.sold.entry(product).or_default() += units;
    }

    fn add_share(&mut self, customer: Option<&CustomerId>, share: Share, units: i64) {
        let Some(customer) = customer else { return };
        *self.customers.entry(customer.clone()).or_default().units.entry(share).or_default() += units;
    }

    /// The stored shares of a customer before the records are read. If they change until [`Tally::compare_customer`], this
    /// look does not judge the customer.
    pub fn watch_customer(&mut self, customer: CustomerId, stored: BTreeMap<Share, i64>) {
        self.customers.entry(customer).or_default().before = Some(stored);
    }

    /// Compares the stored shares of a customer, who may come twice. Shares that lapsed up to the horizon do not count.
    /// Those that lapse later are left to [`super::compare`].
    pub fn compare_customer(&mut self, customer: &CustomerId, stored: &BTreeMap<Share, i64>, horizon_ms: i64) {
        let shares = self.customers.entry(customer.clone()).or_default();
        let has_moved = shares.before.as_ref().is_some_and(|before| before != stored);
        if std::mem::replace(&mut shares.was_compared, true) || has_moved {
            return;
        }
        self.differences.extend(differences_of_customer(customer, stored, &shares.units, horizon_ms));
    }

    /// A customer whose stored shares cannot be read.
    pub fn add_unreadable_customer(&mut self, customer: &CustomerId) {
        let shares = self.customers.entry(customer.clone()).or_default();
        if !std::mem::replace(&mut shares.was_compared, true) {
            self.differences.push(Difference { customer: Some(customer.clone()), ..Difference::record() });
        }
    }

    /// Compares the customers who have no stored shares.
    pub fn compare_unseen_customers(&mut self, horizon_ms: i64) {
        for (customer, shares) in &self.customers {
            let has_moved = shares.before.as_ref().is_some_and(|before| !before.is_empty());
            if !shares.was_compared && !has_moved {
                let none = BTreeMap::new();
                self.differences.extend(differences_of_customer(customer, &none, &shares.units, horizon_ms));
            }
        }
    }

    /// The number of customers who have units, by the records or as stored.
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
    let is_ahead = |share: &&Share| !matches!(share, Share::DueBack(bucket) if bucket.deadline_ms <= horizon_ms);
    let shares: BTreeSet<&Share> = stored.keys().chain(recomputed.keys()).filter(is_ahead).collect();
    let of = |units: &BTreeMap<Share, i64>, share| units.get(share).copied().unwrap_or(0);
    shares
        .into_iter()
        .map(|share| (share, of(stored, share), of(recomputed, share)))
        .filter(|(_, stored, recomputed)| stored != recomputed)
        .map(|(share, stored, recomputed)| Difference::of_share(customer, share, stored, recomputed))
        .collect()
}
