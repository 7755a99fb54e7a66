//! `flashsale event`: lists what happened, and follows it as it happens.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value;

use super::{
    CommonArgs,
    arguments::filled,
    event_line,
    exit::Exit,
    instant,
    print::print_note,
    service::{CommandError, ServiceArgs},
};
use crate::{
    tools::client::api::{ApiCall, ApiClient, CallError, escape},
    wire::event::{EventBody, EventPageBody},
};

const EVENTS: &str = "/api/admin/events";
/// Events of a page.
const PAGE: usize = 500;
/// How long one request waits for an event.
const WAIT_SECONDS: u64 = 25;
/// The pause after a service that does not answer.
const RETRY: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  flashsale event list --sale drop-1                  all that its log has
  flashsale event list --since 10m --type 'order.*'
  flashsale event follow                              what happens from now on, of all sales
  flashsale event follow --type review.opened --json

Exit status: 0 done; 1 the service refused; 2 nothing was done (bad flags, no service, no token), or the result is unknown.";

const LIST_EXAMPLES: &str = "\
Examples:
  flashsale event list --sale drop-1
  flashsale event list --since -1h --type product.restocked,sale.changed
  flashsale event list --since 2026-11-27T09:00:00Z --follow
  flashsale event list --json | jq -c 'select(.actor == \"anna\")'

A line has the time, the type, the sale, what the event is about, and for a change by an admin what it changed, who did it, \
and why. With --json each line is the event as the service has it.";

const FOLLOW_EXAMPLES: &str = "\
Examples:
  flashsale event follow
  flashsale event follow --sale drop-1 --type 'order.paid,review.*'
  flashsale event follow --json | jq -c '{type, at, actor}'

It waits for a service that restarts, and goes on where it was: no event is left out or printed twice. Ctrl-C ends it.";

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
}

pub(super) fn run(common: &CommonArgs, args: &EventArgs) -> Exit {
    args.service.run(common, async |client| match &args.command {
        EventCommand::List { choice, follow } => {
            let start = choice.since.as_deref().map_or_else(String::new, |since| format!("since={}", escape(since)));
            Reader { service: &args.service, choice, follow: *follow, is_connected: true }.read(client, start).await
        }
        EventCommand::Follow { choice } => {
            let since = |since: &str| format!("since={}", escape(since));
            let start = choice.since.as_deref().map_or_else(|| "after=latest".to_owned(), since);
            Reader { service: &args.service, choice, follow: true, is_connected: true }.read(client, start).await
        }
    })
}

/// Reads the log page by page, and prints it.
struct Reader<'a> {
    service: &'a ServiceArgs,
    choice: &'a ChoiceArgs,
    follow: bool,
    /// Whether the last request was answered. So a service that is gone is reported once.
    is_connected: bool,
}

impl Reader<'_> {
    async fn read(&mut self, client: &mut ApiClient, mut start: String) -> Result<Exit, CommandError> {
        // The first page comes at once: a wrong flag, URL or token ends the command.
        let mut wait = 0;
        let mut has_begun = false;
        loop {
            let asked = Instant::now();
            let answer = client.send(ApiCall::get(self.path(&start, wait))).await;
            let page: EventPageBody<Value> = match answer.and_then(|reply| reply.json()) {
                Ok(page) => page,
                Err(error) if has_begun && self.follow => {
                    self.go_on_after(error, &mut start).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            self.note_connected();
            for sale in &page.missing {
                print_note(&format!("some events of sale {sale} are not in the log any more: look at its orders"));
            }
            if !self.print(&page.data)? || !self.follow && !page.more {
                return Ok(Exit::Done);
            }
            // A service that drains, or a proxy that knows no waiting, answers at once.
            if wait > 0 && page.data.is_empty() && asked.elapsed() < RETRY {
                tokio::time::sleep(RETRY).await;
            }
            has_begun = true;
            wait = if page.more { 0 } else { WAIT_SECONDS };
            start = format!("after={}", escape(&page.next_cursor));
        }
    }

    fn path(&self, start: &str, wait: u64) -> String {
        let filters = [("sale", &self.choice.sale), ("types", &self.choice.types)];
        let given =
            filters.into_iter().filter_map(|(name, value)| Some(format!("&{name}={}", escape(value.as_ref()?))));
        let wait = if self.follow && wait > 0 { format!("&wait={wait}") } else { String::new() };
        let start = if start.is_empty() { String::new() } else { format!("&{start}") };
        format!("{EVENTS}?limit={PAGE}{}{wait}{start}", given.collect::<String>())
    }

    /// A service that is away comes back. One that refuses has a reason, which is the end.
    async fn go_on_after(&mut self, error: CallError, start: &mut String) -> Result<(), CommandError> {
        match &error {
            CallError::Refused(refusal) if refusal.code == "cursor_expired" => {
                print_note(&format!("{}; from now on again", refusal.detail));
                "after=latest".clone_into(start);
                tokio::time::sleep(RETRY).await;
            }
            CallError::Refused(refusal) if refusal.is_refusal() => return Err(error.into()),
            CallError::Refused(_) | CallError::Transport(_) | CallError::Unreadable => {
                if self.is_connected {
                    print_note(&format!("waiting for the service: {error}"));
                }
                self.is_connected = false;
                tokio::time::sleep(RETRY).await;
            }
            CallError::NoToken | CallError::InvalidHeader(_) => return Err(error.into()),
        }
        Ok(())
    }

    fn note_connected(&mut self) {
        if !self.is_connected {
            print_note("the service answers again");
        }
        self.is_connected = true;
    }

    /// Prints a line for each event. Whether anybody reads on.
    fn print(&self, events: &[Value]) -> Result<bool, CommandError> {
        let mut lines = String::new();
        for event in events {
            if self.service.json {
                lines += &event.to_string();
            } else {
                let event = EventBody::deserialize(event).map_err(|_| CallError::Unreadable)?;
                lines += &event_line::text(&event);
            }
            lines.push('\n');
        }
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => {
                Err(CommandError::NotDone(format!("stdout takes no more: {error}; the output is not complete")))
            }
        }
    }
}
