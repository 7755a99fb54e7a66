//! A rehearsal: thousands of buyers against a running service, and a proof that every unit was given out once.
//!
//! It knows the service only by its HTTP interface, as any client does, so the service may be far away.

mod advice;
mod answers;
mod arrivals;
mod buyers;
pub mod crowd;
mod error;
mod figures;
mod ledger;
mod limits;
mod metrics;
pub mod plan;
mod prepare;
mod products;
mod proof;
pub mod report;
mod requests;
mod stock;
mod take_away;
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
    crowd::{Crowd, customers_for},
    ledger::Ledger,
    metrics::Metrics,
    plan::{ProductChoice, RushPlan, Scenario},
    prepare::Prepared,
    products::ProductReader,
    proof::Evidence,
    report::RushReport,
    requests::Requests,
    stock::{StockCounters, StockSample, StockSamples},
    take_away::TakenAway,
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
    pub phase: Phase,
}

/// What a rush does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Buying,
    /// After the last buyer, until the last answer has come or the last hold has lapsed.
    Waiting,
    /// So many holds and orders are taken away.
    TakingAway(u64),
}

/// Runs a rush to its end, or until `stop` is ready, in the caller's `LocalSet`, and takes away what it made: to its end, or
/// until `stop` is ready once more. Calls `progress` about ten times a second.
///
/// # Errors
/// [`RushError`]: there was no rush.
pub async fn run(
    plan: RushPlan,
    stop: impl AsyncFn(),
    mut progress: impl FnMut(Progress),
) -> Result<RushReport, RushError> {
    let endpoint = Rc::new(plan.endpoint.clone());
    let run = getrandom::u64()?;
    let mut prepared = prepare::prepare(&plan).await?;
    let mut workers = connect_workers(&plan, &endpoint).await;
    let at = jiff::Timestamp::now();
    let started = Instant::now();
    let state = state(&plan, &prepared, endpoint, run, started);
    let start = prepared.stock();
    let samples = RefCell::new(StockSamples::starting_with(&start));
    let all_lapsed = {
        let sampling = prepared.reader.sample(started, |sample| samples.borrow_mut().add(sample));
        let reporting = report_progress(&state, started, &mut progress);
        let serving = serve_all(&state, &mut workers, &plan, stop());
        // Only the serving ends by itself.
        tokio::select! {
            all_lapsed = serving => all_lapsed,
            () = sampling => false,
            () = reporting => false,
        }
    };
    let end = read_at_end(&state, &mut prepared.reader, &start, all_lapsed).await;
    let mut samples = samples.into_inner();
    samples.add(end.as_ref().ok().map(|stock| StockSample::of(stock, started.elapsed())));
    let some_lapsed = may_have_lapsed(&state.ledger.borrow());
    let taken = if plan.scenario == Scenario::Abandon {
        // What is abandoned lapses by itself, and the rush has waited for it.
        TakenAway { kept: plan.keep, ..TakenAway::default() }
    } else {
        let last = state.progress(started, Phase::TakingAway(0));
        let progress = RefCell::new(&mut progress);
        let show = |done| (progress.borrow_mut())(Progress { phase: Phase::TakingAway(done), ..last });
        take_away::take_away(&state, &mut workers, stop(), show).await
    };
    let after = if plan.keep { None } else { prepared.reader.read().await.ok() };
    let (metrics, ledger) = (state.metrics.borrow(), state.ledger.borrow());
    let evidence = Evidence {
        scenario: plan.scenario,
        metrics: &metrics,
        ledger: &ledger,
        samples: &samples,
        products: proof::sides(&prepared.products, end.as_ref().ok(), after.as_ref(), &ledger),
        unread: end.err(),
        some_lapsed,
        taken: &taken,
    };
    Ok(RushReport::new(&plan, &prepared, &state, &evidence, at))
}

fn state(plan: &RushPlan, prepared: &Prepared, endpoint: Rc<Endpoint>, run: u64, started: Instant) -> RushState {
    let count = prepared.products.len();
    let customers = plan.customers.or_else(|| {
        let available = prepared.available();
        let by_limits = customers_for(plan.buyers, plan.popularity, &available, &prepared.limits);
        // A sale may have limits that nobody can see without an admin token.
        by_limits.or_else(|| matches!(plan.product, ProductChoice::Sale { .. }).then_some(plan.buyers))
    });
    RushState {
        scenario: plan.scenario,
        requests: Requests {
            endpoint,
            products: prepared.products.iter().map(|product| product.id).collect(),
            run,
            signer: plan.signer.clone(),
        },
        crowd: Crowd::new(plan.seed, plan.popularity, count, customers),
        arrivals: Arrivals::start(plan, started),
        metrics: RefCell::new(Metrics::new(started)),
        ledger: RefCell::new(Ledger::new(
            count,
            prepared.limits.clone(),
            plan.keep || plan.scenario == Scenario::Abandon,
        )),
        random: RefCell::new(SeededRandom::new(plan.seed)),
        payments_queued: RefCell::new(Vec::new()),
    }
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
    workers: &mut [Vec<Connection>],
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

async fn report_progress(state: &RushState, started: Instant, progress: &mut impl FnMut(Progress)) {
    loop {
        let phase = if state.arrivals.ended().is_some() { Phase::Waiting } else { Phase::Buying };
        progress(state.progress(started, phase));
        sleep(PROGRESS_PAUSE).await;
    }
}

impl RushState {
    fn progress(&self, started: Instant, phase: Phase) -> Progress {
        let metrics = self.metrics.borrow();
        let (accepted, refused, failed) = (metrics.accepted, metrics.refused, metrics.failed);
        Progress { accepted, refused, failed, elapsed: started.elapsed(), phase }
    }
}

/// The counters after the last buyer. If all holds have lapsed it waits for their units. A service that is away gets a few
/// seconds to come back.
async fn read_at_end(
    state: &RushState,
    reader: &mut ProductReader,
    start: &[StockCounters],
    all_lapsed: bool,
) -> Result<Vec<StockCounters>, CallError> {
    if state.ledger.borrow().is_in_doubt() {
        sleep(LATE_EFFECTS).await;
    }
    let are_back =
        |end: &Vec<StockCounters>| end.iter().zip(start).all(|(end, start)| end.available >= start.available);
    let mut read = reader.read().await;
    for _ in 1..LAST_READS {
        if read.as_ref().is_ok_and(|end| !all_lapsed || are_back(end)) {
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
