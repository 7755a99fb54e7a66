//! POST /api/orders, GET /api/orders/{id}, POST /api/orders/{id}/cancel and payment-started.

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    http::{StatusCode, header::HeaderMap},
    web::Data,
};

use super::{
    BodyLimits, answer, body,
    extract::{self, FromHttp, Parsed},
    fields::{Json, Object},
    problem::{FieldError, Problem},
    refusals,
};
use crate::{
    domain::{
        act::Act,
        ids::OrderId,
        order::{CancelledBy, Order},
        outcome::{CancelOutcome, FindOrderOutcome, OrderOutcome, StartPaymentOutcome},
    },
    store::Store,
    wire::order::OrderBody,
};

pub(super) const PATH: &str = "/api/orders";

pub(super) async fn create(store: Data<Store>, Parsed(request): Parsed<OrderRequest>) -> Result<HttpResponse, Problem> {
    order(&store, request).await
}

pub(super) async fn order(store: &Store, request: OrderRequest) -> Result<HttpResponse, Problem> {
    let hold = store.ids().parse(&request.hold_id).ok_or_else(refusals::hold_not_found)?;
    match store.count(store.order(hold).await)? {
        OrderOutcome::Created(order) => Ok(answer::json(StatusCode::CREATED, &OrderBody::of(&order))),
        OrderOutcome::Exists(order) => Ok(found(&order)),
        OrderOutcome::HoldExpired => Err(refusals::hold_expired()),
    }
}

pub(super) async fn read(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    match store.find_order(&order_id(&request, &store)?).await? {
        FindOrderOutcome::Found(order) => Ok(found(&order)),
        FindOrderOutcome::OrderNotFound => Err(refusals::order_not_found()),
    }
}

pub(super) async fn cancel(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let (id, act) = (request.match_info().query("id"), Act::default());
    Ok(cancel_as(&store, id, CancelledBy::Customer, &act).await?.answer)
}

/// The answer to a cancellation, and whether it is this one that cancelled the order.
pub(super) struct Cancelled {
    pub(super) answer: HttpResponse,
    pub(super) is_new: bool,
}

pub(super) async fn cancel_as(store: &Store, id: &str, by: CancelledBy, act: &Act) -> Result<Cancelled, Problem> {
    let id = store.ids().parse(id).ok_or_else(refusals::order_not_found)?;
    match store.cancel(&id, by, act).await? {
        CancelOutcome::Cancelled(order) => Ok(Cancelled { answer: found(&order), is_new: true }),
        CancelOutcome::AlreadyCancelled(order) => Ok(Cancelled { answer: found(&order), is_new: false }),
        CancelOutcome::OrderNotCancellable(order) => Err(refusals::order_not_cancellable(&order)),
        CancelOutcome::OrderNotFound => Err(refusals::order_not_found()),
    }
}

pub(super) async fn start_payment(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    match store.start_payment(&order_id(&request, &store)?).await? {
        StartPaymentOutcome::Started(order) | StartPaymentOutcome::AlreadyStarted(order) => Ok(found(&order)),
        StartPaymentOutcome::OrderNotPending(order) => Err(refusals::order_not_pending(&order)),
        StartPaymentOutcome::OrderNotFound => Err(refusals::order_not_found()),
    }
}

/// The body of POST /api/orders.
#[derive(Debug)]
pub(super) struct OrderRequest {
    hold_id: String,
}

impl FromHttp for OrderRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        wanted(request.headers(), &mut payload, extract::context(&request).limits).await
    }
}

pub(super) async fn wanted(
    headers: &HeaderMap,
    payload: &mut Payload,
    limits: BodyLimits,
) -> Result<OrderRequest, Problem> {
    body::read_json_of(headers, payload, limits, read_hold_id).await
}

pub(super) fn read_hold_id(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<OrderRequest> {
    let mut object = Object::open(json, "", &["hold_id"], errors)?;
    let hold_id = object.required_text("hold_id", "the id of a hold", |text| Some(text.to_owned()))?;
    Some(OrderRequest { hold_id })
}

fn order_id(request: &HttpRequest, store: &Store) -> Result<OrderId, Problem> {
    store.ids().parse(request.match_info().query("id")).ok_or_else(refusals::order_not_found)
}

fn found(order: &Order) -> HttpResponse {
    answer::fresh_json(StatusCode::OK, &OrderBody::of(order))
}
