//! The figures of this process: how often what was decided, since it began. Each worker counts for itself, without a lock and
//! without a cache line that another one writes. A reader adds them up.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{Failure, Reply, Store};
use crate::domain::{
    figures::Figure,
    outcome::{HoldBySkuOutcome, HoldOutcome, OrderOutcome, SettleOutcome, ShortageReason},
    sale::SaleStatus,
};
use crate::metrics::{Count, Workers};

/// The counters of one worker. Its thread alone writes them, so that an addition is a load and a store. A cache line of its
/// own, and the one that the processor fetches with it.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Counters([Count; Figure::COUNT]);

/// The figures of a process.
pub struct Figures {
    /// Names the process, so that a reader behind a balancer notices another one.
    pub process: String,
    /// When it began: epoch milliseconds of its own clock.
    pub started_ms: i64,
    workers: Workers<Counters>,
}

impl Figures {
    pub(super) fn begin() -> Self {
        // Without random numbers two processes have one name, which hurts nobody but a reader behind a balancer.
        let process = format!("{:016x}", getrandom::u64().unwrap_or_default());
        Self { process, started_ms: clock_ms(), workers: Workers::default() }
    }

    /// Counters for one more worker.
    pub(super) fn of_worker(&self) -> Arc<Counters> {
        self.workers.join(Counters([const { Count::new() }; Figure::COUNT]))
    }

    /// All figures, those of workers that ended too.
    pub fn sums(&self) -> Vec<(Figure, u64)> {
        let sum = |figure| self.workers.sum(|counters| counters.0[figure as usize].get());
        Figure::ALL.into_iter().map(|figure| (figure, sum(figure))).collect()
    }
}

impl Counters {
    fn add(&self, figure: Figure) {
        self.0[figure as usize].add(1);
    }
}

/// What the figures count.
pub trait HasFigure {
    /// `None`: it is no decision.
    fn figure(&self) -> Option<Figure>;
    fn figure_of(failure: &Failure) -> Figure;
}

impl Store {
    /// Counts an outcome or a failure, and returns it.
    ///
    /// # Errors
    /// The failure that it was given.
    pub fn count<T: HasFigure>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        let figure = match &outcome {
            Ok(outcome) => outcome.figure(),
            Err(failure) => Some(T::figure_of(failure)),
        };
        if let Some(figure) = figure {
            self.counters.add(figure);
        }
        outcome
    }

    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// How long Redis takes for an answer on the connection of this worker, behind the calls that wait there; and what time it
    /// has, in epoch milliseconds.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn measure_redis(&self) -> Result<(Duration, i64), Failure> {
        let asked = Instant::now();
        let time = self.runner.plain(&redis::cmd("TIME")).await?;
        let took = asked.elapsed();
        let mut time = Reply::read(time)?;
        Ok((took, time.int()? * 1_000 + time.int()? / 1_000))
    }
}

impl HasFigure for HoldOutcome {
    fn figure(&self) -> Option<Figure> {
        Some(match self {
            Self::Held(_) => Figure::HoldHeld,
            Self::Replayed(_) => Figure::HoldReplayed,
            Self::IdempotencyKeyReused => Figure::HoldIdempotencyKeyReused,
            Self::ProductNotFound(_) => Figure::HoldProductNotFound,
            Self::ProductsOfDifferentSales => Figure::HoldProductsOfDifferentSales,
            Self::QuantityAboveLimit { .. } => Figure::HoldQuantityAboveLimit,
            Self::SaleNotOpen { status: SaleStatus::Ended, .. } => Figure::HoldSaleEnded,
            Self::SaleNotOpen { status: SaleStatus::Scheduled, .. } => Figure::HoldSaleNotStarted,
            Self::SaleNotOpen { status: SaleStatus::Paused | SaleStatus::Live, .. } => Figure::HoldSalePaused,
            Self::CustomerIdRequired(_) => Figure::HoldCustomerIdRequired,
            Self::CustomerLimitReached { .. } => Figure::HoldCustomerLimitReached,
            Self::CustomerCoolingDown { .. } => Figure::HoldCustomerCoolingDown,
            Self::InsufficientStock(shortage) => match shortage.reason() {
                ShortageReason::SoldOut => Figure::HoldSoldOut,
                ShortageReason::AllHeld => Figure::HoldAllHeld,
                ShortageReason::NotEnough => Figure::HoldNotEnough,
            },
        })
    }

    fn figure_of(failure: &Failure) -> Figure {
        match failure {
            Failure::Overloaded(_) => Figure::HoldOverloaded,
            Failure::Replaced(_) | Failure::Lost(_) => Figure::HoldStoreReplaced,
            Failure::Full(_) => Figure::HoldStoreFull,
            Failure::TimedOut(_) => Figure::HoldStoreTimeout,
            Failure::Unreadable(_) | Failure::Unavailable(_) => Figure::HoldStoreUnavailable,
        }
    }
}

impl HasFigure for HoldBySkuOutcome {
    fn figure(&self) -> Option<Figure> {
        match self {
            Self::Decided(outcome) => outcome.figure(),
            Self::SkuNotFound(_) => Some(Figure::HoldProductNotFound),
            Self::WrongLines(_) => None,
        }
    }

    fn figure_of(failure: &Failure) -> Figure {
        HoldOutcome::figure_of(failure)
    }
}

impl HasFigure for OrderOutcome {
    fn figure(&self) -> Option<Figure> {
        Some(match self {
            Self::Created(_) => Figure::OrderCreated,
            Self::Exists(_) => Figure::OrderExists,
            Self::HoldExpired => Figure::OrderHoldExpired,
        })
    }

    fn figure_of(failure: &Failure) -> Figure {
        match failure {
            Failure::Overloaded(_) => Figure::OrderOverloaded,
            Failure::Replaced(_) | Failure::Lost(_) => Figure::OrderStoreReplaced,
            Failure::Full(_) => Figure::OrderStoreFull,
            Failure::TimedOut(_) => Figure::OrderStoreTimeout,
            Failure::Unreadable(_) | Failure::Unavailable(_) => Figure::OrderStoreUnavailable,
        }
    }
}

impl HasFigure for SettleOutcome {
    fn figure(&self) -> Option<Figure> {
        Some(match self {
            Self::Applied(_) => Figure::EventApplied,
            Self::Duplicate(_) => Figure::EventDuplicate,
            Self::Ignored(_) => Figure::EventIgnored,
            Self::RefundRequired(_) => Figure::EventRefundRequired,
            Self::Review(_) => Figure::EventReview,
            Self::Unmatched(_) => Figure::EventUnmatched,
            Self::TargetsDiffer => Figure::EventTargetsDiffer,
            Self::IdempotencyKeyReused => Figure::EventIdempotencyKeyReused,
        })
    }

    fn figure_of(failure: &Failure) -> Figure {
        match failure {
            Failure::Overloaded(_) => Figure::EventOverloaded,
            Failure::Replaced(_) | Failure::Lost(_) => Figure::EventStoreReplaced,
            Failure::Full(_) => Figure::EventStoreFull,
            Failure::TimedOut(_) => Figure::EventStoreTimeout,
            Failure::Unreadable(_) | Failure::Unavailable(_) => Figure::EventStoreUnavailable,
        }
    }
}

fn clock_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_count_for_themselves_and_are_added_up() {
        let figures = Figures::begin();
        let (one, other) = (figures.of_worker(), figures.of_worker());
        one.add(Figure::HoldHeld);
        std::thread::spawn(move || (0..1_000).for_each(|_| other.add(Figure::HoldHeld))).join().unwrap();
        drop(one);
        let sums = figures.sums();
        assert_eq!(sums.iter().find(|(figure, _)| *figure == Figure::HoldHeld).unwrap().1, 1_001);
        assert_eq!(sums.iter().map(|(_, count)| count).sum::<u64>(), 1_001);
        assert!(align_of::<Counters>() == 128 && size_of::<Counters>().is_multiple_of(128));
    }
}
