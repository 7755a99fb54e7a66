//! The event logs of one sale, or of all sales merged by time. One XREAD reads many logs. Nothing is decided, so there is no
//! script. The events of a sale keep the order of its log.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use redis::Value;

use super::{Failure, Reply, Runner, Store, keys::SaleKeys, record, reply::Fields, tail::Look};
use crate::domain::{
    event::{About, Event, EventPage, EventQuery, EventStart, Position},
    event_cursor::{EventCursor, Seen},
    ids::SaleId,
    outcome::ListEventsOutcome,
};

/// Logs that one command reads.
const LOGS_MAX: usize = 500;
/// Commands about single logs that are in flight at the same time.
pub(super) const CALLS_AT_ONCE: usize = 16;
/// Entries of each log that one command reads: at least so many, however many logs there are.
pub(super) const ENTRIES_MIN: usize = 4;
/// Events that one call looks at, for one who wants only some types.
pub(super) const EXAMINED_MAX: usize = 10_000;

/// An entry of a log: its place, and its fields and values.
pub(super) type Entry = (Position, Value);

/// The last event of each log. `None`: the log is empty.
pub(super) type Ends = BTreeMap<SaleId, Option<Position>>;

impl Store {
    /// [`Store::list_events`], for all who ask for the same at the same time, such as those who wait for the same events.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn share_events(self: &Arc<Self>, query: &EventQuery) -> Result<Rc<ListEventsOutcome>, Failure> {
        let (store, wanted) = (Arc::clone(self), query.clone());
        let call = move || {
            let (store, wanted) = (Arc::clone(&store), wanted.clone());
            async move { store.list_events(&wanted).await }
        };
        self.event_pages.ask((query.clone(), None), call).await
    }

    /// The events behind a cursor, up to the ends that a look found. All who have the same cursor then share the page.
    pub(super) async fn share_events_of(
        self: &Arc<Self>,
        look: &Rc<Look>,
        query: &EventQuery,
        start: &EventCursor,
    ) -> Result<Rc<ListEventsOutcome>, Failure> {
        if let Some(page) = look.page(query) {
            return Ok(page);
        }
        let asked = (Arc::clone(self), Rc::clone(look), query.clone(), start.clone());
        let call = move || {
            let (store, look, wanted, start) = asked.clone();
            async move { store.list_events_of(&look, &wanted, &start).await }
        };
        let found = self.event_pages.ask((query.clone(), Some(look.number)), call).await?;
        look.keep(query, &found);
        Ok(found)
    }

    /// # Errors
    /// [`Failure`].
    pub async fn list_events(&self, query: &EventQuery) -> Result<ListEventsOutcome, Failure> {
        let Some(sales) = self.sales(query.sale.as_ref()).await? else { return Ok(ListEventsOutcome::SaleNotFound) };
        let now_ms = redis_now_ms(&self.runner).await?;
        let start = match &query.start {
            EventStart::Latest => return self.latest_events(sales, now_ms, query).await,
            EventStart::Since(ms) => EventCursor::since((*ms).min(now_ms)),
            EventStart::After(cursor) if sales.len() > 1 => cursor.clone().of_shards(),
            EventStart::After(cursor) => cursor.clone(),
        };
        if start.since_ms() > now_ms {
            return Ok(ListEventsOutcome::ClockSteppedBack);
        }
        let page = self.read_page(Reading::new(sales, &start, None), query, &start, now_ms).await?;
        Ok(ListEventsOutcome::Page(Rc::new(page)))
    }

    async fn list_events_of(
        &self,
        look: &Look,
        query: &EventQuery,
        start: &EventCursor,
    ) -> Result<ListEventsOutcome, Failure> {
        let is_wanted = |shard: &&SaleId| query.sale.as_ref().is_none_or(|sale| shard.name() == sale.as_str());
        let sales: Vec<_> = look.ends.keys().filter(is_wanted).cloned().collect();
        let start = if sales.len() > 1 { &start.clone().of_shards() } else { start };
        let reading = Reading::new(sales, start, Some(Rc::clone(&look.ends)));
        let page = self.read_page(reading, query, start, look.now_ms).await?;
        Ok(ListEventsOutcome::Page(Rc::new(page)))
    }

    /// `now_ms` is an instant of Redis' clock before which all that happened is read.
    async fn read_page(
        &self,
        mut reading: Reading,
        query: &EventQuery,
        start: &EventCursor,
        now_ms: u64,
    ) -> Result<EventPage, Failure> {
        while self.read_round(&mut reading, query).await? {}
        self.find_trimmed(&mut reading, start.since_ms()).await?;
        reading.events = self.with_skus(reading.events).await?;
        Ok(reading.into_page(query, start, now_ms))
    }

    /// An empty page behind all that happened.
    async fn latest_events(
        &self,
        sales: Vec<SaleId>,
        now_ms: u64,
        query: &EventQuery,
    ) -> Result<ListEventsOutcome, Failure> {
        let ends = ends_of(&self.runner, sales).await?;
        let seen = ends.into_iter().map(|(sale, end)| (sale, end.map_or(Seen::Before(0), Seen::UpTo)));
        let next = cursor(query, seen, 0, now_ms, None);
        let page = EventPage { events: Vec::new(), next, has_more: false, missing: Vec::new() };
        Ok(ListEventsOutcome::Page(Rc::new(page)))
    }

    /// Reads what follows in all logs, and takes it up to where all of them are known. Whether another round is needed.
    async fn read_round(&self, reading: &mut Reading, query: &EventQuery) -> Result<bool, Failure> {
        let left = query.limit - reading.events.len();
        let wanted = reading.wanted();
        let count = (2 * left / wanted.len().max(1)).clamp(ENTRIES_MIN, left.max(ENTRIES_MIN));
        let mut found = read_logs(&self.runner, &wanted, count).await?;
        let lost = reading.check_seen(&wanted, &found);
        for (sale, end) in ends_of(&self.runner, lost).await? {
            reading.seen.insert(sale, end.map_or(Seen::Before(0), Seen::UpTo));
        }
        let full = found.iter().filter(|(_, entries)| entries.len() == count);
        let read_to = full.filter_map(|(sale, entries)| Some((sale, entries.last()?.0)));
        let horizon = read_to.filter(|(sale, last)| *last < reading.end_of(sale)).map(|(_, last)| last).min();
        let mut entries: Vec<_> = reading
            .seen
            .iter()
            .filter_map(|(sale, seen)| Some((sale.clone(), *seen, found.remove(sale)?)))
            .flat_map(|(sale, seen, entries)| {
                let end = reading.end_of(&sale);
                let is_new = move |position: &Position| seen != Seen::UpTo(*position) && *position <= end;
                entries.into_iter().map(move |(position, fields)| (position, sale.clone(), fields)).filter(
                    move |(position, ..)| is_new(position) && horizon.is_none_or(|horizon| *position <= horizon),
                )
            })
            .collect();
        entries.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        reading.has_more = horizon.is_some();
        for (position, sale, fields) in entries {
            if query.until_ms.is_some_and(|until| position.ms() >= until) {
                reading.has_more = false;
                return Ok(false);
            }
            if reading.events.len() == query.limit {
                reading.has_more = true;
                return Ok(false);
            }
            reading.see(&sale, position);
            let fields = Reply::read(fields)?.fields()?;
            if is_copy(&sale, &fields) {
                continue;
            }
            let kind = record::event::kind(fields.text("type")?)?;
            if query.kinds.is_empty() || query.kinds.contains(&kind) {
                reading.events.push(self.event(&sale, position, &fields)?);
            }
        }
        Ok(reading.has_more && reading.events.len() < query.limit && reading.examined < EXAMINED_MAX)
    }

    /// Names the sales that were read from a time on, and whose logs do not reach back to it any more.
    async fn find_trimmed(&self, reading: &mut Reading, since_ms: u64) -> Result<(), Failure> {
        let begun = std::mem::take(&mut reading.begun);
        let look = async |sale: SaleId| {
            let info = self.runner.plain(redis::cmd("XINFO").arg("STREAM").arg(SaleKeys(&sale).events())).await?;
            Ok::<_, Failure>(is_trimmed(info, since_ms)?.then_some(sale))
        };
        let trimmed: Vec<_> = stream::iter(begun).map(look).buffered(CALLS_AT_ONCE).try_collect().await?;
        reading.missing.extend(trimmed.into_iter().flatten());
        Ok(())
    }

    pub(super) fn event(&self, sale: &SaleId, position: Position, fields: &Fields) -> Result<Event, Failure> {
        let at_ms = fields.int("at")?;
        let kind = record::event::kind(fields.text("type")?)?;
        let (about, before) = (self.about(sale, at_ms, fields)?, record::event::before(sale, at_ms, fields)?);
        let (act, gives_sku) = (record::event::act(fields)?, fields.get("sku").is_some());
        Ok(Event { sale: sale.clone(), position, kind, at_ms, about, before, gives_sku, act })
    }

    fn about(&self, sale: &SaleId, at_ms: i64, fields: &Fields) -> Result<About, Failure> {
        if fields.get("repair").is_some() {
            return Ok(About::Repair(self.read_repair(sale, fields)?));
        }
        if let Some(key) = fields.get("review") {
            return Ok(About::Review(record::review::review(self.ids(), sale, key, fields.text("record")?)?));
        }
        if fields.get("terms").is_some() {
            return Ok(About::Sale(record::sale::from_fields(sale, fields)?));
        }
        if fields.get("product").is_some() {
            return Ok(About::Product(record::product::from_event(sale, at_ms, fields)?));
        }
        let hold = self.ids().hold(sale, fields.text("order")?);
        Ok(About::Order(record::order::order(self.ids(), &hold, at_ms, fields.text("record")?)?))
    }
}

/// A page while it is read.
struct Reading {
    seen: BTreeMap<SaleId, Seen>,
    /// Up to where it reads. `None`: all that is there.
    ends: Option<Rc<Ends>>,
    events: Vec<Event>,
    examined: usize,
    has_more: bool,
    /// The instant of the last event that was looked at.
    last_ms: u64,
    /// Sales of which the first event was read that came since the time of the cursor.
    begun: BTreeSet<SaleId>,
    missing: BTreeSet<SaleId>,
}

impl Reading {
    fn new(sales: Vec<SaleId>, start: &EventCursor, ends: Option<Rc<Ends>>) -> Self {
        let seen = sales.into_iter().map(|sale| (sale.clone(), start.seen(&sale))).collect();
        let (begun, missing) = (BTreeSet::new(), BTreeSet::new());
        Self { seen, ends, events: Vec::new(), examined: 0, has_more: false, last_ms: 0, begun, missing }
    }

    fn end_of(&self, sale: &SaleId) -> Position {
        let Some(ends) = &self.ends else { return Position::MAX };
        ends.get(sale).copied().flatten().unwrap_or_default()
    }

    /// The logs that may have more: a log that ends where its reader is needs no look.
    fn wanted(&self) -> BTreeMap<SaleId, Seen> {
        let Some(ends) = &self.ends else { return self.seen.clone() };
        let is_wanted = |sale: &SaleId, seen: &Seen| !seen.against(ends.get(sale).copied().flatten()).is_eq();
        let wanted = self.seen.iter().filter(|(sale, seen)| is_wanted(sale, seen));
        wanted.map(|(sale, seen)| (sale.clone(), *seen)).collect()
    }

    /// Logs were read from the last event that was seen. Where it is not there any more, events behind it may be gone too.
    /// Returns the logs that end before it: a server that failed has lost their ends.
    fn check_seen(&mut self, read: &BTreeMap<SaleId, Seen>, found: &HashMap<SaleId, Vec<Entry>>) -> Vec<SaleId> {
        let mut lost = Vec::new();
        for (sale, seen) in read {
            let Seen::UpTo(position) = seen else { continue };
            let first = found.get(sale).and_then(|entries| entries.first());
            if first.is_none_or(|(first, _)| first != position) {
                self.missing.insert(sale.clone());
            }
            if first.is_none() {
                lost.push(sale.clone());
            }
        }
        lost
    }

    fn see(&mut self, sale: &SaleId, position: Position) {
        self.examined += 1;
        self.last_ms = position.ms();
        if let Some(Seen::Before(_)) = self.seen.insert(sale.clone(), Seen::UpTo(position)) {
            self.begun.insert(sale.clone());
        }
    }

    fn into_page(self, query: &EventQuery, start: &EventCursor, now_ms: u64) -> EventPage {
        // Where nothing more was looked at because of its time, everything before that time was.
        let more_from = match query.until_ms {
            Some(until_ms) => Some(until_ms.min(if self.has_more { self.last_ms } else { u64::MAX })),
            None => self.has_more.then_some(self.last_ms),
        };
        let next = cursor(query, self.seen, start.since_ms(), now_ms, more_from);
        let missing: BTreeSet<_> = self.missing.iter().map(SaleId::whole).collect();
        let missing = missing.into_iter().collect();
        EventPage { events: self.events, next, has_more: self.has_more, missing }
    }
}

/// The cursor of a reader of one sale, or of all.
fn cursor(
    query: &EventQuery,
    seen: impl IntoIterator<Item = (SaleId, Seen)>,
    since_ms: u64,
    now_ms: u64,
    more_from: Option<u64>,
) -> EventCursor {
    let mut seen: Vec<_> = seen.into_iter().collect();
    match query.sale.as_ref().filter(|_| seen.len() == 1).and_then(|_| seen.pop()) {
        // A sale whose log is empty, or has lost its end, is read on from where it was.
        Some((_, Seen::Before(ms))) => EventCursor::since(ms.max(since_ms)),
        Some((sale, seen)) => EventCursor::of_sale(sale, seen),
        None => EventCursor::of_sales(seen, since_ms, now_ms, more_from),
    }
}

/// Whether an event of a shard only says what the event of the whole sale says: its terms, or a product of it.
pub(super) fn is_copy(shard: &SaleId, fields: &Fields) -> bool {
    let is_of_terms = fields.get("terms").is_some() || fields.get("product").is_some();
    shard.is_shard() && is_of_terms && fields.get("repair").is_none()
}

pub(super) async fn redis_now_ms(runner: &Runner) -> Result<u64, Failure> {
    let mut time = Reply::read(runner.plain(&redis::cmd("TIME")).await?)?;
    Ok(time.count()? * 1_000 + time.count()? / 1_000)
}

/// At most `count` entries of each log: behind what was seen, and with the last event that was seen in front.
pub(super) async fn read_logs(
    runner: &Runner,
    logs: &BTreeMap<SaleId, Seen>,
    count: usize,
) -> Result<HashMap<SaleId, Vec<Entry>>, Failure> {
    let all: Vec<_> = logs.iter().map(|(sale, seen)| (SaleKeys(sale).events(), sale, seen)).collect();
    let at_once = if runner.spans_sales() { LOGS_MAX } else { 1 };
    let reads = all.chunks(at_once).map(async |some| {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(count).arg("STREAMS");
        some.iter().for_each(|(key, ..)| _ = read.arg(key));
        for (.., seen) in some {
            let end = match seen {
                Seen::UpTo(position) => position.before(),
                Seen::Before(_) => seen.end(),
            };
            read.arg(end.to_string());
        }
        pairs(runner.plain(&read).await?)
    });
    let found: Vec<_> = stream::iter(reads).buffered(CALLS_AT_ONCE).try_collect().await?;
    let sales: HashMap<_, _> = all.iter().map(|(key, sale, _)| (key.as_str(), *sale)).collect();
    let mut logs = HashMap::new();
    for (key, entries) in found.into_iter().flatten() {
        let key = Reply::one(key).text()?;
        let sale = sales.get(key.as_str()).ok_or_else(|| Failure::unreadable("a log that nobody asked for"))?;
        logs.insert((*sale).clone(), self::entries(entries)?);
    }
    Ok(logs)
}

pub(super) async fn ends_of(runner: &Runner, sales: Vec<SaleId>) -> Result<Ends, Failure> {
    let look = async |sale: SaleId| {
        let mut last = redis::cmd("XREVRANGE");
        last.arg(SaleKeys(&sale).events()).arg("+").arg("-").arg("COUNT").arg(1);
        let entries = entries(runner.plain(&last).await?)?;
        Ok((sale, entries.first().map(|(position, _)| *position)))
    };
    stream::iter(sales).map(look).buffered(CALLS_AT_ONCE).try_collect().await
}

/// Keys and values of a reply, in either version of the protocol.
fn pairs(value: Value) -> Result<Vec<(Value, Value)>, Failure> {
    let unreadable = || Failure::unreadable("the reply of XREAD");
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::Map(pairs) => Ok(pairs),
        Value::Array(pairs) => pairs
            .into_iter()
            .map(|pair| match pair {
                Value::Array(pair) => <[Value; 2]>::try_from(pair).map_err(|_| unreadable()),
                _ => Err(unreadable()),
            })
            .map(|pair| pair.map(|[key, value]| (key, value)))
            .collect(),
        _ => Err(unreadable()),
    }
}

pub(super) fn entries(value: Value) -> Result<Vec<Entry>, Failure> {
    let unreadable = || Failure::unreadable("an entry of a log");
    let Value::Array(entries) = value else { return Err(unreadable()) };
    let entry = |entry: Value| {
        let Value::Array(entry) = entry else { return Err(unreadable()) };
        let [id, fields] = <[Value; 2]>::try_from(entry).map_err(|_| unreadable())?;
        Ok((Position::parse(&Reply::one(id).text()?).ok_or_else(unreadable)?, fields))
    };
    entries.into_iter().map(entry).collect()
}

/// Whether the log has dropped events, and its first one came after this time: then those between may be gone.
fn is_trimmed(info: Value, since_ms: u64) -> Result<bool, Failure> {
    let (mut length, mut added, mut first) = (0, 0, None);
    let mut info = Reply::of_pairs(info)?;
    while !info.is_empty() {
        match info.text()?.as_str() {
            "length" => length = info.count()?,
            "entries-added" => added = info.count()?,
            "recorded-first-entry-id" => first = Position::parse(&info.text()?),
            _ => info.skip(),
        }
    }
    Ok(added > length && first.is_none_or(|first| first.ms() >= since_ms))
}
