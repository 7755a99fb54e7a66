//! Readers that wait for events. One task looks for all that wait at a worker, as long as any does: one command for the logs of
//! all sales. It holds no connection, and each reader then reads for itself.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use tokio::{sync::watch, task::spawn_local};

use super::{
    Failure, Reply, Runner,
    directory::all_sales,
    events::{ends_of, read_logs},
};
use crate::domain::{event_cursor::Seen, ids::SaleId};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Readers that may wait at one worker.
const WAITING_MAX: usize = 256;
/// The first look goes back so far, so that it sees what came while its reader began to wait.
const LOOK_BACK_MS: u64 = 2_000;

/// Those who wait at a worker.
pub(super) struct Waits {
    runner: Rc<Runner>,
    waiting: Cell<usize>,
    is_looking: Cell<bool>,
    /// Counts the looks that found something, or failed.
    news: watch::Sender<u64>,
    /// The ends of the logs at the last look.
    ends: RefCell<BTreeMap<SaleId, Seen>>,
}

/// A reader that waits, until it is dropped.
pub struct Waiting {
    waits: Rc<Waits>,
    news: watch::Receiver<u64>,
}

impl Waits {
    pub(super) fn new(runner: Rc<Runner>) -> Rc<Self> {
        Rc::new(Self {
            runner,
            waiting: Cell::default(),
            is_looking: Cell::default(),
            news: watch::Sender::new(0),
            ends: RefCell::default(),
        })
    }

    pub(super) fn enter(this: &Rc<Self>) -> Result<Waiting, Failure> {
        let waiting = this.waiting.get();
        if waiting >= WAITING_MAX {
            return Err(Failure::overloaded(format!("{waiting} readers wait for events already")));
        }
        this.waiting.set(waiting + 1);
        let entered = Waiting { waits: Rc::clone(this), news: this.news.subscribe() };
        if !this.is_looking.replace(true) {
            spawn_local(Looking(Rc::clone(this)).look());
        }
        Ok(entered)
    }

    /// Whether something happened since the last look.
    async fn has_news(&self) -> Result<bool, Failure> {
        let mut known = self.ends.take();
        let mut time = Reply::read(self.runner.plain(&redis::cmd("TIME")).await?)?;
        let since = Seen::Before((time.count()? * 1_000).saturating_sub(LOOK_BACK_MS));
        let sales = all_sales(&self.runner).await?;
        let ends: BTreeMap<_, _> =
            sales.into_iter().map(|sale| (sale.clone(), known.remove(&sale).unwrap_or(since))).collect();
        // The last event that is known comes first, so one more shows that something happened.
        let found = read_logs(&self.runner, &ends, 2).await?;
        let is_news = |sale: &SaleId| match (ends[sale], &found[sale][..]) {
            (Seen::UpTo(end), [(first, _)]) => *first != end,
            _ => true,
        };
        let moved: Vec<SaleId> = found.keys().filter(|sale| is_news(sale)).cloned().collect();
        let has_news = !moved.is_empty();
        let mut ends = ends;
        for (sale, end) in ends_of(&self.runner, moved).await? {
            ends.insert(sale, end.map_or(since, Seen::UpTo));
        }
        self.ends.replace(ends);
        Ok(has_news)
    }
}

impl Waiting {
    /// Waits for a look that finds something. What happened since the reader entered is never missed.
    pub async fn news(&mut self) {
        // The sender lives as long as this.
        let _changed = self.news.changed().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waits.waiting.set(self.waits.waiting.get() - 1);
    }
}

/// The task that looks.
struct Looking(Rc<Waits>);

impl Looking {
    async fn look(self) {
        while self.0.waiting.get() > 0 {
            // Where Redis is gone the readers find that out themselves.
            if self.0.has_news().await.unwrap_or(true) {
                self.0.news.send_modify(|looks| *looks += 1);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// However it ends, the next reader starts another one.
impl Drop for Looking {
    fn drop(&mut self) {
        self.0.is_looking.set(false);
        self.0.ends.take();
    }
}
