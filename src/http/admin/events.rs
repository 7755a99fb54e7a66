//! GET /api/admin/events.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, web::Data};
use serde::Serialize;
use serde_json::json;

use super::{Parameters, audit::DifferenceBody, authorize, reviews::ReviewBody, sale_not_found, sales::SaleBody};
use crate::{
    domain::{
        event::{About, Event, EventCursor, EventKind},
        ids::SaleId,
        outcome::ListEventsOutcome,
    },
    http::{
        extract::{Ask, Asked},
        orders::OrderBody,
        problem::{Code, Problem},
        products::{NO_STORE, ProductBody},
        time::rfc3339,
    },
    store::Store,
};

pub(in crate::http) async fn list(store: Data<Store>, Asked(ask): Asked<ListRequest>) -> Result<HttpResponse, Problem> {
    match store.list_events(ask.sale.as_ref(), &ask.seen, ask.limit).await? {
        ListEventsOutcome::Events(events) => Ok(page(&store, ask.seen, &events, ask.limit)),
        ListEventsOutcome::Trimmed { sale } => Err(trimmed(&sale)),
        ListEventsOutcome::SaleNotFound => Err(sale_not_found()),
        ListEventsOutcome::TooManySales { sales } => Err(too_many_sales(sales)),
    }
}

/// Each event has the cursor of a reader that has seen it and all before.
fn page(store: &Store, mut seen: EventCursor, events: &[Event], limit: usize) -> HttpResponse {
    let rows: Vec<_> = events
        .iter()
        .map(|event| {
            seen.see(&event.sale, event.position);
            EventBody::of(store, event, seen.to_string())
        })
        .collect();
    // A page that is not full is the end of what has happened; whoever waits for more asks again after the last event.
    let next = (events.len() == limit).then(|| seen.to_string());
    HttpResponse::Ok().insert_header(NO_STORE).json(json!({"data": rows, "next_cursor": next}))
}

pub(in crate::http) struct ListRequest {
    sale: Option<SaleId>,
    seen: EventCursor,
    limit: usize,
}

impl Ask for ListRequest {
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

/// An event on the wire, with the order or the review as it was then.
#[derive(Serialize)]
struct EventBody<'a> {
    id: String,
    r#type: &'static str,
    at: String,
    sale: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<OrderBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    review: Option<ReviewBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<ProductBody<'a>>,
    /// As `sale` is the id of the sale.
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<SaleBody<'a>>,
    /// What an audit put right.
    #[serde(skip_serializing_if = "Option::is_none")]
    repair: Option<DifferenceBody<'a>>,
}

impl<'a> EventBody<'a> {
    fn of(store: &Store, event: &'a Event, id: String) -> Self {
        let (at, sale) = (rfc3339(event.at_ms), event.sale.as_str());
        let mut body = Self {
            id,
            r#type: type_word(event.kind),
            at,
            sale,
            order: None,
            review: None,
            product: None,
            terms: None,
            repair: None,
        };
        match &event.about {
            About::Order(order) => body.order = Some(OrderBody::of(order)),
            About::Review(review) => body.review = Some(ReviewBody::of(review)),
            About::Product(product) => body.product = Some(ProductBody::of(product)),
            About::Sale(sale) => body.terms = Some(SaleBody::of(sale)),
            About::Repair(difference) => body.repair = Some(DifferenceBody::of(store, &event.sale, difference)),
        }
        body
    }
}

fn type_word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::OrderCreated => "order.created",
        EventKind::OrderPaymentStarted => "order.payment_started",
        EventKind::OrderPaid => "order.paid",
        EventKind::OrderCancelled => "order.cancelled",
        EventKind::OrderExpired => "order.expired",
        EventKind::OrderRefundRequired => "order.refund_required",
        EventKind::OrderRefunded => "order.refunded",
        EventKind::ProductCreated => "product.created",
        EventKind::ProductChanged => "product.changed",
        EventKind::ProductRestocked => "product.restocked",
        EventKind::ReviewOpened => "review.opened",
        EventKind::ReviewResolved => "review.resolved",
        EventKind::SaleCreated => "sale.created",
        EventKind::SaleChanged => "sale.changed",
        EventKind::SaleRepaired => "sale.repaired",
    }
}
