//! GET /api/products, /api/products/{id} and /api/products/by-sku/{sku}.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    http::StatusCode,
    web::{Bytes, Data},
};

use super::{
    answer,
    extract::{FromHttp, Parsed},
    gzip,
    parameters::Parameters,
    problem::Problem,
    refusals,
    throttle::Throttle,
};
use crate::{
    domain::{
        ids::{ProductId, SaleId},
        outcome::{ListProductsOutcome, ProductList, StockOutcome},
        product::Product,
        product_query::{IDS_MAX, ProductQuery},
        sku::Sku,
        visibility::Audience,
    },
    store::{Failure, Store},
    wire::{Page, product::ProductBody},
};

/// Products of a page, where a reader asks for pages.
const LIMIT_MAX: usize = 1_000;
/// Products that one line of the log names.
const LEFT_OUT_LOGGED_MAX: usize = 20;
pub(super) const PATH: &str = "/api/products";
/// The route of one product.
pub(super) const ONE: &str = "/api/products/{id}";

pub(super) async fn list(store: Data<Store>, Parsed(request): Parsed<ListRequest>) -> Result<HttpResponse, Problem> {
    page(&store, &request.query, request.takes_gzip).await
}

/// The answer to a query. Admins have the same list, with all products.
pub(super) async fn page(store: &Arc<Store>, query: &ProductQuery, takes_gzip: bool) -> Result<HttpResponse, Problem> {
    match &*store.share_product_list(query).await? {
        ListProductsOutcome::Products { list, next } => {
            let next_cursor = next.map(|id| id.get().to_string());
            Ok(gzip::fresh(answer::write(&Page { data: rows(list), next_cursor }), takes_gzip).await)
        }
        ListProductsOutcome::SaleNotFound => Err(refusals::sale_not_found()),
    }
}

pub(super) struct ListRequest {
    query: ProductQuery,
    takes_gzip: bool,
}

impl FromHttp for ListRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        let mut parameters = Parameters::of(&request, &["sale", "ids", "limit", "cursor"]);
        let ids = parameters.products();
        let query = ProductQuery {
            // Whoever names products knows them.
            audience: if ids.is_some() { Audience::Knowing } else { Audience::Everybody },
            sale: parameters.sale(),
            ids,
            after: parameters.product_cursor(),
            limit: parameters.at_most(LIMIT_MAX).unwrap_or(usize::MAX),
            visibility: None,
            archived: None,
            search: None,
        };
        parameters.finish(Self { query, takes_gzip: gzip::is_accepted(&request) })
    }
}

/// Parameters of lists of products.
impl Parameters {
    pub(super) fn sale(&mut self) -> Option<SaleId> {
        self.read("sale", "the id of a sale", SaleId::parse)
    }

    pub(super) fn products(&mut self) -> Option<Vec<ProductId>> {
        let what = format!("1 to {IDS_MAX} product ids with commas between, such as 1,2,3");
        self.read("ids", &what, |text| {
            let ids: Vec<_> = text.split(',').map(ProductId::parse).collect::<Option<_>>()?;
            (ids.len() <= IDS_MAX).then_some(ids)
        })
    }

    pub(super) fn product_cursor(&mut self) -> Option<ProductId> {
        self.read("cursor", "the next_cursor of a page before", ProductId::parse)
    }
}

thread_local! {
    static LEFT_OUT: Throttle = const { Throttle::new() };
}

/// The rows of a list. The log names the products that are left out because they cannot be read.
fn rows(list: &ProductList) -> Vec<ProductBody<'_>> {
    let is_short = !list.left_out.is_empty();
    if let Some(unsaid) = is_short.then(|| LEFT_OUT.with(Throttle::pass)).flatten() {
        let cause = list.left_out.iter().take(LEFT_OUT_LOGGED_MAX).map(String::as_str).collect::<Vec<_>>().join("; ");
        tracing::error!(count = list.left_out.len(), cause, unsaid, "left out of a list of products");
    }
    list.products.iter().map(ProductBody::of).collect()
}

pub(super) async fn read(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let id = ProductId::parse(request.match_info().query("id")).ok_or_else(refusals::product_not_found)?;
    product(&store, id, Audience::Knowing).await
}

pub(super) async fn read_by_sku(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    answered(store.stock_of_sku(&sku_in_path(&request)?, Audience::Knowing).await?)
}

/// The SKU in the path. Decoded whole: `query` leaves its `%` and `/` encoded.
pub(super) fn sku_in_path(request: &HttpRequest) -> Result<Sku, Problem> {
    let sku = request.match_info().load::<String>().ok();
    sku.and_then(|sku| Sku::parse(&sku)).ok_or_else(refusals::product_not_found)
}

pub(super) async fn product(store: &Store, id: ProductId, audience: Audience) -> Result<HttpResponse, Problem> {
    answered(store.stock(id, audience).await?)
}

/// The same for admins, behind a change of the product.
pub(super) async fn changed_product(store: &Store, id: ProductId) -> Result<HttpResponse, Problem> {
    answered(store.stock(id, Audience::Admins).await.map_err(Failure::after_decision)?)
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
