//! `list_events`: the event log of one sale, or of all sales merged by time. The events of a sale keep the order of its log.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Failure, Op, Reply, ScriptCall, Store, keys::SaleKeys, record, reply::Fields, unknown_word};
use crate::domain::{
    event::{About, Event, EventCursor, Position},
    ids::SaleId,
    outcome::ListEventsOutcome,
};

/// Logs that are read at the same time.
const CALLS_AT_ONCE: usize = 16;

/// A page of one sale's log.
enum Page {
    Events(Vec<Event>),
    Trimmed(SaleId),
}

impl Store {
    /// At most `limit` events after those that the cursor has seen.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list_events(
        &self,
        sale: Option<&SaleId>,
        seen: &EventCursor,
        limit: usize,
    ) -> Result<ListEventsOutcome, Failure> {
        let Some(sales) = self.sales(sale).await? else { return Ok(ListEventsOutcome::SaleNotFound) };
        if sales.len() > EventCursor::SALES_MAX {
            return Ok(ListEventsOutcome::TooManySales { sales: sales.len() });
        }
        let calls = sales.iter().map(|sale| self.events_of(sale, seen.seen(sale), limit));
        let pages: Vec<Page> = stream::iter(calls).buffered(CALLS_AT_ONCE).try_collect().await?;
        let mut events = Vec::new();
        for page in pages {
            match page {
                Page::Events(found) => events.extend(found),
                Page::Trimmed(sale) => return Ok(ListEventsOutcome::Trimmed { sale }),
            }
        }
        events.sort_by_key(|event: &Event| event.position);
        events.truncate(limit);
        Ok(ListEventsOutcome::Events(self.with_skus(events).await?))
    }

    async fn events_of(&self, sale: &SaleId, after: Position, limit: usize) -> Result<Page, Failure> {
        let call = ScriptCall::of(Op::ListEvents).key(SaleKeys(sale).events()).arg(after.to_string());
        let (word, mut reply) = self.runner.call(call.number(limit as u64)).await?;
        match word.as_str() {
            "trimmed" => return Ok(Page::Trimmed(sale.clone())),
            "events" => {}
            word => return Err(unknown_word(Op::ListEvents, word)),
        }
        let mut events = Vec::new();
        while !reply.is_empty() {
            events.push(self.read_event(sale, &mut reply)?);
        }
        Ok(Page::Events(events))
    }

    fn read_event(&self, sale: &SaleId, reply: &mut Reply) -> Result<Event, Failure> {
        let position = Position::parse(&reply.text()?).ok_or_else(|| Failure::unreadable("the id of an event"))?;
        let fields = reply.list()?.fields()?;
        let at_ms = fields.int("at")?;
        let about = self.read_about(sale, at_ms, &fields)?;
        Ok(Event { sale: sale.clone(), position, kind: record::event::kind(fields.text("type")?)?, at_ms, about })
    }

    fn read_about(&self, sale: &SaleId, at_ms: i64, fields: &Fields) -> Result<About, Failure> {
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
        let record = Fields::from_lines(fields.text("record")?)?;
        Ok(About::Order(record::order::order(self.ids(), &hold, at_ms, &record)?))
    }
}
