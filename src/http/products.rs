//! GET /api/products, /api/products/{id} and /api/products/by-sku/{sku}.

use std::{cell::RefCell, rc::Rc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Bytes, Data},
};

use super::{answer, problem::Problem, refusals, throttle::Throttle};
use crate::{
    domain::{
        ids::ProductId,
        outcome::{ProductList, StockOutcome},
        product::Product,
        sku::Sku,
    },
    store::Store,
    wire::{List, product::ProductBody},
};

/// Products that one line of the log names.
const LEFT_OUT_LOGGED_MAX: usize = 20;
pub(super) const PATH: &str = "/api/products";

pub(super) async fn list(store: Data<Store>) -> Result<HttpResponse, Problem> {
    let list = store.stock_of_all().await?;
    Ok(answer::fresh_json(StatusCode::OK, &List { data: rows(&list) }))
}

thread_local! {
    static LEFT_OUT: Throttle = const { Throttle::new() };
}

/// The rows of a list. The log names the products that are left out because they cannot be read.
pub(super) fn rows(list: &ProductList) -> Vec<ProductBody<'_>> {
    let is_short = !list.left_out.is_empty();
    if let Some(unsaid) = is_short.then(|| LEFT_OUT.with(Throttle::pass)).flatten() {
        let cause = list.left_out.iter().take(LEFT_OUT_LOGGED_MAX).map(String::as_str).collect::<Vec<_>>().join("; ");
        tracing::error!(count = list.left_out.len(), cause, unsaid, "left out of a list of products");
    }
    list.products.iter().map(ProductBody::of).collect()
}

pub(super) async fn read(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let id = ProductId::parse(request.match_info().query("id")).ok_or_else(refusals::product_not_found)?;
    product(&store, id).await
}

pub(super) async fn read_by_sku(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    answered(store.stock_of_sku(&sku_in_path(&request)?).await?)
}

/// The SKU in the path. Decoded whole: `query` leaves its `%` and `/` encoded.
pub(super) fn sku_in_path(request: &HttpRequest) -> Result<Sku, Problem> {
    let sku = request.match_info().load::<String>().ok();
    sku.and_then(|sku| Sku::parse(&sku)).ok_or_else(refusals::product_not_found)
}

pub(super) async fn product(store: &Store, id: ProductId) -> Result<HttpResponse, Problem> {
    answered(store.stock(id).await?)
}

fn answered(outcome: StockOutcome) -> Result<HttpResponse, Problem> {
    match outcome {
        StockOutcome::Stock(product) => Ok(answer::fresh(StatusCode::OK, written(&product))),
        StockOutcome::ProductNotFound => Err(refusals::product_not_found()),
    }
}

thread_local! {
    /// The product that was written last. All requests that one read answers share one product, so it is written once.
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
