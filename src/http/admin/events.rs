//! GET /api/admin/events: the log, page by page in either direction, and what comes next to those who wait for it.

use std::{
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Data};
use tokio::time::sleep;

use super::{Parameters, authorize, reversed};
use crate::{
    domain::{
        event::{EarlierQuery, Event, EventEnd, EventKind, EventPage, EventQuery, EventStart},
        event_cursor::EventCursor,
        ids::SaleId,
        outcome::{ListEarlierOutcome, ListEventsOutcome},
    },
    http::{
        HttpContext, answer,
        edge::{Hangup, gone},
        extract::{FromHttp, Parsed},
        problem::{Code, FieldError, Problem},
        refusals,
    },
    store::Store,
    wire::{
        event::{EventBody, EventPageBody, type_word},
        time,
    },
};

const LIMIT_MAX: usize = 1_000;
const WAIT_SECONDS_MAX: u64 = 30;
/// The clock of Redis, which says when an event was, may be so far behind the one of this machine.
const CLOCKS_APART: Duration = Duration::from_secs(2);

pub(in crate::http) async fn list(
    store: Data<Store>,
    context: Data<HttpContext>,
    Parsed(request): Parsed<ListRequest>,
) -> Result<HttpResponse, Problem> {
    let (query, wait, hangup) = match request {
        ListRequest::Later(query, wait, hangup) => (query, wait, hangup),
        ListRequest::Earlier(query) => return earlier(&store, &query).await,
    };
    let found = if wait.is_zero() || context.draining.has_begun() {
        store.share_events(&query).await?
    } else {
        let is_over = async {
            tokio::select! {
                () = sleep(wait) => (),
                () = context.draining.begun() => (),
                () = gone(hangup.as_deref()) => (),
            }
        };
        store.wait_for_events(query, is_over).await?
    };
    match &*found {
        ListEventsOutcome::Page(page) => Ok(answered(&store, page)),
        ListEventsOutcome::SaleNotFound => Err(refusals::sale_not_found()),
        ListEventsOutcome::ClockSteppedBack => Err(clock_stepped_back()),
    }
}

/// The log backwards. Nobody waits for what happened.
async fn earlier(store: &Store, query: &EarlierQuery) -> Result<HttpResponse, Problem> {
    match store.list_earlier_events(query).await? {
        ListEarlierOutcome::Events(found) => {
            let (data, next_cursor) = (bodies(store, &found.events), found.next.to_string());
            let body = EventPageBody { data, next_cursor, more: found.has_more, missing: Vec::new() };
            Ok(answer::fresh_json(StatusCode::OK, &body))
        }
        ListEarlierOutcome::SaleNotFound => Err(refusals::sale_not_found()),
    }
}

fn bodies<'a>(store: &Store, events: &'a [Event]) -> Vec<EventBody<'a>> {
    events.iter().map(|event| EventBody::of(event, |hold| store.ids().order_of(hold))).collect()
}

fn answered(store: &Store, page: &EventPage) -> HttpResponse {
    let body = EventPageBody {
        data: bodies(store, &page.events),
        next_cursor: page.next.to_string(),
        more: page.has_more,
        missing: page.missing.iter().map(ToString::to_string).collect(),
    };
    answer::fresh_json(StatusCode::OK, &body)
}

pub(in crate::http) enum ListRequest {
    /// What happened behind a place, how long to wait for it (zero: the answer comes at once), and who waits.
    Later(EventQuery, Duration, Option<Rc<Hangup>>),
    Earlier(EarlierQuery),
}

impl FromHttp for ListRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let known = ["sale", "types", "after", "before", "since", "until", "limit", "wait"];
        let mut parameters = Parameters::of(&request, &known);
        let sale = parameters.sale();
        let kinds = parameters.read("types", &types_rule(), read_kinds).unwrap_or_default();
        let limit = parameters.limit_to(LIMIT_MAX);
        if let Some(end) = parameters.read("before", "latest, or the id of an event", EventEnd::parse) {
            let others = ["after", "since", "until", "wait"].into_iter().filter(|name| parameters.has(name));
            let conflicts: Vec<_> = others.map(|name| conflict(name, BACKWARDS)).collect();
            parameters.errors.extend(conflicts);
            return parameters.finish(Self::Earlier(EarlierQuery { sale, end, kinds, limit }));
        }
        let start = read_start(&mut parameters, sale.as_ref());
        let until_ms = parameters.read("until", INSTANT, read_instant);
        if let (EventStart::Since(since_ms), Some(until_ms)) = (&start, until_ms)
            && *since_ms > until_ms
        {
            parameters.errors.push(reversed());
        }
        let wait = parameters.read("wait", "a whole number of seconds from 0 to 30", |text| {
            text.parse().ok().filter(|seconds| *seconds <= WAIT_SECONDS_MAX)
        });
        let wait = Duration::from_secs(wait.unwrap_or(0)).min(until_ms.map_or(Duration::MAX, left_before));
        parameters.finish(Self::Later(EventQuery { sale, start, until_ms, kinds, limit }, wait, Hangup::of(&request)))
    }
}

/// How long an event may still come that is not later than this.
fn left_before(until_ms: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (Duration::from_millis(until_ms) + CLOCKS_APART).saturating_sub(now)
}

fn conflict(name: &str, detail: &'static str) -> FieldError {
    FieldError { pointer: format!("/{name}"), code: "conflict", detail: detail.into() }
}

const BACKWARDS: &str = "before reads backwards, and knows only sale, types and limit";
const INSTANT: &str = "an RFC 3339 time such as 2026-11-27T09:00:00Z, or epoch milliseconds";

fn read_instant(text: &str) -> Option<u64> {
    time::parse_or_epoch_ms(text).and_then(|ms| u64::try_from(ms).ok())
}

fn read_start(parameters: &mut Parameters, sale: Option<&SaleId>) -> EventStart {
    let after =
        parameters.read("after", "the next_cursor of a page, the id of an event of ?sale=, or latest", |text| {
            if text == "latest" {
                return Some(EventStart::Latest);
            }
            // The id of an event says nothing of other sales, which would come again from their beginning.
            let cursor = EventCursor::parse(text).filter(|cursor| sale.is_some() || !cursor.is_of_one_sale())?;
            Some(EventStart::After(sale.map_or_else(|| cursor.clone(), |sale| cursor.within(sale))))
        });
    let since = parameters.read("since", INSTANT, read_instant);
    match (after, since) {
        (Some(_), Some(_)) => {
            parameters.errors.push(conflict("since", "send after, or since, one of them"));
            EventStart::Latest
        }
        (Some(start), None) => start,
        (None, since) => EventStart::Since(since.unwrap_or(0)),
    }
}

/// `order.paid`, `order.*` or `*`, several of them with commas between.
fn read_kinds(text: &str) -> Option<Vec<EventKind>> {
    let mut kinds = Vec::new();
    for pattern in text.split(',').map(str::trim) {
        let fits = |kind: &EventKind| match pattern.strip_suffix('*') {
            Some(start) => (start.is_empty() || start.ends_with('.')) && type_word(*kind).starts_with(start),
            None => type_word(*kind) == pattern,
        };
        let found = kinds.len();
        kinds.extend(EventKind::ALL.iter().copied().filter(fits));
        if kinds.len() == found {
            return None;
        }
    }
    Some(kinds)
}

fn types_rule() -> String {
    let words: Vec<_> = EventKind::ALL.iter().map(|kind| type_word(*kind)).collect();
    format!("one or more, with commas between, of {}; order.* is all of its kind", words.join(", "))
}

fn clock_stepped_back() -> Problem {
    let detail = "the clock of Redis is behind this cursor, so it cannot say which events are new: read the orders as they \
                  stand, and go on with after=latest";
    Problem::new(Code::CursorExpired, detail)
}
