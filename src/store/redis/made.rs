//! Sales of a cluster that were made, and which of them are gone. Directory and sales are on different servers. One that comes back
//! empty has lost its sales, and the directory still has their products: whoever made these anew would sell their units twice.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{StreamExt, stream};
use redis::{Cmd, aio::MultiplexedConnection};

use super::{
    error::Failure,
    keys::{MADE, SALES, SaleKeys},
    reply::Reply,
    runner::Runner,
    slot::tag,
};
use crate::domain::ids::SaleId;

/// Questions that wait at the same time.
const ASKED_AT_ONCE: usize = 64;
/// Sales that a text names.
const NAMED_MAX: usize = 5;

/// All workers share it.
#[derive(Default)]
pub struct MadeSales {
    known: Mutex<Known>,
    has_lost: AtomicBool,
}

#[derive(Default)]
struct Known {
    made: BTreeSet<SaleId>,
    lost: BTreeSet<SaleId>,
}

impl MadeSales {
    /// # Errors
    /// [`Failure::Lost`] for a key of a sale that is gone.
    pub fn check<'a>(&self, key: impl FnOnce() -> &'a [u8]) -> Result<(), Failure> {
        if !self.has_lost.load(Ordering::Relaxed) {
            return Ok(());
        }
        let tag = tag(key());
        let known = self.lock();
        let lost = known.lost.iter().find(|sale| sale.as_str().as_bytes() == tag);
        lost.map_or(Ok(()), |sale| Err(Failure::lost(names([sale]))))
    }

    pub fn has(&self, sale: &SaleId) -> bool {
        self.lock().made.contains(sale)
    }

    pub fn add(&self, sale: &SaleId) {
        self.lock().made.insert(sale.clone());
    }

    /// Those of the directory. A sale that somebody took out of it may be made anew.
    pub fn replace(&self, made: BTreeSet<SaleId>) {
        let mut known = self.lock();
        known.lost.retain(|sale| made.contains(sale));
        self.has_lost.store(!known.lost.is_empty(), Ordering::Relaxed);
        known.made = made;
    }

    pub fn lost(&self) -> Vec<SaleId> {
        self.lock().lost.iter().cloned().collect()
    }

    /// Takes what was found of some sales that were made. The log has what is new.
    pub fn note(&self, found: &[(SaleId, bool)]) {
        let mut known = self.lock();
        let (mut gone, mut back) = (Vec::new(), Vec::new());
        for (sale, is_there) in found {
            if *is_there && known.lost.remove(sale) {
                back.push(sale);
            } else if !*is_there && known.lost.insert(sale.clone()) {
                gone.push(sale);
            }
        }
        self.has_lost.store(!known.lost.is_empty(), Ordering::Relaxed);
        drop(known);
        if !gone.is_empty() {
            tracing::error!(
                sales = %names(gone),
                "the data of sales is gone: a server of the cluster lost it. Nothing is sold there, and payment events about \
                 them are answered 503 so that they come again. docs/operations.md says how they come back, or begin anew"
            );
        }
        if !back.is_empty() {
            tracing::info!(sales = %names(back), "the data of sales is back");
        }
    }

    /// Asks a server for all sales. Those that another one has are no part of its answer.
    pub async fn look_at(&self, connection: &MultiplexedConnection) {
        let made: Vec<SaleId> = self.lock().made.iter().cloned().collect();
        let asked = made.into_iter().map(|sale| async {
            let answer = question(&sale).query_async::<bool>(&mut connection.clone()).await;
            answer.ok().map(|is_there| (sale, is_there))
        });
        let found: Vec<_> =
            stream::iter(asked).buffer_unordered(ASKED_AT_ONCE).filter_map(async |it| it).collect().await;
        self.note(&found);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the sale is there: a field that it has had since it was made. The one of unmatched payment events has no terms.
pub fn question(sale: &SaleId) -> Cmd {
    let field = if *sale == SaleId::unmatched() { "last_write" } else { "hold_ms" };
    redis::cmd("HEXISTS").arg(SaleKeys(sale).sale()).arg(field).to_owned()
}

/// The sales that were made, and whether each of all sales is there, where its server answers.
///
/// # Errors
/// [`Failure`] of the server that has the directory.
pub async fn look(runner: &Runner) -> Result<(BTreeSet<SaleId>, Vec<(SaleId, bool)>), Failure> {
    let made = names_in(runner, MADE).await?;
    let all: BTreeSet<_> = names_in(runner, SALES).await?.union(&made).cloned().chain([SaleId::unmatched()]).collect();
    let asked = all.into_iter().map(async |sale| runner.has_sale(&sale).await.ok().map(|is_there| (sale, is_there)));
    let found = stream::iter(asked).buffer_unordered(ASKED_AT_ONCE).filter_map(async |it| it).collect().await;
    Ok((made, found))
}

async fn names_in(runner: &Runner, key: &str) -> Result<BTreeSet<SaleId>, Failure> {
    let mut names = Reply::read(runner.plain(redis::cmd("SMEMBERS").arg(key)).await?)?;
    let mut found = BTreeSet::new();
    while !names.is_empty() {
        found.insert(names.sale_id()?);
    }
    Ok(found)
}

/// Some names, and how many more there are.
pub fn names<'a>(sales: impl IntoIterator<Item = &'a SaleId>) -> String {
    let all: Vec<_> = sales.into_iter().map(SaleId::as_str).collect();
    let shown = all.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_lost_sale_are_refused_until_it_is_back_or_may_be_made_anew() {
        let [one, other] = ["one", "other"].map(|name| SaleId::parse(name).unwrap());
        let sales = MadeSales::default();
        let is_refused = |key: &str| sales.check(|| key.as_bytes()).is_err();
        sales.replace([one.clone(), other.clone()].into());
        sales.note(&[(one.clone(), true), (other.clone(), false)]);
        assert!(
            is_refused("fs1:{other}:stock") && !is_refused("fs1:{one}:stock") && !is_refused("fs1:{:all}:products")
        );
        sales.note(&[(other.clone(), true)]);
        assert!(!is_refused("fs1:{other}:stock"));
        sales.note(&[(other.clone(), false)]);
        sales.replace([one].into());
        assert!(!is_refused("fs1:{other}:stock") && sales.lost().is_empty());
    }

    #[test]
    fn a_text_names_a_few_sales_and_counts_the_others() {
        let all: Vec<_> = (1..=7).map(|n| SaleId::parse(&format!("s{n}")).unwrap()).collect();
        assert_eq!(names(&all[..2]), "s1, s2");
        assert_eq!(names(&all), "s1, s2, s3, s4, s5 and 2 more");
    }
}
