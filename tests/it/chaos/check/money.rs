//! Money: a payment event that was acknowledged is there, whatever failed since.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    super::history::{Call, History, Request},
    Violation,
};

pub fn check(history: &History) -> Vec<Violation> {
    let mut payments: HashMap<&str, Vec<(&Value, &Value)>> = HashMap::new();
    for order in &history.end.orders {
        for payment in order["payments"].as_array().into_iter().flatten() {
            payments.entry(payment["payment_id"].as_str().unwrap_or_default()).or_default().push((order, payment));
        }
    }
    let mut found = Vec::new();
    for (number, call) in history.calls.iter().enumerate() {
        let Request::Event { word, payment: Some(id), .. } = &call.request else { continue };
        if !is_acknowledged(call) {
            continue;
        }
        let known = payments.get(&**id).map_or(&[][..], Vec::as_slice);
        let fits = match &**word {
            "paid" => known.iter().any(|(_, payment)| payment["captured"] == true),
            "refunded" => known.iter().any(|(_, payment)| is_given_back(payment)),
            _ => true,
        };
        if !fits {
            let said = format!("{word} of {id} was acknowledged, and its order knows {known:?}");
            found.push(Violation::new("money", said, vec![number]));
        }
        if known.iter().filter(|(order, _)| order["status"] == "paid" && order["payment_id"] == **id).count() > 1 {
            found.push(Violation::new("money", format!("{id} pays several orders: {known:?}"), vec![number]));
        }
    }
    found
}

fn is_acknowledged(call: &Call) -> bool {
    call.reply().is_some_and(|reply| reply.status == 200 && reply.body["outcome"] != "ignored")
}

/// All of it went back, or will count as such once it is captured.
fn is_given_back(payment: &Value) -> bool {
    payment["captured"] != true
        || payment["refunded_amount"] == payment["captured_amount"]
        || payment["captured_amount"].is_null()
}
