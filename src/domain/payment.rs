//! Payment events, whoever sent them.

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
    /// The buyer has begun to pay: the money may still come or not.
    Processing,
    /// A word that says nothing to us.
    Ignored,
}

impl PaymentStatus {
    /// From a provider's word.
    pub fn from_word(word: &str) -> Self {
        match word {
            "paid" | "succeeded" | "success" => Self::Paid,
            "failed" => Self::Failed,
            "cancelled" | "canceled" => Self::Cancelled,
            "refunded" => Self::Refunded,
            "processing" => Self::Processing,
            _ => Self::Ignored,
        }
    }

    /// Whether an event about an id that is not ours must be kept for a person.
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

/// The provider's name for a payment: 1 to 255 visible ASCII characters.
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

/// What the event is about, as the sender wrote it; the service has still to find out whether it ever made that id.
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

/// A payment event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentEvent {
    /// Names the event: the same one again has no second effect.
    pub key: IdempotencyKey,
    pub status: PaymentStatus,
    pub target: Target,
    pub payment: Option<PaymentId>,
    /// Checked against the order when there.
    pub amount: Option<Amount>,
    pub currency: Option<Currency>,
}
