//! The place of a reader in the logs of any number of sales, in a text that fits into a URL.
//!
//! A cursor has a time and the names of some sales. Of a named sale the reader has seen all events up to a position. Of each
//! other sale it has seen those before the time, and none after. The named ones are those that wrote an event in the last
//! minute, or the last of these if they are too many: an idle sale needs no name.
//!
//! So a reader gets each event once, as long as Redis' clock does not step back behind the time of the cursor.

use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
    fmt,
};

use super::{event::Position, ids::SaleId};

/// The time of a cursor is so long before the last event that it has seen: a fail-over to a server whose clock is behind
/// by less loses nothing.
const BEHIND_MS: u64 = 60_000;
/// Bytes of a cursor in a URL, with room for the rest of 8 kB.
const BYTES_MAX: usize = 6_000;

/// The events of a sale that a reader has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Those up to this one.
    UpTo(Position),
    /// Those before this millisecond.
    Before(u64),
}

impl Seen {
    /// The place after which the reader goes on.
    pub fn end(self) -> Position {
        match self {
            Self::UpTo(position) => position,
            Self::Before(ms) => Position::new(ms, 0).before(),
        }
    }

    /// Where the reader is in a log with this last event. `Less`: the log has more. `Greater`: it ends before what was seen.
    pub fn against(self, end: Option<Position>) -> Ordering {
        match (self, end) {
            (Self::UpTo(position), Some(end)) => position.cmp(&end),
            (Self::UpTo(_), None) => Ordering::Greater,
            (Self::Before(ms), Some(end)) if end.ms() >= ms => Ordering::Less,
            (Self::Before(_), _) => Ordering::Equal,
        }
    }
}

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventCursor {
    /// `None`: the cursor of one sale, such as the id of an event.
    since_ms: Option<u64>,
    named: BTreeMap<SaleId, Position>,
}

impl EventCursor {
    /// A reader that has seen what was before this instant.
    pub fn since(ms: u64) -> Self {
        Self { since_ms: Some(ms), named: BTreeMap::new() }
    }

    /// A reader of one sale.
    pub fn of_sale(sale: SaleId, seen: Seen) -> Self {
        match seen {
            Seen::UpTo(position) => Self { since_ms: None, named: BTreeMap::from([(sale, position)]) },
            Seen::Before(ms) => Self::since(ms),
        }
    }

    /// A reader of several sales. `since_ms` is the time of its cursor before, `now_ms` that of Redis' clock. `more_from`: where the
    /// logs have more, the instant of the last event that the reader got.
    pub fn of_sales(
        seen: impl IntoIterator<Item = (SaleId, Seen)>,
        since_ms: u64,
        now_ms: u64,
        more_from: Option<u64>,
    ) -> Self {
        let up_to = |(sale, seen)| if let Seen::UpTo(position) = seen { Some((sale, position)) } else { None };
        let mut named: BTreeMap<SaleId, Position> = seen.into_iter().filter_map(up_to).collect();
        let newest = named.values().map(|position| position.ms()).max().unwrap_or(0).min(now_ms);
        let bound = more_from.unwrap_or(u64::MAX);
        let mut since_ms = since_ms.max(newest.saturating_sub(BEHIND_MS).min(bound));
        named.retain(|_, position| position.ms() >= since_ms);
        let mut by_age: Vec<_> = named.iter().collect();
        by_age.sort_unstable_by_key(|(_, position)| Reverse(**position));
        let mut bytes = 0;
        let too_old = by_age.into_iter().find(|entry| {
            bytes += bytes_of(*entry);
            bytes > BYTES_MAX && entry.1.ms() < bound
        });
        // Those that rest for longest lose their names. What came up to their last event was seen everywhere.
        if let Some((_, position)) = too_old {
            since_ms = position.ms() + 1;
            named.retain(|_, position| position.ms() >= since_ms);
        }
        Self { since_ms: Some(since_ms), named }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (since, rest) = match text.split_once('~') {
            Some((since, rest)) if !since.contains(':') => (Some(since), rest),
            None if !text.contains(':') => (Some(text), ""),
            _ => (None, text),
        };
        let since_ms = match since {
            Some(digits) => Some(Position::parse(&format!("{digits}-0"))?.ms()),
            None => None,
        };
        let mut named = BTreeMap::new();
        for name in rest.split('~').filter(|_| !rest.is_empty()) {
            let (sale, position) = name.split_once(':')?;
            named.insert(SaleId::parse_shard(sale)?, Position::parse(position)?);
        }
        (since_ms.is_some() || named.len() == 1).then_some(Self { since_ms, named })
    }

    /// What it says of one sale and its shards.
    #[must_use]
    pub fn within(&self, sale: &SaleId) -> Self {
        let mut named = self.named.clone();
        named.retain(|shard, _| shard.name() == sale.as_str());
        if named.is_empty() { Self::since(self.since_ms()) } else { Self { since_ms: self.since_ms, named } }
    }

    /// The same for a reader of several shards of a sale. The id of an event says that what came before it was seen in all of them.
    #[must_use]
    pub fn of_shards(self) -> Self {
        let event = self.named.values().next().map(|position| position.ms());
        Self { since_ms: self.since_ms.or(event), ..self }
    }

    /// Whether it says something of this one sale only, and nothing of others.
    pub fn is_of_one_sale(&self) -> bool {
        self.since_ms.is_none()
    }

    /// The shard of this sale, and the position in its log, that the id of an event names.
    pub fn event_of(&self, sale: &SaleId) -> Option<(&SaleId, Position)> {
        let (shard, position) = self.named.iter().next().filter(|_| self.is_of_one_sale())?;
        (shard.name() == sale.as_str()).then_some((shard, *position))
    }

    pub fn since_ms(&self) -> u64 {
        self.since_ms.unwrap_or(0)
    }

    pub fn seen(&self, sale: &SaleId) -> Seen {
        match self.named.get(sale) {
            None => Seen::Before(self.since_ms()),
            // No event is there.
            Some(position) if *position == Position::default() => Seen::Before(0),
            Some(position) => Seen::UpTo(*position),
        }
    }
}

/// Its length in a URL, with a colon as `%3A`.
fn bytes_of((sale, position): (&SaleId, &Position)) -> usize {
    format!("~{sale}:{position}").len() + 2
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ms) = self.since_ms {
            write!(f, "{ms}")?;
        }
        for (at, (sale, position)) in self.named.iter().enumerate() {
            let joint = if at > 0 || self.since_ms.is_some() { "~" } else { "" };
            write!(f, "{joint}{sale}:{position}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(text: &str) -> SaleId {
        SaleId::parse(text).unwrap()
    }

    fn up_to(ms: u64, number: u64) -> Seen {
        Seen::UpTo(Position::new(ms, number))
    }

    #[test]
    fn a_cursor_is_read_back_and_has_what_was_seen() {
        let seen = [(sale("p1"), up_to(170_000, 3)), (sale("drop"), up_to(90, 0)), (sale("new"), Seen::Before(50))];
        let cursor = EventCursor::of_sales(seen, 0, 200_000, None);
        assert_eq!(cursor.to_string(), "110000~p1:170000-3", "what rests needs no name");
        assert_eq!(EventCursor::parse("110000~p1:170000-3"), Some(cursor.clone()));
        assert_eq!((cursor.seen(&sale("p1")), cursor.seen(&sale("drop"))), (up_to(170_000, 3), Seen::Before(110_000)));
        let one = EventCursor::parse("p1:17-3").unwrap();
        assert!(one.is_of_one_sale() && !EventCursor::parse("0").unwrap().is_of_one_sale());
        assert_eq!(EventCursor::of_sale(sale("p1"), up_to(17, 3)), one);
        assert_eq!((Seen::Before(0).end().to_string(), up_to(17, 3).end().to_string()), ("0-0".into(), "17-3".into()));
    }

    #[test]
    fn a_reader_knows_from_the_end_of_a_log_whether_it_has_more() {
        let (older, end) = (Position::new(170, 2), Position::new(170, 3));
        for (seen, end, standing) in [
            (up_to(170, 3), Some(end), Ordering::Equal),
            (up_to(170, 2), Some(end), Ordering::Less),
            (up_to(170, 3), Some(older), Ordering::Greater),
            (up_to(170, 3), None, Ordering::Greater),
            (Seen::Before(171), Some(end), Ordering::Equal),
            (Seen::Before(170), Some(end), Ordering::Less),
            (Seen::Before(170), None, Ordering::Equal),
        ] {
            assert_eq!(seen.against(end), standing, "{seen:?} in a log that ends with {end:?}");
        }
    }

    #[test]
    fn strange_texts_are_no_cursors() {
        for text in [
            "",
            "p1",
            "p1:",
            "p1:1",
            "p1:-1-0",
            "p1:1-",
            "P:1-1",
            "p1:1-1~",
            "p1:1-1~p2:1-1",
            "7~p1",
            "-7",
            "9".repeat(20).as_str(),
        ] {
            assert!(EventCursor::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_time_of_a_cursor_passes_no_event_that_was_not_read() {
        let seen = [(sale("a"), up_to(500_000, 0)), (sale("b"), up_to(100_000, 7))];
        let page = |now, more_from| EventCursor::of_sales(seen.clone(), 0, now, more_from).since_ms();
        assert_eq!(page(600_000, Some(100_000)), 100_000, "there is more from here on");
        assert_eq!(page(600_000, None), 440_000);
        assert_eq!(page(130_000, None), 70_000, "the clock was ahead when a wrote");
    }

    #[test]
    fn any_number_of_sales_fits_and_those_that_wrote_last_have_a_name() {
        let name = |number: u64| sale(&format!("a-sale-with-a-very-long-na-{number:05}"));
        let seen = |count| (0..count).map(move |number| (name(number), up_to(1_000_000 + number, 4)));
        let cursor = EventCursor::of_sales(seen(5_000), 0, 2_000_000, None);
        assert!(cursor.to_string().len() < BYTES_MAX && cursor.named.len() > 100, "{}", cursor.named.len());
        let first = cursor.named.values().next().unwrap().ms();
        assert_eq!(cursor.since_ms(), first, "right behind the last event of the last sale without a name");
        for (sale, seen) in seen(5_000) {
            let Seen::UpTo(position) = seen else { unreachable!() };
            let goes_on = match cursor.seen(&sale) {
                Seen::UpTo(known) => known == position,
                Seen::Before(ms) => position.ms() < ms,
            };
            assert!(goes_on, "{sale}");
        }
        // Where all of them wrote in the instant from which there is more, all keep their names.
        let tied = (0..500).map(|number| (name(number), up_to(1_000_000, 0)));
        assert_eq!(EventCursor::of_sales(tied, 0, 2_000_000, Some(1_000_000)).named.len(), 500);
    }
}
