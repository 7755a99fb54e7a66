//! /api/admin/sales: the terms under which products are sold.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Data};

use super::{Parameters, acts, authorize, groups, products::read_limit};
use crate::{
    domain::{
        act::{Act, Reason},
        ids::{SaleId, Shards},
        outcome::{ChangeSaleOutcome, FindSaleOutcome, PutSaleOutcome},
        sale::{OnPaymentEnded, OnPaymentFailed, PaymentAmount, SaleChange, SaleTerm},
        text::Name,
        visibility::Visibility,
    },
    http::{
        answer, body,
        extract::{FromHttp, Parsed},
        fields::{Json, Object},
        problem::{Code, FieldError, Problem},
        refusals,
    },
    store::Store,
    wire::{sale::SaleBody, time},
};

/// The longest length of a term, in seconds: a year.
const SECONDS_MAX: u64 = 31_536_000;
const COOLDOWN_HOLDS_MAX: u64 = 1_000;
const FIELDS: [&str; 19] = [
    "name",
    "starts_at",
    "ends_at",
    "paused",
    "hold_seconds",
    "hold_seconds_max",
    "payment_seconds",
    "payment_seconds_max",
    "review_seconds",
    "payment_amount",
    "on_payment_failed",
    "on_payment_ended",
    "restock_refunds",
    "cooldown_holds",
    "cooldown_seconds",
    "cooldown_counts_releases",
    "max_per_customer",
    "max_per_group",
    "visibility",
];

pub(in crate::http) async fn create(
    store: Data<Store>,
    Parsed(request): Parsed<CreateRequest>,
) -> Result<HttpResponse, Problem> {
    let id = request.id.unwrap_or_else(|| store.ids().new_sale());
    match store.put_sale(&id, request.shards, &request.terms, &request.act).await? {
        PutSaleOutcome::Created(sale) => {
            acts::log(&request.act, "sale.created", &format!("sale {id}"));
            Ok(answer::json(StatusCode::CREATED, &SaleBody::of(&sale)))
        }
        PutSaleOutcome::AlreadyExists => {
            Err(Problem::new(Code::AlreadyExists, "there is a sale with this id already; PATCH changes it"))
        }
    }
}

pub(in crate::http) async fn change(
    store: Data<Store>,
    Parsed(request): Parsed<ChangeRequest>,
) -> Result<HttpResponse, Problem> {
    let ChangeRequest { id, change, act } = request;
    let limits_groups = change.max_per_group.flatten().is_some();
    match store.change_sale(&id, &change, &act).await? {
        ChangeSaleOutcome::Changed(change) => {
            acts::log_sale(&act, "sale.changed", &change);
            let mut body = SaleBody::of(&change.after);
            if limits_groups {
                body.warnings = groups::warnings_of(&store, &id).await;
            }
            Ok(answer::json(StatusCode::OK, &body))
        }
        ChangeSaleOutcome::SaleNotFound => Err(refusals::sale_not_found()),
        ChangeSaleOutcome::TermsConflict { term } => Err(Problem::of_fields(&[conflict(term)])),
    }
}

pub(in crate::http) async fn read(
    store: Data<Store>,
    Parsed(ReadRequest(id)): Parsed<ReadRequest>,
) -> Result<HttpResponse, Problem> {
    match store.find_sale(&id).await? {
        FindSaleOutcome::Found(sale) => Ok(answer::fresh_json(StatusCode::OK, &SaleBody::of(&sale))),
        FindSaleOutcome::SaleNotFound => Err(refusals::sale_not_found()),
    }
}

pub(in crate::http) async fn list(
    store: Data<Store>,
    Parsed(request): Parsed<ListRequest>,
) -> Result<HttpResponse, Problem> {
    let (sales, more) = store.list_sales(request.after.as_ref(), request.limit).await?;
    let rows: Vec<_> = sales.iter().map(SaleBody::of).collect();
    let next = sales.last().filter(|_| more).map(|sale| sale.id.as_str().to_owned());
    Ok(answer::page(rows, next))
}

#[derive(Debug)]
pub(in crate::http) struct CreateRequest {
    id: Option<SaleId>,
    shards: Shards,
    terms: SaleChange,
    act: Act,
}

impl FromHttp for CreateRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        let act = authorize(&request)?;
        let (id, shards, terms) = body::read_json(&request, &mut payload, read_sale).await?;
        Ok(Self { id, shards, terms, act })
    }
}

pub(in crate::http) struct ChangeRequest {
    id: SaleId,
    change: SaleChange,
    act: Act,
}

impl FromHttp for ChangeRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        let act = authorize(&request)?;
        let id = id_in_path(&request)?;
        let (change, reason) = body::read_json(&request, &mut payload, read_change).await?;
        Ok(Self { id, change, act: act.because(reason) })
    }
}

pub(in crate::http) struct ReadRequest(SaleId);

impl FromHttp for ReadRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        id_in_path(&request).map(Self)
    }
}

pub(in crate::http) struct ListRequest {
    after: Option<SaleId>,
    limit: usize,
}

impl FromHttp for ListRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let mut parameters = Parameters::of(&request, &["limit", "cursor"]);
        let after = parameters.read("cursor", "the next_cursor of a page before", SaleId::parse);
        let limit = parameters.limit();
        parameters.finish(Self { after, limit })
    }
}

fn id_in_path(request: &HttpRequest) -> Result<SaleId, Problem> {
    SaleId::parse(request.match_info().query("id")).ok_or_else(refusals::sale_not_found)
}

pub(super) fn read_sale(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<(Option<SaleId>, Shards, SaleChange)> {
    let known = [&["id", "shards"], &FIELDS[..]].concat();
    let mut object = Object::open(json, "", &known, errors)?;
    let id = object.text("id", "1 to 32 of a-z, 0-9 and -, and not p followed by digits", |text| {
        SaleId::parse(text).filter(|sale| !sale.is_reserved())
    });
    let shards = read_shards(&mut object).unwrap_or(Shards::ONE);
    let terms = read_terms(&mut object);
    Some((id, shards, terms))
}

pub(super) fn read_change(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<(SaleChange, Option<Reason>)> {
    let known = [&FIELDS[..], &["reason", "shards"]].concat();
    let mut object = Object::open(json, "", &known, errors)?;
    if object.has("shards") {
        object.complain("shards", "immutable", "a sale keeps its number of shards for ever");
    }
    Some((read_terms(&mut object), acts::reason_in(&mut object)))
}

pub(super) fn read_shards(object: &mut Object<'_, '_>) -> Option<Shards> {
    object.count("shards", 1, Shards::MAX).and_then(Shards::new)
}

fn read_terms(object: &mut Object<'_, '_>) -> SaleChange {
    let change = SaleChange {
        name: object.text("name", Name::RULE, Name::parse),
        starts_ms: read_instant(object, "starts_at"),
        ends_ms: read_instant(object, "ends_at"),
        paused: object.flag("paused"),
        hold_ms: read_seconds(object, "hold_seconds", 1),
        hold_max_ms: read_bound(object, "hold_seconds_max"),
        payment_ms: read_seconds(object, "payment_seconds", 1),
        payment_max_ms: read_seconds(object, "payment_seconds_max", 1),
        review_ms: read_seconds(object, "review_seconds", 1),
        payment_amount: object.text("payment_amount", "at_least or exact", PaymentAmount::parse),
        on_payment_ended: object.text("on_payment_ended", "keep or release", OnPaymentEnded::parse),
        on_payment_failed: object.text("on_payment_failed", "release or keep", OnPaymentFailed::parse),
        restock_refunds: object.flag("restock_refunds"),
        cooldown_holds: object.count("cooldown_holds", 0, COOLDOWN_HOLDS_MAX),
        cooldown_ms: read_seconds(object, "cooldown_seconds", 0),
        cooldown_counts_releases: object.flag("cooldown_counts_releases"),
        max_per_customer: read_limit(object, "max_per_customer"),
        max_per_group: read_limit(object, "max_per_group"),
        visibility: object.text("visibility", Visibility::RULE, Visibility::parse),
    };
    for term in change.conflicts() {
        object.errors().push(conflict(term));
    }
    change
}

/// `Some(None)`: null takes the instant away.
#[expect(clippy::option_option, reason = "as in SaleChange: to set, to take away, or to leave")]
fn read_instant(object: &mut Object<'_, '_>, name: &str) -> Option<Option<i64>> {
    if object.clears(name) {
        return Some(None);
    }
    object.text(name, "an RFC 3339 time such as 2026-11-27T09:00:00Z", time::parse).map(Some)
}

/// `Some(None)`: null takes the bound away, and `hold_seconds` counts instead.
#[expect(clippy::option_option, reason = "as in SaleChange: to set, to take away, or to leave")]
fn read_bound(object: &mut Object<'_, '_>, name: &str) -> Option<Option<u64>> {
    if object.clears(name) {
        return Some(None);
    }
    read_seconds(object, name, 1).map(Some)
}

fn read_seconds(object: &mut Object<'_, '_>, name: &str, least: u64) -> Option<u64> {
    object.count(name, least, SECONDS_MAX).map(|seconds| seconds * 1_000)
}

fn conflict(term: SaleTerm) -> FieldError {
    let (field, detail) = match term {
        SaleTerm::HoldLength => ("hold_seconds", "hold_seconds must not be more than hold_seconds_max"),
        SaleTerm::PaymentLength => ("payment_seconds", "payment_seconds must not be more than payment_seconds_max"),
        SaleTerm::End => ("ends_at", "ends_at must be after starts_at"),
    };
    FieldError { pointer: format!("/{field}"), code: "conflict", detail: detail.into() }
}
