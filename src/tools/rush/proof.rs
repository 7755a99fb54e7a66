//! The proof: what the service answered to buyers against what the product's counters say.

use super::{
    answers::Step,
    figures::thousands,
    ledger::{Ledger, PaymentCounts, ProductCounts},
    metrics::Metrics,
    plan::Scenario,
    products::WantedProduct,
    stock::{StockCounters, StockSamples},
    take_away::TakenAway,
};

/// Products that a check names.
const NAMED_MAX: usize = 3;

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

/// One product, by its counters and by the answers to its buyers.
#[derive(Clone, Debug)]
pub struct ProductSides {
    pub product: WantedProduct,
    pub counts: ProductCounts,
    /// The counters before the first buyer.
    pub start: StockCounters,
    /// The counters after the last buyer. Where they could not be read, those of the start stand in.
    pub end: StockCounters,
    /// The counters after everything was taken away, where they were read.
    pub after: Option<StockCounters>,
}

/// Everything that the proof looks at.
pub struct Evidence<'a> {
    pub scenario: Scenario,
    pub metrics: &'a Metrics,
    pub ledger: &'a Ledger,
    pub samples: &'a StockSamples,
    pub products: Vec<ProductSides>,
    /// Why there are no counters of the end.
    pub unread: Option<String>,
    /// Whether a granted hold may have lapsed before the counters were read at the end.
    pub some_lapsed: bool,
    /// Whether nobody waited until all holds had lapsed, in a scenario about lapsing.
    pub wait_was_cut: bool,
    pub taken: &'a TakenAway,
}

/// The products with their counters: at the end and after all was taken away, where they could be read.
pub fn sides(
    products: &[WantedProduct],
    end: Option<&Vec<StockCounters>>,
    after: Option<&Vec<StockCounters>>,
    ledger: &Ledger,
) -> Vec<ProductSides> {
    let at = |all: Option<&Vec<StockCounters>>, place: usize| all.map(|all| all[place]);
    let sides = products.iter().zip(ledger.products()).enumerate().map(|(place, (product, counts))| ProductSides {
        product: product.clone(),
        counts,
        start: product.stock,
        end: at(end, place).unwrap_or(product.stock),
        after: at(after, place),
    });
    sides.collect()
}

impl ProductSides {
    /// Units that may come back meanwhile, of this rush or of others, so that they may be given out twice.
    fn may_return(&self, some_lapsed: bool) -> bool {
        some_lapsed || self.start.held.saturating_add(self.start.pending) > 0
    }

    /// Units above those that there were, by the counters and by the answers to buyers.
    fn oversold(&self, some_lapsed: bool) -> i64 {
        let by_counters = self.end.taken().saturating_sub(self.end.total);
        let supply = self.start.available.saturating_add(self.end.total).saturating_sub(self.start.total);
        let granted = signed(self.counts.granted);
        let by_buyers = if self.may_return(some_lapsed) { 0 } else { granted.saturating_sub(supply) };
        by_counters.max(by_buyers).max(0)
    }

    fn taken(&self) -> i64 {
        self.end.taken().saturating_sub(self.start.taken())
    }

    fn sold(&self) -> i64 {
        self.end.sold.saturating_sub(self.start.sold)
    }

    /// Whether as many units were taken as the answers say.
    fn is_taken_as_granted(&self, some_lapsed: bool) -> bool {
        let least = if some_lapsed { 0 } else { signed(self.counts.granted) };
        (least..=signed(self.counts.granted + self.counts.unknown)).contains(&self.taken())
    }

    fn was_sold_out_too_early(&self, some_lapsed: bool) -> bool {
        self.counts.sold_out > 0 && self.end.available != 0 && !some_lapsed
    }

    /// Whether every check about this product holds that does not depend on others.
    pub fn is_sound(&self, scenario: Scenario, some_lapsed: bool) -> bool {
        let some_lapsed = some_lapsed || scenario == Scenario::Abandon;
        self.end.are_balanced()
            && self.oversold(some_lapsed) == 0
            && self.is_taken_as_granted(some_lapsed)
            && !self.was_sold_out_too_early(some_lapsed)
    }

    /// Whether nothing of the rush is held or pending any more.
    fn is_as_before(&self) -> bool {
        self.after.is_none_or(|after| after.held <= self.start.held && after.pending <= self.start.pending)
    }
}

impl Evidence<'_> {
    fn sum(&self, figure: impl Fn(&ProductSides) -> i64) -> i64 {
        self.products.iter().map(figure).fold(0, i64::saturating_add)
    }

    /// The products for which something is wrong, behind the detail of a check. There is no need to name the only one.
    fn naming(&self, detail: String, is_wrong: impl Fn(&ProductSides) -> bool) -> String {
        let wrong: Vec<String> =
            self.products.iter().filter(|sides| is_wrong(sides)).map(|sides| sides.product.title()).collect();
        if wrong.is_empty() || self.products.len() == 1 {
            return detail;
        }
        let more =
            if wrong.len() > NAMED_MAX { format!(" and {} others", wrong.len() - NAMED_MAX) } else { String::new() };
        format!("{detail}: {}{more}", wrong[..wrong.len().min(NAMED_MAX)].join(", "))
    }
}

pub fn judge(evidence: &Evidence<'_>) -> Proof {
    let mut checks = vec![balanced(evidence), admitted(evidence.metrics)];
    match &evidence.unread {
        Some(why) => checks.push(Check {
            name: "the counters were read at the end",
            ok: false,
            detail: format!("without them nothing is proved: {why}"),
        }),
        None => checks.extend(compare(evidence)),
    }
    checks.push(distinct(evidence.ledger));
    if evidence.scenario.copies() > 1 {
        checks.push(identical(evidence));
    }
    let some_lapsed = evidence.some_lapsed || evidence.scenario == Scenario::Abandon;
    checks.extend(evidence.ledger.customers.checks(some_lapsed));
    if !evidence.taken.kept && (evidence.scenario != Scenario::Abandon || evidence.wait_was_cut) {
        checks.push(taken_away(evidence));
    }
    Proof { checks }
}

fn compare(evidence: &Evidence<'_>) -> Vec<Check> {
    let mut checks = vec![oversold(evidence)];
    if evidence.scenario == Scenario::Abandon {
        checks.push(all_back(evidence));
    } else {
        checks.push(granted_is_taken(evidence));
        checks.push(sold_out_first(evidence));
    }
    if evidence.scenario.pays() {
        checks.push(paid_is_sold(evidence));
    }
    checks.push(something(evidence));
    checks
}

/// The counters of every product add up in every sample.
fn balanced(evidence: &Evidence<'_>) -> Check {
    let samples = &evidence.samples.all;
    let unbalanced = samples.iter().find_map(|sample| Some((sample.at, sample.unbalanced?)));
    let (looks, products) = (samples.len(), evidence.products.len());
    let of = if products == 1 { String::new() } else { format!(" of {} products", thousands(products)) };
    let detail = match unbalanced {
        None if looks == 1 => format!("at the only look at the counters{of}"),
        None => format!("at each of {} looks at the counters{of}", thousands(looks)),
        Some((at, (place, stock))) => {
            let StockCounters { total, available, held, pending, sold } = stock;
            let title = &evidence.products[place].product.title();
            let of = if products == 1 { String::new() } else { format!("{title}: ") };
            format!("{of}{total} = {available} + {held} + {pending} + {sold} is false, after {} ms", at.as_millis())
        }
    };
    let ok = looks > 0 && unbalanced.is_none();
    Check { name: "total = available + held + pending + sold", ok, detail }
}

/// No units were given out that never existed, neither by the counters nor by the answers to buyers.
fn oversold(evidence: &Evidence<'_>) -> Check {
    let by_samples = evidence.samples.all.iter().map(|sample| sample.above_total).max().unwrap_or(0);
    let many = by_samples.max(evidence.sum(|sides| sides.oversold(evidence.some_lapsed)));
    let (taken, total) = (evidence.sum(|sides| sides.end.taken()), evidence.sum(|sides| sides.end.total));
    let detail = format!("{many} too many; {} of {} units are taken", thousands(taken), thousands(total));
    let detail = evidence.naming(detail, |sides| sides.oversold(evidence.some_lapsed) > 0);
    Check { name: "nothing was oversold", ok: many == 0, detail }
}

fn granted_is_taken(evidence: &Evidence<'_>) -> Check {
    let (granted, unknown) = (evidence.ledger.granted, evidence.ledger.unknown);
    let taken = evidence.sum(ProductSides::taken);
    let caveat = match (evidence.some_lapsed, unknown) {
        (true, _) => format!("at most {} granted, because some have lapsed", thousands(granted + unknown)),
        (false, 0) => format!("{} granted", thousands(granted)),
        (false, _) => format!("{} granted and {} unknown", thousands(granted), thousands(unknown)),
    };
    let is_wrong = |sides: &ProductSides| !sides.is_taken_as_granted(evidence.some_lapsed);
    let ok = !evidence.products.iter().any(is_wrong);
    let doubt = if ok { "" } else { " (or somebody else buys this product)" };
    let detail = evidence.naming(format!("{} taken, {caveat}{doubt}", thousands(taken)), is_wrong);
    Check { name: "units taken = holds granted", ok, detail }
}

/// The service refused no buyer for lack of stock while units were available. Other refusals do not count here.
fn sold_out_first(evidence: &Evidence<'_>) -> Check {
    let refused = evidence.metrics.count(Step::Hold, "insufficient_stock");
    let is_wrong = |sides: &ProductSides| sides.was_sold_out_too_early(evidence.some_lapsed);
    let left = evidence.sum(|sides| sides.end.available);
    let sold_out = evidence.products.iter().filter(|sides| sides.end.available == 0).count();
    let all = evidence.products.len();
    let of = if all == 1 { String::new() } else { format!(", {sold_out} of {all} products sold out") };
    let detail = evidence.naming(format!("{} refused, {} left{of}", thousands(refused), thousands(left)), is_wrong);
    Check { name: "no buyer met sold-out while units were left", ok: !evidence.products.iter().any(is_wrong), detail }
}

/// What the rush made is gone, by the answers and by the counters.
fn taken_away(evidence: &Evidence<'_>) -> Check {
    let TakenAway { holds, orders, lapsed, stays, .. } = evidence.taken;
    let left = evidence.taken.left();
    let ok = left == 0 && evidence.products.iter().all(ProductSides::is_as_before);
    let orders = if *orders > 0 { format!(", {} orders cancelled", thousands(orders)) } else { String::new() };
    let lapsed = if *lapsed > 0 { format!(", {} lapsed", thousands(lapsed)) } else { String::new() };
    let reasons = stays.iter().map(|(why, count)| format!("{} stay ({why})", thousands(count)));
    let reasons = reasons.map(|reason| format!(", {reason}")).collect::<String>();
    let unread = evidence.products.iter().any(|sides| sides.after.is_none());
    let unread = if unread { ", and the counters could not be read then" } else { "" };
    let detail = format!("{} holds released{orders}{lapsed}{reasons}{unread}", thousands(holds));
    Check {
        name: "what the rush made was taken away",
        ok,
        detail: evidence.naming(detail, |sides| !sides.is_as_before()),
    }
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

fn paid_is_sold(evidence: &Evidence<'_>) -> Check {
    let PaymentCounts { paid, unknown, .. } = evidence.ledger.payments();
    let sold = evidence.sum(ProductSides::sold);
    let is_wrong = |sides: &ProductSides| {
        let ProductCounts { paid, unknown_paid, .. } = sides.counts;
        !(signed(paid)..=signed(paid + unknown_paid)).contains(&sides.sold())
    };
    let caveat = if unknown == 0 { String::new() } else { format!(" and {} unknown", thousands(unknown)) };
    let detail = format!("{} sold, {} paid{caveat}", thousands(sold), thousands(paid));
    Check {
        name: "units sold = orders paid",
        ok: !evidence.products.iter().any(is_wrong),
        detail: evidence.naming(detail, is_wrong),
    }
}

fn all_back(evidence: &Evidence<'_>) -> Check {
    let is_wrong = |sides: &ProductSides| sides.end.available < sides.start.available;
    let available = |stock: fn(&ProductSides) -> StockCounters| thousands(evidence.sum(|sides| stock(sides).available));
    let (end, start) = (available(|sides| sides.end), available(|sides| sides.start));
    let name = "all units came back after their deadlines";
    if evidence.wait_was_cut {
        return Check { name, ok: false, detail: "interrupted before the last of them".to_owned() };
    }
    let detail = format!("{end} of {start} after {} holds", thousands(evidence.ledger.granted));
    let ok = !evidence.products.iter().any(is_wrong);
    Check { name, ok, detail: evidence.naming(detail, is_wrong) }
}

fn distinct(ledger: &Ledger) -> Check {
    let shared = ledger.shared_ids;
    let detail = format!("{} holds, {shared} of them twice", thousands(ledger.granted));
    Check { name: "every buyer has a hold of their own", ok: shared == 0, detail }
}

fn identical(evidence: &Evidence<'_>) -> Check {
    let payments = evidence.ledger.payments();
    let may_return = evidence.products.iter().any(|sides| sides.may_return(evidence.some_lapsed));
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

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
