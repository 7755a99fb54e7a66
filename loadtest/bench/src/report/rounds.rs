//! Figures of interleaved rounds, summed up as a median with its range.

use std::collections::BTreeSet;

use crate::measure::Run;

/// All rounds of one workload: the entrants of each by name.
pub struct Rounds {
    pub name: &'static str,
    /// The names in the order of the tables. The others are compared with the first.
    names: Vec<&'static str>,
    runs: Vec<Vec<(&'static str, Run)>>,
}

impl Rounds {
    pub fn new(name: &'static str, names: Vec<&'static str>) -> Self {
        Self { name, names, runs: Vec::new() }
    }

    pub fn push(&mut self, round: Vec<(&'static str, Run)>) {
        self.runs.push(round);
    }

    /// The entrants that ran.
    pub fn entrants(&self) -> Vec<&'static str> {
        let ran = |name: &&str| self.runs.iter().flatten().any(|(entrant, _)| entrant == name);
        self.names.iter().filter(|name| ran(name)).copied().collect()
    }

    /// The kinds of commands that Redis was asked for.
    pub fn kinds(&self, entrant: &str) -> BTreeSet<String> {
        let runs = self.runs.iter().filter_map(|round| run_of(round, entrant));
        runs.flat_map(|run| run.commands.keys().cloned()).collect()
    }

    pub fn figures(&self, entrant: &str, figure: impl Fn(&Run) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(|round| figure(run_of(round, entrant)?)))
    }

    /// One entrant's figure divided by another's of the same round.
    pub fn ratios(&self, one: &str, other: &str, figure: impl Fn(&Run) -> f64) -> Option<Spread> {
        let ratio = |round: &Vec<_>| Some(figure(run_of(round, one)?) / figure(run_of(round, other)?));
        Spread::of(self.runs.iter().filter_map(ratio))
    }
}

fn run_of<'a>(round: &'a [(&'static str, Run)], entrant: &str) -> Option<&'a Run> {
    round.iter().find(|(name, _)| *name == entrant).map(|(_, run)| run)
}

/// Median and range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// `None` without figures.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().filter(|figure| figure.is_finite()).collect();
        figures.sort_by(f64::total_cmp);
        let (least, most) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len().is_multiple_of(2) {
            f64::midpoint(figures[middle - 1], figures[middle])
        } else {
            figures[middle]
        };
        Some(Self { median, least, most })
    }

    pub fn text(&self, decimals: usize) -> String {
        format!("{} [{}, {}]", number(self.median, decimals), number(self.least, decimals), number(self.most, decimals))
    }
}

/// The number with its thousands separated.
pub fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |(whole, fraction)| (whole, fraction));
    let mut grouped = String::new();
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle_of_what_was_measured() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0]).unwrap().median.to_string(), "2.5");
        assert_eq!(Spread::of([f64::NAN]), None);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let run = |per_second| Run { per_second, ..Run::default() };
        let mut rounds = Rounds::new("all succeed", vec!["flashsale", "C0", "C3"]);
        rounds.push(vec![("C0", run(100.0)), ("flashsale", run(50.0))]);
        rounds.push(vec![("flashsale", run(10.0)), ("C0", run(20.0))]);
        assert_eq!(rounds.entrants(), ["flashsale", "C0"]);
        let ratio = rounds.ratios("flashsale", "C0", |run| run.per_second).unwrap();
        assert_eq!(ratio, Spread { median: 0.5, least: 0.5, most: 0.5 });
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([number(1_234_567.8, 0), number(0.25, 2), number(999.0, 1)], ["1,234,568", "0.25", "999.0"]);
    }
}
