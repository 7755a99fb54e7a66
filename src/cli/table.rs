//! Output for people: tables without lines, sheets of facts, and short forms of times, names and counts. A table is
//! fitted to the width of a terminal only if stdout is one.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width, presets};
use console::{Term, measure_text_width};
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
    /// Left out if the terminal is too narrow, the last one first.
    Spare(&'static str),
    /// The same with numbers.
    SpareRight(&'static str),
}

use Column::{Left, Right, Spare, SpareRight, Wide};

impl Column {
    fn title(self) -> &'static str {
        match self {
            Left(title) | Right(title) | Wide(title) | Spare(title) | SpareRight(title) => title,
        }
    }

    fn is_spare(self) -> bool {
        matches!(self, Spare(_) | SpareRight(_))
    }
}

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

    /// The table for a screen that cuts what is too wide: a line for each row.
    pub(super) fn plain(&self, width: usize) -> String {
        self.drawn(&self.fitting(width), None)
    }

    fn text_of_width(&self, width: Option<u16>) -> String {
        self.drawn(&self.fitting(width.map_or(usize::MAX, usize::from)), width)
    }

    /// The places of the columns that a screen of this width has room for.
    fn fitting(&self, width: usize) -> Vec<usize> {
        let width_of = |place: usize| {
            let cells = self.rows.iter().map(|row| row.get(place).map_or(0, |cell| measure_text_width(cell)));
            let own = cells.chain([self.columns[place].title().len()]).max().unwrap_or(0);
            let is_wide = matches!(self.columns[place], Wide(_));
            (if is_wide { own.min(WIDE_CHARS_MIN.into()) } else { own }) + usize::from(GAP)
        };
        let mut places: Vec<usize> = (0..self.columns.len()).collect();
        let mut used: usize = places.iter().map(|place| width_of(*place)).sum();
        while used > width.saturating_add(GAP.into()) {
            let Some(spare) = places.iter().rposition(|place| self.columns[*place].is_spare()) else { break };
            used -= width_of(places.remove(spare));
        }
        places
    }

    fn drawn(&self, places: &[usize], width: Option<u16>) -> String {
        let columns: Vec<Column> = places.iter().map(|place| self.columns[*place]).collect();
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        table.set_header(columns.iter().map(|column| column.title()));
        table.add_rows(self.rows.iter().map(|row| places.iter().filter_map(|place| row.get(*place))));
        let widths = table.column_max_content_widths();
        for ((column, drawn), width) in columns.iter().zip(table.column_iter_mut()).zip(widths) {
            drawn.set_padding((0, GAP));
            drawn.set_constraint(match column {
                Wide(_) => ColumnConstraint::LowerBoundary(Width::Fixed(width.min(WIDE_CHARS_MIN) + GAP)),
                Left(_) | Right(_) | Spare(_) | SpareRight(_) => ColumnConstraint::ContentWidth,
            });
            if matches!(column, Right(_) | SpareRight(_)) {
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
    fn on_a_narrow_terminal_columns_that_matter_less_are_left_out() {
        let mut table = Table::new(&[Left("ID"), Wide("NAME"), Spare("SALE"), SpareRight("TOTAL"), Right("SOLD")]);
        table.row(["1", "Sneaker drop of the year", "drop-1", "500", "7"].map(str::to_owned));
        let header = |width| table.text_of_width(Some(width)).lines().next().unwrap().to_owned();
        let words = |width| header(width).split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert_eq!(words(60), "ID NAME SALE TOTAL SOLD");
        assert_eq!(words(28), "ID NAME SALE SOLD");
        assert_eq!(words(20), "ID NAME SOLD");
        assert_eq!(words(5), "ID NAME SOLD", "what matters stays");
        assert_eq!(table.plain(28).lines().count(), 2, "a screen has a line for each row");
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
