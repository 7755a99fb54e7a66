//! GET /api/admin/reviews and POST /api/admin/reviews/{id}/resolve.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, web::Data};
use serde::Serialize;
use serde_json::json;

use super::{Parameters, authorize, sale_not_found};
use crate::{
    domain::{
        cursor::ListCursor,
        ids::SaleId,
        outcome::{ListReviewsOutcome, ResolveOutcome},
        review::{Note, Review, ReviewId, ReviewReason, ReviewStatus, Subject},
    },
    http::{
        body,
        extract::{Ask, Asked},
        fields::{Json, Object},
        problem::{Code, FieldError, Problem},
        products::NO_STORE,
        time::rfc3339,
    },
    store::Store,
};

pub(in crate::http) async fn list(store: Data<Store>, Asked(ask): Asked<ListRequest>) -> Result<HttpResponse, Problem> {
    let ListRequest { status, sale, after, limit } = ask;
    match store.list_reviews(status, sale.as_ref(), after.as_ref(), limit).await? {
        ListReviewsOutcome::Reviews { reviews, next } => {
            let rows: Vec<_> = reviews.iter().map(ReviewBody::of).collect();
            let next = next.map(|cursor| cursor.to_string());
            Ok(HttpResponse::Ok().insert_header(NO_STORE).json(json!({"data": rows, "next_cursor": next})))
        }
        ListReviewsOutcome::SaleNotFound => Err(sale_not_found()),
    }
}

pub(in crate::http) async fn resolve(
    store: Data<Store>,
    Asked(ask): Asked<ResolveRequest>,
) -> Result<HttpResponse, Problem> {
    match store.resolve(&ask.id, &ask.note).await? {
        ResolveOutcome::Resolved(review) | ResolveOutcome::AlreadyResolved(review) => {
            Ok(HttpResponse::Ok().json(ReviewBody::of(&review)))
        }
        ResolveOutcome::ReviewNotFound => Err(not_found()),
    }
}

pub(in crate::http) struct ListRequest {
    status: ReviewStatus,
    sale: Option<SaleId>,
    after: Option<ListCursor>,
    limit: usize,
}

impl Ask for ListRequest {
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

pub(in crate::http) struct ResolveRequest {
    id: ReviewId,
    note: Note,
}

impl Ask for ResolveRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let id = ReviewId::parse(request.match_info().query("id")).ok_or_else(not_found)?;
        let note = body::read_json(&request, &mut payload, read_note).await?;
        Ok(Self { id, note })
    }
}

fn read_note(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<Note> {
    Object::open(json, "", &["note"], errors)?.required_text("note", "1 to 1000 characters", Note::parse)
}

fn not_found() -> Problem {
    Problem::new(Code::ReviewNotFound, "there is no review with this id")
}

/// A review on the wire. `sale` and `order_id` are null for what named nothing of ours; `reference` is what it named.
#[derive(Serialize)]
pub(super) struct ReviewBody<'a> {
    id: String,
    status: &'static str,
    reason: &'static str,
    sale: Option<&'a str>,
    order_id: Option<&'a str>,
    reference: Option<&'a str>,
    event: &'static str,
    event_id: &'a str,
    payment_id: Option<&'a str>,
    amount: Option<String>,
    currency: Option<&'static str>,
    opened_at: String,
    resolved_at: Option<String>,
    note: Option<&'a str>,
}

impl<'a> ReviewBody<'a> {
    pub(super) fn of(review: &'a Review) -> Self {
        let (sale, order_id, reference) = match &review.subject {
            Subject::Order(order) => (Some(review.id.sale.as_str()), Some(order.as_str()), None),
            Subject::Unmatched(named) => (None, None, Some(named.as_str())),
        };
        Self {
            id: review.id.to_string(),
            status: if review.resolved_ms.is_some() { "resolved" } else { "open" },
            reason: reason_word(review.reason),
            sale,
            order_id,
            reference,
            event: review.status.as_str(),
            event_id: &review.event,
            payment_id: review.payment.as_deref(),
            amount: review.amount.map(|amount| amount.written(review.currency.as_ref())),
            currency: review.currency.map(|currency| currency.code()),
            opened_at: rfc3339(review.opened_ms),
            resolved_at: review.resolved_ms.map(rfc3339),
            note: review.note.as_deref(),
        }
    }
}

fn reason_word(reason: ReviewReason) -> &'static str {
    match reason {
        ReviewReason::AmountMismatch => "amount_mismatch",
        ReviewReason::DuplicatePayment => "duplicate_payment",
        ReviewReason::RefundMismatch => "refund_mismatch",
        ReviewReason::HoldExpired => "hold_expired",
        ReviewReason::UnitsGone => "units_gone",
        ReviewReason::OrderCancelled => "order_cancelled",
        ReviewReason::Unmatched => "unmatched",
    }
}
