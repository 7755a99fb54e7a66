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
use tokio::time::{sleep, sleep_until};

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
    take_away::{TakeAway, TakenAway},
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

/// How a scenario about lapsing has waited for the last deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    NotAsked,
    ToTheEnd,
    Interrupted,
}

/// Runs a rush to its end in the caller's `LocalSet`, and takes away what it made. `stop` is ready once for each time that somebody
/// wants it to stop: that ends the step that it is in, and what follows still cleans up, until it is ready once more. Calls
/// `progress` about ten times a second.
///
/// # Errors
/// [`RushError`]: there was no rush.
pub async fn run(
    plan: RushPlan,
    mut stop: impl AsyncFnMut(),
    mut progress: impl FnMut(Progress),
) -> Result<RushReport, RushError> {
    let endpoint = Rc::new(plan.endpoint.clone());
    let run = getrandom::u64()?;
    let (mut prepared, mut workers) = tokio::select! {
        biased;
        () = stop() => {
            let makes_product = matches!(plan.product, ProductChoice::New { .. });
            return Err(RushError::Interrupted { makes_product });
        }
        prepared = async {
            let prepared = prepare::prepare(&plan).await?;
            Ok::<_, RushError>((prepared, connect_workers(&plan, &endpoint).await))
        } => prepared?,
    };
    let at = jiff::Timestamp::now();
    let started = Instant::now();
    let state = state(&plan, &prepared, endpoint, run, started);
    let start = prepared.stock();
    let samples = RefCell::new(StockSamples::starting_with(&start));
    let waited = {
        let sampling = prepared.reader.sample(started, |sample| samples.borrow_mut().add(sample));
        let reporting = report_progress(&state, started, &mut progress);
        let serving = serve_all(&state, &mut workers, &plan, &mut stop);
        // Only the serving ends by itself.
        tokio::select! {
            waited = serving => waited,
            () = sampling => Waited::NotAsked,
            () = reporting => Waited::NotAsked,
        }
    };
    let end = {
        let reporting = report_progress(&state, started, &mut progress);
        let reading = read_at_end(&state, &mut prepared.reader, &start, waited, &mut stop);
        tokio::select! {
            end = reading => end,
            () = reporting => Err(String::new()),
        }
    };
    let mut samples = samples.into_inner();
    samples.add(end.as_ref().ok().map(|stock| StockSample::of(stock, started.elapsed())));
    let some_lapsed = may_have_lapsed(&state.ledger.borrow());
    let wait_was_cut = waited == Waited::Interrupted;
    let taken = if plan.scenario == Scenario::Abandon && !wait_was_cut {
        // What is abandoned lapses by itself, and the rush has waited for it.
        TakenAway { kept: plan.keep, ..TakenAway::default() }
    } else {
        let last = state.progress(started, Phase::TakingAway(0));
        let progress = RefCell::new(&mut progress);
        let show = |done| (progress.borrow_mut())(Progress { phase: Phase::TakingAway(done), ..last });
        take_away::take_away(&state, &mut workers, stop(), show).await
    };
    let after = async { if plan.keep { None } else { prepared.reader.read().await.ok() } };
    let after = tokio::select! {
        () = stop() => None,
        after = after => after,
    };
    let (metrics, ledger) = (state.metrics.borrow(), state.ledger.borrow());
    let evidence = Evidence {
        scenario: plan.scenario,
        metrics: &metrics,
        ledger: &ledger,
        samples: &samples,
        products: proof::sides(&prepared.products, end.as_ref().ok(), after.as_ref(), &ledger),
        unread: end.err(),
        some_lapsed,
        wait_was_cut,
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
            match plan.scenario {
                _ if plan.keep => TakeAway::Nothing,
                Scenario::Abandon => TakeAway::UntilItLapses,
                _ => TakeAway::All,
            },
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

/// Serves the buyers. In a scenario about lapsing it also waits for the last deadline.
async fn serve_all(
    state: &RushState,
    workers: &mut [Vec<Connection>],
    plan: &RushPlan,
    stop: &mut impl AsyncFnMut(),
) -> Waited {
    {
        let mut working = pin!(join_all(workers.iter_mut().map(|connections| buyers::work(state, connections))));
        tokio::select! {
            _ = &mut working => {}
            why = async {
                tokio::select! {
                    () = sleep(plan.duration) => Ended::TimeUp,
                    () = stop() => Ended::Interrupted,
                }
            } => {
                state.arrivals.end(why);
                working.await;
            }
        }
    }
    let last = state.ledger.borrow().deadlines.map(|(_, last)| last);
    let Some(last) = last.filter(|_| plan.scenario == Scenario::Abandon) else { return Waited::NotAsked };
    tokio::select! {
        () = stop() => Waited::Interrupted,
        () = sleep_until((last.min(Instant::now() + ABANDONED_MAX) + LAPSE_MARGIN).into()) => Waited::ToTheEnd,
    }
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
    waited: Waited,
    stop: &mut impl AsyncFnMut(),
) -> Result<Vec<StockCounters>, String> {
    let are_back =
        |end: &Vec<StockCounters>| end.iter().zip(start).all(|(end, start)| end.available >= start.available);
    let mut last = Err("it was interrupted".to_owned());
    let reading = async {
        if state.ledger.borrow().is_in_doubt() {
            sleep(LATE_EFFECTS).await;
        }
        for _ in 0..LAST_READS {
            last = reader.read().await.map_err(|error| why_unread(&error));
            if last.as_ref().is_ok_and(|end| waited != Waited::ToTheEnd || are_back(end)) {
                break;
            }
            sleep(LAST_READ_PAUSE).await;
        }
    };
    tokio::select! {
        () = stop() => {}
        () = reading => {}
    }
    last
}

fn why_unread(error: &CallError) -> String {
    match error {
        CallError::Refused(refusal) => format!("the answer was {}", refusal.status),
        other => other.to_string(),
    }
}

/// Whether the first deadline of all granted holds is past, or nearly so.
fn may_have_lapsed(ledger: &Ledger) -> bool {
    ledger.deadlines.is_some_and(|(first, _)| first <= Instant::now() + LAPSE_MARGIN)
}
