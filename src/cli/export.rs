//! `flashsale export`: all orders, piece by piece as they arrive.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::{
    CommonArgs,
    output::{Output, Place, Reader},
    say,
    service::ServiceArgs,
    tell,
};
use crate::tools::client::{
    Stream,
    admin::{Admin, Call, Trouble, escape},
};

const PATH: &str = "/api/admin/orders/export";

const EXAMPLES: &str = "\
Examples:
  flashsale export -o orders.csv                         all orders, for a spreadsheet
  flashsale export --sale drop-1 --status paid -o paid.csv
  flashsale export --format ndjson | jq -r 'select(.status == \"refund_required\").id'
  flashsale export --sale drop-1 --format ndjson | gzip > drop-1.ndjson.gz

Orders come by sale and time, each as it stands when it is read; orders made meanwhile may be
among them. In CSV a cell that a spreadsheet would take for a formula has an apostrophe in
front, and so has one that begins with an apostrophe.

With -o the orders go to FILE.part, which becomes FILE when all of them are there. A file that
is replaced keeps its mode; a new one has 600, for it names customers. Behind a symlink it is
the target that is replaced, with its .part beside it. What is no file (a device, a FIFO) is
written to as it is, and - is stdout. A reading token is enough.

Exit status: 0 the export is whole; 1 the service refused; 2 it is not whole, or nothing came;
141 the reader of the pipe left, as `head` does (other programs end by SIGPIPE then, which a
shell tells by the same number).";
/// 128 and the number of SIGPIPE.
const READER_LEFT: u8 = 141;

/// Which orders, in which form, and where to
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExportArgs {
    /// Of what form [default: by the ending of -o; else csv, and ndjson with --json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Only orders of this sale
    #[arg(long, value_name = "ID", value_parser = super::filled)]
    sale: Option<String>,
    /// Only orders that stand so
    #[arg(long, value_parser = ["pending", "paid", "cancelled", "expired", "refund_required", "refunded"])]
    status: Option<String>,
    /// Into this file, once all orders are there; - is stdout [default: -]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Of a table in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A header and a row for each
    Csv,
    /// A JSON object in a line for each
    #[value(alias = "jsonl")]
    Ndjson,
}

impl Format {
    /// What the name of a file says by its ending.
    pub(super) fn of(path: &Path) -> Option<Self> {
        Self::from_str(path.extension()?.to_str()?, true).ok()
    }

    fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

impl ExportArgs {
    fn format(&self) -> Format {
        let by_name = || self.file().and_then(Format::of);
        let by_itself = if self.service.json && self.file().is_none() { Format::Ndjson } else { Format::Csv };
        self.format.or_else(by_name).unwrap_or(by_itself)
    }

    /// `None`: stdout.
    fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }

    fn path(&self) -> String {
        let filters = [("sale", &self.sale), ("status", &self.status)];
        let filters = filters.iter().filter_map(|(name, value)| Some(format!("&{name}={}", escape(value.as_ref()?))));
        format!("{PATH}?format={}{}", self.format().word(), filters.collect::<String>())
    }
}

pub(super) fn run(common: &CommonArgs, args: &ExportArgs) -> ExitCode {
    let mut reader = Reader::Reads;
    let status = args.service.run(common, async |admin| {
        reader = export(admin, args).await?;
        Ok(true)
    });
    if reader == Reader::Left { ExitCode::from(READER_LEFT) } else { status }
}

async fn export(admin: &mut Admin, args: &ExportArgs) -> Result<Reader, Trouble> {
    // Looked at before the service is asked; and what is there is left alone until the service has answered.
    let place = Place::of(args.file())?;
    let mut stream = admin.stream(Call::get(args.path())).await?;
    let mut output = place.open()?;
    let bar = bar(&stream, &output);
    // The header of a table is no order.
    let header_lines = u64::from(args.format() == Format::Csv);
    let mut lines = 0;
    let orders = |lines: u64| lines.saturating_sub(header_lines);
    loop {
        match stream.next().await {
            Ok(Some(piece)) => {
                lines += piece.split(|byte| *byte == b'\n').count() as u64 - 1;
                bar.set_position(orders(lines));
                if output.write(&piece)? == Reader::Left {
                    return Ok(Reader::Left);
                }
            }
            Ok(None) => break,
            Err(lost) => {
                bar.finish_and_clear();
                let came = HumanCount(orders(lines));
                let place = output.place();
                let why =
                    format!("the export broke off after {came} orders: {lost}\n  What is {place} is not complete.");
                return Err(Trouble::NotRun(why));
            }
        }
    }
    bar.finish_and_clear();
    if output.finish()? == Reader::Left {
        return Ok(Reader::Left);
    }
    if let Some(file) = args.file() {
        let (file, format) = (file.display().to_string(), args.format().word());
        if args.service.json {
            say(&json!({"orders": orders(lines), "file": file, "format": format}).to_string());
        } else {
            tell(&format!("{file} is whole: {}", counted(orders(lines))));
        }
    }
    Ok(Reader::Reads)
}

/// `1 order`, `1,234 orders`
fn counted(orders: u64) -> String {
    format!("{} order{}", HumanCount(orders), if orders == 1 { "" } else { "s" })
}

/// On stderr, where that is a terminal on which nothing else is printed. With a filter nobody knows how many will come.
fn bar(stream: &Stream, output: &Output) -> ProgressBar {
    let is_shown = io::stderr().is_terminal() && (!output.is_stdout() || !io::stdout().is_terminal());
    let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let estimated = stream.headers.get("x-orders-estimated").and_then(|value| value.to_str().ok()?.parse().ok());
    let bar = ProgressBar::with_draw_target(estimated, target);
    let template = match estimated {
        Some(_) => "{bar:30.green/white.dim} {human_pos}/{human_len} orders  {eta} to go",
        None => "{spinner} {human_pos} orders",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar
}
