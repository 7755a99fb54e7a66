//! A rehearsal: thousands of buyers against a running service, and a proof that every unit was given out once.
//!
//! Knows the service only by its HTTP interface, as any client does, so it may run against one that is far away.

mod buyers;
mod crowd;
mod figures;
mod ledger;
pub mod plan;
mod prepare;
mod proof;
pub mod report;
mod shop;
mod stock;
mod tally;
mod timeline;

use std::{
    cell::RefCell,
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{
    task::LocalSet,
    time::{self, sleep},
};

use self::{
    buyers::Floor,
    crowd::{Crowd, Ended},
    ledger::Ledger,
    plan::{Plan, Scenario},
    prepare::Prepared,
    proof::Evidence,
    report::Report,
    stock::{Sample, Samples, Stock},
    tally::Tally,
};

use crate::tools::client::{Endpoint, Line, dice::Dice};

/// How often it is told how far the rush is.
const TELLING: Duration = Duration::from_millis(100);
/// Deadlines are told in whole seconds, and units are back a moment after them.
const LAPSE_MARGIN: Duration = Duration::from_millis(2_500);
/// Abandoned holds ask for two seconds at most; a service that says it gave more is not waited for.
const ABANDONED_MAX: Duration = Duration::from_secs(3);
/// How long effects of requests that were given up may still come.
const AFTERMATH: Duration = Duration::from_secs(1);
const LAST_LOOKS: u32 = 20;
const LAST_LOOK_PAUSE: Duration = Duration::from_millis(250);

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

/// Runs a rush to its end, or until `stop` says so. Tells `tell` about ten times a second how far it is.
///
/// # Errors
/// Why there was no rush, and what to do about it.
pub async fn run(plan: Plan, stop: impl Future<Output = ()>, tell: impl FnMut(Progress)) -> Result<Report, String> {
    LocalSet::new().run_until(rush(plan, stop, tell)).await
}

async fn rush(plan: Plan, stop: impl Future<Output = ()>, tell: impl FnMut(Progress)) -> Result<Report, String> {
    let endpoint = Rc::new(plan.endpoint.clone());
    let mut watcher = Line::new(Rc::clone(&endpoint));
    let prepared = prepare::prepare(&plan, &mut watcher).await?;
    let slots = lay_lines(&plan, &endpoint).await;
    let at = jiff::Timestamp::now();
    let started = Instant::now();
    let floor = Floor {
        scenario: plan.scenario,
        shop: shop::Shop {
            endpoint: Rc::clone(&endpoint),
            product: prepared.product,
            run: getrandom::u64().map_err(|error| error.to_string())?,
            signer: plan.signer.clone(),
        },
        crowd: Crowd::gather(&plan, started),
        tally: RefCell::new(Tally::new(started)),
        ledger: RefCell::new(Ledger::default()),
        dice: RefCell::new(Dice::new(plan.seed)),
        deck: RefCell::new(Vec::new()),
    };
    let samples = RefCell::new(Samples::starting_with(prepared.stock));
    let end = {
        let saw = |sample: Option<Sample>| samples.borrow_mut().note(sample);
        let watching = stock::watch(&mut watcher, &endpoint, &prepared.window, started, saw);
        let telling = tell_progress(&floor, started, tell);
        let serving = until_the_end(&floor, slots, &plan, stop);
        // The other two never end.
        tokio::select! {
            some_lapsed = serving => some_lapsed,
            () = watching => false,
            () = telling => false,
        }
    };
    let last = last_look(&floor, &endpoint, &prepared, end).await;
    let mut samples = samples.into_inner();
    samples.note(last.as_ref().ok().map(|stock| Sample { at: started.elapsed(), stock: *stock }));
    Ok(report(&plan, &prepared, &floor, &samples, last, at))
}

fn report(
    plan: &Plan,
    prepared: &Prepared,
    floor: &Floor,
    samples: &Samples,
    end: Result<Stock, String>,
    at: jiff::Timestamp,
) -> Report {
    let (tally, ledger) = (floor.tally.borrow(), floor.ledger.borrow());
    let proof = proof::judge(&Evidence {
        scenario: plan.scenario,
        tally: &tally,
        ledger: &ledger,
        samples,
        start: prepared.stock,
        end,
        some_lapsed: may_have_lapsed(&ledger),
    });
    Report::new(plan, prepared, floor, samples, proof, at)
}

/// The connections of each slot, made before anybody comes, so that no buyer waits for one.
async fn lay_lines(plan: &Plan, endpoint: &Rc<Endpoint>) -> Vec<Vec<Line>> {
    let slots = plan.concurrency.min(plan.buyers);
    let copies = plan.scenario.copies();
    let mut lines: Vec<Vec<Line>> =
        (0..slots).map(|_| (0..copies).map(|_| Line::new(Rc::clone(endpoint))).collect()).collect();
    join_all(lines.iter_mut().flatten().map(Line::warm)).await;
    lines
}

/// Serves the buyers. In a scenario that is about lapsing, also waits for the last deadline; gives whether it did.
async fn until_the_end(floor: &Floor, mut slots: Vec<Vec<Line>>, plan: &Plan, stop: impl Future<Output = ()>) -> bool {
    let mut stop = pin!(stop);
    {
        let mut serving = pin!(join_all(slots.iter_mut().map(|lines| buyers::serve(floor, lines))));
        tokio::select! {
            _ = &mut serving => {}
            why = async {
                tokio::select! {
                    () = sleep(plan.duration) => Ended::TimeUp,
                    () = &mut stop => Ended::Interrupted,
                }
            } => {
                floor.crowd.end(why);
                serving.await;
            }
        }
    }
    let last = floor.ledger.borrow().deadlines.map(|(_, last)| last);
    if let Some(last) = last.filter(|_| plan.scenario == Scenario::Abandon) {
        time::sleep_until((last.min(Instant::now() + ABANDONED_MAX) + LAPSE_MARGIN).into()).await;
        return true;
    }
    false
}

async fn tell_progress(floor: &Floor, started: Instant, mut tell: impl FnMut(Progress)) {
    loop {
        {
            let tally = floor.tally.borrow();
            let (accepted, refused, failed) = (tally.accepted, tally.refused, tally.failed);
            let waiting = floor.crowd.ended().is_some();
            tell(Progress { accepted, refused, failed, elapsed: started.elapsed(), waiting });
        }
        sleep(TELLING).await;
    }
}

/// The counters when all is done. A service that is away is given a few seconds to come back.
async fn last_look(floor: &Floor, endpoint: &Rc<Endpoint>, prepared: &Prepared, lapsed: bool) -> Result<Stock, String> {
    if floor.ledger.borrow().is_in_doubt() {
        sleep(AFTERMATH).await;
    }
    let mut line = Line::new(Rc::clone(endpoint));
    let mut seen = Err(String::new());
    for _ in 0..LAST_LOOKS {
        seen = stock::look(&mut line, endpoint, &prepared.window).await;
        let settled = |stock: &Stock| !lapsed || stock.available >= prepared.stock.available;
        if seen.as_ref().is_ok_and(settled) {
            break;
        }
        sleep(LAST_LOOK_PAUSE).await;
    }
    seen
}

/// Whether the first deadline of all holds that were granted is past, or nearly so.
fn may_have_lapsed(ledger: &Ledger) -> bool {
    ledger.deadlines.is_some_and(|(first, _)| first <= Instant::now() + LAPSE_MARGIN)
}
