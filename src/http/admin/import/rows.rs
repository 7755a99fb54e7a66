//! Reads the rows of an import, in two formats.

use std::borrow::Cow;

use actix_web::http::header::{self, HeaderMap};
use csv::{ByteRecord, ReaderBuilder};
use encoding_rs::UTF_8;

use crate::{
    domain::{money::Currency, product::NewProduct},
    http::{
        admin::new_product,
        body,
        fields::{self, Json},
        problem::{Code, FieldError, Problem},
    },
    wire::table::{self, COLUMNS, Dialect, HEAD_BYTES, REQUIRED, cell, encoding},
};

/// Rows of one call. Each is a few calls of Redis, one after another.
const ROWS_MAX: usize = 1_000;
/// Columns whose cells are numbers. All other cells are texts, even where they look like numbers.
const COUNTS: [&str; 4] = ["id", "total_stock", "max_per_hold", "max_per_customer"];
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
        if let Some(what) = encoding::not_text(bytes) {
            return Err(wrong("", "invalid_format", what.to_owned()));
        }
        match (self, encoding::of(bytes).filter(|encoding| *encoding != UTF_8)) {
            (Self::Csv, None) => csv_rows(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes), row_bytes_max),
            (Self::Csv, Some(encoding)) => csv_rows(encoding.decode(bytes).0.as_bytes(), row_bytes_max),
            (Self::Ndjson, None) => json_rows(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes), row_bytes_max),
            (Self::Ndjson, Some(_)) => {
                Err(wrong("", "invalid_format", "this is UTF-16; send the lines in UTF-8".to_owned()))
            }
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
    let dialect = Dialect::of(&bytes[..bytes.len().min(HEAD_BYTES)], |name| table::column(name).is_some());
    let mut reader =
        ReaderBuilder::new().flexible(true).delimiter(dialect.separator).from_reader(&bytes[dialect.skipped..]);
    // Reading from memory cannot fail, and all bytes are cells of some kind.
    let columns = columns(reader.byte_headers().unwrap_or(&ByteRecord::new()))?;
    let read = |record: &ByteRecord| {
        if let Some(detail) = table::misfit(record, columns.len()) {
            return Err(wrong("", "wrong_number_of_cells", detail));
        }
        if record.as_slice().len() > row_bytes_max {
            return Err(wrong("", "too_large", format!("a row may have {row_bytes_max} bytes")));
        }
        read_cells(&columns, record)
    };
    let records = reader.byte_records().map_while(Result::ok).filter(|record| !table::is_blank(record));
    bounded(records.map(|record| read(&record)))
}

/// The columns by name; `None` has no name and is left out. A complaint gives the place of an unknown column, because no
/// answer repeats what was sent.
fn columns(header: &ByteRecord) -> Result<Vec<Option<&'static str>>, Problem> {
    if table::is_blank(header) {
        let known = COLUMNS.join(", ");
        return Err(wrong("", "required", format!("the file is empty; its first row names the columns, of {known}")));
    }
    let (mut columns, mut errors) = (Vec::new(), Vec::new());
    // Only in the first complaint.
    let mut known = format!("; known are {}", COLUMNS.join(", "));
    for (at, cell) in (1..).zip(header) {
        let cell = String::from_utf8_lossy(cell);
        let column = table::column(&cell);
        match column {
            Some(name) if columns.contains(&column) => {
                let detail = format!("there are two columns {name}");
                fields::complain(&mut errors, format!("/{name}"), "duplicate_field", detail);
            }
            None if !table::is_unnamed(&cell) => {
                let detail = format!("column {at} is not known{}", std::mem::take(&mut known));
                fields::complain(&mut errors, format!("/columns/{at}"), "unknown_field", detail);
            }
            _ => {}
        }
        columns.push(column);
    }
    for name in REQUIRED.into_iter().filter(|name| !columns.contains(&Some(name))) {
        let detail = format!("the first row must name a column {name}");
        fields::complain(&mut errors, format!("/{name}"), "required", detail);
    }
    if errors.is_empty() { Ok(columns) } else { Err(Problem::of_fields(&errors)) }
}

/// Reads a row as the JSON object that it stands for. What is wrong with the spelling of a cell comes before what is wrong
/// with its value.
fn read_cells(columns: &[Option<&'static str>], record: &ByteRecord) -> Row {
    let named = columns.iter().zip(record).filter_map(|(column, cell)| column.map(|column| (column, cell)));
    let mut cells = Vec::new();
    for (column, cell) in named {
        let text = std::str::from_utf8(cell).map_err(|_| {
            let detail = format!("{column} is not UTF-8; save the file as CSV UTF-8");
            wrong(&format!("/{column}"), "invalid_format", detail)
        })?;
        cells.push((column, text.trim()));
    }
    cells.retain(|(_, text)| !text.is_empty());
    let currency = cells.iter().find(|(column, _)| *column == "currency").map(|(_, text)| cell::code(text));
    let decimals =
        currency.and_then(|code| Currency::parse(&code.to_ascii_uppercase())).map_or(2, |code| code.decimals());
    let (mut fields, mut spelling) = (Vec::new(), Vec::new());
    for (column, text) in cells {
        let value = value(column, text, decimals).unwrap_or_else(|how| {
            spelling.push((column, how));
            Json::Text(text.into())
        });
        fields.push((Cow::Borrowed(column), value));
    }
    let mut errors = Vec::new();
    let product = new_product::read(Json::Object(fields), &mut errors);
    for (column, how) in spelling {
        let (pointer, detail) = (format!("/{column}"), format!("{column} {how}"));
        match errors.iter_mut().find(|error| error.pointer == pointer) {
            Some(error) => error.detail = detail.into(),
            None => fields::complain(&mut errors, pointer, "invalid_format", detail),
        }
    }
    product.filter(|_| errors.is_empty()).ok_or_else(|| Problem::of_fields(&errors))
}

/// The JSON value that a cell stands for.
fn value<'a>(column: &str, text: &'a str, decimals: usize) -> Result<Json<'a>, &'static str> {
    Ok(match column {
        "name" => Json::Text(cell::name(text)),
        "metadata" => fields::parse(text.as_bytes()).map_err(|_| "is no JSON. Write {\"colour\": \"red\"}")?,
        "price" => Json::Text(cell::price(text, decimals)?),
        _ if COUNTS.contains(&column) => {
            let text = cell::count(text)?;
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = is_number.then(|| text.parse().map_or(Json::OtherNumber, Json::Count));
            number.unwrap_or(Json::Text(text.into()))
        }
        _ => Json::Text(cell::code(text).into()),
    })
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

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    const HEADS: [&[u8]; 5] =
        [b"", b"sep=;\r\n", b"\xff\xfe", b"id,name,price,total_stock\n", b"name;price;total_stock;;\r"];

    proptest! {
        #[test]
        fn no_bytes_break_the_reader_and_each_row_has_a_result(
            head in select(HEADS.to_vec()),
            body in vec(select(b"aE0123456789.,;\t|\"'=+-\r\n \xc2\xa0\xe2\x82\xac\0".to_vec()), 0..200),
        ) {
            let bytes = [head, &body].concat();
            for format in [Format::Csv, Format::Ndjson] {
                if let Ok(rows) = format.read(&bytes, 100) {
                    prop_assert!(rows.len() <= bytes.len());
                    prop_assert!(rows.iter().flatten().all(|product| product.total <= 1_000_000_000));
                }
            }
        }
    }
}
