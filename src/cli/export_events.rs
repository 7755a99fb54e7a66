//! `flashsale export --per event`: the log of events to its end, one event a line, as `GET /api/admin/events` has them.

use std::{collections::BTreeSet, path::Path};

use indicatif::HumanCount;
use serde_json::json;

use super::{
    exit::Exit,
    output::{Destination, Pipe},
    print::{print_line, print_note},
    progress::{Counting, Progress},
    service::{CommandError, brief},
    table::counted,
};
use crate::tools::{
    client::api::ApiClient,
    event_log::{EventChoice, LogWalk, Start},
    text::printable,
};

pub(super) struct EventsArgs<'a> {
    pub(super) sale: Option<&'a str>,
    /// `None` is stdout.
    pub(super) file: Option<&'a Path>,
    pub(super) json: bool,
}

pub(super) async fn export_events(client: &mut ApiClient, args: &EventsArgs<'_>) -> Result<Exit, CommandError> {
    let destination = Destination::check(args.file)?;
    let choice = EventChoice { sale: args.sale.map(str::to_owned), types: None };
    let mut walk = LogWalk::new(&choice, Start::first());
    let mut page = walk.next(client, 0).await?;
    let mut output = destination.open()?;
    let mut progress = Progress::beside_stdout(Counting::Things("event", None), output.is_stdout());
    let (mut events, mut missing) = (0_u64, BTreeSet::new());
    loop {
        missing.extend(std::mem::take(&mut page.missing));
        let mut lines = String::new();
        for event in &page.data {
            lines.push_str(&event.to_string());
            lines.push('\n');
        }
        if output.write(lines.as_bytes())? == Pipe::Closed {
            return Ok(Exit::ReaderLeft);
        }
        events += page.data.len() as u64;
        progress.set(events, "");
        if !page.more {
            break;
        }
        page = walk.next(client, 0).await.map_err(|error| {
            progress.end();
            let (came, error, part) = (HumanCount(events), brief(&error), output.where_written());
            CommandError::NotDone(format!(
                "the export broke off after {came} events: {error}\n  What is {part} is not complete."
            ))
        })?;
    }
    progress.end();
    if output.finish()? == Pipe::Closed {
        return Ok(Exit::ReaderLeft);
    }
    if let Some(file) = args.file {
        let file = file.display().to_string();
        if args.json {
            print_line(&json!({"events": events, "file": file, "format": "ndjson", "missing": missing}).to_string());
        } else {
            let whole = if missing.is_empty() { "is whole" } else { "has what the service still has" };
            print_note(&format!("{file} {whole}: {}", counted(events, "event")));
        }
    }
    if !missing.is_empty() {
        let sales = missing.into_iter().collect::<Vec<_>>().join(", ");
        print_note(&format!("{}: older events are not in the log any more (events.keep_max)", printable(&sales)));
    }
    Ok(Exit::Done)
}
