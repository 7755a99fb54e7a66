//! The report for a terminal.

use std::fmt::Write;

use super::RushReport;
use crate::tools::{
    rush::{
        figures::{latency, thousands},
        metrics::OutcomeCount,
    },
    text::cut,
};

const WIDTH: usize = 96;
/// Products that have a row of their own.
const PRODUCTS_MAX: usize = 25;
const TITLE_CHARS_MAX: usize = 32;

/// Writing into a text cannot fail.
macro_rules! line {
    ($out:expr) => { $out.push('\n') };
    ($out:expr, $($arg:tt)*) => {{ let _never_fails = writeln!($out, $($arg)*); }};
}

pub(super) fn render(report: &RushReport) -> String {
    let mut out = String::new();
    plan(&mut out, report);
    counts(&mut out, report);
    latencies(&mut out, report);
    products(&mut out, report);
    proof(&mut out, report);
    for note in &report.notes {
        line!(out, "{}", wrapped("  note: ", note));
    }
    for open in &report.not_shown {
        line!(out, "{}", wrapped("  not shown: ", open));
    }
    if !report.notes.is_empty() || !report.not_shown.is_empty() {
        line!(out);
    }
    let word = if report.is_proved() { "proved" } else { "FAILED" };
    line!(out, "{word}: {}", report.verdict());
    out.trim_end().to_owned()
}

fn plan(out: &mut String, report: &RushReport) {
    let units = thousands(report.units);
    line!(out, "{} at {}", report.scenario.as_str(), report.url);
    line!(out);
    line!(out, "  asked     {} buyers want {units} units of {}", thousands(report.buyers), report.wanted);
    line!(out, "  each      {}", report.scenario.story());
    if report.products.len() > 1 {
        line!(out, "  spread    {}, by id: --popularity {0}", report.popularity);
    }
    if let Some(customers) = report.customers {
        line!(out, "  as        {} customers", thousands(customers));
    }
    line!(out, "  pace      {}", report.load_in_words());
    let elapsed_us = u64::try_from(report.elapsed.as_micros()).unwrap_or(u64::MAX);
    line!(out, "  took      {}, then {}", latency(elapsed_us), report.end_in_words());
    line!(out);
}

fn counts(out: &mut String, report: &RushReport) {
    let row = |word: &str, count: u64| {
        format!("  {word:<8} {:>11}   {:>9}/s", thousands(count), thousands(report.per_second(count)))
    };
    line!(out, "{}", row("accepted", report.accepted));
    line!(out, "{}", row("refused", report.refused));
    line!(out, "{}", row("failed", report.failed));
    line!(out, "{}", row("requests", report.requests));
    line!(out);
    for outcome in &report.outcomes {
        line!(out, "  {:<8} {:>11}   {}", outcome.step.as_str(), thousands(outcome.count), name(outcome));
    }
    line!(out);
}

/// `201 held`, or why there is no status.
pub(super) fn name(outcome: &OutcomeCount) -> String {
    let status = outcome.status.map_or_else(String::new, |status| format!("{status} "));
    format!("{status}{}", outcome.code).trim_end().to_owned()
}

fn latencies(out: &mut String, report: &RushReport) {
    line!(out, "  {:<8} {:>11} {:>10} {:>10} {:>10} {:>10}", "latency", "count", "p50", "p99", "p99.9", "max");
    for row in &report.latency {
        let [p50, p99, p999, max] = [row.p50, row.p99, row.p999, row.max].map(latency);
        let count = thousands(row.count);
        line!(out, "  {:<8} {count:>11} {p50:>10} {p99:>10} {p999:>10} {max:>10}", row.step.as_str());
    }
    line!(out, "{}", wrapped("  ", &format!("({})", report.latency_in_words())));
    line!(out);
}

/// A row for each product, if there are several.
fn products(out: &mut String, report: &RushReport) {
    if report.products.len() == 1 {
        return;
    }
    let cells = |name: &str, cells: [String; 7], mark: &str| {
        let [units, buyers, held, sold_out, limit, other, left] = cells;
        let name = cut(name, TITLE_CHARS_MAX);
        let row = format!(
            "  {name:<32} {units:>7} {buyers:>8} {held:>8} {sold_out:>9} {limit:>8} {other:>7} {left:>6} {mark}"
        );
        row.trim_end().to_owned()
    };
    let titles = ["units", "buyers", "held", "sold out", "limit", "other", "left"].map(str::to_owned);
    line!(out, "{}", cells("product", titles, ""));
    for row in report.product_rows(PRODUCTS_MAX) {
        let counts = row.counts;
        let [units, left] = [row.units, row.left].map(thousands);
        let [buyers, held, sold_out, limit, other] =
            [counts.buyers, counts.granted, counts.sold_out, counts.limited, counts.other + counts.unknown]
                .map(thousands);
        let mark = if row.ok { "" } else { "NO" };
        line!(out, "{}", cells(&row.title, [units, buyers, held, sold_out, limit, other, left], mark));
    }
    line!(out);
}

fn proof(out: &mut String, report: &RushReport) {
    line!(out, "  proof");
    for check in &report.proof.checks {
        let mark = if check.ok { "ok " } else { "NO " };
        line!(out, "{}", wrapped(&format!("  {mark} {:<44}", check.name), &check.detail));
    }
    line!(out);
}

/// The text broken into lines that fit; all lines start below the first one's text.
fn wrapped(start: &str, text: &str) -> String {
    let mut lines = vec![start.to_owned()];
    let mut empty = true;
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is one line at least");
        if !empty && last.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(" ".repeat(start.len()) + word);
            continue;
        }
        if !empty {
            last.push(' ');
        }
        last.push_str(word);
        empty = false;
    }
    lines.join("\n")
}
