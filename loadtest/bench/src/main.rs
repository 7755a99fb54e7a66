//! `make bench`: measures flashsale beside what others would do, and writes loadtest/RESULTS.md.
//!
//! Rounds are interleaved: in each, every candidate runs once, so that a noisy moment of the machine hits all alike, and
//! only ratios taken within a round are compared.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod controls;
mod measure;
mod report;
mod script;
mod stand;

use std::{io, net::SocketAddr, path::Path, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    controls::Control,
    measure::{Load, Run},
    report::{Results, Rounds},
    stand::{Candidate, Durability, Stand},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PLENTY: u64 = 1_000_000_000;
const LIVE_HOLDS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Measures flashsale beside what others would do. Starts everything itself; needs redis-server, wrk and curl.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Interleaved rounds; figures are medians over them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each run takes
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// Worker threads of the service and of the controls
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Only the workload whose name begins so
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

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
        redis: String,
    },
}

/// Something to measure, and beside what.
struct Workload {
    name: &'static str,
    load: Load,
    units: u64,
    /// Instead of the connections asked for.
    connections: Option<usize>,
    beside: &'static [Control],
    durability: Durability,
}

const WORKLOADS: [Workload; 7] = [
    Workload {
        name: "all succeed",
        load: Load::Holds,
        units: PLENTY,
        connections: None,
        beside: &[Control::C0, Control::C1, Control::C2],
        durability: Durability::EverySecond,
    },
    Workload {
        name: "sold out",
        load: Load::Holds,
        units: 0,
        connections: None,
        beside: &[Control::C0SoldOut, Control::C1, Control::C2],
        durability: Durability::EverySecond,
    },
    Workload {
        name: "lifecycle",
        load: Load::Lifecycle,
        units: PLENTY,
        connections: None,
        beside: &[Control::C0],
        durability: Durability::EverySecond,
    },
    Workload {
        name: "hot read",
        load: Load::Reads,
        units: PLENTY,
        connections: None,
        beside: &[Control::C0],
        durability: Durability::EverySecond,
    },
    Workload {
        name: "lone hold",
        load: Load::Holds,
        units: PLENTY,
        connections: Some(1),
        beside: &[Control::C2],
        durability: Durability::EverySecond,
    },
    Workload {
        name: "AOF off",
        load: Load::Holds,
        units: PLENTY,
        connections: None,
        beside: &[Control::C0],
        durability: Durability::Off,
    },
    Workload {
        name: "AOF always",
        load: Load::Holds,
        units: PLENTY,
        connections: None,
        beside: &[Control::C0],
        durability: Durability::Always,
    },
];

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Control { control, addr, workers, redis }) => controls::run(control, addr, workers, &redis),
        None => bench(&cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(cli: &Cli) -> io::Result<()> {
    let program = stand::program()?;
    let wanted = |name: &str| cli.only.as_ref().is_none_or(|only| name.starts_with(only.as_str()));
    let workloads: Vec<&Workload> = WORKLOADS.iter().filter(|workload| wanted(workload.name)).collect();
    let mut results: Vec<Rounds> = workloads.iter().map(|workload| Rounds::new(workload.name)).collect();
    for round in 1..=cli.rounds {
        for (workload, rounds) in workloads.iter().zip(&mut results) {
            eprintln!("round {round} of {}: {}", cli.rounds, workload.name);
            rounds.push(measure_all(cli, workload, &program)?);
        }
    }
    let growth = if wanted("growth") { script::growth(&LIVE_HOLDS)? } else { Vec::new() };
    let results =
        Results { rounds: results, growth, seconds: cli.seconds, workers: cli.workers, connections: cli.connections };
    let text = results.markdown();
    println!("{text}");
    if cli.only.is_none() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../RESULTS.md"), text)?;
    }
    Ok(())
}

/// One round of a workload: every candidate once, flashsale first.
fn measure_all(cli: &Cli, workload: &Workload, program: &Path) -> io::Result<Vec<(&'static str, Run)>> {
    let controls = workload.beside.iter().copied().map(Candidate::Control);
    let one = |candidate: Candidate| {
        let stand = Stand::start(candidate, cli.workers, workload.units, workload.durability, program)?;
        // A control has no orders: beside the lifecycle it answers holds.
        let load = if matches!((candidate, workload.load), (Candidate::Control(_), Load::Lifecycle)) {
            Load::Holds
        } else {
            workload.load
        };
        let connections = workload.connections.unwrap_or(cli.connections);
        measure::run(&stand, load, connections, 1)?;
        Ok((candidate.name(), measure::run(&stand, load, connections, cli.seconds)?))
    };
    std::iter::once(Candidate::Flashsale).chain(controls).map(one).collect()
}
