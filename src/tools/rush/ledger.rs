//! What the service granted to buyers, by its answers: the other side of the proof.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use super::{
    answers::{AnswerClass, StepAnswer},
    crowd::Choice,
    limits::{CustomerUnits, Limits},
    take_away::{Made, TakeAway},
    timeline::BuyerResult,
};

/// What the buyers of one product got.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProductCounts {
    pub buyers: u64,
    pub granted: u64,
    pub unknown: u64,
    /// Buyers who were refused for lack of stock.
    pub sold_out: u64,
    /// Buyers who were refused because of a limit.
    pub limited: u64,
    /// Buyers who were refused for another reason, or failed.
    pub other: u64,
    pub paid: u64,
    pub unknown_paid: u64,
}

/// Grows with what is granted, never with the number of buyers.
pub struct Ledger {
    /// Buyers who got a unit.
    pub granted: u64,
    /// Buyers who may have got one.
    pub unknown: u64,
    /// Grants under an id that another buyer had already.
    pub shared_ids: u64,
    /// Buyers whose copies of one hold were answered with different holds.
    pub differing_holds: u64,
    /// Buyers of whose copies one was granted and another refused.
    pub contradicted_holds: u64,
    pub orders: u64,
    pub unknown_orders: u64,
    /// The first and the last deadline of all granted holds.
    pub deadlines: Option<(Instant, Instant)>,
    /// What is to be taken away again.
    pub made: Made,
    pub customers: CustomerUnits,
    products: Vec<ProductCounts>,
    ids: HashSet<u64>,
    hasher: RandomState,
    payments: HashMap<String, PaymentCopies>,
}

/// The answers to the copies of one payment event.
#[derive(Clone, Copy, Default)]
struct PaymentCopies {
    applied: u32,
    duplicate: u32,
    unknown: u32,
    other: u32,
    other_order: bool,
    /// The place of the product that the order is about.
    product: usize,
}

/// Payment events, counted by what became of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct PaymentCounts {
    pub sent: u64,
    pub paid: u64,
    pub unknown: u64,
    /// Events of which the copies were applied twice, or answered with different orders.
    pub differing: u64,
}

impl ProductCounts {
    pub fn add(&mut self, other: &Self) {
        self.buyers += other.buyers;
        self.granted += other.granted;
        self.unknown += other.unknown;
        self.sold_out += other.sold_out;
        self.limited += other.limited;
        self.other += other.other;
        self.paid += other.paid;
        self.unknown_paid += other.unknown_paid;
    }
}

impl Ledger {
    /// It remembers what is to be taken away again.
    pub fn new(products: usize, limits: Limits, take_away: TakeAway) -> Self {
        Self {
            granted: 0,
            unknown: 0,
            shared_ids: 0,
            differing_holds: 0,
            contradicted_holds: 0,
            orders: 0,
            unknown_orders: 0,
            deadlines: None,
            made: Made::new(take_away),
            customers: CustomerUnits::new(limits),
            products: vec![ProductCounts::default(); products],
            ids: HashSet::new(),
            hasher: RandomState::new(),
            payments: HashMap::new(),
        }
    }

    /// What the buyers of each product got, in the order of the products.
    pub fn products(&self) -> Vec<ProductCounts> {
        let mut products = self.products.clone();
        for copies in self.payments.values() {
            products[copies.product].paid += u64::from(copies.is_settled());
            products[copies.product].unknown_paid += u64::from(copies.is_unknown());
        }
        products
    }

    /// Records the answers to all copies of one hold. Gives what the buyer ended up with, and the hold.
    pub fn record_hold(&mut self, choice: Choice, answers: Vec<StepAnswer>) -> (BuyerResult, Option<String>) {
        let product = &mut self.products[choice.product];
        product.buyers += 1;
        let any = |class| answers.iter().any(|answer: &StepAnswer| answer.class == class);
        let (granted, refused, unknown) =
            (any(AnswerClass::Accepted), any(AnswerClass::Refused), any(AnswerClass::Unknown));
        if !granted {
            // A copy without an answer may have been granted, whatever the other answers were.
            self.unknown += u64::from(unknown);
            if unknown {
                product.unknown += 1;
                self.customers.record_unknown(choice);
                self.made.add_unknown(choice);
            } else if answers.iter().any(|answer| answer.code == "insufficient_stock") {
                product.sold_out += 1;
            } else if answers.iter().any(|answer| answer.code == "customer_limit_reached") {
                product.limited += 1;
                self.customers.record_refused(choice);
            } else {
                product.other += 1;
            }
            return (if refused && !unknown { BuyerResult::Refused } else { BuyerResult::Failed }, None);
        }
        self.granted += 1;
        product.granted += 1;
        self.customers.record_granted(choice);
        self.contradicted_holds += u64::from(refused);
        let mut holds = answers.into_iter().filter(|answer| answer.class == AnswerClass::Accepted);
        let first = holds.next().expect("one was granted");
        self.differing_holds += u64::from(holds.any(|other| other.id != first.id));
        let id = first.id.unwrap_or_default();
        self.shared_ids += u64::from(!self.ids.insert(self.hasher.hash_one(&id)));
        let deadline = self.record_deadline(first.expires_in);
        self.made.add_hold(&id, deadline);
        (BuyerResult::Accepted, Some(id))
    }

    fn record_deadline(&mut self, expires_in: Option<u64>) -> Option<Instant> {
        let deadline = Instant::now().checked_add(Duration::from_secs(expires_in?))?;
        let (first, last) = self.deadlines.unwrap_or((deadline, deadline));
        self.deadlines = Some((first.min(deadline), last.max(deadline)));
        Some(deadline)
    }

    /// Records the answer to an order of this hold; gives its id.
    pub fn record_order(&mut self, choice: Choice, hold: &str, answer: StepAnswer) -> Option<String> {
        match answer.class {
            AnswerClass::Accepted => {
                self.orders += 1;
                if let Some(order) = &answer.id {
                    self.made.replace_hold(hold, order);
                    self.payments.entry(order.clone()).or_default().product = choice.product;
                }
                answer.id
            }
            AnswerClass::Unknown => {
                self.unknown_orders += 1;
                None
            }
            AnswerClass::Refused | AnswerClass::Failed => None,
        }
    }

    pub fn record_payment(&mut self, order: &str, answer: &StepAnswer) {
        let copies = self.payments.entry(order.to_owned()).or_default();
        match (answer.class, answer.code.as_ref()) {
            (AnswerClass::Accepted, "applied") => {
                copies.applied += 1;
                self.made.set_paid(order);
            }
            (AnswerClass::Accepted, "duplicate") => {
                copies.duplicate += 1;
                self.made.set_paid(order);
            }
            (AnswerClass::Unknown, _) => copies.unknown += 1,
            _ => copies.other += 1,
        }
        copies.other_order |= answer.id.as_deref().is_some_and(|id| id != order);
    }

    /// Whether requests that nobody waits for any more may still take effect.
    pub fn is_in_doubt(&self) -> bool {
        self.unknown + self.unknown_orders + self.payments().unknown > 0
    }

    pub fn payments(&self) -> PaymentCounts {
        let mut sum = PaymentCounts::default();
        for copies in self.payments.values().filter(|copies| copies.were_sent()) {
            let settled = copies.is_settled();
            sum.sent += 1;
            sum.paid += u64::from(settled);
            sum.unknown += u64::from(copies.is_unknown());
            sum.differing += u64::from(copies.applied > 1 || copies.other_order || (settled && copies.other > 0));
        }
        sum
    }
}

impl PaymentCopies {
    fn were_sent(&self) -> bool {
        self.applied + self.duplicate + self.unknown + self.other > 0
    }

    fn is_settled(&self) -> bool {
        self.applied + self.duplicate > 0
    }

    fn is_unknown(&self) -> bool {
        !self.is_settled() && self.unknown > 0
    }
}
