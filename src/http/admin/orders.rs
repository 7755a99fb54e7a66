//! GET /api/admin/orders and POST /api/admin/orders/{id}/cancel.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, web::Data};
use serde_json::json;

use super::{Parameters, authorize, sale_not_found};
use crate::{
    domain::{
        cursor::ListCursor,
        ids::SaleId,
        order::{CancelledBy, OrderStatus},
        outcome::ListOrdersOutcome,
    },
    http::{
        extract::{Ask, Asked},
        orders::{self, OrderBody},
        problem::Problem,
        products::NO_STORE,
    },
    store::Store,
};

pub(in crate::http) async fn list(store: Data<Store>, Asked(ask): Asked<ListRequest>) -> Result<HttpResponse, Problem> {
    let ListRequest { status, sale, after, limit } = ask;
    match store.list_orders(status, sale.as_ref(), after.as_ref(), limit).await? {
        ListOrdersOutcome::Orders { orders, next } => {
            let rows: Vec<_> = orders.iter().map(OrderBody::of).collect();
            let next = next.map(|cursor| cursor.to_string());
            Ok(HttpResponse::Ok().insert_header(NO_STORE).json(json!({"data": rows, "next_cursor": next})))
        }
        ListOrdersOutcome::SaleNotFound => Err(sale_not_found()),
    }
}

pub(in crate::http) async fn cancel(
    store: Data<Store>,
    Asked(CancelRequest(id)): Asked<CancelRequest>,
) -> Result<HttpResponse, Problem> {
    orders::cancelled(&store, &id, CancelledBy::Admin).await
}

pub(in crate::http) struct ListRequest {
    status: Option<OrderStatus>,
    sale: Option<SaleId>,
    after: Option<ListCursor>,
    limit: usize,
}

impl Ask for ListRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let mut parameters = Parameters::of(&request, &["status", "sale", "limit", "cursor"]);
        let asked = Self {
            status: parameters.status(),
            sale: parameters.sale(),
            after: parameters.read("cursor", "the next_cursor of a page before", ListCursor::parse),
            limit: parameters.limit(),
        };
        parameters.finish(asked)
    }
}

/// The id as it stands in the path: whoever answers finds out whether it was made here.
pub(in crate::http) struct CancelRequest(String);

impl Ask for CancelRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        Ok(Self(request.match_info().query("id").to_owned()))
    }
}
