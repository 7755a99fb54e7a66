//! The event log: what happened to orders, reviews, products and sales. The events of a sale are in order, each once.

use std::fmt;

use super::{
    act::Act, audit::Difference, event_cursor::EventCursor, ids::SaleId, order::Order, product::Product,
    review::Review, sale::Sale,
};

/// The place of an event in the log of its sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    ms: u64,
    number: u64,
}

/// The scripts compare positions as numbers, which are exact below this. Redis makes none that is higher.
const PART_MAX: u64 = 1 << 53;

impl Position {
    /// Behind all events.
    pub const MAX: Self = Self { ms: u64::MAX, number: u64::MAX };

    pub fn new(ms: u64, number: u64) -> Self {
        Self { ms, number }
    }

    /// The milliseconds of Redis' clock when the event was written.
    pub fn ms(self) -> u64 {
        self.ms
    }

    /// The place right in front of this one: what comes after it begins with this one.
    #[must_use]
    pub fn before(self) -> Self {
        match (self.ms, self.number) {
            (0, 0) => self,
            (ms, 0) => Self { ms: ms - 1, number: PART_MAX - 1 },
            (ms, number) => Self { ms, number: number - 1 },
        }
    }

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

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.number)
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

macro_rules! kinds {
    ($($kind:ident,)+) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventKind { $($kind,)+ }

        impl EventKind {
            pub const ALL: &[Self] = &[$(Self::$kind,)+];
        }
    };
}

kinds! {
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
    ProductArchived,
    ProductMoved,
    ProductDeleted,
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
    /// The subject before the event, where the event is a change by an admin.
    pub before: Option<About>,
    /// The product had no SKU before.
    pub gives_sku: bool,
    pub act: Act,
}

impl Event {
    /// Names the event for ever.
    pub fn id(&self) -> String {
        format!("{}:{}", self.sale, self.position)
    }
}

/// The place from which a reader reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EventStart {
    After(EventCursor),
    /// Epoch milliseconds.
    Since(u64),
    /// The ends of the logs as they are now.
    Latest,
}

/// What a reader asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventQuery {
    /// `None`: all sales.
    pub sale: Option<SaleId>,
    pub start: EventStart,
    /// Epoch milliseconds. Later events stay where they are.
    pub until_ms: Option<u64>,
    /// Empty: all kinds.
    pub kinds: Vec<EventKind>,
    pub limit: usize,
}

/// Events in order: those of each sale as its log has them, and those of several sales by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    pub events: Vec<Event>,
    /// The place behind them, and behind what was looked at and not asked for.
    pub next: EventCursor,
    /// Whether more is there already.
    pub has_more: bool,
    /// Sales whose logs do not have all events any more that came after the start.
    pub missing: Vec<SaleId>,
}

/// The place in front of which a reader reads backwards. All events have an order: by position, and then by sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventEnd {
    /// Behind all that happened.
    Latest,
    Before(Position, SaleId),
}

impl EventEnd {
    /// `latest`, or the id of an event.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "latest" {
            return Some(Self::Latest);
        }
        let (sale, position) = text.split_once(':')?;
        Some(Self::Before(Position::parse(position)?, SaleId::parse_shard(sale)?))
    }
}

impl fmt::Display for EventEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Before(position, sale) => write!(f, "{sale}:{position}"),
        }
    }
}

/// What a reader asks for who reads backwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierQuery {
    /// `None`: all sales.
    pub sale: Option<SaleId>,
    pub end: EventEnd,
    /// Empty: all kinds.
    pub kinds: Vec<EventKind>,
    pub limit: usize,
}

/// Events, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierEvents {
    pub events: Vec<Event>,
    /// The last event that was looked at, whether it was asked for or not.
    pub next: EventEnd,
    /// Whether there may be earlier ones.
    pub has_more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_and_knows_what_is_in_front_of_it() {
        for (text, before) in [("17-3", "17-2"), ("17-0", "16-9007199254740991"), ("0-1", "0-0"), ("0-0", "0-0")] {
            let position = Position::parse(text).unwrap();
            assert_eq!((position.to_string(), position.before().to_string()), (text.to_owned(), before.to_owned()));
        }
        for text in ["", "1", "1-", "-1-0", "1-x", "99999999999999999999-0"] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }
}
