//! What the answers to a buyer's requests mean.

use std::borrow::Cow;

use serde::Deserialize;

use crate::tools::{
    client::{Answer, TransportError},
    text::cut,
};

/// The longest code that is kept. Those of the contract are shorter.
const CODE_CHARS_MAX: usize = 40;

/// What a buyer does, one request after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Hold,
    Order,
    Pay,
}

impl Step {
    pub const ALL: [Self; 3] = [Self::Hold, Self::Order, Self::Pay];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Order => "order",
            Self::Pay => "pay",
        }
    }
}

/// What an answer means for the buyer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerClass {
    Accepted,
    /// Not enough units, or too late: a good answer.
    Refused,
    /// Nothing happened, and no rule of the sale decided that.
    Failed,
    /// It may have happened: no answer came, or an unclear one.
    Unknown,
}

/// The answer to one request, as far as the rush looks at it.
pub struct StepAnswer {
    pub class: AnswerClass,
    pub status: Option<u16>,
    pub code: Cow<'static, str>,
    /// Hold id or order id.
    pub id: Option<String>,
    pub expires_in: Option<u64>,
}

/// The fields that matter, of any answer. The wire types would copy each text, and this is read tens of thousands of
/// times a second.
#[derive(Default, Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    outcome: Option<Cow<'a, str>>,
    #[serde(borrow)]
    order: Option<OrderFields<'a>>,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct OrderFields<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

impl StepAnswer {
    pub fn read(step: Step, answer: Result<Answer, TransportError>) -> Self {
        match answer {
            Ok(answer) => Self::from_answer(step, &answer),
            Err(TransportError::NotConnected(_)) => Self::without_status(AnswerClass::Failed, "not connected"),
            Err(TransportError::TimedOut(_) | TransportError::TooSlow { .. }) => {
                Self::without_status(AnswerClass::Unknown, "timed out")
            }
            Err(TransportError::Broken(_)) => Self::without_status(AnswerClass::Unknown, "connection lost"),
        }
    }

    fn without_status(class: AnswerClass, code: &'static str) -> Self {
        Self { class, status: None, code: code.into(), id: None, expires_in: None }
    }

    fn from_answer(step: Step, answer: &Answer) -> Self {
        let status = Some(answer.status);
        let fields: Fields<'_> = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (word, id) = match step {
            Step::Hold => (Some("held".into()), fields.id),
            Step::Order => (Some("ordered".into()), fields.id),
            Step::Pay => (fields.outcome.as_deref().map(interned), fields.order.and_then(|order| order.id)),
        };
        let id = id.map(Cow::into_owned);
        match (answer.status, word) {
            // An event may match nothing that has an id. A hold and an order always have one.
            (200..=299, Some(word)) if step == Step::Pay || id.is_some() => {
                Self { class: AnswerClass::Accepted, status, code: word, id, expires_in: fields.expires_in }
            }
            (200..=299, _) => Self { status, ..Self::without_status(AnswerClass::Unknown, "unreadable") },
            _ => {
                let code = fields.code.as_deref().map_or(Cow::Borrowed(""), interned);
                Self { class: class(answer.status, &code), status, code, id: None, expires_in: None }
            }
        }
    }
}

/// The meaning of an answer that is no success, by the contract.
fn class(status: u16, code: &str) -> AnswerClass {
    match status {
        409 | 410 => AnswerClass::Refused,
        503 if ["overloaded", "draining"].contains(&code) => AnswerClass::Failed,
        408 | 500..=599 => AnswerClass::Unknown,
        _ => AnswerClass::Failed,
    }
}

/// The code, without a copy of those that come all the time.
fn interned(code: &str) -> Cow<'static, str> {
    match code {
        "insufficient_stock" => Cow::Borrowed("insufficient_stock"),
        "applied" => Cow::Borrowed("applied"),
        "duplicate" => Cow::Borrowed("duplicate"),
        other => Cow::Owned(cut(other, CODE_CHARS_MAX)),
    }
}
