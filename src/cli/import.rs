//! `flashsale import`: sends a file of products chunk by chunk, and reports what became of each row.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    CommonArgs,
    exit::Exit,
    export::FileFormat,
    import_file::{Chunk, ImportFile},
    import_report::{ImportReport, Unsettled},
    print::print_line,
    service::{CommandError, ServiceArgs},
};
use crate::tools::{
    client::api::{ApiCall, ApiClient, CallError},
    text::printable,
};

const PATH: &str = "/api/admin/import";
const GO_ON: &str = "To continue, send the same file again: rows with existing ids count as already there. Rows without an id that were \
                     created would be created once more.";

const EXAMPLES: &str = "\
Examples:
  flashsale import products.csv
  flashsale import products.ndjson
  flashsale import - --format csv < products.csv
  flashsale import products.csv --json | jq -c '.rows[] | select(.status == \"failed\")'

The first row of a table names the columns, in any order. An empty cell counts as missing:

  id,sale,name,price,currency,total_stock,max_per_hold,max_per_customer
  1,drop-1,\"Sneaker, black\",120.00,USD,500,2,2
  2,drop-1,Poster,15.00,USD,80,,

name, price and total_stock are required. Lines of NDJSON are the bodies of POST
/api/admin/products.

A sale that does not exist is created with its first product, with the default terms, and is
live at once: if you mistype one, buyers can get the product. The report ends with the sales
that were new. To be safe, create the sale first, paused: flashsale sale create drop-1 --paused.

A bad row is reported with its number and field, and stops no other. Rows count from 1, without
the header and empty lines; for NDJSON the number is that of the line. Give ids: then you can
send the same file again. An existing product counts as already there and is left unchanged; the
report names the fields that differ from its row. Every row is in one count: created, already
there, failed, unknown (its answer was lost) or not tried. --json has the counts, the new sales
and all rows.

Exit status: 0 all products are there (perhaps with another stock, which changes as they sell);
1 a row failed or differs from the existing product, or the service refused the file; 2 the
import did not reach the end of the file.";

/// A file of products, and its format
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ImportArgs {
    /// Products as CSV or NDJSON; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Format of the file [default: by its ending: .csv, .ndjson or .jsonl]
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    #[command(flatten)]
    service: ServiceArgs,
}

pub(super) fn run(common: &CommonArgs, args: &ImportArgs) -> Exit {
    args.service.run(common, async |client| import(client, args).await)
}

async fn import(client: &mut ApiClient, args: &ImportArgs) -> Result<Exit, CommandError> {
    let is_stdin = args.file == Path::new("-");
    let name = if is_stdin { "stdin".to_owned() } else { args.file.display().to_string() };
    let not_done = CommandError::NotDone;
    let format = args
        .format
        .or_else(|| FileFormat::of_ending(&args.file))
        .ok_or_else(|| not_done(format!("the format of {name} is unknown. Say --format csv or --format ndjson")))?;
    let unreadable = |error: io::Error| not_done(format!("{name} cannot be read: {error}"));
    let bar = bar(&args.file);
    let source: Box<dyn Read> =
        if is_stdin { Box::new(io::stdin()) } else { Box::new(File::open(&args.file).map_err(unreadable)?) };
    let mut file = ImportFile::open(Box::new(bar.wrap_read(source)), format).map_err(unreadable)?;
    if file.is_headless() {
        return Err(not_done(format!("{name} is empty: its first row must name the columns")));
    }
    let mut report = ImportReport::new(args.service.json);
    let mut stopped = None;
    loop {
        match file.next() {
            Ok(None) => break,
            Err(error) => {
                stopped = stopped.or(Some(format!("{name} cannot be read to its end: {error}")));
                break;
            }
            // Read to its end all the same, so that every row is accounted for.
            Ok(Some(chunk)) if stopped.is_some() => report.add_unsettled(&chunk.rows, Unsettled::NotTried),
            Ok(Some(chunk)) => match send(client, format, chunk, &mut report).await {
                Ok(()) => {}
                // The service refused the file, or cannot be reached: there is nothing to report about rows.
                Err(error) if report.is_empty() => return Err(with_column_names(error, &file).into()),
                Err(error) => stopped = Some(explain(&error)),
            },
        }
        bar.set_message(report.counts());
    }
    bar.finish_and_clear();
    print_line(&if args.service.json { report.json() } else { report.text() });
    match stopped {
        Some(why) => Err(not_done(format!("{why}\n  {GO_ON}"))),
        None => Ok(if report.is_good() { Exit::Done } else { Exit::No }),
    }
}

/// Sends one chunk, and adds its rows to the report.
///
/// # Errors
/// When nothing more can be sent. The report has what is known of the rows all the same, unless nothing was done.
async fn send(
    client: &mut ApiClient,
    format: FileFormat,
    chunk: Chunk,
    report: &mut ImportReport,
) -> Result<(), CallError> {
    let media_type = match format {
        FileFormat::Csv => "text/csv",
        FileFormat::Ndjson => "application/x-ndjson",
    };
    let Chunk { body, rows } = chunk;
    let sent = match client.send(ApiCall::upload(PATH, media_type, body)).await {
        Ok(reply) => reply.json().and_then(|answer| report.add(&rows, &answer)),
        Err(CallError::Refused(refusal)) if refusal.problem["rows"].is_array() => {
            report.add(&rows, &refusal.problem).and(Err(CallError::Refused(refusal)))
        }
        Err(error) => Err(error),
    };
    match &sent {
        Ok(()) => {}
        // The rows may be done.
        Err(CallError::Transport(error)) if error.may_have_effect() => report.add_unsettled(&rows, Unsettled::Unknown),
        Err(CallError::Unreadable) => report.add_unsettled(&rows, Unsettled::Unknown),
        // The answer reports row by row.
        Err(CallError::Refused(refusal)) if refusal.problem["rows"].is_array() => {}
        // Refused as a whole, or never sent. Before the first answer that is about the file, and about no row of it.
        Err(_) if report.is_empty() => {}
        Err(_) => report.add_unsettled(&rows, Unsettled::NotTried),
    }
    sent
}

/// Why the import did not reach the end of the file.
fn explain(error: &CallError) -> String {
    match error {
        CallError::Transport(error) => format!("no answer: {error}"),
        other => printable(&other.to_string()),
    }
}

/// The service repeats nothing of what it was sent, so it names columns by their number. Here their names are known.
fn with_column_names(mut error: CallError, file: &ImportFile) -> CallError {
    if let CallError::Refused(refusal) = &mut error {
        for (pointer, detail) in &mut refusal.fields {
            let number = pointer.strip_prefix("/columns/").and_then(|number| number.parse().ok());
            if let Some((number, name)) = number.and_then(|number| Some((number, file.column(number)?))) {
                let column = format!("column {number}");
                *detail = detail.replacen(&column, &format!("{column} ({name})"), 1);
                pointer.clear();
            }
        }
    }
    error
}

/// A bar of what was read of the file, only on a terminal.
fn bar(file: &Path) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bytes = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
    let bar = ProgressBar::with_draw_target(bytes, target);
    let template = if bytes.is_some() { "{bar:30.green/white.dim} {percent}%  {msg}" } else { "{spinner} {msg}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar
}
