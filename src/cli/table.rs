//! Output for people: tables without lines, sheets of facts, and short forms of times, names and counts. A table is
//! fitted to the width of a terminal only if stdout is one.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width, presets};
use console::Term;
use indicatif::HumanCount;
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use serde_json::Value;

use crate::tools::text::printable;

/// The blanks between two columns.
const GAP: u16 = 2;
/// A text is not broken into less than this; a narrower terminal breaks the whole line. With this width a list of
/// products fits 80 columns.
const WIDE_CHARS_MIN: u16 = 8;
/// The longest name in a list.
const NAME_COLUMNS_MAX: usize = 40;

/// The title of a column, and its alignment.
#[derive(Clone, Copy)]
pub(super) enum Column {
    Left(&'static str),
    /// Numbers, so that their digits are below each other.
    Right(&'static str),
    /// The text that is broken into lines if the terminal is too narrow.
    Wide(&'static str),
}

use Column::{Left, Right, Wide};

/// A header and rows.
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, with one cell for each column.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// The table for stdout.
    pub(super) fn text(&self) -> String {
        let terminal = Term::stdout();
        let width = terminal.is_term().then(|| terminal.size_checked()).flatten().map(|(_, columns)| columns);
        self.text_of_width(width)
    }

    /// The table as wide as it is, for a screen that cuts it.
    pub(super) fn plain(&self) -> String {
        self.text_of_width(None)
    }

    fn text_of_width(&self, width: Option<u16>) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        table.set_header(self.columns.iter().map(|column| match column {
            Left(title) | Right(title) | Wide(title) => *title,
        }));
        table.add_rows(&self.rows);
        let widths = table.column_max_content_widths();
        for ((column, drawn), width) in self.columns.iter().zip(table.column_iter_mut()).zip(widths) {
            drawn.set_padding((0, GAP));
            drawn.set_constraint(match column {
                Wide(_) => ColumnConstraint::LowerBoundary(Width::Fixed(width.min(WIDE_CHARS_MIN) + GAP)),
                Left(_) | Right(_) => ColumnConstraint::ContentWidth,
            });
            if matches!(column, Right(_)) {
                drawn.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt()
    }
}

/// One object with all its facts. A fact without a name is an empty line.
pub(super) fn sheet(title: &str, facts: &[(String, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines = facts.iter().map(|(name, fact)| format!("  {name:<width$}  {}", printable(fact)).trim_end().to_owned());
    format!("{}\n\n{}", printable(title), lines.collect::<Vec<_>>().join("\n"))
}

/// `2026-11-27 09:00Z`, with seconds and milliseconds if there are any. A dash for `None`. Any other text stays as it is.
pub(super) fn short_time(time: Option<&str>) -> String {
    let Some(text) = time else { return "-".to_owned() };
    let Ok(instant) = text.parse::<Timestamp>() else { return printable(text) };
    let time = instant.to_zoned(TimeZone::UTC);
    let format = match (instant.as_millisecond() % 60_000, instant.as_millisecond() % 1_000) {
        (0, _) => "%Y-%m-%d %H:%MZ",
        (_, 0) => "%Y-%m-%d %H:%M:%SZ",
        _ => "%Y-%m-%d %H:%M:%S%.3fZ",
    };
    time.strftime(format).to_string()
}

/// An instant to the minute, for a list.
pub(super) fn short_minute(time: &str) -> String {
    let Ok(instant) = time.parse::<Timestamp>() else { return printable(time) };
    instant.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%MZ").to_string()
}

/// A name as a cell: only the beginning of a long one, which would push the other columns aside.
pub(super) fn short_name(name: &str) -> String {
    name_of(Some(name), NAME_COLUMNS_MAX)
}

/// The beginning of a name, and a dash for `None`.
pub(super) fn name_of(name: Option<&str>, columns_max: usize) -> String {
    console::truncate_str(&printable(name.unwrap_or("-")), columns_max, "…").into_owned()
}

/// `50.00 USD`; a dash for no amount.
pub(super) fn money(amount: Option<&str>, currency: Option<&str>) -> String {
    let Some(amount) = amount else { return "-".to_owned() };
    printable(&format!("{amount} {}", currency.unwrap_or("(currency unknown)")))
}

/// `1 order`, `1,234 orders`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

/// A field of a body as a cell: a text without quotes, a dash for `None`.
pub(super) fn cell(field: &impl Serialize) -> String {
    match serde_json::to_value(field).unwrap_or_default() {
        Value::Null => "-".to_owned(),
        Value::Bool(is_so) => if is_so { "yes" } else { "no" }.to_owned(),
        Value::String(text) => printable(&text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[Left("ID"), Wide("NAME"), Right("UNITS")]);
        table.row(["1".to_owned(), "Sneaker drop of the year".to_owned(), "5".to_owned()]);
        table.row(["22".to_owned(), "鞋\u{1b}".to_owned(), "1000".to_owned()]);
        table
    }

    #[test]
    fn numbers_stand_to_the_right_and_no_line_ends_with_blanks() {
        let expected = "\
ID  NAME                      UNITS
1   Sneaker drop of the year      5
22  鞋                         1000";
        assert_eq!(table().text_of_width(None), expected);
    }

    #[test]
    fn on_a_narrow_terminal_only_the_name_is_broken() {
        let narrow = table().text_of_width(Some(30));
        assert!(narrow.lines().all(|line| line.chars().count() <= 30), "{narrow}");
        assert!(narrow.contains("1   Sneaker drop") && narrow.contains("1000"), "{narrow}");
        assert!(table().text_of_width(Some(10)).contains("1   Sneaker       5"), "no words are torn apart");
    }

    #[test]
    fn times_are_as_short_as_they_can_be() {
        for (time, short) in [
            ("2026-11-27T09:00:00.000Z", "2026-11-27 09:00Z"),
            ("2026-11-27T09:00:07.000Z", "2026-11-27 09:00:07Z"),
            ("2026-11-27T09:00:00.250Z", "2026-11-27 09:00:00.250Z"),
            ("soon", "soon"),
        ] {
            assert_eq!(short_time(Some(time)), short);
        }
        assert_eq!(short_time(None), "-");
    }
}
