//! A rehearsal: thousands of buyers against a running service, and a proof that every unit was given out once.
//!
//! It knows the service only by its HTTP interface, as any client does, so the service may be far away.

mod answers;
mod arrivals;
mod buyers;
mod error;
mod figures;
mod ledger;
mod metrics;
pub mod plan;
mod prepare;
mod proof;
pub mod report;
mod requests;
mod stock;
mod timeline;

use std::{
    cell::RefCell,
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::time::{self, sleep};

pub use self::error::RushError;
use self::{
    arrivals::{Arrivals, Ended},
    buyers::RushState,
    ledger::Ledger,
    metrics::Metrics,
    plan::{RushPlan, Scenario},
    prepare::Prepared,
    proof::Evidence,
    report::RushReport,
    requests::Requests,
    stock::{StockCounters, StockReader, StockSample, StockSamples},
};

use crate::tools::client::{Connection, Endpoint, api::CallError, seeded_random::SeededRandom};

/// The pause between two reports of progress.
const PROGRESS_PAUSE: Duration = Duration::from_millis(100);
/// The wire gives deadlines in whole seconds, and units are back a moment after them.
const LAPSE_MARGIN: Duration = Duration::from_millis(2_500);
/// Abandoned holds ask for at most two seconds. The rush does not wait for a service that claims it granted more.
const ABANDONED_MAX: Duration = Duration::from_secs(3);
/// How long requests that were given up may still take effect.
const LATE_EFFECTS: Duration = Duration::from_secs(1);
const LAST_READS: u32 = 20;
const LAST_READ_PAUSE: Duration = Duration::from_millis(250);

/// How far a rush is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub accepted: u64,
    pub refused: u64,
    pub failed: u64,
    pub elapsed: Duration,
    /// After the last buyer, until the last hold has lapsed.
    pub waiting: bool,
}

/// Runs a rush to its end, or until `stop` is ready, in the caller's `LocalSet`. Calls `progress` about ten times a second.
///
/// # Errors
/// [`RushError`]: there was no rush.
pub async fn run(
    plan: RushPlan,
    stop: impl Future<Output = ()>,
    progress: impl FnMut(Progress),
) -> Result<RushReport, RushError> {
    let endpoint = Rc::new(plan.endpoint.clone());
    let mut prepared = prepare::prepare(&plan).await?;
    let workers = connect_workers(&plan, &endpoint).await;
    let at = jiff::Timestamp::now();
    let started = Instant::now();
    let state = RushState {
        scenario: plan.scenario,
        requests: Requests { endpoint, product: prepared.product, run: getrandom::u64()?, signer: plan.signer.clone() },
        arrivals: Arrivals::start(&plan, started),
        metrics: RefCell::new(Metrics::new(started)),
        ledger: RefCell::new(Ledger::default()),
        random: RefCell::new(SeededRandom::new(plan.seed)),
        payments_queued: RefCell::new(Vec::new()),
    };
    let samples = RefCell::new(StockSamples::starting_with(prepared.stock));
    let all_lapsed = {
        let sampling = prepared.reader.sample(started, |sample| samples.borrow_mut().add(sample));
        let reporting = report_progress(&state, started, progress);
        let serving = serve_all(&state, workers, &plan, stop);
        // Only the serving ends by itself.
        tokio::select! {
            all_lapsed = serving => all_lapsed,
            () = sampling => false,
            () = reporting => false,
        }
    };
    let least_available = if all_lapsed { prepared.stock.available } else { i64::MIN };
    let end = read_at_end(&state, &mut prepared.reader, least_available).await;
    let mut samples = samples.into_inner();
    samples.add(end.as_ref().ok().map(|stock| StockSample { at: started.elapsed(), stock: *stock }));
    Ok(report(&plan, &prepared, &state, &samples, end, at))
}

fn report(
    plan: &RushPlan,
    prepared: &Prepared,
    state: &RushState,
    samples: &StockSamples,
    end: Result<StockCounters, CallError>,
    at: jiff::Timestamp,
) -> RushReport {
    let (metrics, ledger) = (state.metrics.borrow(), state.ledger.borrow());
    let proof = proof::judge(&Evidence {
        scenario: plan.scenario,
        metrics: &metrics,
        ledger: &ledger,
        samples,
        start: prepared.stock,
        end,
        some_lapsed: may_have_lapsed(&ledger),
    });
    RushReport::new(plan, prepared, state, samples, proof, at)
}

/// The connections of each worker, made before the first arrival, so that no buyer waits for one.
async fn connect_workers(plan: &RushPlan, endpoint: &Rc<Endpoint>) -> Vec<Vec<Connection>> {
    let connections = || (0..plan.scenario.copies()).map(|_| Connection::new(Rc::clone(endpoint))).collect();
    let mut workers: Vec<Vec<Connection>> = (0..plan.concurrency.min(plan.buyers)).map(|_| connections()).collect();
    join_all(workers.iter_mut().flatten().map(Connection::warm)).await;
    workers
}

/// Serves the buyers. In a scenario about lapsing it also waits for the last deadline, and gives whether it did.
async fn serve_all(
    state: &RushState,
    mut workers: Vec<Vec<Connection>>,
    plan: &RushPlan,
    stop: impl Future<Output = ()>,
) -> bool {
    let mut stop = pin!(stop);
    {
        let mut working = pin!(join_all(workers.iter_mut().map(|connections| buyers::work(state, connections))));
        tokio::select! {
            _ = &mut working => {}
            why = async {
                tokio::select! {
                    () = sleep(plan.duration) => Ended::TimeUp,
                    () = &mut stop => Ended::Interrupted,
                }
            } => {
                state.arrivals.end(why);
                working.await;
            }
        }
    }
    let last = state.ledger.borrow().deadlines.map(|(_, last)| last);
    if let Some(last) = last.filter(|_| plan.scenario == Scenario::Abandon) {
        time::sleep_until((last.min(Instant::now() + ABANDONED_MAX) + LAPSE_MARGIN).into()).await;
        return true;
    }
    false
}

async fn report_progress(state: &RushState, started: Instant, mut progress: impl FnMut(Progress)) {
    loop {
        {
            let metrics = state.metrics.borrow();
            let (accepted, refused, failed) = (metrics.accepted, metrics.refused, metrics.failed);
            let waiting = state.arrivals.ended().is_some();
            progress(Progress { accepted, refused, failed, elapsed: started.elapsed(), waiting });
        }
        sleep(PROGRESS_PAUSE).await;
    }
}

/// The counters after the last buyer, as soon as so many units are available. A service that is away gets a few seconds
/// to come back.
async fn read_at_end(
    state: &RushState,
    reader: &mut StockReader,
    least_available: i64,
) -> Result<StockCounters, CallError> {
    if state.ledger.borrow().is_in_doubt() {
        sleep(LATE_EFFECTS).await;
    }
    let mut read = reader.read().await;
    for _ in 1..LAST_READS {
        if read.as_ref().is_ok_and(|stock| stock.available >= least_available) {
            break;
        }
        sleep(LAST_READ_PAUSE).await;
        read = reader.read().await;
    }
    read
}

/// Whether the first deadline of all granted holds is past, or nearly so.
fn may_have_lapsed(ledger: &Ledger) -> bool {
    ledger.deadlines.is_some_and(|(first, _)| first <= Instant::now() + LAPSE_MARGIN)
}
