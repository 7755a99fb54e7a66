//! How many orders are stored, by status, for metrics. Nothing keeps such sums: time alone changes a status and ends a record, and
//! what buyers wait for writes nothing for a statistic. So all orders are read, one page after the other, in the background, by one
//! worker at a time: many of them for about a fiftieth of the time, and up to a thousand at once each few seconds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex, watch},
    task::spawn_local,
    time::{sleep, timeout},
};

use super::{Failure, Store, list_orders::LIST_MAX, record::order::status_if_any};
use crate::domain::{cursor::ListCursor, ids::SaleId, order::OrderStatus, order_filter::Period};

/// Pages that are read without a pause: of few orders a count is there at once.
const PAGES_AT_ONCE: u32 = 10;
/// A pause after each other page, as a multiple of the time that the page took.
const PAUSES_OF_PAGE: u32 = 9;
/// The pause after a count, as a multiple of the time that the count took.
const PAUSES: u32 = 4;
/// The shortest time from one count to the next, as for the rest of the store.
const PAUSE_MIN: Duration = Duration::from_secs(5);
/// How long a reader waits for the first count, and for a later one, that it began. Of few orders it sees those of now.
const WAIT_FIRST_MAX: Duration = Duration::from_secs(2);
const WAIT_MAX: Duration = Duration::from_millis(200);

/// What a count found. It is of no single instant, but has each order that was there all the time, once.
#[derive(Clone, Debug)]
pub struct OrderCounts {
    by_status: [u64; OrderStatus::ALL.len()],
    began: Instant,
}

impl OrderCounts {
    pub fn of(&self, status: OrderStatus) -> u64 {
        self.by_status[status as usize]
    }

    /// The age of the oldest part of it.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }
}

/// The last count of all workers, and whose turn it is.
pub(super) struct CountedOrders {
    /// Held by the worker that counts: when the next count may begin.
    next: Arc<Mutex<Option<Instant>>>,
    last: watch::Sender<Option<OrderCounts>>,
}

impl Default for CountedOrders {
    fn default() -> Self {
        Self { next: Arc::default(), last: watch::Sender::new(None) }
    }
}

impl Store {
    /// The last count. Begins another one where its time has come. `None` as long as none has ended.
    pub(super) async fn order_counts(self: &Arc<Self>) -> Option<OrderCounts> {
        let mut counted = self.counted_orders.last.subscribe();
        if self.begin_to_count() {
            let wait = if counted.borrow().is_none() { WAIT_FIRST_MAX } else { WAIT_MAX };
            // The sender lives as long as this.
            let _ended = timeout(wait, counted.changed()).await;
        }
        counted.borrow().clone()
    }

    /// Whether it is the turn of this worker.
    fn begin_to_count(self: &Arc<Self>) -> bool {
        let Ok(mut next) = Arc::clone(&self.counted_orders.next).try_lock_owned() else { return false };
        let is_due = next.is_none_or(|at| Instant::now() >= at);
        if is_due {
            let store = Arc::clone(self);
            spawn_local(async move {
                let began = Instant::now();
                let counted = store.count_by_status().await;
                *next = Some((Instant::now() + began.elapsed() * PAUSES).max(began + PAUSE_MIN));
                if let Err(cause) = &counted {
                    tracing::debug!(%cause, "orders were not counted");
                }
                store.counted_orders.last.send_modify(|last| {
                    if let Ok(by_status) = counted {
                        *last = Some(OrderCounts { by_status, began });
                    }
                });
            });
        }
        is_due
    }

    async fn count_by_status(&self) -> Result<[u64; OrderStatus::ALL.len()], Failure> {
        let (mut counts, mut pages) = ([0; OrderStatus::ALL.len()], 0);
        for sale in self.sales(None).await?.unwrap_or_default() {
            let mut last = None;
            loop {
                let asked = Instant::now();
                let places = self.order_places(&sale, last.as_ref(), Period::default()).await?;
                for status in self.read_statuses(&sale, &places).await?.into_iter().flatten() {
                    counts[status as usize] += 1;
                }
                let is_over = places.len() < LIST_MAX;
                last = places.into_iter().last();
                pages += 1;
                if pages > PAGES_AT_ONCE {
                    sleep(asked.elapsed() * PAUSES_OF_PAGE).await;
                }
                if is_over {
                    break;
                }
            }
        }
        Ok(counts)
    }

    /// A status for each cursor. `None` for an order whose record is no longer kept, or cannot be read, which the audit reports.
    async fn read_statuses(&self, sale: &SaleId, cursors: &[ListCursor]) -> Result<Vec<Option<OrderStatus>>, Failure> {
        if cursors.is_empty() {
            return Ok(Vec::new());
        }
        let mut reply = self.order_records(sale, cursors).await?;
        let now_ms = reply.int()?;
        let read = |_| Ok(status_if_any(now_ms, &reply.text()?).unwrap_or_default());
        cursors.iter().map(read).collect()
    }
}
