//! A file of rows, read in chunks that one call of the service takes. The file is never held as a whole.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use csv::{ByteRecord, Reader, ReaderBuilder, Writer, WriterBuilder};
use serde_json::Value;

use super::export::FileFormat;

/// Rows of a chunk. The service takes 1,000; with fewer, people see progress.
const ROWS_MAX: usize = 200;
/// Bytes after which a chunk gets no more rows. The service takes 4 MiB, and quotes may double a row.
const CHUNK_BYTES: usize = 1 << 20;
/// A longer row is no product: it is not sent, and stops no other.
const ROW_BYTES_MAX: usize = 1 << 18;
/// The part of a name that is shown.
const NAME_CHARS_MAX: usize = 40;
const BYTE_ORDER_MARK: [u8; 3] = *b"\xef\xbb\xbf";

type Bytes = Box<dyn Read>;

/// A file of rows, and how far it is read.
pub(super) struct ImportFile {
    source: Source,
    /// Number of the last row.
    number: u64,
    /// Number of the last line; blank ones count.
    line: u64,
}

enum Source {
    Csv { reader: Box<Reader<Bytes>>, header: ByteRecord, has_begun: bool },
    Ndjson(BufReader<Bytes>),
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
    /// The size of a row that is too large. Such a row is not in the body.
    pub(super) bytes_too_many: Option<usize>,
}

impl ImportFile {
    /// # Errors
    /// When the source cannot be read.
    pub(super) fn open(mut source: Bytes, format: FileFormat) -> io::Result<Self> {
        let mut first = Vec::new();
        source.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut first)?;
        if first == BYTE_ORDER_MARK {
            first.clear();
        }
        let source: Bytes = Box::new(Cursor::new(first).chain(source));
        let source = match format {
            FileFormat::Csv => {
                let mut reader = Box::new(ReaderBuilder::new().flexible(true).from_reader(source));
                let header = reader.byte_headers()?.clone();
                Source::Csv { reader, header, has_begun: false }
            }
            FileFormat::Ndjson => Source::Ndjson(BufReader::new(source)),
        };
        Ok(Self { source, number: 0, line: 0 })
    }

    /// Whether a table has no row that names its columns.
    pub(super) fn is_headless(&self) -> bool {
        matches!(&self.source, Source::Csv { header, .. } if header.is_empty())
    }

    /// The name that the header gives a column, counted from 1.
    pub(super) fn column(&self, at: usize) -> Option<String> {
        let Source::Csv { header, .. } = &self.source else { return None };
        Some(shortened(&String::from_utf8_lossy(header.get(at.checked_sub(1)?)?)))
    }

    /// The next chunk; `None` after the last. A table has a first chunk even without rows, so that the service sees its
    /// header.
    ///
    /// # Errors
    /// When the source cannot be read, or is not a file of rows.
    pub(super) fn next(&mut self) -> io::Result<Option<Chunk>> {
        match &mut self.source {
            Source::Csv { reader, header, has_begun } => {
                let chunk = next_rows(reader, header, &mut self.number)?;
                let is_first = !std::mem::replace(has_begun, true);
                Ok(Some(chunk).filter(|chunk| !chunk.rows.is_empty() || is_first))
            }
            Source::Ndjson(reader) => {
                let chunk = next_lines(reader, &mut self.number, &mut self.line)?;
                Ok(Some(chunk).filter(|chunk| !chunk.rows.is_empty()))
            }
        }
    }
}

impl FileRow {
    /// Whether it is in the body.
    pub(super) fn is_sent(&self) -> bool {
        self.bytes_too_many.is_none()
    }
}

/// The header again, and the next rows, cell by cell as in the file.
fn next_rows(reader: &mut Reader<Bytes>, header: &ByteRecord, number: &mut u64) -> io::Result<Chunk> {
    let mut writer: Writer<Vec<u8>> = WriterBuilder::new().flexible(true).from_writer(Vec::new());
    writer.write_byte_record(header)?;
    let at = |name: &str| header.iter().position(|cell| cell.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
    let (id, name) = (at("id"), at("name"));
    let (mut rows, mut bytes, mut record) = (Vec::new(), 0, ByteRecord::new());
    while rows.len() < ROWS_MAX && bytes < CHUNK_BYTES && reader.read_byte_record(&mut record)? {
        let row_bytes = record.as_slice().len();
        let is_sent = row_bytes <= ROW_BYTES_MAX;
        if is_sent {
            writer.write_byte_record(&record)?;
            bytes += row_bytes;
        }
        *number += 1;
        let cell = |at: Option<usize>| String::from_utf8_lossy(at.and_then(|at| record.get(at)).unwrap_or_default());
        let (id, product) = (cell(id).trim().parse().ok(), product(cell(id).trim(), cell(name).trim()));
        rows.push(FileRow {
            number: *number,
            line: None,
            id,
            product,
            bytes_too_many: (!is_sent).then_some(row_bytes),
        });
    }
    let body = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    Ok(Chunk { body, rows })
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
        rows.push(FileRow { number: *number, line: Some(*line), id, product, bytes_too_many });
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

    fn chunks(text: &str, format: FileFormat) -> Vec<(usize, String)> {
        let mut file = ImportFile::open(Box::new(Cursor::new(text.to_owned())), format).unwrap();
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
    fn a_row_of_the_wrong_length_is_sent_unchanged() {
        assert_eq!(chunks("id,name\n1\n2,b,c\n", FileFormat::Csv), [(2, "id,name\n1\n2,b,c\n".to_owned())]);
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
        let line = |number, line, product: &str, bytes_too_many| {
            let id = product.split(' ').next().and_then(|id| id.parse().ok());
            FileRow { number, line, id, product: product.into(), bytes_too_many }
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
                "price, Name,ID\n1,Bag,7\n2,,9\n".to_owned(),
                [
                    line(1, None, "7 Bag", None),
                    line(2, None, "8 Long", Some(ROW_BYTES_MAX + 6)),
                    line(3, None, "9", None),
                    line(4, None, &format!("{}… Hat", "x".repeat(NAME_CHARS_MAX)), Some(ROW_BYTES_MAX + 5)),
                ],
            ),
        ] {
            let chunk = ImportFile::open(Box::new(Cursor::new(file)), format).unwrap().next().unwrap().unwrap();
            assert_eq!(chunk.rows, expected);
            assert!(chunk.body == body.as_bytes(), "{format:?}");
        }
    }
}
