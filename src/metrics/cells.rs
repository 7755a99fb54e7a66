//! Cells that one thread writes.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A number that one thread changes, and any thread reads.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    // Two threads that add at the same time would lose an addition. The processor is spared a locked instruction.
    pub fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }

    pub fn take(&self, less: u64) {
        self.set(self.get().wrapping_sub(less));
    }
}

/// The bounds of a histogram, and how many of the numbers that are counted make one of what is shown.
#[derive(Debug)]
pub struct Scale {
    /// Rising. A number is in the first bucket whose bound is not below it.
    pub bounds: &'static [u64],
    pub per_unit: u64,
}

impl Scale {
    /// Microseconds, shown as seconds: from a tenth of a millisecond to ten seconds.
    pub const TIME: Self = Self {
        bounds: &[
            100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
            2_500_000, 10_000_000,
        ],
        per_unit: 1_000_000,
    };
    /// Items of a batch.
    pub const SIZE: Self = Self { bounds: &[1, 2, 4, 8, 16, 32, 64, 128], per_unit: 1 };
}

/// How many numbers were in each part of a scale, and their sum.
#[derive(Debug)]
pub struct Histogram {
    scale: &'static Scale,
    /// One more than there are bounds.
    buckets: Box<[Count]>,
    sum: Count,
}

impl Histogram {
    pub fn new(scale: &'static Scale) -> Self {
        let buckets = (0..=scale.bounds.len()).map(|_| Count::new()).collect();
        Self { scale, buckets, sum: Count::new() }
    }

    pub fn observe(&self, number: u64) {
        let bucket = self.scale.bounds.iter().position(|bound| number <= *bound);
        self.buckets[bucket.unwrap_or(self.scale.bounds.len())].add(1);
        self.sum.add(number);
    }

    /// For a scale of microseconds.
    pub fn observe_time(&self, took: Duration) {
        self.observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}

/// Histograms of one scale, added up.
#[derive(Debug)]
pub struct Sums {
    pub scale: &'static Scale,
    pub buckets: Vec<u64>,
    pub sum: u64,
}

impl Sums {
    fn of(scale: &'static Scale) -> Self {
        Self { scale, buckets: vec![0; scale.bounds.len() + 1], sum: 0 }
    }

    pub fn of_all<'a>(scale: &'static Scale, histograms: impl Iterator<Item = &'a Histogram>) -> Self {
        let mut sums = Self::of(scale);
        histograms.for_each(|histogram| sums.add(histogram));
        sums
    }

    fn add(&mut self, histogram: &Histogram) {
        self.buckets.iter_mut().zip(&histogram.buckets).for_each(|(sum, bucket)| *sum += bucket.get());
        self.sum = self.sum.wrapping_add(histogram.sum.get());
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// The cells of all workers, those of workers that ended too, so that no sum ever falls.
#[derive(Debug)]
pub struct Workers<T>(Mutex<Vec<Arc<T>>>);

impl<T> Default for Workers<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Workers<T> {
    /// Cells for one more worker.
    pub fn join(&self, cells: T) -> Arc<T> {
        let cells = Arc::new(cells);
        self.lock().push(Arc::clone(&cells));
        cells
    }

    pub fn all(&self) -> Vec<Arc<T>> {
        self.lock().clone()
    }

    /// A number of all of them.
    pub fn sum(&self, number: impl Fn(&T) -> u64) -> u64 {
        self.lock().iter().map(|cells| number(cells)).fold(0, u64::wrapping_add)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_in_the_first_bucket_whose_bound_is_not_below_it() {
        let histogram = Histogram::new(&Scale::SIZE);
        [0, 1, 2, 3, 128, 129].into_iter().for_each(|size| histogram.observe(size));
        let sums = Sums::of_all(&Scale::SIZE, [&histogram].into_iter());
        assert_eq!(sums.buckets, [2, 1, 1, 0, 0, 0, 0, 1, 1]);
        assert_eq!((sums.sum, sums.count()), (263, 6));
    }

    #[test]
    fn workers_count_for_themselves_and_are_added_up_when_they_are_gone_too() {
        let workers = Workers::<Count>::default();
        let (one, other) = (workers.join(Count::new()), workers.join(Count::new()));
        one.add(1);
        std::thread::spawn(move || (0..1_000).for_each(|_| other.add(1))).join().unwrap();
        drop(one);
        assert_eq!(workers.sum(Count::get), 1_001);
    }

    #[test]
    fn bounds_rise() {
        for scale in [Scale::TIME, Scale::SIZE] {
            assert!(scale.bounds.is_sorted_by(|a, b| a < b));
        }
    }
}
