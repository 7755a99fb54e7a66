//! Gathers units of a product in the shard that lacks them, and says with certainty when there are none: two looks at all shards
//! between which none of them made units available show an instant at which no unit was free in any shard, or under way. In a
//! worker those who ask for the same at the same time share looks and loans.
//!
//! A loan must be as durable as a payment before it is borrowed. Where a server does not get that far, no buyer waits for long, the
//! other shards are asked instead, and a task brings the loan to its end.

use std::{
    cmp::Reverse,
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use tokio::{
    task::spawn_local,
    time::{sleep, timeout},
};

use super::{
    Failure, Reply, find_free::Free, joined::Joined, keys::SaleKeys, lend::Loan, redis::rank::Rank, spread::Spreads,
};
use crate::domain::{
    audit::Difference,
    ids::{ProductId, SaleId},
    outcome::Shortage,
    product::TOTAL_MAX,
};

/// Looks at all shards for one answer. While units are made available all the time, those who want them find them.
const LOOKS_MAX: usize = 32;

/// What a hold or a payment needs that a shard has taken up matters more than new holds: they would only be refused, and units stay
/// under way.
const NEEDED: Rank = Rank::Releases;

/// How long a loan of a buyer takes at most, nearly always.
const MOMENT: Duration = Duration::from_millis(200);

/// Longest wait of a buyer until a loan is durable.
const SECURE_MAX: Duration = Duration::from_millis(500);
/// For how long nobody borrows from a shard whose last loan did not become durable in time.
const UNSURE: Duration = Duration::from_secs(1);
/// For how long a task tries to end a loan.
const FINISH_MAX: Duration = Duration::from_hours(1);

/// Surveys by the first shard, the product and the units that are needed.
pub(super) type Surveys = Rc<Joined<(SaleId, ProductId, u64), Supply>>;
/// The same by the shard that lacks them.
pub(super) type Gathers = Rc<Joined<(SaleId, ProductId, u64), ()>>;

/// Whether so many units can be had.
#[derive(Clone)]
pub(super) enum Supply {
    /// They are somewhere.
    There,
    /// At an instant since the question they were not.
    Short(Shortage),
}

/// All units that one shard ever lent to another, and those of them that the other has borrowed.
#[derive(PartialEq, Eq)]
struct Loans {
    from: SaleId,
    to: SaleId,
    lent: u64,
    borrowed: u64,
}

impl Loans {
    fn differ(&self) -> bool {
        self.lent != self.borrowed
    }
}

impl Spreads {
    /// Whether so many units were free anywhere at an instant after this call.
    pub(super) async fn survey(
        self: &Rc<Self>,
        shards: &Rc<[SaleId]>,
        product: ProductId,
        need: u64,
    ) -> Result<Supply, Failure> {
        let (asked, rank) = ((Rc::clone(self), Rc::clone(shards)), NEEDED.here());
        let call = move || {
            let (spreads, shards) = asked.clone();
            async move { rank.within(spreads.look_twice(&shards, product, need)).await }
        };
        Ok((*self.surveys.ask((shards[0].clone(), product, need), call).await?).clone())
    }

    async fn look_twice(&self, shards: &[SaleId], product: ProductId, need: u64) -> Result<Supply, Failure> {
        let mut earlier = self.look(shards, product).await?;
        for _ in 0..LOOKS_MAX {
            if free_at_most(&earlier) >= need {
                return Ok(Supply::There);
            }
            let later = self.look(shards, product).await?;
            if earlier.iter().zip(&later).all(|(earlier, later)| earlier.last_freed == later.last_freed) {
                return Ok(Supply::Short(shortage(product, &earlier)));
            }
            earlier = later;
        }
        Err(Failure::overloaded("units come and go too fast to say that there are none"))
    }

    async fn look(&self, shards: &[SaleId], product: ProductId) -> Result<Vec<Free>, Failure> {
        let mut look = try_join_all(shards.iter().map(|shard| self.find_free(shard, product))).await?;
        let mut living: Vec<_> = shards.iter().zip(&mut look).filter(|(_, free)| free.exists).collect();
        if living.len() < shards.len() && living.iter().any(|(_, free)| free.lent != 0) {
            let names: Vec<SaleId> = living.iter().map(|(shard, _)| (*shard).clone()).collect();
            let lent = self.lent_among(&names, product).await?;
            living.iter_mut().zip(lent).for_each(|((_, free), lent)| free.lent = lent);
        }
        Ok(look)
    }

    /// What each of these shards lent to the others of them, less what it borrowed of them. For where a shard was lost and given up: what
    /// was lent to it is gone with it, and what it lent is here.
    pub(super) async fn lent_among(&self, living: &[SaleId], product: ProductId) -> Result<Vec<i64>, Failure> {
        let loans = self.loans(living, product).await?;
        let own = |shard: &SaleId| {
            let lent = loans.iter().filter(|loans| loans.from == *shard).map(|loans| loans.lent).sum();
            let borrowed = loans.iter().filter(|loans| loans.to == *shard).map(|loans| loans.borrowed).sum();
            signed(lent) - signed(borrowed)
        };
        Ok(living.iter().map(own).collect())
    }

    /// Moves units to this shard, so that it has so many, if there are. Others may take them at once.
    pub(super) async fn gather(
        self: &Rc<Self>,
        shards: &Rc<[SaleId]>,
        product: ProductId,
        to: &SaleId,
        need: u64,
    ) -> Result<(), Failure> {
        let (asked, rank) = ((Rc::clone(self), Rc::clone(shards), to.clone()), NEEDED.here());
        let call = move || {
            let (spreads, shards, to) = asked.clone();
            async move { rank.within(spreads.fetch(&shards, product, &to, need)).await }
        };
        self.gathers.ask((to.clone(), product, need), call).await.map(|_| ())
    }

    async fn fetch(
        self: &Rc<Self>,
        shards: &[SaleId],
        product: ProductId,
        to: &SaleId,
        need: u64,
    ) -> Result<(), Failure> {
        let mut look = self.look(shards, product).await?;
        if look.iter().any(|free| !free.exists) {
            self.copy_to_living(shards, Some(product)).await?;
        }
        if look.iter().map(|free| free.lent).sum::<i64>() > 0 {
            // Before others are lent: where no loan can be finished, each try would take half of what a shard has.
            let finished = self.finish_what_can_be(shards, product).await;
            if !matches!(finished, Ok(true)) {
                self.finish_later(shards, product);
            }
            finished?;
            look = self.look(shards, product).await?;
        }
        let (own, mut others): (Vec<_>, Vec<_>) = shards.iter().zip(&look).partition(|(shard, _)| *shard == to);
        let mut missing = need.saturating_sub(own.iter().map(|(_, free)| free.available).sum());
        if others.iter().map(|(_, free)| free.available).sum::<u64>() < missing {
            // Somebody may have lent them meanwhile.
            return self.finish_loans(shards, product).await;
        }
        others.sort_by_key(|(_, free)| Reverse(free.available));
        others.retain(|(from, _)| !self.is_unsure(from));
        for (from, free) in others {
            if missing == 0 {
                return Ok(());
            }
            // Half of them, so that the next buyers here need nobody.
            let most = missing.max(free.available.div_ceil(2));
            match self.transfer(shards, product, from, to, most).await {
                Ok(units) => missing = missing.saturating_sub(units),
                // Another shard may have enough.
                Err(_) if self.is_unsure(from) => self.finish_later(shards, product),
                Err(failure) => {
                    self.finish_later(shards, product);
                    return Err(failure);
                }
            }
        }
        if missing > 0 && shards.iter().any(|shard| self.is_unsure(shard)) {
            return Err(not_durable());
        }
        Ok(())
    }

    /// Brings loans to their end, though no buyer asks for these units any more: until then they are in no shard.
    fn finish_later(self: &Rc<Self>, shards: &[SaleId], product: ProductId) {
        let of = (shards[0].clone(), product);
        if self.finishing.borrow_mut().insert(of.clone()) {
            spawn_local(NEEDED.within(go_on_finishing(Rc::downgrade(self), shards.to_vec(), of)));
        }
    }

    /// Whether the last loan of this shard did not become durable, a moment ago.
    fn is_unsure(&self, from: &SaleId) -> bool {
        self.unsure.borrow().get(from).is_some_and(|until| Instant::now() < *until)
    }

    /// Moves at most so many units, and says how many.
    async fn transfer(
        &self,
        shards: &[SaleId],
        product: ProductId,
        from: &SaleId,
        to: &SaleId,
        most: u64,
    ) -> Result<u64, Failure> {
        let Loan { units, ever } = self.lend(from, to, product, most).await?;
        self.secure(from, to, product, ever).await?;
        // Also where there is none: an earlier one may be under way.
        if !self.borrow(from, to, product, ever).await? {
            self.copy_to_shards(shards, Some(product)).await?;
            self.borrow(from, to, product, ever).await?;
        }
        Ok(units)
    }

    /// Waits until a loan is as durable as a payment must be: a fail-over that forgot it once it was borrowed would leave its units in
    /// both shards.
    async fn secure(&self, from: &SaleId, to: &SaleId, product: ProductId, ever: u64) -> Result<(), Failure> {
        let Some(confirms) = &self.confirms else { return Ok(()) };
        if self.is_unsure(from) {
            return Err(not_durable());
        }
        let loans = SaleKeys(from).loans();
        let Ok(Ok(_)) = timeout(SECURE_MAX, confirms.submit(from, loans.clone())).await else {
            self.unsure.borrow_mut().insert(from.clone(), Instant::now() + UNSURE);
            return Err(not_durable());
        };
        self.unsure.borrow_mut().remove(from);
        // Another server may have taken over between the loan and the wait.
        let lent = redis::cmd("HGET").arg(&loans).arg(format!("{product}:lent:{to}")).to_owned();
        let lent = Reply::one(self.runner.plain_for_hold(&lent).await?).text_or_none()?;
        if lent.map_or(Ok(0), |text| text.parse::<u64>().map_err(|_| damaged()))? >= ever {
            return Ok(());
        }
        Err(Failure::unavailable("a server went away with a loan between shards"))
    }

    /// Brings what is under way between any two shards to its end, whoever began it.
    pub(super) async fn finish_loans(&self, shards: &[SaleId], product: ProductId) -> Result<(), Failure> {
        if self.finish_what_can_be(shards, product).await? { Ok(()) } else { Err(not_durable()) }
    }

    /// Whether all loans are at their end. Those that do not become durable wait, and keep nobody from ending the others.
    async fn finish_what_can_be(&self, shards: &[SaleId], product: ProductId) -> Result<bool, Failure> {
        let mut are_all = true;
        for Loans { from, to, lent, .. } in self.loans(shards, product).await?.iter().filter(|loans| loans.differ()) {
            match self.secure(from, to, product, *lent).await {
                Ok(()) => _ = self.borrow(from, to, product, *lent).await?,
                Err(_) if self.is_unsure(from) => are_all = false,
                Err(failure) => return Err(failure),
            }
        }
        Ok(are_all)
    }

    /// What differs between what shards lent and borrowed, and still does after a moment: a loan of a buyer is soon over.
    pub(super) async fn open_loans(&self, shards: &[SaleId], product: ProductId) -> Result<Vec<Difference>, Failure> {
        let mut open = self.loans(shards, product).await?;
        open.retain(Loans::differ);
        if !open.is_empty() {
            sleep(MOMENT).await;
            let now = self.loans(shards, product).await?;
            open.retain(|loans| now.contains(loans));
        }
        Ok(open.iter().map(|loans| Difference::loan(product, signed(loans.borrowed), signed(loans.lent))).collect())
    }

    /// What each shard lent to each other one, and what that one borrowed from it.
    async fn loans(&self, shards: &[SaleId], product: ProductId) -> Result<Vec<Loans>, Failure> {
        let sums = async |shard: &SaleId| {
            let mut ask = redis::cmd("HMGET");
            ask.arg(SaleKeys(shard).loans());
            for way in ["lent", "borrowed"] {
                shards.iter().for_each(|other| _ = ask.arg(format!("{product}:{way}:{other}")));
            }
            let mut reply = Reply::read(self.runner.plain_for_hold(&ask).await?)?;
            let mut next = || reply.text_or_none()?.map_or(Ok(0), |text| text.parse::<u64>().map_err(|_| damaged()));
            (0..2 * shards.len()).map(|_| next()).collect::<Result<Vec<u64>, Failure>>()
        };
        let sums = try_join_all(shards.iter().map(sums)).await?;
        let mut all = Vec::new();
        for (i, from) in shards.iter().enumerate() {
            for (j, to) in shards.iter().enumerate().filter(|(j, _)| *j != i) {
                let (lent, borrowed) = (sums[i][j], sums[j][shards.len() + i]);
                all.push(Loans { from: from.clone(), to: to.clone(), lent, borrowed });
            }
        }
        Ok(all)
    }

    /// Moves all free units of a shard to the first one.
    pub(super) async fn drain(&self, shards: &[SaleId], product: ProductId, from: &SaleId) -> Result<(), Failure> {
        self.transfer(shards, product, from, &shards[0], TOTAL_MAX).await.map(|_| ())
    }

    /// Gives each shard its part of the units of a new product, which are all in the first one.
    pub(super) async fn deal(&self, shards: &[SaleId], product: ProductId, total: u64) -> Result<(), Failure> {
        let part = total / shards.len() as u64;
        let transfers = shards[1..].iter().map(|to| self.transfer(shards, product, &shards[0], to, part));
        try_join_all(transfers).await.map(|_| ())
    }
}

/// Tries to end the loans of a product until there is none, or for long enough. It ends with the store.
async fn go_on_finishing(spreads: Weak<Spreads>, shards: Vec<SaleId>, of: (SaleId, ProductId)) {
    let until = Instant::now() + FINISH_MAX;
    let mut is_done = false;
    while !is_done && Instant::now() < until {
        sleep(UNSURE).await;
        let Some(spreads) = spreads.upgrade() else { return };
        is_done = spreads.finish_loans(&shards, of.1).await.is_ok();
    }
    if let Some(spreads) = spreads.upgrade() {
        spreads.finishing.borrow_mut().remove(&of);
    }
}

fn not_durable() -> Failure {
    Failure::unavailable(
        "a loan between shards is not as durable as durability.payments asks for, so its units cannot be had yet",
    )
}

/// No more units were free at any instant since, until a shard made some available. A loan changes nothing of it.
fn free_at_most(look: &[Free]) -> u64 {
    let sum: i64 = look.iter().map(|free| signed(free.available).saturating_add(free.lent)).sum();
    u64::try_from(sum).unwrap_or(0)
}

fn shortage(product: ProductId, look: &[Free]) -> Shortage {
    Shortage {
        product,
        available: free_at_most(look),
        coming_back: look.iter().map(|free| free.coming_back).sum(),
        next_release_ms: look.iter().filter_map(|free| free.next_release_ms).min(),
        now_ms: look.iter().map(|free| free.now_ms).max().unwrap_or(0),
    }
}

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

fn damaged() -> Failure {
    Failure::unreadable("the loans of a shard")
}
