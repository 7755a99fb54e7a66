//! What a rush could not show, why, and the flag that shows it next time.

use super::{
    arrivals::Ended,
    buyers::RushState,
    crowd::{buyers_with_limits, customers_for},
    figures::thousands,
    plan::{BUYERS_MAX, ProductChoice, RushPlan, Scenario},
    prepare::Prepared,
    proof::{Evidence, ProductSides},
};

/// Products that are named.
const NAMED_MAX: usize = 3;

pub fn not_shown(plan: &RushPlan, prepared: &Prepared, state: &RushState, evidence: &Evidence<'_>) -> Vec<String> {
    let all = [
        terms_unread(plan, prepared, evidence),
        limits_not_met(plan, prepared, state, evidence),
        not_sold_out(plan, prepared, state, evidence),
        lapsed(plan, evidence),
        held_by_others(evidence),
    ];
    all.into_iter().flatten().collect()
}

/// Without an admin token nobody can read what a sale allows a customer.
fn terms_unread(plan: &RushPlan, prepared: &Prepared, evidence: &Evidence<'_>) -> Option<String> {
    let is_sale = matches!(plan.product, ProductChoice::Sale { .. });
    let may_have_limits = is_sale || evidence.ledger.customers.refusals > 0;
    let why =
        if plan.admin_token.is_none() { "--admin-token TOKEN" } else { "an --admin-token that the service takes" };
    (may_have_limits && !prepared.limits.are_whole)
        .then(|| format!("that the limits of the sale hold: only an admin can read its terms. Add {why}"))
}

fn limits_not_met(plan: &RushPlan, prepared: &Prepared, state: &RushState, evidence: &Evidence<'_>) -> Option<String> {
    let customers = state.crowd.customers?;
    let met = evidence.ledger.customers.refusals > 0;
    if met || !evidence.ledger.customers.has_limits() {
        return None;
    }
    let buyers = evidence.metrics.accepted + evidence.metrics.refused + evidence.metrics.failed;
    let most = customers_for(buyers, plan.popularity, &prepared.available(), &prepared.limits);
    let fewer = most.unwrap_or(1).min(customers).div_ceil(2);
    let some_left = evidence.products.iter().any(|sides| sides.end.available > 0);
    let fix = if some_left { "More buyers come first".to_owned() } else { format!("Add --customers {fewer}") };
    let (buyers, customers) = (thousands(buyers), thousands(customers));
    Some(format!(
        "that a limit refuses anybody: {buyers} buyers were {customers} customers, and none of them came often enough. {fix}"
    ))
}

fn not_sold_out(plan: &RushPlan, prepared: &Prepared, state: &RushState, evidence: &Evidence<'_>) -> Option<String> {
    let left: Vec<&ProductSides> = evidence.products.iter().filter(|sides| sides.end.available > 0).collect();
    if left.is_empty() || plan.scenario == Scenario::Abandon || evidence.unread.is_some() {
        return None;
    }
    let named = left.iter().take(NAMED_MAX).map(|sides| sides.product.title()).collect::<Vec<_>>().join(", ");
    let more = if left.len() > NAMED_MAX { ", …" } else { "" };
    let what = match evidence.products.len() {
        1 => format!("{} units are left", thousands(left[0].end.available)),
        all => format!("{} of {all} products have units left ({named}{more})", left.len()),
    };
    let units = prepared.available();
    let mut buyers = plan.popularity.buyers_for(&units);
    let mut customers = String::new();
    if evidence.ledger.customers.has_limits() {
        buyers = buyers_with_limits(buyers);
        let needed = customers_for(buyers, plan.popularity, &units, &prepared.limits);
        customers = needed.map_or(customers, |needed| format!(" --customers {needed}"));
    }
    let fix = match state.arrivals.ended() {
        Some(Ended::Interrupted) => "Let it run to its end".to_owned(),
        Some(Ended::TimeUp) => format!("Add --buyers {buyers}{customers} and a longer --duration"),
        _ if buyers > BUYERS_MAX => "It takes more buyers than a rush has: rehearse with fewer units".to_owned(),
        _ => format!("Add --buyers {buyers}{customers}"),
    };
    Some(format!("that all is sold out and then refused: {what}. {fix}"))
}

fn lapsed(plan: &RushPlan, evidence: &Evidence<'_>) -> Option<String> {
    (evidence.some_lapsed && plan.scenario != Scenario::Abandon).then(|| {
        "that each unit was given out once, and what a customer had: holds lapsed before the end. Make the rush shorter than \
         the hold_seconds of the sale"
            .to_owned()
    })
}

fn held_by_others(evidence: &Evidence<'_>) -> Option<String> {
    let held = evidence
        .products
        .iter()
        .map(|sides| sides.start.held.saturating_add(sides.start.pending))
        .fold(0, i64::saturating_add);
    (held > 0).then(|| {
        format!(
            "that no buyer got a unit twice, by the answers alone: others held {} units, which may have come back. The counters \
             were compared all the same. Rehearse when nobody holds any",
            thousands(held)
        )
    })
}
