//! POST /api/admin/import: products from CSV or NDJSON. Each row is read as the body of POST /api/admin/products is, and has its
//! own result; only what is wrong with the file as a whole refuses all of it.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    http::header::{self, HeaderMap},
    web::{Bytes, Data},
};
use csv::{ByteRecord, ReaderBuilder, Trim};
use serde_json::{Value, json};

use super::{
    Parameters, authorize,
    products::{FIELDS, created, read_product},
};
use crate::{
    domain::{
        outcome::StockOutcome,
        product::{NewProduct, Product},
    },
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
/// What programs put between columns that are told to write commas, and what people call it.
const SEPARATORS: [(u8, &str); 3] = [(b';', "semicolons"), (b'\t', "tabs"), (b'|', "bars")];
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
            report.stopped = Some(Failure::timed_out("all rows of an import together took too long").into());
        }
        report.add(match row {
            Ok(product) if report.stopped.is_none() => make(&store, &product).await.map(Some),
            Ok(_) => Ok(None),
            Err(problem) => Err(problem),
        });
    }
    report.into_answer()
}

/// What there is to say of the product that was made.
async fn make(store: &Store, row: &NewProduct) -> Result<Value, Problem> {
    match created(store, row).await {
        Ok((product, new_sale)) => Ok(made(&product, new_sale)),
        Err(problem) if problem.code() == Code::AlreadyExists => Err(compared(store, row, problem).await),
        Err(problem) => Err(problem),
    }
}

fn made(product: &Product, new_sale: bool) -> Value {
    let mut made = json!({"id": product.id.get()});
    if new_sale {
        let status = product.window.status(product.now_ms).as_str();
        made["new_sale"] = json!({"id": product.sale.as_str(), "status": status});
    }
    made
}

/// Says in which fields the product that is there is another than the row's, so that nobody takes it for what the file says.
async fn compared(store: &Store, row: &NewProduct, exists: Problem) -> Problem {
    let Some(id) = row.id else { return exists };
    match store.stock(id).await {
        Ok(StockOutcome::Stock(there)) => exists.with("differs", row.differs_from(&there)),
        // Its id is taken, and it was never made.
        Ok(StockOutcome::ProductNotFound) => exists,
        Err(failure) => failure.into(),
    }
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
    /// What there is to say of the product that was made; `None` when it was not tried.
    fn add(&mut self, done: Result<Option<Value>, Problem>) {
        let mut row = json!({"row": self.rows.len() + 1});
        let (status, count, more) = match &done {
            Ok(Some(made)) => ("created", &mut self.created, made.clone()),
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
        Parameters::of(&request, &[]).finish(())?;
        let headers = request.headers();
        let read_rows = match body::media_type(headers).to_ascii_lowercase().as_str() {
            "text/csv" => csv_rows,
            "application/x-ndjson" | "application/jsonl" => json_rows,
            _ => {
                let detail = "send Content-Type: text/csv or application/x-ndjson";
                return Err(Problem::new(Code::UnsupportedMediaType, detail));
            }
        };
        if !is_utf8(headers) {
            return Err(Problem::new(Code::UnsupportedMediaType, "send the rows in UTF-8"));
        }
        let bytes: Bytes = body::read_bytes(headers, &mut payload, BYTES_MAX, READ_TIMEOUT).await?;
        if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] = bytes[..] {
            return Err(wrong("", "invalid_format", "this is UTF-16; save it as UTF-8".to_owned()));
        }
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
        read_rows(bytes, extract::desk(&request).limits.body_bytes_max).map(Self)
    }
}

/// By what the request says of its body; without a word it is.
fn is_utf8(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parameters = given.split(';').skip(1).filter_map(|parameter| parameter.trim().split_once('='));
    parameters.all(|(name, value)| {
        let charset = value.trim_matches('"');
        !name.eq_ignore_ascii_case("charset")
            || ["utf-8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
    })
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
    // Said once, however many are not known.
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
