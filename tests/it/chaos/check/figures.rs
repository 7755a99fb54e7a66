//! What the counters of a product may be, and whether an answer about it fits.

use std::collections::BTreeSet;

use super::{
    super::history::{Product, Reply, Request},
    life::{Place, State},
};

/// At least, and at most.
pub type Range = (i64, i64);

/// The units of a product in lives, as far as is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub held: Range,
    pub pending: Range,
    pub sold: Range,
    /// In any of them.
    pub taken: Range,
}

impl Figures {
    /// Adds the units of a life that is in one of these states. `sign` is -1 to take them off again.
    pub fn add(&mut self, states: &[State], units: i64, sign: i64) {
        let is_at = |place: Option<Place>| {
            move |state: &State| state.place().is_some() && (place.is_none() || state.place() == place)
        };
        for (range, place) in [
            (&mut self.held, Some(Place::Held)),
            (&mut self.pending, Some(Place::Pending)),
            (&mut self.sold, Some(Place::Sold)),
            (&mut self.taken, None),
        ] {
            range.0 += sign * units * i64::from(!states.is_empty() && states.iter().all(is_at(place)));
            range.1 += sign * units * i64::from(states.iter().any(is_at(place)));
        }
    }

    pub fn available(&self, totals: &[i64]) -> Range {
        let (least, most) = (totals.first().unwrap(), totals.last().unwrap());
        (least - self.taken.1, most - self.taken.0)
    }
}

/// Whether an answer says what these figures allow.
pub fn check(
    request: &Request,
    reply: &Reply,
    product: Product,
    figures: &Figures,
    totals: &[i64],
) -> Result<(), String> {
    let available = figures.available(totals);
    let fits = |name: &str, range: Range| {
        let said = reply.body[name].as_i64().unwrap_or(i64::MIN);
        if (range.0..=range.1).contains(&said) {
            return Ok(());
        }
        Err(format!("{name} of product {product} is {said}, and must be {} to {}", range.0, range.1))
    };
    match (request, reply.status, &*reply.code) {
        (Request::Hold { lines, .. }, 201, _) if !reply.is_replayed => {
            let wanted = units_of(lines, product);
            if wanted <= available.1 {
                return Ok(());
            }
            Err(format!("{wanted} units of product {product} were held where at most {} were left", available.1))
        }
        (Request::Hold { lines, .. }, 409, "insufficient_stock") if reply.body["product_id"] == product => {
            fits("available_stock", available)?;
            let said = reply.body["available_stock"].as_i64().unwrap_or(i64::MAX);
            if said < units_of(lines, product) {
                return Ok(());
            }
            Err(format!("refused for want of units of product {product}, though {said} were there"))
        }
        (Request::ReadProduct { .. }, 200, _) => {
            fits("available_stock", available)?;
            fits("held_stock", figures.held)?;
            fits("pending_stock", figures.pending)?;
            fits("sold_stock", figures.sold)?;
            fits("total_stock", (*totals.first().unwrap(), *totals.last().unwrap()))
        }
        _ => Ok(()),
    }
}

pub fn units_of(lines: &[(Product, i64)], product: Product) -> i64 {
    lines.iter().filter(|(id, _)| *id == product).map(|(_, units)| units).sum()
}

/// The totals that a restock may leave. `may_repeat`: the same restock was asked for before.
pub fn restocked(totals: &[i64], delta: i64, reply: &Reply, may_repeat: bool) -> Vec<i64> {
    if reply.status != 200 {
        return totals.to_vec();
    }
    let said = reply.body["total_stock"].as_i64();
    let fits = |total: &i64| said == Some(total + delta) || may_repeat && said == Some(*total);
    if totals.iter().any(fits) { said.into_iter().collect() } else { vec![] }
}

/// These totals, and those that restocks of unknown outcome may have made.
pub fn widen_totals(totals: &[i64], deltas: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut all: BTreeSet<_> = totals.iter().copied().collect();
    for delta in deltas {
        let more: Vec<_> = all.iter().map(|total| total + delta).collect();
        all.extend(more);
    }
    all.into_iter().collect()
}
