//! `flashsale watch`: a live table in the terminal, or a line or a JSON object for each look.

mod line;
mod screen;

use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    time::Duration,
};

use clap::Args;
use tokio::time::{Instant, sleep_until};

use self::screen::Screen;
use super::{
    CommonArgs,
    arguments::{filled, whole},
    exit::Exit,
    instant,
    print::print_error,
    service::{client_of, explain_refusal, settings, with_service},
};
use crate::{
    app::signals::StopSignals,
    tools::{
        client::{Bounds, api::ApiClient},
        watch::{Watch, view::View},
    },
};

/// A service that takes longer is shown as one that does not answer.
const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(5), body_bytes_max: 16 << 20 };
/// The most products that a table can show.
const TOP_MAX: u64 = 1_000;

const EXAMPLES: &str = "\
Examples:
  flashsale watch drop-1                      the sale, second by second, until Ctrl-C
  flashsale watch                             all sales
  flashsale watch drop-1 --every 5s --for 5m > drop.log
  flashsale watch drop-1 --json | jq -c '.holds.by_outcome'
  flashsale watch drop-1 --url http://10.0.0.1:8080 --url http://10.0.0.2:8080

Rates are of the processes that answer, and of all their sales, also where one is watched. Behind a balancer that is one of \
them: name each service with --url, and their rates are added. Stock and reviews are the same wherever they are read. It reads and changes nothing; a token of \
admin.read_tokens is enough.

Exit status: 0 it was stopped, or --for is over; 1 the service refused; 2 no service answered.";

/// Watch a sale: stock, holds and refusals a second, payments, open reviews, Redis
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct WatchArgs {
    /// Sale to watch [default: all]
    #[arg(value_name = "SALE", value_parser = filled)]
    sale: Option<String>,
    /// URL of a service, once for each [default: `FLASHSALE_URL`, else http.addr of the settings]
    #[arg(long, value_name = "URL", value_parser = filled)]
    url: Vec<String>,
    /// Admin token [default: `admin.token` of the settings (`FLASHSALE_ADMIN__TOKEN`), else the first of `admin.tokens`,
    /// else of `admin.read_tokens`]
    #[arg(long, value_name = "TOKEN", value_parser = filled)]
    token: Option<String>,
    /// Pause between two looks: 1s, 10s, 1m
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = instant::read_pause)]
    every: Duration,
    /// End after this time: 5m, 1h30m [default: when you stop it]
    #[arg(long = "for", value_name = "TIME", value_parser = instant::read_pause)]
    duration: Option<Duration>,
    /// Most products in the table; the others are summed [default: as many as fit]
    #[arg(long, value_name = "N", value_parser = whole(1, TOP_MAX), conflicts_with = "json")]
    top: Option<u64>,
    /// Print each look as one line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(common: &CommonArgs, args: &WatchArgs) -> Exit {
    with_service(clients(common, args), async |clients| {
        let mut signals = StopSignals::listen().map_err(|error| error.to_string())?;
        let mut out = Output::of(args);
        let exit = watch(Watch::new(clients, args.sale.clone()), args, &mut signals, &mut out).await;
        drop(out);
        exit
    })
}

fn clients(common: &CommonArgs, args: &WatchArgs) -> Result<Vec<ApiClient>, String> {
    let settings = settings(common)?;
    let urls: Vec<Option<&str>> =
        if args.url.is_empty() { vec![None] } else { args.url.iter().map(|url| Some(url.as_str())).collect() };
    urls.into_iter().map(|url| client_of(url, args.token.as_deref(), &settings, BOUNDS)).collect()
}

async fn watch(
    mut watch: Watch,
    args: &WatchArgs,
    signals: &mut StopSignals,
    out: &mut Output,
) -> Result<Exit, String> {
    let begun = Instant::now();
    let end = args.duration.map(|duration| begun + duration);
    let (mut next, mut has_answer) = (begun, false);
    loop {
        let view = tokio::select! {
            biased;
            () = signals.received() => break,
            view = watch.look() => view,
        };
        let view = match view {
            Ok(view) => view,
            Err((refusal, url)) => {
                out.close();
                print_error(&explain_refusal(&refusal, &url));
                return Ok(Exit::No);
            }
        };
        has_answer |= view.processes > 0;
        if let Err(error) = out.show(&view, &watch) {
            let has_left = error.kind() == ErrorKind::BrokenPipe;
            return if has_left { Ok(Exit::ReaderLeft) } else { Err(format!("stdout takes no more: {error}")) };
        }
        // A look that took longer than the pause delays the next, so that looks do not pile up.
        next = (next + args.every).max(Instant::now());
        if end.is_some_and(|end| next > end) {
            break;
        }
        tokio::select! {
            () = signals.received() => break,
            () = sleep_until(next) => {}
        }
    }
    out.close();
    Ok(if has_answer { Exit::Done } else { Exit::Unknown })
}

/// Where views go.
enum Output {
    Json,
    Lines,
    Screen(Screen),
}

impl Output {
    fn of(args: &WatchArgs) -> Self {
        if args.json {
            Self::Json
        } else if io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb") {
            Self::Screen(Screen::open(args.top))
        } else {
            Self::Lines
        }
    }

    fn show(&mut self, view: &View, watch: &Watch) -> io::Result<()> {
        let text = match self {
            Self::Json => serde_json::to_string(view).map_err(io::Error::other)?,
            Self::Lines => line::text(view),
            Self::Screen(screen) => return screen.draw(view, watch),
        };
        let mut stdout = io::stdout();
        writeln!(stdout, "{text}")?;
        stdout.flush()
    }

    /// Gives the terminal back, with the last view on it.
    fn close(&mut self) {
        if let Self::Screen(screen) = self {
            screen.close();
        }
    }
}
