//! Compares what is stored of a sale with what its records say.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bucket, Counters, Difference, Stored, Tally, What};
use crate::domain::ids::ProductId;

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
    let is_exact = before.rests_until(after);
    let right = right_counters(before, after, tally, &wrong);
    let expected = if is_exact { right.clone() } else { right_counters(before, after, tally, &BTreeMap::new()) };
    differences.extend(wrong_counters(after, &expected));
    differences.extend(unreadable(before, after, tally, &right));
    differences.sort_by_key(|difference| (difference.product, difference.what, difference.deadline_ms));
    mark_what_cannot_be_repaired(&mut differences, &right, &wrong);
    Look { is_exact, differences }
}

/// What cannot be read of the units, products whose counters are gone, and products whose names are.
fn unreadable(
    before: &Stored,
    after: &Stored,
    tally: &Tally,
    right: &BTreeMap<ProductId, Counters>,
) -> Vec<Difference> {
    let is_there = |stored: &Stored, product: &ProductId| stored.products.contains_key(product);
    let gone = tally.products.iter().chain(right.keys()).filter(|product| !is_there(after, product));
    let nameless =
        after.products.keys().filter(|product| is_there(before, product) && !tally.products.contains(product));
    let all: BTreeSet<_> = after.unreadable.iter().copied().chain(gone.chain(nameless).copied().map(Some)).collect();
    all.into_iter().map(|product| Difference { product, ..Difference::new(What::Record, 1, 0) }).collect()
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

/// What the counters must be when the buckets are, also of products that have none. Products without a total have 0.
fn right_counters(
    before: &Stored,
    after: &Stored,
    tally: &Tally,
    wrong: &BTreeMap<Bucket, i64>,
) -> BTreeMap<ProductId, Counters> {
    let mut right: BTreeMap<ProductId, Counters> = BTreeMap::new();
    for (product, stored) in &after.products {
        right.insert(*product, Counters { total: stored.total, ..Counters::default() });
    }
    let buckets: BTreeSet<&Bucket> = after.buckets.keys().chain(wrong.keys()).collect();
    for bucket in buckets {
        let counters = right.entry(bucket.product).or_default();
        let units = wrong.get(bucket).copied().unwrap_or_else(|| after.units(bucket));
        *bucket.either(&mut counters.held, &mut counters.pending) += units;
    }
    for (product, units) in &tally.sold {
        right.entry(*product).or_default().sold = *units;
    }
    for (product, counters) in &mut right {
        if let Some(sold) = after.sold(*product).filter(|sold| before.sold(*product) != Some(*sold)) {
            counters.sold = sold;
        }
        counters.available = counters.total - counters.held - counters.pending - counters.sold;
    }
    right
}

fn wrong_counters(after: &Stored, right: &BTreeMap<ProductId, Counters>) -> Vec<Difference> {
    let mut found = Vec::new();
    let is_read = |product: &ProductId| !after.unreadable.contains(&Some(*product));
    for (product, stored) in after.products.iter().filter(|(product, _)| is_read(product)) {
        let Some(right) = right.get(product) else { continue };
        let mut check = |what, stored: i64, recomputed: i64| {
            if stored != recomputed {
                found.push(Difference::new(what, stored, recomputed).of_product(*product));
            }
        };
        check(What::Available, stored.available, right.available);
        check(What::Held, stored.held, right.held);
        check(What::Pending, stored.pending, right.pending);
        check(What::Sold, stored.sold, right.sold);
    }
    found
}

/// No repair takes units that are not there: then more are promised than the product has, which a person must settle. Nor
/// does one give back what is promised by a record that cannot be read.
fn mark_what_cannot_be_repaired(
    differences: &mut [Difference],
    right: &BTreeMap<ProductId, Counters>,
    wrong: &BTreeMap<Bucket, i64>,
) {
    let all_is_read = !differences.iter().any(|d| d.what == What::Record && (d.hold.is_some() || d.product.is_none()));
    let has_enough = |product: Option<ProductId>| {
        product.and_then(|product| right.get(&product)).is_some_and(|counters| counters.available >= 0)
    };
    for difference in differences {
        let product = difference.product;
        difference.repairable = match difference.what {
            What::Available | What::Held | What::Pending | What::Sold | What::HeldUntil | What::PendingUntil => {
                all_is_read && has_enough(product)
            }
            What::HeldDeadline | What::PendingDeadline => {
                difference.bucket().is_none_or(|bucket| !wrong.contains_key(&bucket))
                    || (all_is_read && has_enough(product))
            }
            What::CustomerHeld | What::CustomerPending | What::CustomerBought => all_is_read,
            What::OrderIndex | What::DueIndex => true,
            What::Review | What::SaleIndex | What::Record => false,
        };
    }
}
