//! Reads all holds and orders of some sales, and adds them up.

use std::collections::{BTreeMap, HashSet};

use super::super::{
    Failure, Op, Reply, ScriptCall, Store,
    keys::{self, SaleKeys},
    record,
    reply::Fields,
    unknown_word,
};
use crate::domain::{
    audit::{Bucket, Difference, Kind, Tally, What},
    ids::{ProductId, SaleId},
    text::CustomerId,
};

/// Keys that one step over the key space looks at.
const STEP: u64 = 250;
/// Records of one call.
const READ_MAX: usize = 64;

/// As they are stored.
const STATUSES: [&str; 5] = ["pending", "paid", "cancelled", "refund_required", "refunded"];

/// The random part of an id: 12 characters.
type Key = [u8; 12];

/// Walks over the key space once, whatever number of sales there is.
pub(super) struct Records<'a> {
    store: &'a Store,
    sales: BTreeMap<&'a SaleId, OfSale>,
}

#[derive(Default)]
struct OfSale {
    tally: Tally,
    /// A walk may come by a key twice. All keys that were seen, in 13 bytes each.
    seen: HashSet<(RecordKind, Key)>,
    holds: Vec<Key>,
    orders: Vec<Key>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum RecordKind {
    Hold,
    Order,
}

impl<'a> Records<'a> {
    pub(super) fn of(store: &'a Store, sales: &'a [SaleId]) -> Self {
        Self { store, sales: sales.iter().map(|sale| (sale, OfSale::default())).collect() }
    }

    /// Where the records of a sale will be added up.
    pub(super) fn tally(&mut self, sale: &'a SaleId) -> &mut Tally {
        &mut self.sales.entry(sale).or_default().tally
    }

    pub(super) async fn read(mut self) -> Result<BTreeMap<SaleId, Tally>, Failure> {
        let pattern = match self.sales.keys().next() {
            Some(only) if self.sales.len() == 1 => keys::pattern_of(only),
            _ => keys::PATTERN.to_owned(),
        };
        let mut cursor = "0".to_owned();
        loop {
            let mut step = redis::cmd("SCAN");
            step.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP);
            let mut reply = Reply::read(self.store.runner.plain(&step).await?)?;
            cursor = reply.text()?;
            self.sort(reply.list()?)?;
            self.add_full(READ_MAX).await?;
            if cursor == "0" {
                break;
            }
        }
        self.add_full(1).await?;
        Ok(self.sales.into_iter().map(|(sale, of)| (sale.clone(), of.tally)).collect())
    }

    /// Keeps the keys of records that were not seen before, sale by sale.
    fn sort(&mut self, mut found: Reply) -> Result<(), Failure> {
        while !found.is_empty() {
            let text = found.text()?;
            let Some((sale, named)) = split(&text) else { continue };
            let Some(of) = self.sales.get_mut(&sale) else { continue };
            match named {
                Named::Product(product) => of.tally.add_product(product),
                Named::Record(kind, key) if of.seen.insert((kind, key)) => match kind {
                    RecordKind::Hold => of.holds.push(key),
                    RecordKind::Order => of.orders.push(key),
                },
                Named::Record(..) => {}
            }
        }
        Ok(())
    }

    /// Reads the records of which at least so many are waiting.
    async fn add_full(&mut self, least: usize) -> Result<(), Failure> {
        for (sale, of) in &mut self.sales {
            while of.holds.len() >= least {
                let some = of.holds.split_off(of.holds.len().saturating_sub(READ_MAX));
                let added = self.store.add_holds(sale, &some, &mut of.tally).await;
                Failure::or_damage(added, sale)?.unwrap_or_else(|| of.tally.add_damage());
            }
            while of.orders.len() >= least {
                let some = of.orders.split_off(of.orders.len().saturating_sub(READ_MAX));
                let added = self.store.add_orders(sale, &some, &mut of.tally).await;
                Failure::or_damage(added, sale)?.unwrap_or_else(|| of.tally.add_damage());
            }
        }
        Ok(())
    }
}

/// What a key names that an audit looks at.
enum Named {
    Product(ProductId),
    Record(RecordKind, Key),
}

fn split(key: &str) -> Option<(SaleId, Named)> {
    let (sale, name) = keys::split(key)?;
    let (word, id) = name.split_once(':')?;
    let record = |kind| Some(Named::Record(kind, id.as_bytes().try_into().ok()?));
    let named = match word {
        "hold" => record(RecordKind::Hold),
        "order" => record(RecordKind::Order),
        "product" => ProductId::parse(id).map(Named::Product),
        _ => None,
    };
    Some((SaleId::parse(sale)?, named?))
}

fn text(key: &Key) -> &str {
    std::str::from_utf8(key).unwrap_or_default()
}

impl Store {
    async fn add_holds(&self, sale: &SaleId, some: &[Key], tally: &mut Tally) -> Result<(), Failure> {
        let keys = SaleKeys(sale);
        let call = ScriptCall::of(Op::AuditHolds).key(keys.sale()).keys(some.iter().map(|key| keys.hold(text(key))));
        let (word, mut reply) = self.runner.call(call).await?;
        if word != "holds" {
            return Err(unknown_word(Op::AuditHolds, &word));
        }
        for key in some {
            let (deadline_ms, lines, customer) = (reply.int()?, reply.text()?, reply.text()?);
            if deadline_ms == 0 {
                continue;
            }
            tally.holds += 1;
            let Ok(lines) = record::lines(&lines) else {
                self.add_unreadable(sale, key, tally);
                continue;
            };
            for line in lines.as_slice() {
                let bucket = Bucket { deadline_ms, product: line.product, kind: Kind::Held };
                tally.owe(bucket, units(line.quantity.get()), record::customer(&customer).as_ref());
            }
        }
        Ok(())
    }

    async fn add_orders(&self, sale: &SaleId, some: &[Key], tally: &mut Tally) -> Result<(), Failure> {
        let keys = SaleKeys(sale);
        let call = ScriptCall::of(Op::AuditOrders).keys([keys.orders(), keys.due(), keys.review_records()]);
        let call = call.keys(some.iter().map(|key| keys.order(text(key))));
        let (word, mut reply) = self.runner.call(some.iter().fold(call, ScriptCall::arg)).await?;
        if word != "orders" {
            return Err(unknown_word(Op::AuditOrders, &word));
        }
        for key in some {
            let (place, due, has_review) = (reply.text()?, reply.text()?, reply.int()? == 1);
            let fields = reply.list()?.fields()?;
            if fields.is_empty() {
                continue;
            }
            tally.orders += 1;
            let of = |difference: Difference| difference.of_hold(self.ids().hold(sale, text(key)));
            match Kept::read(&fields) {
                Ok(order) => {
                    order.add_to(tally);
                    let wrong = order.misplaced(&place, &due, has_review);
                    tally.differences.extend(wrong.into_iter().map(of));
                }
                Err(_) => self.add_unreadable(sale, key, tally),
            }
        }
        Ok(())
    }

    fn add_unreadable(&self, sale: &SaleId, key: &Key, tally: &mut Tally) {
        let hold = self.ids().hold(sale, text(key));
        tally.differences.push(Difference::new(What::Record, 1, 0).of_hold(hold));
    }
}

/// What an audit asks of an order.
struct Kept<'a> {
    status: &'a str,
    lines: Vec<(ProductId, i64)>,
    customer: Option<CustomerId>,
    created_ms: i64,
    due_ms: i64,
    lapse_was_told: bool,
    was_restocked: Option<&'a str>,
    review: Option<&'a str>,
}

impl<'a> Kept<'a> {
    fn read(fields: &'a Fields) -> Result<Self, Failure> {
        let lines = record::order::priced_lines(fields.text("lines")?)?;
        let status = fields.text("status")?;
        if !STATUSES.contains(&status) {
            return Err(Failure::unreadable("an order status"));
        }
        Ok(Self {
            status,
            lines: lines.iter().map(|priced| (priced.line.product, units(priced.line.quantity.get()))).collect(),
            customer: record::customer(fields.text("customer")?),
            created_ms: fields.int("created")?,
            due_ms: fields.int("due")?,
            lapse_was_told: fields.get("expired_at").is_some(),
            was_restocked: fields.get("restocked"),
            review: fields.get("review"),
        })
    }

    fn add_to(&self, tally: &mut Tally) {
        for (product, units) in &self.lines {
            match self.status {
                "pending" => {
                    let bucket = Bucket { deadline_ms: self.due_ms, product: *product, kind: Kind::Pending };
                    tally.owe(bucket, *units, self.customer.as_ref());
                }
                "paid" => tally.buy(*product, *units, self.customer.as_ref()),
                "refunded" if self.was_restocked == Some("0") => tally.keep_sold(*product, *units),
                _ => {}
            }
        }
    }

    /// Where it is not to be found, or should not be.
    fn misplaced(&self, place: &str, due: &str, has_review: bool) -> Vec<Difference> {
        let instant = |text: &str| text.parse().unwrap_or(0);
        let waits = self.status == "pending" && !self.lapse_was_told;
        let mut found = Vec::new();
        let mut check = |what, stored: i64, expected: i64| {
            if stored != expected {
                found.push(Difference::new(what, stored, expected));
            }
        };
        check(What::OrderIndex, instant(place), self.created_ms);
        check(What::DueIndex, instant(due), if waits { self.due_ms } else { 0 });
        if self.review.is_some() {
            check(What::Review, i64::from(has_review), 1);
        }
        found
    }
}

fn units(quantity: u64) -> i64 {
    i64::try_from(quantity).unwrap_or(i64::MAX)
}
