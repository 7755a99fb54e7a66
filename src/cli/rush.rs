//! `flashsale rush`: flags, the progress on stderr, and where the report goes.

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{CommonArgs, api_key, complain, count, endpoint, filled, load_settings, product_id, say, tell, whole};
use crate::{
    config::{Secret, Settings},
    tools::rush::{
        self, Progress,
        plan::{BUYERS_MAX, CONCURRENCY_MAX, DURATION_MAX, Pace, Plan, RATE_MAX, Scenario, Wanted},
        report::Report,
    },
    webhook::{signature::Signer, standard},
};

const BUYERS: u64 = 1_000;
const UNITS: u64 = 100;
const UNITS_MAX: u64 = 1_000_000_000;
/// Seeds that a rush takes itself: few enough to be typed again.
const SEEDS: u64 = 1_000_000;
/// Between two lines, when stderr is no terminal.
const LINE_PAUSE: Duration = Duration::from_secs(3);
/// The proof does not hold.
const NOT_PROVED: u8 = 1;
/// There was no rush.
const NO_RUSH: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  flashsale serve --demo                      a service to try it on, in another terminal
  flashsale rush --product 1                  its product 1: no token needed
  flashsale rush --admin-token TOKEN          1,000 buyers for 100 units of a product of its own
  flashsale rush --scenario lifecycle         hold, order, pay; unless it is a demo with --webhook-secret
  flashsale rush --scenario duplicates        everything three times; each buyer gets one unit
  flashsale rush --scenario abandon           holds lapse after a second or two, and others get the units
  flashsale rush --buyers 100000 --rate 5000/s --concurrency 512 --duration 20s --report rush.html
  flashsale rush --url https://shop.example --product 7 --json

Closed loop, without --rate: a buyer comes when another one has been answered, so a slow service is asked less. \
Open loop, with --rate: buyers come on schedule whatever happens, and wait from the scheduled instant on. These are \
the latencies that buyers see (no coordinated omission).

A rush in which a rate limit (429) or a missing API key (401) turned somebody away proves nothing. With an admin token all \
looks at the counters but the first go over the admin routes, where neither counts.

Exit status: 0 proved; 1 not proved, also when somebody was turned away at the gate; 2 there was no rush (bad flags, no \
service, no product, no token).";

/// What to rush, and how.
#[derive(Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct RushArgs {
    /// The service [default: that of `FLASHSALE_URL`, else of http.addr of the settings]
    #[arg(long, value_name = "URL", value_parser = filled)]
    url: Option<String>,
    /// What every buyer does
    #[arg(long, value_enum, default_value_t = Choice::Rush)]
    scenario: Choice,
    /// How many come
    #[arg(long, value_name = "N", default_value_t = BUYERS, value_parser = whole(1, BUYERS_MAX))]
    buyers: u64,
    /// Units of the product that is made for the rush [default: 100]
    #[arg(long, value_name = "N", conflicts_with = "product", value_parser = whole(1, UNITS_MAX))]
    units: Option<u64>,
    /// Rush a product that is there, for all that is available of it, instead of making one
    #[arg(long, value_name = "ID", value_parser = product_id)]
    product: Option<u64>,
    /// Buyers served at the same time, each on a connection of its own (three with duplicates)
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = whole(1, CONCURRENCY_MAX))]
    concurrency: u64,
    /// Buyers a second, such as 5000/s, on schedule (abandon spreads them over --duration by itself)
    #[arg(long, value_name = "N/s", value_parser = read_rate)]
    rate: Option<u64>,
    /// No buyer comes after this: 500ms, 10s, 2m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = read_duration)]
    duration: Duration,
    /// Makes the product [default: admin.token of the settings, `FLASHSALE_ADMIN__TOKEN`]
    #[arg(long, value_name = "TOKEN", value_parser = filled)]
    admin_token: Option<String>,
    /// Shown with every request [default: the first of `http.api_keys`, `FLASHSALE_HTTP__API_KEYS`; else none]
    #[arg(long, value_name = "KEY", value_parser = filled)]
    api_key: Option<String>,
    /// Signs payment events [default: the first of webhook.secrets, `FLASHSALE_WEBHOOK__SECRETS`; else unsigned]
    #[arg(long, value_name = "whsec_…", value_parser = read_secret)]
    webhook_secret: Option<Signer>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Write the report as a page with plots
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Repeats the choices that the rush makes itself [default: another one each time]
    #[arg(long, value_name = "N", value_parser = count)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Choice {
    /// Wants one unit: holds granted = units taken
    Rush,
    /// Holds, orders, pays: orders paid = units sold
    Lifecycle,
    /// Holds for a second or two and walks away: all units come back
    Abandon,
    /// Sends everything three times: one unit, one order, one payment
    Duplicates,
}

pub(super) fn run(common: &CommonArgs, args: &RushArgs) -> ExitCode {
    match rehearse(common, args) {
        Ok(report) if report.is_proved() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(NOT_PROVED),
        Err(message) => {
            complain(&message);
            ExitCode::from(NO_RUSH)
        }
    }
}

fn rehearse(common: &CommonArgs, args: &RushArgs) -> Result<Report, String> {
    let settings = load_settings(common);
    let plan = plan(args, &settings.map_err(|complaints| complaints.to_string())?)?;
    // Made first: nobody wants to learn after the rush that there is no such folder.
    let page = args.report.as_ref().map(|path| File::create(path).map_err(|error| unwritable(path, &error)));
    let page = page.transpose()?;
    tell(&format!("buyers go to {}", plan.endpoint.url()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let mut teller = Teller::new(plan.buyers);
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    let report = runtime.block_on(rush::run(plan, interrupted, |progress| teller.tell(progress)));
    teller.bar.finish_and_clear();
    let report = report?;
    say(&if args.json { report.json() } else { report.text() });
    if let (Some(mut page), Some(path)) = (page, &args.report) {
        page.write_all(report.html().as_bytes()).map_err(|error| unwritable(path, &error))?;
        tell(&format!("the page is {}", path.display()));
    }
    Ok(report)
}

fn unwritable(path: &std::path::Path, error: &io::Error) -> String {
    format!("--report {} cannot be written: {error}", path.display())
}

fn plan(args: &RushArgs, settings: &Settings) -> Result<Plan, String> {
    let secret = || {
        settings
            .webhook
            .secrets_of(standard::PROVIDER.setting)
            .first()
            .and_then(|secret| Signer::new(&standard::PROVIDER, secret.expose()))
    };
    let scenario = args.scenario.into();
    Ok(Plan {
        endpoint: endpoint(args.url.as_deref(), settings)?.with_api_key(api_key(args.api_key.as_deref(), settings))?,
        scenario,
        wanted: match args.product {
            Some(product) => Wanted::Existing { product },
            None => Wanted::New { units: args.units.unwrap_or(UNITS) },
        },
        buyers: args.buyers,
        concurrency: args.concurrency,
        pace: pace(args, scenario),
        duration: args.duration,
        admin_token: args
            .admin_token
            .clone()
            .or_else(|| settings.admin.token.as_ref().map(|t| Secret::expose(t).into())),
        signer: args.webhook_secret.clone().or_else(secret),
        seed: args.seed.map_or_else(|| getrandom::u64().map(|random| random % SEEDS), Ok).map_err(|e| e.to_string())?,
    })
}

/// Who abandons makes room for those who come later, so in that scenario they come over the whole time.
fn pace(args: &RushArgs, scenario: Scenario) -> Pace {
    let spread = || {
        let ms = args.duration.as_millis().max(1);
        u64::try_from((u128::from(args.buyers) * 1_000).div_ceil(ms)).unwrap_or(RATE_MAX).min(RATE_MAX)
    };
    match args.rate.or_else(|| (scenario == Scenario::Abandon).then(spread)) {
        Some(rate) => Pace::Open { rate },
        None => Pace::Closed,
    }
}

impl From<Choice> for Scenario {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Rush => Self::Rush,
            Choice::Lifecycle => Self::Lifecycle,
            Choice::Abandon => Self::Abandon,
            Choice::Duplicates => Self::Duplicates,
        }
    }
}

fn read_rate(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse().ok();
    let rate = number.filter(|rate| (1..=RATE_MAX).contains(rate));
    rate.ok_or_else(|| format!("a whole number of buyers a second, from 1 to {RATE_MAX}, such as 5000/s"))
}

fn read_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let ms = unit_ms.and_then(|unit_ms| number.parse::<u64>().ok()?.checked_mul(unit_ms));
    let duration = ms.map(Duration::from_millis).filter(|duration| !duration.is_zero() && *duration <= DURATION_MAX);
    duration.ok_or_else(|| "a time such as 500ms, 10s or 2m, of at most an hour".to_owned())
}

fn read_secret(text: &str) -> Result<Signer, String> {
    Signer::new(&standard::PROVIDER, text).ok_or_else(|| standard::PROVIDER.secret_form.to_owned())
}

/// Tells on stderr how far the rush is: a bar on a terminal, else a line now and then.
struct Teller {
    bar: ProgressBar,
    lines: bool,
    told: Instant,
}

impl Teller {
    fn new(buyers: u64) -> Self {
        let lines = !io::stderr().is_terminal();
        let target = if lines { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(buyers), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30.green/white.dim} {pos}/{len} buyers  {msg}") {
            bar.set_style(style.progress_chars("━━─"));
        }
        Self { bar, lines, told: Instant::now() }
    }

    fn tell(&mut self, progress: Progress) {
        let Progress { accepted, refused, failed, elapsed, waiting } = progress;
        let waits = if waiting { ", waiting for the last" } else { "" };
        let counts = format!("accepted {accepted}, refused {refused}, failed {failed}{waits}");
        if self.lines && self.told.elapsed() >= LINE_PAUSE {
            self.told = Instant::now();
            tell(&format!("{} s: {counts}", elapsed.as_secs()));
        }
        self.bar.set_position(accepted + refused + failed);
        self.bar.set_message(counts);
    }
}
