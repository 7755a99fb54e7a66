//! GET /api/admin/events.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, web::Data};

use super::{Parameters, authorize};
use crate::{
    domain::{
        event::{Event, EventCursor},
        ids::SaleId,
        outcome::ListEventsOutcome,
    },
    http::{
        answer,
        extract::{FromHttp, Parsed},
        problem::{Code, Problem},
        refusals,
    },
    store::Store,
    wire::event::EventBody,
};

pub(in crate::http) async fn list(
    store: Data<Store>,
    Parsed(request): Parsed<ListRequest>,
) -> Result<HttpResponse, Problem> {
    match store.list_events(request.sale.as_ref(), &request.seen, request.limit).await? {
        ListEventsOutcome::Events(events) => Ok(page(&store, request.seen, &events, request.limit)),
        ListEventsOutcome::Trimmed { sale } => Err(trimmed(&sale)),
        ListEventsOutcome::SaleNotFound => Err(refusals::sale_not_found()),
        ListEventsOutcome::TooManySales { sales } => Err(too_many_sales(sales)),
    }
}

/// The id of each event is the cursor of a reader that has seen it and all events before it.
fn page(store: &Store, mut seen: EventCursor, events: &[Event], limit: usize) -> HttpResponse {
    let rows: Vec<_> = events
        .iter()
        .map(|event| {
            seen.see(&event.sale, event.position);
            EventBody::of(event, seen.to_string(), |hold| store.ids().order_of(hold))
        })
        .collect();
    // A page that is not full is the end of the log. A reader that waits for more asks again after the last event.
    let next = (events.len() == limit).then(|| seen.to_string());
    answer::page(rows, next)
}

pub(in crate::http) struct ListRequest {
    sale: Option<SaleId>,
    seen: EventCursor,
    limit: usize,
}

impl FromHttp for ListRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let mut parameters = Parameters::of(&request, &["sale", "after", "limit"]);
        let sale = parameters.sale();
        let seen = parameters.read("after", "the id of an event", EventCursor::parse).unwrap_or_default();
        let seen = sale.as_ref().map_or_else(|| seen.clone(), |sale| seen.only(sale));
        let limit = parameters.limit();
        parameters.finish(Self { sale, seen, limit })
    }
}

fn trimmed(sale: &SaleId) -> Problem {
    let detail = "this event is not in the log any more, and others behind it may be gone too: the log is bounded \
                  (events.keep_max), and a server that fails may lose its end; read the orders as they stand, and go on from \
                  the first event that is left, without after";
    Problem::new(Code::CursorExpired, detail).with("sale", sale.as_str())
}

fn too_many_sales(sales: usize) -> Problem {
    let most = EventCursor::SALES_MAX;
    Problem::new(
        Code::SaleRequired,
        format!("there are {sales} sales, and one cursor can follow {most}: say which sale with ?sale="),
    )
}
