//! Which life, sale and products each call of a history is about.

use std::collections::HashMap;

use super::super::history::{Call, FaultSpan, History, Product, Request, Target};

/// A call that overlaps a fault, or comes so soon after it, may have been sent twice by its service.
const AFTERMATH_NS: u64 = 1_500_000_000;

pub struct Life {
    pub sale: usize,
    pub lines: Vec<(Product, i64)>,
    pub customer: Option<String>,
}

pub struct Roster {
    /// Names of the sales, by number.
    pub sales: Vec<String>,
    pub lives: Vec<Life>,
    /// The life of each call, where it is about one.
    pub life_of: Vec<Option<usize>>,
    /// The sale of each call.
    pub sale_of: Vec<Option<usize>>,
    by_id: HashMap<String, usize>,
    /// A key has several lives where a fail-over lost what it had made, and it was asked again.
    by_key: HashMap<String, Vec<usize>>,
}

impl Roster {
    pub fn read(history: &History) -> Self {
        let mut sales: Vec<String> = history.offers.iter().map(|offer| offer.sale.clone()).collect();
        sales.dedup();
        let calls = &history.calls;
        let mut roster = Self {
            sales,
            lives: Vec::new(),
            life_of: vec![None; calls.len()],
            sale_of: vec![None; calls.len()],
            by_id: HashMap::new(),
            by_key: HashMap::new(),
        };
        for call in calls {
            roster.meet_hold(history, call);
        }
        // An order is known from answers that name its hold too.
        for call in calls {
            roster.meet_order(call);
        }
        for (number, call) in calls.iter().enumerate() {
            let life = roster.find(history, call);
            let product = match &call.request {
                Request::ReadProduct { product } | Request::Restock { product, .. } => Some(*product),
                Request::Hold { lines, .. } => Some(lines[0].0),
                _ => None,
            };
            roster.life_of[number] = life;
            roster.sale_of[number] =
                life.map(|life| roster.lives[life].sale).or(product.map(|product| roster.sale(history, product)));
        }
        roster
    }

    fn sale(&self, history: &History, product: Product) -> usize {
        let name = &history.offer(product).sale;
        self.sales.iter().position(|sale| sale == name).unwrap()
    }

    fn new_life(&mut self, history: &History, lines: &[(Product, i64)], customer: Option<&String>) -> usize {
        let sale = self.sale(history, lines[0].0);
        self.lives.push(Life { sale, lines: lines.to_vec(), customer: customer.cloned() });
        self.lives.len() - 1
    }

    fn meet_hold(&mut self, history: &History, call: &Call) {
        let (Request::Hold { key, lines, customer }, Some(reply)) = (&call.request, call.reply()) else { return };
        if ![200, 201].contains(&reply.status) {
            return;
        }
        let id = reply.text("id");
        let life = match self.by_id.get(id) {
            Some(life) => *life,
            None => self.new_life(history, lines, customer.as_ref()),
        };
        self.by_id.insert(id.to_owned(), life);
        let Some(key) = key else { return };
        let lives = self.by_key.entry(key.clone()).or_default();
        if !lives.contains(&life) {
            lives.push(life);
        }
    }

    fn meet_order(&mut self, call: &Call) {
        let Some(reply) = call.reply() else { return };
        let order = [reply.text("id"), reply.text("order_id"), reply.body["order"]["id"].as_str().unwrap_or_default()];
        let Some(order) = order.into_iter().find(|id| id.starts_with("order_")) else { return };
        let hold = match &call.request {
            Request::Order { hold }
            | Request::ReadHold { hold }
            | Request::Release { hold }
            | Request::Extend { hold, .. }
            | Request::Event { target: Target::Hold(hold), .. } => hold,
            _ => reply.text("hold_id"),
        };
        if let Some(life) = self.by_id.get(hold) {
            self.by_id.insert(order.to_owned(), *life);
        }
    }

    fn find(&mut self, history: &History, call: &Call) -> Option<usize> {
        let id = match &call.request {
            Request::Hold { key, lines, customer } => {
                let answered = call.reply().and_then(|reply| self.by_id.get(reply.text("id")));
                if let Some(life) = answered.or_else(|| self.by_key.get(key.as_ref()?)?.first()) {
                    return Some(*life);
                }
                // Nobody knows whether it was ever made.
                return call.is_unknown().then(|| {
                    let life = self.new_life(history, lines, customer.as_ref());
                    if let Some(key) = key {
                        self.by_key.insert(key.clone(), vec![life]);
                    }
                    life
                });
            }
            Request::ReadHold { hold: id }
            | Request::Release { hold: id }
            | Request::Extend { hold: id, .. }
            | Request::Order { hold: id }
            | Request::ReadOrder { order: id }
            | Request::Cancel { order: id }
            | Request::StartPayment { order: id }
            | Request::Event { target: Target::Hold(id) | Target::Order(id), .. } => id,
            Request::ReadProduct { .. } | Request::Restock { .. } => return None,
        };
        self.by_id.get(id).copied()
    }

    /// The lives that a call may begin or change: of one without an answer, all that its key has.
    pub fn lives_of(&self, number: usize, call: &Call) -> Vec<usize> {
        match &call.request {
            Request::Hold { key: Some(key), .. } if call.is_unknown() => {
                self.by_key.get(key).cloned().unwrap_or_default()
            }
            _ => self.life_of[number].into_iter().collect(),
        }
    }

    /// An id that this life has.
    pub fn name(&self, life: usize) -> Option<&str> {
        self.by_id.iter().find(|(_, known)| **known == life).map(|(id, _)| &**id)
    }

    /// The life that a hold or an order with this id has.
    pub fn of_id(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }
}

/// Whether the call may change something.
pub fn may_change(request: &Request) -> bool {
    !matches!(request, Request::ReadHold { .. } | Request::ReadOrder { .. } | Request::ReadProduct { .. })
}

/// Whether the service may have sent the call to Redis twice. Then it took effect before its answer says so.
pub fn may_have_been_repeated(history: &History, call: &Call) -> bool {
    let is_sent_once =
        matches!(call.request, Request::Release { .. } | Request::Extend { .. } | Request::Restock { .. });
    let overlaps = |span: &FaultSpan| call.end_ns >= span.start_ns && call.start_ns <= span.end_ns + AFTERMATH_NS;
    may_change(&call.request) && !is_sent_once && call.reply().is_some() && history.faults.iter().any(overlaps)
}
