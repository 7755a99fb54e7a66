//! Holds whose answer was lost. Redis may have made them, but nobody learned their ids, so nobody can buy them or give them back,
//! and their units would be away until they lapse. The worker gives them back once Redis can no longer make them.
//!
//! A hold with an idempotency key is not among them: its caller asks again, and finds it.

use std::{
    cell::{OnceCell, RefCell},
    collections::VecDeque,
    mem,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    sync::Notify,
    task::{JoinHandle, spawn_local},
    time::sleep_until,
};

use super::{Failure, ServiceTerms, Store, ids::IdPart, redis::runner::Runner, release};
use crate::domain::ids::SaleId;

/// Holds of one worker that wait to be given back. What comes beyond that lapses by itself.
const WAITING_MAX: usize = 16_384;
/// Pause before a hold is tried again, while Redis is away.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a hold is tried. Redis was away for so long that most of them have lapsed.
const TRIED_MAX: Duration = Duration::from_mins(15);

/// The holds of a worker whose answers were lost.
#[derive(Default)]
pub(super) struct LostHolds {
    waiting: RefCell<VecDeque<Lost>>,
    came: Notify,
}

/// The task that gives them back. It ends with the store.
#[derive(Default)]
pub(super) struct GiveBack(OnceCell<JoinHandle<()>>);

impl Drop for GiveBack {
    fn drop(&mut self) {
        if let Some(task) = self.0.get() {
            task.abort();
        }
    }
}

struct Lost {
    sale: SaleId,
    key: IdPart,
    /// When it is given back: no call that was sent may still make it.
    due: Instant,
    until: Instant,
}

/// A hold whose caller waits for the answer. Dropped before the caller has it, it is lost.
pub(super) struct Asked<'a> {
    store: &'a Store,
    sale: &'a SaleId,
    key: IdPart,
}

impl Asked<'_> {
    /// The caller has an answer, or nothing was done.
    pub(super) fn answered(self) {
        mem::forget(self);
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.store.lost_holds.add(self.sale, self.key, self.store.call_max);
    }
}

impl Store {
    /// To be kept until the caller has the answer.
    pub(super) fn asked<'a>(&'a self, sale: &'a SaleId, key: IdPart) -> Asked<'a> {
        self.give_back.0.get_or_init(|| {
            let (lost, runner) = (Rc::clone(&self.lost_holds), Rc::clone(&self.runner));
            spawn_local(give_back(lost, runner, self.terms))
        });
        Asked { store: self, sale, key }
    }
}

impl LostHolds {
    fn add(&self, sale: &SaleId, key: IdPart, call_max: Duration) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() < WAITING_MAX {
            let now = Instant::now();
            // It may wait for its turn, and then for Redis, which refuses it behind `not_after`.
            let lost = Lost { sale: sale.clone(), key, due: now + 2 * call_max, until: now + TRIED_MAX };
            waiting.push_back(lost);
            self.came.notify_one();
        }
    }

    fn next(&self) -> Option<Lost> {
        self.waiting.borrow_mut().pop_front()
    }
}

/// Gives them back as they come, as long as the worker runs.
async fn give_back(lost: Rc<LostHolds>, runner: Rc<Runner>, terms: ServiceTerms) {
    let mut released = 0_u64;
    loop {
        let Some(hold) = lost.next() else {
            if released > 0 {
                tracing::info!(holds = mem::take(&mut released), "gave back holds whose answers were lost");
            }
            lost.came.notified().await;
            continue;
        };
        sleep_until(hold.due.into()).await;
        match release::unclaimed(&runner, terms, &hold.sale, hold.key).await {
            Ok(existed) => released += u64::from(existed),
            Err(failure) => try_later(&lost, hold, &failure),
        }
    }
}

fn try_later(lost: &LostHolds, hold: Lost, failure: &Failure) {
    let due = Instant::now() + PAUSE;
    if due < hold.until {
        lost.waiting.borrow_mut().push_back(Lost { due, ..hold });
    } else {
        tracing::warn!(sale = %hold.sale, cause = %failure, "a hold whose answer was lost is left to lapse");
    }
}
