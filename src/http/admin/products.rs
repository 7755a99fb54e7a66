//! GET and POST /api/admin/products, GET and PATCH /api/admin/products/{id}, and its stock. A product is also named by its SKU.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Data};

use super::{Parameters, acts, authorize, new_product};
use crate::{
    domain::{
        act::{Act, Change, Reason},
        ids::ProductId,
        limits::Group,
        money::Amount,
        outcome::{ChangeProductOutcome, RestockOutcome},
        product::{NewProduct, PER_HOLD_MAX, Product, ProductChange, Restock, TOTAL_MAX},
        product_query::{ProductQuery, Search},
        quantity::Quantity,
        sku::{ProductKey, Sku},
        text::{IdempotencyKey, Name},
        visibility::{Audience, Visibility},
    },
    http::{
        answer, body,
        extract::{self, FromHttp, Parsed},
        fields::{Json, Object},
        gzip,
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
    products::page(&store, &request.query, request.takes_gzip).await
}

/// The product as the storefront has it, without the gate of the storefront.
pub(in crate::http) async fn read(
    store: Data<Store>,
    Parsed(ReadRequest(key)): Parsed<ReadRequest>,
) -> Result<HttpResponse, Problem> {
    products::product(&store, named(&store, &key).await?, Audience::Admins).await
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
    let is_archived = change.after.archived && change.before.as_ref().is_some_and(|before| !before.archived);
    acts::log_product(&act, if is_archived { "product.archived" } else { "product.changed" }, &change);
    Ok(answer::json(StatusCode::OK, &ProductBody::of(&change.after)))
}

/// The product that was changed. An import changes products too.
pub(super) fn changed(outcome: ChangeProductOutcome) -> Result<Change<Product>, Problem> {
    match outcome {
        ChangeProductOutcome::Changed(change) => Ok(change),
        ChangeProductOutcome::ProductNotFound => Err(refusals::product_not_found()),
        ChangeProductOutcome::PriceTooFine(currency) => {
            let decimals = currency.decimals();
            Err(wrong_price(
                "invalid_format",
                format!("price must have at most {decimals} decimals, as {} has", currency.code()),
            ))
        }
        ChangeProductOutcome::PriceTooLarge => Err(wrong_price("too_large", refusals::price_too_large())),
        ChangeProductOutcome::HasSku(own) => Err(refusals::product_has_sku(&own)),
        ChangeProductOutcome::SkuTaken(other) => Err(new_product::sku_exists().with("id", other.get())),
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
    query: ProductQuery,
    takes_gzip: bool,
}

impl FromHttp for ListRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let known = ["sale", "ids", "visibility", "archived", "search", "limit", "cursor"];
        let mut parameters = Parameters::of(&request, &known);
        let query = ProductQuery {
            audience: Audience::Admins,
            sale: parameters.sale(),
            ids: parameters.products(),
            after: parameters.product_cursor(),
            limit: parameters.limit(),
            visibility: parameters.read("visibility", Visibility::RULE, Visibility::parse),
            archived: parameters.read("archived", "true or false", |text| text.parse().ok()),
            search: parameters.read("search", Name::RULE, Search::parse),
        };
        parameters.finish(Self { query, takes_gzip: gzip::is_accepted(&request) })
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

const CHANGES: [&str; 10] = [
    "name",
    "sku",
    "metadata",
    "price",
    "max_per_hold",
    "max_per_customer",
    "group",
    "visibility",
    "archived",
    "reason",
];

/// The product in the path, of a route with an id or with a SKU.
pub(super) fn key_in_path(request: &HttpRequest) -> Result<ProductKey, Problem> {
    match request.match_info().get("id") {
        Some(id) => ProductId::parse(id).map(ProductKey::Id).ok_or_else(refusals::product_not_found),
        None => products::sku_in_path(request).map(ProductKey::Sku),
    }
}

pub(super) async fn named(store: &Store, key: &ProductKey) -> Result<ProductId, Problem> {
    store.product_named(key).await?.ok_or_else(refusals::product_not_found)
}

pub(super) fn read_change(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<(ProductChange, Option<Reason>)> {
    let mut object = Object::open(json, "", &CHANGES, errors)?;
    let no_group = object.clears("group").then_some(None);
    let change = ProductChange {
        name: object.text("name", Name::RULE, Name::parse),
        sku: object.text("sku", Sku::RULE, Sku::parse),
        metadata: object.metadata_change(),
        price: object.text("price", "a decimal string such as 9.99", |text| Amount::parse_price(text, 4)),
        max_per_hold: object.count("max_per_hold", 1, PER_HOLD_MAX).and_then(Quantity::new),
        max_per_customer: read_limit(&mut object, "max_per_customer"),
        group: no_group.or_else(|| object.text("group", Group::RULE, Group::parse).map(Some)),
        visibility: object.text("visibility", Visibility::RULE, Visibility::parse),
        archived: object.flag("archived"),
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

fn wrong_price(code: &'static str, detail: String) -> Problem {
    Problem::of_fields(&[FieldError { pointer: "/price".to_owned(), code, detail: detail.into() }])
}

fn below_promised(floor: u64) -> Problem {
    let detail = format!("{floor} units are held, pending or sold: there cannot be fewer");
    Problem::new(Code::BelowPromised, detail).with("floor", floor)
}
