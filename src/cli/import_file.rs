//! A file of rows, read in chunks that one call of the service takes. The file is never held as a whole.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Cursor, Read},
};

use serde_json::Value;

use super::{
    export::FileFormat,
    import_columns::TableChoices,
    import_table::{TableError, TableFile},
};
use crate::wire::table::encoding;

/// Rows of a chunk. The service takes 1,000; with fewer, people see progress.
pub(super) const ROWS_MAX: usize = 200;
/// Bytes after which a chunk gets no more rows. The service takes 4 MiB, and quotes may double a row.
pub(super) const CHUNK_BYTES: usize = 1 << 20;
/// A longer row is no product: it is not sent, and stops no other.
pub(super) const ROW_BYTES_MAX: usize = 1 << 18;
/// The part of a name that is shown.
const NAME_CHARS_MAX: usize = 40;
const BYTE_ORDER_MARK: [u8; 3] = *b"\xef\xbb\xbf";

pub(super) type Bytes = Box<dyn Read>;

/// A file of rows, and how far it is read.
pub(super) enum ImportFile {
    Table(Box<TableFile>),
    Lines {
        source: BufReader<Bytes>,
        /// Number of the last row.
        number: u64,
        /// Number of the last line; blank ones count.
        line: u64,
    },
}

/// The body of one call, and its rows of the file.
pub(super) struct Chunk {
    pub(super) body: Vec<u8>,
    pub(super) rows: Vec<FileRow>,
}

/// A row, by what people need to find it in their file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileRow {
    /// The number from 1, without a header and empty lines.
    pub(super) number: u64,
    /// The number of the line; only for NDJSON, where a row is a line.
    pub(super) line: Option<u64>,
    /// The product id, if it is one.
    pub(super) id: Option<u64>,
    /// Id and name, as far as the row has them.
    pub(super) product: String,
    /// Why the row is not in the body.
    pub(super) unsent: Option<Unsent>,
}

/// What is wrong with a row that is not sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// Its size in bytes.
    TooLarge(usize),
    /// Why its cells do not fit its columns.
    Misfit(String),
}

impl ImportFile {
    /// # Errors
    /// When the source cannot be read, or is no such file.
    pub(super) fn open(mut source: Bytes, format: FileFormat, choices: &TableChoices) -> Result<Self, TableError> {
        if format == FileFormat::Csv {
            return Ok(Self::Table(Box::new(TableFile::open(source, choices)?)));
        }
        if !choices.is_empty() {
            let flags =
                "--map, --preset, --sale, --currency and --encoding are for tables; lines of JSON name their fields";
            return Err(TableError::Form(flags.to_owned()));
        }
        let mut first = Vec::new();
        source.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut first)?;
        if encoding::of(&first).is_some() && first != BYTE_ORDER_MARK {
            return Err(TableError::Form("it is in UTF-16: write the lines in UTF-8".to_owned()));
        }
        if first == BYTE_ORDER_MARK {
            first.clear();
        }
        let source: Bytes = Box::new(Cursor::new(first).chain(source));
        Ok(Self::Lines { source: BufReader::new(source), number: 0, line: 0 })
    }

    /// The name of a column that is sent, counted from 1.
    pub(super) fn column(&self, at: usize) -> Option<String> {
        let Self::Table(table) = self else { return None };
        Some(shortened(table.plan.header.get(at.checked_sub(1)?)?))
    }

    /// The columns that are not sent.
    pub(super) fn left_out(&self) -> Vec<String> {
        let Self::Table(table) = self else { return Vec::new() };
        table.plan.left_out.iter().map(|name| shortened(name)).collect()
    }

    /// How many rows were no products, by the reason.
    pub(super) fn skipped(&self) -> BTreeMap<&'static str, u64> {
        let Self::Table(table) = self else { return BTreeMap::new() };
        table.skipped.clone()
    }

    /// The next chunk; `None` after the last. A table has a first chunk even without rows, so that the service sees its
    /// header.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Chunk>> {
        match self {
            Self::Table(table) => table.next(),
            Self::Lines { source, number, line } => {
                let chunk = next_lines(source, number, line)?;
                Ok(Some(chunk).filter(|chunk| !chunk.rows.is_empty()))
            }
        }
    }
}

impl FileRow {
    /// Whether it is in the body.
    pub(super) fn is_sent(&self) -> bool {
        self.unsent.is_none()
    }
}

fn next_lines(reader: &mut BufReader<Bytes>, number: &mut u64, line: &mut u64) -> io::Result<Chunk> {
    let (mut body, mut rows) = (Vec::new(), Vec::new());
    while rows.len() < ROWS_MAX && body.len() < CHUNK_BYTES {
        let start = body.len();
        // One byte more than the bound: the line feed.
        if reader.take(ROW_BYTES_MAX as u64 + 1).read_until(b'\n', &mut body)? == 0 {
            break;
        }
        *line += 1;
        let mut unsent = None;
        if body.len() - start > ROW_BYTES_MAX && !body.ends_with(b"\n") {
            unsent = Some(Unsent::TooLarge(body.len() - start + skip_line(reader)?));
            body.truncate(start);
        } else if body[start..].trim_ascii().is_empty() {
            body.truncate(start);
            continue;
        } else if !body.ends_with(b"\n") {
            body.push(b'\n');
        }
        *number += 1;
        let (id, product) = product_of_line(&body[start..]);
        rows.push(FileRow { number: *number, line: Some(*line), id, product, unsent });
    }
    Ok(Chunk { body, rows })
}

/// Skips to the end of the line; gives the number of bytes skipped.
fn skip_line(reader: &mut impl BufRead) -> io::Result<usize> {
    let mut skipped = 0;
    loop {
        let piece = reader.fill_buf()?;
        let (bytes, is_end) = match piece.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at, true),
            None => (piece.len(), piece.is_empty()),
        };
        let has_line_feed = bytes < piece.len();
        reader.consume(bytes + usize::from(has_line_feed));
        skipped += bytes;
        if is_end {
            return Ok(skipped);
        }
    }
}

fn product_of_line(line: &[u8]) -> (Option<u64>, String) {
    let read: Value = serde_json::from_slice(line).unwrap_or_default();
    let id = read["id"].as_u64();
    let shown = id.map_or_else(String::new, |id| id.to_string());
    (id, product(&shown, read["name"].as_str().unwrap_or_default()))
}

/// `22 Poster`
pub(super) fn product(id: &str, name: &str) -> String {
    [shortened(id), shortened(name)].join(" ").trim().to_owned()
}

fn shortened(text: &str) -> String {
    let more = if text.chars().count() > NAME_CHARS_MAX { "…" } else { "" };
    text.chars().take(NAME_CHARS_MAX).chain(more.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: String, format: FileFormat) -> ImportFile {
        let opened = ImportFile::open(Box::new(Cursor::new(text)), format, &TableChoices::default());
        opened.unwrap_or_else(|_| panic!("it cannot be opened"))
    }

    fn chunks(text: &str, format: FileFormat) -> Vec<(usize, String)> {
        let mut file = open(text.to_owned(), format);
        let mut chunks = Vec::new();
        while let Some(chunk) = file.next().unwrap() {
            chunks.push((chunk.rows.len(), String::from_utf8(chunk.body).unwrap()));
        }
        chunks
    }

    #[test]
    fn every_chunk_of_a_table_has_its_header_and_every_row_is_in_one() {
        let rows: String = (0..450).map(|row| format!("{row},\"two\nlines, \"\"{row}\"\"\"\r\n")).collect();
        let found = chunks(&format!("\u{feff}id,name\r\n{rows}"), FileFormat::Csv);
        assert_eq!(found.iter().map(|(rows, _)| *rows).collect::<Vec<_>>(), [200, 200, 50]);
        assert!(found.iter().all(|(_, body)| body.starts_with("id,name\n")), "{found:?}");
        assert!(found[2].1.ends_with("449,\"two\nlines, \"\"449\"\"\"\n"), "{}", found[2].1);
    }

    #[test]
    fn a_row_gets_its_missing_cells_and_one_with_too_many_is_not_sent() {
        assert_eq!(chunks("id,name\n1\n2,b,c\n,\n", FileFormat::Csv), [(2, "id,name\n1,\n".to_owned())]);
    }

    #[test]
    fn a_table_without_rows_is_one_chunk_and_a_file_without_lines_none() {
        assert_eq!(chunks("id,name\n", FileFormat::Csv), [(0, "id,name\n".to_owned())]);
        assert_eq!(chunks("\n\n", FileFormat::Ndjson), []);
    }

    #[test]
    fn empty_lines_do_not_count_as_rows() {
        let found = chunks(&"{}\n\n".repeat(250), FileFormat::Ndjson);
        assert_eq!(found.iter().map(|(rows, _)| *rows).collect::<Vec<_>>(), [200, 50]);
        assert_eq!(chunks("\u{feff}{}", FileFormat::Ndjson), [(1, "{}\n".to_owned())]);
    }

    #[test]
    fn a_row_that_is_too_long_is_reported_and_not_sent() {
        let long = "x".repeat(ROW_BYTES_MAX + 1);
        let fits = "y".repeat(ROW_BYTES_MAX);
        let line = |number, line, product: &str, bytes_too_many: Option<usize>| {
            let id = product.split(' ').next().and_then(|id| id.parse().ok());
            FileRow { number, line, id, product: product.into(), unsent: bytes_too_many.map(Unsent::TooLarge) }
        };
        for (format, file, body, expected) in [
            (
                FileFormat::Ndjson,
                format!("{{\"id\":7}}\n\n{long}\n{fits}\n{long}"),
                format!("{{\"id\":7}}\n{fits}\n"),
                [
                    line(1, Some(1), "7", None),
                    line(2, Some(3), "", Some(ROW_BYTES_MAX + 1)),
                    line(3, Some(4), "", None),
                    line(4, Some(5), "", Some(ROW_BYTES_MAX + 1)),
                ],
            ),
            (
                FileFormat::Csv,
                format!("price, Name,ID\n1,Bag,7\n{long},Long,8\n2,,9\n3,Hat,{long}\n"),
                "price,Name,ID\n1,Bag,7\n2,,9\n".to_owned(),
                [
                    line(1, None, "7 Bag", None),
                    line(2, None, "8 Long", Some(ROW_BYTES_MAX + 6)),
                    line(3, None, "9", None),
                    line(4, None, &format!("{}… Hat", "x".repeat(NAME_CHARS_MAX)), Some(ROW_BYTES_MAX + 5)),
                ],
            ),
        ] {
            let chunk = open(file, format).next().unwrap().unwrap();
            assert_eq!(chunk.rows, expected);
            assert!(chunk.body == body.as_bytes(), "{format:?}");
        }
    }
}
