//! A load on schedule, whatever the answers (an open loop). Each latency counts from the instant at which its request was due,
//! so a candidate that stalls is charged for all requests that were due meanwhile: no coordinated omission.

use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::LocalSet,
    time::timeout,
};

use crate::{http, running::is_interrupted};

/// The width of the timeline's slices.
pub const SLICE: Duration = Duration::from_millis(100);
/// The shortest sleep of the thread that keeps the schedule. Requests that are closer together are sent together.
const NAP_MIN: Duration = Duration::from_micros(50);
const NAP_MAX: Duration = Duration::from_millis(50);
/// The longest wait for answers after the last request.
const PATIENCE: Duration = Duration::from_secs(10);
/// One request in this many may fail: the machine may stall Redis for longer than a call may take.
const FAILED_PART_MAX: u32 = 20;
const LATENCY_US_MAX: u64 = 60_000_000;
/// A connection that was not used for so long is replaced.
const IDLE_MAX: Duration = Duration::from_secs(2);
/// What is sent so long after it was due is late.
const LATE_MAX: Duration = Duration::from_millis(100);
const ANSWER_BYTES: usize = 4096;

#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Requests a second.
    pub rate: f64,
    pub connections: usize,
    pub lasting: Duration,
    /// What no connection was free for is not sent: more is wanted than so many clients can ask for.
    pub skips_late: bool,
}

/// Latencies in microseconds.
pub struct Heard {
    /// When the first request was due.
    pub started: SystemTime,
    /// Latencies by the instant at which the request was due.
    pub slices: Vec<Histogram<u64>>,
}

/// What came of all requests.
pub struct Answers {
    pub served: Heard,
    /// 503.
    pub refused: Heard,
    /// Anything else.
    pub failed: u32,
    pub sent: u32,
}

impl Heard {
    fn new(lasting: Duration) -> Self {
        let slices = lasting.as_millis().div_ceil(SLICE.as_millis());
        Self { started: SystemTime::now(), slices: (0..slices).map(|_| histogram()).collect() }
    }

    fn note(&mut self, due: Duration, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(LATENCY_US_MAX);
        let slice = usize::try_from(due.as_millis() / SLICE.as_millis()).unwrap_or(usize::MAX);
        if let Some(slice) = self.slices.get_mut(slice) {
            slice.saturating_record(us);
        }
    }

    pub fn all(&self) -> Histogram<u64> {
        let mut all = histogram();
        self.slices.iter().for_each(|slice| all.add(slice).expect("all slices have the same bounds"));
        all
    }

    /// The latencies of all requests that were due between these instants after the start.
    pub fn between(&self, from: Duration, to: Duration) -> Histogram<u64> {
        let mut all = histogram();
        for (slice, n) in self.slices.iter().zip(0_u32..) {
            if SLICE * n >= from && SLICE * (n + 1) <= to {
                all.add(slice).expect("all slices have the same bounds");
            }
        }
        all
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are in order")
}

/// What the connections share.
struct Floor {
    requests: Vec<Vec<u8>>,
    rate: f64,
    started: Instant,
    skips_late: bool,
    next: Cell<u32>,
    failed: Cell<u32>,
    tickets: Arc<Semaphore>,
    served: RefCell<Heard>,
    refused: RefCell<Heard>,
}

/// Sends this request, which creates something (201), at this pace, and records the answers.
///
/// # Errors
/// When a connection breaks, an answer does not come, or too many answers are not a 201.
pub fn drive(addr: SocketAddr, request: Vec<u8>, pace: &Pace) -> io::Result<Heard> {
    let Answers { served, refused, failed, sent } = drive_all(addr, vec![request], pace)?;
    let failed = failed + u32::try_from(refused.all().len()).unwrap_or(u32::MAX);
    if failed > 0 {
        eprintln!("{failed} of {sent} requests on schedule failed");
    }
    if failed > sent / FAILED_PART_MAX {
        return Err(io::Error::other("too many requests on schedule failed to say anything"));
    }
    Ok(served)
}

/// [`drive`] with these requests in turn, and with all that came of them.
///
/// # Errors
/// When a connection breaks, or an answer does not come.
pub fn drive_all(addr: SocketAddr, requests: Vec<Vec<u8>>, pace: &Pace) -> io::Result<Answers> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, send_all(addr, requests, pace))
}

async fn send_all(addr: SocketAddr, requests: Vec<Vec<u8>>, pace: &Pace) -> io::Result<Answers> {
    let mut lines = Vec::with_capacity(pace.connections);
    for _ in 0..pace.connections {
        let line = TcpStream::connect(addr).await?;
        line.set_nodelay(true)?;
        lines.push(line);
    }
    let tickets = Arc::new(Semaphore::new(0));
    let started = Instant::now();
    let keeper = {
        let (tickets, pace) = (Arc::clone(&tickets), *pace);
        thread::spawn(move || keep_schedule(&tickets, &pace, started))
    };
    let floor = std::rc::Rc::new(Floor {
        requests,
        rate: pace.rate,
        started,
        skips_late: pace.skips_late,
        next: Cell::new(0),
        failed: Cell::new(0),
        tickets,
        served: RefCell::new(Heard::new(pace.lasting)),
        refused: RefCell::new(Heard::new(pace.lasting)),
    });
    let serving: Vec<_> = lines
        .into_iter()
        .map(|line| {
            let floor = std::rc::Rc::clone(&floor);
            tokio::task::spawn_local(async move { floor.serve(line).await })
        })
        .collect();
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the candidate does not keep up with half of its peak");
    let mut ended = Ok(());
    for task in serving {
        let one = timeout(pace.lasting + PATIENCE, task).await.map_err(late);
        ended = one.and_then(|joined| joined.map_err(io::Error::other)?).and(ended);
        if ended.is_err() {
            floor.tickets.close();
            break;
        }
    }
    let _never_panics = keeper.join();
    ended?;
    let taken = |heard: &RefCell<Heard>| heard.replace(Heard::new(Duration::ZERO));
    let (served, refused) = (taken(&floor.served), taken(&floor.refused));
    Ok(Answers { served, refused, failed: floor.failed.get(), sent: floor.next.get() })
}

impl Floor {
    /// One connection: takes the next request that is due, sends it, and waits for its answer.
    async fn serve(&self, mut line: TcpStream) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(ANSWER_BYTES);
        let (addr, mut used) = (line.peer_addr()?, Instant::now());
        loop {
            let Ok(ticket) = self.tickets.acquire().await else { return Ok(()) };
            ticket.forget();
            // A candidate may close what nobody uses.
            if used.elapsed() > IDLE_MAX {
                line = TcpStream::connect(addr).await?;
                line.set_nodelay(true)?;
            }
            used = Instant::now();
            let number = self.next.replace(self.next.get() + 1);
            let due = Duration::from_secs_f64(f64::from(number) / self.rate);
            if self.skips_late && self.started.elapsed() > due + LATE_MAX {
                continue;
            }
            line.write_all(&self.requests[number as usize % self.requests.len()]).await?;
            let status = read_answer(&mut line, &mut bytes).await?;
            let latency = self.started.elapsed().saturating_sub(due);
            match status {
                201 => self.served.borrow_mut().note(due, latency),
                503 => self.refused.borrow_mut().note(due, latency),
                _ => self.failed.set(self.failed.get() + 1),
            }
        }
    }
}

async fn read_answer(line: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<u16> {
    bytes.clear();
    loop {
        if line.read_buf(bytes).await? == 0 {
            return Err(http::broken("no end: the connection closed"));
        }
        if let Some(found) = http::shape(bytes)?
            && bytes.len() >= found.bytes()
        {
            return Ok(found.status);
        }
    }
}

/// Hands out a ticket for each request when it is due, and closes the counter after the last. It is a thread, because a thread's
/// sleep is finer than the timers of the runtime.
fn keep_schedule(tickets: &Semaphore, pace: &Pace, started: Instant) {
    let total = whole(pace.rate * pace.lasting.as_secs_f64());
    let mut given = 0;
    while given < total && !tickets.is_closed() && !is_interrupted() {
        let due = whole(started.elapsed().as_secs_f64() * pace.rate + 1.0).min(total);
        tickets.add_permits(usize::try_from(due.saturating_sub(given)).unwrap_or_default());
        given = given.max(due);
        let next = started + Duration::from_secs_f64(f64::from(given) / pace.rate);
        thread::sleep(next.saturating_duration_since(Instant::now()).clamp(NAP_MIN, NAP_MAX));
    }
    while tickets.available_permits() > 0 && !tickets.is_closed() && !is_interrupted() {
        thread::sleep(NAP_MAX);
        if started.elapsed() > pace.lasting + PATIENCE {
            break;
        }
    }
    tickets.close();
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of a few seconds")]
fn whole(number: f64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_found_by_when_their_requests_were_due() {
        let mut heard = Heard::new(Duration::from_secs(2));
        heard.note(Duration::from_millis(950), Duration::from_millis(1));
        heard.note(Duration::from_millis(1_050), Duration::from_millis(30));
        let storm = heard.between(Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(storm.len(), 1);
        assert!(storm.max() >= 30_000 && heard.between(Duration::ZERO, Duration::from_secs(1)).max() < 2_000);
    }
}
