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
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    client::Endpoint,
    config::{self, Overrides, Secret, Settings},
    store::embedded,
};

/// Sells a hundred things to ten thousand people: exact stock, holds with a time limit, orders and payments.
///
/// Without a Redis URL the service starts its own private Redis. To try it: flashsale serve --demo
#[derive(Parser)]
#[command(version)]
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
    Serve(ServeArgs),
    /// Show the settings in force, as TOML, with secrets hidden
    Config,
    /// Ask a running service whether it is ready; exits with 0 if so
    Healthcheck(HealthcheckArgs),
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
    /// Settings file (TOML) [default: flashsale.toml where there is one]
    #[arg(long, global = true, value_name = "FILE", env = "FLASHSALE_CONFIG", display_order = 900)]
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
struct HealthcheckArgs {
    /// The service to ask [default: http.addr of the settings]
    #[arg(long, value_name = "HOST:PORT")]
    addr: Option<String>,
}

#[derive(Args)]
struct GuardArgs {
    #[arg(long)]
    data_dir: PathBuf,
    #[arg(long)]
    server: PathBuf,
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let Cli { command, serve, common } = Cli::parse();
    let misplaced = (serve.demo || serve.addr.is_some()) && !matches!(command, None | Some(Command::Serve(_)));
    let done = match command.unwrap_or(Command::Serve(serve.clone())) {
        _ if misplaced => Err("--demo and --addr in front of a command belong to serve".to_owned()),
        Command::Serve(args) => serve::run(&common, &args.or(serve)),
        Command::Config => show_config(&common),
        Command::Healthcheck(args) => healthcheck::run(&common, args.addr),
        Command::Rush(args) => return rush::run(&common, &args),
        Command::Trigger(args) => return trigger::run(&common, &args),
        Command::Sale(args) => return sale::run(&common, &args),
        Command::Product(args) => return product::run(&common, &args),
        Command::Audit(args) => return audit::run(&common, &args),
        Command::Export(args) => return export::run(&common, &args),
        Command::Import(args) => return import::run(&common, &args),
        Command::Guard(args) => embedded::guard(&args.data_dir, &args.server).map_err(|e| e.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&message);
            ExitCode::FAILURE
        }
    }
}

fn show_config(common: &CommonArgs) -> Result<(), String> {
    let shown = config::effective(common.config.as_deref(), &environment(), &Overrides::new());
    say(&shown.map_err(|e| e.to_string())?);
    Ok(())
}

/// Environment variables of flags; no settings.
const OF_FLAGS: [&str; 2] = ["FLASHSALE_CONFIG", "FLASHSALE_URL"];

/// What may be settings.
fn environment() -> config::Environment {
    let pairs = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    pairs.filter(|(name, _)| !OF_FLAGS.contains(&name.as_str())).collect::<HashMap<_, _>>()
}

/// A reader that went away is no reason to stop selling, so unlike `println!` this never panics.
fn say(text: &str) {
    let _nobody_reads = writeln!(io::stdout(), "{text}");
}

fn complain(text: &str) {
    tell(&format!("flashsale: {text}"));
}

/// What belongs to no report.
fn tell(text: &str) {
    let _nobody_reads = writeln!(io::stderr(), "{text}");
}

/// The service that is meant, without `--url` the one that these settings describe, as it is reached from this machine; and the
/// key that is shown there.
fn endpoint(url: Option<&str>, api_key: Option<&str>, settings: &Settings) -> Result<Endpoint, String> {
    let local = || format!("http://{}", healthcheck::reachable(settings.http.addr));
    let of_settings = settings.http.gate.api_keys.first().map(Secret::expose);
    Endpoint::parse(&url.map_or_else(local, str::to_owned))?.with_api_key(api_key.or(of_settings))
}
