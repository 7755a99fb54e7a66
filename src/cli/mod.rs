//! The command line.

mod audit;
mod demo;
mod export;
mod healthcheck;
mod import;
mod import_report;
mod instant;
mod output;
mod product;
mod rows;
mod rush;
mod sale;
mod serve;
mod service;
mod table;
mod trigger;

use std::{
    collections::HashMap,
    env,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::OnceLock,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    app,
    config::{self, Complaints, Loaded, Overrides, Secret, Settings, Sources},
    embedded,
    tools::client::Endpoint,
};

/// Sells a hundred things to ten thousand people: exact stock, holds with a time limit, orders and payments.
///
/// Without a Redis URL the service starts its own private Redis. To try it: flashsale serve --demo
#[derive(Parser)]
#[command(version, max_term_width = HELP_COLUMNS_MAX)]
#[command(
    after_help = "Exit status: 0 done; 1 it failed or was refused; 2 bad flags or settings, or nothing is known. \
    The help of each command says more."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service (this is also what happens without a command)
    #[command(
        after_help = "Exit status: 0 it was told to stop; 1 it could not start or go on; 2 bad flags or settings."
    )]
    Serve(ServeArgs),
    /// Show the settings in force, as TOML, with secrets hidden; exits with 2 when they cannot be used
    Config,
    /// Ask a running service whether it is ready; exits with 0 if so
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Rehearse a sale: thousands of buyers against a running service, and a proof that nothing was oversold
    Rush(rush::RushArgs),
    /// Send payment events to a running service, signed as a payment provider signs them: to try every case
    Trigger(trigger::TriggerArgs),
    /// Sales: list, show, create, change, pause and resume them
    Sale(sale::SaleArgs),
    /// Products: list, show, create, change and restock them
    Product(product::ProductArgs),
    /// Compare what is stored with what the records say, and repair it
    Audit(audit::AuditArgs),
    /// All orders, or those of a sale or status, as CSV or NDJSON
    Export(export::ExportArgs),
    /// Make products from a file, CSV or NDJSON; a bad row is told and stops no other
    Import(import::ImportArgs),
    /// Watch over the embedded Redis of a data folder (the service starts this by itself)
    #[command(hide = true)]
    Guard(GuardArgs),
}

#[derive(Args, Clone)]
struct CommonArgs {
    /// Settings file (TOML) [default: that of `FLASHSALE_CONFIG`, else flashsale.toml where there is one]
    #[arg(long, global = true, value_name = "FILE", display_order = 900)]
    config: Option<PathBuf>,
}

#[derive(Args, Clone)]
struct ServeArgs {
    /// Add product 1, accept unsigned payment events, make an admin token, and print what to try
    #[arg(long)]
    demo: bool,
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    addr: Option<String>,
}

impl ServeArgs {
    /// Flags may stand before the word `serve` too.
    fn or(self, before: Self) -> Self {
        Self { demo: self.demo || before.demo, addr: self.addr.or(before.addr) }
    }
}

#[derive(Args)]
struct GuardArgs {
    #[arg(long)]
    data_dir: PathBuf,
    #[arg(long)]
    server: PathBuf,
}

/// What was begun came to no good end.
const FAILED: u8 = 1;
/// Longer lines of help are hard to read.
const HELP_COLUMNS_MAX: usize = 100;
/// Bad flags or settings, an output that cannot be written.
const UNUSABLE: u8 = 2;

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let status = dispatch();
    let Some(error) = UNSAID.get() else { return status };
    complain(&format!("stdout takes no more: {error}; what was printed is not complete"));
    ExitCode::from(UNUSABLE)
}

fn dispatch() -> ExitCode {
    let Cli { command, serve, mut common } = Cli::parse();
    common.config = common.config.or_else(|| env::var_os(CONFIG).map(PathBuf::from));
    let misplaced = (serve.demo || serve.addr.is_some()) && !matches!(command, None | Some(Command::Serve(_)));
    let done = match command.unwrap_or(Command::Serve(serve.clone())) {
        _ if misplaced => Err((UNUSABLE, "--demo and --addr in front of a command belong to serve".to_owned())),
        Command::Serve(args) => serve::run(&common, &args.or(serve)),
        Command::Config => show_config(&common).map_err(|message| (UNUSABLE, message)),
        Command::Healthcheck(args) => return healthcheck::run(&common, &args),
        Command::Rush(args) => return rush::run(&common, &args),
        Command::Trigger(args) => return trigger::run(&common, &args),
        Command::Sale(args) => return sale::run(&common, &args),
        Command::Product(args) => return product::run(&common, &args),
        Command::Audit(args) => return audit::run(&common, &args),
        Command::Export(args) => return export::run(&common, &args),
        Command::Import(args) => return import::run(&common, &args),
        Command::Guard(args) => embedded::guard(&args.data_dir, &args.server).map_err(|e| (FAILED, e.to_string())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((status, message)) => {
            complain(&message);
            ExitCode::from(status)
        }
    }
}

fn show_config(common: &CommonArgs) -> Result<(), String> {
    let loaded = load(common, &Overrides::new()).map_err(|complaints| complaints.to_string())?;
    say(&loaded.render());
    Ok(())
}

/// The settings of the file, the environment and these flags.
fn load(common: &CommonArgs, flags: &Overrides) -> Result<Loaded, Complaints> {
    app::load_settings(Sources { file: common.config.as_deref(), environment: &environment(), flags })
}

/// The settings for a command that asks a running service.
fn load_settings(common: &CommonArgs) -> Result<Settings, Complaints> {
    load(common, &Overrides::new()).map(|loaded| loaded.settings)
}

/// Names the settings file, where no flag does. Read here and not by clap, whose usage would show the flag as one that must be.
const CONFIG: &str = "FLASHSALE_CONFIG";
/// Names the service, where no flag does.
const URL: &str = "FLASHSALE_URL";
/// Environment variables of flags; no settings.
const OF_FLAGS: [&str; 2] = [CONFIG, URL];

/// What may be settings.
fn environment() -> config::Environment {
    let pairs = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    pairs.filter(|(name, _)| !OF_FLAGS.contains(&name.as_str())).collect::<HashMap<_, _>>()
}

/// Why stdout took no more, once that happened.
static UNSAID: OnceLock<io::Error> = OnceLock::new();

/// Prints. Unlike `println!` this never panics: a reader that went away has what it wanted, and any other failure is told by
/// [`run`] at the end.
fn say(text: &str) {
    if let Err(error) = writeln!(io::stdout(), "{text}")
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let _told_once = UNSAID.set(error);
    }
}

fn complain(text: &str) {
    tell(&format!("flashsale: {text}"));
}

/// What belongs to no report.
fn tell(text: &str) {
    let _nobody_reads = writeln!(io::stderr(), "{text}");
}

/// The service that is meant: `--url`, else `FLASHSALE_URL`, else the one that these settings describe, as it is reached from
/// this machine. Every command that asks one asks this function which.
fn endpoint(url: Option<&str>, settings: &Settings) -> Result<Endpoint, String> {
    let of_environment = env::var_os(URL).map(|url| url.to_string_lossy().into_owned());
    let (url, source) = match (url, of_environment) {
        (Some(url), _) => (url.to_owned(), "--url"),
        (None, Some(url)) => (url, URL),
        (None, None) => (format!("http://{}", reachable(settings.http.addr)), "http.addr"),
    };
    Endpoint::parse(&url).map_err(|error| format!("{source}: {error}"))
}

/// A service that listens on all addresses is asked on the loopback one.
fn reachable(addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() { SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), addr.port()) } else { addr }
}

/// The one that is shown to the gate of the service.
fn api_key<'a>(flag: Option<&'a str>, settings: &'a Settings) -> Option<&'a str> {
    flag.or_else(|| settings.http.api_keys.first().map(Secret::expose))
}

/// For clap, of the id of a product.
fn product_id(text: &str) -> Result<u64, String> {
    let id = text.parse().ok().filter(|id| *id > 0);
    id.ok_or_else(|| "the id of a product is a whole number from 1 on; `flashsale product list` tells them".to_owned())
}

/// For clap, of a number that is not negative.
fn count(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "it must be a whole number from 0 on, such as 500".to_owned())
}

/// For clap, of a number with bounds.
fn whole(least: u64, most: u64) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("it must be a whole number from {least} to {most}"))
    }
}

/// For clap, of every text that a flag takes: an empty one is a shell variable that is not set, and means nothing that is known.
fn filled(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("it is empty: is a variable of the shell unset?".to_owned()) } else { Ok(text.to_owned()) }
}
