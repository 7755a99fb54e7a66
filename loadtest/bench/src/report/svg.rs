//! A small canvas that becomes SVG. Its colours have a medium lightness, which reads on light and on dark pages.

use std::fmt::Write;

pub const INK: &str = "#7a828e";
pub const FAINT: &str = "#8b949e";

pub enum Anchor {
    Start,
    Middle,
    End,
}

pub struct Canvas {
    body: String,
    width: f64,
    height: f64,
}

impl Canvas {
    pub fn new(width: f64, height: f64) -> Self {
        Self { body: String::new(), width, height }
    }

    pub fn text(&mut self, (x, y): (f64, f64), anchor: &Anchor, text: &str) {
        self.styled(x, y, anchor, "", text);
    }

    pub fn bold(&mut self, (x, y): (f64, f64), text: &str) {
        self.styled(x, y, &Anchor::Start, r#" class="b""#, text);
    }

    /// Text from the bottom up, centred on its height.
    pub fn upright(&mut self, (x, y): (f64, f64), text: &str) {
        let turned = format!(r#" transform="rotate(-90 {x:.1} {y:.1})""#);
        self.styled(x, y, &Anchor::Middle, &turned, text);
    }

    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str, opacity: f64) {
        self.put(&format!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{:.1}" height="{height:.1}" rx="2" fill="{fill}" fill-opacity="{opacity}"/>"#,
            width.max(1.0)
        ));
    }

    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), stroke: &str, width: f64, opacity: f64) {
        self.put(&format!(
            r#"<path d="M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}" stroke="{stroke}" stroke-width="{width}" stroke-opacity="{opacity}"/>"#
        ));
    }

    pub fn curve(&mut self, points: &[(f64, f64)], stroke: &str, width: f64, opacity: f64) {
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        self.put(&format!(
            r#"<path d="M{}" fill="none" stroke="{stroke}" stroke-width="{width}" stroke-opacity="{opacity}" stroke-linejoin="round"/>"#,
            path.join("L")
        ));
    }

    pub fn dot(&mut self, (x, y): (f64, f64), radius: f64, fill: &str) {
        self.put(&format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{fill}"/>"#));
    }

    /// A screen reader reads the `title`.
    pub fn finish(self, title: &str) -> String {
        let Self { body, width, height } = self;
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>{title}</title>
<style>text{{font:12px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;fill:{INK}}}.b{{font-weight:600;font-size:13px}}</style>
{body}</svg>
"#
        )
    }

    fn styled(&mut self, x: f64, y: f64, anchor: &Anchor, attributes: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        self.put(&format!(r#"<text x="{x:.1}" y="{y:.1}"{anchor}{attributes}>{text}</text>"#));
    }

    fn put(&mut self, element: &str) {
        let _infallible = writeln!(self.body, "{element}");
    }
}

/// A field with axes, which turns values into coordinates.
pub struct Field {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub x: Scale,
    pub y: Scale,
}

/// The format of a number on an axis.
pub type Label = fn(f64) -> String;

#[derive(Clone, Copy)]
pub enum Scale {
    Linear(f64, f64),
    Log(f64, f64),
}

impl Scale {
    /// A scale from 0 to a round number above the greatest value.
    pub fn above(greatest: f64) -> Self {
        let step = step(greatest);
        Self::Linear(0.0, (greatest * 1.02 / step).ceil() * step)
    }

    /// A scale of whole decades around all values.
    pub fn decades(values: &[f64]) -> Self {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min).max(1e-9);
        let most = values.iter().copied().fold(1e-9, f64::max);
        let low = least.log10().floor();
        Self::Log(10_f64.powf(low), 10_f64.powf(most.log10().ceil().max(low + 1.0)))
    }

    /// The coordinate, from 0 to 1.
    fn place(self, value: f64) -> f64 {
        let part = match self {
            Self::Linear(from, to) => (value - from) / (to - from),
            Self::Log(from, to) => (value / from).log10() / (to / from).log10(),
        };
        part.clamp(0.0, 1.0)
    }

    pub fn marks(self) -> Vec<f64> {
        let mut marks = Vec::new();
        let (from, to) = match self {
            Self::Linear(from, to) | Self::Log(from, to) => (from, to),
        };
        let step = step(to - from);
        let mut mark = from;
        while mark <= to * (1.0 + 1e-9) && marks.len() < 20 {
            marks.push(mark);
            mark = if matches!(self, Self::Linear(..)) { mark + step } else { mark * 10.0 };
        }
        marks
    }
}

/// A step of 1, 2 or 5 times a power of ten, for about five steps.
fn step(span: f64) -> f64 {
    let rough = (span / 5.0).max(1e-9);
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough)
}

impl Field {
    pub fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let across = self.left + self.x.place(x) * (self.right - self.left);
        (across, self.bottom - self.y.place(y) * (self.bottom - self.top))
    }

    /// The lines, numbers and titles of both axes.
    pub fn draw(&self, canvas: &mut Canvas, names: (&str, &str), marks: (Label, Label)) {
        for mark in self.y.marks() {
            let (_, y) = self.at((0.0, mark));
            canvas.line((self.left, y), (self.right, y), FAINT, 1.0, 0.25);
            canvas.text((self.left - 6.0, y + 4.0), &Anchor::End, &marks.1(mark));
        }
        for mark in self.x.marks() {
            let (x, _) = self.at((mark, 0.0));
            canvas.line((x, self.bottom), (x, self.bottom + 4.0), FAINT, 1.0, 0.8);
            canvas.text((x, self.bottom + 17.0), &Anchor::Middle, &marks.0(mark));
        }
        canvas.line((self.left, self.bottom), (self.right, self.bottom), FAINT, 1.0, 0.8);
        canvas.text((f64::midpoint(self.left, self.right), self.bottom + 35.0), &Anchor::Middle, names.0);
        canvas.upright((self.left - 44.0, f64::midpoint(self.top, self.bottom)), names.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers() {
        assert_eq!(Scale::above(4.3).marks(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(Scale::decades(&[1_000.0, 1_000_000.0]).marks().len(), 4);
    }
}
