//! POST /api/holds, GET and DELETE /api/holds/{id}, POST /api/holds/{id}/extend.

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    http::{
        StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
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
        hold::{Hold, HoldBySku, HoldCommand, Line, Lines},
        ids::{HoldId, ProductId},
        outcome::{ExtendOutcome, FindHoldOutcome, HoldBySkuOutcome, HoldOutcome, ReleaseOutcome},
        quantity::Quantity,
        sku::{Sku, SkuLine},
        text::{CustomerId, IdempotencyKey},
    },
    store::Store,
    wire::hold::HoldBody,
};

pub(super) const PATH: &str = "/api/holds";
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Lines that a body may list. Lines of the same product are summed.
const ITEMS_MAX: usize = 64;
/// The longest hold that a body may ask for, in seconds. The sale caps it further.
const TTL_SECONDS_MAX: u64 = 1_000_000_000;

pub(super) async fn create(store: Data<Store>, Parsed(request): Parsed<HoldRequest>) -> Result<HttpResponse, Problem> {
    hold(&store, request).await
}

pub(super) async fn hold(store: &Store, request: HoldRequest) -> Result<HttpResponse, Problem> {
    match request {
        HoldRequest::ById(command) => answered(store.count(store.hold(command).await)?),
        // Boxed, so that the many holds by id are small while they wait.
        HoldRequest::BySku(request) => answered(Box::pin(hold_by_sku(store, *request)).await?),
    }
}

/// The answer to a buyer who wants a hold.
pub(super) fn answered(outcome: HoldOutcome) -> Result<HttpResponse, Problem> {
    match outcome {
        HoldOutcome::Held(hold) => Ok(created(&hold)),
        HoldOutcome::Replayed(hold) => Ok(replayed(&hold)),
        HoldOutcome::IdempotencyKeyReused => Err(refusals::key_reused()),
        HoldOutcome::ProductNotFound(product) => Err(refusals::product_not_found().with("product_id", product.get())),
        HoldOutcome::ProductsOfDifferentSales => Err(refusals::different_sales()),
        HoldOutcome::QuantityAboveLimit { product, max_per_hold } => Err(refusals::above_limit(product, max_per_hold)),
        HoldOutcome::SaleNotOpen { status, starts_ms, now_ms } => {
            Err(refusals::sale_not_open(status, starts_ms, now_ms))
        }
        HoldOutcome::CustomerIdRequired(limit) => Err(refusals::customer_id_required(&limit)),
        HoldOutcome::CustomerLimitReached { limit, most, remaining } => {
            Err(refusals::customer_limit_reached(&limit, most, remaining))
        }
        HoldOutcome::CustomerCoolingDown { until_ms, now_ms } => Err(refusals::cooling_down(until_ms, now_ms)),
        HoldOutcome::InsufficientStock(shortage) => Err(refusals::insufficient_stock(&shortage)),
    }
}

async fn hold_by_sku(store: &Store, request: HoldBySku) -> Result<HoldOutcome, Problem> {
    match store.count(store.hold_by_sku(request).await)? {
        HoldBySkuOutcome::Decided(outcome) => Ok(outcome),
        HoldBySkuOutcome::SkuNotFound(sku) => Err(refusals::product_not_found().with("sku", sku.as_str())),
        HoldBySkuOutcome::WrongLines(error) => Err(Problem::of_fields(&[FieldError {
            pointer: "/items".to_owned(),
            code: "invalid",
            detail: error.to_string().into(),
        }])),
    }
}

pub(super) async fn read(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    match store.find_hold(&hold_id(&request, &store)?).await? {
        FindHoldOutcome::Active(hold) => Ok(found(&HoldBody::of(&hold, Some("active")))),
        FindHoldOutcome::Converted(order) => Ok(found(&HoldBody::of_converted(&order))),
        FindHoldOutcome::HoldExpired => Err(refusals::hold_expired()),
    }
}

pub(super) async fn release(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    match store.release(&hold_id(&request, &store)?).await? {
        ReleaseOutcome::Released => Ok(HttpResponse::NoContent().finish()),
        ReleaseOutcome::HoldConverted(order) => Err(refusals::hold_converted(&order)),
        ReleaseOutcome::HoldExpired => Err(refusals::hold_expired()),
    }
}

pub(super) async fn extend(
    store: Data<Store>,
    Parsed(request): Parsed<ExtendRequest>,
) -> Result<HttpResponse, Problem> {
    match store.extend(&request.hold, request.more_ms).await? {
        ExtendOutcome::Extended(hold) => Ok(found(&HoldBody::of(&hold, Some("active")))),
        ExtendOutcome::ExtensionLimitReached { deadline_ms } => Err(refusals::extension_limit_reached(deadline_ms)),
        ExtendOutcome::HoldConverted(order) => Err(refusals::hold_converted(&order)),
        ExtendOutcome::HoldExpired => Err(refusals::hold_expired()),
    }
}

/// The body of POST /api/holds/{id}/extend, and the hold in its path.
pub(super) struct ExtendRequest {
    hold: HoldId,
    more_ms: u64,
}

impl FromHttp for ExtendRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        let store = request.app_data::<Data<Store>>().expect("the application registers its store").clone();
        let hold = hold_id(&request, &store)?;
        let more_ms = body::read_json(&request, &mut payload, read_seconds).await?;
        Ok(Self { hold, more_ms })
    }
}

pub(super) fn read_seconds(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<u64> {
    let seconds = Object::open(json, "", &["seconds"], errors)?.required_count("seconds", 1, TTL_SECONDS_MAX)?;
    Some(seconds * 1_000)
}

/// The body of POST /api/holds.
#[derive(Debug)]
pub(super) enum HoldRequest {
    ById(HoldCommand),
    BySku(Box<HoldBySku>),
}

impl FromHttp for HoldRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        wanted(request.headers(), &mut payload, extract::context(&request).limits).await
    }
}

pub(super) async fn wanted(
    headers: &HeaderMap,
    payload: &mut Payload,
    limits: BodyLimits,
) -> Result<HoldRequest, Problem> {
    let idempotency_key = extract::idempotency_key(headers)?;
    let read = |json: Json<'_>, errors: &mut Vec<FieldError>| read_request(json, idempotency_key, errors);
    body::read_json_of(headers, payload, limits, read).await
}

pub(super) fn read_request(
    json: Json<'_>,
    idempotency_key: Option<IdempotencyKey>,
    errors: &mut Vec<FieldError>,
) -> Option<HoldRequest> {
    let known = ["product_id", "sku", "quantity", "items", "customer_id", "metadata", "ttl_seconds"];
    let mut object = Object::open(json, "", &known, errors)?;
    let customer = object.text("customer_id", CustomerId::RULE, CustomerId::parse);
    let metadata = object.metadata();
    let hold_ms = object.count("ttl_seconds", 1, TTL_SECONDS_MAX).map(|seconds| seconds * 1_000);
    let (mut by_id, mut by_sku) = (Vec::with_capacity(1), Vec::new());
    match object.take("items") {
        None => read_line(&mut object, &mut by_id, &mut by_sku)?,
        Some(items) => {
            if ["product_id", "sku", "quantity"].map(|name| object.take(name).is_some()).contains(&true) {
                let detail = "send product_id or sku with quantity, or items, not both";
                object.complain("items", "conflict", detail);
            }
            read_items(items, &mut object, &mut by_id, &mut by_sku)?;
        }
    }
    if !object.errors().is_empty() {
        return None;
    }
    if !by_sku.is_empty() {
        let request = HoldBySku { by_id, by_sku, customer, metadata, hold_ms, idempotency_key };
        return Some(HoldRequest::BySku(Box::new(request)));
    }
    let lines = Lines::new(by_id).map_err(|error| object.complain("items", "invalid", error.to_string())).ok()?;
    Some(HoldRequest::ById(HoldCommand { lines, customer, metadata, hold_ms, idempotency_key }))
}

fn read_items(
    items: Json<'_>,
    object: &mut Object<'_, '_>,
    by_id: &mut Vec<Line>,
    by_sku: &mut Vec<SkuLine>,
) -> Option<()> {
    let Json::List(items) = items else {
        object.complain("items", "not_an_array", "items must be a list");
        return None;
    };
    if items.is_empty() || items.len() > ITEMS_MAX {
        object.complain("items", "wrong_count", format!("items must have 1 to {ITEMS_MAX} lines"));
        return None;
    }
    for (at, item) in items.into_iter().enumerate() {
        let known = ["product_id", "sku", "quantity"];
        if let Some(mut item) = Object::open(item, format!("/items/{at}"), &known, object.errors()) {
            read_line(&mut item, by_id, by_sku);
        }
    }
    Some(())
}

/// Adds the line to the one list or the other. `None` where it is wrong.
fn read_line(object: &mut Object<'_, '_>, by_id: &mut Vec<Line>, by_sku: &mut Vec<SkuLine>) -> Option<()> {
    if !object.has("sku") {
        let product = object.required_count("product_id", 1, ProductId::MAX).and_then(ProductId::new);
        let quantity = object.required_count("quantity", 1, Quantity::MAX).and_then(Quantity::new);
        by_id.push(Line { product: product?, quantity: quantity? });
        return Some(());
    }
    if object.has("product_id") {
        object.complain("sku", "conflict", "send product_id, or sku, one of them");
    }
    let sku = object.text("sku", Sku::RULE, Sku::parse);
    let quantity = object.required_count("quantity", 1, Quantity::MAX).and_then(Quantity::new);
    by_sku.push(SkuLine { sku: sku?, quantity: quantity? });
    Some(())
}

/// The id in the path. An id that was never made here has no valid signature, and is refused without a call to Redis.
fn hold_id(request: &HttpRequest, store: &Store) -> Result<HoldId, Problem> {
    store.ids().parse(request.match_info().query("id")).ok_or_else(refusals::hold_not_found)
}

fn created(hold: &Hold) -> HttpResponse {
    answer::json(StatusCode::CREATED, &HoldBody::of(hold, None))
}

fn replayed(hold: &Hold) -> HttpResponse {
    let mut response = created(hold);
    response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    response
}

fn found(body: &HoldBody<'_>) -> HttpResponse {
    answer::fresh_json(StatusCode::OK, body)
}
