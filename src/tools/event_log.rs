//! The log of events, page by page. A log that leads back, or gives an event out of its order, ends the walk with an error.

use std::collections::HashMap;

use serde_json::Value;

use super::client::{
    CallPath,
    api::{ApiCall, ApiClient, CallError},
    walk::Cursors,
};
use crate::{
    domain::{event::Position, event_cursor::EventCursor, ids::SaleId},
    wire::event::EventPageBody,
};

const EVENTS: &str = "/api/admin/events";
/// Events of a page.
const PAGE: usize = 500;

/// Which events are read.
#[derive(Clone, Debug, Default)]
pub struct EventChoice {
    pub sale: Option<String>,
    /// Types with commas between, as the interface has them.
    pub types: Option<String>,
}

/// Where a walk begins.
pub enum Start {
    /// At the first event of this time, as the interface has times.
    Since(String),
    /// Behind the last event.
    Latest,
}

impl Start {
    /// At the first event that the log has.
    pub fn first() -> Self {
        Self::Since("0".to_owned())
    }
}

/// A walk through the log.
pub struct LogWalk {
    path: CallPath,
    start: Start,
    /// `None`: at the start.
    after: Option<String>,
    /// Since the last page that had no more behind it.
    cursors: Cursors,
    /// The last event of each shard of a sale.
    last: HashMap<SaleId, Position>,
}

impl LogWalk {
    pub fn new(choice: &EventChoice, start: Start) -> Self {
        let path = CallPath::of(EVENTS).with("limit", PAGE);
        let path = path.maybe("sale", choice.sale.as_ref()).maybe("types", choice.types.as_ref());
        Self { path, start, after: None, cursors: Cursors::default(), last: HashMap::new() }
    }

    /// Goes on behind the last event, whatever was not read.
    pub fn skip_to_latest(&mut self) {
        (self.start, self.after) = (Start::Latest, None);
        (self.cursors, self.last) = (Cursors::default(), HashMap::new());
    }

    /// The next page. An empty one comes after so many seconds in which nothing happened. After an error the same page is asked for
    /// again.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn next(&mut self, client: &mut ApiClient, wait_seconds: u64) -> Result<EventPageBody<Value>, CallError> {
        let path = match (&self.after, &self.start) {
            (Some(after), _) => self.path.clone().with("after", after),
            (None, Start::Since(time)) => self.path.clone().with("since", time),
            (None, Start::Latest) => self.path.clone().with("after", "latest"),
        };
        let path = path.maybe("wait", (wait_seconds > 0).then_some(wait_seconds));
        let page: EventPageBody<Value> = client.send(ApiCall::get(path)).await?.json()?;
        self.note(&page)?;
        self.after = Some(page.next_cursor.clone());
        Ok(page)
    }

    fn note(&mut self, page: &EventPageBody<Value>) -> Result<(), CallError> {
        let mut last = self.last.clone();
        for event in &page.data {
            let sale = event["sale"].as_str().and_then(SaleId::parse).ok_or(CallError::Unreadable)?;
            let cursor = event["id"].as_str().and_then(EventCursor::parse);
            let (shard, position) =
                cursor.as_ref().and_then(|cursor| cursor.event_of(&sale)).ok_or(CallError::Unreadable)?;
            let before = last.insert(shard.clone(), position);
            if before.is_some_and(|before| before >= position) {
                return Err(CallError::Backwards { event: event["id"].as_str().unwrap_or_default().to_owned() });
            }
        }
        self.last = last;
        if page.more {
            return self.cursors.note(&page.next_cursor);
        }
        // A log that is read to its end gives the same cursor until something happens.
        self.cursors = Cursors::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(ids: &[&str], next_cursor: &str, more: bool) -> EventPageBody<Value> {
        let data = ids.iter().map(|id| json!({"id": id, "sale": id.split([':', '_']).next()})).collect();
        EventPageBody { data, next_cursor: next_cursor.to_owned(), more, missing: Vec::new() }
    }

    #[test]
    fn a_log_that_leads_back_is_no_log() {
        let walk = || LogWalk::new(&EventChoice::default(), Start::first());
        let mut sound = walk();
        assert!(sound.note(&page(&["a:7-0", "b:3-0", "a:7-1"], "7~a:7-1", true)).is_ok());
        assert!(sound.note(&page(&["a_2:1-0", "a:8-0", "a_2:2-0"], "9", false)).is_ok(), "shards have an order each");
        assert!(sound.note(&page(&["b:3-1"], "8", false)).is_ok() && sound.note(&page(&[], "8", false)).is_ok());
        let mut backwards = walk();
        assert!(backwards.note(&page(&["a:7-1"], "7", true)).is_ok());
        let error = backwards.note(&page(&["b:9-0", "a:7-1"], "8", true)).unwrap_err();
        assert!(matches!(&error, CallError::Backwards { event } if event == "a:7-1"), "{error}");
        let mut circular = walk();
        assert!(circular.note(&page(&[], "7", true)).is_ok());
        assert!(matches!(circular.note(&page(&[], "7", true)), Err(CallError::Circular { .. })));
    }
}
