//! Overload: more holds come than a slow Redis decides. What matters is how many are still served in time, what a refusal costs,
//! and how long those wait who are served.
//!
//! Redis is slowed down: it is stopped most of the time. So the load generator can send ten times what is served, and the rest of
//! the machine is not what is measured. Service and generator run on cores of their own, where there are two.

use std::{
    io,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    process::{Pid, Signal, kill_process, setpriority_process},
    thread::gettid,
};

use crate::{
    http,
    measure::{cpu_us, quantile},
    pace::{self, Answers, Pace},
    running,
    stand::{Durability, Ground, Setup, Stand},
    workloads::PLENTY,
};

/// Redis runs for the first of each of these, and stands still for the rest.
const RUNS: Duration = Duration::from_millis(1);
const STANDS: Duration = Duration::from_millis(19);
/// Each is a sale of its own, so that no two holds share a call.
const SALES: u64 = 2_000;
/// What is offered, in parts of the peak.
const OFFERED: [f64; 3] = [1.0, 2.0, 10.0];
const CONNECTIONS: usize = 4_000;
/// Niceness of the clients, where they cannot be told to yield to all.
const NICE: i32 = 10;
/// A hold that is served later than this is not served in time.
const IN_TIME: Duration = Duration::from_secs(1);
/// The beginning of each run, which does not count.
const SETTLING: Duration = Duration::from_secs(2);
const LASTING: Duration = Duration::from_secs(8);
/// What is sent to find the peak grows by this from one run to the next, until no more is served.
const STEP: f64 = 1.5;
const FIRST_RATE: f64 = 100.0;
const STEPS_MAX: usize = 14;

/// What came of one load.
#[derive(Clone, Debug)]
pub struct Mark {
    /// What the holds are of.
    pub of: &'static str,
    /// In parts of the peak.
    pub wanted: f64,
    /// Requests a second.
    pub offered: f64,
    /// Holds a second that were made in time.
    pub served: f64,
    pub served_p50_us: f64,
    pub served_p99_us: f64,
    pub refused: f64,
    pub refused_p99_us: f64,
    /// CPU time of the service for each second.
    pub cpu_us: f64,
}

/// The approximate seconds of it.
pub fn weight() -> f64 {
    2.0 * (SETTLING + LASTING).as_secs_f64() * 9.0
}

/// # Errors
/// When something cannot be started, or breaks.
pub fn overload(ground: &Ground) -> io::Result<Vec<Mark>> {
    let mut marks = Vec::new();
    for (of, products) in [("one product", 1), ("2,000 sales", SALES)] {
        let setup = Setup::of(products, PLENTY, Durability::Off);
        let stand = Stand::start(ground, &setup)?;
        pin(stand.pid(), 0)?;
        pin(std::process::id(), 1)?;
        pin(stand.redis()?.pid(), 1)?;
        let requests: Vec<_> = (1..=products).map(hold_of).collect();
        // Before Redis is slow: the worker knows all products then.
        pace::drive_all(
            stand.addr,
            requests.clone(),
            &Pace { rate: 500.0, connections: 16, lasting: IN_TIME, skips_late: false },
        )?;
        let _slow = Slowed::start(stand.redis()?.pid());
        // A thread of its own, because its priority stays low.
        let loads = thread::scope(|scope| scope.spawn(|| loads(&stand, &requests)).join());
        let loads = loads.map_err(|_| io::Error::other("the load generator panicked"))??;
        marks.extend(loads.into_iter().map(|mark| Mark { of, ..mark }));
    }
    Ok(marks)
}

/// The peak, and what came of more.
fn loads(stand: &Stand, requests: &[Vec<u8>]) -> io::Result<Vec<Mark>> {
    yield_to_all()?;
    let peak = peak(stand, requests)?;
    OFFERED.iter().map(|wanted| Ok(Mark { wanted: *wanted, ..load(stand, requests, peak * wanted)? })).collect()
}

fn hold_of(product: u64) -> Vec<u8> {
    http::request("POST", "/api/holds", &[], &format!(r#"{{"product_id":{product},"quantity":1}}"#))
}

/// The most holds a second, found by offering more and more.
fn peak(stand: &Stand, requests: &[Vec<u8>]) -> io::Result<f64> {
    let (mut best, mut rate) = (0.0, FIRST_RATE);
    for _ in 0..STEPS_MAX {
        let served = load(stand, requests, rate)?.served;
        if served < best {
            break;
        }
        best = served;
        rate *= STEP;
    }
    Ok(best)
}

fn load(stand: &Stand, requests: &[Vec<u8>], rate: f64) -> io::Result<Mark> {
    let lasting = SETTLING + LASTING;
    let before = cpu_us(stand.pid())?;
    let answers = pace::drive_all(
        stand.addr,
        requests.to_vec(),
        &Pace { rate, connections: CONNECTIONS, lasting, skips_late: true },
    )?;
    let cpu = (cpu_us(stand.pid())? - before) / lasting.as_secs_f64();
    if answers.failed > 0 {
        return Err(io::Error::other(format!("{} of {} requests failed", answers.failed, answers.sent)));
    }
    Ok(Mark::of(&answers, lasting, cpu))
}

impl Mark {
    #[expect(clippy::cast_precision_loss, reason = "requests of seconds")]
    fn of(answers: &Answers, lasting: Duration, cpu_us: f64) -> Self {
        let (served, refused) = (answers.served.between(SETTLING, lasting), answers.refused.between(SETTLING, lasting));
        let in_time = u64::try_from(IN_TIME.as_micros()).unwrap_or(u64::MAX);
        let a_second = |count: u64| count as f64 / LASTING.as_secs_f64();
        Self {
            of: "",
            wanted: 0.0,
            offered: a_second(served.len() + refused.len()),
            served: a_second(served.count_between(0, in_time)),
            served_p50_us: quantile(&served, 0.5),
            served_p99_us: quantile(&served, 0.99),
            refused: a_second(refused.len()),
            refused_p99_us: quantile(&refused, 0.99),
            cpu_us,
        }
    }
}

/// Keeps a process on one core, where the machine has another one.
fn pin(pid: u32, core: usize) -> io::Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores > 1 && running::find("taskset").is_some() {
        running::output(Command::new("taskset").args(["-apc", &core.to_string(), &pid.to_string()]))?;
    }
    Ok(())
}

/// Whatever else wants the core of this thread has it at once: what Redis lacks then is what it was slowed by. Niceness alone lets a
/// thread go on for milliseconds, in which Redis would have run.
fn yield_to_all() -> io::Result<()> {
    if running::find("chrt").is_none() {
        return Ok(setpriority_process(None, NICE)?);
    }
    let thread = gettid().as_raw_nonzero().to_string();
    running::output(Command::new("chrt").args(["--idle", "--pid", "0", &thread]))?;
    Ok(())
}

/// A process that stands still most of the time, until this is dropped.
struct Slowed {
    pid: u32,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Slowed {
    fn start(pid: u32) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let thread = {
            let ends = Arc::clone(&ends);
            thread::spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    signal(pid, Signal::STOP);
                    thread::sleep(STANDS);
                    signal(pid, Signal::CONT);
                    thread::sleep(RUNS);
                }
            })
        };
        Self { pid, ends, thread: Some(thread) }
    }
}

impl Drop for Slowed {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _never_panics = self.thread.take().map(JoinHandle::join);
        signal(self.pid, Signal::CONT);
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended.
        let _gone = kill_process(pid, signal);
    }
}
