//! Reviews: money that a person must look at.

use std::fmt;

use super::{
    ids::{OrderId, SaleId},
    money::{Amount, Currency},
    payment::PaymentStatus,
};

/// Characters of the part behind the sale.
const KEY_CHARS: usize = 20;

/// `review_<sale>_<key>`, where the key is made of the id of the payment event that opened it.
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
        Self::new(SaleId::parse(sale.strip_suffix('_')?)?, key)
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

/// What the event was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Order(OrderId),
    /// An id that was never made here, as the event named it.
    Unmatched(String),
}

/// A review as it stands. Times are epoch milliseconds of the Redis clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    pub id: ReviewId,
    /// Why: `amount_mismatch`, `duplicate_payment`, `refund_mismatch`, `hold_expired`, `units_gone`, `order_cancelled` or
    /// `unmatched`.
    pub reason: String,
    /// What happened to the money.
    pub status: PaymentStatus,
    pub subject: Subject,
    /// The provider's names for the event and the payment, where given.
    pub event: String,
    pub payment: Option<String>,
    pub amount: Option<Amount>,
    pub currency: Option<Currency>,
    pub opened_ms: i64,
    pub resolved_ms: Option<i64>,
    /// What was written when it was resolved.
    pub note: Option<String>,
}

/// Which reviews a list has.
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

/// What a person writes on resolving: 1 to 1,000 characters, line breaks and tabs but no other control characters.
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
