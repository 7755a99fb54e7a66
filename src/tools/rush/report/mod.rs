//! The report of a rush: its facts, and their renderings as text, JSON and HTML.

mod html;
mod json;
mod plot;
mod rows;
mod text;

use std::time::Duration;

use super::{
    advice,
    answers::Step,
    arrivals::Ended,
    buyers::RushState,
    crowd::Popularity,
    figures::thousands,
    metrics::{Metrics, OutcomeCount},
    plan::{LoadModel, ProductChoice, RushPlan, Scenario},
    prepare::Prepared,
    proof::{self, Evidence, ProductSides, Proof},
    stock::{StockCounters, StockSample, StockSamples},
    take_away::TakenAway,
    timeline::IntervalStats,
};

/// All facts of a rush that ended.
pub struct RushReport {
    command: String,
    url: String,
    at: String,
    scenario: Scenario,
    /// What the buyers wanted: one product or several.
    wanted: String,
    sale: Option<String>,
    own_product: bool,
    products: Vec<ProductSides>,
    popularity: Popularity,
    customers: Option<u64>,
    buyers: u64,
    units: i64,
    concurrency: u64,
    load: LoadModel,
    duration: Duration,
    seed: u64,
    elapsed: Duration,
    ended: Ended,
    requests: u64,
    accepted: u64,
    refused: u64,
    failed: u64,
    unknown: u64,
    /// Orders that some answer reported as paid.
    paid: u64,
    /// Buyers who had arrived when the rush ended, and whom no worker had served.
    waiting: u64,
    outcomes: Vec<OutcomeCount>,
    latency: Vec<StepLatency>,
    seconds: Vec<IntervalStats>,
    intervals: Vec<IntervalStats>,
    interval: Duration,
    samples: Vec<StockSample>,
    some_lapsed: bool,
    taken: TakenAway,
    proof: Proof,
    /// What could not be shown, why, and what to add.
    not_shown: Vec<String>,
    notes: Vec<String>,
}

/// Latencies of one step, in microseconds.
struct StepLatency {
    step: Step,
    count: u64,
    p50: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

impl RushReport {
    pub(super) fn new(
        plan: &RushPlan,
        prepared: &Prepared,
        state: &RushState,
        evidence: &Evidence<'_>,
        at: jiff::Timestamp,
    ) -> Self {
        let (metrics, ledger, samples) = (evidence.metrics, evidence.ledger, evidence.samples);
        let (intervals, interval) = metrics.timeline.intervals();
        Self {
            command: plan.command(),
            url: plan.endpoint.url().to_owned(),
            at: at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            scenario: plan.scenario,
            wanted: wanted(&plan.product, &prepared.products),
            sale: match &plan.product {
                ProductChoice::Sale { sale } => Some(sale.clone()),
                ProductChoice::Existing { .. } | ProductChoice::New { .. } => None,
            },
            own_product: matches!(plan.product, ProductChoice::New { .. }),
            products: evidence.products.clone(),
            popularity: plan.popularity,
            customers: state.crowd.customers,
            buyers: plan.buyers,
            units: StockCounters::sum(&prepared.stock()).available,
            concurrency: plan.concurrency.min(plan.buyers),
            load: plan.load,
            duration: plan.duration,
            seed: plan.seed,
            elapsed: metrics.elapsed(),
            ended: state.arrivals.ended().unwrap_or(Ended::AllServed),
            requests: metrics.requests,
            accepted: metrics.accepted,
            refused: metrics.refused,
            failed: metrics.failed,
            unknown: ledger.unknown,
            paid: ledger.payments().paid,
            waiting: state.arrivals.waiting(),
            outcomes: metrics.outcomes(),
            latency: Step::ALL.into_iter().filter_map(|step| StepLatency::of(metrics, step)).collect(),
            seconds: metrics.timeline.seconds(),
            intervals,
            interval,
            samples: samples.all.clone(),
            some_lapsed: evidence.some_lapsed,
            taken: evidence.taken.clone(),
            proof: proof::judge(evidence),
            not_shown: advice::not_shown(plan, prepared, state, evidence),
            notes: notes(plan, state, evidence, samples),
        }
    }

    /// Whether every check of the proof holds.
    pub fn is_proved(&self) -> bool {
        self.proof.ok()
    }

    /// The report for a terminal, at most 100 columns wide.
    pub fn text(&self) -> String {
        text::render(self)
    }

    /// The report for programs.
    pub fn json(&self) -> String {
        json::render(self)
    }

    /// The report as a page for people who were not there: one file that needs no other.
    pub fn html(&self) -> String {
        html::render(self)
    }

    /// The result in one sentence.
    fn verdict(&self) -> String {
        let (buyers, accepted) = (thousands(self.served()), thousands(self.accepted));
        let units = match self.products.len() {
            1 => format!("{} units", thousands(self.units)),
            all => format!("{} units of {} products", thousands(self.units), thousands(all)),
        };
        if let Some(check) = self.proof.first_failed() {
            return format!("{units}, {buyers} buyers: not proved that {}", check.name);
        }
        let what = match self.scenario {
            Scenario::Abandon => format!("gave out {accepted} holds, and every unit came back"),
            Scenario::Rush => format!("gave out exactly {accepted}"),
            Scenario::Lifecycle | Scenario::Duplicates => format!("sold exactly {}", thousands(self.paid)),
        };
        let doubt = if self.unknown == 0 { String::new() } else { format!(" ({} unknown)", thousands(self.unknown)) };
        format!("{units}, {buyers} buyers: {what}{doubt}")
    }

    /// Buyers who came and left.
    fn served(&self) -> u64 {
        self.accepted + self.refused + self.failed
    }

    /// The rate a second over the whole rush.
    fn per_second(&self, count: u64) -> u64 {
        let elapsed_us = self.elapsed.as_micros().max(1);
        u64::try_from(u128::from(count) * 1_000_000 / elapsed_us).unwrap_or(u64::MAX)
    }

    fn load_in_words(&self) -> String {
        match self.load {
            LoadModel::Closed => format!("{} at a time, each after another (closed loop)", thousands(self.concurrency)),
            LoadModel::Open { rate } => format!("{} a second, on schedule (open loop)", thousands(rate)),
        }
    }

    fn end_in_words(&self) -> &'static str {
        match self.ended {
            Ended::AllServed => "all buyers were served",
            Ended::TimeUp => "the time was up",
            Ended::Interrupted => "it was interrupted",
        }
    }

    /// The instants from which and to which a latency counts.
    fn latency_in_words(&self) -> &'static str {
        match self.load {
            LoadModel::Closed => "from sending a request to its whole answer",
            LoadModel::Open { .. } => {
                "for holds from the scheduled arrival, so that waiting in line counts; for other steps from sending"
            }
        }
    }
}

impl StepLatency {
    /// `None` for a step that was never taken.
    fn of(metrics: &Metrics, step: Step) -> Option<Self> {
        let all = metrics.latency(step);
        let at = |quantile| all.value_at_quantile(quantile);
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        (!all.is_empty()).then(|| Self { step, count: all.len(), p50, p99, p999, max: all.max() })
    }
}

/// What a reader must know to judge the figures, and what to change next time.
fn notes(plan: &RushPlan, state: &RushState, evidence: &Evidence<'_>, samples: &StockSamples) -> Vec<String> {
    let (metrics, unknown) = (evidence.metrics, evidence.ledger.unknown);
    let mut notes = Vec::new();
    let mut note = |count: u64, text: &str| {
        if count > 0 {
            notes.push(text.replace("{}", &thousands(count)));
        }
    };
    note(
        metrics.count(Step::Pay, "signature_missing"),
        "the service refused {} payment events because they were not signed: use --webhook-secret whsec_… with one of \
         its webhook.secrets",
    );
    note(
        metrics.count(Step::Pay, "signature_invalid"),
        "{} payment events were signed with a secret that the service does not have: see --webhook-secret",
    );
    note(
        metrics.count(Step::Hold, "not connected"),
        "{} holds were not sent because no connection could be made: is the service up, and does it (or a proxy) accept \
         as many connections as --concurrency?",
    );
    note(metrics.count(Step::Hold, "overloaded"), "the service turned {} holds away because it was overloaded");
    note(
        metrics.count(Step::Hold, "customer_id_required"),
        "the service refused {} holds because they name no customer, and a limit counts customers: --customers N",
    );
    let (limited, keyless) = metrics.turned_away();
    note(
        limited,
        "{} requests met a rate limit, so this was no rush: all buyers come from one address. Rehearse with \
         http.rate_limit_per_second at 0, or with a burst that is larger than the crowd",
    );
    note(
        keyless,
        if plan.endpoint.has_api_key() {
            "the service turned {} requests away because it does not know this API key: see --api-key"
        } else {
            "the service turned {} requests away because it asks buyers for an API key: --api-key KEY"
        },
    );
    note(
        metrics.resolved,
        "{} requests had no clear answer at first; they were sent again with the same key until there was one",
    );
    note(unknown, "it is unknown whether {} buyers got a unit; the proof allows for both");
    note(
        state.arrivals.waiting(),
        "{} buyers still waited when the rush ended, and the latencies do not include them: the service or \
         --concurrency is too small for this --rate",
    );
    note(samples.missed, "reads of the counters without an answer: {}");
    if !evidence.taken.kept {
        note(evidence.taken.paid, "{} paid orders stay: money cannot be taken away");
        note(evidence.taken.left(), "{} holds or orders could not be taken away; they lapse at their deadlines");
    }
    if evidence.taken.kept {
        notes.push("all holds and orders stay, because of --keep; what is not paid lapses at its deadline".to_owned());
    }
    if matches!(plan.product, ProductChoice::New { .. }) {
        notes.push(
            "the product was made for this rush, and stays: `flashsale product archive` takes it out of sight"
                .to_owned(),
        );
    }
    notes
}

/// What the buyers wanted, in words.
fn wanted(choice: &ProductChoice, products: &[super::products::WantedProduct]) -> String {
    match (choice, products) {
        (ProductChoice::Sale { sale }, _) => format!("{} of sale {sale}", many(products.len(), "product")),
        (_, [only]) => format!("product {}", only.id),
        _ => many(products.len(), "product"),
    }
}

fn many(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{} {noun}s", thousands(count)) }
}
