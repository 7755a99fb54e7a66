//! POST /api/payments/webhook.

use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::header::HeaderMap, web::Data};
use serde_json::json;

use super::{
    body,
    extract::{self, Ask, Asked},
    holds,
    orders::OrderBody,
    problem::{Code, FieldError, Problem},
    throttle::Throttle,
};
use crate::{
    domain::{order::Order, outcome::SettleOutcome, payment::PaymentEvent},
    store::Store,
    webhook::{
        event::{self, EventError},
        signature::{Distrust, Signed},
    },
};

thread_local! {
    static REFUSALS: Throttle = const { Throttle::new() };
}

pub(super) async fn webhook(store: Data<Store>, Asked(event): Asked<PaymentEvent>) -> Result<HttpResponse, Problem> {
    match store.settle(&event).await? {
        SettleOutcome::Applied(order) => Ok(received("applied", order.as_ref())),
        SettleOutcome::Duplicate(order) => Ok(received("duplicate", order.as_ref())),
        SettleOutcome::Ignored(order) => Ok(received("ignored", order.as_ref())),
        SettleOutcome::RefundRequired(order) => Ok(received("refund_required", order.as_ref())),
        SettleOutcome::Review(order) => Ok(received("review", order.as_ref())),
        SettleOutcome::Unmatched => Ok(unmatched(&event)),
        SettleOutcome::TargetsDiffer => Err(targets_differ()),
        SettleOutcome::IdempotencyKeyReused => Err(holds::key_reused()),
    }
}

/// Read only when its signature is good.
impl Ask for PaymentEvent {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        let desk = extract::desk(&request);
        let limits = desk.limits;
        let bytes = body::read(&request, &mut payload, limits.webhook_bytes_max, limits.read_timeout).await?;
        let signed = signed(request.headers());
        desk.verifier.verify(signed, &bytes, now_seconds()).map_err(distrusted)?;
        event::read(&bytes, signed.id).map_err(misread)
    }
}

/// The names of the specification, and those that its first implementation used.
fn signed(headers: &HeaderMap) -> Signed<'_> {
    let of = |name: &str, older: &str| headers.get(name).or_else(|| headers.get(older)).and_then(|v| v.to_str().ok());
    Signed {
        id: of("webhook-id", "svix-id"),
        timestamp: of("webhook-timestamp", "svix-timestamp"),
        signature: of("webhook-signature", "svix-signature"),
    }
}

fn now_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn distrusted(reason: Distrust) -> Problem {
    if let Some(unsaid) = REFUSALS.with(Throttle::pass) {
        tracing::warn!(%reason, unsaid, "payment event refused");
    }
    let code = match reason {
        Distrust::Missing => Code::SignatureMissing,
        Distrust::Invalid => Code::SignatureInvalid,
        Distrust::OutOfTolerance => Code::TimestampOutOfTolerance,
    };
    Problem::new(code, "the event is not trusted; see the Standard Webhooks specification for how to sign it")
}

fn misread(error: EventError) -> Problem {
    match error {
        EventError::NotJson => body::not_json(),
        EventError::Field { pointer, code, detail } => {
            Problem::of_fields(&[FieldError { pointer: pointer.to_owned(), code, detail: detail.into() }])
        }
    }
}

fn targets_differ() -> Problem {
    Problem::of_fields(&[FieldError {
        pointer: "/payload/hold_id".to_owned(),
        code: "conflict",
        detail: "order_id and hold_id do not belong together; send one of them".into(),
    }])
}

fn unmatched(event: &PaymentEvent) -> HttpResponse {
    let payment = event.payment.as_ref().map_or("", |payment| payment.as_str());
    tracing::warn!(
        event = event.key.as_str(),
        status = event.status.as_str(),
        payment,
        "payment event for an unknown id"
    );
    received("unmatched", None)
}

fn received(outcome: &'static str, order: Option<&Order>) -> HttpResponse {
    let order = order.map(OrderBody::of);
    HttpResponse::Ok().json(json!({"message": "Webhook received", "outcome": outcome, "order": order}))
}
