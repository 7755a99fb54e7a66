//! Payment events, in one form for all providers.

use super::{
    money::{Amount, Currency},
    text::{IdempotencyKey, is_visible_ascii},
};

/// What happened to the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus {
    Paid,
    Failed,
    Cancelled,
    Refunded,
    /// The buyer has started to pay. The payment may still fail.
    Processing,
    /// The event changes no order.
    Ignored,
}

impl PaymentStatus {
    /// Reads a word of [`Self::as_str`] that was stored. `Ignored` never is.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "paid" => Some(Self::Paid),
            "failed" => Some(Self::Failed),
            "cancelled" => Some(Self::Cancelled),
            "refunded" => Some(Self::Refunded),
            "processing" => Some(Self::Processing),
            _ => None,
        }
    }

    /// Whether an event with this status must be kept for a person when its id is not ours.
    pub fn settles(self) -> bool {
        !matches!(self, Self::Processing | Self::Ignored)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
            Self::Processing => "processing",
            Self::Ignored => "ignored",
        }
    }
}

/// The provider's id of a payment: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentId(String);

impl PaymentId {
    pub const CHARS_MAX: usize = 255;

    pub fn parse(text: &str) -> Option<Self> {
        is_visible_ascii(text, Self::CHARS_MAX).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the event is about, as the sender wrote it. Only the store knows whether the service ever made that id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Order(String),
    Hold(String),
    /// They must belong together.
    Both {
        order: String,
        hold: String,
    },
}

/// How much money an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatedAmount {
    NotGiven,
    Is(Amount),
    /// The sender's text. An event about money with such an amount is never applied, because every amount would count as the
    /// right one, and never refused, because senders drop events that are refused. It is kept for a person, with this text.
    NotUnderstood(String),
}

impl StatedAmount {
    pub fn known(&self) -> Option<Amount> {
        match self {
            Self::Is(amount) => Some(*amount),
            Self::NotGiven | Self::NotUnderstood(_) => None,
        }
    }
}

/// A payment event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentEvent {
    /// The name of the event. A second event with this name has no effect.
    pub key: IdempotencyKey,
    pub status: PaymentStatus,
    pub target: Target,
    pub payment: Option<PaymentId>,
    /// Compared with the order's total when given.
    pub amount: StatedAmount,
    pub currency: Option<Currency>,
}
