//! The event logs from the newest event backwards, merged by time. What happened does not change, so a place between two events is
//! all that a reader needs to go on: the id of the event that it has seen last.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    Failure, Reply, Runner, Store,
    events::{CALLS_AT_ONCE, ENTRIES_MIN, EXAMINED_MAX, Entry, entries, is_copy},
    keys::SaleKeys,
    record,
};
use crate::domain::{
    event::{EarlierEvents, EarlierQuery, EventEnd, Position},
    ids::SaleId,
    outcome::ListEarlierOutcome,
};

/// What was read of a log, newest first.
struct Log {
    entries: VecDeque<Entry>,
    /// Whether the log may have earlier ones.
    has_more: bool,
}

impl Store {
    /// The events in front of a place, newest first.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list_earlier_events(&self, query: &EarlierQuery) -> Result<ListEarlierOutcome, Failure> {
        let Some(sales) = self.sales(query.sale.as_ref()).await? else { return Ok(ListEarlierOutcome::SaleNotFound) };
        let mut logs = self.ends_before(sales, query).await?;
        // Events of one millisecond have an order too, that of their numbers and sales.
        let mut newest: BinaryHeap<(Position, SaleId)> =
            logs.iter().filter_map(|(sale, log)| Some((log.entries.front()?.0, sale.clone()))).collect();
        let (mut events, mut next, mut examined) = (Vec::new(), query.end.clone(), 0);
        while events.len() < query.limit && examined < EXAMINED_MAX {
            let Some((position, sale)) = newest.pop() else { break };
            let Some(log) = logs.get_mut(&sale) else { break };
            let Some((_, fields)) = log.entries.pop_front() else { break };
            if log.entries.is_empty() && log.has_more {
                *log = read_back(&self.runner, &sale, &format!("({position}"), query.limit.max(ENTRIES_MIN)).await?;
            }
            newest.extend(log.entries.front().map(|(position, _)| (*position, sale.clone())));
            let fields = Reply::read(fields)?.fields()?;
            let kind = record::event::kind(fields.text("type")?)?;
            if !is_copy(&sale, &fields) && (query.kinds.is_empty() || query.kinds.contains(&kind)) {
                events.push(self.event(&sale, position, &fields)?);
            }
            (next, examined) = (EventEnd::Before(position, sale), examined + 1);
        }
        let events = self.with_skus(events).await?;
        Ok(ListEarlierOutcome::Events(EarlierEvents { events, next, has_more: !newest.is_empty() }))
    }

    /// Some entries of each log in front of the place.
    async fn ends_before(&self, sales: Vec<SaleId>, query: &EarlierQuery) -> Result<BTreeMap<SaleId, Log>, Failure> {
        let count = (2 * query.limit / sales.len().max(1)).clamp(ENTRIES_MIN, query.limit.max(ENTRIES_MIN));
        let look = async |sale: SaleId| {
            let end = match &query.end {
                EventEnd::Latest => "+".to_owned(),
                // That one and those of the same position in sales behind its own come after the place.
                EventEnd::Before(position, before) if sale < *before => position.to_string(),
                EventEnd::Before(position, _) => format!("({position}"),
            };
            let log = read_back(&self.runner, &sale, &end, count).await?;
            Ok((sale, log))
        };
        stream::iter(sales).map(look).buffered(CALLS_AT_ONCE).try_collect().await
    }
}

/// At most `count` entries up to `end`.
async fn read_back(runner: &Runner, sale: &SaleId, end: &str, count: usize) -> Result<Log, Failure> {
    let mut read = redis::cmd("XREVRANGE");
    read.arg(SaleKeys(sale).events()).arg(end).arg("-").arg("COUNT").arg(count);
    let entries = VecDeque::from(entries(runner.plain(&read).await?)?);
    Ok(Log { has_more: entries.len() == count, entries })
}
