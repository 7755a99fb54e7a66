//! The figures that flashsale is judged by: the bound, the aim, and the measurement.

use super::{
    Results,
    rounds::{Rounds, Spread},
};
use crate::{measure::Run, orders};

pub struct Figure {
    pub name: &'static str,
    pub must: f64,
    pub aim: f64,
    pub decimals: usize,
    pub unit: &'static str,
    pub better: Better,
    /// `None` if it was not measured.
    pub measured: Option<Spread>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Better {
    More,
    Less,
}

impl Figure {
    /// The verdict in a word.
    pub fn verdict(&self) -> &'static str {
        let Some(Spread { median, .. }) = self.measured else { return "not measured" };
        let reaches = |goal: f64| match self.better {
            Better::More => median >= goal,
            Better::Less => median <= goal,
        };
        if reaches(self.aim) {
            "aim"
        } else if reaches(self.must) {
            "must"
        } else {
            "short"
        }
    }

    pub fn goal(&self, goal: f64) -> String {
        let sign = if self.better == Better::More { "at least" } else { "at most" };
        format!("{sign} {goal}{}", self.unit)
    }
}

pub fn figures(results: &Results) -> Vec<Figure> {
    let speed = |workload, one, other| results.ratio(workload, one, other, |run| run.per_second);
    let more =
        |name, must, aim, measured| Figure { name, must, aim, decimals: 2, unit: "", better: Better::More, measured };
    let less = |name, must, aim, decimals, unit, measured| Figure {
        name,
        must,
        aim,
        decimals,
        unit,
        better: Better::Less,
        measured,
    };
    let lone = results.ratio("lone hold", "flashsale", "C2", |run: &Run| run.p50_us);
    let most_live = results.growth.last();
    let hold_us = most_live.and_then(|mark| Spread::of(mark.us_per_hold.iter().copied()));
    let bytes = most_live.and_then(|mark| Spread::of([mark.bytes_per_hold]));
    let storm_ratio = Spread::of(results.storms.iter().map(|storm| storm.during_p99_us / storm.before_p99_us));
    vec![
        more("sold out / C0", 0.90, 0.95, speed("sold out", "flashsale", "C0")),
        more("all succeed / C0", 0.75, 0.80, speed("all succeed", "flashsale", "C0")),
        more("all succeed / C1", 4.0, 5.0, speed("all succeed", "flashsale", "C1")),
        more("sold out / C1", 4.0, 6.0, speed("sold out", "flashsale", "C1")),
        more("1,000 products of one sale / C0", 0.50, 0.60, speed("1,000 products", "flashsale", "C0")),
        more("1,000 sales / C2", 1.0, 1.3, speed("1,000 sales", "flashsale", "C2")),
        more("lifecycle steps per second / C0", 0.40, 0.50, speed("lifecycle", "flashsale", "C0")),
        less("Redis time of a lifecycle step", 25.0, 18.0, 1, " us", lifecycle_us(results)),
        less("Redis time of a hold, 1,000 products of one sale", 8.0, 6.0, 1, " us", products_us(results)),
        more("hot read / C0", 0.95, 1.0, speed("hot read", "flashsale", "C0")),
        less("Redis time per hold at 1,000,000 live holds, 64 a call", 4.5, 3.0, 2, " us", hold_us),
        less("growth of that time, 1,000 to 1,000,000 live holds", 1.2, 1.1, 2, "x", growth_of_holds(results)),
        less("bytes of Redis memory per live hold", 170.0, 120.0, 0, "", bytes),
        less("bytes of Redis memory per finished order", 700.0, 500.0, 0, "", order_bytes(results)),
        less(
            "growth of Redis time per finished order, to the most of them",
            1.1,
            1.05,
            2,
            "x",
            growth_of_many(results),
        ),
        less("expiry storm: p99 during / before", 1.3, 1.1, 2, "", storm_ratio),
        less("expiry storm: longest script", 1.0, 0.5, 2, " ms", longest_script(results)),
        more("appendfsync always / AOF off", 0.4, 0.8, speed("durability", "AOF always", "AOF off")),
        less("lone hold, p50, by C2's", 1.1, 1.0, 2, "", lone),
    ]
}

impl Results {
    pub fn workload(&self, name: &str) -> Option<&Rounds> {
        self.workloads.iter().find(|rounds| rounds.name == name)
    }

    fn ratio(&self, workload: &str, one: &str, other: &str, figure: impl Fn(&Run) -> f64) -> Option<Spread> {
        self.workload(workload)?.ratios(one, other, figure)
    }
}

/// Time in scripts for each hold of one of many products.
fn products_us(results: &Results) -> Option<Spread> {
    results.workload("1,000 products")?.figures("flashsale", |run| Some(run.script_us))
}

/// Time in scripts for each of hold, order and payment event.
fn lifecycle_us(results: &Results) -> Option<Spread> {
    results.workload("lifecycle")?.figures("flashsale", |run| Some(run.script_us))
}

/// The figure with the most holds divided by that with the fewest, turn by turn.
fn growth_of_holds(results: &Results) -> Option<Spread> {
    let (few, many) = (results.growth.first()?, results.growth.last()?);
    Spread::of(many.us_per_hold.iter().zip(&few.us_per_hold).map(|(many, few)| many / few))
}

/// The figure of an order divided by that with few orders, turn by turn.
pub fn growth_of_orders(mark: &orders::Mark) -> Option<Spread> {
    Spread::of(mark.us_per_order.iter().zip(&mark.us_with_few).map(|(many, few)| many / few))
}

fn growth_of_many(results: &Results) -> Option<Spread> {
    growth_of_orders(results.orders.last()?)
}

fn order_bytes(results: &Results) -> Option<Spread> {
    Spread::of(results.orders.last().map(|mark| mark.bytes_per_order))
}

/// A script too short for the slow log counts as its threshold.
fn longest_script(results: &Results) -> Option<Spread> {
    Spread::of(results.storms.iter().map(|storm| storm.longest_ms.unwrap_or(crate::storm::SLOW_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_reaches_its_aim_or_what_it_must_or_falls_short() {
        let verdict = |median: f64, better| {
            let measured = Spread::of([median]);
            Figure {
                name: "",
                must: 3.0,
                aim: if better == Better::More { 5.0 } else { 2.0 },
                decimals: 2,
                unit: "",
                better,
                measured,
            }
            .verdict()
        };
        assert_eq!([5.0, 4.0, 2.9].map(|it| verdict(it, Better::More)), ["aim", "must", "short"]);
        assert_eq!([2.0, 3.0, 3.1].map(|it| verdict(it, Better::Less)), ["aim", "must", "short"]);
        assert_eq!(verdict(f64::NAN, Better::More), "not measured");
    }
}
