//! The command line.

mod arguments;
mod audit;
mod audit_against;
mod bulk;
mod config_command;
mod customer;
mod demo;
mod doctor;
mod event;
mod event_choice;
mod event_line;
mod exit;
mod export;
mod export_events;
mod healthcheck;
mod import;
mod import_columns;
mod import_counts;
mod import_file;
mod import_preset;
mod import_report;
mod import_table;
mod instant;
mod list;
mod order;
mod order_cancel;
mod order_list;
mod output;
mod payment;
mod print;
mod product;
mod product_life;
mod product_list;
mod product_restock;
mod progress;
mod review;
mod rush;
mod sale;
mod serve;
mod service;
mod source;
mod table;
mod trigger;
mod watch;

use std::{collections::HashMap, env, ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use self::{
    arguments::variable,
    exit::Exit,
    print::{print_error, stdout_error},
};
use crate::{
    app,
    config::{self, Loaded, Overrides, Sources},
    embedded,
};

/// Sells a hundred things to ten thousand people: exact stock, holds with a time limit, orders and payments.
///
/// Without a Redis URL the service starts its own private Redis. To try it: flashsale serve --demo
#[derive(Parser)]
#[command(version, max_term_width = HELP_COLUMNS_MAX)]
#[command(after_help = "Exit status: 0 done; 1 failed or refused; 2 bad flags or settings, or the result is unknown. \
    The help of each command has more.")]
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
    /// Run the service (the default without a command)
    #[command(
        after_help = "Exit status: 0 stopped by a signal; 1 could not start or continue; 2 bad flags or settings."
    )]
    Serve(ServeArgs),
    /// Show the settings in force, as TOML, with secrets hidden; exits with 2 if they are invalid
    #[command(args_conflicts_with_subcommands = true)]
    Config(config_command::ConfigArgs),
    /// Check whether a running service is ready; exits with 0 if so
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Look at Redis and this machine: what is weak, what is wrong, and what to do; changes nothing
    Doctor(doctor::DoctorArgs),
    /// Rehearse a sale: thousands of buyers against a running service, and a proof that nothing was oversold
    Rush(rush::RushArgs),
    /// Send payment events to a running service, signed like those of a payment provider, to try every case
    Trigger(trigger::TriggerArgs),
    /// List, show, create, change, pause and resume sales
    Sale(sale::SaleArgs),
    /// List, show, create, change and restock products
    Product(product::ProductArgs),
    /// List, show and cancel orders
    Order(order::OrderArgs),
    /// Show what a customer has, and why their next hold would be refused
    Customer(customer::CustomerArgs),
    /// List, show and resolve reviews: money that a person must look at
    Review(review::ReviewArgs),
    /// List and follow events: what happened to orders, reviews, products and sales
    Event(event::EventArgs),
    /// Show a payment, its order and its reviews, by the provider's id
    Payment(payment::PaymentArgs),
    /// Watch a sale: stock, holds and refusals a second, payments, open reviews, Redis
    Watch(watch::WatchArgs),
    /// Compare counters and indexes with the records, and repair them
    Audit(audit::AuditArgs),
    /// Write all orders, or those of a sale or status, or their payments, as CSV or NDJSON
    Export(export::ExportArgs),
    /// Create products from a CSV or NDJSON file; a bad row is reported and stops no other
    Import(import::ImportArgs),
    /// Watch over the embedded Redis of a data folder (the service starts this by itself)
    #[command(hide = true)]
    Guard(GuardArgs),
}

#[derive(Args, Clone)]
struct CommonArgs {
    /// Settings file (TOML) [default: `FLASHSALE_CONFIG`, else flashsale.toml if it exists]
    #[arg(long, global = true, value_name = "FILE", display_order = 900)]
    config: Option<PathBuf>,
}

#[derive(Args, Clone)]
struct ServeArgs {
    /// Demo: add product 1, accept unsigned payment events of providers without a secret, make an admin token, and print what to
    /// try
    #[arg(long)]
    demo: bool,
    /// Address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    addr: Option<String>,
}

impl ServeArgs {
    /// Flags may also come before the word `serve`.
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

/// Longer lines of help are hard to read.
const HELP_COLUMNS_MAX: usize = 100;

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let exit = dispatch();
    let Some(error) = stdout_error() else { return exit.into() };
    print_error(&format!("stdout takes no more: {error}; the output is not complete"));
    Exit::Unknown.into()
}

fn dispatch() -> Exit {
    let Cli { command, serve, mut common } = Cli::parse();
    if common.config.is_none() {
        common.config = match variable(CONFIG) {
            Ok(path) => path.map(PathBuf::from),
            Err(message) => {
                print_error(&message);
                return Exit::Unknown;
            }
        };
    }
    let misplaced = (serve.demo || serve.addr.is_some()) && !matches!(command, None | Some(Command::Serve(_)));
    let done = match command.unwrap_or(Command::Serve(serve.clone())) {
        _ if misplaced => Err((Exit::Unknown, "--demo and --addr in front of a command belong to serve".to_owned())),
        Command::Serve(args) => return serve::run(&common, &args.or(serve)),
        Command::Config(args) => config_command::run(&common, &args).map_err(|message| (Exit::Unknown, message)),
        Command::Healthcheck(args) => return healthcheck::run(&common, &args),
        Command::Doctor(args) => return doctor::run(&common, &args),
        Command::Rush(args) => return rush::run(&common, &args),
        Command::Trigger(args) => return trigger::run(&common, &args),
        Command::Sale(args) => return sale::run(&common, &args),
        Command::Product(args) => return product::run(&common, &args),
        Command::Order(args) => return order::run(&common, &args),
        Command::Customer(args) => return customer::run(&common, &args),
        Command::Review(args) => return review::run(&common, &args),
        Command::Event(args) => return event::run(&common, &args),
        Command::Payment(args) => return payment::run(&common, &args),
        Command::Watch(args) => return watch::run(&common, &args),
        Command::Audit(args) => return audit::run(&common, &args),
        Command::Export(args) => return export::run(&common, &args),
        Command::Import(args) => return import::run(&common, &args),
        Command::Guard(args) => embedded::guard(&args.data_dir, &args.server).map_err(|e| (Exit::No, e.to_string())),
    };
    match done {
        Ok(()) => Exit::Done,
        Err((exit, message)) => {
            print_error(&message);
            exit
        }
    }
}

/// The settings of the file, the environment and these flags.
///
/// # Errors
/// Everything that is wrong with them, as one text.
fn load(common: &CommonArgs, flags: &Overrides) -> Result<Loaded, String> {
    let sources = Sources { file: common.config.as_deref(), environment: &environment(), flags };
    app::load_settings(sources).map_err(|complaints| complaints.to_string())
}

/// Names the settings file where no flag does. Read here and not by clap, whose usage would show the flag as a required one.
const CONFIG: &str = "FLASHSALE_CONFIG";
/// Names the service where no flag does.
const URL: &str = "FLASHSALE_URL";
/// Environment variables that stand for flags and are no settings.
const FLAG_VARIABLES: [&str; 2] = [CONFIG, URL];

/// The environment variables that may be settings. Bytes that are no UTF-8 stay, for the settings to complain about.
fn environment() -> config::Environment {
    let lossy = |text: OsString| text.to_string_lossy().into_owned();
    let pairs = env::vars_os().map(|(name, value)| (lossy(name), lossy(value)));
    pairs.filter(|(name, _)| !FLAG_VARIABLES.contains(&name.as_str())).collect::<HashMap<_, _>>()
}
