//! Reviews: money that a person must look at.

use std::fmt;

use super::{
    ids::{OrderId, SaleId},
    metadata::Metadata,
    money::{Amount, Currency},
    payment::PaymentStatus,
};

/// Characters of the key.
const KEY_CHARS: usize = 20;

/// `review_<sale>_<key>`. The key is a hash of the payment, or of the event where it names no payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewId {
    pub sale: SaleId,
    key: String,
}

impl ReviewId {
    /// `None` when the key is not 20 characters of `A-Z`, `a-z`, `0-9`, `-` and `_`.
    pub fn new(sale: SaleId, key: &str) -> Option<Self> {
        let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        (plain && key.len() == KEY_CHARS).then(|| Self { sale, key: key.to_owned() })
    }

    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("review_")?;
        let at = rest.len().checked_sub(KEY_CHARS)?;
        let (sale, key) = rest.is_ascii().then(|| rest.split_at(at))?;
        Self::new(SaleId::parse_shard(sale.strip_suffix('_')?)?, key)
    }

    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for ReviewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "review_{}_{}", self.sale, self.key)
    }
}

/// What the event named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Order(OrderId),
    /// An id that this service never made.
    Unmatched(String),
}

/// Why a person must look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReviewReason {
    /// The amount or the currency does not fit the order.
    AmountMismatch,
    /// Another payment pays the order.
    DuplicatePayment,
    /// A refund that does not fit what is known of its payment.
    RefundMismatch,
    /// A part of the money went back, and the order stays paid.
    PartialRefund,
    /// A refund that was reported did not arrive.
    RefundFailed,
    /// The buyer's bank takes the money back unless the shop wins.
    Disputed,
    DisputeLost,
    /// The money came after the hold was gone, so a refund is due.
    HoldExpired,
    /// The money came after the order had expired and its units were sold to others, so a refund is due.
    UnitsGone,
    /// The money came after the order was cancelled, so a refund is due.
    OrderCancelled,
    /// The event names nothing that this service made.
    Unmatched,
}

impl ReviewReason {
    pub const ALL: [Self; 11] = [
        Self::AmountMismatch,
        Self::DuplicatePayment,
        Self::RefundMismatch,
        Self::PartialRefund,
        Self::RefundFailed,
        Self::Disputed,
        Self::DisputeLost,
        Self::HoldExpired,
        Self::UnitsGone,
        Self::OrderCancelled,
        Self::Unmatched,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::AmountMismatch => "amount_mismatch",
            Self::DuplicatePayment => "duplicate_payment",
            Self::RefundMismatch => "refund_mismatch",
            Self::PartialRefund => "partial_refund",
            Self::RefundFailed => "refund_failed",
            Self::Disputed => "disputed",
            Self::DisputeLost => "dispute_lost",
            Self::HoldExpired => "hold_expired",
            Self::UnitsGone => "units_gone",
            Self::OrderCancelled => "order_cancelled",
            Self::Unmatched => "unmatched",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// A review as it is now. Times are epoch milliseconds of the Redis clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    pub id: ReviewId,
    pub reason: ReviewReason,
    /// What happened to the money.
    pub status: PaymentStatus,
    pub subject: Subject,
    /// The provider's id of the event, and that of the payment where it has one.
    pub event: String,
    pub payment: Option<String>,
    /// What was captured.
    pub amount: Option<Amount>,
    pub currency: Option<Currency>,
    /// How much of it went back.
    pub refunded: Option<Amount>,
    /// An amount that could not be read, as it came.
    pub stated: Option<String>,
    /// What the order costs, in the currency of its sale: the money may have come in another one.
    pub expected: Option<(Amount, Currency)>,
    pub customer: Option<String>,
    /// That of the order.
    pub metadata: Option<Metadata>,
    /// The deadline of the order when the review was opened.
    pub due_ms: Option<i64>,
    /// The review about the same payment that was resolved before.
    pub previous: Option<ReviewId>,
    pub opened_ms: i64,
    pub resolved_ms: Option<i64>,
    /// The name of the token of the person who resolved it.
    pub actor: Option<String>,
    /// What the person decided who resolved it. `None`: a later event resolved it.
    pub action: Option<ReviewAction>,
    /// The note of that person.
    pub note: Option<String>,
}

/// What a person decides about the money of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewAction {
    /// This money pays the order.
    Accept,
    /// This money goes back.
    Refund,
    /// Nothing changes.
    Dismiss,
}

impl ReviewAction {
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Accept, Self::Refund, Self::Dismiss].into_iter().find(|action| action.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Refund => "refund",
            Self::Dismiss => "dismiss",
        }
    }
}

/// The reviews of a list: those that wait for a person, or the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReviewStatus {
    #[default]
    Open,
    Resolved,
}

impl ReviewStatus {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "open" => Some(Self::Open),
            "resolved" => Some(Self::Resolved),
            _ => None,
        }
    }
}

/// The note of the person who resolves a review: 1 to 1,000 characters. Line breaks and tabs are the only control
/// characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note(String);

impl Note {
    pub const CHARS_MAX: usize = 1_000;

    pub fn parse(text: &str) -> Option<Self> {
        let trimmed = text.trim();
        let fits = (1..=Self::CHARS_MAX).contains(&trimmed.chars().count());
        (fits && !trimmed.chars().any(|c| c.is_control() && c != '\n' && c != '\t')).then(|| Self(trimmed.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "abcdefghij_-ABCDEFGH";

    #[test]
    fn an_id_is_read_back() {
        let id = ReviewId::new(SaleId::parse("drop-1").unwrap(), KEY).unwrap();
        assert_eq!(ReviewId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn strange_texts_are_neither_ids_nor_notes() {
        for text in
            ["", "review_", "review_p1_short", "review_P_abcdefghij_-ABCDEFGH", "review_p1_abcdefghij é ABCDEFG"]
        {
            assert!(ReviewId::parse(text).is_none(), "{text}");
        }
        assert!(Note::parse("  ").is_none() && Note::parse("a\u{7}").is_none() && Note::parse("a\nb").is_some());
    }
}
