//! The plots of the document.

use super::{
    Results,
    rounds::{Rounds, Spread, number},
    svg::{Anchor, Canvas, FAINT, Field, INK, Scale},
};
use crate::script::count;

const OURS: &str = "#e4622f";
const WIDTH: f64 = 760.0;
/// The column where names end and bars begin.
const NAMES: f64 = 112.0;
const ROW: f64 = 21.0;
const BAR: f64 = 14.0;

/// The plots for which there are figures, by file name.
pub fn plots(results: &Results) -> Vec<(&'static str, String)> {
    let half = results.workloads.iter().find(|rounds| half_of(rounds, "flashsale").is_some());
    [
        (!results.workloads.is_empty()).then(|| ("requests.svg", requests(&results.workloads))),
        half.map(|rounds| ("half-load.svg", half_load(rounds))),
        (!results.storms.is_empty()).then(|| ("storm.svg", storm(results))),
        (!results.growth.is_empty()).then(|| ("growth.svg", growth(results))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn colour(entrant: &str) -> &'static str {
    match entrant {
        "C0" => FAINT,
        "C1" => "#4f8fd6",
        "C2" => "#2fa08a",
        "C3" => "#a57bd0",
        "C3 relaxed" => "#c4a4e4",
        _ => OURS,
    }
}

/// Bars. Each workload has its own scale, because only bars of one workload are compared.
fn requests(workloads: &[Rounds]) -> String {
    let rows: usize = workloads.iter().map(|rounds| rounds.entrants().len()).sum();
    let mut canvas = Canvas::new(WIDTH, count(rows) * ROW + count(workloads.len()) * 32.0 + 10.0);
    let mut y = 4.0;
    for rounds in workloads {
        let entrants = rounds.entrants();
        let speeds: Vec<_> = entrants.iter().map(|name| rounds.figures(name, |run| Some(run.per_second))).collect();
        let most = speeds.iter().flatten().map(|speed| speed.most).fold(1.0, f64::max);
        canvas.bold((4.0, y + 18.0), rounds.name);
        y += 26.0;
        for (name, speed) in entrants.iter().zip(&speeds) {
            let Some(Spread { median, least, most: best }) = *speed else { continue };
            let across = |value: f64| value / most * (WIDTH - NAMES - 90.0);
            canvas.text((NAMES - 8.0, y + 11.5), &Anchor::End, name);
            canvas.rect((NAMES, y), (across(median), BAR), colour(name), 0.9);
            let middle = y + BAR / 2.0;
            canvas.line((NAMES + across(least), middle), (NAMES + across(best), middle), INK, 1.5, 1.0);
            let after = NAMES + across(best.max(median)) + 8.0;
            canvas.text((after, y + 11.5), &Anchor::Start, &format!("{}/s", number(median, 0)));
            y += ROW;
        }
        y += 6.0;
    }
    canvas.finish("Requests per second of each candidate for each workload: medians, and lines from least to most")
}

fn half_of(rounds: &Rounds, name: &str) -> Option<(f64, f64)> {
    let p50 = rounds.figures(name, |run| Some(run.paced[0]?.p50_us))?;
    let p99 = rounds.figures(name, |run| Some(run.paced[0]?.p99_us))?;
    Some((p50.median / 1_000.0, p99.median / 1_000.0))
}

/// A line from p50 to p99 for each candidate.
fn half_load(rounds: &Rounds) -> String {
    let measured: Vec<_> =
        rounds.entrants().into_iter().filter_map(|name| Some((name, half_of(rounds, name)?))).collect();
    let all: Vec<f64> = measured.iter().flat_map(|(_, (p50, p99))| [*p50, *p99]).collect();
    let rows = count(measured.len()) * 30.0;
    let mut canvas = Canvas::new(WIDTH, rows + 58.0);
    let field = Field {
        left: NAMES,
        right: WIDTH - 60.0,
        top: 8.0,
        bottom: rows + 14.0,
        x: Scale::decades(&all),
        y: Scale::Linear(0.0, 1.0),
    };
    for mark in field.x.marks() {
        let (x, _) = field.at((mark, 0.0));
        canvas.line((x, field.top), (x, field.bottom), FAINT, 1.0, 0.25);
        canvas.text((x, field.bottom + 17.0), &Anchor::Middle, &format!("{mark} ms"));
    }
    canvas.text((f64::midpoint(field.left, field.right), field.bottom + 35.0), &Anchor::Middle, "latency: p50 to p99");
    for ((name, (p50, p99)), n) in measured.iter().zip(0_u8..) {
        let y = field.top + f64::from(n) * 30.0 + 18.0;
        let ((from, _), (to, _)) = (field.at((*p50, 0.0)), field.at((*p99, 0.0)));
        canvas.text((NAMES - 8.0, y + 4.0), &Anchor::End, name);
        canvas.line((from, y), (to, y), colour(name), 3.0, 0.6);
        canvas.dot((from, y), 5.0, colour(name));
        canvas.dot((to, y), 5.0, colour(name));
        canvas.text((from - 10.0, y + 4.0), &Anchor::End, &format!("{p50:.2}"));
        canvas.text((to + 10.0, y + 4.0), &Anchor::Start, &format!("{p99:.2}"));
    }
    canvas.finish("Latency at half of peak load: p50 and p99 of each candidate in milliseconds")
}

/// p99 and p50 of every slice of time, around the second of the storm.
fn storm(results: &Results) -> String {
    let timelines = || results.storms.iter().map(|storm| &storm.timeline);
    let most = timelines().flatten().map(|(_, _, p99)| p99 / 1_000.0).fold(0.1, f64::max);
    let mut canvas = Canvas::new(WIDTH, 300.0);
    let field = Field {
        left: 62.0,
        right: WIDTH - 16.0,
        top: 26.0,
        bottom: 250.0,
        x: Scale::Linear(-6.0, 4.0),
        y: Scale::above(most),
    };
    let ((from, top), (to, _)) = (field.at((0.0, f64::MAX)), field.at((1.0, 0.0)));
    canvas.rect((from, top), (to - from, field.bottom - field.top), OURS, 0.12);
    canvas.text((from + 4.0, 18.0), &Anchor::Start, "100,000 holds lapse");
    let legend = [("p99 of each tenth of a second", OURS, 62.0), ("p50", "#4f8fd6", 290.0)];
    for (name, colour, x) in legend {
        canvas.line((x, 14.0), (x + 18.0, 14.0), colour, 2.0, 1.0);
        canvas.text((x + 24.0, 18.0), &Anchor::Start, name);
    }
    field.draw(&mut canvas, ("seconds from the deadline", "milliseconds"), (|mark| format!("{mark:.0}"), plain));
    for timeline in timelines() {
        let curve = |figure: fn(&(f64, f64, f64)) -> f64| {
            timeline.iter().map(|slice| field.at((slice.0, figure(slice) / 1_000.0))).collect::<Vec<_>>()
        };
        canvas.curve(&curve(|slice| slice.1), "#4f8fd6", 1.5, 0.8);
        canvas.curve(&curve(|slice| slice.2), OURS, 1.8, 0.8);
    }
    canvas.finish("Latency at half of peak load around the second in which 100,000 holds lapse")
}

/// Two fields beside each other: live holds, and finished orders if they were measured.
fn growth(results: &Results) -> String {
    let mut canvas = Canvas::new(WIDTH, 270.0);
    let holds = results.growth.iter().map(|mark| (count(mark.live), Spread::of(mark.us_per_hold.iter().copied())));
    panel(&mut canvas, 62.0, &holds.collect::<Vec<_>>(), ("live holds", "Redis us per hold"));
    let orders = results.orders.iter().map(|mark| {
        let orders = count(usize::try_from(mark.orders).unwrap_or(usize::MAX));
        (orders, Spread::of(mark.us_per_order.iter().copied()))
    });
    let orders: Vec<_> = orders.collect();
    if !orders.is_empty() {
        panel(&mut canvas, 440.0, &orders, ("finished orders", "Redis us per order"));
    }
    canvas.finish("What a hold and an order cost Redis, by how many there are")
}

fn panel(canvas: &mut Canvas, left: f64, points: &[(f64, Option<Spread>)], names: (&str, &str)) {
    let medians: Vec<_> = points.iter().filter_map(|(x, spread)| Some((*x, spread.as_ref()?.median))).collect();
    let most = medians.iter().map(|(_, us)| *us).fold(0.1, f64::max);
    let field = Field {
        left,
        right: left + 280.0,
        top: 16.0,
        bottom: 220.0,
        x: Scale::decades(&medians.iter().map(|(x, _)| *x).collect::<Vec<_>>()),
        y: Scale::above(most * 1.15),
    };
    field.draw(canvas, names, (|mark| number(mark, 0), plain));
    let places: Vec<_> = medians.iter().map(|point| field.at(*point)).collect();
    canvas.curve(&places, OURS, 2.0, 0.9);
    for ((_, us), (x, y)) in medians.iter().zip(&places) {
        canvas.dot((*x, *y), 4.0, OURS);
        canvas.text(
            (*x, y - 10.0),
            &Anchor::Middle,
            &if most < 20.0 { format!("{us:.2}") } else { format!("{us:.0}") },
        );
    }
}

fn plain(mark: f64) -> String {
    let rounded = (mark * 1_000.0).round() / 1_000.0;
    format!("{rounded}")
}
