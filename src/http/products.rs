//! GET /api/products and /api/products/{id}.

use std::{cell::RefCell, rc::Rc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderName},
    },
    web::{Bytes, Data},
};
use serde::Serialize;
use serde_json::json;

use super::{
    answer,
    problem::{Code, Problem},
    throttle::Throttle,
    time::rfc3339,
};
use crate::{
    domain::{
        ids::ProductId,
        outcome::{ProductList, StockOutcome},
        product::Product,
    },
    store::Store,
};

/// Products that one line of the log names.
const LEFT_OUT_SAID_MAX: usize = 20;
pub(super) const PATH: &str = "/api/products";
/// Stock is exact at the instant of the answer, so no answer may be kept.
pub(super) const NO_STORE: (HeaderName, &str) = (CACHE_CONTROL, "no-store");

pub(super) async fn list(store: Data<Store>) -> Result<HttpResponse, Problem> {
    let list = store.stock_of_all().await?;
    Ok(HttpResponse::Ok().insert_header(NO_STORE).json(json!({"data": rows(&list)})))
}

thread_local! {
    static LEFT_OUT: Throttle = const { Throttle::new() };
}

/// A list on the wire. What is not in it is told in the log.
pub(super) fn rows(list: &ProductList) -> Vec<ProductBody<'_>> {
    let is_short = !list.left_out.is_empty();
    if let Some(unsaid) = is_short.then(|| LEFT_OUT.with(Throttle::pass)).flatten() {
        let cause = list.left_out.iter().take(LEFT_OUT_SAID_MAX).map(String::as_str).collect::<Vec<_>>().join("; ");
        tracing::error!(count = list.left_out.len(), cause, unsaid, "left out of a list of products");
    }
    list.products.iter().map(ProductBody::of).collect()
}

pub(super) async fn read(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let id = ProductId::parse(request.match_info().query("id")).ok_or_else(not_found)?;
    product(&store, id).await
}

pub(super) async fn product(store: &Store, id: ProductId) -> Result<HttpResponse, Problem> {
    match store.stock(id).await? {
        StockOutcome::Stock(product) => Ok(answer::fresh(StatusCode::OK, written(&product))),
        StockOutcome::ProductNotFound => Err(not_found()),
    }
}

thread_local! {
    /// The product that was written last. All whom one read answers are given the same one, which is so written once.
    static LAST: RefCell<Option<(Rc<Product>, Bytes)>> = const { RefCell::new(None) };
}

fn written(product: &Rc<Product>) -> Bytes {
    LAST.with_borrow_mut(|last| match last {
        Some((written, bytes)) if Rc::ptr_eq(written, product) => bytes.clone(),
        _ => {
            let bytes = answer::write(&ProductBody::of(product));
            *last = Some((Rc::clone(product), bytes.clone()));
            bytes
        }
    })
}

pub(super) fn not_found() -> Problem {
    Problem::new(Code::ProductNotFound, "there is no such product")
}

/// A product on the wire.
#[derive(Serialize)]
pub(super) struct ProductBody<'a> {
    id: u64,
    sale: &'a str,
    name: &'a str,
    price: String,
    currency: &'static str,
    total_stock: u64,
    available_stock: u64,
    held_stock: u64,
    pending_stock: u64,
    sold_stock: u64,
    max_per_hold: u64,
    max_per_customer: Option<u64>,
    status: &'static str,
    starts_at: Option<String>,
    ends_at: Option<String>,
    next_release_at: Option<String>,
}

impl<'a> ProductBody<'a> {
    pub(super) fn of(product: &'a Product) -> Self {
        Self {
            id: product.id.get(),
            sale: product.sale.as_str(),
            name: &product.name,
            price: product.price.in_currency(&product.currency).to_string(),
            currency: product.currency.code(),
            total_stock: product.stock.total,
            available_stock: product.stock.available,
            held_stock: product.stock.held,
            pending_stock: product.stock.pending,
            sold_stock: product.stock.sold,
            max_per_hold: product.max_per_hold,
            max_per_customer: product.max_per_customer,
            status: product.window.status(product.now_ms).as_str(),
            starts_at: product.window.starts_ms.map(rfc3339),
            ends_at: product.window.ends_ms.map(rfc3339),
            next_release_at: product.next_release_ms.map(rfc3339),
        }
    }
}
