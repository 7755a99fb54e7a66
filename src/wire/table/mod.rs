//! Tables as spreadsheets and shops write them: encodings, separators, and cells that mean one thing only. The service reads
//! a table with it, and so does `flashsale import`, which sends large ones in pieces.

pub mod cell;
pub mod encoding;

use csv::{ByteRecord, ReaderBuilder};

/// The columns of a product, as a table names them.
pub const COLUMNS: [&str; 12] = [
    "id",
    "sale",
    "name",
    "sku",
    "metadata",
    "price",
    "currency",
    "total_stock",
    "max_per_hold",
    "max_per_customer",
    "group",
    "visibility",
];
/// Columns that every table needs.
pub const REQUIRED: [&str; 3] = ["name", "price", "total_stock"];
/// What separates cells. A tie goes to the first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Bytes at the beginning of a table among which its header must end.
pub const HEAD_BYTES: usize = 1 << 16;

/// How the rows of a table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    pub separator: u8,
    /// The bytes before the header: those of a line `sep=;`, which programs write for Excel.
    pub skipped: usize,
}

impl Dialect {
    /// The dialect of a table that begins with this text, in UTF-8. The separator is the one with which the header has the
    /// most names that `is_known` knows, and then the most cells.
    pub fn of(head: &[u8], is_known: impl Fn(&str) -> bool) -> Self {
        if let Some(dialect) = of_sep_line(head) {
            return dialect;
        }
        let score = |separator: &u8| {
            let header = first_row(head, *separator);
            (header.iter().filter(|cell| is_known(&text(cell))).count(), header.len())
        };
        // The last of the best, so the order is turned.
        let separator = SEPARATORS.into_iter().rev().max_by_key(score).unwrap_or(SEPARATORS[0]);
        Self { separator, skipped: 0 }
    }
}

/// The first row that is not empty.
fn first_row(head: &[u8], separator: u8) -> ByteRecord {
    let mut reader = ReaderBuilder::new().flexible(true).delimiter(separator).from_reader(head);
    reader.byte_headers().cloned().unwrap_or_default()
}

/// Reads `sep=;`, perhaps in quotes, perhaps with empty cells behind it.
fn of_sep_line(head: &[u8]) -> Option<Dialect> {
    let end = head.iter().position(|byte| b"\r\n".contains(byte))?;
    let after = if head[end..].starts_with(b"\r\n") { end + 2 } else { end + 1 };
    let line = head[..end].strip_prefix(b"\"").unwrap_or(&head[..end]);
    let separator = *line.get(4).filter(|_| line[..4].eq_ignore_ascii_case(b"sep="))?;
    let rest_is_empty = line[5..].iter().all(|byte| SEPARATORS.contains(byte) || *byte == b'"');
    (SEPARATORS.contains(&separator) && rest_is_empty).then_some(Dialect { separator, skipped: after })
}

/// The column that a cell of the header names: in any case, with blanks or hyphens for underscores.
pub fn column(cell: &str) -> Option<&'static str> {
    column_of(cell, &COLUMNS)
}

/// The same among other columns.
pub fn column_of(cell: &str, columns: &[&'static str]) -> Option<&'static str> {
    let name = cell.trim().to_lowercase().replace([' ', '-'], "_");
    columns.iter().copied().find(|column| *column == name)
}

/// Whether the column is nobody's: a stray last one, or the index that pandas writes.
pub fn is_unnamed(cell: &str) -> bool {
    cell.trim().is_empty() || cell.trim().starts_with("Unnamed: ")
}

/// Whether a row is empty. Spreadsheets write rows of separators alone below a table.
pub fn is_blank(row: &ByteRecord) -> bool {
    row.iter().all(|cell| text(cell).trim().is_empty())
}

/// Why the cells of a row do not belong to its columns. Empty cells at the end may be missing or too many.
pub fn misfit(row: &ByteRecord, columns: usize) -> Option<String> {
    let surplus = row.iter().skip(columns).any(|cell| !cell.trim_ascii().is_empty());
    let torn = row.len() < columns && row.iter().next_back().is_some_and(|cell| cell.contains(&b'\n'));
    let hint = if torn || row.as_slice().contains(&b'\n') { "; perhaps a quote was not closed" } else { "" };
    let count = row.len();
    (surplus || torn).then(|| {
        let advice = "a cell with a separator in it needs quotes";
        format!("the row has {count} cells and not {columns}, as the first{hint}; {advice}")
    })
}

fn text(cell: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn separator(head: &str) -> char {
        Dialect::of(head.as_bytes(), |name| column(name).is_some()).separator.into()
    }

    #[test]
    fn the_separator_is_the_one_that_finds_the_most_columns() {
        for (head, found) in [
            ("name,price\n", ','),
            ("Name;Price\n1,5;2,5;3,5\n", ';'),
            ("\"a,b,c,d\";name;price\r\n", ';'),
            ("name\tprice\tid\r", '\t'),
            ("name|price\n", '|'),
            ("name\n", ','),
            ("Titel;Preis\n", ';'),
            ("", ','),
        ] {
            assert_eq!(separator(head), found, "{head:?}");
        }
    }

    #[test]
    fn a_line_for_excel_names_the_separator_and_is_no_row() {
        for (head, separator, skipped) in [
            ("sep=;\r\nname", b';', 7),
            ("\"sep=;\"\nname", b';', 8),
            ("SEP=\t\rname", b'\t', 6),
            ("sep=,,,\nname", b',', 8),
        ] {
            assert_eq!(Dialect::of(head.as_bytes(), |_| false), Dialect { separator, skipped }, "{head:?}");
        }
        assert_eq!(Dialect::of(b"sep=x,name\n", |_| false).skipped, 0);
    }

    #[test]
    fn only_empty_cells_may_be_missing_or_too_many() {
        let row = |cells: &[&str]| ByteRecord::from(cells.to_vec());
        assert_eq!(misfit(&row(&["1", "2"]), 3), None);
        assert_eq!(misfit(&row(&["1", "2", "3", " ", ""]), 3), None);
        assert!(misfit(&row(&["1", "2", "3", "4"]), 3).unwrap().contains("4 cells and not 3"));
        assert!(misfit(&row(&["1", "Bag\n2,Hat\n"]), 3).unwrap().contains("a quote was not closed"));
        assert!(is_blank(&row(&["", " ", "\u{a0}"])) && !is_blank(&row(&["", "0"])));
    }

    #[test]
    fn columns_are_known_however_a_person_spells_them() {
        assert_eq!((column(" Total Stock "), column("MAX-per-hold")), (Some("total_stock"), Some("max_per_hold")));
        assert_eq!(column("totals"), None);
        assert!(is_unnamed(" ") && is_unnamed("Unnamed: 0") && !is_unnamed("Unnamed"));
    }
}
