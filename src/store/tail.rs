//! Readers that wait for events. One task looks where the logs of all sales end, for all who wait at a worker and as long as any
//! does. It holds no connection. A reader that has read up to these ends reads nothing; the others read up to them, and no
//! further, so that they have the same cursor afterwards, and share the next page.

use std::{
    cell::{Cell, RefCell},
    cmp::Ordering,
    collections::HashMap,
    future::Future,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::spawn_local};

use super::{
    Failure, Runner, Store,
    directory::all_sales,
    events::{Ends, ends_of, read_logs, redis_now_ms},
};
use crate::domain::{
    event::{EventPage, EventQuery, EventStart},
    event_cursor::{EventCursor, Seen},
    ids::SaleId,
    outcome::ListEventsOutcome,
};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Readers that may wait at one worker.
const WAITING_MAX: usize = 256;
/// Entries of each log that a look reads. Where there are more, it asks for the last one.
const ENTRIES: usize = 16;
/// Pages that are kept for those who come between two looks.
const PAGES_MAX: usize = 16;

impl Store {
    /// The next page with events, or with a log that has lost some. When the wait is over, the page is empty. A page has what
    /// happened up to a look, so it comes up to 200 ms late. What happened since the reader's cursor is never missed.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Overloaded`] when too many wait.
    pub async fn wait_for_events(
        self: &Arc<Self>,
        mut query: EventQuery,
        is_over: impl Future<Output = ()>,
    ) -> Result<Rc<ListEventsOutcome>, Failure> {
        let mut waiting = Waits::enter(&self.waits)?;
        let (mut is_over, mut last) = (pin!(is_over), None);
        loop {
            let found = match &query.start {
                EventStart::After(cursor) => tokio::select! {
                    biased;
                    () = &mut is_over => break,
                    look = waiting.next_look(&query, cursor) => match look {
                        Some(look) => self.share_events_of(&look, &query, cursor).await?,
                        None => self.share_events(&query).await?,
                    },
                },
                EventStart::Latest | EventStart::Since(_) => self.share_events(&query).await?,
            };
            let ListEventsOutcome::Page(page) = &*found else { return Ok(found) };
            if !page.events.is_empty() || !page.missing.is_empty() {
                return Ok(found);
            }
            waiting.has_read(page);
            query.start = EventStart::After(page.next.clone());
            last = Some(found);
        }
        match (last, query.start) {
            (Some(empty), _) => Ok(empty),
            (None, EventStart::After(next)) if waiting.was_looked_for() => {
                let page = EventPage { events: Vec::new(), next, has_more: false, missing: Vec::new() };
                Ok(Rc::new(ListEventsOutcome::Page(Rc::new(page))))
            }
            (None, start) => self.share_events(&EventQuery { start, ..query }).await,
        }
    }
}

/// What a look found, until another one finds something else.
pub(super) struct Look {
    pub number: u64,
    /// Redis' clock before the look.
    pub now_ms: u64,
    pub ends: Rc<Ends>,
    pages: RefCell<HashMap<EventQuery, Rc<ListEventsOutcome>>>,
}

impl Look {
    fn new(number: u64, now_ms: u64, ends: Ends) -> Rc<Self> {
        Rc::new(Self { number, now_ms, ends: Rc::new(ends), pages: RefCell::default() })
    }

    pub fn page(&self, query: &EventQuery) -> Option<Rc<ListEventsOutcome>> {
        self.pages.borrow().get(query).cloned()
    }

    /// Keeps a page that reaches the ends, for readers that did not wait when the look found something.
    pub fn keep(&self, query: &EventQuery, found: &Rc<ListEventsOutcome>) {
        let mut pages = self.pages.borrow_mut();
        if pages.len() < PAGES_MAX && matches!(&**found, ListEventsOutcome::Page(page) if !page.has_more) {
            pages.insert(query.clone(), Rc::clone(found));
        }
    }
}

/// Those who wait at a worker.
pub(super) struct Waits {
    runner: Rc<Runner>,
    waiting: Cell<usize>,
    is_looking: Cell<bool>,
    /// Looks that have begun.
    begun: Cell<u64>,
    looked: watch::Sender<Looked>,
}

#[derive(Clone)]
struct Looked {
    /// The number of the look that ended last.
    number: u64,
    state: State,
    /// The last one that found something. It outlives those who waited, so that the next look needs one command too.
    found: Rc<Look>,
}

#[derive(Clone, Copy)]
enum State {
    /// None has ended since somebody began to wait.
    NotYet,
    Failed,
    /// Redis' clock before the look.
    Done {
        now_ms: u64,
    },
}

impl Waits {
    pub(super) fn new(runner: Rc<Runner>) -> Rc<Self> {
        let looked = Looked { number: 0, state: State::NotYet, found: Look::new(0, 0, Ends::new()) };
        Rc::new(Self {
            runner,
            waiting: Cell::default(),
            is_looking: Cell::default(),
            begun: Cell::default(),
            looked: watch::Sender::new(looked),
        })
    }

    fn enter(this: &Rc<Self>) -> Result<Waiting, Failure> {
        let waiting = this.waiting.get();
        if waiting >= WAITING_MAX {
            return Err(Failure::overloaded(format!("{waiting} readers wait for events already")));
        }
        this.waiting.set(waiting + 1);
        let (entered, looked) = (this.begun.get(), this.looked.subscribe());
        let entered = Waiting { waits: Rc::clone(this), entered, looked, judged: None, may_have_more: true };
        if !this.is_looking.replace(true) {
            spawn_local(Looking(Rc::clone(this)).look());
        }
        Ok(entered)
    }

    async fn look(&self) {
        let number = self.begun.get() + 1;
        self.begun.set(number);
        let known = Rc::clone(&self.looked.borrow().found.ends);
        let found = self.find_ends(&known).await;
        self.looked.send_modify(|looked| {
            looked.number = number;
            looked.state = State::Failed;
            // Where Redis is gone the readers find that out themselves.
            let Ok((now_ms, ends)) = found else { return };
            looked.state = State::Done { now_ms };
            if ends != *known {
                looked.found = Look::new(number, now_ms, ends);
            }
        });
    }

    /// Where all logs end, and Redis' clock before that. Each log is read from its last known event on. Where that one is not
    /// there any more, or is not known, or too much follows, the end is asked for.
    async fn find_ends(&self, known: &Ends) -> Result<(u64, Ends), Failure> {
        let now_ms = redis_now_ms(&self.runner).await?;
        let sales = all_sales(&self.runner).await?;
        let (old, mut unknown): (Vec<_>, Vec<_>) = sales.into_iter().partition(|sale| known.contains_key(sale));
        let logs = old.iter().map(|sale| (sale.clone(), known[sale].map_or(Seen::Before(0), Seen::UpTo))).collect();
        let found = read_logs(&self.runner, &logs, ENTRIES).await?;
        let mut ends = Ends::new();
        for sale in old {
            let entries = found.get(&sale).map_or(&[][..], Vec::as_slice);
            let is_lost = entries.is_empty() && known[&sale].is_some();
            if is_lost || entries.len() == ENTRIES {
                unknown.push(sale);
            } else {
                ends.insert(sale, entries.last().map(|(position, _)| *position));
            }
        }
        ends.extend(ends_of(&self.runner, unknown).await?);
        Ok((now_ms, ends))
    }
}

/// A reader that waits, until it is dropped.
struct Waiting {
    waits: Rc<Waits>,
    /// The looks that had begun before. What a later one does not find has gone.
    entered: u64,
    looked: watch::Receiver<Looked>,
    /// The look that was judged last, and whether it was a later one.
    judged: Option<(u64, bool)>,
    /// Whether there may be something to read already.
    may_have_more: bool,
}

impl Waiting {
    /// The next look that shows a reader with this cursor that it has something to read. `None`: no look can say, so the reader
    /// must see for itself.
    async fn next_look(&mut self, query: &EventQuery, cursor: &EventCursor) -> Option<Rc<Look>> {
        loop {
            if self.may_have_more {
                let looked = self.looked.borrow_and_update().clone();
                let is_later = looked.number > self.entered;
                match looked.state {
                    State::NotYet => (),
                    State::Failed => return None,
                    State::Done { now_ms } if cursor.since_ms() > now_ms => return None,
                    State::Done { .. } => {
                        let look = (looked.found.number, is_later);
                        if self.judged.replace(look) != Some(look) {
                            match has_news(&looked.found.ends, query, cursor, is_later) {
                                Some(false) => (),
                                Some(true) => return Some(looked.found),
                                None => return None,
                            }
                        }
                    }
                }
            }
            // The sender lives as long as this.
            let _changed = self.looked.changed().await;
            self.may_have_more = true;
        }
    }

    fn has_read(&mut self, page: &EventPage) {
        self.may_have_more = page.has_more;
        if page.has_more {
            self.judged = None;
        }
    }

    /// Whether a look that began after the reader entered has ended well.
    fn was_looked_for(&self) -> bool {
        let looked = self.looked.borrow();
        looked.number > self.entered && matches!(looked.state, State::Done { .. })
    }
}

/// Whether a log has more than this cursor. A look that is later than the cursor also shows that a log has lost its end: else the
/// cursor may have seen what came after the look. `None`: there was no such sale.
fn has_news(ends: &Ends, query: &EventQuery, cursor: &EventCursor, is_later: bool) -> Option<bool> {
    let is_due = |(sale, end): (&SaleId, &Option<_>)| match cursor.seen(sale).against(*end) {
        Ordering::Less => true,
        Ordering::Equal => false,
        Ordering::Greater => is_later,
    };
    let Some(sale) = &query.sale else { return Some(ends.iter().any(is_due)) };
    let mut shards = ends.iter().filter(|(shard, _)| shard.name() == sale.as_str()).peekable();
    shards.peek()?;
    Some(shards.any(is_due))
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waits.waiting.set(self.waits.waiting.get() - 1);
    }
}

/// The task that looks.
struct Looking(Rc<Waits>);

impl Looking {
    async fn look(self) {
        while self.0.waiting.get() > 0 {
            self.0.look().await;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// However it ends, the next reader starts another one.
impl Drop for Looking {
    fn drop(&mut self) {
        self.0.is_looking.set(false);
        self.0.looked.send_modify(|looked| looked.state = State::NotYet);
        self.0.looked.borrow().found.pages.borrow_mut().clear();
    }
}
