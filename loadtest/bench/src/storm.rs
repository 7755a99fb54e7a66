//! The expiry storm: very many holds lapse in one second, while a load at half of the peak continues.

use std::{
    io,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    measure::{self, Load, hold_request, quantile},
    pace::{self, Pace, SLICE},
    script::Holds,
    stand::{Durability, Ground, Setup, Stand},
    workloads::{PLENTY, Size},
};

pub const HOLDS: usize = 100_000;
/// The time from the load's first request to the storm.
const CALM: Duration = Duration::from_secs(5);
/// The beginning of that time, which does not count: connections and batches settle.
const SETTLING: Duration = Duration::from_secs(1);
/// The part that is judged: the second after the deadline.
const STORM: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_secs(3);
/// The longest time for making the holds.
const FILLING: Duration = Duration::from_secs(8);
/// Scripts that take longer are in Redis's slow log.
const SLOW_US: u64 = 200;
pub const SLOW_MS: f64 = 0.2;

/// The figures of one storm.
#[derive(Clone, Debug, Default)]
pub struct Storm {
    pub rate: f64,
    pub before_p99_us: f64,
    pub during_p99_us: f64,
    /// The longest script within the seconds of the storm and before it, in milliseconds; `None` if it is too short for the slow log.
    pub longest_ms: Option<f64>,
    pub longest_before_ms: Option<f64>,
    /// p50 and p99 of each slice of time, in microseconds, by seconds from the deadline on.
    pub timeline: Vec<(f64, f64, f64)>,
}

/// The approximate seconds of a storm.
pub fn weight(size: Size) -> f64 {
    let load = FILLING + CALM + STORM + AFTER + Duration::from_secs(size.seconds);
    load.as_secs_f64() + 2.5
}

/// # Errors
/// When something cannot be started, fails, or the holds do not lapse as they should.
pub fn storm(ground: &Ground, Size { connections, seconds }: Size) -> io::Result<Storm> {
    let setup = Setup::of(1, PLENTY, Durability::EverySecond);
    let stand = Stand::start(ground, &setup)?;
    measure::run(&stand, Load::Holds, connections, 1)?;
    let peak = measure::run(&stand, Load::Holds, connections, seconds)?.per_second;
    let mut redis = stand.redis()?.connect()?;
    let deadline = next_second(FILLING + CALM)?;
    fill(&stand, deadline)?;
    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
    std::thread::sleep(left.checked_sub(CALM).ok_or_else(|| io::Error::other("the holds were made too slowly"))?);

    log_slow_scripts(&mut redis)?;
    let pace = Pace { rate: peak / 2.0, connections, lasting: CALM + STORM + AFTER, skips_late: false };
    let heard = pace::drive(stand.addr, hold_request(), &pace)?;
    let to_storm = deadline.duration_since(heard.started).unwrap_or_default();
    await_lapse(&mut redis, deadline)?;

    let slow = slow_scripts(&mut redis)?;
    let second = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let longest = |within: &dyn Fn(u64) -> bool| {
        slow.iter().filter(|(at, _)| within(*at)).map(|(_, ms)| *ms).max_by(f64::total_cmp)
    };
    let timeline = heard.slices.iter().zip(0_u32..).filter(|(slice, _)| !slice.is_empty()).map(|(slice, n)| {
        let from_deadline = (SLICE * n).as_secs_f64() - to_storm.as_secs_f64();
        (from_deadline, quantile(slice, 0.5), quantile(slice, 0.99))
    });
    Ok(Storm {
        rate: pace.rate,
        before_p99_us: quantile(&heard.between(SETTLING, to_storm), 0.99),
        during_p99_us: quantile(&heard.between(to_storm.saturating_sub(SLICE), to_storm + STORM + SLICE), 0.99),
        longest_ms: longest(&|at| at >= second),
        longest_before_ms: longest(&|at| at < second),
        timeline: timeline.collect(),
    })
}

/// Makes holds that all lapse at this deadline, with the service's own script.
fn fill(stand: &Stand, deadline: SystemTime) -> io::Result<()> {
    let mut holds = Holds::of(stand.redis()?)?;
    while holds.made() < HOLDS {
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        // Deadlines are rounded up to whole seconds, so this leaves half a second for the call.
        holds.hold(Some(left.saturating_sub(Duration::from_millis(500))))?;
    }
    Ok(())
}

/// The first whole second after this time from now.
fn next_second(from_now: Duration) -> io::Result<SystemTime> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    Ok(UNIX_EPOCH + Duration::from_secs((now + from_now).as_secs() + 1))
}

fn log_slow_scripts(redis: &mut redis::Connection) -> io::Result<()> {
    let mut pipe = redis::pipe();
    pipe.cmd("CONFIG").arg("SET").arg("slowlog-log-slower-than").arg(SLOW_US);
    pipe.cmd("CONFIG").arg("SET").arg("slowlog-max-len").arg(100_000).cmd("SLOWLOG").arg("RESET");
    pipe.exec(redis).map_err(io::Error::other)
}

/// The epoch second and the milliseconds of each slow script.
fn slow_scripts(redis: &mut redis::Connection) -> io::Result<Vec<(u64, f64)>> {
    type Entry = (u64, u64, f64, Vec<redis::Value>, redis::Value, redis::Value);
    let mut get = redis::cmd("SLOWLOG");
    let entries: Vec<Entry> = get.arg("GET").arg(-1).query(redis).map_err(io::Error::other)?;
    let is_script =
        |name: &redis::Value| matches!(name, redis::Value::BulkString(text) if text.eq_ignore_ascii_case(b"EVALSHA"));
    let scripts = entries.iter().filter(|(.., command, _, _)| command.first().is_some_and(is_script));
    Ok(scripts.map(|(_, at, us, ..)| (*at, us / 1_000.0)).collect())
}

/// Waits until the units of all these holds, which are one bucket, are back: otherwise there was no storm. Redis drops the last of
/// their keys much later, because it samples.
fn await_lapse(redis: &mut redis::Connection, deadline: SystemTime) -> io::Result<()> {
    let ms = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        let mut is_there = redis::cmd("HEXISTS");
        let is_there: bool =
            is_there.arg("fs1:{p1}:lapses").arg(format!("{ms}:1:h")).query(redis).map_err(io::Error::other)?;
        if !is_there {
            return Ok(());
        }
        std::thread::sleep(SLICE);
    }
    Err(io::Error::other("the holds of the storm did not lapse"))
}
