//! Sends payment events to a running service, signed as a provider signs them, so that every case can be tried from a shell.
//!
//! Knows the service only by its HTTP interface, as a provider does.

mod money;

use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Value, json};

pub use self::money::MoneyPlan;
use self::money::Total;
use crate::{
    tools::{
        client::{Answer, Connection, Endpoint, seeded_random::SeededRandom, with_header},
        text::{cut, printable},
    },
    webhook::{self, Provider, Sample, SampleKind, Signed, signature::Signer, standard},
    wire::{problem::ProblemBody, webhook::WebhookBody},
};

/// Characters that are shown of an answer.
const RAW_CHARS_MAX: usize = 200;
/// Where the answer begins in a line, and the review in the next.
const INDENT: &str = "               ";

/// What to send.
pub struct TriggerPlan {
    pub endpoint: Endpoint,
    pub provider: &'static Provider,
    /// `None`: the events are unsigned.
    pub signer: Option<Signer>,
    pub kinds: Vec<SampleKind>,
    /// The id of an order or of a hold.
    pub target: String,
    /// The id of the event. With several kinds a number follows it.
    pub key: String,
    /// `None`: one for each order.
    pub payment: Option<String>,
    pub money: MoneyPlan,
    /// How often each event is sent.
    pub copies: u64,
    /// The seed of a random order. `None`: the order of the kinds.
    pub shuffle_seed: Option<u64>,
}

/// One event.
struct Event {
    kind: SampleKind,
    key: String,
    body: String,
}

/// The result of sending one event once.
pub struct Sent {
    pub kind: SampleKind,
    pub key: String,
    /// HTTP status and body, or why there is no answer.
    pub answer: Result<(u16, Value), String>,
}

/// Sends all events, one after another, in the caller's `LocalSet`, and reports each. `note` takes what is no result.
///
/// # Errors
/// Why nothing was sent, and what to do about it.
pub async fn run(plan: &TriggerPlan, note: impl FnOnce(&str), mut report: impl FnMut(&Sent)) -> Result<(), String> {
    plan.check()?;
    let mut connection = Connection::new(Rc::new(plan.endpoint.clone()));
    let payment = plan.payment();
    let total = money::total(&mut connection, plan).await?;
    if let Total::Unknown(why) = &total
        && plan.money.is_asked_for()
    {
        note(&format!("{why}, so the events have no amount"));
    }
    for event in plan.events(&total, &payment)? {
        let answer = send(&mut connection, plan, &event).await;
        report(&Sent { kind: event.kind, key: event.key, answer });
    }
    Ok(())
}

impl TriggerPlan {
    /// Refuses what no sender could send.
    fn check(&self) -> Result<(), String> {
        let about_order = self.kinds.iter().find(|kind| !kind.names_payment());
        match about_order.map(|kind| kind.as_str()) {
            Some(word) if self.provider.name != standard::PROVIDER.name => Err(format!(
                "{} has no event `{word}`, which is the shop's own word about a whole order: use declined for an attempt \
                 that failed, and ended for a payment that captures nothing any more",
                self.provider.name
            )),
            Some(word) if self.payment.is_some() => Err(format!(
                "`{word}` is the shop's own word about a whole order, and names no payment: with --payment-id use declined \
                 or ended"
            )),
            _ if self.money.no_amount && self.provider.names_amount => {
                Err(format!("every event of {} has an amount: leave --no-amount out", self.provider.name))
            }
            _ => Ok(()),
        }
    }

    /// The payment that all events are about, but for those that name none.
    fn payment(&self) -> String {
        self.payment.clone().unwrap_or_else(|| payment_of(&self.target))
    }

    /// All events, in the order of sending.
    fn events(&self, total: &Total, payment: &str) -> Result<Vec<Event>, String> {
        let several = self.kinds.len() > 1;
        let mut events = Vec::new();
        for (at, kind) in self.kinds.iter().copied().enumerate() {
            let key = if several { format!("{}-{}", self.key, at + 1) } else { self.key.clone() };
            let (money, is_partial) = self.money.of(kind, total)?;
            if money.is_none() && self.provider.names_amount {
                return Err(format!("{}: give --amount and --currency", total.why_unknown()));
            }
            let sample = Sample {
                key: &key,
                kind,
                target: &self.target,
                payment,
                money,
                is_partial,
                sent_seconds: webhook::now_seconds(),
            };
            let body = (self.provider.write)(&sample);
            events.extend((0..self.copies).map(|_| Event { kind, key: key.clone(), body: body.clone() }));
        }
        let mut random = self.shuffle_seed.map(SeededRandom::new);
        for last in (1..events.len()).rev() {
            let chosen =
                random.as_mut().map_or(last, |random| usize::try_from(random.below(last as u64 + 1)).unwrap_or(last));
            events.swap(last, chosen);
        }
        Ok(events)
    }
}

/// Characters of the signature at the end of an id. They differ between a hold and its order.
const TAG_CHARS: usize = 12;

/// The payment id that an order and its hold share.
fn payment_of(target: &str) -> String {
    let (_, id) = target.split_once('_').unwrap_or(("", target));
    let unsigned = id.len().checked_sub(TAG_CHARS).and_then(|end| id.get(..end));
    format!("pi_{}", unsigned.filter(|id| !id.is_empty()).unwrap_or(id))
}

async fn send(connection: &mut Connection, plan: &TriggerPlan, event: &Event) -> Result<(u16, Value), String> {
    let body = event.body.clone();
    let signed = match &plan.signer {
        Some(signer) => signer.sign(&event.key, webhook::now_seconds(), body),
        None => Signed { headers: Vec::new(), body },
    };
    let request = plan.endpoint.post(plan.provider.path, signed.body);
    let request = with_header(request, "content-type", plan.provider.media_type);
    let request = signed.headers.iter().fold(request, |request, (name, value)| with_header(request, name, value));
    connection.send(request).await.map(|answer| read(&answer)).map_err(|error| error.to_string())
}

fn read(answer: &Answer) -> (u16, Value) {
    let body = serde_json::from_slice(&answer.body);
    (answer.status, body.unwrap_or_else(|_| String::from_utf8_lossy(&answer.body).into()))
}

impl Sent {
    pub fn succeeded(&self) -> bool {
        matches!(self.answer, Ok((200..=299, _)))
    }

    /// For people: the event, the answer, the status of the order, and on a second line what a person must look at.
    pub fn text(&self) -> String {
        let answer = match &self.answer {
            Ok((status, body)) => format!("{status}  {}", summary(body)),
            Err(why) => format!("no answer: {why}"),
        };
        let line = format!("{:<14} {:<20} {}", self.kind.as_str(), self.key, answer);
        self.look().map_or_else(|| line.clone(), |look| format!("{line}\n{INDENT}{look}"))
    }

    /// Why a person must look, and the command that shows what about.
    fn look(&self) -> Option<String> {
        let (_, body) = self.answer.as_ref().ok()?;
        let review = WebhookBody::deserialize(body).ok()?.review?;
        Some(printable(&format!("{}: flashsale review show {}", review.reason, review.id)))
    }

    /// For programs: a JSON object on one line.
    pub fn json(&self) -> String {
        let (status, body, lost) = match &self.answer {
            Ok((status, body)) => (Some(status), Some(body), None),
            Err(why) => (None, None, Some(why)),
        };
        json!({"sent": self.kind.as_str(), "event": self.key, "status": status, "body": body, "lost": lost}).to_string()
    }
}

/// The outcome and the order, or the problem.
fn summary(body: &Value) -> String {
    let text = if let Ok(WebhookBody { outcome, order, .. }) = WebhookBody::deserialize(body) {
        let order = order.map_or_else(
            || "no order".to_owned(),
            |order| format!("order {}{}", order.status, if order.late { ", late" } else { "" }),
        );
        format!("{outcome:<16} {order}")
    } else if let Ok(ProblemBody { code, detail, .. }) = ProblemBody::deserialize(body) {
        format!("{code}: {detail}")
    } else {
        body.to_string()
    };
    cut(&text, RAW_CHARS_MAX)
}
