//! `flashsale audit --against`: what an exported log of events knows and the store does not.

use std::{
    io::{self, BufRead, BufReader},
    path::Path,
    time::SystemTime,
};

use flate2::read::MultiGzDecoder;
use indicatif::HumanCount;
use serde_json::json;

use super::{
    exit::Exit,
    print::print_line,
    progress::{Counting, Progress},
    service::CommandError,
    source::Source,
    table::{Column, Table, cell, counted, money, short_time},
};
use crate::tools::{
    against::{AgainstError, Comparison, Counts, Finding, LostUnits, Question, compare},
    client::api::ApiClient,
};

/// Differences that are listed for people. `--json` has all.
const LISTED_MAX: usize = 200;
const GZIP: [u8; 2] = [0x1f, 0x8b];

pub(super) struct AgainstArgs<'a> {
    pub(super) file: &'a Path,
    pub(super) sale: Option<&'a str>,
    pub(super) retention_seconds: u64,
    pub(super) json: bool,
}

pub(super) async fn against(client: &mut ApiClient, args: &AgainstArgs<'_>) -> Result<Exit, CommandError> {
    let source = Source(args.file);
    let name = source.name();
    let lines = open(source).map_err(|error| CommandError::NotDone(source.unreadable(&error)))?;
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let question = Question {
        sale: args.sale,
        retention_seconds: args.retention_seconds,
        now_ms: i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX),
    };
    let mut progress = Progress::begin(Counting::Nothing("comparing"));
    let report = |what: &str, number: u64| progress.say(format!("{what} {}", HumanCount(number)));
    let found = compare(client, lines, &question, report).await;
    progress.end();
    let found = found.map_err(|error| match error {
        AgainstError::Call(error) => CommandError::Call(error),
        error => CommandError::NotDone(format!("{name}: {error}")),
    })?;
    print_line(&if args.json { json!(found).to_string() } else { text(&found) });
    Ok(if found.ok { Exit::Done } else { Exit::No })
}

/// Lines, also those of a file that gzip made.
fn open(source: Source<'_>) -> io::Result<Box<dyn BufRead>> {
    let mut source = BufReader::new(source.open()?);
    if source.fill_buf()?.starts_with(&GZIP) {
        return Ok(Box::new(BufReader::new(MultiGzDecoder::new(source))));
    }
    Ok(Box::new(source))
}

fn text(found: &Comparison) -> String {
    let mut parts = vec![counts_table(found)];
    if !found.differences.is_empty() {
        parts.push(format!("Missing or older in the store, the worst first:\n{}", findings_table(&found.differences)));
    }
    if !found.units.is_empty() {
        parts.push(format!(
            "Units of paid orders that the store does not count as sold:\n{}",
            units_table(&found.units)
        ));
    }
    if found.unreadable_lines > 0 {
        let named = found.unreadable.iter().map(|line| format!("  line {}", line.line_and_why()));
        parts.push(format!("Not compared, for they are no events:\n{}", named.collect::<Vec<_>>().join("\n")));
    }
    parts.push(verdict(found));
    parts.join("\n\n")
}

fn counts_table(found: &Comparison) -> String {
    let mut table =
        Table::new(&[Column::Left("OF"), Column::Right("IN LOG"), Column::Right("MISSING"), Column::Right("OLDER")]);
    let rows =
        [("orders", found.orders), ("reviews", found.reviews), ("products", found.products), ("sales", found.sales)];
    for (name, Counts { in_log, missing, older }) in rows {
        table.row([name.to_owned(), cell(&in_log), cell(&missing), cell(&older)]);
    }
    table.text()
}

fn findings_table(findings: &[Finding]) -> String {
    let mut table = Table::new(&[
        Column::Left("WHAT"),
        Column::Left("ID"),
        Column::Wide("IN THE LOG"),
        Column::Wide("IN THE STORE"),
        Column::Right("AMOUNT"),
        Column::Left("SINCE"),
    ]);
    for finding in findings.iter().take(LISTED_MAX) {
        let Finding { what, id, in_log, in_store, amount, currency, at, .. } = finding;
        let in_store = in_store.clone().unwrap_or_else(|| "missing".to_owned());
        let amount = money(amount.as_deref(), currency.as_deref());
        let what = what.as_str().replace('_', " ");
        table.row([what, cell(id), cell(in_log), in_store, amount, short_time(Some(at))]);
    }
    let more = findings.len().saturating_sub(LISTED_MAX);
    if more == 0 { table.text() } else { format!("{}\n… and {more} more: --json has all", table.text()) }
}

fn units_table(units: &[LostUnits]) -> String {
    let mut table = Table::new(&[Column::Left("PRODUCT"), Column::Right("UNITS"), Column::Right("AVAILABLE AGAIN")]);
    for LostUnits { product_id, units, available_stock } in units {
        table.row([cell(product_id), cell(units), cell(available_stock)]);
    }
    table.text()
}

fn verdict(found: &Comparison) -> String {
    let read = counted(found.events, "event");
    let Some(since) = &found.lost_since else {
        let unread = if found.unreadable_lines == 0 { "" } else { ", as far as it could be read" };
        return format!("{read} compared: the store knows all that the log says{unread}.");
    };
    let sums = found.paid.iter().map(|lost| {
        format!("{} for {}", money(Some(&lost.amount), Some(&lost.currency)), counted(lost.orders, "paid order"))
    });
    let sums = sums.collect::<Vec<_>>().join(", ");
    let lost = if sums.is_empty() { "no paid order".to_owned() } else { sums };
    format!(
        "{read} compared. Since {} the store lacks {lost}, and what is listed.\nPause its sales before it sells those units again; \
         docs/operations.md, \"After a restore\", has what to do.",
        short_time(Some(since))
    )
}
