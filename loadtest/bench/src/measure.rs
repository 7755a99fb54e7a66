//! One run: wrk sends as much as it can, and the kernel and Redis report what that cost. Some workloads then run at parts of
//! that rate on schedule, for latencies that mean something.

use std::{fs, io, path::Path, time::Duration};

use crate::{
    http::{self, Line},
    pace::{self, Pace},
    running,
    stand::{Commands, Redis, Scripts, Stand, Store, commands, scripts},
};

/// Clock ticks of the kernel in a second: 100 on every Linux.
const TICKS: f64 = 100.0;
/// The beginning of a run on schedule, which does not count: connections and batches settle.
const SETTLING: Duration = Duration::from_millis(500);

/// What wrk sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    Holds,
    /// Holds that are refused for lack of units.
    SoldOut,
    Zipf,
    /// The same where all is sold out.
    ZipfSoldOut,
    Reads,
    Lifecycle,
    Drop,
}

/// Parts of the peak at which latencies are measured, in percent.
pub const PARTS_OF_PEAK: [u32; 3] = [50, 80, 95];

/// The figures of one run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// CPU time for each request, in microseconds.
    pub service_cpu_us: f64,
    pub store_cpu_us: f64,
    /// The part of the server that did most, where there are several.
    pub busiest_cpu_us: f64,
    /// Time in scripts, and calls of scripts, for each request.
    pub script_us: f64,
    pub calls: f64,
    /// Commands of Redis for each request, by their name.
    pub commands: Commands,
    /// At [`PARTS_OF_PEAK`].
    pub paced: [Option<Paced>; PARTS_OF_PEAK.len()],
}

/// Latencies at a part of the peak, on schedule.
#[derive(Clone, Copy, Debug)]
pub struct Paced {
    pub p50_us: f64,
    pub p99_us: f64,
}

/// # Errors
/// When wrk is missing or fails, or a process has ended.
pub fn run(stand: &Stand, load: Load, connections: usize, seconds: u64) -> io::Result<Run> {
    await_turn(stand)?;
    let before = Cost::until_now(stand)?;
    let said = wrk(stand, load, connections, seconds)?;
    let after = Cost::until_now(stand)?;
    let field = |name: &str| {
        let found = said.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
        found.ok_or_else(|| io::Error::other(format!("wrk does not say {name}: {said}")))
    };
    let (answers, us): (f64, f64) = (field("requests")?, field("us")?);
    // Refusals belong to these.
    let failed = if matches!(load, Load::SoldOut | Load::ZipfSoldOut | Load::Drop) { 0.0 } else { field("refused")? };
    // A failed request does not count, as when Redis stalls for longer than a call may take.
    let requests = answers - failed;
    if failed > 0.0 {
        eprintln!("{failed} of {answers} requests failed, and are not counted");
    }
    if field("errors")? > 0.0 || requests < 1.0 {
        return Err(io::Error::other(format!("requests failed: {said}")));
    }
    Ok(Run {
        per_second: requests / us * 1e6,
        p50_us: field("p50")?,
        p99_us: field("p99")?,
        service_cpu_us: (after.service_us - before.service_us) / requests,
        store_cpu_us: after.servers_since(&before).iter().sum::<f64>() / requests,
        busiest_cpu_us: after.servers_since(&before).into_iter().fold(0.0, f64::max) / requests,
        script_us: (after.scripts.us - before.scripts.us) / requests,
        calls: (after.scripts.calls - before.scripts.calls) / requests,
        commands: after.commands_since(&before, requests),
        paced: [None; PARTS_OF_PEAK.len()],
    })
}

/// Holds at this rate; `None` if these are too few to mean anything.
///
/// # Errors
/// When the candidate fails or does not keep up.
pub fn paced_load(stand: &Stand, rate: f64, connections: usize, seconds: u64) -> io::Result<Option<Paced>> {
    await_turn(stand)?;
    let lasting = SETTLING + Duration::from_secs(seconds);
    let heard = pace::drive(stand.addr, hold_request(), &Pace { rate, connections, lasting, skips_late: false })?;
    let settled = heard.between(SETTLING, lasting);
    let paced = Paced { p50_us: quantile(&settled, 0.5), p99_us: quantile(&settled, 0.99) };
    Ok((!settled.is_empty()).then_some(paced))
}

/// Waits until one last request is answered. Otherwise the requests that the clients of an earlier run left behind would be served
/// at the expense of this run: a slow candidate has a second's work of them.
fn await_turn(stand: &Stand) -> io::Result<()> {
    Line::open(stand.addr)?.ask(&hold_request()).map(drop)
}

/// A hold of one unit of product 1.
pub fn hold_request() -> Vec<u8> {
    http::request("POST", "/api/holds", &[], r#"{"product_id":1,"quantity":1}"#)
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a minute at most")]
pub fn quantile(latencies: &hdrhistogram::Histogram<u64>, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64
}

fn wrk(stand: &Stand, load: Load, connections: usize, seconds: u64) -> io::Result<String> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("wrk");
    let script = scripts.join(match load {
        Load::Holds | Load::SoldOut => "holds.lua",
        Load::Zipf | Load::ZipfSoldOut => "zipf.lua",
        Load::Reads => "reads.lua",
        Load::Lifecycle => "lifecycle.lua",
        Load::Drop => "drop.lua",
    });
    let mut command = running::command("wrk", None);
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "-s"]).arg(script);
    running::output(command.arg(format!("http://{}", stand.addr)))
}

/// CPU time and script calls of a stand so far.
struct Cost {
    service_us: f64,
    /// CPU time of each server.
    store_us: Vec<f64>,
    scripts: Scripts,
    commands: Commands,
}

impl Cost {
    fn until_now(stand: &Stand) -> io::Result<Self> {
        let mut cost = Self {
            service_us: cpu_us(stand.pid())?,
            store_us: Vec::new(),
            scripts: Scripts::default(),
            commands: Commands::new(),
        };
        match stand.store() {
            Store::Redis(servers, _) => servers.iter().try_for_each(|server| cost.add(server))?,
            Store::Postgres(postgres) => cost.store_us.push(family_cpu_us(postgres.pid())?),
        }
        Ok(cost)
    }

    fn add(&mut self, server: &Redis) -> io::Result<()> {
        let mut connection = server.connect()?;
        self.store_us.push(cpu_us(server.pid())?);
        let Scripts { calls, us } = scripts(&mut connection)?;
        (self.scripts.calls, self.scripts.us) = (self.scripts.calls + calls, self.scripts.us + us);
        for (name, count) in commands(&mut connection)? {
            *self.commands.entry(name).or_default() += count;
        }
        Ok(())
    }

    /// CPU time of each server.
    fn servers_since(&self, before: &Self) -> Vec<f64> {
        self.store_us.iter().zip(&before.store_us).map(|(after, before)| after - before).collect()
    }

    /// Commands for each request.
    fn commands_since(self, before: &Self, requests: f64) -> Commands {
        let since = |(name, count): (String, f64)| {
            let count = count - before.commands.get(&name).copied().unwrap_or(0.0);
            (name, count / requests)
        };
        self.commands.into_iter().map(since).collect()
    }
}

/// CPU time of a process so far, its threads included.
pub fn cpu_us(pid: u32) -> io::Result<f64> {
    Ok(Stat::read(&format!("/proc/{pid}/stat"))?.cpu_us)
}

/// CPU time of a process and its children, which are PostgreSQL's sessions and writers.
fn family_cpu_us(pid: u32) -> io::Result<f64> {
    let mut all = cpu_us(pid)?;
    for entry in fs::read_dir("/proc")?.flatten() {
        // An entry that is no process, or has ended meanwhile, cannot be read.
        if let Ok(stat) = Stat::read(&entry.path().join("stat").to_string_lossy())
            && stat.parent == pid
        {
            all += stat.cpu_us;
        }
    }
    Ok(all)
}

/// The kernel's figures of a process.
struct Stat {
    parent: u32,
    cpu_us: f64,
}

impl Stat {
    fn read(path: &str) -> io::Result<Self> {
        let stat = fs::read_to_string(path)?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        let parent = fields.get(1).and_then(|field| field.parse().ok()).unwrap_or(0);
        Ok(Self { parent, cpu_us: (ticks(11) + ticks(12)) / TICKS * 1e6 })
    }
}
