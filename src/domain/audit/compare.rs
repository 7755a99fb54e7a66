//! Compares the stored units of a sale with its records.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bucket, Counters, Difference, DifferenceKind, Stored, Tally};
use crate::domain::ids::ProductId;

/// The result of one look at a sale.
#[derive(Debug)]
pub struct Look {
    /// No script wrote during the look, so every difference is an error. Otherwise it may be a change in progress.
    pub is_exact: bool,
    pub differences: Vec<Difference>,
}

/// Compares the units that were stored before and after the records were read with the records. Units that changed in
/// between are not judged.
pub fn compare(before: &Stored, after: &Stored, tally: &Tally) -> Look {
    let is_exact = before.rests_until(after);
    let corrections = bucket_corrections(before, after, tally);
    let repaired_buckets: BTreeMap<Bucket, i64> =
        after.buckets.iter().chain(&corrections).map(|(bucket, units)| (*bucket, *units)).collect();
    let repaired_counters = counters_of(before, after, tally, &repaired_buckets);
    // Scripts change counters and stored buckets together. While they write, only the sum of the stored buckets is
    // comparable.
    let expected_counters =
        if is_exact { &repaired_counters } else { &counters_of(before, after, tally, &after.buckets) };

    let mut differences = record_differences(after, tally);
    differences.extend(bucket_differences(after, &corrections));
    differences.extend(deadline_differences(after, &repaired_buckets));
    differences.extend(counter_differences(after, expected_counters));
    differences.extend(unreadable_products(before, after, tally, &repaired_counters));
    differences.sort_by_key(|difference| (difference.product, difference.kind, difference.deadline_ms));
    mark_unrepairable(&mut differences, &repaired_counters, &corrections);
    Look { is_exact, differences }
}

/// The differences that were found with the records, without shares of customers that have lapsed since.
fn record_differences(after: &Stored, tally: &Tally) -> Vec<Difference> {
    let has_lapsed = |difference: &Difference| {
        difference.customer.is_some() && difference.deadline_ms.is_some_and(|deadline_ms| deadline_ms <= after.now_ms)
    };
    tally.differences.iter().filter(|difference| !has_lapsed(difference)).cloned().collect()
}

/// Buckets with wrong units, and the right units. Only buckets whose deadline is ahead count: the records of the others are
/// gone.
fn bucket_corrections(before: &Stored, after: &Stored, tally: &Tally) -> BTreeMap<Bucket, i64> {
    let buckets: BTreeSet<&Bucket> = after.buckets.keys().chain(tally.buckets.keys()).collect();
    let mut corrections = BTreeMap::new();
    for bucket in buckets {
        let is_ahead = bucket.deadline_ms > after.now_ms;
        let has_rested = before.units(bucket) == after.units(bucket);
        let recomputed = tally.buckets.get(bucket).copied().unwrap_or(0);
        if is_ahead && has_rested && after.units(bucket) != recomputed {
            corrections.insert(*bucket, recomputed);
        }
    }
    corrections
}

fn bucket_differences(after: &Stored, corrections: &BTreeMap<Bucket, i64>) -> Vec<Difference> {
    let difference = |(bucket, recomputed): (&Bucket, &i64)| {
        let kind = bucket.either(DifferenceKind::HeldUntil, DifferenceKind::PendingUntil);
        Difference::new(kind, after.units(bucket), *recomputed).of_bucket(bucket)
    };
    corrections.iter().map(difference).collect()
}

/// The index of deadlines must have each bucket that has units once the buckets are repaired, and nothing else.
fn deadline_differences(after: &Stored, repaired_buckets: &BTreeMap<Bucket, i64>) -> Vec<Difference> {
    let buckets: BTreeSet<&Bucket> = repaired_buckets.keys().chain(after.deadlines.keys()).collect();
    let mut found = Vec::new();
    for bucket in buckets {
        let has_units = repaired_buckets.get(bucket).is_some_and(|units| *units > 0);
        let expected = if has_units { bucket.deadline_ms } else { 0 };
        let stored = after.deadlines.get(bucket).copied().unwrap_or(0);
        if stored != expected {
            let kind = bucket.either(DifferenceKind::HeldDeadline, DifferenceKind::PendingDeadline);
            found.push(Difference::new(kind, stored, expected).of_bucket(bucket));
        }
    }
    found
}

/// The right counters for these buckets, also of products without stored counters, whose total is 0.
fn counters_of(
    before: &Stored,
    after: &Stored,
    tally: &Tally,
    buckets: &BTreeMap<Bucket, i64>,
) -> BTreeMap<ProductId, Counters> {
    let mut products: BTreeMap<ProductId, Counters> = BTreeMap::new();
    for (product, stored) in &after.products {
        products.insert(*product, Counters { total: stored.total, ..Counters::default() });
    }
    for (bucket, units) in buckets {
        let counters = products.entry(bucket.product).or_default();
        *bucket.either(&mut counters.held, &mut counters.pending) += units;
    }
    for (product, units) in &tally.sold {
        products.entry(*product).or_default().sold = *units;
    }
    for (product, counters) in &mut products {
        // Sold while the records were read: the tally may or may not have it.
        if let Some(sold) = after.sold(*product).filter(|sold| before.sold(*product) != Some(*sold)) {
            counters.sold = sold;
        }
        counters.available = counters.total - counters.held - counters.pending - counters.sold;
    }
    products
}

fn counter_differences(after: &Stored, expected: &BTreeMap<ProductId, Counters>) -> Vec<Difference> {
    let mut found = Vec::new();
    let is_readable = |product: &ProductId| !after.unreadable.contains(&Some(*product));
    for (product, stored) in after.products.iter().filter(|(product, _)| is_readable(product)) {
        let Some(expected) = expected.get(product) else { continue };
        let mut check = |kind, stored: i64, recomputed: i64| {
            if stored != recomputed {
                found.push(Difference::new(kind, stored, recomputed).of_product(*product));
            }
        };
        check(DifferenceKind::Available, stored.available, expected.available);
        check(DifferenceKind::Held, stored.held, expected.held);
        check(DifferenceKind::Pending, stored.pending, expected.pending);
        check(DifferenceKind::Sold, stored.sold, expected.sold);
    }
    found
}

/// Products with unreadable counters, products whose counters are gone, and products whose record is gone.
fn unreadable_products(
    before: &Stored,
    after: &Stored,
    tally: &Tally,
    counters: &BTreeMap<ProductId, Counters>,
) -> Vec<Difference> {
    let mut products: BTreeSet<Option<ProductId>> = after.unreadable.clone();
    for product in tally.products.iter().chain(counters.keys()) {
        if !after.products.contains_key(product) {
            products.insert(Some(*product));
        }
    }
    for product in after.products.keys() {
        // Not one that was made during the look: its record may have come after the walk.
        if before.products.contains_key(product) && !tally.products.contains(product) {
            products.insert(Some(*product));
        }
    }
    products.into_iter().map(|product| Difference { product, ..Difference::record() }).collect()
}

/// No repair takes units that are not there: then more is promised than the product has, and a person must decide. No repair
/// gives back units that an unreadable record may promise.
fn mark_unrepairable(
    differences: &mut [Difference],
    repaired_counters: &BTreeMap<ProductId, Counters>,
    corrections: &BTreeMap<Bucket, i64>,
) {
    let is_unread_promise = |difference: &Difference| {
        difference.kind == DifferenceKind::Record && (difference.hold.is_some() || difference.product.is_none())
    };
    let all_is_read = !differences.iter().any(is_unread_promise);
    let has_enough = |product: Option<ProductId>| {
        product.and_then(|product| repaired_counters.get(&product)).is_some_and(|counters| counters.available >= 0)
    };
    for difference in differences {
        let moves_units_safely = all_is_read && has_enough(difference.product);
        difference.repairable = match difference.kind {
            DifferenceKind::Available
            | DifferenceKind::Held
            | DifferenceKind::Pending
            | DifferenceKind::Sold
            | DifferenceKind::HeldUntil
            | DifferenceKind::PendingUntil => moves_units_safely,
            // The index of a bucket is repaired together with its units, if these are wrong too.
            DifferenceKind::HeldDeadline | DifferenceKind::PendingDeadline => {
                moves_units_safely || difference.bucket().is_none_or(|bucket| !corrections.contains_key(&bucket))
            }
            DifferenceKind::CustomerHeld | DifferenceKind::CustomerPending | DifferenceKind::CustomerBought => {
                all_is_read
            }
            DifferenceKind::OrderIndex | DifferenceKind::DueIndex => true,
            // Those between shards are found later.
            DifferenceKind::Review
            | DifferenceKind::Money
            | DifferenceKind::SaleIndex
            | DifferenceKind::ShardTerms
            | DifferenceKind::Loan
            | DifferenceKind::Record => false,
        };
    }
}
