//! What a fault did, in figures: everything that was acknowledged is looked up afterwards, and the rest is sold out.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::load::{Caller, HOLDS, NO_ANSWER, ORDERS, PAYMENTS, Seen, id, payment};
use crate::support::eventually;

/// Calls that look up something at the same time.
const AT_ONCE: usize = 8;
/// What a product may sell in one hold.
const MOST: u64 = 1_000;

/// Figures of one scenario.
#[derive(Debug, Default)]
pub struct Measured {
    pub back_after: Option<Duration>,
    /// Lost, of so many that were acknowledged.
    pub holds: Option<[usize; 2]>,
    pub payments: Option<[usize; 2]>,
    /// Units that were paid or are held, beyond those that there are.
    pub oversold: Option<u64>,
    /// Units that no buyer knows to have, when all that could be bought was bought.
    pub unknown: Option<u64>,
    pub answers: BTreeMap<String, usize>,
    pub more: Vec<String>,
}

impl Measured {
    pub fn and(mut self, more: impl Into<String>) -> Self {
        self.more.push(more.into());
        self
    }

    /// No answer was a failure of the service itself.
    pub fn without_errors(self) -> Self {
        let is_error = |kind: &&String| kind.starts_with("500") || kind.starts_with("502");
        assert!(!self.answers.keys().any(|kind| is_error(&kind)), "{:?}", self.answers);
        self
    }

    pub fn without_lost_payments(self) -> Self {
        assert!(self.payments.is_some_and(|[lost, of]| lost == 0 && of > 0), "{self:?}");
        assert_eq!(self.oversold, Some(0), "{self:?}");
        self.without_errors()
    }

    pub fn without_losses(self) -> Self {
        assert!(self.holds.is_none_or(|[lost, of]| lost == 0 && of > 0), "{self:?}");
        self.without_lost_payments()
    }

    /// As a cell of the table.
    pub fn figures(&self) -> String {
        let mut text = Vec::new();
        match self.back_after {
            Some(after) => text.push(format!("first success {} ms after the fault", after.as_millis())),
            None if self.answers.is_empty() => {}
            None => text.push("no call failed".to_owned()),
        }
        let lost = |what: &str, [lost, of]: [usize; 2]| format!("lost {what} {lost} of {of}");
        text.extend(self.payments.map(|figures| lost("payments", figures)));
        text.extend(self.holds.map(|figures| lost("holds", figures)));
        text.extend(self.oversold.map(|units| format!("oversold {units}")));
        text.extend(self.unknown.map(|units| format!("units that nobody knows to have {units}")));
        text.extend(self.more.iter().cloned());
        let mut answers = String::new();
        for (kind, count) in &self.answers {
            let _written = write!(answers, "{}{kind} ({count})", if answers.is_empty() { "" } else { ", " });
        }
        if !answers.is_empty() {
            text.push(format!("answers {answers}"));
        }
        text.join("; ")
    }
}

/// Makes a product for each of these sales, with ids from 1.
pub async fn offer(caller: &Caller, sales: &[&str], units: u64) {
    for (sale, product) in sales.iter().zip(1..) {
        let product = json!({"id": product, "sale": sale, "name": "Item", "price": "50.00", "total_stock": units,
                             "max_per_hold": MOST});
        eventually("a product is made", async || {
            let (status, answer) = caller.post("/api/admin/products", product.clone()).await;
            assert!([200, 201, 503, NO_ANSWER].contains(&status), "{status}: {answer}");
            status < 300 && status != NO_ANSWER
        })
        .await;
    }
}

/// Looks up all that was acknowledged, buys what is left of the products, and compares.
pub async fn settle(caller: &Caller, products: u64, units: u64, fault: Instant, seen: &Seen) -> Measured {
    let mut measured = Measured { answers: seen.kinds(), back_after: seen.back_after(fault), ..Measured::default() };
    let distinct: HashSet<_> = seen.paid.iter().collect();
    assert_eq!(distinct.len(), seen.paid.len(), "an order was sold twice");
    let paid = found(caller, ORDERS, "paid", &seen.paid).await;
    let held = found(caller, HOLDS, "active", &seen.held).await;
    measured.payments = Some([seen.paid.len() - paid, seen.paid.len()]);
    measured.holds = (!seen.held.is_empty()).then(|| [seen.held.len() - held, seen.held.len()]);
    let mut sold = 0;
    for product in 1..=products {
        sold += sell_out(caller, product).await;
    }
    let promised = (seen.paid.len() + held) as u64 + sold;
    measured.oversold = Some(promised.saturating_sub(products * units));
    measured.unknown = Some((products * units).saturating_sub(promised));
    eventually("the audit is made", async || {
        let (status, audit) = caller.get("/api/admin/audit").await;
        assert!(status != 200 || audit["ok"] == true, "{audit:#}");
        status == 200
    })
    .await;
    measured
}

/// How many of these are there, in this state.
async fn found(caller: &Caller, path: &str, state: &str, ids: &[String]) -> usize {
    let mut found = 0;
    for some in ids.chunks(AT_ONCE) {
        let looks =
            some.iter().map(async |id| until_answered(async || caller.get(&format!("{path}/{id}")).await).await);
        let is_there = |(status, body): &(u16, Value)| *status == 200 && body["status"] == state;
        found += join_all(looks).await.iter().filter(|answer| is_there(answer)).count();
    }
    found
}

/// Buys all that is left. Gives the units.
async fn sell_out(caller: &Caller, product: u64) -> u64 {
    let mut sold = 0;
    for n in 0.. {
        let (_, left) = until_answered(async || caller.get(&format!("/api/products/{product}")).await).await;
        let quantity = left["available_stock"].as_u64().unwrap().min(MOST);
        if quantity == 0 {
            break;
        }
        let hold = json!({"product_id": product, "quantity": quantity});
        let hold = until_answered(async || caller.post(HOLDS, hold.clone()).await).await;
        assert_eq!(hold.0, 201, "{hold:?}");
        let order = json!({"hold_id": id(&hold.1)});
        let order = until_answered(async || caller.post(ORDERS, order.clone()).await).await;
        let event = payment(&id(&order.1), &format!("rest-{product}-{n}"));
        let paid = until_answered(async || caller.post(PAYMENTS, event.clone()).await).await;
        assert_eq!(paid.0, 200, "{paid:?}");
        sold += quantity;
    }
    sold
}

/// Repeats a call until it is not refused for the time being.
pub async fn until_answered(call: impl AsyncFn() -> (u16, Value)) -> (u16, Value) {
    let mut last = (NO_ANSWER, Value::Null);
    eventually("an answer", async || {
        last = call().await;
        last.0 != NO_ANSWER && last.0 < 500
    })
    .await;
    last
}
