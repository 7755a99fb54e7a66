//! Sales that are spread over several hash slots. Each of their shards is a sale of its own to the scripts, in a slot of its
//! own, with a part of the units. The first shard has the name of the sale. It says what the terms are, and there units come and
//! go. `gather` moves units to a shard that lacks them.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{task::spawn_local, time::sleep};

use super::{
    Failure, Reply, Runner, Store,
    confirm::Confirms,
    find_terms::SharedTerms,
    gather::{Gathers, Surveys},
    ids::random_number,
    joined::Joined,
    keys::SaleKeys,
    lost_shards, made_sales, record,
    redis::{
        batch::{Batcher, Timeouts},
        rank::PERSON,
        slot,
    },
};
use crate::domain::{
    hold::HoldCommand,
    ids::{ProductId, SaleId, Shards},
    text::{CustomerId, IdempotencyKey},
};

/// Sales of which a worker remembers the shards.
const REMEMBERED_MAX: usize = 10_000;
/// The longest that a caller tries to get units that others take.
const TRIES_MAX: Duration = Duration::from_secs(1);
/// For how long a shard that is away is tried, and how often.
const SHARED_MAX: Duration = Duration::from_hours(1);
const SHARE_PAUSE: Duration = Duration::from_secs(1);

/// What a worker knows and does about spread sales.
pub(super) struct Spreads {
    pub(super) runner: Rc<Runner>,
    /// As for payments: what else must be as durable.
    pub(super) confirms: Option<Rc<Batcher<Confirms>>>,
    known: RefCell<HashMap<SaleId, Rc<[SaleId]>>>,
    /// Terms that a task still gives to shards that are away: of a sale, or of a product of it.
    sharing: RefCell<HashSet<(SaleId, Option<ProductId>)>>,
    /// Shards whose last loan did not become durable in time, and until when nobody borrows from them.
    pub(super) unsure: RefCell<HashMap<SaleId, Instant>>,
    /// Products whose loans a task brings to their end.
    pub(super) finishing: RefCell<HashSet<(SaleId, ProductId)>>,
    pub(super) surveys: Surveys,
    pub(super) gathers: Gathers,
    /// For how long a caller tries to get units that others take.
    pub(super) tries_max: Duration,
}

impl Spreads {
    pub(super) fn new(
        runner: &Rc<Runner>,
        confirms: Option<Rc<Batcher<Confirms>>>,
        Timeouts { wait, queue_max }: Timeouts,
    ) -> Rc<Self> {
        Rc::new(Self {
            runner: Rc::clone(runner),
            confirms,
            known: RefCell::default(),
            sharing: RefCell::default(),
            unsure: RefCell::default(),
            finishing: RefCell::default(),
            surveys: Joined::new(queue_max),
            gathers: Joined::new(queue_max),
            tries_max: wait.min(TRIES_MAX),
        })
    }

    /// The shards of a sale with so many. The first one is the sale itself.
    pub(super) fn shards(&self, sale: &SaleId, count: Shards) -> Rc<[SaleId]> {
        if let Some(shards) = self.known.borrow().get(sale).filter(|shards| shards.len() as u64 == count.get()) {
            return Rc::clone(shards);
        }
        let shards: Rc<[SaleId]> = shards_of(sale, count).into();
        let mut known = self.known.borrow_mut();
        if known.len() < REMEMBERED_MAX || known.contains_key(sale) {
            known.insert(sale.clone(), Rc::clone(&shards));
        }
        shards
    }

    /// The shards of a sale that has some order, if the worker remembers them.
    pub(super) fn known(&self, sale: &SaleId) -> Option<Rc<[SaleId]>> {
        self.known.borrow().get(sale).cloned()
    }

    /// Gives the other shards the terms of the sale, and of one product, as the first shard has them now. Whoever does so last
    /// leaves all shards with the newest terms, so a call that is repeated after a crash finishes it.
    pub(super) async fn copy_to_shards(&self, shards: &[SaleId], product: Option<ProductId>) -> Result<(), Failure> {
        self.copy_to_each(shards, product).await?.into_iter().try_for_each(|(_, copied)| copied)
    }

    /// Does the same, and goes on without the shards that are gone.
    pub(super) async fn copy_to_living(&self, shards: &[SaleId], product: Option<ProductId>) -> Result<(), Failure> {
        let mut copies = self.copy_to_each(shards, product).await?.into_iter().map(|(_, copied)| copied);
        copies.try_for_each(|copied| if matches!(copied, Err(Failure::Lost(_))) { Ok(()) } else { copied })
    }

    /// Does the same for terms that a person changed, and goes on trying for a while where a shard is away: who paused a sale
    /// must not find that shard selling when it is back. One that is gone keeps nobody from changing the others.
    pub(super) async fn share_terms(
        self: &Rc<Self>,
        shards: &[SaleId],
        product: Option<ProductId>,
    ) -> Result<(), Failure> {
        let missing = PERSON.within(self.missing(shards, product)).await;
        let is_done = missing.as_ref().is_ok_and(Vec::is_empty);
        let of = (shards[0].clone(), product);
        // One task for each: whoever changes a sale often does not make more of them.
        if !is_done && self.sharing.borrow_mut().insert(of.clone()) {
            spawn_local(PERSON.within(go_on_sharing(Rc::downgrade(self), shards.to_vec(), of)));
        }
        missing?.into_iter().find(|failure| !matches!(failure, Failure::Lost(_))).map_or(Ok(()), Err)
    }

    /// Why the terms did not reach other shards yet. One that was lost and given up never gets them.
    async fn missing(&self, shards: &[SaleId], product: Option<ProductId>) -> Result<Vec<Failure>, Failure> {
        let copies = self.copy_to_each(shards, product).await?.into_iter();
        let failed = copies.filter_map(|(shard, copied)| copied.err().map(|failure| (shard, failure)));
        let may_come = |(shard, failure): &(&SaleId, Failure)| {
            !matches!(failure, Failure::Lost(_)) || self.runner.check_sale(shard).is_err()
        };
        Ok(failed.filter(may_come).map(|(_, failure)| failure).collect())
    }

    /// What came of it at each other shard. All to their end: a pause reaches what lives, though another shard is away.
    async fn copy_to_each<'a>(
        &self,
        shards: &'a [SaleId],
        product: Option<ProductId>,
    ) -> Result<Vec<(&'a SaleId, Result<(), Failure>)>, Failure> {
        let Some((first, others)) = shards.split_first().filter(|(_, others)| !others.is_empty()) else {
            return Ok(Vec::new());
        };
        let Some(terms) = self.find_terms(first, product).await? else { return Ok(Vec::new()) };
        let copies = others.iter().map(|shard| self.copy_to_shard(shards, shard, product, &terms));
        Ok(others.iter().zip(join_all(copies).await).collect())
    }

    /// A shard that was lost with its server is not made anew: its units would be sold twice.
    async fn copy_to_shard(
        &self,
        shards: &[SaleId],
        shard: &SaleId,
        product: Option<ProductId>,
        terms: &SharedTerms,
    ) -> Result<(), Failure> {
        made_sales::check_made(&self.runner, shard).await?;
        lost_shards::check_shard(&self.runner, shards, shard).await?;
        self.copy_terms(shard, product, terms).await?;
        made_sales::note_made(&self.runner, shard).await;
        Ok(())
    }
}

/// Copies terms until all shards have them, or for long enough. It ends with the store.
async fn go_on_sharing(spreads: Weak<Spreads>, shards: Vec<SaleId>, of: (SaleId, Option<ProductId>)) {
    let until = Instant::now() + SHARED_MAX;
    let mut is_done = false;
    while !is_done && Instant::now() < until {
        sleep(SHARE_PAUSE).await;
        let Some(spreads) = spreads.upgrade() else { return };
        is_done = spreads.missing(&shards, of.1).await.is_ok_and(|missing| missing.is_empty());
    }
    if let Some(spreads) = spreads.upgrade() {
        spreads.sharing.borrow_mut().remove(&of);
    }
}

impl Store {
    /// The shards of a sale. One that does not exist has itself alone.
    pub(super) async fn shards_of(&self, sale: &SaleId) -> Result<Rc<[SaleId]>, Failure> {
        let found = self.runner.plain(redis::cmd("HGET").arg(SaleKeys(sale).sale()).arg("shards")).await?;
        Ok(self.spreads.shards(sale, record::sale::shards(Reply::one(found).text_or_none()?.as_deref())?))
    }
}

/// So many ids whose slots lie in as many equal ranges of all slots, so that they are on different servers of a cluster whose
/// slots were dealt evenly. The same in every worker and for ever: units are there.
fn shards_of(sale: &SaleId, count: Shards) -> Vec<SaleId> {
    let mut shards = vec![sale.clone()];
    let mut covered = HashSet::from([range_of(sale.as_str(), count.get())]);
    let mut number = 1;
    while (shards.len() as u64) < count.get() {
        let shard = sale.shard(number);
        if covered.insert(range_of(shard.as_str(), count.get())) {
            shards.push(shard);
        }
        number += 1;
    }
    shards
}

/// Which of so many equal ranges of slots has the slot of this text.
fn range_of(text: &str, count: u64) -> u64 {
    u64::from(slot::of_key(text.as_bytes())) * count / u64::from(slot::SLOTS)
}

/// The shard that decides a hold. What one customer has is in one shard, so that limits count all of it. Without a customer, a
/// hold with an idempotency key finds what was decided about that key.
pub(super) fn shard_for<'a>(shards: &'a [SaleId], command: &HoldCommand) -> &'a SaleId {
    let key = command.idempotency_key.as_ref().map(IdempotencyKey::as_str);
    match command.customer.as_ref().map(CustomerId::as_str).or(key) {
        Some(text) => shard_of(shards, text),
        None => &shards[random_number(shards.len())],
    }
}

/// The shard of a customer.
pub(super) fn shard_of<'a>(shards: &'a [SaleId], text: &str) -> &'a SaleId {
    &shards[usize::try_from(range_of(text, shards.len() as u64)).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_lie_in_equal_ranges_of_all_slots_and_are_the_same_for_ever() {
        for (name, count) in [("drop", 3), ("p7", 64), ("a", 2), ("drop", 1)] {
            let sale = SaleId::parse(name).unwrap();
            let shards = shards_of(&sale, Shards::new(count).unwrap());
            let ranges: HashSet<u64> = shards.iter().map(|shard| range_of(shard.as_str(), count)).collect();
            assert_eq!((ranges.len() as u64, &shards[0]), (count, &sale));
        }
        let drop = shards_of(&SaleId::parse("drop").unwrap(), Shards::new(3).unwrap());
        let names: Vec<_> = drop.iter().map(SaleId::as_str).collect();
        // Another rule would not find the units of sales that exist.
        assert_eq!(names, ["drop", "drop_1", "drop_2"]);
        let of = ["alice", "bob", "erin"].map(|customer| shard_of(&drop, customer).as_str());
        assert_eq!(of, ["drop", "drop_1", "drop_2"]);
    }
}
