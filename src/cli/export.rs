//! `flashsale export`: all orders, or all their items or payments, piece by piece as they arrive.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::HumanCount;
use serde_json::json;

use super::{
    CommonArgs,
    arguments::filled,
    exit::Exit,
    export_events::{EventsArgs, export_events},
    instant,
    order::STATUSES,
    output::{Destination, Pipe},
    print::{print_line, print_note},
    progress::{Counting, Progress},
    service::{CommandError, ServiceArgs, slow},
    table::counted,
};
use crate::tools::client::{
    CallPath, Stream,
    api::{ApiCall, ApiClient},
};

const PATH: &str = "/api/admin/orders/export";
/// The word of the wire for times that a spreadsheet takes for times.
const SPREADSHEET: &str = "spreadsheet";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

const EXAMPLES: &str = "\
Examples:
  flashsale export -o orders.csv                         all orders, for a spreadsheet
  flashsale export --sale drop-1 --status paid -o paid.csv
  flashsale export --per item --status paid -o ship.csv  a row for each item, for a warehouse
  flashsale export --per item --by paid_at --since 24h --columns order_id,name,quantity
  flashsale export --per payment -o payments.csv         where the money of each payment is
  flashsale export --per event -o events.ndjson          the log, for `flashsale audit --against`
  flashsale export --excel --zone Europe/Berlin -o orders.csv
  flashsale export --format ndjson | jq -r 'select(.status == \"refund_required\").id'
  flashsale export --sale drop-1 --format ndjson | gzip > drop-1.ndjson.gz

Orders are sorted by sale and time, each in its state when it is read; orders made during the
export may be among them. --per item and --per payment write a row for each item or payment of
these orders, and none for an order without one; the other flags choose orders as ever. An order of
the instant of --since is among them, one of the instant of --until is not, so that the next export
goes on there. With --by paid_at an order that was never paid is left out.

Times are RFC 3339 in UTC. --times spreadsheet writes 2026-11-26 10:15:00, which Excel, Google
Sheets, LibreOffice and Numbers take for a time. They know no zones: --zone says whose time it is.
--excel is for a double click in Excel: such times, and a byte order mark, without which Excel takes
UTF-8 for something else.

--per event writes what happened, as lines of JSON in the form of GET /api/admin/events.

In CSV, a cell that a spreadsheet would take for a formula gets an apostrophe in front, and so does
one that begins with an apostrophe.

With -o the orders go to FILE.part, which becomes FILE when all of them are written. An existing
file keeps its mode; a new one has 600, because it names customers. If FILE is a symlink, its
target is replaced, with the .part beside the target. A device or FIFO is written to directly,
and - is stdout. A reading token is enough.

Exit status: 0 the export is whole; 1 the service refused; 2 it is not whole, or nothing came;
141 the reader of the pipe left, as `head` does (other programs end by SIGPIPE then, which a
shell reports by the same number).";

/// Which orders, as which rows, in which format, and where to
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExportArgs {
    /// What has a row
    #[arg(long, value_enum, default_value_t = Per::Order)]
    per: Per,
    /// Output format [default: by the ending of -o; else csv, or ndjson with --json]
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    /// Only orders of this sale
    #[arg(long, value_name = "ID", value_parser = filled)]
    sale: Option<String>,
    /// Only orders with this status
    #[arg(long, value_parser = STATUSES)]
    status: Option<String>,
    /// Only orders from this time on: 2026-11-27T09:00:00Z, epoch milliseconds, or 1h for an hour ago
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = instant::read_past)]
    since: Option<String>,
    /// Only orders before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = instant::read_past)]
    until: Option<String>,
    /// The time of an order that --since and --until are about [default: when it was made]
    #[arg(long, value_parser = ["created_at", "paid_at"])]
    by: Option<String>,
    /// Columns to write, with commas between [default: all]
    #[arg(long, value_name = "NAMES", value_parser = filled)]
    columns: Option<String>,
    /// How times are written [default: rfc3339, or spreadsheet with --excel]
    #[arg(long, value_parser = ["rfc3339", SPREADSHEET])]
    times: Option<String>,
    /// The zone of times: a name such as Europe/Berlin, or -05:00 [default: UTC]
    #[arg(long, value_name = "ZONE", value_parser = filled, allow_hyphen_values = true)]
    zone: Option<String>,
    /// Output file, written as a whole; - is stdout [default: -]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a CSV for a double click in Excel
    #[arg(long)]
    excel: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

/// What has a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Per {
    /// An order
    Order,
    /// An item of an order, for a warehouse
    Item,
    /// A payment of an order: what was captured, what went back, and where the rest is
    Payment,
    /// An event of the log: what happened to orders, reviews, products and sales
    Event,
}

impl Per {
    /// As the wire and people say it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Item => "item",
            Self::Payment => "payment",
            Self::Event => "event",
        }
    }

    fn plural(self) -> String {
        format!("{}s", self.as_str())
    }
}

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FileFormat {
    /// A header, then a row for each
    Csv,
    /// A line with a JSON object for each
    #[value(alias = "jsonl")]
    Ndjson,
}

impl FileFormat {
    /// The format that the ending of a file names.
    pub(super) fn of_ending(path: &Path) -> Option<Self> {
        Self::from_str(path.extension()?.to_str()?, true).ok()
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

impl ExportArgs {
    fn format(&self) -> FileFormat {
        let by_name = || self.file().and_then(FileFormat::of_ending);
        let is_lines = self.per == Per::Event || self.service.json && self.file().is_none();
        let by_itself = if is_lines { FileFormat::Ndjson } else { FileFormat::Csv };
        self.format.or_else(by_name).unwrap_or(by_itself)
    }

    /// The output file; `None` is stdout.
    fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }

    /// Whether a flag is given that the log of events does not have.
    fn chooses_orders(&self) -> bool {
        let given = [&self.status, &self.since, &self.until, &self.by, &self.columns, &self.times, &self.zone];
        given.iter().any(|value| value.is_some())
    }

    fn path(&self) -> CallPath {
        let times = self.times.as_deref().or_else(|| self.excel.then_some(SPREADSHEET));
        CallPath::of(PATH)
            .with("per", self.per.as_str())
            .with("format", self.format().as_str())
            .maybe("sale", self.sale.as_ref())
            .maybe("status", self.status.as_ref())
            .maybe("since", self.since.as_ref())
            .maybe("until", self.until.as_ref())
            .maybe("by", self.by.as_ref())
            .maybe("columns", self.columns.as_ref())
            .maybe("times", times)
            .maybe("zone", self.zone.as_ref())
    }
}

pub(super) fn run(common: &CommonArgs, args: &ExportArgs) -> Exit {
    args.service.run(common, async |client| export(client, args).await)
}

async fn export(client: &mut ApiClient, args: &ExportArgs) -> Result<Exit, CommandError> {
    if args.excel && args.format() != FileFormat::Csv {
        return Err(CommandError::NotDone("--excel is for CSV, and Excel opens no NDJSON".to_owned()));
    }
    if args.per == Per::Event {
        if args.format() != FileFormat::Ndjson || args.chooses_orders() {
            let why = "--per event writes NDJSON (-o events.ndjson), of all sales or of one --sale";
            return Err(CommandError::NotDone(why.to_owned()));
        }
        let (sale, file, json) = (args.sale.as_deref(), args.file(), args.service.json);
        return export_events(client, &EventsArgs { sale, file, json }).await;
    }
    // Checked before the service is asked, and not touched before the service has answered.
    let destination = Destination::check(args.file())?;
    let mut stream = client.stream(ApiCall::get(args.path())).await?;
    let mut output = destination.open()?;
    if args.excel && output.write(BYTE_ORDER_MARK)? == Pipe::Closed {
        return Ok(Exit::ReaderLeft);
    }
    let counting = Counting::Things(args.per.as_str(), estimated(&stream));
    let mut progress = Progress::beside_stdout(counting, output.is_stdout());
    // The header of a table is no row.
    let header_lines = u64::from(args.format() == FileFormat::Csv);
    let mut lines = 0;
    let rows = |lines: u64| lines.saturating_sub(header_lines);
    loop {
        match stream.next().await {
            Ok(Some(piece)) => {
                lines += piece.split(|byte| *byte == b'\n').count() as u64 - 1;
                progress.set(rows(lines), "");
                if output.write(&piece)? == Pipe::Closed {
                    return Ok(Exit::ReaderLeft);
                }
            }
            Ok(None) => break,
            Err(error) => {
                progress.end();
                let (came, what) = (HumanCount(rows(lines)), args.per.plural());
                let (error, part) = (slow(&error), output.where_written());
                let why =
                    format!("the export broke off after {came} {what}: {error}\n  What is {part} is not complete.");
                return Err(CommandError::NotDone(why));
            }
        }
    }
    progress.end();
    if output.finish()? == Pipe::Closed {
        return Ok(Exit::ReaderLeft);
    }
    if let Some(file) = args.file() {
        let (file, format) = (file.display().to_string(), args.format().as_str());
        if args.service.json {
            print_line(&json!({args.per.plural(): rows(lines), "file": file, "format": format}).to_string());
        } else {
            print_note(&format!("{file} is whole: {}", counted(rows(lines), args.per.as_str())));
        }
    }
    Ok(Exit::Done)
}

/// How many rows there will be. With a filter nobody knows.
fn estimated(stream: &Stream) -> Option<u64> {
    stream.headers.get("x-orders-estimated").and_then(|value| value.to_str().ok()?.parse().ok())
}
