//! `flashsale import`: a file of products, sent piece by piece, and what became of each row.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    CommonArgs,
    export::Format,
    import_report::Report,
    rows::{Piece, Rows},
    say,
    service::{ServiceArgs, plain},
};
use crate::tools::client::{
    Lost,
    admin::{Admin, Call, Trouble},
};

const PATH: &str = "/api/admin/import";
const GO_ON: &str = "Send the same file again to go on: rows with ids that are there count as already there; rows without an id \
                     that were created would be made once more.";

const EXAMPLES: &str = "\
Examples:
  flashsale import products.csv
  flashsale import products.ndjson
  flashsale import - --format csv < products.csv
  flashsale import products.csv --json | jq -c '.rows[] | select(.status == \"failed\")'

A table names its columns in the first row, in any order; an empty cell is as if it were not
there:

  id,sale,name,price,currency,total_stock,max_per_hold,max_per_customer
  1,drop-1,\"Sneaker, black\",120.00,USD,500,2,2
  2,drop-1,Poster,15.00,USD,80,,

name, price and total_stock must be there. Lines of NDJSON are the bodies of POST
/api/admin/products.

A sale that is not there is made with its first product, with the default terms, and is live at
once: mistype one and buyers can get the product. The report ends with the sales that were new.
To make sure, create the sale first, paused: flashsale sale create drop-1 --paused.

A bad row is told with its number and field and stops no other. Rows count from 1, without the
header and empty lines; of NDJSON it is the number of the line. Give ids: then the same file can
be sent again. What is there counts as already there and stays as it is; where it differs from
its row, that is told. Every row is in one count: created, already there, failed, unknown (its
answer was lost) or not tried. --json has the counts, the new sales and all rows.

Exit status: 0 all products are there (some perhaps with another stock, which changes as they
sell); 1 a row failed or is another product than the one that is there, or the service refused
the file; 2 it did not come to its end.";

/// A file of products, and of what form it is
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ImportArgs {
    /// Products as CSV or NDJSON; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Of what form [default: by the ending of the file: .csv, .ndjson or .jsonl]
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    service: ServiceArgs,
}

pub(super) fn run(common: &CommonArgs, args: &ImportArgs) -> ExitCode {
    args.service.run(common, async |admin| import(admin, args).await)
}

async fn import(admin: &mut Admin, args: &ImportArgs) -> Result<bool, Trouble> {
    let is_stdin = args.file == Path::new("-");
    let name = if is_stdin { "stdin".to_owned() } else { args.file.display().to_string() };
    let format = args
        .format
        .or_else(|| Format::of(&args.file))
        .ok_or_else(|| Trouble::NotRun(format!("of what form is {name}? Say --format csv or --format ndjson")))?;
    let unreadable = |error: io::Error| Trouble::NotRun(format!("{name} cannot be read: {error}"));
    let bar = bar(&args.file);
    let source: Box<dyn Read> =
        if is_stdin { Box::new(io::stdin()) } else { Box::new(File::open(&args.file).map_err(unreadable)?) };
    let mut rows = Rows::of(Box::new(bar.wrap_read(source)), format).map_err(unreadable)?;
    if rows.is_headless() {
        return Err(Trouble::NotRun(format!("{name} is empty: its first row must name the columns")));
    }
    let mut report = Report::new(args.service.json);
    let mut stopped = None;
    loop {
        match rows.next() {
            Ok(None) => break,
            Err(error) => {
                stopped = stopped.or(Some(format!("{name} cannot be read to its end: {error}")));
                break;
            }
            // Read to its end all the same, so that every row is accounted for.
            Ok(Some(piece)) if stopped.is_some() => report.add_all(&piece.rows, "not_tried"),
            Ok(Some(piece)) => match send(admin, format, piece, &mut report).await {
                Ok(()) => {}
                // The service refused the file, or cannot be reached: nothing is to be told of rows.
                Err(trouble) if report.is_empty() => return Err(with_names(trouble, &rows)),
                Err(trouble) => stopped = Some(explained(trouble)),
            },
        }
        bar.set_message(report.counts());
    }
    bar.finish_and_clear();
    say(&if args.service.json { report.json() } else { report.text() });
    match stopped {
        Some(why) => Err(Trouble::NotRun(format!("{why}\n  {GO_ON}"))),
        None => Ok(report.is_good()),
    }
}

/// # Errors
/// When nothing more can be sent. What is known of the rows is in the report all the same; nothing is, if nothing was done.
async fn send(admin: &mut Admin, format: Format, piece: Piece, report: &mut Report) -> Result<(), Trouble> {
    let media_type = match format {
        Format::Csv => "text/csv",
        Format::Ndjson => "application/x-ndjson",
    };
    let Piece { body, rows } = piece;
    let sent = match admin.send(Call::upload(PATH, media_type, body)).await {
        Ok(reply) => reply.json().and_then(|answer| report.add(&rows, &answer)),
        Err(Trouble::Refused(refusal)) if refusal.problem["rows"].is_array() => {
            report.add(&rows, &refusal.problem).and(Err(Trouble::Refused(refusal)))
        }
        Err(trouble) => Err(trouble),
    };
    match &sent {
        Ok(()) => {}
        // They may be done.
        Err(Trouble::Lost(Lost::TimedOut(_) | Lost::Broken(_)) | Trouble::Unreadable) => {
            report.add_all(&rows, "unknown");
        }
        // Told row by row.
        Err(Trouble::Refused(refusal)) if refusal.problem["rows"].is_array() => {}
        // Refused as a whole, or never sent. Before the first answer it is the file that is refused, and no row of it.
        Err(_) if report.is_empty() => {}
        Err(_) => report.add_all(&rows, "not_tried"),
    }
    sent
}

/// Why it did not come to its end.
fn explained(trouble: Trouble) -> String {
    match trouble {
        Trouble::Refused(refusal) => format!("{}: {}", refusal.title, plain(&refusal.detail)),
        Trouble::Lost(lost) => format!("no answer: {lost}"),
        Trouble::Unreadable => "an answer is not what flashsale answers".to_owned(),
        Trouble::NoToken => "there is no token".to_owned(),
        Trouble::NotRun(why) => why,
    }
}

/// The service repeats nothing of what it was sent, so it tells columns by their place; here it is known what they are called.
fn with_names(mut trouble: Trouble, rows: &Rows) -> Trouble {
    if let Trouble::Refused(refusal) = &mut trouble {
        for (pointer, detail) in &mut refusal.fields {
            let place = pointer.strip_prefix("/columns/").and_then(|place| place.parse().ok());
            if let Some((place, name)) = place.and_then(|place| Some((place, rows.column(place)?))) {
                let place = format!("column {place}");
                *detail = detail.replacen(&place, &format!("{place} ({name})"), 1);
                pointer.clear();
            }
        }
    }
    trouble
}

/// A bar of what was read of the file, on a terminal alone.
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
