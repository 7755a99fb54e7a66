//! Conservation at the end, and one effect for each name: a hold, an order, an idempotency key, an event.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::{
    super::history::{Call, FaultSpan, History, Outcome, Request},
    Violation,
    roster::Roster,
};

pub fn check(history: &History, roster: &Roster) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut add = |rule, said| found.push(Violation::new(rule, said, vec![]));
    history.end.complaints.iter().for_each(|line| add("service", line.clone()));
    if history.end.audit["ok"] != true {
        add("audit", history.end.audit.to_string());
    }
    conservation(history).into_iter().for_each(|said| add("conservation", said));
    found.extend(once_each(history));
    found.extend(orders(history, roster));
    found
}

/// Every unit is in one place: it can be sold, or an order that is paid has it.
fn conservation(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let mut sold: BTreeMap<u64, i64> = BTreeMap::new();
    for order in history.end.orders.iter().filter(|order| order["status"] == "paid") {
        for item in order["items"].as_array().into_iter().flatten() {
            *sold.entry(item["product_id"].as_u64().unwrap_or(0)).or_default() +=
                item["quantity"].as_i64().unwrap_or(0);
        }
    }
    for offer in &history.offers {
        let product = &history.end.products[&offer.product];
        let figure = |name: &str| product[name].as_i64().unwrap_or(i64::MIN);
        let [available, held, pending, had] =
            ["available_stock", "held_stock", "pending_stock", "sold_stock"].map(figure);
        let restocked: i64 = restocks(&history.calls, offer.product).values().sum();
        let paid = sold.get(&offer.product).copied().unwrap_or(0);
        if (held, pending) != (0, 0) {
            found.push(format!("product {}: units that never came back: {product}", offer.product));
        }
        if had != paid {
            found
                .push(format!("product {}: {had} units are sold, and orders that are paid have {paid}", offer.product));
        }
        let total = offer.units + restocked;
        let has = (figure("total_stock"), available + held + pending + had);
        let may_have_lost = history.faults.iter().any(FaultSpan::may_lose);
        if has.0 != has.1 || !may_have_lost && has.0 != total {
            found.push(format!("product {}: of {total} units there are {}: {product}", offer.product, has.1));
        }
    }
    found
}

/// Restocks that were done, each once, by key.
fn restocks(calls: &[Call], wanted: u64) -> BTreeMap<&str, i64> {
    let mut done = BTreeMap::new();
    for call in calls.iter().filter(|call| call.status() == Some(200)) {
        if let Request::Restock { product, delta, key } = &call.request
            && *product == wanted
        {
            done.insert(key.as_str(), *delta);
        }
    }
    done
}

/// A key has one hold, a hold id is given once, an event is applied once, and no key is refused as used for something else.
fn once_each(history: &History) -> Vec<Violation> {
    let may_lose = history.faults.iter().any(FaultSpan::may_lose);
    let (mut holds, mut keys, mut events) = (HashMap::new(), HashMap::new(), HashMap::new());
    let mut found = Vec::new();
    for (number, call) in history.calls.iter().enumerate() {
        let Outcome::Answered(reply) = &call.outcome else { continue };
        let mut clash = |said: String, earlier: usize| {
            found.push(Violation::new("once", said, vec![earlier, number]));
        };
        if reply.status >= 500 || reply.code == "idempotency_key_reused" || reply.status == 400 {
            clash("an answer that no request of a run may get".to_owned(), number);
        }
        match &call.request {
            Request::Hold { key, .. } if [200, 201].contains(&reply.status) => {
                let id = reply.text("id").to_owned();
                if !reply.is_replayed
                    && let Some(earlier) = holds.insert(id.clone(), number)
                {
                    // A hold that was asked for without a key is nobody else's.
                    clash(format!("{id} was given twice"), earlier);
                }
                if let Some(key) = key
                    && let Some((earlier, first)) = keys.insert(key.clone(), (number, id.clone()))
                    && first != id
                    && !may_lose
                {
                    clash(format!("key {key} has the holds {first} and {id}"), earlier);
                }
            }
            Request::Event { id, .. } if reply.body["outcome"] == "applied" => {
                if let Some(earlier) = events.insert(id.clone(), number)
                    && !may_lose
                {
                    clash(format!("event {id} was applied twice"), earlier);
                }
            }
            _ => {}
        }
    }
    found
}

/// Orders are of holds that somebody asked for, one each, with the units of these, and their log says each change once.
fn orders(history: &History, roster: &Roster) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut add = |said: String| found.push(Violation::new("orders", said, vec![]));
    let (mut of_life, mut ids) = (BTreeMap::new(), BTreeSet::new());
    for order in &history.end.orders {
        let id = order["id"].as_str().unwrap_or_default();
        if !ids.insert(id) {
            add(format!("{id} is listed twice"));
        }
        let Some(life) = roster.of_id(id) else { continue };
        if let Some(other) = of_life.insert(life, id) {
            add(format!("one hold became the orders {other} and {id}"));
        }
        let mut had: Vec<_> = order["items"].as_array().into_iter().flatten().map(line).collect();
        let mut wanted = roster.lives[life].lines.clone();
        had.sort_unstable();
        wanted.sort_unstable();
        if !had.is_empty() && had != wanted {
            add(format!("{id} has {had:?} of a hold of {wanted:?}"));
        }
    }
    let mut created = BTreeSet::new();
    for (_, order) in history.end.events.iter().filter(|(kind, _)| kind == "order.created") {
        if !created.insert(order) {
            add(format!("{order} was created twice"));
        }
    }
    found
}

fn line(item: &Value) -> (u64, i64) {
    (item["product_id"].as_u64().unwrap_or(0), item["quantity"].as_i64().unwrap_or(0))
}
