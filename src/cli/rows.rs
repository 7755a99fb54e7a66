//! A file of rows in pieces that one call of the service takes. The file is read as it is needed and never held as a whole.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use csv::{ByteRecord, Reader, ReaderBuilder, Writer, WriterBuilder};

use super::export::Format;

/// Rows of a piece. The service takes 1,000; fewer let people see that it goes on.
const ROWS_MAX: usize = 200;
/// Bytes after which a piece has no more rows; the service takes 4 MiB.
const BYTES: usize = 1 << 20;
/// A row that is longer is no row of a product.
const LINE_BYTES_MAX: u64 = 1 << 20;
const BYTE_ORDER_MARK: [u8; 3] = *b"\xef\xbb\xbf";

type Source = Box<dyn Read>;

/// Rows that are still to come.
pub(super) enum Rows {
    Csv { reader: Box<Reader<Source>>, began: bool },
    Ndjson(BufReader<Source>),
}

/// A body of so many rows.
pub(super) struct Piece {
    pub(super) body: Vec<u8>,
    pub(super) rows: u64,
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
        Ok(match format {
            Format::Csv => {
                Self::Csv { reader: Box::new(ReaderBuilder::new().flexible(true).from_reader(source)), began: false }
            }
            Format::Ndjson => Self::Ndjson(BufReader::new(source)),
        })
    }

    /// The next piece; `None` after the last. The first one is there even without rows, so that the service sees the header.
    ///
    /// # Errors
    /// When the source cannot be read, or is no file of rows.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        match self {
            Self::Csv { reader, began } => {
                let piece = table(reader)?;
                let is_first = !std::mem::replace(began, true);
                Ok(Some(piece).filter(|piece| piece.rows > 0 || is_first))
            }
            Self::Ndjson(reader) => Ok(Some(lines(reader)?).filter(|piece| piece.rows > 0)),
        }
    }
}

/// The header again, and the next rows, cell by cell as they are.
fn table(reader: &mut Reader<Source>) -> io::Result<Piece> {
    let mut writer: Writer<Vec<u8>> = WriterBuilder::new().flexible(true).from_writer(Vec::new());
    writer.write_byte_record(reader.byte_headers()?)?;
    let (mut rows, mut bytes, mut record) = (0, 0, ByteRecord::new());
    while rows < ROWS_MAX && bytes < BYTES && reader.read_byte_record(&mut record)? {
        writer.write_byte_record(&record)?;
        rows += 1;
        bytes += record.as_slice().len();
    }
    let body = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    Ok(Piece { body, rows: rows as u64 })
}

fn lines(reader: &mut BufReader<Source>) -> io::Result<Piece> {
    let (mut body, mut rows) = (Vec::new(), 0);
    while rows < ROWS_MAX && body.len() < BYTES {
        let start = body.len();
        if reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut body)? == 0 {
            break;
        }
        let line = &body[start..];
        if line.len() as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
            return Err(io::Error::other(format!("it has a line of more than {LINE_BYTES_MAX} bytes")));
        }
        if !line.trim_ascii().is_empty() {
            rows += 1;
        }
        if !body.ends_with(b"\n") {
            body.push(b'\n');
        }
    }
    Ok(Piece { body, rows: rows as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, format: Format) -> Vec<(u64, String)> {
        let mut rows = Rows::of(Box::new(Cursor::new(text.to_owned())), format).unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = rows.next().unwrap() {
            pieces.push((piece.rows, String::from_utf8(piece.body).unwrap()));
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
}
