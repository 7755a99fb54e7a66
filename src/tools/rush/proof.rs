//! The proof: what the service answered to buyers against what the product's counters say.

use super::{
    answers::Step,
    figures::thousands,
    ledger::{Ledger, PaymentCounts},
    metrics::Metrics,
    plan::Scenario,
    stock::{StockCounters, StockSamples},
};
use crate::tools::client::api::CallError;

/// One thing that must be true.
#[derive(Clone, Debug)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    pub detail: String,
}

#[derive(Clone, Debug)]
pub struct Proof {
    pub checks: Vec<Check>,
}

impl Proof {
    pub fn ok(&self) -> bool {
        self.first_failed().is_none()
    }

    pub fn first_failed(&self) -> Option<&Check> {
        self.checks.iter().find(|check| !check.ok)
    }
}

/// Everything that the proof looks at.
pub struct Evidence<'a> {
    pub scenario: Scenario,
    pub metrics: &'a Metrics,
    pub ledger: &'a Ledger,
    pub samples: &'a StockSamples,
    /// The counters before the first buyer and after the last.
    pub start: StockCounters,
    pub end: Result<StockCounters, CallError>,
    /// Whether a granted hold may have lapsed before the counters were read at the end.
    pub some_lapsed: bool,
}

pub fn judge(evidence: &Evidence<'_>) -> Proof {
    let mut checks = vec![balanced(evidence.samples), admitted(evidence.metrics)];
    match &evidence.end {
        Err(why) => checks.push(Check {
            name: "the counters were read at the end",
            ok: false,
            detail: format!("without them nothing is proved: {}", reason(why)),
        }),
        Ok(end) => checks.extend(compare(evidence, *end)),
    }
    checks.push(distinct(evidence.ledger));
    if evidence.scenario.copies() > 1 {
        checks.push(identical(evidence));
    }
    Proof { checks }
}

fn compare(evidence: &Evidence<'_>, end: StockCounters) -> Vec<Check> {
    let mut checks = vec![oversold(evidence, end)];
    if evidence.scenario == Scenario::Abandon {
        checks.push(all_back(evidence, end));
    } else {
        checks.push(granted_is_taken(evidence, end));
        checks.push(sold_out_first(evidence, end));
    }
    if evidence.scenario.pays() {
        checks.push(paid_is_sold(evidence, end));
    }
    checks.push(something(evidence));
    checks
}

/// The counters add up in every sample.
fn balanced(samples: &StockSamples) -> Check {
    let looks = samples.all.len();
    let detail = match samples.first_unbalanced() {
        None if looks == 1 => "at the only look at the counters".to_owned(),
        None => format!("at each of {} looks at the counters", thousands(looks)),
        Some(sample) => {
            let StockCounters { total, available, held, pending, sold } = sample.stock;
            let at_ms = sample.at.as_millis();
            format!("{total} = {available} + {held} + {pending} + {sold} is false, after {at_ms} ms")
        }
    };
    let ok = looks > 0 && samples.first_unbalanced().is_none();
    Check { name: "total = available + held + pending + sold", ok, detail }
}

/// No units were given out that never existed, neither by the counters nor by the answers to buyers.
fn oversold(evidence: &Evidence<'_>, end: StockCounters) -> Check {
    let samples = evidence.samples.all.iter().map(|sample| sample.stock);
    let by_counters = samples.chain([end]).map(|stock| stock.taken() - stock.total).max().unwrap_or(0).max(0);
    let may_return = evidence.some_lapsed || evidence.start.held + evidence.start.pending > 0;
    let by_buyers = if may_return { 0 } else { (signed(evidence.ledger.granted) - evidence.start.available).max(0) };
    let many = by_counters.max(by_buyers);
    Check {
        name: "nothing was oversold",
        ok: many == 0,
        detail: format!("{many} too many; {} of {} units are taken", thousands(end.taken()), thousands(end.total)),
    }
}

fn granted_is_taken(evidence: &Evidence<'_>, end: StockCounters) -> Check {
    let (granted, unknown) = (signed(evidence.ledger.granted), signed(evidence.ledger.unknown));
    let taken = end.taken() - evidence.start.taken();
    let least = if evidence.some_lapsed { 0 } else { granted };
    let caveat = match (evidence.some_lapsed, unknown) {
        (true, _) => format!("at most {} granted, because some have lapsed", thousands(granted + unknown)),
        (false, 0) => format!("{} granted", thousands(granted)),
        (false, _) => format!("{} granted and {} unknown", thousands(granted), thousands(unknown)),
    };
    let ok = (least..=granted + unknown).contains(&taken);
    let doubt = if ok { "" } else { " (or somebody else buys this product)" };
    Check { name: "units taken = holds granted", ok, detail: format!("{} taken, {caveat}{doubt}", thousands(taken)) }
}

/// The service refused no buyer for lack of stock while units were available. Other refusals do not count here.
fn sold_out_first(evidence: &Evidence<'_>, end: StockCounters) -> Check {
    let refused = evidence.metrics.count(Step::Hold, "insufficient_stock");
    let ok = refused == 0 || end.available == 0 || evidence.some_lapsed;
    let detail = format!("{} refused, {} left", thousands(refused), thousands(end.available));
    Check { name: "no buyer met sold-out while units were left", ok, detail }
}

/// A buyer who is turned away before anything is decided is not part of the crowd: then this was not the rush that was
/// planned.
fn admitted(metrics: &Metrics) -> Check {
    let (limited, keyless) = metrics.turned_away();
    let detail = match (limited, keyless) {
        (0, 0) => "no rate limit, no missing key".to_owned(),
        _ => format!("{} met a rate limit (429), {} an API key (401)", thousands(limited), thousands(keyless)),
    };
    Check { name: "nobody was turned away at the gate", ok: limited + keyless == 0, detail }
}

fn paid_is_sold(evidence: &Evidence<'_>, end: StockCounters) -> Check {
    let PaymentCounts { paid, unknown, .. } = evidence.ledger.payments();
    let sold = end.sold - evidence.start.sold;
    let ok = (signed(paid)..=signed(paid + unknown)).contains(&sold);
    let caveat = if unknown == 0 { String::new() } else { format!(" and {} unknown", thousands(unknown)) };
    Check {
        name: "units sold = orders paid",
        ok,
        detail: format!("{} sold, {} paid{caveat}", thousands(sold), thousands(paid)),
    }
}

fn all_back(evidence: &Evidence<'_>, end: StockCounters) -> Check {
    let granted = evidence.ledger.granted;
    let ok = end.available >= evidence.start.available;
    let detail = format!(
        "{} of {} after {} holds",
        thousands(end.available),
        thousands(evidence.start.available),
        thousands(granted)
    );
    Check { name: "all units came back after their deadlines", ok, detail }
}

fn distinct(ledger: &Ledger) -> Check {
    let shared = ledger.shared_ids;
    let detail = format!("{} holds, {shared} of them twice", thousands(ledger.granted));
    Check { name: "every buyer has a hold of their own", ok: shared == 0, detail }
}

fn identical(evidence: &Evidence<'_>) -> Check {
    let payments = evidence.ledger.payments();
    let may_return = evidence.some_lapsed || evidence.start.held + evidence.start.pending > 0;
    let contradicted = if may_return { 0 } else { evidence.ledger.contradicted_holds };
    let holds = evidence.ledger.differing_holds + contradicted;
    let detail = format!(
        "{holds} of {} holds and {} of {} payments differ",
        thousands(evidence.ledger.granted),
        payments.differing,
        thousands(payments.sent)
    );
    Check { name: "duplicates were answered identically", ok: holds + payments.differing == 0, detail }
}

/// A rush in which nobody got a unit proves nothing. The commonest answer to a hold says why.
fn something(evidence: &Evidence<'_>) -> Check {
    let granted = evidence.ledger.granted;
    let PaymentCounts { paid, .. } = evidence.ledger.payments();
    let (count, what) =
        if evidence.scenario.pays() { (paid, "orders were paid") } else { (granted, "holds were granted") };
    let commonest = evidence.metrics.outcomes().into_iter().find(|outcome| outcome.step == Step::Hold);
    let reason = match commonest {
        Some(outcome) if granted == 0 => format!("; most holds were answered {}", outcome.code),
        _ => String::new(),
    };
    Check { name: "somebody got something", ok: count > 0, detail: format!("{} {what}{reason}", thousands(count)) }
}

fn reason(error: &CallError) -> String {
    match error {
        CallError::Refused(refusal) => format!("the answer was {}", refusal.status),
        other => other.to_string(),
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
