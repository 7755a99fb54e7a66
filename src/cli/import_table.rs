//! A table of products in any dialect, read in chunks.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read},
};

use csv::{ByteRecord, Reader, ReaderBuilder, WriterBuilder};
use encoding_rs::{Encoding, UTF_8};

use super::{
    import_columns::{Plan, PlannedRow, TableChoices},
    import_file::{Bytes, CHUNK_BYTES, Chunk, FileRow, ROW_BYTES_MAX, ROWS_MAX, Unsent, product},
};
use crate::wire::table::{
    self, Dialect, HEAD_BYTES, cell,
    encoding::{self, Decoded},
};

/// A table, and how far it is read.
pub(super) struct TableFile {
    reader: Reader<Bytes>,
    pub(super) plan: Plan,
    has_begun: bool,
    number: u64,
    /// Rows that are no products, by the reason.
    pub(super) skipped: BTreeMap<&'static str, u64>,
}

/// Why a table cannot be read.
pub(super) enum TableError {
    Source(io::Error),
    /// What is wrong with its beginning.
    Form(String),
}

impl From<io::Error> for TableError {
    fn from(error: io::Error) -> Self {
        Self::Source(error)
    }
}

impl From<csv::Error> for TableError {
    fn from(error: csv::Error) -> Self {
        Self::Source(error.into())
    }
}

impl TableFile {
    /// # Errors
    /// When the source cannot be read, or its first rows are not those of a table.
    pub(super) fn open(source: Bytes, choices: &TableChoices) -> Result<Self, TableError> {
        let (reader, header) = open_table(source, choices.encoding, |name| choices.knows(name))?;
        let plan = Plan::of(&header, choices).map_err(TableError::Form)?;
        Ok(Self { reader, plan, has_begun: false, number: 0, skipped: BTreeMap::new() })
    }

    /// The header and the next rows, as the service takes them.
    pub(super) fn next(&mut self) -> io::Result<Option<Chunk>> {
        let mut writer = WriterBuilder::new().from_writer(Vec::new());
        writer.write_record(&self.plan.header)?;
        let (mut rows, mut bytes, mut record) = (Vec::new(), 0, ByteRecord::new());
        while rows.len() < ROWS_MAX && bytes < CHUNK_BYTES && self.reader.read_byte_record(&mut record)? {
            if table::is_blank(&record) {
                continue;
            }
            self.number += 1;
            let row = match self.plan.read(&record) {
                PlannedRow::Sent(row) => row,
                PlannedRow::Skipped(why) => {
                    *self.skipped.entry(why).or_default() += 1;
                    continue;
                }
            };
            let row_bytes = row.as_slice().len();
            let unsent = if row_bytes > ROW_BYTES_MAX {
                Some(Unsent::TooLarge(row_bytes))
            } else {
                table::misfit(&record, self.plan.columns).map(Unsent::Misfit)
            };
            if unsent.is_none() {
                writer.write_byte_record(&row)?;
                bytes += row_bytes;
            }
            rows.push(self.file_row(&row, unsent));
        }
        let body = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        // The first one even without rows, so that the service sees the header.
        Ok((!rows.is_empty() || is_first).then_some(Chunk { body, rows }))
    }

    fn file_row(&self, row: &ByteRecord, unsent: Option<Unsent>) -> FileRow {
        let cell = |ours| {
            let text = self.plan.place(ours).and_then(|at| row.get(at)).unwrap_or_default();
            String::from_utf8_lossy(text).trim().to_owned()
        };
        let (id, name) = (cell("id"), cell("name"));
        let id = cell::count(&id).unwrap_or(&id);
        FileRow { number: self.number, line: None, id: id.parse().ok(), product: product(id, &name), unsent }
    }
}

/// A reader of the rows below the header, and the header, whatever program wrote the table.
///
/// # Errors
/// When the source cannot be read, or its first rows are not those of a table.
pub(super) fn open_table(
    mut source: Bytes,
    encoding: Option<&'static Encoding>,
    is_known: impl Fn(&str) -> bool,
) -> Result<(Reader<Bytes>, ByteRecord), TableError> {
    let mut first = Vec::new();
    source.by_ref().take(4).read_to_end(&mut first)?;
    if let Some(what) = encoding::not_text(&first) {
        return Err(TableError::Form(what.to_owned()));
    }
    let encoding = encoding.or_else(|| encoding::of(&first));
    let mut source: Bytes = Box::new(Cursor::new(first).chain(source));
    match encoding {
        None => {}
        // Not decoded, so that bytes of another encoding are seen.
        Some(encoding) if encoding == UTF_8 => {
            let mut mark = Vec::new();
            source.by_ref().take(3).read_to_end(&mut mark)?;
            let mark = if mark == b"\xef\xbb\xbf" { Vec::new() } else { mark };
            source = Box::new(Cursor::new(mark).chain(source));
        }
        Some(encoding) => source = Box::new(Decoded::new(source, encoding)),
    }
    let mut head = Vec::new();
    source.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let dialect = Dialect::of(&head, is_known);
    let rest = Cursor::new(head.split_off(dialect.skipped.min(head.len()))).chain(source);
    let mut builder = ReaderBuilder::new();
    let mut reader = builder.flexible(true).delimiter(dialect.separator).from_reader(Box::new(rest) as Bytes);
    let header = reader.byte_headers()?.clone();
    if table::is_blank(&header) {
        return Err(TableError::Form("it is empty: its first row must name the columns".to_owned()));
    }
    Ok((reader, header))
}
