//! POST /api/orders, GET /api/orders/{id}, POST /api/orders/{id}/cancel and payment-started.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, web::Data};
use serde::Serialize;

use super::{
    body,
    extract::{Ask, Asked},
    fields::{Json, Object},
    holds::{self, ItemBody},
    problem::{Code, FieldError, Problem},
    products::NO_STORE,
    time::rfc3339,
};
use crate::{
    domain::{
        ids::OrderId,
        order::{CancelledBy, Order},
        outcome::{CancelOutcome, FindOrderOutcome, OrderOutcome, StartPaymentOutcome},
        text::CustomerId,
    },
    store::Store,
};

pub(super) const PATH: &str = "/api/orders";

pub(super) async fn create(store: Data<Store>, Asked(ask): Asked<OrderRequest>) -> Result<HttpResponse, Problem> {
    let hold = store.ids().parse(&ask.hold_id).ok_or_else(holds::never_made)?;
    match store.order(hold).await? {
        OrderOutcome::Created(order) => Ok(HttpResponse::Created().json(OrderBody::of(&order))),
        OrderOutcome::Exists(order) => Ok(found(&order)),
        OrderOutcome::HoldExpired => Err(holds::expired()),
    }
}

pub(super) async fn read(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    match store.find_order(&order_id(&request, &store)?).await? {
        FindOrderOutcome::Found(order) => Ok(found(&order)),
        FindOrderOutcome::OrderNotFound => Err(not_found()),
    }
}

pub(super) async fn cancel(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    cancelled(&store, request.match_info().query("id"), CancelledBy::Customer).await
}

pub(super) async fn cancelled(store: &Store, id: &str, by: CancelledBy) -> Result<HttpResponse, Problem> {
    let id = store.ids().parse(id).ok_or_else(not_found)?;
    match store.cancel(&id, by).await? {
        CancelOutcome::Cancelled(order) | CancelOutcome::AlreadyCancelled(order) => Ok(found(&order)),
        CancelOutcome::OrderNotCancellable(order) => Err(not_cancellable(&order)),
        CancelOutcome::OrderNotFound => Err(not_found()),
    }
}

pub(super) async fn start_payment(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    match store.start_payment(&order_id(&request, &store)?).await? {
        StartPaymentOutcome::Started(order) | StartPaymentOutcome::AlreadyStarted(order) => Ok(found(&order)),
        StartPaymentOutcome::OrderNotPending(order) => Err(not_pending(&order)),
        StartPaymentOutcome::OrderNotFound => Err(not_found()),
    }
}

/// A body of POST /api/orders.
pub(super) struct OrderRequest {
    hold_id: String,
}

impl Ask for OrderRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        body::read_json(&request, &mut payload, read_ask).await
    }
}

fn read_ask(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<OrderRequest> {
    let mut object = Object::open(json, "", &["hold_id"], errors)?;
    let hold_id = object.required_text("hold_id", "the id of a hold", |text| Some(text.to_owned()))?;
    Some(OrderRequest { hold_id })
}

fn order_id(request: &HttpRequest, store: &Store) -> Result<OrderId, Problem> {
    store.ids().parse(request.match_info().query("id")).ok_or_else(not_found)
}

fn not_found() -> Problem {
    Problem::new(Code::OrderNotFound, "there is no order with this id")
}

fn not_cancellable(order: &Order) -> Problem {
    let status = order.status.as_str();
    Problem::new(Code::OrderNotCancellable, format!("the order is {status}: money was captured, refund it instead"))
        .with("order_status", status)
}

fn not_pending(order: &Order) -> Problem {
    let status = order.status.as_str();
    Problem::new(Code::OrderNotPending, format!("the order is {status}: its payment deadline cannot move any more"))
        .with("order_status", status)
}

fn found(order: &Order) -> HttpResponse {
    HttpResponse::Ok().insert_header(NO_STORE).json(OrderBody::of(order))
}

/// An order on the wire. `product_id` and `quantity` are there when there is one line.
#[derive(Serialize)]
pub(super) struct OrderBody<'a> {
    pub(super) id: &'a str,
    pub(super) hold_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) product_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quantity: Option<u64>,
    pub(super) items: Vec<ItemBody>,
    pub(super) customer_id: Option<&'a str>,
    pub(super) status: &'static str,
    pub(super) total_amount: Option<String>,
    pub(super) currency: Option<&'static str>,
    pub(super) created_at: String,
    pub(super) payment_due_at: String,
    pub(super) paid_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payment_started_at: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) late: bool,
}

impl<'a> OrderBody<'a> {
    pub(super) fn of(order: &'a Order) -> Self {
        let items: Vec<_> = order.lines.iter().map(|priced| ItemBody::of(&priced.line)).collect();
        let (product_id, quantity) = holds::single(&items);
        Self {
            id: order.id.as_str(),
            hold_id: order.hold.as_str(),
            product_id,
            quantity,
            items,
            customer_id: order.customer.as_ref().map(CustomerId::as_str),
            status: order.status.as_str(),
            total_amount: order.total.map(|(amount, currency)| amount.in_currency(&currency).to_string()),
            currency: order.total.map(|(_, currency)| currency.code()),
            created_at: rfc3339(order.created_ms),
            payment_due_at: rfc3339(order.payment_due_ms),
            paid_at: order.paid_ms.map(rfc3339),
            payment_started_at: order.started_ms.map(rfc3339),
            late: order.late,
        }
    }
}
