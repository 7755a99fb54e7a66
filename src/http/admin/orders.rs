//! GET /api/admin/orders and POST /api/admin/orders/{id}/cancel.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, web::Data};
use serde::Serialize;
use serde_json::json;

use super::{Parameters, authorize, sale_not_found};
use crate::{
    domain::{
        cursor::ListCursor,
        ids::SaleId,
        money::Currency,
        order::{CancelledBy, Order, OrderStatus, PricedLine},
        outcome::ListOrdersOutcome,
        payment::PaymentId,
        text::CustomerId,
    },
    http::{
        extract::{Ask, Asked},
        orders,
        problem::Problem,
        products::NO_STORE,
        time::rfc3339,
    },
    store::Store,
};

pub(in crate::http) async fn list(store: Data<Store>, Asked(ask): Asked<ListRequest>) -> Result<HttpResponse, Problem> {
    let ListRequest { status, sale, after, limit } = ask;
    match store.list_orders(status, sale.as_ref(), after.as_ref(), limit).await? {
        ListOrdersOutcome::Orders { orders, next } => {
            let rows: Vec<_> = orders.iter().map(OrderRow::of).collect();
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

/// An order as the shop sees it, in the list and in an export: all fields always, null where there is nothing to say.
#[derive(Serialize)]
pub(super) struct OrderRow<'a> {
    pub(super) id: &'a str,
    pub(super) sale: &'a str,
    pub(super) hold_id: &'a str,
    /// As `quantity`, of an order of one product.
    pub(super) product_id: Option<u64>,
    pub(super) quantity: Option<u64>,
    pub(super) items: Vec<PricedItem>,
    pub(super) customer_id: Option<&'a str>,
    pub(super) status: &'static str,
    pub(super) total_amount: Option<String>,
    pub(super) currency: Option<&'static str>,
    pub(super) created_at: String,
    pub(super) payment_due_at: String,
    pub(super) paid_at: Option<String>,
    pub(super) payment_id: Option<&'a str>,
    pub(super) payment_started_at: Option<String>,
    pub(super) late: bool,
}

/// A line, with the price of one unit when the order was made.
#[derive(Serialize)]
pub(super) struct PricedItem {
    pub(super) product_id: u64,
    pub(super) quantity: u64,
    pub(super) unit_price: String,
}

impl<'a> OrderRow<'a> {
    pub(super) fn of(order: &'a Order) -> Self {
        let currency = order.total.map(|(_, currency)| currency);
        let only = if let [only] = &order.lines[..] { Some(only.line) } else { None };
        Self {
            id: order.id.as_str(),
            sale: order.hold.sale().as_str(),
            hold_id: order.hold.as_str(),
            product_id: only.map(|line| line.product.get()),
            quantity: only.map(|line| line.quantity.get()),
            items: order.lines.iter().map(|line| PricedItem::of(line, currency.as_ref())).collect(),
            customer_id: order.customer.as_ref().map(CustomerId::as_str),
            status: order.status.as_str(),
            total_amount: order.total.map(|(amount, currency)| amount.in_currency(&currency).to_string()),
            currency: currency.map(|currency| currency.code()),
            created_at: rfc3339(order.created_ms),
            payment_due_at: rfc3339(order.payment_due_ms),
            paid_at: order.paid_ms.map(rfc3339),
            payment_id: order.payment.as_ref().map(PaymentId::as_str),
            payment_started_at: order.started_ms.map(rfc3339),
            late: order.late,
        }
    }
}

impl PricedItem {
    fn of(priced: &PricedLine, currency: Option<&Currency>) -> Self {
        let PricedLine { line, price } = priced;
        let unit_price = price.written(currency);
        Self { product_id: line.product.get(), quantity: line.quantity.get(), unit_price }
    }
}
