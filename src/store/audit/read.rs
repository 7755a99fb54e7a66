//! The stored texts that an audit compares, and differences as `repair` takes and logs them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Failure, Store, record, reply::Fields};
use crate::domain::{
    audit::{Bucket, BucketKind, Counters, Difference, DifferenceKind, Share, Stored},
    ids::{ProductId, SaleId},
};

/// Products, as lua/lib/stock.lua writes them. A text that cannot be read makes its product unreadable.
#[expect(clippy::unnecessary_wraps, reason = "`each_page` takes functions that can fail")]
pub(super) fn counters(stored: &mut Stored, fields: Fields) -> Result<(), Failure> {
    for (field, text) in fields {
        // What else is known of a product is `<id>:<name>`.
        let (product, name) = field.split_once(':').map_or((field.as_str(), None), |(id, name)| (id, Some(name)));
        match (ProductId::parse(product), name) {
            (None, _) => _ = stored.unreadable.insert(None),
            (Some(_), Some(_)) => {}
            (Some(product), None) => {
                let counters = counters_of(&text);
                if counters.is_none() {
                    stored.unreadable.insert(Some(product));
                }
                stored.products.insert(product, counters.unwrap_or_default());
            }
        }
    }
    Ok(())
}

/// `7 2 1 0 10 500000 5 `: available, held, pending, sold and total units, price, most units of a hold and rules. What the
/// scripts cannot read is unreadable here too: they would repair nothing of it.
fn counters_of(text: &str) -> Option<Counters> {
    let parts: Vec<&str> = text.splitn(8, ' ').collect();
    let [available, held, pending, sold, total, price, most, _rules] = parts[..] else { return None };
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    let is_price = price.split('>').count() <= 2 && price.split('>').all(is_number);
    let units = |text: &str| text.parse().ok().filter(|_| is_price && is_number(most));
    let (available, held, pending, sold) = (units(available)?, units(held)?, units(pending)?, units(sold)?);
    Some(Counters { total: units(total)?, available, held, pending, sold })
}

/// Buckets with their units.
pub(super) fn buckets(stored: &mut Stored, pairs: Fields) -> Result<(), Failure> {
    add_buckets(&mut stored.buckets, &mut stored.unreadable, pairs)
}

/// Buckets with their deadline in the index.
pub(super) fn deadlines(stored: &mut Stored, pairs: Fields) -> Result<(), Failure> {
    add_buckets(&mut stored.deadlines, &mut stored.unreadable, pairs)
}

#[expect(clippy::unnecessary_wraps, reason = "as `counters`")]
fn add_buckets(
    into: &mut BTreeMap<Bucket, i64>,
    unreadable: &mut BTreeSet<Option<ProductId>>,
    pairs: Fields,
) -> Result<(), Failure> {
    for (name, value) in pairs {
        match (bucket(&name), value.parse()) {
            (Some(bucket), Ok(value)) => _ = into.insert(bucket, value),
            (named, _) => _ = unreadable.insert(named.map(|bucket| bucket.product)),
        }
    }
    Ok(())
}

/// `1795716624000:7:h=2 7=1 abandoned=3@1795716624000`
pub(super) fn shares(text: &str) -> Result<BTreeMap<Share, i64>, Failure> {
    let share = |entry: &str| {
        let (name, units) = entry.split_once('=')?;
        let share = bucket(name).map(Share::DueBack).or_else(|| ProductId::parse(name).map(Share::Bought))?;
        Some((share, units.parse::<i64>().ok()?))
    };
    let entries = text.split(' ').filter(|entry| !entry.is_empty() && !entry.starts_with("abandoned="));
    let mut shares = BTreeMap::new();
    for entry in entries {
        let (share, units) = share(entry).ok_or_else(|| Failure::unreadable("the units of a customer"))?;
        *shares.entry(share).or_default() += units;
    }
    Ok(shares)
}

/// `1795716624000:7:h`
pub(in crate::store) fn bucket(name: &str) -> Option<Bucket> {
    let mut parts = name.splitn(3, ':');
    let (deadline, product, kind) = (parts.next()?, parts.next()?, parts.next()?);
    let kind = match kind {
        "h" => BucketKind::Held,
        "p" => BucketKind::Pending,
        _ => return None,
    };
    Some(Bucket { deadline_ms: deadline.parse().ok()?, product: ProductId::parse(product)?, kind })
}

fn product_id(text: &str) -> Result<ProductId, Failure> {
    ProductId::parse(text).ok_or_else(|| Failure::unreadable("the id of a product"))
}

/// Kind, product, customer, order, instant, stored, recomputed: a line each.
pub(super) fn difference_argument(difference: &Difference) -> String {
    let or_empty = |value: Option<String>| value.unwrap_or_default();
    [
        difference.kind.as_str().to_owned(),
        or_empty(difference.product.map(|product| product.to_string())),
        or_empty(difference.customer.as_ref().map(|customer| customer.as_str().to_owned())),
        or_empty(difference.hold.as_ref().map(|hold| hold.key().to_owned())),
        or_empty(difference.deadline_ms.map(|deadline| deadline.to_string())),
        difference.stored.to_string(),
        difference.recomputed.to_string(),
    ]
    .join("\n")
}

impl Store {
    /// The difference that an event of a repair is about.
    pub(in crate::store) fn read_repair(&self, sale: &SaleId, fields: &Fields) -> Result<Difference, Failure> {
        let some = |name: &str| fields.get(name).filter(|text| !text.is_empty());
        let kind =
            DifferenceKind::parse(fields.text("repair")?).ok_or_else(|| Failure::unreadable("what was repaired"))?;
        Ok(Difference {
            product: some("product").map(product_id).transpose()?,
            customer: some("customer").and_then(record::customer),
            hold: some("order").map(|key| self.ids().hold(sale, key)),
            deadline_ms: some("instant").map(|_| fields.int("instant")).transpose()?,
            ..Difference::new(kind, fields.int("stored")?, fields.int("recomputed")?)
        })
    }
}
