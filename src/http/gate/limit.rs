//! The rate limit for each address: so many requests at once, then so many a second (GCRA, by the crate `governor`).

use std::{
    collections::HashMap,
    mem,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::StateStore,
};

use super::address::Client;

/// What one client may ask: `burst` requests at once, and another one each `period`.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub period: Duration,
    pub burst: NonZeroU32,
}

impl Rate {
    /// `None` when the burst is 0, or the rate is no positive number.
    pub fn new(per_second: f64, burst: u32) -> Option<Self> {
        let period = Duration::try_from_secs_f64(1.0 / per_second).ok().filter(|period| !period.is_zero())?;
        Some(Self { period, burst: NonZeroU32::new(burst)? })
    }
}

/// Clients of one generation, of two. Both full are about 4 MB.
const GENERATION: usize = 50_000;

pub(super) struct Limit<C: Clock = MonotonicClock>(RateLimiter<Client, Memory, C, NoOpMiddleware<C::Instant>>);

impl Limit {
    pub(super) fn new(rate: Rate) -> Self {
        Self::with(rate, MonotonicClock, GENERATION)
    }
}

impl<C: Clock> Limit<C> {
    fn with(rate: Rate, clock: C, generation: usize) -> Self {
        let quota = Quota::with_period(rate.period).expect("the period of a rate is not zero");
        Self(RateLimiter::new(quota.allow_burst(rate.burst), Memory::new(generation), clock))
    }

    /// Counts one request.
    ///
    /// # Errors
    /// In how many seconds another one would pass: whole, at least 1, never too few.
    pub(super) fn count(&self, client: Client) -> Result<(), u64> {
        self.0.check_key(&client).map_err(|refusal| {
            let wait = refusal.wait_time_from(self.0.clock().now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0 || wait.is_zero())
        })
    }
}

/// The states of clients, in bounded memory. A client is forgotten only after a whole generation of other addresses has been seen.
/// An attacker with that many addresses gains nothing from being forgotten.
struct Memory(Mutex<Generations>);

struct Generations {
    young: HashMap<Client, Nanos>,
    old: HashMap<Client, Nanos>,
    clients_max: usize,
}

impl Memory {
    fn new(clients_max: usize) -> Self {
        Self(Mutex::new(Generations { young: HashMap::new(), old: HashMap::new(), clients_max }))
    }
}

impl StateStore for Memory {
    type Key = Client;

    fn measure_and_replace<T, F, E>(&self, client: &Client, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // What a worker that panicked left behind is still a count.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.find(client);
        match decide(before) {
            Ok((allowed, after)) => {
                known.keep(*client, after);
                Ok(allowed)
            }
            Err(refused) => {
                // Whoever is refused comes again soon, and must not be forgotten meanwhile.
                before.into_iter().for_each(|before| known.keep(*client, before));
                Err(refused)
            }
        }
    }
}

impl Generations {
    fn find(&self, client: &Client) -> Option<Nanos> {
        self.young.get(client).or_else(|| self.old.get(client)).copied()
    }

    fn keep(&mut self, client: Client, state: Nanos) {
        if let Some(kept) = self.young.get_mut(&client) {
            *kept = state;
            return;
        }
        if self.young.len() >= self.clients_max {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(client, state);
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, num::NonZeroU32, time::Duration};

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn client(number: u32) -> Client {
        Client::of(IpAddr::from(number.to_be_bytes()))
    }

    fn limit(period_ms: u64, burst: u32, generation: usize) -> (Limit<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let rate = Rate { period: Duration::from_millis(period_ms), burst: NonZeroU32::new(burst).unwrap() };
        (Limit::with(rate, clock.clone(), generation), clock)
    }

    fn clients_known<C: Clock>(limit: Limit<C>) -> usize {
        let known = limit.0.into_state_store().0.into_inner().unwrap();
        known.young.len() + known.old.len()
    }

    #[test]
    fn a_burst_passes_and_then_one_each_period() {
        let (limit, clock) = limit(2_500, 3, 10);
        assert_eq!([(); 5].map(|()| limit.count(client(1))), [Ok(()), Ok(()), Ok(()), Err(3), Err(3)]);
        clock.advance(Duration::from_millis(1_600));
        assert_eq!(limit.count(client(1)), Err(1), "0.9 s are rounded up");
        clock.advance(Duration::from_millis(900));
        assert_eq!([(); 2].map(|()| limit.count(client(1))), [Ok(()), Err(3)]);
        clock.advance(Duration::from_hours(1));
        assert_eq!([(); 4].map(|()| limit.count(client(1))), [Ok(()), Ok(()), Ok(()), Err(3)]);
    }

    #[test]
    fn each_client_is_counted_by_itself() {
        let (limit, _clock) = limit(1_000, 1, 10);
        assert_eq!([1, 2, 1, 2].map(|number| limit.count(client(number)).is_ok()), [true, true, false, false]);
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory() {
        let (limit, _clock) = limit(1_000, 1, 100);
        (0..100_000).for_each(|number| _ = limit.count(client(number)));
        assert!((100..=200).contains(&clients_known(limit)));
    }

    #[test]
    fn a_client_that_keeps_asking_is_not_forgotten_in_a_flood() {
        let (limit, _clock) = limit(1_000, 1, 100);
        assert_eq!(limit.count(client(0)), Ok(()));
        for number in 1..=10_000 {
            assert_eq!(limit.count(client(number)), Ok(()));
            if number % 50 == 0 {
                assert_eq!(limit.count(client(0)), Err(1), "after {number} others");
            }
        }
    }

    #[test]
    fn the_slowest_and_largest_settings_do_not_overflow() {
        let slowest = Rate { period: Duration::from_secs(10_000), burst: NonZeroU32::new(100_000).unwrap() };
        let fastest = Rate { period: Duration::from_micros(1), ..slowest };
        for rate in [slowest, fastest] {
            let limit = Limit::new(rate);
            assert!((0..1_000).all(|_| limit.count(client(1)).is_ok()));
        }
    }
}
