//! The report as a page: one file, with its style and its plots inside, for light and dark screens.

#![allow(clippy::cast_precision_loss, reason = "a plot is a few hundred pixels wide")]

use super::{
    RushReport,
    plot::{Axis, Scale, Series, Unit, plot, steps},
    text::name,
};
use crate::tools::rush::{
    answers::AnswerClass,
    figures::{latency, thousands},
    stock::{StockCounters, StockSample},
    timeline::IntervalStats,
};

const STYLE: &str = include_str!("style.css");
/// A class of units, and its counter.
type Layer = (&'static str, fn(&StockCounters) -> i64);

/// The part of an interval that must be over for its rate to be shown.
const SHORT_INTERVAL: f64 = 0.3;
/// Products that have a row of their own.
const PRODUCTS_MAX: usize = 100;
/// Samples that a plot shows. More would not be visible.
const SAMPLES_MAX: usize = 480;

pub(super) fn render(report: &RushReport) -> String {
    let (state, word) = if report.is_proved() { ("good", "Proved") } else { ("bad", "Not proved") };
    let verdict = escaped(&report.verdict());
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{verdict}</title><style>{STYLE}</style></head><body><main>\
         <header><p class=\"eyebrow\">flashsale rush &middot; {scenario}</p><h1>{verdict}</h1>\
         <p class=\"lead\"><span class=\"badge {state}\">{word}</span> {lead}</p></header>\
         {tiles}<div class=\"figures\">{throughput}{stock}{latency}{outcomes}</div>{table}{products}{proof}\
         {run}</main></body></html>\n",
        scenario = report.scenario.as_str(),
        lead = escaped(&lead(report)),
        tiles = tiles(report),
        throughput = throughput(report),
        stock = stock(report),
        latency = latency_plot(report),
        outcomes = outcomes(report),
        table = latency_table(report),
        products = product_table(report),
        proof = proof(report),
        run = how_it_was_run(report),
    )
}

fn lead(report: &RushReport) -> String {
    let took = latency(u64::try_from(report.elapsed.as_micros()).unwrap_or(u64::MAX));
    let held = report.proof.checks.iter().filter(|check| check.ok).count();
    let all = report.proof.checks.len();
    let story = report.scenario.story();
    format!("Every buyer {story}; {}. It took {took}. {held} of {all} checks hold.", report.load_in_words())
}

fn tiles(report: &RushReport) -> String {
    let rate = |count: u64| format!("{} a second", thousands(report.per_second(count)));
    let hold = report.latency.first();
    let tile = |class: &str, title: &str, figure: String, below: String| {
        format!("<div class=\"tile {class}\"><p>{title}</p><strong>{figure}</strong><span>{below}</span></div>")
    };
    format!(
        "<section class=\"tiles\">{}{}{}{}{}</section>",
        tile("accepted", "Accepted", thousands(report.accepted), rate(report.accepted)),
        tile("refused", "Refused", thousands(report.refused), rate(report.refused)),
        tile(
            if report.failed > 0 { "failed" } else { "plain" },
            "Failed",
            thousands(report.failed),
            format!("{} unknown", thousands(report.unknown))
        ),
        tile("plain", "Requests", thousands(report.requests), rate(report.requests)),
        tile(
            "plain",
            "Hold, p99",
            hold.map_or_else(|| "none".to_owned(), |hold| latency(hold.p99)),
            hold.map_or_else(String::new, |hold| format!("p50 {}", latency(hold.p50))),
        ),
    )
}

/// A plot with its title and a legend of classes and names.
fn figure(title: &str, legend: &[(&str, &str)], drawing: &str) -> String {
    let keys: String =
        legend.iter().map(|(class, name)| format!("<span class=\"key {class}\"><i></i>{name}</span>")).collect();
    format!("<figure><figcaption><h2>{title}</h2><p>{keys}</p></figcaption>{drawing}</figure>")
}

fn time_axis(end: f64) -> Axis {
    Axis { scale: Scale::Linear(end.max(0.001)), unit: Unit::Seconds, label: "since the first buyer" }
}

fn throughput(report: &RushReport) -> String {
    let width = report.interval.as_secs_f64();
    let end = report.elapsed.as_secs_f64();
    let rates = |count: fn(&IntervalStats) -> u64| -> Vec<(f64, f64)> {
        let intervals = report.intervals.iter().enumerate().map(|(n, row)| (n as f64 * width, row));
        // The last interval is shorter than the others; the rate of a very short one says nothing.
        let shown = intervals.filter(|(at, _)| *at == 0.0 || end - at > width * SHORT_INTERVAL);
        let points: Vec<_> = shown.map(|(at, row)| (at, count(row) as f64 / (end - at).clamp(1e-6, width))).collect();
        steps(&points, end)
    };
    let all = [
        ("refused", rates(|row| row.refused)),
        ("accepted", rates(|row| row.accepted)),
        ("failed", rates(|row| row.failed)),
    ];
    let greatest = all.iter().flat_map(|(_, points)| points).map(|(_, rate)| *rate).fold(0.0, f64::max);
    let some = |class: &str| match class {
        "refused" => report.refused > 0,
        "failed" => report.failed > 0,
        _ => true,
    };
    let series: Vec<_> = all
        .into_iter()
        .filter(|(class, _)| some(class))
        .flat_map(|(class, points)| {
            let base = Some(vec![0.0; points.len()]);
            [Series { class, points: points.clone(), base }, Series { class, points, base: None }]
        })
        .collect();
    let y = Axis { scale: Scale::above(greatest), unit: Unit::Count, label: "buyers a second" };
    let legend = [("accepted", "accepted"), ("refused", "refused"), ("failed", "failed")];
    let legend: Vec<_> = legend.into_iter().filter(|(class, _)| some(class)).collect();
    figure("Throughput", &legend, &plot("Buyers a second over time", &time_axis(end), &y, &series))
}

fn latency_plot(report: &RushReport) -> String {
    let width = report.interval.as_secs_f64();
    let end = report.elapsed.as_secs_f64();
    let line = |class: &'static str, figure: fn(&IntervalStats) -> u64| {
        let busy = report.intervals.iter().enumerate().filter(|(_, row)| row.requests > 0);
        let points = busy.map(|(n, row)| ((n as f64 + 0.5) * width, figure(row) as f64)).collect();
        Series { class, points, base: None }
    };
    let series = [line("max", |row| row.max_us), line("p99", |row| row.p99_us), line("p50", |row| row.p50_us)];
    let all = || series.iter().flat_map(|line| &line.points).map(|(_, us)| *us);
    let scale = Scale::decades(all().fold(f64::MAX, f64::min).min(1e9), all().fold(0.0, f64::max));
    let y = Axis { scale, unit: Unit::Microseconds, label: "latency, log scale" };
    let legend = [("p50", "p50"), ("p99", "p99"), ("max", "max")];
    let title = if report.latency.len() > 1 { "Latency, all steps" } else { "Latency" };
    figure(title, &legend, &plot("Latency of requests over time", &time_axis(end), &y, &series))
}

/// The stock over time, with the available units at the bottom, so that their fall shows.
fn stock(report: &RushReport) -> String {
    let stride = report.samples.len().div_ceil(SAMPLES_MAX).max(1);
    let last = report.samples.len().saturating_sub(1);
    let shown =
        report.samples.iter().enumerate().filter(|(n, _)| n % stride == 0 || *n == last).map(|(_, sample)| sample);
    let shown: Vec<&StockSample> = shown.collect();
    let end = shown.last().map_or(0.0, |sample| sample.at.as_secs_f64());
    let layers: [Layer; 4] = [
        ("available", |stock| stock.available),
        ("held", |stock| stock.held),
        ("pending", |stock| stock.pending),
        ("sold", |stock| stock.sold),
    ];
    let mut below = vec![0.0; shown.len()];
    let mut series = Vec::new();
    let layers: Vec<Layer> =
        layers.into_iter().filter(|(_, units)| shown.iter().any(|sample| units(&sample.stock) > 0)).collect();
    for &(class, units) in &layers {
        let base: Vec<_> = shown.iter().zip(&below).map(|(sample, below)| (sample.at.as_secs_f64(), *below)).collect();
        for (below, sample) in below.iter_mut().zip(&shown) {
            *below += units(&sample.stock).max(0) as f64;
        }
        let top: Vec<_> = shown.iter().zip(&below).map(|(sample, top)| (sample.at.as_secs_f64(), *top)).collect();
        let base = steps(&base, end).into_iter().map(|(_, value)| value).collect();
        series.push(Series { class, points: steps(&top, end), base: Some(base) });
    }
    let greatest = below.iter().copied().fold(1.0, f64::max);
    let y = Axis { scale: Scale::above(greatest), unit: Unit::Count, label: "units" };
    let legend: Vec<_> = layers.iter().map(|(class, _)| (*class, *class)).collect();
    figure("Stock", &legend, &plot("Units over time", &time_axis(end), &y, &series))
}

fn outcomes(report: &RushReport) -> String {
    let most = report.outcomes.iter().map(|outcome| outcome.count).max().unwrap_or(1).max(1);
    let rows: String = report
        .outcomes
        .iter()
        .map(|outcome| {
            let class = match outcome.class {
                AnswerClass::Accepted => "accepted",
                AnswerClass::Refused => "refused",
                AnswerClass::Failed | AnswerClass::Unknown => "failed",
            };
            let share = outcome.count as f64 / most as f64 * 100.0;
            format!(
                "<div class=\"bar {class}\"><span>{} &middot; {}</span><b>{}</b><i style=\"width:{share:.2}%\"></i></div>",
                outcome.step.as_str(),
                escaped(&name(outcome)),
                thousands(outcome.count)
            )
        })
        .collect();
    figure("Outcomes", &[("plain", "answers, by step and code")], &format!("<div class=\"bars\">{rows}</div>"))
}

fn latency_table(report: &RushReport) -> String {
    let rows: String = report
        .latency
        .iter()
        .map(|row| {
            let cells: String =
                [row.p50, row.p99, row.p999, row.max].map(|us| format!("<td>{}</td>", latency(us))).concat();
            format!("<tr><th>{}</th><td>{}</td>{cells}</tr>", row.step.as_str(), thousands(row.count))
        })
        .collect();
    format!(
        "<section><h2>Latency by step</h2><div class=\"wide\"><table><thead><tr><th>step</th><th>count</th><th>p50</th>\
         <th>p99</th><th>p99.9</th><th>max</th></tr></thead><tbody>{rows}</tbody></table></div>\
         <p class=\"fine\">Measured {}.</p></section>",
        report.latency_in_words()
    )
}

/// A row for each product, if there are several.
fn product_table(report: &RushReport) -> String {
    if report.products.len() == 1 {
        return String::new();
    }
    let rows: String = report
        .product_rows(PRODUCTS_MAX)
        .iter()
        .map(|row| {
            let counts = row.counts;
            let [units, left] = [row.units, row.left].map(thousands);
            let [buyers, held, sold_out, limited, other] =
                [counts.buyers, counts.granted, counts.sold_out, counts.limited, counts.other + counts.unknown]
                    .map(thousands);
            let mark = if row.ok { "&#10003;" } else { "&#10007;" };
            let cells: String = [units, buyers, held, sold_out, limited, other, left, mark.to_owned()]
                .map(|cell| format!("<td>{cell}</td>"))
                .concat();
            format!("<tr><th>{}</th>{cells}</tr>", escaped(&row.title))
        })
        .collect();
    format!(
        "<section><h2>By product</h2><div class=\"wide\"><table><thead><tr><th>product</th><th>units</th><th>buyers</th>\
         <th>held</th><th>sold out</th><th>limit</th><th>other</th><th>left</th><th></th></tr></thead><tbody>{rows}</tbody>\
         </table></div><p class=\"fine\">How many wanted each, and what they were answered.</p></section>"
    )
}

fn proof(report: &RushReport) -> String {
    let checks: String = report
        .proof
        .checks
        .iter()
        .map(|check| {
            let (class, mark) = if check.ok { ("good", "&#10003;") } else { ("bad", "&#10007;") };
            let (name, detail) = (escaped(check.name), escaped(&check.detail));
            format!("<li class=\"{class}\"><i>{mark}</i><div><b>{name}</b><span>{detail}</span></div></li>")
        })
        .collect();
    let open: String = report.not_shown.iter().map(|open| format!("<li>{}</li>", escaped(open))).collect();
    let open = if open.is_empty() { open } else { format!("<h3>Not shown</h3><ul class=\"notes\">{open}</ul>") };
    format!("<section><h2>The proof</h2><ul class=\"proof\">{checks}</ul>{open}</section>")
}

fn how_it_was_run(report: &RushReport) -> String {
    let notes: String = report.notes.iter().map(|note| format!("<li>{}</li>", escaped(note))).collect();
    let notes = if notes.is_empty() { notes } else { format!("<h3>Notes</h3><ul class=\"notes\">{notes}</ul>") };
    format!(
        "<section><h2>How it was run</h2><pre>{command}</pre><dl><dt>service</dt><dd>{url}</dd><dt>wanted</dt><dd>{wanted}\
         </dd><dt>started</dt><dd>{at}</dd><dt>ended</dt><dd>because {end}</dd></dl>{notes}</section>",
        command = escaped(&report.command),
        url = escaped(&report.url),
        wanted = escaped(&report.wanted),
        at = report.at,
        end = report.end_in_words(),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
