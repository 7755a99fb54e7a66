//! When the next buyer arrives: the closed loop and the open one.
//!
//! In an open loop a thread hands out a ticket for each arrival, and a buyer's wait is measured from the scheduled
//! instant. So a service that stalls is charged for everybody who would have come meanwhile (coordinated omission).

use std::{
    cell::Cell,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::plan::{LoadModel, RushPlan};

/// The longest sleep of the thread, so that it ends soon after the rush does.
const SLEEP_MAX: Duration = Duration::from_millis(50);
/// The shortest sleep. Arrivals that are closer together share a wake-up.
const SLEEP_MIN: Duration = Duration::from_micros(100);

/// Why no more buyers arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    AllServed,
    TimeUp,
    Interrupted,
}

impl Ended {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllServed => "all_served",
            Self::TimeUp => "time_up",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A buyer, and the instant from which the wait counts.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub buyer: u64,
    pub at: Instant,
}

/// The arrivals of one rush.
pub struct Arrivals {
    started: Instant,
    buyers: u64,
    load: LoadModel,
    next: Cell<u64>,
    ended: Cell<Option<Ended>>,
    tickets: Arc<Semaphore>,
}

impl Arrivals {
    /// Begins: the first buyer arrives now.
    pub fn start(plan: &RushPlan, started: Instant) -> Self {
        let tickets = Arc::new(Semaphore::new(0));
        if let LoadModel::Open { rate } = plan.load {
            // Nobody arrives after the end of the rush.
            let buyers = plan.buyers.min(arrived(plan.duration, rate) - 1).max(1);
            let tickets = Arc::clone(&tickets);
            thread::spawn(move || hand_out(&tickets, buyers, rate, started));
        }
        Self { started, buyers: plan.buyers, load: plan.load, next: Cell::new(0), ended: Cell::new(None), tickets }
    }

    /// The next buyer, if there is one. In an open loop it waits for the scheduled instant.
    pub async fn next(&self) -> Option<Arrival> {
        if let LoadModel::Open { .. } = self.load {
            self.tickets.acquire().await.ok()?.forget();
        }
        let buyer = self.next.get();
        if self.ended.get().is_some() || buyer >= self.buyers {
            return None;
        }
        self.next.set(buyer + 1);
        if buyer + 1 == self.buyers {
            self.end(Ended::AllServed);
        }
        let at = match self.load {
            LoadModel::Closed => Instant::now(),
            LoadModel::Open { rate } => self.started + scheduled(buyer, rate),
        };
        Some(Arrival { buyer, at })
    }

    /// Stops handing out arrivals. The first reason is kept, except that an interrupt replaces it.
    pub fn end(&self, why: Ended) {
        if self.ended.get().is_none() || why == Ended::Interrupted {
            self.ended.set(Some(why));
        }
        self.tickets.close();
    }

    pub fn ended(&self) -> Option<Ended> {
        self.ended.get()
    }

    /// Buyers who have arrived and whom nobody serves yet.
    pub fn waiting(&self) -> u64 {
        self.tickets.available_permits() as u64
    }
}

/// When this buyer arrives, after the start.
fn scheduled(buyer: u64, rate: u64) -> Duration {
    let ns = u128::from(buyer) * 1_000_000_000 / u128::from(rate);
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

/// How many buyers have arrived by then.
fn arrived(elapsed: Duration, rate: u64) -> u64 {
    u64::try_from(elapsed.as_nanos() * u128::from(rate) / 1_000_000_000).unwrap_or(u64::MAX).saturating_add(1)
}

/// Hands out a ticket for each buyer, on schedule. The runtime's timers are a millisecond coarse; a thread's sleep is not.
fn hand_out(tickets: &Semaphore, buyers: u64, rate: u64, started: Instant) {
    let mut given = 0;
    while given < buyers && !tickets.is_closed() {
        let due = arrived(started.elapsed(), rate).min(buyers);
        tickets.add_permits(usize::try_from(due.saturating_sub(given)).unwrap_or_default());
        given = given.max(due);
        let wait = (started + scheduled(given, rate)).saturating_duration_since(Instant::now());
        thread::sleep(wait.clamp(SLEEP_MIN, SLEEP_MAX));
    }
}
