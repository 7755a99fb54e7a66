//! Limits for each customer: never exceeded, and nobody is refused who is below them.

use super::{
    super::history::{Call, Offer, Reply, Request},
    figures::units_of,
    order::Replay,
};

/// A limit that counts for a line: its name, most units, and the units that a customer has, at least and at most.
struct Limit<'a> {
    name: &'static str,
    most: i64,
    has: (i64, i64),
    wanted: i64,
    of: &'a Offer,
}

pub fn check(model: &Replay<'_>, call: &Call, reply: &Reply) -> Result<(), String> {
    let Request::Hold { lines, customer, .. } = &call.request else { return Ok(()) };
    let is_new = reply.status == 201 && !reply.is_replayed;
    let all = limits(model, lines, customer.as_deref());
    if is_new && customer.is_none() && !all.is_empty() {
        return Err("a hold without a customer was taken where a limit counts".to_owned());
    }
    for limit in all {
        let Limit { name, most, has, wanted, of } = &limit;
        let what = format!("limit {name} of product {}: {wanted} wanted, {has:?} had, {most} allowed", of.product);
        if is_new && has.0 + wanted > *most {
            return Err(format!("{what}, and taken"));
        }
        let is_refused = reply.code == "customer_limit_reached" && reply.text("limit") == *name;
        if is_refused && (*name == "sale" || reply.body["product_id"] == of.product) {
            let remaining = reply.body["remaining"].as_i64().unwrap_or(i64::MIN);
            // Who has more than the limit, by a late payment, has nothing remaining.
            let fits = ((most - has.1).max(0)..=(most - has.0).max(0)).contains(&remaining) && remaining < *wanted;
            if !fits || reply.body["most"] != *most {
                return Err(format!("{what}, and refused with {remaining} remaining"));
            }
        }
    }
    Ok(())
}

fn limits<'a>(model: &Replay<'a>, lines: &[(u64, i64)], customer: Option<&str>) -> Vec<Limit<'a>> {
    let has = |product: u64| {
        let figures = customer.and_then(|customer| model.customers.get(&(customer, product)));
        figures.map_or((0, 0), |figures| figures.taken)
    };
    let offers = &model.history.offers;
    let mut all = Vec::new();
    for (product, units) in lines {
        let of = model.history.offer(*product);
        if let Some(most) = of.most {
            all.push(Limit { name: "product", most, has: has(*product), wanted: *units, of });
        }
    }
    let first = model.history.offer(lines[0].0);
    if let Some(most) = first.most_of_sale {
        let of_sale: Vec<_> =
            offers.iter().filter(|offer| offer.sale == first.sale).map(|offer| offer.product).collect();
        let add = |sum: (i64, i64), more: (i64, i64)| (sum.0 + more.0, sum.1 + more.1);
        let wanted = of_sale.iter().map(|product| units_of(lines, *product)).sum();
        let has = of_sale.iter().map(|product| has(*product)).fold((0, 0), add);
        all.push(Limit { name: "sale", most, has, wanted, of: first });
    }
    all
}
