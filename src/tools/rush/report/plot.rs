//! Plots as SVG: axes with units, lines, steps and stacked areas. The style sheet has the colours.

#![allow(clippy::cast_precision_loss, reason = "a plot is a few hundred pixels wide")]

use std::fmt::Write;

use crate::tools::rush::figures;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;
/// The approximate number of labels on an axis.
const LABELS: f64 = 5.0;

/// How an axis counts.
#[derive(Clone, Copy)]
pub enum Scale {
    /// From 0 to here.
    Linear(f64),
    /// From the first to the second, both powers of ten.
    Log(f64, f64),
}

/// The unit of the numbers on an axis.
#[derive(Clone, Copy)]
pub enum Unit {
    Seconds,
    Count,
    Microseconds,
}

pub struct Axis {
    pub scale: Scale,
    pub unit: Unit,
    pub label: &'static str,
}

/// A line in the colour of its class, or with a `base` the area between both.
pub struct Series {
    pub class: &'static str,
    pub points: Vec<(f64, f64)>,
    pub base: Option<Vec<f64>>,
}

impl Scale {
    /// A linear scale with some air above the greatest value.
    pub fn above(greatest: f64) -> Self {
        let step = step(greatest.max(1.0));
        Self::Linear((greatest.max(1.0) / step).ceil() * step)
    }

    /// Whole decades around the values.
    pub fn decades(least: f64, greatest: f64) -> Self {
        let low = least.max(1.0).log10().floor();
        let high = greatest.max(10.0).log10().ceil().max(low + 1.0);
        Self::Log(10_f64.powf(low), 10_f64.powf(high))
    }

    /// 0 to 1, from one end to the other.
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear(end) => (value / end).clamp(0.0, 1.0),
            Self::Log(low, high) => ((value.max(low) / low).log10() / (high / low).log10()).clamp(0.0, 1.0),
        }
    }

    fn marks(self) -> Vec<f64> {
        match self {
            Self::Linear(end) => {
                let step = step(end);
                (0..=20).map(|n| f64::from(n) * step).take_while(|mark| *mark <= end * 1.001).collect()
            }
            Self::Log(low, high) => {
                // A single decade has room for more lines than its two ends.
                let factors: &[f64] = if high / low < 11.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let decades = (0..=12).map(|n| low * 10_f64.powi(n));
                let marks = decades.flat_map(|decade| factors.iter().map(move |factor| decade * factor));
                marks.take_while(|mark| *mark <= high * 1.001).collect()
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten.
fn step(end: f64) -> f64 {
    let rough = end / LABELS;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
    factor * power
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Seconds if value == 0.0 => "0".to_owned(),
            Self::Seconds if value < 0.999 => format!("{:.0} ms", value * 1_000.0),
            Self::Seconds if value.fract().abs() < 0.001 => format!("{value:.0} s"),
            Self::Seconds => format!("{value:.1} s"),
            Self::Count if value >= 10_000.0 => format!("{} k", figures::thousands(format!("{:.0}", value / 1_000.0))),
            Self::Count => figures::thousands(format!("{value:.0}")),
            Self::Microseconds if value >= 1_000_000.0 => format!("{:.0} s", value / 1_000_000.0),
            Self::Microseconds if value >= 1_000.0 => format!("{:.0} ms", value / 1_000.0),
            Self::Microseconds => format!("{value:.0} µs"),
        }
    }
}

/// One plot. A screen reader reads the `title`.
pub fn plot(title: &str, x: &Axis, y: &Axis, series: &[Series]) -> String {
    let mut svg = format!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">"#);
    let mut put = |text: String| svg.push_str(&text);
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    for mark in y.scale.marks() {
        let at = TOP + (1.0 - y.scale.place(mark)) * (bottom - TOP);
        put(format!(r#"<path class="grid" d="M{LEFT} {at:.1}H{right}"/>"#));
        put(format!(
            r#"<text class="mark" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            LEFT - 8.0,
            at + 4.0,
            y.unit.text(mark)
        ));
    }
    for mark in x.scale.marks() {
        let at = across(x, mark);
        put(format!(r#"<path class="axis" d="M{at:.1} {bottom}v5"/>"#));
        put(format!(
            r#"<text class="mark" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            bottom + 18.0,
            x.unit.text(mark)
        ));
    }
    series.iter().for_each(|series| put(drawn(series, x, y)));
    put(format!(r#"<path class="axis" d="M{LEFT} {bottom}H{right}"/>"#));
    put(format!(r#"<text class="label" x="{right}" y="{:.1}" text-anchor="end">{}</text>"#, HEIGHT - 5.0, x.label));
    put(format!(
        r#"<text class="label" transform="translate(11 {:.1}) rotate(-90)" text-anchor="middle">{}</text></svg>"#,
        f64::midpoint(TOP, bottom),
        y.label
    ));
    svg
}

fn across(x: &Axis, value: f64) -> f64 {
    LEFT + x.scale.place(value) * (WIDTH - RIGHT - LEFT)
}

fn drawn(series: &Series, x: &Axis, y: &Axis) -> String {
    let up = |value: f64| TOP + (1.0 - y.scale.place(value)) * (HEIGHT - BOTTOM - TOP);
    let mut path = String::new();
    for (n, (at, value)) in series.points.iter().enumerate() {
        let pen = if n == 0 { 'M' } else { 'L' };
        let _never_fails = write!(path, "{pen}{:.1} {:.1}", across(x, *at), up(*value));
    }
    let Some(base) = &series.base else {
        return format!(r#"<path class="line {}" d="{path}"/>"#, series.class);
    };
    for ((at, _), value) in series.points.iter().zip(base).rev() {
        let _never_fails = write!(path, "L{:.1} {:.1}", across(x, *at), up(*value));
    }
    format!(r#"<path class="area {}" d="{path}Z"/>"#, series.class)
}

/// Steps: each value holds from its instant until the next one.
pub fn steps(points: &[(f64, f64)], end: f64) -> Vec<(f64, f64)> {
    let nexts = points.iter().skip(1).map(|(at, _)| *at).chain([end]);
    points.iter().zip(nexts).flat_map(|((at, value), next)| [(*at, *value), (next, *value)]).collect()
}
