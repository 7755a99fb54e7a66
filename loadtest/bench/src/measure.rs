//! One run: wrk sends, and the kernel and Redis tell what it cost.

use std::{fs, io, path::Path, process::Command};

use crate::stand::{Redis, Stand};

/// Clock ticks of the kernel in a second, which is 100 on every Linux that there is.
const TICKS: f64 = 100.0;

/// What wrk sends.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    Holds,
    Reads,
    Lifecycle,
}

/// What one run gave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// CPU time for each request, in microseconds.
    pub service_cpu_us: f64,
    pub redis_cpu_us: f64,
    /// Time in scripts for each request, in microseconds, and requests for each call of one.
    pub script_us: f64,
    pub batch: f64,
}

/// What Redis says of its script calls so far.
struct Scripts {
    calls: f64,
    us: f64,
}

/// # Errors
/// When wrk is missing or fails, or a process has ended.
pub fn run(stand: &Stand, load: Load, connections: usize, seconds: u64) -> io::Result<Run> {
    let before = (cpu_us(stand.pid())?, cpu_us(stand.redis.pid())?, scripts(&stand.redis)?);
    let said = wrk(stand, load, connections, seconds)?;
    let after = (cpu_us(stand.pid())?, cpu_us(stand.redis.pid())?, scripts(&stand.redis)?);
    let field = |name: &str| {
        let found = said.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
        found.ok_or_else(|| io::Error::other(format!("wrk does not say {name}: {said}")))
    };
    let (requests, us): (f64, f64) = (field("requests")?, field("us")?);
    if field("errors")? > 0.0 {
        return Err(io::Error::other(format!("requests failed: {said}")));
    }
    let calls = after.2.calls - before.2.calls;
    Ok(Run {
        per_second: requests / us * 1e6,
        p50_us: field("p50")?,
        p99_us: field("p99")?,
        service_cpu_us: (after.0 - before.0) / requests,
        redis_cpu_us: (after.1 - before.1) / requests,
        script_us: (after.2.us - before.2.us) / requests,
        batch: if calls > 0.0 { requests / calls } else { 0.0 },
    })
}

fn wrk(stand: &Stand, load: Load, connections: usize, seconds: u64) -> io::Result<String> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("wrk");
    let script = scripts.join(match load {
        Load::Holds => "holds.lua",
        Load::Reads => "reads.lua",
        Load::Lifecycle => "lifecycle.lua",
    });
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "-s"]).arg(script);
    let output = command.arg(format!("http://{}", stand.addr)).output();
    let output = output.map_err(|e| io::Error::other(format!("wrk cannot be started (apt-get install wrk): {e}")))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// CPU time of a process so far, its threads included.
fn cpu_us(pid: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / TICKS * 1e6)
}

fn scripts(redis: &Redis) -> io::Result<Scripts> {
    let mut connection = redis.connect()?;
    let info: String = redis::cmd("INFO").arg("commandstats").query(&mut connection).map_err(io::Error::other)?;
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:")).unwrap_or("");
    let field = |name: &str| {
        line.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')?.parse().ok()).unwrap_or(0.0)
    };
    Ok(Scripts { calls: field("calls"), us: field("usec") })
}
