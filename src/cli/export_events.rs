//! `flashsale export --per event`: the log of events to its end, one event a line, as `GET /api/admin/events` has them.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal},
    path::Path,
};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::{
    exit::Exit,
    output::{Destination, Output, Pipe},
    print::{print_line, print_note},
    service::CommandError,
    table::counted,
};
use crate::{
    tools::{
        client::api::{ApiCall, ApiClient, CallError, escape},
        text::printable,
    },
    wire::event::EventPageBody,
};

const PATH: &str = "/api/admin/events";
const PAGE: usize = 100;

pub(super) struct EventsArgs<'a> {
    pub(super) sale: Option<&'a str>,
    /// `None` is stdout.
    pub(super) file: Option<&'a Path>,
    pub(super) json: bool,
}

pub(super) async fn export_events(client: &mut ApiClient, args: &EventsArgs<'_>) -> Result<Exit, CommandError> {
    let destination = Destination::check(args.file)?;
    let mut page = next(client, args, "").await?;
    let mut output = destination.open()?;
    let bar = bar(&output);
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
        bar.set_position(events);
        if !page.more {
            break;
        }
        page = match next(client, args, &page.next_cursor).await {
            Ok(page) => page,
            Err(CommandError::Call(error)) => {
                bar.finish_and_clear();
                let (came, part) = (HumanCount(events), output.where_written());
                let why = format!(
                    "the export broke off after {came} events: {}\n  What is {part} is not complete.",
                    said(&error)
                );
                return Err(CommandError::NotDone(why));
            }
            Err(error) => return Err(error),
        };
    }
    bar.finish_and_clear();
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

/// The page after the event with this id; the first after none.
async fn next(client: &mut ApiClient, args: &EventsArgs<'_>, seen: &str) -> Result<EventPageBody<Value>, CommandError> {
    let sale = args.sale.map_or_else(String::new, |sale| format!("&sale={}", escape(sale)));
    let after = if seen.is_empty() { "&since=0".to_owned() } else { format!("&after={}", escape(seen)) };
    Ok(client.send(ApiCall::get(format!("{PATH}?limit={PAGE}{sale}{after}"))).await?.json()?)
}

fn said(error: &CallError) -> String {
    match error {
        CallError::Refused(refusal) => format!("{}: {}", refusal.title, refusal.detail),
        error => error.to_string(),
    }
}

/// On stderr, if that is a terminal on which nothing else is printed.
fn bar(output: &Output) -> ProgressBar {
    let is_shown = io::stderr().is_terminal() && (!output.is_stdout() || !io::stdout().is_terminal());
    let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    match ProgressStyle::with_template("{spinner} {human_pos} events") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
