//! Walks over all keys, reads the holds and orders of some sales, and adds them up.

use std::{
    collections::{BTreeMap, HashSet},
    rc::Rc,
};

use super::super::{Failure, Node, Reply, Store, keys};
use crate::domain::{
    audit::{Difference, Tally},
    hold::Line,
    ids::{ProductId, SaleId},
};

/// Keys that one step of the walk examines.
const STEP: u64 = 250;
/// Records that one call reads.
const READ_MAX: usize = 64;

/// The random part of an id: 12 characters.
pub(super) type RecordKey = [u8; 12];

/// One walk over all keys, however many sales there are.
pub(super) struct Records<'a> {
    store: &'a Store,
    sales: BTreeMap<&'a SaleId, SaleRecords>,
}

#[derive(Default)]
struct SaleRecords {
    tally: Tally,
    /// All keys that were seen, in 13 bytes each, because a walk may meet a key twice.
    seen: HashSet<(RecordKind, RecordKey)>,
    holds: Vec<RecordKey>,
    orders: Vec<RecordKey>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum RecordKind {
    Hold,
    Order,
}

impl<'a> Records<'a> {
    pub(super) fn of(store: &'a Store, sales: &'a [SaleId]) -> Self {
        Self { store, sales: sales.iter().map(|sale| (sale, SaleRecords::default())).collect() }
    }

    /// The tally that will have the records of this sale.
    pub(super) fn tally(&mut self, sale: &'a SaleId) -> &mut Tally {
        &mut self.sales.entry(sale).or_default().tally
    }

    pub(super) async fn read(mut self) -> Result<BTreeMap<SaleId, Tally>, Failure> {
        let pattern = match self.sales.keys().next() {
            Some(only) if self.sales.len() == 1 => keys::pattern_of(only),
            _ => keys::PATTERN.to_owned(),
        };
        for node in self.store.runner.primaries().await? {
            self.scan(&node, &pattern).await?;
        }
        self.add_full(1).await?;
        Ok(self.sales.into_iter().map(|(sale, of)| (sale.clone(), of.tally)).collect())
    }

    /// Walks through the keys of one server.
    async fn scan(&mut self, node: &Rc<Node>, pattern: &str) -> Result<(), Failure> {
        let mut cursor = "0".to_owned();
        loop {
            let mut step = redis::cmd("SCAN");
            step.arg(&cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(STEP);
            let mut reply = Reply::read(node.ask(&step).await?)?;
            cursor = reply.text()?;
            self.sort(reply.list()?)?;
            self.add_full(READ_MAX).await?;
            if cursor == "0" {
                return Ok(());
            }
        }
    }

    /// Sorts new keys of records by sale.
    fn sort(&mut self, mut found: Reply) -> Result<(), Failure> {
        while !found.is_empty() {
            let text = found.text()?;
            let Some((sale, named)) = split(&text) else { continue };
            let Some(of) = self.sales.get_mut(&sale) else { continue };
            match named {
                KeyContent::Product(product) => of.tally.add_product(product),
                KeyContent::Record(kind, key) if of.seen.insert((kind, key)) => match kind {
                    RecordKind::Hold => of.holds.push(key),
                    RecordKind::Order => of.orders.push(key),
                },
                KeyContent::Record(..) => {}
            }
        }
        Ok(())
    }

    /// Reads the records of each sale that has at least so many waiting.
    async fn add_full(&mut self, least: usize) -> Result<(), Failure> {
        for (sale, of) in &mut self.sales {
            while of.holds.len() >= least {
                let some = of.holds.split_off(of.holds.len().saturating_sub(READ_MAX));
                let added = self.store.audit_holds(sale, &some, &mut of.tally).await;
                Failure::or_damage(added, sale)?.unwrap_or_else(|| of.tally.add_damage());
            }
            while of.orders.len() >= least {
                let some = of.orders.split_off(of.orders.len().saturating_sub(READ_MAX));
                let added = self.store.audit_orders(sale, &some, &mut of.tally).await;
                Failure::or_damage(added, sale)?.unwrap_or_else(|| of.tally.add_damage());
            }
        }
        Ok(())
    }
}

/// The content of a key that an audit reads.
enum KeyContent {
    Product(ProductId),
    Record(RecordKind, RecordKey),
}

fn split(key: &str) -> Option<(SaleId, KeyContent)> {
    let (sale, name) = keys::split(key)?;
    let (word, id) = name.split_once(':')?;
    let record = |kind| Some(KeyContent::Record(kind, id.as_bytes().try_into().ok()?));
    let named = match word {
        "hold" => record(RecordKind::Hold),
        "order" => record(RecordKind::Order),
        "product" => ProductId::parse(id).map(KeyContent::Product),
        _ => None,
    };
    Some((SaleId::parse_shard(sale)?, named?))
}

pub(super) fn units(line: &Line) -> i64 {
    i64::try_from(line.quantity.get()).unwrap_or(i64::MAX)
}

/// The text of a key.
pub(super) fn text(key: &RecordKey) -> &str {
    std::str::from_utf8(key).unwrap_or_default()
}

impl Store {
    pub(super) fn add_unreadable(&self, sale: &SaleId, key: &RecordKey, tally: &mut Tally) {
        let hold = self.ids().hold(sale, text(key));
        tally.differences.push(Difference::record().of_hold(hold));
    }
}
