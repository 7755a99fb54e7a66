//! GET /api/admin/reviews and POST /api/admin/reviews/{id}/resolve.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Data};

use super::{Parameters, acts, authorize};
use crate::{
    domain::{
        act::Act,
        cursor::ListCursor,
        ids::SaleId,
        outcome::{ListReviewsOutcome, ResolveOutcome},
        review::{Note, ReviewAction, ReviewId, ReviewStatus},
    },
    http::{
        answer, body,
        extract::{FromHttp, Parsed},
        fields::{Json, Object},
        problem::{FieldError, Problem},
        refusals,
    },
    store::Store,
    wire::review::ReviewBody,
};

pub(in crate::http) async fn list(
    store: Data<Store>,
    Parsed(request): Parsed<ListRequest>,
) -> Result<HttpResponse, Problem> {
    let ListRequest { status, sale, after, limit } = request;
    match store.list_reviews(status, sale.as_ref(), after.as_ref(), limit).await? {
        ListReviewsOutcome::Reviews { reviews, next } => {
            let rows: Vec<_> = reviews.iter().map(ReviewBody::of).collect();
            let next = next.map(|cursor| cursor.to_string());
            Ok(answer::page(rows, next))
        }
        ListReviewsOutcome::SaleNotFound => Err(refusals::sale_not_found()),
    }
}

pub(in crate::http) async fn read(
    store: Data<Store>,
    Parsed(ReadRequest(id)): Parsed<ReadRequest>,
) -> Result<HttpResponse, Problem> {
    let review = store.find_review(&id).await?.ok_or_else(refusals::review_not_found)?;
    Ok(answer::fresh_json(StatusCode::OK, &ReviewBody::of(&review)))
}

pub(in crate::http) async fn resolve(
    store: Data<Store>,
    Parsed(request): Parsed<ResolveRequest>,
) -> Result<HttpResponse, Problem> {
    let ResolveRequest { id, action, note, act } = request;
    match store.resolve(&id, action, &note, &act).await? {
        ResolveOutcome::Resolved(review) => {
            acts::log(&act, "review.resolved", &format!("{id}, {}", action.as_str()));
            Ok(answer::json(StatusCode::OK, &ReviewBody::of(&review)))
        }
        ResolveOutcome::AlreadyResolved(review)
            if review.action == Some(action) && review.note.as_deref() == Some(note.as_str()) =>
        {
            Ok(answer::json(StatusCode::OK, &ReviewBody::of(&review)))
        }
        ResolveOutcome::AlreadyResolved(review) => Err(refusals::review_resolved(&review)),
        ResolveOutcome::NotAcceptable => Err(refusals::payment_not_acceptable()),
        ResolveOutcome::UnitsGone => Err(refusals::units_gone()),
        ResolveOutcome::ReviewNotFound => Err(refusals::review_not_found()),
    }
}

pub(in crate::http) struct ListRequest {
    status: ReviewStatus,
    sale: Option<SaleId>,
    after: Option<ListCursor>,
    limit: usize,
}

impl FromHttp for ListRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let mut parameters = Parameters::of(&request, &["status", "sale", "limit", "cursor"]);
        let asked = Self {
            status: parameters.read("status", "open or resolved", ReviewStatus::parse).unwrap_or_default(),
            sale: parameters.sale(),
            after: parameters.read("cursor", "the next_cursor of a page before", ListCursor::parse),
            limit: parameters.limit(),
        };
        parameters.finish(asked)
    }
}

pub(in crate::http) struct ReadRequest(ReviewId);

impl FromHttp for ReadRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        id_in_path(&request).map(Self)
    }
}

fn id_in_path(request: &HttpRequest) -> Result<ReviewId, Problem> {
    ReviewId::parse(request.match_info().query("id")).ok_or_else(refusals::review_not_found)
}

pub(in crate::http) struct ResolveRequest {
    id: ReviewId,
    action: ReviewAction,
    note: Note,
    act: Act,
}

impl FromHttp for ResolveRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        let act = authorize(&request)?;
        let id = id_in_path(&request)?;
        let (action, note) = body::read_json(&request, &mut payload, read_decision).await?;
        Ok(Self { id, action, note, act })
    }
}

pub(super) fn read_decision(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<(ReviewAction, Note)> {
    let mut object = Object::open(json, "", &["action", "note"], errors)?;
    let action = object.required_text("action", "accept, refund or dismiss", ReviewAction::parse);
    action.zip(object.required_text("note", "1 to 1000 characters", Note::parse))
}
