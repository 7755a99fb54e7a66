//! The text that Prometheus reads, version 0.0.4: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::{Display, Write};

use super::cells::Sums;

/// What a family of metrics is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, as long as the process lives. Its name ends in `_total`.
    Counter,
    Gauge,
    Histogram,
}

/// Families of metrics, one after the other.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    family: &'static str,
}

/// A label and its value. Names are of a closed set, and so are most values.
pub type Label<'a> = (&'a str, &'a str);

impl Exposition {
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins a family: what follows are its samples.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.family = name;
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A family with one sample and no labels.
    pub fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    pub fn sample(&mut self, labels: &[Label<'_>], value: impl Display) {
        self.line("", labels, None, value);
    }

    pub fn histogram(&mut self, labels: &[Label<'_>], sums: &Sums) {
        let mut count = 0;
        for (bound, bucket) in sums.scale.bounds.iter().zip(&sums.buckets) {
            count += bucket;
            self.line("_bucket", labels, Some(&decimal(*bound, sums.scale.per_unit)), count);
        }
        self.line("_bucket", labels, Some("+Inf"), sums.count());
        self.line("_sum", labels, None, decimal(sums.sum, sums.scale.per_unit));
        self.line("_count", labels, None, sums.count());
    }

    pub fn into_text(self) -> String {
        self.text
    }

    fn line(&mut self, suffix: &str, labels: &[Label<'_>], bound: Option<&str>, value: impl Display) {
        self.text.push_str(self.family);
        self.text.push_str(suffix);
        let bound = bound.map(|bound| ("le", bound));
        let mut opening = '{';
        for (name, value) in labels.iter().copied().chain(bound) {
            self.text.push(opening);
            self.write(format_args!("{name}=\""));
            self.escape(value);
            self.text.push('"');
            opening = ',';
        }
        if opening == ',' {
            self.text.push('}');
        }
        self.write(format_args!(" {value}\n"));
    }

    fn escape(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // A string takes whatever is written.
        let _written = self.text.write_fmt(text);
    }
}

/// Microseconds as seconds.
pub fn seconds(micros: u64) -> String {
    decimal(micros, 1_000_000)
}

/// A number of parts as a decimal fraction, exactly. `per_unit` is a power of ten.
fn decimal(parts: u64, per_unit: u64) -> String {
    let (whole, rest) = (parts / per_unit, parts % per_unit);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = per_unit.ilog10() as usize;
    format!("{whole}.{rest:0digits$}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Histogram, Scale};

    #[test]
    fn a_family_has_its_help_its_type_and_its_samples() {
        let mut metrics = Exposition::default();
        metrics.single("up", Kind::Gauge, "Whether it is.", 1);
        metrics.family("calls_total", Kind::Counter, "Calls.");
        metrics.sample(&[("script", "hold"), ("odd", "a\\b\"c\nd")], 7);
        let expected = "# HELP up Whether it is.\n# TYPE up gauge\nup 1\n# HELP calls_total Calls.\n# TYPE calls_total \
                        counter\ncalls_total{script=\"hold\",odd=\"a\\\\b\\\"c\\nd\"} 7\n";
        assert_eq!(metrics.into_text(), expected);
    }

    #[test]
    fn buckets_of_a_histogram_add_up_and_its_numbers_are_in_its_unit() {
        static SCALE: Scale = Scale { bounds: &[500, 2_500_000], per_unit: 1_000_000 };
        let histogram = Histogram::new(&SCALE);
        [500, 501, 3_000_000].into_iter().for_each(|us| histogram.observe(us));
        let mut metrics = Exposition::default();
        metrics.family("took_seconds", Kind::Histogram, "Time.");
        metrics.histogram(&[("route", "/")], &Sums::of_all(&SCALE, [&histogram].into_iter()));
        let samples: Vec<String> = metrics.into_text().lines().skip(2).map(str::to_owned).collect();
        assert_eq!(
            samples,
            [
                "took_seconds_bucket{route=\"/\",le=\"0.0005\"} 1",
                "took_seconds_bucket{route=\"/\",le=\"2.5\"} 2",
                "took_seconds_bucket{route=\"/\",le=\"+Inf\"} 3",
                "took_seconds_sum{route=\"/\"} 3.001001",
                "took_seconds_count{route=\"/\"} 3",
            ]
        );
    }

    #[test]
    fn fractions_are_exact() {
        for (parts, expected) in [(0, "0"), (1, "0.000001"), (1_000_000, "1"), (1_050_000, "1.05")] {
            assert_eq!(decimal(parts, 1_000_000), expected);
        }
        assert_eq!(decimal(64, 1), "64");
    }
}
