//! What is told of a rush: the facts, once, and their renderings as text, JSON and HTML.

mod html;
mod json;
mod plot;
mod text;

use std::time::Duration;

use super::{
    buyers::Floor,
    crowd::Ended,
    figures::thousands,
    plan::{Pace, Plan, Scenario, Wanted},
    prepare::Prepared,
    proof::Proof,
    stock::{Sample, Samples},
    tally::{Outcome, Step, Tally},
    timeline::Row,
};

/// All facts of a rush that ended.
pub struct Report {
    command: String,
    url: String,
    at: String,
    scenario: Scenario,
    product: u64,
    own_product: bool,
    buyers: u64,
    units: i64,
    concurrency: u64,
    pace: Pace,
    duration: Duration,
    seed: u64,
    elapsed: Duration,
    ended: Ended,
    requests: u64,
    accepted: u64,
    refused: u64,
    failed: u64,
    unknown: u64,
    /// Orders of which some answer said that they are paid.
    paid: u64,
    /// Buyers whose time had come when the rush ended, and whom nobody had time for.
    in_line: u64,
    outcomes: Vec<Outcome>,
    latency: Vec<Latency>,
    seconds: Vec<Row>,
    ticks: Vec<Row>,
    tick: Duration,
    samples: Vec<Sample>,
    proof: Proof,
    notes: Vec<String>,
}

/// Latencies of one step, in microseconds.
struct Latency {
    step: Step,
    count: u64,
    p50: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

impl Report {
    pub(super) fn new(
        plan: &Plan,
        prepared: &Prepared,
        floor: &Floor,
        samples: &Samples,
        proof: Proof,
        at: jiff::Timestamp,
    ) -> Self {
        let (tally, ledger) = (floor.tally.borrow(), floor.ledger.borrow());
        let (ticks, tick) = tally.timeline.ticks();
        Self {
            command: plan.command(),
            url: plan.endpoint.url().to_owned(),
            at: at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            scenario: plan.scenario,
            product: prepared.product,
            own_product: matches!(plan.wanted, Wanted::New { .. }),
            buyers: plan.buyers,
            units: prepared.stock.available,
            concurrency: plan.concurrency.min(plan.buyers),
            pace: plan.pace,
            duration: plan.duration,
            seed: plan.seed,
            elapsed: tally.elapsed(),
            ended: floor.crowd.ended().unwrap_or(Ended::AllServed),
            requests: tally.requests,
            accepted: tally.accepted,
            refused: tally.refused,
            failed: tally.failed,
            unknown: ledger.unknown,
            paid: ledger.payments().paid,
            in_line: floor.crowd.in_line(),
            outcomes: tally.outcomes(),
            latency: Step::ALL.into_iter().filter_map(|step| Latency::of(&tally, step)).collect(),
            seconds: tally.timeline.seconds(),
            ticks,
            tick,
            samples: samples.seen.clone(),
            proof,
            notes: notes(plan, floor, &tally, ledger.unknown, samples),
        }
    }

    /// Whether every check of the proof holds.
    pub fn is_proved(&self) -> bool {
        self.proof.ok()
    }

    /// For a terminal, at most 100 columns wide.
    pub fn text(&self) -> String {
        text::render(self)
    }

    /// For programs.
    pub fn json(&self) -> String {
        json::render(self)
    }

    /// For people who were not there: one file that needs no other.
    pub fn html(&self) -> String {
        html::render(self)
    }

    /// What happened, in one sentence.
    fn verdict(&self) -> String {
        let (units, buyers, accepted) = (thousands(self.units), thousands(self.served()), thousands(self.accepted));
        if let Some(check) = self.proof.first_failed() {
            return format!("{units} units, {buyers} buyers: not proved that {}", check.name);
        }
        let what = match self.scenario {
            Scenario::Abandon => format!("gave out {accepted} holds, and every unit came back"),
            Scenario::Rush => format!("gave out exactly {accepted}"),
            Scenario::Lifecycle | Scenario::Duplicates => format!("sold exactly {}", thousands(self.paid)),
        };
        let doubt = if self.unknown == 0 { String::new() } else { format!(" ({} unknown)", thousands(self.unknown)) };
        format!("{units} units, {buyers} buyers: {what}{doubt}")
    }

    /// Buyers who came and went.
    fn served(&self) -> u64 {
        self.accepted + self.refused + self.failed
    }

    /// So many a second, over the whole rush.
    fn per_second(&self, count: u64) -> u64 {
        let elapsed_us = self.elapsed.as_micros().max(1);
        u64::try_from(u128::from(count) * 1_000_000 / elapsed_us).unwrap_or(u64::MAX)
    }

    fn loop_in_words(&self) -> String {
        match self.pace {
            Pace::Closed => format!("{} at a time, each after another (closed loop)", thousands(self.concurrency)),
            Pace::Open { rate } => format!("{} a second, on schedule (open loop)", thousands(rate)),
        }
    }

    fn end_in_words(&self) -> &'static str {
        match self.ended {
            Ended::AllServed => "all buyers were served",
            Ended::TimeUp => "the time was up",
            Ended::Interrupted => "it was interrupted",
        }
    }

    /// From when a latency counts.
    fn latency_in_words(&self) -> &'static str {
        match self.pace {
            Pace::Closed => "from sending a request to its whole answer",
            Pace::Open { .. } => {
                "of holds from the scheduled arrival, so that waiting in line counts; of others from sending"
            }
        }
    }
}

impl Latency {
    /// `None` for a step that was never taken.
    fn of(tally: &Tally, step: Step) -> Option<Self> {
        let all = tally.latency(step);
        let at = |quantile| all.value_at_quantile(quantile);
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        (!all.is_empty()).then(|| Self { step, count: all.len(), p50, p99, p999, max: all.max() })
    }
}

/// What a reader must know to judge the figures, and what to do next time.
fn notes(plan: &Plan, floor: &Floor, tally: &Tally, unknown: u64, samples: &Samples) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |count: u64, text: &str| {
        if count > 0 {
            notes.push(text.replace("{}", &thousands(count)));
        }
    };
    note(
        tally.count(Step::Pay, "signature_missing"),
        "{} payment events were refused because they were not signed: give --webhook-secret whsec_…, one of the \
         webhook.secrets of the service",
    );
    note(
        tally.count(Step::Pay, "signature_invalid"),
        "{} payment events were signed with another secret than those of the service: see --webhook-secret",
    );
    note(
        tally.count(Step::Hold, "not connected"),
        "{} holds could not be sent, for there was no connection: is the service up, and does it (or a proxy) take \
         as many connections as --concurrency?",
    );
    note(tally.count(Step::Hold, "overloaded"), "{} holds were turned away because the service was overloaded");
    let (limited, keyless) = tally.turned_away();
    note(
        limited,
        "{} requests met a rate limit, so this was no rush: it comes from one address. Rehearse with \
         http.rate_limit_per_second at 0, or with a burst that is larger than the crowd",
    );
    note(
        keyless,
        if plan.endpoint.has_api_key() {
            "{} requests were turned away, for the service does not know this API key: see --api-key"
        } else {
            "{} requests were turned away, for the service asks buyers for an API key: --api-key KEY"
        },
    );
    note(tally.resolved, "{} requests had no clear answer, and were asked again with the same key until there was one");
    note(unknown, "of {} buyers it stays unknown whether they have a unit; the proof allows for either");
    note(
        floor.crowd.in_line(),
        "{} buyers still stood in line when the rush ended, and their waits are in no table: the service, or \
         --concurrency, is too small for this --rate",
    );
    note(samples.missed, "looks at the counters that had no answer: {}");
    if matches!(plan.wanted, Wanted::New { .. }) {
        notes.push("the product was made for this rush, and stays".to_owned());
    }
    notes
}
