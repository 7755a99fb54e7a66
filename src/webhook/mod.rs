//! Payment events as their providers write them: how each proves who sent it, and what its body means. Knows neither the HTTP
//! server nor Redis.
//!
//! A provider is one file, such as `standard.rs`, which gives one [`Provider`], and one line in [`PROVIDERS`]. `stripe.rs` has
//! a folder too. Routes, settings and `flashsale trigger` follow that list. The file says what a secret is, who is believed ([`Verify`]), how a body is read as a
//! [`PaymentEvent`], and how both are written, so that `flashsale trigger` can send what the provider sends. `hmac.rs` has the
//! parts of a provider that signs with HMAC-SHA256, `signature.rs` the rules that hold for all, and `json.rs` and `fields.rs`
//! read what senders really write.

pub mod event;
mod fields;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed;
pub mod hmac;
mod json;
pub mod signature;
pub mod standard;
pub mod stripe;
mod words;

use std::{
    borrow::Cow,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::future::LocalBoxFuture;

pub use self::fields::visible;
use self::{event::EventError, signature::Distrust};
use crate::domain::{
    money::{Amount, Currency},
    payment::{PaymentEvent, PaymentStatus},
};

/// All providers. The first is the one that `flashsale trigger` uses without `--provider`.
pub static PROVIDERS: [&Provider; 2] = [&standard::PROVIDER, &stripe::PROVIDER];

/// A sender of payment events, and everything that differs between senders.
pub struct Provider {
    /// Its name on the command line and in the log.
    pub name: &'static str,
    /// The path that takes its events.
    pub path: &'static str,
    /// The media type of its bodies.
    pub media_type: &'static str,
    /// The setting with its secrets.
    pub setting: &'static str,
    /// The form of a secret, as the complaint about a wrong one gives it.
    pub secret_form: &'static str,
    /// True when each of its events has an amount. In our own events the amount may be left out.
    pub names_amount: bool,
    /// Takes the secrets of the setting, which may be none, and the tolerance for timestamps in seconds. The error is the
    /// position, from 1, of the first secret without the right form.
    pub credentials: fn(&[&str], u64) -> Result<Credentials, usize>,
    /// Takes a secret to sign with. `None`: it does not have the right form.
    pub sign: fn(&str) -> Option<Arc<Sign>>,
    /// Reads an event from bytes that [`Verify`] answered. The headers may name the event.
    pub read: fn(&[u8], &dyn Headers) -> Result<Reading, EventError>,
    /// Writes the body of an event.
    pub write: fn(&Sample<'_>) -> String,
}

/// What a trusted body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    Event(Box<PaymentEvent>),
    /// It is about nothing that an order depends on. It is answered and forgotten.
    Irrelevant,
    /// Its status is a word that no table knows. It is answered, logged and forgotten, so that the corrected event counts.
    UnknownStatus(String),
}

/// The secrets of a provider. Only its file knows whether they are keys, certificates or a token.
pub type Credentials = Arc<dyn Verify>;

/// The bytes that are trusted, or why none are.
pub type Verdict<'a> = Result<Cow<'a, [u8]>, Distrust>;

/// How a provider's events are trusted.
pub trait Verify: Send + Sync {
    /// Answers the bytes that are trusted: only these are read as an event. They are the body where the provider signs it. A
    /// provider without signatures, whose body is only a hint, asks its own interface and answers what it got from there. That
    /// is why this is a future, which holds up nobody else. A provider that asks puts a limit on the time that it waits.
    ///
    /// [`Distrust::Unsigned`] is left to the service, which may allow unsigned events.
    fn verify<'a>(&'a self, message: Message<'a>) -> LocalBoxFuture<'a, Verdict<'a>>;
}

/// A request of a provider, not trusted yet.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub headers: &'a dyn Headers,
    pub body: &'a [u8],
    pub now_seconds: u64,
}

/// The headers of a request.
pub trait Headers {
    /// The value of the first header with this name, which is in lower case.
    fn value(&self, name: &str) -> Option<&[u8]>;
}

/// Signs an event: its id, the time in epoch seconds, and its body.
pub type Sign = dyn Fn(&str, u64, String) -> Signed + Send + Sync;

/// An event as it is sent. The signature is in the headers or in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// What `flashsale trigger` sends an event about.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    pub key: &'a str,
    pub kind: SampleKind,
    /// The id of an order or of a hold.
    pub target: &'a str,
    /// Left out where the kind names none.
    pub payment: &'a str,
    pub money: Option<(Amount, Currency)>,
    /// True for a refund of less than was captured.
    pub is_partial: bool,
    pub sent_seconds: u64,
}

/// What an event for trying says. There are more kinds than statuses: a status means something else about a part, or without a
/// payment id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleKind {
    Paid,
    Processing,
    /// The amount is reserved on the buyer's card, and not captured yet.
    Authorised,
    /// An attempt failed, and the payment lives on.
    Declined,
    /// The payment captures nothing any more.
    Ended,
    /// The shop's own word that the order will not be paid.
    Failed,
    /// The shop's own word that the order is cancelled.
    Cancelled,
    Refunded,
    /// A part was refunded.
    PartialRefund,
    RefundFailed,
    Dispute,
    DisputeWon,
    DisputeLost,
}

impl SampleKind {
    pub const ALL: [Self; 13] = [
        Self::Paid,
        Self::Processing,
        Self::Authorised,
        Self::Declined,
        Self::Ended,
        Self::Failed,
        Self::Cancelled,
        Self::Refunded,
        Self::PartialRefund,
        Self::RefundFailed,
        Self::Dispute,
        Self::DisputeWon,
        Self::DisputeLost,
    ];

    /// The word of the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Processing => "processing",
            Self::Authorised => "authorised",
            Self::Declined => "declined",
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
            Self::PartialRefund => "partial-refund",
            Self::RefundFailed => "refund-failed",
            Self::Dispute => "dispute",
            Self::DisputeWon => "dispute-won",
            Self::DisputeLost => "dispute-lost",
        }
    }

    /// What the event counts as.
    pub fn status(self) -> PaymentStatus {
        match self {
            Self::Paid => PaymentStatus::Paid,
            Self::Processing | Self::Authorised => PaymentStatus::Processing,
            Self::Declined | Self::Failed => PaymentStatus::Failed,
            Self::Ended | Self::Cancelled => PaymentStatus::Cancelled,
            Self::Refunded | Self::PartialRefund => PaymentStatus::Refunded,
            Self::RefundFailed => PaymentStatus::RefundFailed,
            Self::Dispute => PaymentStatus::Disputed,
            Self::DisputeWon => PaymentStatus::DisputeWon,
            Self::DisputeLost => PaymentStatus::DisputeLost,
        }
    }

    /// Whether the event is about one payment. The shop's own word is about the whole order. Only our own webhook has it.
    pub fn names_payment(self) -> bool {
        !matches!(self, Self::Failed | Self::Cancelled)
    }
}

/// The time that events are signed with and checked against.
pub fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
impl Headers for Vec<(&'static str, String)> {
    fn value(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_bytes())
    }
}

#[cfg(test)]
mod anything;
/// Providers that are unlike those above.
#[cfg(test)]
pub(crate) mod unlike;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_has_a_name_a_path_and_a_setting_of_its_own() {
        for (at, one) in PROVIDERS.iter().enumerate() {
            for other in &PROVIDERS[at + 1..] {
                assert!(one.name != other.name && one.path != other.path && one.setting != other.setting);
            }
        }
    }
}
