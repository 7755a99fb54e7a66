//! `flashsale event`: lists what happened, and follows it as it happens.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use indicatif::HumanCount;
use serde::Deserialize;
use serde_json::Value;

use super::{
    CommonArgs,
    arguments::filled,
    event_choice::SubjectArgs,
    event_line,
    exit::Exit,
    instant,
    output::{Output, Pipe},
    print::print_note,
    progress::{Counting, Progress},
    service::{CommandError, ServiceArgs, brief},
};
use crate::{
    tools::{
        client::api::{ApiClient, CallError},
        event_log::{EventChoice, LogWalk, Start},
    },
    wire::event::EventBody,
};

/// How long one request waits for an event: short, so that a service that is gone without a word is noticed in a quiet shop too.
const WAIT_SECONDS: u64 = 5;
/// How much longer its answer may take, unless --timeout says so.
const LATE: Duration = Duration::from_secs(5);
/// The pause after a service that does not answer.
const RETRY: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  flashsale event list --sale drop-1                  all that its log has
  flashsale event list --since 10m --type 'order.*'
  flashsale event list --order order_…                what became of an order, and when
  flashsale event follow                              what happens from now on, of all sales
  flashsale event follow --type review.opened --json

Exit status: 0 done; 1 the service refused; 2 bad flags, no token, no service, or no whole answer of it.";

const LIST_EXAMPLES: &str = "\
Examples:
  flashsale event list --sale drop-1
  flashsale event list --since -1h --type product.restocked,sale.changed
  flashsale event list --since 2026-11-27T09:00:00Z --follow
  flashsale event list --sale drop-1 --customer anna
  flashsale event list --since 1d --sku AIR-41 --type 'product.*'
  flashsale event list --json | jq -c 'select(.actor == \"anna\")'

A line has the time, the type, the sale, what the event is about, and for a change by an admin what it changed, who did it, \
and why. With --json each line is the event as the service has it.

The log has no index: for --order, --customer, --product and --sku all events that --sale, --type and --since leave are read \
and looked at here.";

const FOLLOW_EXAMPLES: &str = "\
Examples:
  flashsale event follow
  flashsale event follow --sale drop-1 --type 'order.paid,review.*'
  flashsale event follow --json | jq -c '{type, at, actor}'

It waits for a service that restarts or cannot answer, says so once, and goes on where it was: no event is left out or printed \
twice. A refusal that would come again, such as of a wrong token, ends it, and so does Ctrl-C.";

/// List and follow events: what happened to orders, reviews, products and sales
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EventArgs {
    #[command(subcommand)]
    command: EventCommand,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Subcommand)]
enum EventCommand {
    /// List events, the oldest first
    #[command(after_help = LIST_EXAMPLES)]
    List {
        #[command(flatten)]
        choice: ChoiceArgs,
        /// Print what happens from then on, too
        #[arg(long)]
        follow: bool,
    },
    /// Print events as they happen, from now on or since a time
    #[command(after_help = FOLLOW_EXAMPLES)]
    Follow {
        #[command(flatten)]
        choice: ChoiceArgs,
    },
}

#[derive(Args)]
struct ChoiceArgs {
    /// Only events of this sale
    #[arg(long, value_name = "ID", value_parser = filled)]
    sale: Option<String>,
    /// Only events of these types, with commas between: order.paid, 'review.*'
    #[arg(long = "type", value_name = "TYPES", value_parser = filled)]
    types: Option<String>,
    /// Only events since then: 2026-11-27T09:00:00Z, epoch milliseconds, or 10m for the last ten minutes
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = instant::read_past)]
    since: Option<String>,
    #[command(flatten)]
    subject: SubjectArgs,
}

pub(super) fn run(common: &CommonArgs, args: &EventArgs) -> Exit {
    let (choice, follow, begins_now) = match &args.command {
        EventCommand::List { choice, follow } => (choice, *follow, false),
        EventCommand::Follow { choice } => (choice, true, true),
    };
    args.service.run(common, async |client| {
        let start = match &choice.since {
            Some(since) => Start::Since(since.clone()),
            None if begins_now => Start::Latest,
            None => Start::first(),
        };
        let events = EventChoice { sale: choice.sale.clone(), types: choice.types.clone() };
        let walk = LogWalk::new(&events, start);
        Reader { args, subject: &choice.subject, follow, walk, is_connected: true }.read(client).await
    })
}

/// Reads the log page by page, and prints it.
struct Reader<'a> {
    args: &'a EventArgs,
    subject: &'a SubjectArgs,
    follow: bool,
    walk: LogWalk,
    /// Whether the last request was answered. So a service that is gone is reported once.
    is_connected: bool,
}

impl Reader<'_> {
    async fn read(&mut self, client: &mut ApiClient) -> Result<Exit, CommandError> {
        // The first page comes at once: a wrong flag, URL or token ends the command.
        let (mut wait, mut has_begun) = (0, false);
        let mut search = Progress::beside_stdout(Counting::Things("event", None), !self.subject.is_given());
        let (mut read, mut found) = (0, 0);
        loop {
            let asked = Instant::now();
            let page = match self.walk.next(client, wait).await {
                Ok(page) => page,
                Err(error) if has_begun && self.follow => {
                    self.go_on_after(error).await?;
                    wait = 0;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            self.note_connected();
            for sale in &page.missing {
                print_note(&format!("some events of sale {sale} are not in the log any more: look at its orders"));
            }
            let (lines, fitting) = self.lines(&page.data)?;
            (read, found) = (read + page.data.len() as u64, found + fitting);
            if search.aside(|| Output::Stdout.write(lines.as_bytes()))? == Pipe::Closed {
                return Ok(Exit::ReaderLeft);
            }
            if page.more && wait == 0 {
                search.set(read, format!("read, {} of them fit", HumanCount(found)));
            } else {
                search.end();
            }
            if !self.follow && !page.more {
                return Ok(Exit::Done);
            }
            // A service that drains, or a proxy that knows no waiting, answers at once.
            if wait > 0 && page.data.is_empty() && !page.more && asked.elapsed() < RETRY {
                tokio::time::sleep(RETRY).await;
            }
            if self.follow && !has_begun {
                let late = self.args.service.timeout.unwrap_or(LATE);
                client.set_timeout(Duration::from_secs(WAIT_SECONDS).saturating_add(late));
            }
            has_begun = true;
            wait = if page.more { 0 } else { WAIT_SECONDS };
        }
    }

    /// A service that is away comes back. One that refuses has a reason, which is the end.
    async fn go_on_after(&mut self, error: CallError) -> Result<(), CommandError> {
        match &error {
            CallError::Refused(refusal) if refusal.code == "cursor_expired" => {
                print_note(&format!("{}; from now on again", refusal.detail));
                self.walk.skip_to_latest();
            }
            // A balancer without a service behind it answers anything, but in no form of ours.
            CallError::Refused(refusal) if refusal.will_come_again() => return Err(error.into()),
            CallError::Refused(_) | CallError::Transport(_) | CallError::Unreadable => {
                if self.is_connected {
                    print_note(&format!("waiting for the service: {}", brief(&error)));
                }
                self.is_connected = false;
            }
            _ => return Err(error.into()),
        }
        tokio::time::sleep(RETRY).await;
        Ok(())
    }

    fn note_connected(&mut self) {
        if !self.is_connected {
            print_note("the service answers again");
        }
        self.is_connected = true;
    }

    /// A line for each event that fits, and how many these are. An event of a newer service is whole as JSON.
    fn lines(&self, events: &[Value]) -> Result<(String, u64), CallError> {
        let (json, takes_all) = (self.args.service.json, !self.subject.is_given());
        let (mut lines, mut fitting) = (String::new(), 0);
        for event in events {
            if json && takes_all {
                lines += &event.to_string();
            } else {
                let body = EventBody::deserialize(event).map_err(|_| CallError::Unreadable)?;
                if !self.subject.fits(&body) {
                    continue;
                }
                lines += &if json { event.to_string() } else { event_line::text(&body) };
            }
            lines.push('\n');
            fitting += 1;
        }
        Ok((lines, fitting))
    }
}
