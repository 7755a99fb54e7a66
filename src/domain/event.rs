//! The event log: what happened to orders, reviews, products and sales. The events of a sale are in order, each once.

use std::{collections::BTreeMap, fmt};

use super::{audit::Difference, ids::SaleId, order::Order, product::Product, review::Review, sale::Sale};

/// The place of an event in the log of its sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    ms: u64,
    number: u64,
}

/// The scripts compare positions as numbers, which are exact below this. Redis makes none that is higher.
const PART_MAX: u64 = 1 << 53;

impl Position {
    /// `<milliseconds>-<number>`, as Redis writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |part: &str| {
            let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            part.parse().ok().filter(|number| plain && *number < PART_MAX)
        };
        let (ms, number) = text.split_once('-')?;
        Some(Self { ms: digits(ms)?, number: digits(number)? })
    }
}

impl Position {
    /// Epoch milliseconds of the Redis clock when the event was written.
    pub fn ms(self) -> u64 {
        self.ms
    }

    /// The place before which nothing else fits. What comes after it begins with this one.
    #[must_use]
    pub fn before(self) -> Self {
        match self.number.checked_sub(1) {
            Some(number) => Self { number, ..self },
            None => Self { ms: self.ms.saturating_sub(1), number: PART_MAX - 1 },
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.number)
    }
}

/// The last event of each sale that a reader has seen: `sale:position`, joined by `~`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventCursor(BTreeMap<SaleId, Position>);

impl EventCursor {
    /// Sales that one cursor may follow, so that it fits into a URL.
    pub const SALES_MAX: usize = 100;

    pub fn parse(text: &str) -> Option<Self> {
        let mut seen = BTreeMap::new();
        for part in text.split('~') {
            let (sale, position) = part.split_once(':')?;
            seen.insert(SaleId::parse(sale)?, Position::parse(position)?);
        }
        (seen.len() <= Self::SALES_MAX).then_some(Self(seen))
    }

    /// The last event of the sale that the reader has seen. The beginning of its log when it has seen none.
    pub fn seen(&self, sale: &SaleId) -> Position {
        self.0.get(sale).copied().unwrap_or_default()
    }

    /// The cursor of a reader of this one sale.
    #[must_use]
    pub fn only(&self, sale: &SaleId) -> Self {
        Self(self.0.get(sale).map(|position| (sale.clone(), *position)).into_iter().collect())
    }

    pub fn see(&mut self, sale: &SaleId, position: Position) {
        self.0.insert(sale.clone(), position);
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (sale, position)) in self.0.iter().enumerate() {
            write!(f, "{}{sale}:{position}", if at == 0 { "" } else { "~" })?;
        }
        Ok(())
    }
}

/// The subject of an event, as it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    Order(Order),
    Review(Review),
    Product(Product),
    Sale(Sale),
    /// A difference that an audit repaired.
    Repair(Difference),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    OrderCreated,
    OrderPaymentStarted,
    OrderInReview,
    OrderPaid,
    OrderCancelled,
    OrderExpired,
    OrderRefundRequired,
    OrderRefunded,
    ProductCreated,
    ProductChanged,
    ProductRestocked,
    ReviewOpened,
    ReviewChanged,
    ReviewResolved,
    SaleCreated,
    SaleChanged,
    SaleRepaired,
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub sale: SaleId,
    pub position: Position,
    pub kind: EventKind,
    /// Epoch milliseconds of the Redis clock.
    pub at_ms: i64,
    pub about: About,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_has_what_was_seen() {
        let mut cursor = EventCursor::default();
        let [one, other] = ["p1", "drop"].map(|text| SaleId::parse(text).unwrap());
        cursor.see(&one, Position::parse("17-3").unwrap());
        cursor.see(&other, Position::parse("9-0").unwrap());
        assert_eq!(cursor.to_string(), "drop:9-0~p1:17-3");
        assert_eq!(EventCursor::parse("drop:9-0~p1:17-3"), Some(cursor.clone()));
        assert_eq!(cursor.only(&one).to_string(), "p1:17-3");
        assert_eq!(cursor.seen(&SaleId::unmatched()), Position::default());
    }

    #[test]
    fn strange_texts_are_no_cursors() {
        for text in ["", "p1", "p1:", "p1:1", "p1:-1-0", "p1:1-", "P:1-1", "p1:1-1~", "p1:99999999999999999999-0"] {
            assert!(EventCursor::parse(text).is_none(), "{text}");
        }
    }
}
