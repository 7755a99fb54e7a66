//! POST /api/admin/import: products from CSV or NDJSON. Each row is read as the body of POST /api/admin/products is, and has its
//! own result; only what is wrong with the file as a whole refuses all of it.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    web::{Bytes, Data},
};
use csv::{ByteRecord, ReaderBuilder, Trim};
use serde_json::{Value, json};

use super::{
    authorize,
    products::{FIELDS, created, read_product},
};
use crate::{
    domain::product::NewProduct,
    http::{
        body,
        extract::{self, Ask, Asked},
        fields::{self, Json},
        problem::{Code, FieldError, Problem},
    },
    store::{Failure, Store},
};

/// Rows of one call. Each is a few calls of Redis, one after another.
const ROWS_MAX: usize = 1_000;
const BYTES_MAX: usize = 4 << 20;
/// How long the body may take.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// After this no further row is tried, so that an answer comes while the client still waits for it.
const TIME_MAX: Duration = Duration::from_secs(30);
const REQUIRED: [&str; 3] = ["name", "price", "total_stock"];
/// Columns whose cells are numbers; the others are texts, even where they look like one.
const COUNTS: [&str; 4] = ["id", "total_stock", "max_per_hold", "max_per_customer"];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A row, or why it is none.
type Row = Result<NewProduct, Problem>;

pub(in crate::http) async fn products(
    store: Data<Store>,
    Asked(ImportRequest(rows)): Asked<ImportRequest>,
) -> Result<HttpResponse, Problem> {
    let (mut report, started) = (Report::default(), Instant::now());
    for row in rows {
        if report.stopped.is_none() && started.elapsed() > TIME_MAX {
            report.stopped = Some(Failure::TimedOut("all rows of an import together took too long".to_owned()).into());
        }
        report.add(match row {
            Ok(product) if report.stopped.is_none() => created(&store, &product).await.map(|made| Some(made.id.get())),
            Ok(_) => Ok(None),
            Err(problem) => Err(problem),
        });
    }
    report.into_answer()
}

/// What became of each row.
#[derive(Default)]
struct Report {
    rows: Vec<Value>,
    created: u64,
    failed: u64,
    not_tried: u64,
    /// The failure of the store at which it stopped.
    stopped: Option<Problem>,
}

impl Report {
    /// The id of the product that was made, or `None` when it was not tried.
    fn add(&mut self, done: Result<Option<u64>, Problem>) {
        let mut row = json!({"row": self.rows.len() + 1});
        let (status, count, more) = match &done {
            Ok(Some(id)) => ("created", &mut self.created, json!({"id": id})),
            Ok(None) => ("not_tried", &mut self.not_tried, json!({})),
            Err(problem) => ("failed", &mut self.failed, problem.row()),
        };
        *count += 1;
        row["status"] = status.into();
        if let Value::Object(more) = more {
            more.into_iter().for_each(|(name, value)| row[name] = value);
        }
        if let Err(problem) = done
            && problem.failure().is_some()
        {
            row["detail"] = "whether the product was made is unknown: send the row again".into();
            self.stopped = Some(problem);
        }
        self.rows.push(row);
    }

    fn into_answer(self) -> Result<HttpResponse, Problem> {
        let Self { rows, created, failed, not_tried, stopped } = self;
        let Some(problem) = stopped else {
            return Ok(HttpResponse::Ok().json(json!({"created": created, "failed": failed, "rows": rows})));
        };
        let counts = [("created", created), ("failed", failed), ("not_tried", not_tried)];
        Err(counts.into_iter().fold(problem, |problem, (name, count)| problem.with(name, count)).with("rows", rows))
    }
}

/// The rows of a body.
pub(in crate::http) struct ImportRequest(Vec<Row>);

impl Ask for ImportRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let headers = request.headers();
        let read_rows = match body::media_type(headers).to_ascii_lowercase().as_str() {
            "text/csv" => csv_rows,
            "application/x-ndjson" | "application/jsonl" => json_rows,
            _ => {
                let detail = "send Content-Type: text/csv or application/x-ndjson";
                return Err(Problem::new(Code::UnsupportedMediaType, detail));
            }
        };
        let bytes: Bytes = body::read_bytes(headers, &mut payload, BYTES_MAX, READ_TIMEOUT).await?;
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
        read_rows(bytes, extract::desk(&request).limits.body_bytes_max).map(Self)
    }
}

/// Lines that are empty are no rows.
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

/// The first row names the columns, in any order.
fn csv_rows(bytes: &[u8], row_bytes_max: usize) -> Result<Vec<Row>, Problem> {
    let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(bytes);
    // Bytes in memory are always read, and whatever they are, they are cells.
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

/// The columns by their names. Names that are not known are told by their place, for nothing that was sent is repeated.
fn columns(header: &ByteRecord) -> Result<Vec<&'static str>, Problem> {
    let (mut columns, mut errors) = (Vec::new(), Vec::new());
    for (at, cell) in (1..).zip(header) {
        match FIELDS.into_iter().find(|name| name.as_bytes() == cell) {
            Some(name) if columns.contains(&name) => {
                let detail = format!("there are two columns {name}");
                fields::complain(&mut errors, format!("/{name}"), "duplicate_field", detail);
            }
            Some(name) => columns.push(name),
            None => {
                let known = FIELDS.join(", ");
                let detail = format!("column {at} is not known; commas separate columns, known are {known}");
                fields::complain(&mut errors, "", "unknown_field", detail);
            }
        }
    }
    for name in REQUIRED.into_iter().filter(|name| !columns.contains(name)) {
        let detail = format!("the first row must name a column {name}");
        fields::complain(&mut errors, format!("/{name}"), "required", detail);
    }
    if errors.is_empty() { Ok(columns) } else { Err(Problem::of_fields(&errors)) }
}

/// A cell as the JSON value that would stand for it.
fn value<'a>(column: &str, cell: &'a [u8]) -> Result<Json<'a>, Problem> {
    let text = std::str::from_utf8(cell)
        .map_err(|_| wrong(&format!("/{column}"), "invalid_format", format!("{column} is not UTF-8")))?;
    let is_number = COUNTS.contains(&column) && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| text.parse().map_or(Json::OtherNumber, Json::Count));
    Ok(number.unwrap_or(Json::Text(text.into())))
}

fn read_row(json: Json<'_>) -> Row {
    let mut errors = Vec::new();
    match read_product(json, &mut errors) {
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
