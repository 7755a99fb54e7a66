//! `flashsale rush`: flags, the progress on stderr, and where the report goes.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};

use super::{
    CommonArgs,
    arguments::{count, filled, product_id, whole},
    exit::Exit,
    print::{print_line, print_note},
    progress::{Counting, Progress},
    service::{endpoint, known_token, settings, with_api_key, with_service},
};
use crate::{
    app::signals::StopSignals,
    config::Settings,
    tools::rush::{
        self, Phase,
        crowd::Popularity,
        plan::{BUYERS_MAX, CONCURRENCY_MAX, DURATION_MAX, LoadModel, ProductChoice, RATE_MAX, RushPlan, Scenario},
    },
    webhook::{signature::Signer, standard},
};

const BUYERS: u64 = 1_000;
const UNITS: u64 = 100;
const UNITS_MAX: u64 = 1_000_000_000;
/// The number of seeds that a rush chooses from: few enough to type one again.
const SEEDS: u64 = 1_000_000;

const EXAMPLES: &str = "\
Examples:
  flashsale serve --demo                      a service to try it on, in another terminal
  flashsale rush --product 1                  its product 1: no token needed
  flashsale rush --admin-token TOKEN          1,000 buyers for 100 units of a product of its own
  flashsale rush --scenario lifecycle         hold, order, pay; --webhook-secret signs the payments
  flashsale rush --scenario duplicates        everything three times; each buyer gets one unit
  flashsale rush --scenario abandon           holds lapse after a second or two, and others get the units
  flashsale rush --buyers 100000 --rate 5000/s --concurrency 512 --duration 20s --report rush.html
  flashsale rush --url https://shop.example --product 7 --json
  flashsale rush --sale drop-1 --buyers 20000         your drop: all its products, its limits, its terms
  flashsale rush --sale drop-1 --popularity even --customers 5000 --report drop.html

Closed loop, without --rate: a buyer comes when another one has an answer, so a slow service gets fewer requests. \
Open loop, with --rate: buyers come on schedule whatever happens, and their wait counts from the scheduled instant. \
These are the latencies that buyers see (no coordinated omission).

At its end, also after Ctrl-C, a rush releases its holds and cancels its orders that are not paid. Ctrl-C (or TERM) ends the \
step that the rush is in: first the buyers, then the wait for what lapses and for the last counters, then this. The report counts what stays, and why. Paid orders cannot be taken away, so lifecycle and duplicates of an \
existing sale or product need --keep: paid orders stay in lists, exports and sums, refunded or not. Customers are named \
rush-…-0 and so on, so no real one is touched. Where the sale counts releases (cooldown_counts_releases), each of them \
leaves a mark that lasts until its cool-down is over. \
The sale must be live: a paused, scheduled or ended one gives out no holds.

What could not be shown is listed as such, with the flag to add: units left because too few came, limits that nobody met, \
terms that only an admin can read.

A rush in which a rate limit (429) or a missing API key (401) turned somebody away proves nothing. With an admin token, all \
reads of the counters but the first use the admin routes, where neither applies.

Exit status: 0 proved; 1 not proved, also if somebody was turned away at the gate or something could not be taken away; 2 there \
was no rush (bad flags, no service, no product, a sale that is not live, no token).";

/// The product, the buyers, and the report.
#[derive(Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct RushArgs {
    /// URL of the service [default: `FLASHSALE_URL`, else http.addr of the settings]
    #[arg(long, value_name = "URL", value_parser = filled)]
    url: Option<String>,
    /// What every buyer does
    #[arg(long, value_enum, default_value_t = ScenarioArg::Rush)]
    scenario: ScenarioArg,
    /// Number of buyers
    #[arg(long, value_name = "N", default_value_t = BUYERS, value_parser = whole(1, BUYERS_MAX))]
    buyers: u64,
    /// Units of the product that the rush makes [default: 100]
    #[arg(long, value_name = "N", conflicts_with = "product", value_parser = whole(1, UNITS_MAX))]
    units: Option<u64>,
    /// Existing product to rush, for all its available units, instead of making one
    #[arg(long, value_name = "ID", conflicts_with = "sale", value_parser = product_id)]
    product: Option<u64>,
    /// Existing sale to rush: all available units of all its products
    #[arg(long, value_name = "ID", conflicts_with = "units", value_parser = filled)]
    sale: Option<String>,
    /// How wishes spread over the products of the sale, by id: zipf (the nth is wanted 1/n as often as the first), even, or
    /// another exponent than 1, up to 10
    #[arg(long, value_name = "CURVE", default_value = "zipf", requires = "sale", value_parser = str::parse::<Popularity>)]
    popularity: Popularity,
    /// Customers that buyers are drawn from [default: as many as meet the limits and still take all units; without limits
    /// each buyer of a sale is one, and buyers of a product give no name]
    #[arg(long, value_name = "N", value_parser = whole(1, BUYERS_MAX))]
    customers: Option<u64>,
    /// Leave the holds and orders that the rush makes
    #[arg(long)]
    keep: bool,
    /// Buyers served at the same time, each on its own connection (three with duplicates)
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = whole(1, CONCURRENCY_MAX))]
    concurrency: u64,
    /// Buyers a second on schedule, such as 5000/s (abandon spreads them over --duration by default)
    #[arg(long, value_name = "N/s", value_parser = read_rate)]
    rate: Option<u64>,
    /// Time after which no buyer comes: 500ms, 10s, 2m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = read_duration)]
    duration: Duration,
    /// Makes the product [default: admin.token of the settings, `FLASHSALE_ADMIN__TOKEN`]
    #[arg(long, value_name = "TOKEN", value_parser = filled)]
    admin_token: Option<String>,
    /// API key of every request [default: the first of `http.api_keys`, `FLASHSALE_HTTP__API_KEYS`; else none]
    #[arg(long, value_name = "KEY", value_parser = filled)]
    api_key: Option<String>,
    /// Secret that signs payment events [default: the first of webhook.secrets, `FLASHSALE_WEBHOOK__SECRETS`; else unsigned]
    #[arg(long, value_name = "whsec_…", value_parser = read_secret)]
    webhook_secret: Option<Signer>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Write the report as a page with plots
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Seed of the rush's own choices, to repeat them [default: another one each time]
    #[arg(long, value_name = "N", value_parser = count)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScenarioArg {
    /// Wants one unit: holds granted = units taken
    Rush,
    /// Holds, orders, pays: orders paid = units sold
    Lifecycle,
    /// Holds for a second or two and walks away: all units come back
    Abandon,
    /// Sends everything three times: one unit, one order, one payment
    Duplicates,
}

pub(super) fn run(common: &CommonArgs, args: &RushArgs) -> Exit {
    let plan = settings(common).and_then(|settings| plan(args, &settings));
    with_service(plan, async |plan| rehearse(plan, args).await)
}

async fn rehearse(plan: RushPlan, args: &RushArgs) -> Result<Exit, String> {
    // Made first: nobody wants to learn after the rush that there is no such folder.
    // What is there stays until there is a new report.
    let open = |path| File::options().write(true).create(true).truncate(false).open(path);
    let page = args.report.as_ref().map(|path| open(path).map_err(|error| unwritable(path, &error)));
    let page = page.transpose()?;
    // Whoever names a service knows it.
    if args.url.is_none() {
        print_note(&format!("buyers go to {}", plan.endpoint.url()));
    }
    let mut signals = StopSignals::listen().map_err(|error| error.to_string())?;
    let mut progress = Progress::begin(Counting::Things("buyer", Some(plan.buyers)));
    let report = rush::run(plan, async || signals.received().await, |now| show(&mut progress, now)).await;
    progress.end();
    let report = report.map_err(|error| error.to_string())?;
    print_line(&if args.json { report.json() } else { report.text() });
    if let (Some(mut page), Some(path)) = (page, &args.report) {
        write_page(&mut page, &report.html()).map_err(|error| unwritable(path, &error))?;
        print_note(&format!("the page is {}", path.display()));
    }
    Ok(if report.is_proved() { Exit::Done } else { Exit::No })
}

fn show(progress: &mut Progress, now: rush::Progress) {
    let rush::Progress { accepted, refused, failed, elapsed, phase } = now;
    let doing = match phase {
        Phase::Buying => String::new(),
        Phase::Waiting => ", waiting for the last".to_owned(),
        Phase::TakingAway(done) => format!(", {done} taken away"),
    };
    let counts = format!("accepted {accepted}, refused {refused}, failed {failed} in {} s{doing}", elapsed.as_secs());
    progress.set(accepted + refused + failed, counts);
}

/// Writes the page over what is there, which may be a device too.
fn write_page(file: &mut File, page: &str) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    file.write_all(page.as_bytes())
}

fn unwritable(path: &std::path::Path, error: &io::Error) -> String {
    format!("--report {} cannot be written: {error}", path.display())
}

fn plan(args: &RushArgs, settings: &Settings) -> Result<RushPlan, String> {
    let secret = || {
        let secret = settings.webhook.secrets_of(standard::PROVIDER.setting).first();
        secret.and_then(|secret| Signer::new(&standard::PROVIDER, secret.expose()))
    };
    let scenario: Scenario = args.scenario.into();
    let exists = args.product.is_some() || args.sale.is_some();
    if exists && scenario.pays() && !args.keep {
        return Err(format!(
            "--scenario {} pays its orders, and paid orders stay in the shop's orders, exports and sums. Say --keep if they may, \
             or leave --sale and --product out: the rush then makes a product of its own",
            scenario.as_str()
        ));
    }
    Ok(RushPlan {
        endpoint: with_api_key(endpoint(args.url.as_deref(), settings)?, args.api_key.as_deref(), settings)?,
        scenario,
        product: match (&args.sale, args.product) {
            (Some(sale), _) => ProductChoice::Sale { sale: sale.clone() },
            (None, Some(product)) => ProductChoice::Existing { product },
            (None, None) => ProductChoice::New { units: args.units.unwrap_or(UNITS) },
        },
        popularity: args.popularity,
        customers: args.customers,
        keep: args.keep,
        buyers: args.buyers,
        concurrency: args.concurrency,
        load: load(args, scenario),
        duration: args.duration,
        admin_token: args.admin_token.clone().or_else(|| known_token(settings).map(str::to_owned)),
        signer: args.webhook_secret.clone().or_else(secret),
        seed: args.seed.map_or_else(|| getrandom::u64().map(|random| random % SEEDS), Ok).map_err(|e| e.to_string())?,
    })
}

/// Buyers who abandon make room for later ones, so in that scenario they come over the whole time.
fn load(args: &RushArgs, scenario: Scenario) -> LoadModel {
    let spread = || {
        let ms = args.duration.as_millis().max(1);
        u64::try_from((u128::from(args.buyers) * 1_000).div_ceil(ms)).unwrap_or(RATE_MAX).min(RATE_MAX)
    };
    match args.rate.or_else(|| (scenario == Scenario::Abandon).then(spread)) {
        Some(rate) => LoadModel::Open { rate },
        None => LoadModel::Closed,
    }
}

impl From<ScenarioArg> for Scenario {
    fn from(choice: ScenarioArg) -> Self {
        match choice {
            ScenarioArg::Rush => Self::Rush,
            ScenarioArg::Lifecycle => Self::Lifecycle,
            ScenarioArg::Abandon => Self::Abandon,
            ScenarioArg::Duplicates => Self::Duplicates,
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
