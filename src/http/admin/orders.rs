//! GET /api/admin/orders and POST /api/admin/orders/{id}/cancel.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Data};

use super::{Parameters, authorize};
use crate::{
    domain::{
        cursor::ListCursor,
        order::CancelledBy,
        order_filter::OrderFilter,
        outcome::{FindOrderOutcome, ListOrdersOutcome},
        payment::PaymentId,
        text::CustomerId,
    },
    http::{
        answer,
        extract::{FromHttp, Parsed},
        orders,
        problem::Problem,
        refusals,
    },
    store::Store,
    wire::order::OrderRow,
};

pub(in crate::http) async fn list(
    store: Data<Store>,
    Parsed(request): Parsed<ListRequest>,
) -> Result<HttpResponse, Problem> {
    match store.list_orders(&request.wanted, request.after.as_ref(), request.limit).await? {
        ListOrdersOutcome::Orders { orders, next } => {
            let rows: Vec<_> = orders.iter().map(OrderRow::of).collect();
            let next = next.map(|cursor| cursor.to_string());
            Ok(answer::page(rows, next))
        }
        ListOrdersOutcome::SaleNotFound => Err(refusals::sale_not_found()),
        ListOrdersOutcome::ProductNotFound => Err(refusals::product_not_found()),
    }
}

pub(in crate::http) async fn read(
    store: Data<Store>,
    Parsed(IdRequest(id)): Parsed<IdRequest>,
) -> Result<HttpResponse, Problem> {
    let id = store.ids().parse(&id).ok_or_else(refusals::order_not_found)?;
    match store.find_order(&id).await? {
        FindOrderOutcome::Found(order) => Ok(answer::fresh_json(StatusCode::OK, &OrderRow::of(&order))),
        FindOrderOutcome::OrderNotFound => Err(refusals::order_not_found()),
    }
}

pub(in crate::http) async fn cancel(
    store: Data<Store>,
    Parsed(IdRequest(id)): Parsed<IdRequest>,
) -> Result<HttpResponse, Problem> {
    orders::cancelled(&store, &id, CancelledBy::Admin).await
}

const PARAMETERS: [&str; 9] =
    ["sale", "status", "customer_id", "product_id", "payment_id", "since", "until", "limit", "cursor"];

pub(in crate::http) struct ListRequest {
    wanted: OrderFilter,
    after: Option<ListCursor>,
    limit: usize,
}

impl FromHttp for ListRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let mut parameters = Parameters::of(&request, &PARAMETERS);
        let asked = Self {
            wanted: OrderFilter {
                sale: parameters.sale(),
                status: parameters.status(),
                customer: parameters.read("customer_id", CustomerId::RULE, CustomerId::parse),
                // Whatever else names a product ends here too.
                product: parameters.product(),
                payment: parameters.read("payment_id", "a provider's id of a payment", PaymentId::parse),
                period: parameters.period(),
            },
            after: parameters.read("cursor", "the next_cursor of a page before", ListCursor::parse),
            limit: parameters.limit(),
        };
        parameters.finish(asked)
    }
}

/// The id in the path. The handler finds out whether it was made here.
pub(in crate::http) struct IdRequest(String);

impl FromHttp for IdRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        Ok(Self(request.match_info().query("id").to_owned()))
    }
}
