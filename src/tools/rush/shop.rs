//! The service's calls as a buyer and a payment provider make them, and what its answers mean.

use std::{borrow::Cow, rc::Rc};

use serde::Deserialize;

use super::tally::{Class, Step};
use crate::{
    tools::client::{Answer, Ask, Endpoint, Lost, with_header},
    webhook::{self, Signed, signature::Signer, standard},
};

/// Longer codes than any of the contract are somebody else's.
const CODE_CHARS_MAX: usize = 40;

/// One product of a running service.
pub struct Shop {
    pub endpoint: Rc<Endpoint>,
    pub product: u64,
    /// Told apart from every other rush, so that no key was used before.
    pub run: u64,
    pub signer: Option<Signer>,
}

impl Shop {
    /// A unit for this buyer. The key makes it safe to ask again.
    pub fn hold(&self, buyer: u64, ttl_seconds: Option<u64>) -> Ask {
        let ttl = ttl_seconds.map_or_else(String::new, |seconds| format!(r#","ttl_seconds":{seconds}"#));
        let body = format!(r#"{{"product_id":{},"quantity":1{ttl}}}"#, self.product);
        let request = self.endpoint.post("/api/holds", body);
        with_header(request, "idempotency-key", &format!("rush-{:016x}-{buyer}", self.run))
    }

    pub fn order(&self, hold: &str) -> Ask {
        self.endpoint.post("/api/orders", serde_json::json!({ "hold_id": hold }).to_string())
    }

    /// The event that a payment provider would send.
    pub fn pay(&self, order: &str) -> Ask {
        let key = format!("rush-{:016x}-{order}", self.run);
        let payload = serde_json::json!({"status": "paid", "order_id": order});
        let body = serde_json::json!({"idempotency_key": key, "payload": payload}).to_string();
        let signed = match &self.signer {
            Some(signer) => signer.sign(&key, webhook::now_seconds(), body),
            None => Signed { headers: Vec::new(), body },
        };
        let request = self.endpoint.post(standard::PROVIDER.path, signed.body);
        signed.headers.iter().fold(request, |request, (name, value)| with_header(request, name, value))
    }
}

/// What was heard in reply.
pub struct Heard {
    pub class: Class,
    pub status: Option<u16>,
    pub code: Cow<'static, str>,
    /// Of the hold or of the order.
    pub id: Option<String>,
    pub expires_in: Option<u64>,
}

/// The fields that matter, of any answer.
#[derive(Default, Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    outcome: Option<Cow<'a, str>>,
    #[serde(borrow)]
    order: Option<SaidOrder<'a>>,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct SaidOrder<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

impl Heard {
    pub fn of(step: Step, reply: Result<Answer, Lost>) -> Self {
        match reply {
            Ok(answer) => Self::of_answer(step, &answer),
            Err(Lost::Unconnected(_)) => Self::silence(Class::Failed, "not connected"),
            Err(Lost::TimedOut(_)) => Self::silence(Class::Unknown, "timed out"),
            Err(Lost::Broken(_)) => Self::silence(Class::Unknown, "connection lost"),
        }
    }

    fn silence(class: Class, code: &'static str) -> Self {
        Self { class, status: None, code: code.into(), id: None, expires_in: None }
    }

    fn of_answer(step: Step, answer: &Answer) -> Self {
        let status = Some(answer.status);
        let said: Said<'_> = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (word, id) = match step {
            Step::Hold => (Some("held".into()), said.id),
            Step::Order => (Some("ordered".into()), said.id),
            Step::Pay => (said.outcome.as_deref().map(own), said.order.and_then(|order| order.id)),
        };
        let id = id.map(Cow::into_owned);
        match (answer.status, word) {
            // An event may be about nothing that has an id; a hold and an order always have one.
            (200..=299, Some(word)) if step == Step::Pay || id.is_some() => {
                Self { class: Class::Accepted, status, code: word, id, expires_in: said.expires_in }
            }
            (200..=299, _) => Self { status, ..Self::silence(Class::Unknown, "unreadable") },
            _ => {
                let code = said.code.as_deref().map_or(Cow::Borrowed(""), own);
                Self { class: class(answer.status, &code), status, code, id: None, expires_in: None }
            }
        }
    }
}

/// What the contract says of an answer that is no success.
fn class(status: u16, code: &str) -> Class {
    match status {
        409 | 410 => Class::Refused,
        503 if ["overloaded", "draining"].contains(&code) => Class::Failed,
        408 | 500..=599 => Class::Unknown,
        _ => Class::Failed,
    }
}

/// The words that come all the time are not copied.
fn own(word: &str) -> Cow<'static, str> {
    match word {
        "insufficient_stock" => Cow::Borrowed("insufficient_stock"),
        "applied" => Cow::Borrowed("applied"),
        "duplicate" => Cow::Borrowed("duplicate"),
        other => Cow::Owned(other.chars().filter(|c| !c.is_control()).take(CODE_CHARS_MAX).collect()),
    }
}
