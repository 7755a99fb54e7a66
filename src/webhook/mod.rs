//! Payment events as their senders write them: signatures and bodies. Pure: knows neither HTTP nor Redis.
//!
//! A provider is one file, such as `stripe.rs`, that gives one [`Provider`]: how a secret becomes a key, what its headers
//! claim, how its body is read as a [`PaymentEvent`], and how both are written, so that `flashsale trigger` can send what it
//! sends. What is the same for all (bounds, tolerance, rotation, comparing in constant time) is in `signature.rs`. The next
//! provider is such a file, a route in `http/routes.rs` with its path, and a row in `Webhook::providers` of `config`, which
//! names the setting of its secrets.

pub mod event;
pub mod signature;
pub mod standard;
pub mod stripe;

use self::{
    event::EventError,
    signature::{Claim, Distrust, Key},
};
use crate::domain::{
    money::{Amount, Currency},
    payment::{PaymentEvent, PaymentStatus},
};

/// The headers of a request, by their name in lower case.
pub type Headers<'h, 'r> = &'h dyn Fn(&str) -> Option<&'r [u8]>;

/// Headers that sign a body.
pub type Sealed = Vec<(&'static str, String)>;

/// Somebody who sends payment events, and how.
pub struct Provider {
    /// Where its events come in: a route of `http`.
    pub path: &'static str,
    /// What a secret must be, for whoever has to mend a setting.
    pub secret_form: &'static str,
    /// Its events always say how much; ours may.
    pub names_amount: bool,
    /// `None` when the secret does not have that form.
    pub key: fn(&str) -> Option<Key>,
    /// What the headers claim about who sent the event.
    pub claim: for<'r> fn(Headers<'_, 'r>) -> Result<Claim, Distrust>,
    /// The event; the headers may name it.
    pub read: fn(&[u8], Headers<'_, '_>) -> Result<PaymentEvent, EventError>,
    /// Signs with a key: the id of the event, epoch seconds, the body.
    pub seal: fn(&Key, &str, u64, &[u8]) -> Sealed,
    /// The body of an event.
    pub write: fn(&Sample<'_>) -> String,
}

/// An event to try things with.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    pub key: &'a str,
    pub status: PaymentStatus,
    /// Of an order or of a hold.
    pub target: &'a str,
    pub payment: &'a str,
    pub money: Option<(Amount, Currency)>,
    /// Of a refund: less than what was captured.
    pub is_partial: bool,
    pub sent_seconds: u64,
}
