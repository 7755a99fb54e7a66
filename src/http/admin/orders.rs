//! GET /api/admin/orders and POST /api/admin/orders/{id}/cancel.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Data};

use super::{Parameters, acts, authorize};
use crate::{
    domain::{
        act::Act,
        cursor::ListCursor,
        order::CancelledBy,
        order_filter::OrderFilter,
        outcome::{FindOrderOutcome, ListOrdersOutcome},
        payment::PaymentId,
        sku::Sku,
        text::CustomerId,
    },
    http::{
        answer,
        extract::{FromHttp, Parsed},
        orders,
        problem::{FieldError, Problem},
        refusals,
    },
    store::Store,
    wire::order::OrderRow,
};

pub(in crate::http) async fn list(
    store: Data<Store>,
    Parsed(request): Parsed<ListRequest>,
) -> Result<HttpResponse, Problem> {
    let ListRequest { mut wanted, sku, after, limit } = request;
    if let Some(sku) = sku {
        wanted.product = Some(store.look_up_sku(&sku).await?.ok_or_else(refusals::product_not_found)?);
    }
    match store.list_orders(&wanted, after.as_ref(), limit).await? {
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
    Parsed(CancelRequest { id, act }): Parsed<CancelRequest>,
) -> Result<HttpResponse, Problem> {
    let cancelled = orders::cancel_as(&store, &id, CancelledBy::Admin, &act).await?;
    if cancelled.is_new {
        acts::log(&act, "order.cancelled", &id);
    }
    Ok(cancelled.answer)
}

const PARAMETERS: [&str; 10] =
    ["sale", "status", "customer_id", "product_id", "sku", "payment_id", "since", "until", "limit", "cursor"];

pub(in crate::http) struct ListRequest {
    wanted: OrderFilter,
    /// Instead of the id of a product.
    sku: Option<Sku>,
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
                product: parameters.product(),
                payment: parameters.read("payment_id", "a provider's id of a payment", PaymentId::parse),
                period: parameters.period(),
            },
            sku: parameters.read("sku", Sku::RULE, Sku::parse),
            after: parameters.read("cursor", "the next_cursor of a page before", ListCursor::parse),
            limit: parameters.limit(),
        };
        if asked.sku.is_some() && asked.wanted.product.is_some() {
            let detail = "send product_id or sku, not both".into();
            parameters.errors.push(FieldError { pointer: "/sku".to_owned(), code: "conflict", detail });
        }
        parameters.finish(asked)
    }
}

pub(in crate::http) struct CancelRequest {
    id: String,
    act: Act,
}

impl FromHttp for CancelRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        let act = authorize(&request)?;
        let mut parameters = Parameters::of(&request, &["reason"]);
        let act = act.because(acts::reason_of(&mut parameters));
        parameters.finish(Self { id: request.match_info().query("id").to_owned(), act })
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
