//! Sends payment events to a running service, signed as a provider signs them, so that every case can be tried from a shell.
//!
//! Knows the service only by its HTTP interface, as a provider does.

use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    domain::{
        money::{Amount, Currency},
        payment::PaymentStatus,
    },
    tools::{
        client::{Answer, Connection, Endpoint, seeded_random::SeededRandom, with_header},
        text::cut,
    },
    webhook::{self, Provider, Sample, Signed, signature::Signer},
    wire::{order::OrderBody, problem::ProblemBody, webhook::WebhookBody},
};

/// Characters that are shown of an answer.
const RAW_CHARS_MAX: usize = 200;

/// What to send.
pub struct TriggerPlan {
    pub endpoint: Endpoint,
    pub provider: &'static Provider,
    /// `None`: the events are unsigned.
    pub signer: Option<Signer>,
    pub statuses: Vec<PaymentStatus>,
    /// The id of an order or of a hold.
    pub target: String,
    /// The id of the event. With several statuses a number follows it.
    pub key: String,
    pub payment: String,
    pub money: Option<(Amount, Currency)>,
    /// How often each event is sent.
    pub copies: u64,
    /// The seed of a random order. `None`: the order of the statuses.
    pub shuffle_seed: Option<u64>,
}

/// One event.
struct Event {
    status: PaymentStatus,
    key: String,
    body: String,
}

/// The result of sending one event once.
pub struct Sent {
    pub status: PaymentStatus,
    pub key: String,
    /// HTTP status and body, or why there is no answer.
    pub answer: Result<(u16, Value), String>,
}

/// Sends all events, one after another, in the caller's `LocalSet`, and reports each.
///
/// # Errors
/// Why nothing was sent, and what to do about it.
pub async fn run(plan: &TriggerPlan, mut report: impl FnMut(&Sent)) -> Result<(), String> {
    let mut connection = Connection::new(Rc::new(plan.endpoint.clone()));
    let mut total = None;
    if plan.provider.names_amount {
        total = ask_total(&mut connection, plan).await?.or(plan.money);
        total.ok_or_else(|| format!("the service knows no total of {}: give --amount and --currency", plan.target))?;
    }
    for event in plan.events(total) {
        let answer = send(&mut connection, plan, &event).await;
        report(&Sent { status: event.status, key: event.key, answer });
    }
    Ok(())
}

impl TriggerPlan {
    /// All events, in the order of sending.
    fn events(&self, total: Option<(Amount, Currency)>) -> Vec<Event> {
        let several = self.statuses.len() > 1;
        let mut events = Vec::new();
        for (at, status) in self.statuses.iter().enumerate() {
            let key = if several { format!("{}-{}", self.key, at + 1) } else { self.key.clone() };
            let sample = Sample {
                key: &key,
                status: *status,
                target: &self.target,
                payment: &self.payment,
                money: self.money.or(total),
                is_partial: self.money.zip(total).is_some_and(|((part, _), (whole, _))| part < whole),
                sent_seconds: webhook::now_seconds(),
            };
            let body = (self.provider.write)(&sample);
            events.extend((0..self.copies).map(|_| Event { status: *status, key: key.clone(), body: body.clone() }));
        }
        let mut random = self.shuffle_seed.map(SeededRandom::new);
        for last in (1..events.len()).rev() {
            let chosen =
                random.as_mut().map_or(last, |random| usize::try_from(random.below(last as u64 + 1)).unwrap_or(last));
            events.swap(last, chosen);
        }
        events
    }
}

/// What the order costs, if the service knows it.
async fn ask_total(connection: &mut Connection, plan: &TriggerPlan) -> Result<Option<(Amount, Currency)>, String> {
    let answer = connection.send(plan.endpoint.get(&format!("/api/orders/{}", plan.target))).await;
    let answer = answer.map_err(|error| format!("{} does not answer: {error}", plan.endpoint.url()))?;
    if answer.status == 401 && plan.money.is_none() {
        let url = plan.endpoint.url();
        let why = if plan.endpoint.has_api_key() { "does not know this API key" } else { "asks for an API key" };
        return Err(format!("{url} {why}: --api-key, or --amount and --currency"));
    }
    let order: Option<OrderBody<'_>> = serde_json::from_slice(&answer.body).ok();
    Ok(order.and_then(|order| {
        let currency = Currency::parse(&order.currency?)?;
        Some((Amount::parse(&order.total_amount?, currency.decimals()).ok()?, currency))
    }))
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

    /// For people: the event, the answer, and the status of the order.
    pub fn text(&self) -> String {
        let answer = match &self.answer {
            Ok((status, body)) => format!("{status}  {}", summary(body)),
            Err(why) => format!("no answer: {why}"),
        };
        format!("{:<11} {:<20} {}", self.status.as_str(), self.key, answer)
    }

    /// For programs: a JSON object on one line.
    pub fn json(&self) -> String {
        let (status, body, lost) = match &self.answer {
            Ok((status, body)) => (Some(status), Some(body), None),
            Err(why) => (None, None, Some(why)),
        };
        json!({"sent": self.status.as_str(), "event": self.key, "status": status, "body": body, "lost": lost})
            .to_string()
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
