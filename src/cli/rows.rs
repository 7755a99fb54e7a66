//! A file of rows in pieces that one call of the service takes. The file is read as it is needed and never held as a whole.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use csv::{ByteRecord, Reader, ReaderBuilder, Writer, WriterBuilder};
use serde_json::Value;

use super::export::Format;

/// Rows of a piece. The service takes 1,000; fewer let people see that it goes on.
const ROWS_MAX: usize = 200;
/// Bytes after which a piece has no more rows. The service takes 4 MiB, and quotes may double a row.
const BYTES: usize = 1 << 20;
/// A row that is longer is no row of a product: it is not sent, and stops no other.
const ROW_BYTES_MAX: usize = 1 << 18;
/// Of a name, so many are shown.
const NAME_CHARS_MAX: usize = 40;
const BYTE_ORDER_MARK: [u8; 3] = *b"\xef\xbb\xbf";

type Source = Box<dyn Read>;

/// Rows that are still to come.
pub(super) struct Rows {
    source: Rest,
    /// Of the last row.
    number: u64,
    /// Of the last line; blank ones count.
    line: u64,
}

enum Rest {
    Csv { reader: Box<Reader<Source>>, header: ByteRecord, began: bool },
    Ndjson(BufReader<Source>),
}

/// A body, and what rows of the file it stands for.
pub(super) struct Piece {
    pub(super) body: Vec<u8>,
    pub(super) rows: Vec<Row>,
}

/// A row as people find it in their file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// From 1, without a header and empty lines.
    pub(super) number: u64,
    /// Of NDJSON, where a row is a line.
    pub(super) line: Option<u64>,
    /// Of the product, if it is one.
    pub(super) id: Option<u64>,
    /// Id and name, as far as they are there.
    pub(super) product: String,
    /// How many bytes it has, when these are too many: then it is not in the body.
    pub(super) bytes_too_many: Option<usize>,
}

impl Rows {
    /// # Errors
    /// When the source cannot be read.
    pub(super) fn of(mut source: Source, format: Format) -> io::Result<Self> {
        let mut first = Vec::new();
        source.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut first)?;
        if first == BYTE_ORDER_MARK {
            first.clear();
        }
        let source: Source = Box::new(Cursor::new(first).chain(source));
        let source = match format {
            Format::Csv => {
                let mut reader = Box::new(ReaderBuilder::new().flexible(true).from_reader(source));
                let header = reader.byte_headers()?.clone();
                Rest::Csv { reader, header, began: false }
            }
            Format::Ndjson => Rest::Ndjson(BufReader::new(source)),
        };
        Ok(Self { source, number: 0, line: 0 })
    }

    /// Whether a table has not even a row that names its columns.
    pub(super) fn is_headless(&self) -> bool {
        matches!(&self.source, Rest::Csv { header, .. } if header.is_empty())
    }

    /// What the header calls a column, from 1.
    pub(super) fn column(&self, at: usize) -> Option<String> {
        let Rest::Csv { header, .. } = &self.source else { return None };
        Some(shortened(&String::from_utf8_lossy(header.get(at.checked_sub(1)?)?)))
    }

    /// The next piece; `None` after the last. The first one is there even without rows, so that the service sees the header.
    ///
    /// # Errors
    /// When the source cannot be read, or is no file of rows.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        match &mut self.source {
            Rest::Csv { reader, header, began } => {
                let piece = table(reader, header, &mut self.number)?;
                let is_first = !std::mem::replace(began, true);
                Ok(Some(piece).filter(|piece| !piece.rows.is_empty() || is_first))
            }
            Rest::Ndjson(reader) => {
                let piece = lines(reader, &mut self.number, &mut self.line)?;
                Ok(Some(piece).filter(|piece| !piece.rows.is_empty()))
            }
        }
    }
}

impl Row {
    /// Whether it is in the body.
    pub(super) fn is_sent(&self) -> bool {
        self.bytes_too_many.is_none()
    }
}

/// The header again, and the next rows, cell by cell as they are.
fn table(reader: &mut Reader<Source>, header: &ByteRecord, number: &mut u64) -> io::Result<Piece> {
    let mut writer: Writer<Vec<u8>> = WriterBuilder::new().flexible(true).from_writer(Vec::new());
    writer.write_byte_record(header)?;
    let at = |name: &str| header.iter().position(|cell| cell.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
    let (id, name) = (at("id"), at("name"));
    let (mut rows, mut bytes, mut record) = (Vec::new(), 0, ByteRecord::new());
    while rows.len() < ROWS_MAX && bytes < BYTES && reader.read_byte_record(&mut record)? {
        let row_bytes = record.as_slice().len();
        let is_sent = row_bytes <= ROW_BYTES_MAX;
        if is_sent {
            writer.write_byte_record(&record)?;
            bytes += row_bytes;
        }
        *number += 1;
        let cell = |at: Option<usize>| String::from_utf8_lossy(at.and_then(|at| record.get(at)).unwrap_or_default());
        let (id, product) = (cell(id).trim().parse().ok(), product(cell(id).trim(), cell(name).trim()));
        rows.push(Row { number: *number, line: None, id, product, bytes_too_many: (!is_sent).then_some(row_bytes) });
    }
    let body = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    Ok(Piece { body, rows })
}

fn lines(reader: &mut BufReader<Source>, number: &mut u64, line: &mut u64) -> io::Result<Piece> {
    let (mut body, mut rows) = (Vec::new(), Vec::new());
    while rows.len() < ROWS_MAX && body.len() < BYTES {
        let start = body.len();
        // One byte more than there may be: the line feed.
        if reader.take(ROW_BYTES_MAX as u64 + 1).read_until(b'\n', &mut body)? == 0 {
            break;
        }
        *line += 1;
        let mut bytes_too_many = None;
        if body.len() - start > ROW_BYTES_MAX && !body.ends_with(b"\n") {
            bytes_too_many = Some(body.len() - start + skip_line(reader)?);
            body.truncate(start);
        } else if body[start..].trim_ascii().is_empty() {
            body.truncate(start);
            continue;
        } else if !body.ends_with(b"\n") {
            body.push(b'\n');
        }
        *number += 1;
        let (id, product) = product_of_line(&body[start..]);
        rows.push(Row { number: *number, line: Some(*line), id, product, bytes_too_many });
    }
    Ok(Piece { body, rows })
}

/// Up to the end of the line; gives how many bytes of it there were.
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
fn product(id: &str, name: &str) -> String {
    [shortened(id), shortened(name)].join(" ").trim().to_owned()
}

fn shortened(text: &str) -> String {
    let more = if text.chars().count() > NAME_CHARS_MAX { "…" } else { "" };
    text.chars().take(NAME_CHARS_MAX).chain(more.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, format: Format) -> Vec<(usize, String)> {
        let mut rows = Rows::of(Box::new(Cursor::new(text.to_owned())), format).unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = rows.next().unwrap() {
            pieces.push((piece.rows.len(), String::from_utf8(piece.body).unwrap()));
        }
        pieces
    }

    #[test]
    fn every_piece_of_a_table_has_its_header_and_every_row_is_in_one() {
        let rows: String = (0..450).map(|row| format!("{row},\"two\nlines, \"\"{row}\"\"\"\r\n")).collect();
        let found = pieces(&format!("\u{feff}id,name\r\n{rows}"), Format::Csv);
        assert_eq!(found.iter().map(|(rows, _)| *rows).collect::<Vec<_>>(), [200, 200, 50]);
        assert!(found.iter().all(|(_, body)| body.starts_with("id,name\n")), "{found:?}");
        assert!(found[2].1.ends_with("449,\"two\nlines, \"\"449\"\"\"\n"), "{}", found[2].1);
    }

    #[test]
    fn a_row_of_the_wrong_length_goes_out_as_it_is() {
        assert_eq!(pieces("id,name\n1\n2,b,c\n", Format::Csv), [(2, "id,name\n1\n2,b,c\n".to_owned())]);
    }

    #[test]
    fn a_table_without_rows_is_one_piece_and_a_file_without_lines_none() {
        assert_eq!(pieces("id,name\n", Format::Csv), [(0, "id,name\n".to_owned())]);
        assert_eq!(pieces("\n\n", Format::Ndjson), []);
    }

    #[test]
    fn empty_lines_are_no_rows() {
        let found = pieces(&"{}\n\n".repeat(250), Format::Ndjson);
        assert_eq!(found.iter().map(|(rows, _)| *rows).collect::<Vec<_>>(), [200, 50]);
        assert_eq!(pieces("\u{feff}{}", Format::Ndjson), [(1, "{}\n".to_owned())]);
    }

    #[test]
    fn a_row_that_is_too_long_is_told_and_not_sent() {
        let long = "x".repeat(ROW_BYTES_MAX + 1);
        let fits = "y".repeat(ROW_BYTES_MAX);
        let line = |number, line, product: &str, bytes_too_many| {
            let id = product.split(' ').next().and_then(|id| id.parse().ok());
            Row { number, line, id, product: product.into(), bytes_too_many }
        };
        for (format, file, body, expected) in [
            (
                Format::Ndjson,
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
                Format::Csv,
                format!("price, Name,ID\n1,Bag,7\n{long},Long,8\n2,,9\n3,Hat,{long}\n"),
                "price, Name,ID\n1,Bag,7\n2,,9\n".to_owned(),
                [
                    line(1, None, "7 Bag", None),
                    line(2, None, "8 Long", Some(ROW_BYTES_MAX + 6)),
                    line(3, None, "9", None),
                    line(4, None, &format!("{}… Hat", "x".repeat(NAME_CHARS_MAX)), Some(ROW_BYTES_MAX + 5)),
                ],
            ),
        ] {
            let piece = Rows::of(Box::new(Cursor::new(file)), format).unwrap().next().unwrap().unwrap();
            assert_eq!(piece.rows, expected);
            assert!(piece.body == body.as_bytes(), "{format:?}");
        }
    }
}
