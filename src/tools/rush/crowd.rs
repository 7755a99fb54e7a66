//! Who comes next, and when: the closed loop and the open one.
//!
//! In an open loop a thread hands out a ticket for each arrival, and whoever serves a buyer measures from the instant of the
//! schedule. So a service that stalls is charged for everybody who would have come meanwhile (coordinated omission).

use std::{
    cell::Cell,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::plan::{Pace, Plan};

/// The longest sleep of the thread, so that it ends soon after the rush does.
const NAP_MAX: Duration = Duration::from_millis(50);
/// The shortest one: arrivals closer than this share a wake-up.
const NAP_MIN: Duration = Duration::from_micros(100);

/// Why nobody comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    AllServed,
    TimeUp,
    Interrupted,
}

impl Ended {
    pub fn word(self) -> &'static str {
        match self {
            Self::AllServed => "all_served",
            Self::TimeUp => "time_up",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A buyer and the instant from which they wait.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub buyer: u64,
    pub at: Instant,
}

pub struct Crowd {
    started: Instant,
    buyers: u64,
    pace: Pace,
    next: Cell<u64>,
    ended: Cell<Option<Ended>>,
    tickets: Arc<Semaphore>,
}

impl Crowd {
    /// The first buyer comes now.
    pub fn gather(plan: &Plan, started: Instant) -> Self {
        let tickets = Arc::new(Semaphore::new(0));
        if let Pace::Open { rate } = plan.pace {
            // Those who would come after the end of the rush do not come.
            let (tickets, buyers) = (Arc::clone(&tickets), plan.buyers.min(arrived(plan.duration, rate) - 1).max(1));
            thread::spawn(move || hand_out(&tickets, buyers, rate, started));
        }
        Self { started, buyers: plan.buyers, pace: plan.pace, next: Cell::new(0), ended: Cell::new(None), tickets }
    }

    /// The next buyer, when there is one; in an open loop, when it is time.
    pub async fn next(&self) -> Option<Arrival> {
        if let Pace::Open { .. } = self.pace {
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
        let at = match self.pace {
            Pace::Closed => Instant::now(),
            Pace::Open { rate } => self.started + scheduled(buyer, rate),
        };
        Some(Arrival { buyer, at })
    }

    /// Sends everybody home who was not served yet. The first reason stands, but impatience outdoes it.
    pub fn end(&self, why: Ended) {
        if self.ended.get().is_none() || why == Ended::Interrupted {
            self.ended.set(Some(why));
        }
        self.tickets.close();
    }

    pub fn ended(&self) -> Option<Ended> {
        self.ended.get()
    }

    /// Buyers whose time had come, and whom nobody had time for.
    pub fn in_line(&self) -> u64 {
        self.tickets.available_permits() as u64
    }
}

/// When this buyer comes, after the start.
fn scheduled(buyer: u64, rate: u64) -> Duration {
    let ns = u128::from(buyer) * 1_000_000_000 / u128::from(rate);
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

/// How many have come by then.
fn arrived(elapsed: Duration, rate: u64) -> u64 {
    u64::try_from(elapsed.as_nanos() * u128::from(rate) / 1_000_000_000).unwrap_or(u64::MAX).saturating_add(1)
}

/// A ticket for each buyer, on schedule. Timers of the runtime are a millisecond coarse; a thread's sleep is not.
fn hand_out(tickets: &Semaphore, buyers: u64, rate: u64, started: Instant) {
    let mut given = 0;
    while given < buyers && !tickets.is_closed() {
        let due = arrived(started.elapsed(), rate).min(buyers);
        tickets.add_permits(usize::try_from(due.saturating_sub(given)).unwrap_or_default());
        given = given.max(due);
        let wait = (started + scheduled(given, rate)).saturating_duration_since(Instant::now());
        thread::sleep(wait.clamp(NAP_MIN, NAP_MAX));
    }
}
