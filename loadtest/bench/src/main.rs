//! `make bench`: measures flashsale against other designs, and writes loadtest/RESULTS.md.
//!
//! Rounds are interleaved: in each, every candidate runs once, so that a noisy moment of the machine hits all of them, and
//! only ratios within a round are compared.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::doc_markdown, reason = "PostgreSQL is a name, and help texts show backticks")]

mod controls;
mod growth;
mod http;
mod measure;
mod orders;
mod overload;
mod pace;
mod progress;
mod report;
mod running;
mod script;
mod stand;
mod storm;
mod workloads;

use std::{io, net::SocketAddr, path::Path, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};

use crate::{
    controls::Control,
    progress::Progress,
    report::{Results, rounds::Rounds},
    stand::{Cluster, Ground},
    workloads::{Size, WORKLOADS, Workload},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const STORM: &str = "storm";
const GROWTH: &str = "growth";
const ORDERS: &str = "orders";
const OVERLOAD: &str = "overload";
/// More storms add little: each has thousands of latencies in its second.
const STORMS_MAX: usize = 3;

/// Measures flashsale against other designs, and writes loadtest/RESULTS.md with its plots.
///
/// Starts everything itself, each candidate on a Redis or PostgreSQL of its own, and ends it, also on Ctrl-C. Needs wrk and
/// redis-server or valkey-server; without PostgreSQL it leaves control C3 out. Candidates take turns: look at the ratios, not
/// at requests per second, which depend on this machine at this moment.
#[derive(Parser)]
#[command(after_help = PARTS)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Number of interleaved rounds; figures are medians over them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Length of each run
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Connections of the load generator, except for a lone hold, which has one
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=4096))]
    connections: u64,
    /// Worker threads of the service and of the controls
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=256))]
    workers: u64,
    /// Number of finished orders to grow to
    #[arg(long, default_value_t = orders::MANY, value_parser = clap::value_parser!(u64).range(orders::FEW..=10_000_000))]
    orders: u64,
    /// Only this part, by the beginning of its name; may be repeated. Prints the tables and writes no files
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
}

const PARTS: &str = "\
Parts:
  all succeed     holds, and there are units for all; then at 50, 80 and 95 % of each candidate's peak
  sold out        holds, and there are no units
  lifecycle       hold, order, paid
  hot read        one product is read
  lone hold       one connection: what a buyer waits for on an idle service
  1,000 products  holds of many products of one sale, of which some are wanted most (zipf)
  1,000 sales     the same, each product in a sale of its own
  sold-out sales  the same, and there are no units
  drop            30 products in 3 groups, 10,000 customers with two units in each: hold, order, paid, and some events twice
  workers         all succeed, with one worker, two and four
  cluster         1,000 sales, on one server, a cluster of one primary and one of three
  durability      AOF off, every second, always
  storm           100,000 holds lapse in one second under half of the peak
  growth          what a hold costs Redis, from 1,000 to 1,000,000 live holds
  orders          what a finished order costs Redis, from 10,000 to 1,000,000 of them
  overload        twice and ten times what a slow Redis can do is asked for

Candidates:
  C0  empty handlers that parse the same bodies and answer as many bytes
  C1  one pool.get() and one script call for each request
  C2  one script call for each request on a multiplexed connection
  C3  PostgreSQL: SELECT ... FOR UPDATE, sum of active holds, INSERT, COMMIT

Examples:
  make bench                                                   all of it, about 22 minutes
  make bench ROUNDS=1 SECONDS=1                                the same, roughly, in a third of that
  target/release/flashsale-bench --only 'sold out' --rounds 3
  target/release/flashsale-bench --only storm --only growth";

#[derive(Subcommand)]
enum Command {
    /// Serve as a control (the benchmark starts these by itself)
    #[command(hide = true)]
    Control {
        control: Control,
        #[arg(long)]
        addr: SocketAddr,
        #[arg(long)]
        workers: usize,
        #[arg(long)]
        store: String,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Command::Control { control, addr, workers, store }) = &cli.command {
        let Err(error) = controls::run(*control, *addr, *workers, store) else { return ExitCode::SUCCESS };
        eprintln!("bench: control {control:?}: {error}");
        return ExitCode::FAILURE;
    }
    if let Some(unknown) = cli.only.iter().find(|only| !names().any(|name| name.starts_with(only.as_str()))) {
        let known: Vec<_> = names().collect();
        let text = format!("there is no part '{unknown}'; the parts are: {}", known.join(", "));
        Cli::command().error(ErrorKind::InvalidValue, text).exit();
    }
    running::until_interrupted(|| bench(&cli))
}

fn names() -> impl Iterator<Item = &'static str> {
    WORKLOADS.iter().map(|workload| workload.name).chain([STORM, GROWTH, ORDERS, OVERLOAD])
}

fn bench(cli: &Cli) -> io::Result<()> {
    if running::find("wrk").is_none() {
        return Err(io::Error::other("wrk is not in PATH: run scripts/bootstrap --bench"));
    }
    stand::redis_program()?;
    let cluster = Cluster::make()?;
    if cluster.is_none() {
        eprintln!("skipped: C3, because no PostgreSQL server is installed (Debian: apt-get install postgresql)");
    }
    let ground = Ground { program: stand::program()?, cluster, workers: size(cli.workers) };
    let results = measure(cli, &ground)?;
    let text = results.markdown();
    println!("{text}");
    if cli.only.is_empty() {
        results.write(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &text)?;
    }
    Ok(())
}

fn measure(cli: &Cli, ground: &Ground) -> io::Result<Results> {
    let wanted = |name: &str| cli.only.is_empty() || cli.only.iter().any(|only| name.starts_with(only.as_str()));
    let per_run = Size { connections: size(cli.connections), seconds: cli.seconds };
    let workloads: Vec<&Workload> = WORKLOADS.iter().filter(|workload| wanted(workload.name)).collect();
    let rounds = size(cli.rounds);
    let storms = if wanted(STORM) { rounds.min(STORMS_MAX) } else { 0 };
    let progress = Progress::of(
        script::count(rounds) * workloads.iter().map(|workload| workload.weight(ground, per_run)).sum::<f64>()
            + script::count(storms) * storm::weight(per_run)
            + if wanted(GROWTH) { growth::weight() } else { 0.0 }
            + if wanted(ORDERS) { orders::weight(cli.orders) } else { 0.0 }
            + if wanted(OVERLOAD) { overload::weight() } else { 0.0 },
    );

    let mut results = Results::new(ground, rounds, per_run);
    results.workloads = workloads.iter().map(|workload| Rounds::new(workload.name, workload.names())).collect();
    for round in 0..rounds {
        for (workload, measured) in workloads.iter().zip(&mut results.workloads) {
            measured.push(workload.measure(ground, per_run, round, &progress)?);
        }
        if round < storms {
            progress.step(storm::weight(per_run), &format!("round {}: storm", round + 1));
            results.storms.push(storm::storm(ground, per_run)?);
        }
    }
    if wanted(GROWTH) {
        results.growth = growth::growth(ground, &progress)?;
    }
    if wanted(ORDERS) {
        results.orders = orders::growth(ground, per_run.connections, cli.orders, &progress)?;
    }
    if wanted(OVERLOAD) {
        progress.step(overload::weight(), "overload");
        results.overload = overload::overload(ground)?;
    }
    Ok(results)
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
