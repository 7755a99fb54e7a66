//! GET /api/admin/events: the log, page by page, and what comes next to those who wait for it.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Data};
use tokio::time::sleep;

use super::{Parameters, authorize, reversed};
use crate::{
    domain::{
        event::{EventKind, EventPage, EventQuery, EventStart},
        event_cursor::EventCursor,
        ids::SaleId,
        outcome::ListEventsOutcome,
    },
    http::{
        HttpContext, answer,
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

pub(in crate::http) async fn list(
    store: Data<Store>,
    context: Data<HttpContext>,
    Parsed(ListRequest { query, wait }): Parsed<ListRequest>,
) -> Result<HttpResponse, Problem> {
    let found = if wait.is_zero() || context.draining.has_begun() {
        store.share_events(&query).await?
    } else {
        let is_over = async {
            tokio::select! {
                () = sleep(wait) => (),
                () = context.draining.begun() => (),
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

fn answered(store: &Store, page: &EventPage) -> HttpResponse {
    let body = EventPageBody {
        data: page.events.iter().map(|event| EventBody::of(event, |hold| store.ids().order_of(hold))).collect(),
        next_cursor: page.next.to_string(),
        more: page.has_more,
        missing: page.missing.iter().map(ToString::to_string).collect(),
    };
    answer::fresh_json(StatusCode::OK, &body)
}

pub(in crate::http) struct ListRequest {
    query: EventQuery,
    /// Zero: the answer comes at once.
    wait: Duration,
}

impl FromHttp for ListRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let known = ["sale", "types", "after", "since", "until", "limit", "wait"];
        let mut parameters = Parameters::of(&request, &known);
        let sale = parameters.sale();
        let start = read_start(&mut parameters, sale.as_ref());
        let kinds = parameters.read("types", &types_rule(), read_kinds).unwrap_or_default();
        let until_ms = parameters.read("until", INSTANT, read_instant);
        if let (EventStart::Since(since_ms), Some(until_ms)) = (&start, until_ms)
            && *since_ms > until_ms
        {
            parameters.errors.push(reversed());
        }
        let limit = parameters.limit_to(LIMIT_MAX);
        let wait = parameters.read("wait", "a whole number of seconds from 0 to 30", |text| {
            text.parse().ok().filter(|seconds| *seconds <= WAIT_SECONDS_MAX)
        });
        let wait = Duration::from_secs(wait.unwrap_or(0));
        parameters.finish(Self { query: EventQuery { sale, start, until_ms, kinds, limit }, wait })
    }
}

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
            let detail = "send after, or since, one of them".into();
            parameters.errors.push(FieldError { pointer: "/since".to_owned(), code: "conflict", detail });
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
