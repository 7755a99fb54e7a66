//! What was asked and answered in a run, which is all that the checkers see.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub type Product = u64;

/// The place of a decision in its sale: the number of the sale's last write, in epoch microseconds; 0 in the batch that made it, 1
/// in one that saw it; and the place in the batch.
pub type Sequence = (u64, u8, u64);

/// A product as the run began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Offer {
    pub product: Product,
    pub sale: String,
    pub units: i64,
    /// Most units of this product for each customer.
    pub most: Option<i64>,
    /// Most units of the whole sale for each customer.
    pub most_of_sale: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    Hold { key: Option<String>, lines: Vec<(Product, i64)>, customer: Option<String> },
    ReadHold { hold: String },
    Release { hold: String },
    Extend { hold: String, seconds: u64 },
    Order { hold: String },
    ReadOrder { order: String },
    Cancel { order: String },
    StartPayment { order: String },
    Event { id: String, word: Cow<'static, str>, payment: Option<String>, target: Target, amount: Option<String> },
    ReadProduct { product: Product },
    Restock { product: Product, delta: i64, key: String },
}

/// What a payment event names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    Hold(String),
    Order(String),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    pub status: u16,
    /// The code of a problem.
    pub code: String,
    pub is_replayed: bool,
    pub body: Value,
    pub sequence: Option<Sequence>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Outcome {
    Answered(Reply),
    /// The service promised that nothing was done, or nobody heard the request.
    NotDone(String),
    /// It was done, or not, or will be.
    Unknown(String),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    pub client: usize,
    pub service: usize,
    /// Nanoseconds since the run began.
    pub start_ns: u64,
    pub end_ns: u64,
    pub request: Request,
    pub outcome: Outcome,
}

/// Name of a fault that is none of the nemesis: nobody here got a processor.
pub const STALL: &str = "Stall";

/// A fault from its first act until it was healed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultSpan {
    pub name: String,
    pub start_ns: u64,
    pub end_ns: u64,
    /// Where another primary took over without what the old one had not sent it: an instant between the last answer of the old one
    /// and the first of the new one. And the end, where the old one may have come back before anybody had named the new one, and
    /// have taken more until it was demoted.
    pub lost_at_ns: Vec<u64>,
}

/// What there was when everything had been healed, asked again and lapsed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct End {
    pub products: BTreeMap<Product, Value>,
    /// All orders, as an admin sees them.
    pub orders: Vec<Value>,
    pub audit: Value,
    /// The events of all sales, as type and order id.
    pub events: Vec<(String, String)>,
    /// What went wrong with the services themselves: panics, a start that failed.
    pub complaints: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    pub offers: Vec<Offer>,
    pub calls: Vec<Call>,
    pub faults: Vec<FaultSpan>,
    pub end: End,
    /// Epoch milliseconds at which the run began, by the clock of this machine.
    pub began_ms: u64,
    /// The clock of Redis was not that of this machine.
    pub has_other_clock: bool,
}

impl History {
    pub fn offer(&self, product: Product) -> &Offer {
        self.offers.iter().find(|offer| offer.product == product).unwrap()
    }

    /// Between which instants of Redis' clock a call was under way. Any, where nobody knows how that clock stood. A service that was
    /// stopped with a call, or had no processor, works on it when it goes on, though its caller has given up.
    pub fn times(&self, call: &Call) -> (u64, u64) {
        if self.has_other_clock {
            return (0, u64::MAX);
        }
        let has_stopped = |span: &&FaultSpan| {
            (span.name.contains("StopService") || span.name == STALL)
                && span.start_ns <= call.end_ns
                && span.end_ns >= call.start_ns
        };
        let spans = self.faults.iter().filter(|_| call.is_unknown()).filter(has_stopped);
        let end_ns = spans.map(|span| span.end_ns).fold(call.end_ns, u64::max);
        (self.epoch_ms(call.start_ns), self.epoch_ms(end_ns))
    }

    /// Epoch milliseconds of an instant of the run.
    pub fn epoch_ms(&self, ns: u64) -> u64 {
        self.began_ms + ns / 1_000_000
    }
}

impl FaultSpan {
    pub fn may_lose(&self) -> bool {
        !self.lost_at_ns.is_empty()
    }
}

impl Call {
    pub fn reply(&self) -> Option<&Reply> {
        if let Outcome::Answered(reply) = &self.outcome { Some(reply) } else { None }
    }

    pub fn is_unknown(&self) -> bool {
        matches!(self.outcome, Outcome::Unknown(_))
    }

    /// The status, if there is an answer.
    pub fn status(&self) -> Option<u16> {
        self.reply().map(|reply| reply.status)
    }
}

impl Reply {
    pub fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    /// An instant of the body in epoch milliseconds.
    pub fn instant_ms(&self, name: &str) -> Option<u64> {
        let instant: jiff::Timestamp = self.body[name].as_str()?.parse().ok()?;
        u64::try_from(instant.as_millisecond()).ok()
    }
}

/// One line for each call, for whoever looks into a run that failed.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, to] = [self.start_ns, self.end_ns].map(|ns| ns / 1_000);
        write!(f, "{from:>9}..{to:<9} us client {:<2} service {} {:?} -> ", self.client, self.service, self.request)?;
        match &self.outcome {
            Outcome::Answered(reply) => {
                let sequence = reply.sequence.map(|(write, seen, place)| format!(" @{write}.{seen}.{place}"));
                write!(f, "{}{} {}", reply.status, if reply.is_replayed { " replayed" } else { "" }, reply.body)?;
                f.write_str(&sequence.unwrap_or_default())
            }
            Outcome::NotDone(why) => write!(f, "not done: {why}"),
            Outcome::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}
