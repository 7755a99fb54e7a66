//! Sales that do not share calls for holds with others, for a while: hot ones, behind which the others would wait, and those of
//! which `hold_sales` left something, as it does where a sale is paused.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::domain::ids::SaleId;

/// A sale of which something was left is alone for so long, and for twice as long each time, up to the most.
const FIRST: Duration = Duration::from_millis(25);
const MOST: Duration = Duration::from_secs(1);
/// From so many sales on, those that are not alone any more are forgotten.
const KEPT: usize = 1_000;

#[derive(Default)]
pub(super) struct Alone {
    /// Until when, and for how long that is.
    sales: HashMap<SaleId, (Instant, Duration)>,
    /// When old ones were forgotten the last time.
    cleaned: Option<Instant>,
}

impl Alone {
    pub(super) fn has(&self, sale: &SaleId) -> bool {
        !self.sales.is_empty() && self.has_at(sale, Instant::now())
    }

    fn has_at(&self, sale: &SaleId, now: Instant) -> bool {
        self.sales.get(sale).is_some_and(|(until, _)| now < *until)
    }

    /// The holds of one call that were left all say so.
    pub(super) fn note_left(&mut self, sale: &SaleId, now: Instant) {
        let pause = match self.sales.get(sale) {
            Some((until, _)) if now < *until => return,
            Some((until, pause)) if now < *until + *pause => (*pause * 2).min(MOST),
            _ => FIRST,
        };
        self.add(sale, now, pause);
    }

    pub(super) fn note_hot(&mut self, sale: &SaleId, now: Instant) {
        self.add(sale, now, MOST);
    }

    fn add(&mut self, sale: &SaleId, now: Instant, pause: Duration) {
        if self.sales.len() >= KEPT && self.cleaned.is_none_or(|cleaned| now >= cleaned + MOST) {
            self.sales.retain(|_, (until, pause)| now < *until + *pause);
            self.cleaned = Some(now);
        }
        self.sales.insert(sale.clone(), (now + pause, pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn sale(number: usize) -> SaleId {
        SaleId::parse(&format!("sale-{number}")).unwrap()
    }

    #[test]
    fn a_sale_of_which_something_is_left_each_time_is_alone_for_longer_and_longer() {
        let (mut alone, mut now) = (Alone::default(), Instant::now());
        for pause in [25, 50, 100, 200, 400, 800, 1_000, 1_000] {
            assert!(!alone.has_at(&sale(1), now));
            // All of one call.
            (0..3).for_each(|_| alone.note_left(&sale(1), now));
            assert!(alone.has_at(&sale(1), now + (pause - 1) * MS), "{pause}");
            now += pause * MS;
        }
        assert!(!alone.has_at(&sale(2), now));
    }

    #[test]
    fn a_sale_of_which_something_is_left_once_a_second_is_hardly_ever_alone() {
        let (mut alone, mut now) = (Alone::default(), Instant::now());
        for _ in 0..10 {
            alone.note_left(&sale(1), now);
            assert!(alone.has_at(&sale(1), now + 24 * MS) && !alone.has_at(&sale(1), now + 25 * MS));
            now += 1_000 * MS;
        }
    }

    #[test]
    fn a_hot_sale_is_alone_for_a_second() {
        let (mut alone, now) = (Alone::default(), Instant::now());
        alone.note_hot(&sale(1), now);
        assert!(alone.has_at(&sale(1), now + 999 * MS) && !alone.has_at(&sale(1), now + 1_000 * MS));
    }

    #[test]
    fn sales_that_were_alone_are_forgotten() {
        let (mut alone, start) = (Alone::default(), Instant::now());
        for second in 0..20_u32 {
            for number in 0..500 {
                alone.note_left(&sale(number + 500 * second as usize), start + second * 1_000 * MS);
            }
            assert!(alone.sales.len() <= 3 * KEPT, "{}", alone.sales.len());
        }
    }
}
