//! Reads the rows of an import, in two formats.

use std::borrow::Cow;

use actix_web::http::header::{self, HeaderMap};
use csv::{ByteRecord, ReaderBuilder, Trim};

use crate::{
    domain::product::NewProduct,
    http::{
        admin::new_product::{self, FIELDS},
        body,
        fields::{self, Json},
        problem::{Code, FieldError, Problem},
    },
};

/// Rows of one call. Each is a few calls of Redis, one after another.
const ROWS_MAX: usize = 1_000;
const REQUIRED: [&str; 3] = ["name", "price", "total_stock"];
/// Columns whose cells are numbers. All other cells are texts, even where they look like numbers.
const COUNTS: [&str; 4] = ["id", "total_stock", "max_per_hold", "max_per_customer"];
/// Separators that programs write instead of commas, and their names.
const SEPARATORS: [(u8, &str); 3] = [(b';', "semicolons"), (b'\t', "tabs"), (b'|', "bars")];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A product, or the problem with its row.
pub(super) type Row = Result<NewProduct, Problem>;

#[derive(Clone, Copy)]
pub(super) enum Format {
    Csv,
    Ndjson,
}

impl Format {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let format = match body::media_type(headers).to_ascii_lowercase().as_str() {
            "text/csv" => Self::Csv,
            "application/x-ndjson" | "application/jsonl" => Self::Ndjson,
            _ => {
                let detail = "send Content-Type: text/csv or application/x-ndjson";
                return Err(Problem::new(Code::UnsupportedMediaType, detail));
            }
        };
        if is_utf8(headers) {
            Ok(format)
        } else {
            Err(Problem::new(Code::UnsupportedMediaType, "send the rows in UTF-8"))
        }
    }

    pub(super) fn read(self, bytes: &[u8], row_bytes_max: usize) -> Result<Vec<Row>, Problem> {
        if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] = bytes[..] {
            return Err(wrong("", "invalid_format", "this is UTF-16; save it as UTF-8".to_owned()));
        }
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        match self {
            Self::Csv => csv_rows(bytes, row_bytes_max),
            Self::Ndjson => json_rows(bytes, row_bytes_max),
        }
    }
}

/// Whether the request says nothing else about its body.
fn is_utf8(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parameters = given.split(';').skip(1).filter_map(|parameter| parameter.trim().split_once('='));
    parameters.all(|(name, value)| {
        let charset = value.trim_matches('"');
        !name.eq_ignore_ascii_case("charset")
            || ["utf-8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
    })
}

/// NDJSON. Empty lines are no rows.
fn json_rows(bytes: &[u8], row_bytes_max: usize) -> Result<Vec<Row>, Problem> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let read = |line: &[u8]| {
        if line.len() > row_bytes_max {
            return Err(wrong("", "too_large", format!("a row may have {row_bytes_max} bytes")));
        }
        let json = fields::parse(line).map_err(|_| Problem::new(Code::MalformedJson, "the row is not JSON"))?;
        read_row(json)
    };
    bounded(lines.map(read))
}

/// CSV. The first row names the columns, in any order.
fn csv_rows(bytes: &[u8], row_bytes_max: usize) -> Result<Vec<Row>, Problem> {
    let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(bytes);
    // Reading from memory cannot fail, and all bytes are cells of some kind.
    let columns = columns(reader.byte_headers().unwrap_or(&ByteRecord::new()))?;
    let read = |record: &ByteRecord| {
        if record.len() != columns.len() {
            let hint = if record.as_slice().contains(&b'\n') { "; perhaps a quote was not closed" } else { "" };
            let detail = format!("the row has {} cells and not {}, as the first{hint}", record.len(), columns.len());
            return Err(wrong("", "wrong_number_of_cells", detail));
        }
        if record.as_slice().len() > row_bytes_max {
            return Err(wrong("", "too_large", format!("a row may have {row_bytes_max} bytes")));
        }
        let cells = columns.iter().zip(record).filter(|(_, cell)| !cell.is_empty());
        let fields = cells.map(|(column, cell)| Ok((Cow::Borrowed(*column), value(column, cell)?)));
        read_row(Json::Object(fields.collect::<Result<_, Problem>>()?))
    };
    bounded(reader.byte_records().map_while(Result::ok).map(|record| read(&record)))
}

/// The columns by name. A complaint gives the place of an unknown column, because no answer repeats what was sent.
fn columns(header: &ByteRecord) -> Result<Vec<&'static str>, Problem> {
    if header.is_empty() {
        return Err(wrong(
            "",
            "required",
            format!("the file is empty; its first row names the columns, of {}", FIELDS.join(", ")),
        ));
    }
    if let Some((_, name)) =
        SEPARATORS.into_iter().find(|(separator, _)| header.len() == 1 && header[0].contains(separator))
    {
        let detail = format!("it looks as if {name} separated the columns; separate them by commas");
        return Err(wrong("", "invalid_format", detail));
    }
    let (mut columns, mut errors) = (Vec::new(), Vec::new());
    // Only in the first complaint.
    let mut known = format!("; known are {}", FIELDS.join(", "));
    for (at, cell) in (1..).zip(header) {
        match FIELDS.into_iter().find(|name| name.as_bytes().eq_ignore_ascii_case(cell)) {
            Some(name) if columns.contains(&name) => {
                let detail = format!("there are two columns {name}");
                fields::complain(&mut errors, format!("/{name}"), "duplicate_field", detail);
            }
            Some(name) => columns.push(name),
            None => {
                let detail = format!("column {at} is not known{}", std::mem::take(&mut known));
                fields::complain(&mut errors, format!("/columns/{at}"), "unknown_field", detail);
            }
        }
    }
    for name in REQUIRED.into_iter().filter(|name| !columns.contains(name)) {
        let detail = format!("the first row must name a column {name}");
        fields::complain(&mut errors, format!("/{name}"), "required", detail);
    }
    if errors.is_empty() { Ok(columns) } else { Err(Problem::of_fields(&errors)) }
}

/// The JSON value that a cell stands for.
fn value<'a>(column: &str, cell: &'a [u8]) -> Result<Json<'a>, Problem> {
    let text = std::str::from_utf8(cell)
        .map_err(|_| wrong(&format!("/{column}"), "invalid_format", format!("{column} is not UTF-8")))?;
    let is_number = COUNTS.contains(&column) && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| text.parse().map_or(Json::OtherNumber, Json::Count));
    Ok(number.unwrap_or(Json::Text(text.into())))
}

fn read_row(json: Json<'_>) -> Row {
    let mut errors = Vec::new();
    match new_product::read(json, &mut errors) {
        Some(product) if errors.is_empty() => Ok(product),
        _ => Err(Problem::of_fields(&errors)),
    }
}

fn bounded(rows: impl Iterator<Item = Row>) -> Result<Vec<Row>, Problem> {
    let rows: Vec<_> = rows.take(ROWS_MAX + 1).collect();
    if rows.len() > ROWS_MAX {
        return Err(wrong("", "too_many_rows", format!("one call may have {ROWS_MAX} rows; nothing was imported")));
    }
    Ok(rows)
}

fn wrong(pointer: &str, code: &'static str, detail: String) -> Problem {
    Problem::of_fields(&[FieldError { pointer: pointer.to_owned(), code, detail: detail.into() }])
}
