//! The results, as a document and as plots.

mod figures;
mod plots;
pub mod rounds;
mod svg;
mod tables;

use std::{fs, io, path::Path};

use self::rounds::Rounds;
use crate::{
    controls::SESSIONS,
    growth, orders, overload,
    stand::{Ground, SETTINGS},
    storm::Storm,
    workloads::Size,
};

const METHOD: &str = include_str!("method.md");
/// The folder of the plots, beside the document.
const PLOTS: &str = "plots";

/// With fewer rounds or shorter runs than these, the document says that it is only a rough look.
const ROUNDS_ENOUGH: usize = 5;
const SECONDS_ENOUGH: u64 = 2;

pub struct Results {
    rounds: usize,
    size: Size,
    workers: usize,
    postgres: Option<String>,
    /// Read before a part of the benchmark keeps this process on one core.
    machine: String,
    pub workloads: Vec<Rounds>,
    pub storms: Vec<Storm>,
    pub growth: Vec<growth::Mark>,
    pub orders: Vec<orders::Mark>,
    pub overload: Vec<overload::Mark>,
}

impl Results {
    pub fn new(ground: &Ground, rounds: usize, size: Size) -> Self {
        Self {
            rounds,
            size,
            workers: ground.workers,
            postgres: ground.cluster.as_ref().map(|cluster| cluster.version().to_owned()),
            machine: machine(),
            workloads: Vec::new(),
            storms: Vec::new(),
            growth: Vec::new(),
            orders: Vec::new(),
            overload: Vec::new(),
        }
    }

    pub fn markdown(&self) -> String {
        let mut out =
            String::from("# Results\n\nWritten by `make bench`. Medians, with the [least, most] of the rounds.\n");
        if self.rounds < ROUNDS_ENOUGH || self.size.seconds < SECONDS_ENOUGH {
            out.push_str("\n**A short run, for a look at the format: its figures are rough.**\n");
        }
        tables::write_figures(self, &mut out);
        tables::write_speed(self, &mut out);
        tables::write_costs(self, &mut out);
        tables::write_commands(self, &mut out);
        tables::write_paced(self, &mut out);
        tables::write_workers(self, &mut out);
        tables::write_cluster(self, &mut out);
        tables::write_durability(self, &mut out);
        tables::write_storms(self, &mut out);
        tables::write_growth(self, &mut out);
        tables::write_orders(self, &mut out);
        tables::write_overload(self, &mut out);
        out.push_str(&self.method());
        out
    }

    /// Writes the document and its plots into this folder.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path, text: &str) -> io::Result<()> {
        fs::create_dir_all(folder.join(PLOTS))?;
        for (name, svg) in plots::plots(self) {
            fs::write(folder.join(PLOTS).join(name), svg)?;
        }
        fs::write(folder.join("RESULTS.md"), text)
    }

    fn method(&self) -> String {
        let c3 = self.postgres.as_ref().map_or_else(
            || "**C3 was skipped: no PostgreSQL server is installed on this machine.**".to_owned(),
            |version| format!("Here it is PostgreSQL {version}."),
        );
        let settings: Vec<_> = SETTINGS.iter().map(|setting| format!("`{setting}`")).collect();
        let mut text = METHOD.to_owned();
        for (name, value) in [
            ("{rounds}", self.rounds.to_string()),
            ("{seconds}", self.size.seconds.to_string()),
            ("{connections}", self.size.connections.to_string()),
            ("{workers}", if self.workers == 1 { "one worker".into() } else { format!("{} workers", self.workers) }),
            ("{machine}", self.machine.clone()),
            ("{sessions}", SESSIONS.to_string()),
            ("{settings}", settings.join(", ")),
            ("{c3}", c3),
            ("{slow_ms}", crate::storm::SLOW_MS.to_string()),
        ] {
            text = text.replace(name, &value);
        }
        text
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.split('-').next().unwrap_or("").trim();
    let (name, gib) = (model.map_or("unknown processor", |(_, name)| name), kib.unwrap_or(0_u64) / 1_048_576);
    format!("{cores} cores of {name}, {gib} GiB of memory, Linux {kernel}")
}
