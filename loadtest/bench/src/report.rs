//! What was measured, as a document: medians over the rounds, with the range in brackets.

use std::fmt::Write;

use crate::{measure::Run, script::Growth};

/// All rounds of one workload: of each, the candidates by name, flashsale first.
pub struct Rounds {
    name: &'static str,
    rounds: Vec<Vec<(&'static str, Run)>>,
}

impl Rounds {
    pub fn new(name: &'static str) -> Self {
        Self { name, rounds: Vec::new() }
    }

    pub fn push(&mut self, round: Vec<(&'static str, Run)>) {
        self.rounds.push(round);
    }

    fn candidates(&self) -> Vec<&'static str> {
        self.rounds.first().map_or_else(Vec::new, |round| round.iter().map(|(name, _)| *name).collect())
    }

    fn figures(&self, candidate: &str, figure: impl Fn(&Run) -> f64) -> Spread {
        let found = self.rounds.iter().filter_map(|round| round.iter().find(|(name, _)| *name == candidate));
        Spread::of(found.map(|(_, run)| figure(run)).collect())
    }

    /// flashsale / candidate, both of the same round.
    fn ratios(&self, candidate: &str, figure: impl Fn(&Run) -> f64) -> Spread {
        let ratio = |round: &Vec<(&'static str, Run)>| {
            let (_, ours) = round.first()?;
            let (_, theirs) = round.iter().find(|(name, _)| *name == candidate)?;
            Some(figure(ours) / figure(theirs))
        };
        Spread::of(self.rounds.iter().filter_map(ratio).collect())
    }
}

/// Median and range.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        Self { median: at(figures.len() / 2), least: at(0), most: at(figures.len().saturating_sub(1)) }
    }

    fn text(&self, decimals: usize) -> String {
        format!("{:.decimals$} [{:.decimals$}, {:.decimals$}]", self.median, self.least, self.most)
    }
}

pub struct Results {
    pub rounds: Vec<Rounds>,
    pub growth: Vec<Growth>,
    pub seconds: u64,
    pub workers: usize,
    pub connections: usize,
}

impl Results {
    pub fn markdown(&self) -> String {
        let mut out = String::from(
            "# Results\n\nWritten by `make bench`. Medians over interleaved rounds, [least, most] behind them.\n\n",
        );
        self.write_method(&mut out);
        self.write_ratios(&mut out);
        self.write_costs(&mut out);
        self.write_growth(&mut out);
        out
    }

    fn write_method(&self, out: &mut String) {
        let rounds = self.rounds.first().map_or(0, |rounds| rounds.rounds.len());
        let _infallible = write!(
            out,
            "{rounds} rounds of {} s for each candidate after 1 s of warming up, {} connections, {} worker thread(s); load generator (wrk, \
             one thread), service and Redis share this machine: {}. Absolute figures are this machine's; ratios are taken \
             within a round.\n\nC0 is an empty handler on the same HTTP stack that parses the same body and answers as many bytes. C1 makes \
             one `pool.get()` and one script call for each request, C2 one call on a multiplexed connection, both with the \
             script in `loadtest/bench/src/classic.lua`.\n\n",
            self.seconds,
            self.connections,
            self.workers,
            machine()
        );
    }

    fn write_ratios(&self, out: &mut String) {
        out.push_str("| workload | candidate | requests/s | flashsale / candidate | p50 us | p50 ratio | p99 us |\n|---|---|---|---|---|---|---|\n");
        for rounds in &self.rounds {
            for name in rounds.candidates() {
                let _infallible = writeln!(
                    out,
                    "| {} | {name} | {} | {} | {} | {} | {} |",
                    rounds.name,
                    rounds.figures(name, |run| run.per_second).text(0),
                    rounds.ratios(name, |run| run.per_second).text(2),
                    rounds.figures(name, |run| run.p50_us).text(0),
                    rounds.ratios(name, |run| run.p50_us).text(2),
                    rounds.figures(name, |run| run.p99_us).text(0),
                );
            }
        }
    }

    fn write_costs(&self, out: &mut String) {
        out.push_str("\nFor each request, in microseconds:\n\n| workload | candidate | service CPU | Redis CPU | in scripts | requests per script call |\n|---|---|---|---|---|---|\n");
        for rounds in &self.rounds {
            for name in rounds.candidates() {
                let _infallible = writeln!(
                    out,
                    "| {} | {name} | {} | {} | {} | {} |",
                    rounds.name,
                    rounds.figures(name, |run| run.service_cpu_us).text(1),
                    rounds.figures(name, |run| run.redis_cpu_us).text(1),
                    rounds.figures(name, |run| run.script_us).text(2),
                    rounds.figures(name, |run| run.batch).text(1),
                );
            }
        }
    }

    fn write_growth(&self, out: &mut String) {
        if self.growth.is_empty() {
            return;
        }
        out.push_str("\nRedis alone, `hold` called with 64 holds, AOF off:\n\n| live holds | us in the script per hold | bytes per live hold |\n|---|---|---|\n");
        for Growth { live, us_per_hold, bytes_per_hold } in &self.growth {
            let _infallible = writeln!(out, "| {live} | {us_per_hold:.2} | {bytes_per_hold:.0} |");
        }
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, name)| name);
    format!("{cores} cores, {model}")
}
