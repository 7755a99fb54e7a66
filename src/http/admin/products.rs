//! GET and POST /api/admin/products, GET and PATCH /api/admin/products/{id}, and its stock. A product is also named by its SKU.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Data};

use super::{Parameters, acts, authorize, new_product};
use crate::{
    domain::{
        act::{Act, Change, Reason},
        ids::{ProductId, SaleId},
        limits::Group,
        money::Amount,
        outcome::{ChangeProductOutcome, ListProductsOutcome, RestockOutcome},
        product::{NewProduct, PER_HOLD_MAX, Product, ProductChange, Restock, TOTAL_MAX},
        quantity::Quantity,
        sku::ProductKey,
        text::{IdempotencyKey, Name},
        visibility::Visibility,
    },
    http::{
        answer, body,
        extract::{self, FromHttp, Parsed},
        fields::{Json, Object},
        problem::{Code, FieldError, Problem},
        products, refusals,
    },
    store::Store,
    wire::product::ProductBody,
};

pub(in crate::http) async fn list(
    store: Data<Store>,
    Parsed(request): Parsed<ListRequest>,
) -> Result<HttpResponse, Problem> {
    match store.list_products(request.sale.as_ref(), request.after, request.limit).await? {
        ListProductsOutcome::Products { list, next } => {
            let rows = products::rows(&list);
            let next = next.map(|id| id.get().to_string());
            Ok(answer::page(rows, next))
        }
        ListProductsOutcome::SaleNotFound => Err(refusals::sale_not_found()),
    }
}

/// The product as the storefront has it, without the gate of the storefront.
pub(in crate::http) async fn read(
    store: Data<Store>,
    Parsed(ReadRequest(key)): Parsed<ReadRequest>,
) -> Result<HttpResponse, Problem> {
    products::product(&store, named(&store, &key).await?).await
}

pub(in crate::http) async fn create(
    store: Data<Store>,
    Parsed(CreateRequest { product, act }): Parsed<CreateRequest>,
) -> Result<HttpResponse, Problem> {
    let (product, _) = new_product::create(&store, &product, &act).await?;
    acts::log(&act, "product.created", &format!("product {}", product.id));
    Ok(answer::json(StatusCode::CREATED, &ProductBody::of(&product)))
}

/// The body of POST /api/admin/products.
pub(in crate::http) struct CreateRequest {
    product: NewProduct,
    act: Act,
}

impl FromHttp for CreateRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        let act = authorize(&request)?;
        Ok(Self { product: body::read_json(&request, &mut payload, new_product::read).await?, act })
    }
}

pub(in crate::http) async fn change(
    store: Data<Store>,
    Parsed(request): Parsed<ChangeRequest>,
) -> Result<HttpResponse, Problem> {
    let ChangeRequest { key, change, act } = request;
    let id = named(&store, &key).await?;
    let change = changed(store.change_product(id, &change, &act).await?)?;
    acts::log_product(&act, "product.changed", &change);
    Ok(answer::json(StatusCode::OK, &ProductBody::of(&change.after)))
}

/// The product that was changed. An import changes products too.
pub(super) fn changed(outcome: ChangeProductOutcome) -> Result<Change<Product>, Problem> {
    match outcome {
        ChangeProductOutcome::Changed(change) => Ok(change),
        ChangeProductOutcome::ProductNotFound => Err(refusals::product_not_found()),
        ChangeProductOutcome::PriceTooFine(currency) => {
            let decimals = currency.decimals();
            Err(wrong_price(format!("price must have at most {decimals} decimals, as {} has", currency.code())))
        }
        ChangeProductOutcome::PriceTooLarge => Err(wrong_price(refusals::price_too_large())),
    }
}

pub(in crate::http) async fn restock(
    store: Data<Store>,
    Parsed(request): Parsed<RestockRequest>,
) -> Result<HttpResponse, Problem> {
    let RestockRequest { product, restock, key, act } = request;
    let id = named(&store, &product).await?;
    match store.restock(id, restock, key.as_ref(), &act).await? {
        RestockOutcome::Restocked(change) => {
            acts::log_product(&act, "product.restocked", &change);
            Ok(answer::json(StatusCode::OK, &ProductBody::of(&change.after)))
        }
        RestockOutcome::ProductNotFound => Err(refusals::product_not_found()),
        RestockOutcome::IdempotencyKeyReused => Err(refusals::key_reused()),
        RestockOutcome::BelowPromised { floor } => Err(below_promised(floor)),
        RestockOutcome::AboveMaximum { most } => Err(Problem::of_fields(&[FieldError {
            pointer: String::new(),
            code: "too_large",
            detail: format!("a product may have {most} units").into(),
        }])),
    }
}

pub(in crate::http) struct ListRequest {
    sale: Option<SaleId>,
    after: Option<ProductId>,
    limit: usize,
}

impl FromHttp for ListRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let mut parameters = Parameters::of(&request, &["sale", "limit", "cursor"]);
        let asked = Self {
            sale: parameters.sale(),
            after: parameters.read("cursor", "the next_cursor of a page before", ProductId::parse),
            limit: parameters.limit(),
        };
        parameters.finish(asked)
    }
}

pub(in crate::http) struct ReadRequest(ProductKey);

impl FromHttp for ReadRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        key_in_path(&request).map(Self)
    }
}

/// The body of PATCH /api/admin/products/{id}, and the product in its path.
pub(in crate::http) struct ChangeRequest {
    key: ProductKey,
    change: ProductChange,
    act: Act,
}

impl FromHttp for ChangeRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        let act = authorize(&request)?;
        let key = key_in_path(&request)?;
        let (change, reason) = body::read_json(&request, &mut payload, read_change).await?;
        Ok(Self { key, change, act: act.because(reason) })
    }
}

/// The body of POST /api/admin/products/{id}/restock, its key, and the product in its path.
pub(in crate::http) struct RestockRequest {
    product: ProductKey,
    restock: Restock,
    key: Option<IdempotencyKey>,
    act: Act,
}

impl FromHttp for RestockRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        let act = authorize(&request)?;
        let (product, key) = (key_in_path(&request)?, extract::idempotency_key(request.headers())?);
        let (restock, reason) = body::read_json(&request, &mut payload, read_restock).await?;
        Ok(Self { product, key, restock, act: act.because(reason) })
    }
}

const CHANGES: [&str; 8] =
    ["name", "metadata", "price", "max_per_hold", "max_per_customer", "group", "visibility", "reason"];

/// The product in the path, of a route with an id or with a SKU.
fn key_in_path(request: &HttpRequest) -> Result<ProductKey, Problem> {
    match request.match_info().get("id") {
        Some(id) => ProductId::parse(id).map(ProductKey::Id).ok_or_else(refusals::product_not_found),
        None => products::sku_in_path(request).map(ProductKey::Sku),
    }
}

async fn named(store: &Store, key: &ProductKey) -> Result<ProductId, Problem> {
    store.product_named(key).await?.ok_or_else(refusals::product_not_found)
}

pub(super) fn read_change(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<(ProductChange, Option<Reason>)> {
    let mut object = Object::open(json, "", &CHANGES, errors)?;
    let no_group = object.clears("group").then_some(None);
    let change = ProductChange {
        name: object.text("name", Name::RULE, Name::parse),
        metadata: object.metadata_change(),
        price: object.text("price", "a decimal string such as 9.99", |text| Amount::parse(text, 4).ok()),
        max_per_hold: object.count("max_per_hold", 1, PER_HOLD_MAX).and_then(Quantity::new),
        max_per_customer: read_limit(&mut object, "max_per_customer"),
        group: no_group.or_else(|| object.text("group", Group::RULE, Group::parse).map(Some)),
        visibility: object.text("visibility", Visibility::RULE, Visibility::parse),
    };
    Some((change, acts::reason_in(&mut object)))
}

/// `Some(None)`: null takes the limit away.
#[expect(clippy::option_option, reason = "as in ProductChange: to set, to take away, or to leave")]
pub(super) fn read_limit(object: &mut Object<'_, '_>, name: &str) -> Option<Option<Quantity>> {
    if object.clears(name) {
        return Some(None);
    }
    object.count(name, 1, Quantity::MAX).and_then(Quantity::new).map(Some)
}

pub(super) fn read_restock(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<(Restock, Option<Reason>)> {
    let mut object = Object::open(json, "", &["delta", "total", "reason"], errors)?;
    let reason = acts::reason_in(&mut object);
    let bound = i64::try_from(TOTAL_MAX).unwrap_or(i64::MAX);
    let (delta, total) = (object.integer("delta", bound), object.count("total", 0, TOTAL_MAX));
    match (delta, total) {
        (Some(delta), None) => Some((Restock::Delta(delta), reason)),
        (None, Some(total)) => Some((Restock::Total(total), reason)),
        _ => {
            if object.errors().is_empty() {
                object.complain("delta", "conflict", "send delta, or total, one of them");
            }
            None
        }
    }
}

fn wrong_price(detail: String) -> Problem {
    Problem::of_fields(&[FieldError { pointer: "/price".to_owned(), code: "invalid_format", detail: detail.into() }])
}

fn below_promised(floor: u64) -> Problem {
    let detail = format!("{floor} units are held, pending or sold: there cannot be fewer");
    Problem::new(Code::BelowPromised, detail).with("floor", floor)
}
