//! `flashsale import`: a file of products, sent piece by piece, and what became of each row.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::{
    CommonArgs,
    export::Format,
    rows::{Piece, Rows},
    say,
    service::ServiceArgs,
    table::{Column, Table, cell},
};
use crate::client::admin::{Admin, Call, Trouble};

const PATH: &str = "/api/admin/import";
/// Failed rows that are printed; `--json` has all of them.
const SHOWN_MAX: usize = 100;

const EXAMPLES: &str = "\
Examples:
  flashsale import products.csv
  flashsale import products.ndjson
  flashsale import - --format csv < products.csv
  flashsale import products.csv --json | jq -c '.rows[] | select(.status == \"failed\")'

A table names its columns in the first row, in any order; an empty cell is as if it were not there:

  id,sale,name,price,currency,total_stock,max_per_hold,max_per_customer
  1,drop-1,\"Sneaker, black\",120.00,USD,500,2,2
  2,drop-1,Poster,15.00,USD,80,,

name, price and total_stock must be there. Lines of NDJSON are the bodies of POST /api/admin/products.

A bad row is told with its number and field and stops no other. Rows count from 1, without the header and empty lines. Give ids:
then the same file can be sent again, and what is there already says already_exists and is not made twice.

Exit status: 0 all products were made; 1 a row failed, or the service refused the file; 2 it did not come to its end.";

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
    let mut report = Report { keeps_all: args.service.json, ..Report::default() };
    let ended = loop {
        match rows.next() {
            Ok(None) => break Ok(()),
            Err(error) => break Err(unreadable(error)),
            Ok(Some(piece)) => {
                if let Err(trouble) = send(admin, format, piece, &mut report).await {
                    break Err(trouble);
                }
            }
        }
        bar.set_message(report.counts());
    };
    bar.finish_and_clear();
    match ended {
        // The service refused the file before anything was done, or cannot be reached: nothing is to be told of rows.
        Err(trouble) if report.told == 0 => Err(trouble),
        ended => {
            say(&if args.service.json { report.json() } else { report.text() });
            ended.map(|()| report.failed == 0)
        }
    }
}

/// # Errors
/// When nothing more can be sent; what is known of the rows is in the report all the same.
async fn send(admin: &mut Admin, format: Format, piece: Piece, report: &mut Report) -> Result<(), Trouble> {
    let media_type = match format {
        Format::Csv => "text/csv",
        Format::Ndjson => "application/x-ndjson",
    };
    let (before, piece_rows) = (report.told, piece.rows);
    match admin.send(Call::upload(PATH, media_type, piece.body)).await {
        Ok(reply) => report.add(&reply.json()?),
        Err(Trouble::Refused(refusal)) if refusal.problem["rows"].is_array() => {
            report.add(&refusal.problem)?;
            let more = "no row behind those of this report was tried; send the file again when the store is back";
            Err(Trouble::NotRun(format!("{}: {more}", refusal.title)))
        }
        Err(Trouble::Lost(lost)) if before > 0 => {
            let (from, to) = (HumanCount(before + 1), HumanCount(before + piece_rows));
            let why = format!(
                "no answer about rows {from} to {to}: {lost}\n  They may be done; no row behind them was tried."
            );
            Err(Trouble::NotRun(why))
        }
        Err(trouble) => Err(trouble),
    }
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

/// What became of the rows, by their numbers in the file.
#[derive(Default)]
struct Report {
    /// Of how many rows it is known.
    told: u64,
    created: u64,
    failed: u64,
    not_tried: u64,
    keeps_all: bool,
    /// All of them, or as many of the failed ones as will be shown.
    rows: Vec<Value>,
}

impl Report {
    /// Takes an answer, or a refusal that is one.
    fn add(&mut self, answer: &Value) -> Result<(), Trouble> {
        let rows = answer["rows"].as_array().ok_or(Trouble::Unreadable)?;
        for row in rows {
            self.told += 1;
            let is_failed = match row["status"].as_str() {
                Some("created") => {
                    self.created += 1;
                    false
                }
                Some("not_tried") => {
                    self.not_tried += 1;
                    false
                }
                _ => {
                    self.failed += 1;
                    true
                }
            };
            if self.keeps_all || (is_failed && self.rows.len() < SHOWN_MAX) {
                let mut row = row.clone();
                row["row"] = self.told.into();
                self.rows.push(row);
            }
        }
        Ok(())
    }

    fn json(&self) -> String {
        let Self { created, failed, not_tried, rows, .. } = self;
        json!({"created": created, "failed": failed, "not_tried": not_tried, "rows": rows}).to_string()
    }

    fn text(&self) -> String {
        if self.rows.is_empty() {
            return self.counts();
        }
        let mut table = Table::new(&[Column::Right("ROW"), Column::Left("FIELD"), Column::Wide("WHAT IS WRONG")]);
        for row in &self.rows {
            for (field, detail) in complaints(row) {
                table.row([cell(&row["row"]), field, detail]);
            }
        }
        let shown = self.rows.len() as u64;
        let more = if self.failed > shown {
            format!("\n… and {} more; --json has all of them", HumanCount(self.failed - shown))
        } else {
            String::new()
        };
        format!("{}{more}\n\n{}", table.text(), self.counts())
    }

    /// `created 1,998, failed 2`
    fn counts(&self) -> String {
        let counts = format!("created {}, failed {}", HumanCount(self.created), HumanCount(self.failed));
        if self.not_tried == 0 { counts } else { format!("{counts}, not tried {}", HumanCount(self.not_tried)) }
    }
}

/// The fields of a failed row and what is wrong with each.
fn complaints(row: &Value) -> Vec<(String, String)> {
    let of = |error: &Value| (cell(&error["pointer"]).trim_start_matches('/').to_owned(), cell(&error["detail"]));
    match row["errors"].as_array() {
        Some(errors) => errors.iter().map(of).collect(),
        None => vec![(String::new(), format!("{}: {}", cell(&row["code"]), cell(&row["detail"])))],
    }
}
