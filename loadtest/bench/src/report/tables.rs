//! The tables of the document.

use std::fmt::Write;

use super::{
    PLOTS, Results,
    figures::{self, growth_of_orders},
    rounds::{Rounds, Spread, number},
};
use crate::measure::{PARTS_OF_PEAK, Run};

/// The workload that has a table of its own, because its entrants are all flashsale.
const DURABILITY: &str = "durability";

pub fn write_figures(results: &Results, out: &mut String) {
    head(out, "The figures", &["figure", "must", "aim", "measured", "reached"]);
    for figure in figures::figures(results) {
        let measured =
            figure.measured.map_or_else(|| "-".to_owned(), |spread| spread.text(figure.decimals) + figure.unit);
        row(
            out,
            &[figure.name.into(), figure.goal(figure.must), figure.goal(figure.aim), measured, figure.verdict().into()],
        );
    }
}

pub fn write_speed(results: &Results, out: &mut String) {
    if compared(results).next().is_none() {
        return;
    }
    let title = "Requests per second";
    head(out, title, &["workload", "candidate", "requests/s", "flashsale / candidate", "p50 us", "p99 us"]);
    for (rounds, name) in compared(results) {
        let figure = |figure: fn(&Run) -> f64| text(rounds.figures(name, |run| Some(figure(run))), 0);
        let ratio = rounds.ratios("flashsale", name, |run| run.per_second);
        row(
            out,
            &[
                rounds.name.into(),
                name.into(),
                figure(|run| run.per_second),
                if name == "flashsale" { "1".into() } else { text(ratio, 2) },
                figure(|run| run.p50_us),
                figure(|run| run.p99_us),
            ],
        );
    }
    plot(out, "requests.svg", "Requests per second of each candidate for each workload");
}

pub fn write_costs(results: &Results, out: &mut String) {
    if compared(results).next().is_none() {
        return;
    }
    let columns = [
        "workload",
        "candidate",
        "service CPU us",
        "store CPU us",
        "us in scripts",
        "script calls",
        "requests per call",
    ];
    head(out, "What a request costs", &columns);
    for (rounds, name) in compared(results) {
        let figure = |figure: fn(&Run) -> Option<f64>, decimals| text(rounds.figures(name, figure), decimals);
        row(
            out,
            &[
                rounds.name.into(),
                name.into(),
                figure(|run| Some(run.service_cpu_us), 1),
                figure(|run| used(run.store_cpu_us, 0.1), 1),
                figure(|run| used(run.script_us, 0.0), 2),
                figure(|run| used(run.calls, 0.0), 3),
                figure(|run| used(run.calls, 0.0).map(|calls| 1.0 / calls), 1),
            ],
        );
    }
    out.push_str("\nThe store is Redis, or all processes of PostgreSQL. A step of a lifecycle is a request.\n");
}

/// An empty cell for a negligible figure.
fn used(figure: f64, least: f64) -> Option<f64> {
    (figure > least).then_some(figure)
}

pub fn write_paced(results: &Results, out: &mut String) {
    let Some(rounds) = results.workloads.iter().find(|rounds| is_paced(rounds)) else { return };
    head(out, "Latency below peak load", &["candidate", "part of its peak", "requests/s", "p50 us", "p99 us"]);
    for name in rounds.entrants() {
        for (at, part) in PARTS_OF_PEAK.into_iter().enumerate() {
            row(
                out,
                &[
                    name.into(),
                    format!("{part} %"),
                    text(rounds.figures(name, |run| Some(run.per_second * f64::from(part) / 100.0)), 0),
                    text(rounds.figures(name, |run| Some(run.paced[at]?.p50_us)), 0),
                    text(rounds.figures(name, |run| Some(run.paced[at]?.p99_us)), 0),
                ],
            );
        }
    }
    out.push_str("\nHolds that all succeed, at parts of each candidate's own peak of the same round, on schedule.\n");
    plot(out, "half-load.svg", "p50 and p99 of each candidate at half of its peak");
}

fn is_paced(rounds: &Rounds) -> bool {
    rounds.figures("flashsale", |run| run.paced[0].map(|_| 0.0)).is_some()
}

/// Which commands the scripts ask Redis for, and how many of each a request.
pub fn write_commands(results: &Results, out: &mut String) {
    let asked = |rounds: &Rounds| {
        let kinds = rounds.kinds("flashsale");
        let each = kinds.into_iter().filter(|name| !["info", "evalsha"].contains(&name.as_str()));
        let figure = |name: String| {
            let count = rounds.figures("flashsale", |run| run.commands.get(&name).copied())?;
            (count.median >= 0.005).then(|| format!("{name} {}", number(count.median, 2)))
        };
        each.filter_map(figure).collect::<Vec<_>>().join(", ")
    };
    let rows: Vec<_> = results.workloads.iter().map(|rounds| (rounds.name, asked(rounds))).collect();
    if rows.iter().all(|(_, asked)| asked.is_empty()) {
        return;
    }
    head(out, "What Redis is asked for", &["workload", "commands for each request"]);
    for (name, asked) in rows.into_iter().filter(|(_, asked)| !asked.is_empty()) {
        row(out, &[name.into(), asked]);
    }
}

/// The workload whose entrants are flashsale with more or fewer workers.
const WORKERS: &str = "workers";

pub fn write_workers(results: &Results, out: &mut String) {
    let Some(rounds) = results.workload(WORKERS) else { return };
    let columns =
        ["flashsale with", "requests/s", "by 1 worker", "service CPU us", "us in scripts", "requests per call"];
    head(out, "More workers", &columns);
    for name in rounds.entrants() {
        let ratio = rounds.ratios(name, "1 worker", |run| run.per_second);
        row(
            out,
            &[
                name.into(),
                text(rounds.figures(name, |run| Some(run.per_second)), 0),
                if name == "1 worker" { "1".into() } else { text(ratio, 2) },
                text(rounds.figures(name, |run| Some(run.service_cpu_us)), 1),
                text(rounds.figures(name, |run| Some(run.script_us)), 2),
                text(rounds.figures(name, |run| Some(1.0 / run.calls)), 1),
            ],
        );
    }
    out.push_str("\nService, Redis and load generator share the cores of this machine, so more workers than cores gain nothing here.\n");
}

/// The workload of a thousand sales whose entrants are flashsale on one server and on clusters.
const CLUSTER: &str = "cluster";

pub fn write_cluster(results: &Results, out: &mut String) {
    let Some(rounds) = results.workload(CLUSTER) else { return };
    let columns = [
        "flashsale on",
        "requests/s",
        "by one server",
        "service CPU us",
        "CPU us of all servers",
        "of the busiest",
        "requests per call",
    ];
    head(out, "A cluster, 1,000 sales", &columns);
    for name in rounds.entrants() {
        let ratio = rounds.ratios(name, "one server", |run| run.per_second);
        row(
            out,
            &[
                name.into(),
                text(rounds.figures(name, |run| Some(run.per_second)), 0),
                if name == "one server" { "1".into() } else { text(ratio, 2) },
                text(rounds.figures(name, |run| Some(run.service_cpu_us)), 1),
                text(rounds.figures(name, |run| Some(run.store_cpu_us)), 1),
                text(rounds.figures(name, |run| Some(run.busiest_cpu_us)), 1),
                text(rounds.figures(name, |run| Some(1.0 / run.calls)), 1),
            ],
        );
    }
    out.push_str(
        "\nAll on ports of this machine, whose cores they share: look at what the busiest server does for each request, not at requests a second.\n",
    );
}

pub fn write_durability(results: &Results, out: &mut String) {
    let Some(rounds) = results.workload(DURABILITY) else { return };
    head(out, "Durability", &["flashsale with", "requests/s", "by AOF off", "p50 us", "p99 us", "requests per call"]);
    for name in rounds.entrants() {
        row(
            out,
            &[
                name.into(),
                text(rounds.figures(name, |run| Some(run.per_second)), 0),
                if name == "AOF off" {
                    "1".into()
                } else {
                    text(rounds.ratios(name, "AOF off", |run| run.per_second), 2)
                },
                text(rounds.figures(name, |run| Some(run.p50_us)), 0),
                text(rounds.figures(name, |run| Some(run.p99_us)), 0),
                text(rounds.figures(name, |run| Some(1.0 / run.calls)), 1),
            ],
        );
    }
}

pub fn write_storms(results: &Results, out: &mut String) {
    if results.storms.is_empty() {
        return;
    }
    let columns =
        ["storm", "load, requests/s", "p99 us before", "p99 us during", "ratio", "longest script before", "during"];
    head(out, "The expiry storm", &columns);
    for (storm, n) in results.storms.iter().zip(1..) {
        let script = |ms: Option<f64>| {
            ms.map_or_else(|| format!("below {} ms", crate::storm::SLOW_MS), |ms| format!("{ms:.2} ms"))
        };
        row(
            out,
            &[
                n.to_string(),
                number(storm.rate, 0),
                number(storm.before_p99_us, 0),
                number(storm.during_p99_us, 0),
                number(storm.during_p99_us / storm.before_p99_us, 2),
                script(storm.longest_before_ms),
                script(storm.longest_ms),
            ],
        );
    }
    out.push_str(
        "\n100,000 holds lapse in one second while half of the peak goes on. Before: the four seconds up to it.\n",
    );
    plot(out, "storm.svg", "Latency before, during and after the second in which 100,000 holds lapse");
}

pub fn write_growth(results: &Results, out: &mut String) {
    if results.growth.is_empty() {
        return;
    }
    head(
        out,
        "Growth of live holds",
        &["live holds", "us in the script per hold", "by that of the fewest", "bytes per hold"],
    );
    for mark in &results.growth {
        let few = results.growth.first().into_iter().flat_map(|few| &few.us_per_hold);
        let ratio = Spread::of(mark.us_per_hold.iter().zip(few).map(|(us, few)| us / few));
        row(
            out,
            &[
                number(crate::script::count(mark.live), 0),
                text(Spread::of(mark.us_per_hold.iter().copied()), 2),
                text(ratio, 2),
                number(mark.bytes_per_hold, 0),
            ],
        );
    }
    out.push_str("\nRedis alone, `hold` called with 64 holds of one unit, no customer, no idempotency key, AOF off; medians of five blocks of turns. Bytes are all that Redis has \
                  taken since there were none, by holds: with few, its first tables weigh.\n");
    plot(out, "growth.svg", "Redis time per hold and per order as their number grows");
}

pub fn write_orders(results: &Results, out: &mut String) {
    if results.orders.is_empty() {
        return;
    }
    let columns = ["finished orders", "Redis us per order", "the same with 10,000", "ratio", "bytes per order"];
    head(out, "Growth of finished orders", &columns);
    for mark in &results.orders {
        row(
            out,
            &[
                number(crate::script::count(usize::try_from(mark.orders).unwrap_or(usize::MAX)), 0),
                text(Spread::of(mark.us_per_order.iter().copied()), 1),
                text(Spread::of(mark.us_with_few.iter().copied()), 1),
                text(growth_of_orders(mark), 2),
                number(mark.bytes_per_order, 0),
            ],
        );
    }
    out.push_str("\nHeld, ordered and paid through the service, AOF off; time in scripts for all three steps. Bytes are all that is kept of a paid \
                  order: its record, the memory of its payment event, and its part of every index.\n");
}

/// Every workload that has controls, with each of its entrants.
fn compared(results: &Results) -> impl Iterator<Item = (&Rounds, &'static str)> {
    let workloads = results.workloads.iter().filter(|rounds| ![DURABILITY, WORKERS, CLUSTER].contains(&rounds.name));
    workloads.flat_map(|rounds| rounds.entrants().into_iter().map(move |name| (rounds, name)))
}

fn text(spread: Option<Spread>, decimals: usize) -> String {
    spread.map_or_else(|| "-".to_owned(), |spread| spread.text(decimals))
}

fn head(out: &mut String, title: &str, columns: &[&str]) {
    let _infallible = write!(out, "\n## {title}\n\n| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
}

fn row(out: &mut String, cells: &[String]) {
    let _infallible = writeln!(out, "| {} |", cells.join(" | "));
}

fn plot(out: &mut String, file: &str, title: &str) {
    let _infallible = write!(out, "\n![{title}]({PLOTS}/{file})\n");
}

pub fn write_overload(results: &Results, out: &mut String) {
    let Some(first) = results.overload.first() else { return };
    let columns = [
        "holds of",
        "asked for",
        "asked a second",
        "served in time a second",
        "of the peak",
        "p50 ms",
        "p99 ms",
        "refused a second",
        "p99 ms of a refusal",
        "CPU of the service, cores",
    ];
    head(out, "Overload", &columns);
    let mut peak = first.served;
    for mark in &results.overload {
        if mark.wanted <= 1.0 {
            peak = mark.served;
        }
        row(
            out,
            &[
                mark.of.to_owned(),
                format!("{} x", number(mark.wanted, 0)),
                number(mark.offered, 0),
                number(mark.served, 0),
                number(mark.served / peak, 2),
                number(mark.served_p50_us / 1_000.0, 0),
                number(mark.served_p99_us / 1_000.0, 0),
                number(mark.refused, 0),
                number(mark.refused_p99_us / 1_000.0, 0),
                number(mark.cpu_us / 1e6, 2),
            ],
        );
    }
    out.push_str(
        "\nRedis is stopped for 19 of each 20 milliseconds, so that little is too much. The peak is the most that was served in time of \
         ever higher loads. What is asked for is a multiple of it, of which 4,000 clients ask as much as they can. Service and \
         generator have a core each. In time is within a second of the instant at which the hold was due.\n",
    );
}
