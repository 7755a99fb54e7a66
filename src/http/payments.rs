//! The webhooks of all payment providers: `POST` to the path of each.

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    http::header::{HeaderMap, HeaderValue},
    web::Data,
};
use serde_json::json;

use super::{
    Desk, body,
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
        self, Headers, Message,
        event::EventError,
        signature::{Distrust, Refusal, Verifier},
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

impl Ask for PaymentEvent {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        let desk = extract::desk(&request);
        let (verifier, limits) = (verifier(&desk, &request)?, desk.limits);
        let body = body::read(&request, &mut payload, limits.webhook_bytes_max, limits.read_timeout).await?;
        let message = Message { headers: request.headers(), body: &body, now_seconds: webhook::now_seconds() };
        verifier.open(message).await.map_err(|refusal| match refusal {
            Refusal::Distrusted(reason) => distrusted(verifier, reason),
            Refusal::Misread(error) => misread(error),
        })
    }
}

impl Headers for HeaderMap {
    fn value(&self, name: &str) -> Option<&[u8]> {
        self.get(name).map(HeaderValue::as_bytes)
    }
}

/// The verifier of the provider that sends to this path.
fn verifier<'a>(desk: &'a Desk, request: &HttpRequest) -> Result<&'a Verifier, Problem> {
    let path = request.match_pattern().unwrap_or_default();
    let found = desk.verifiers.iter().find(|verifier| verifier.provider.path == path);
    found.ok_or_else(|| Problem::new(Code::NotFound, "no provider sends payment events to this path"))
}

/// Only the log gets the reason, so that an attacker who forges events learns nothing from the answer.
fn distrusted(verifier: &Verifier, reason: Distrust) -> Problem {
    if let Some(unsaid) = REFUSALS.with(Throttle::pass) {
        tracing::warn!(%reason, path = verifier.provider.path, unsaid, "payment event refused");
    }
    let code = match reason {
        Distrust::Unsigned | Distrust::HeaderIncomplete => Code::SignatureMissing,
        Distrust::TooOld | Distrust::InFuture => Code::TimestampOutOfTolerance,
        Distrust::HeaderUnreadable
        | Distrust::HeaderTooLong
        | Distrust::TooManySignatures
        | Distrust::TimestampUnreadable
        | Distrust::NoKnownVersion
        | Distrust::NoSecret
        | Distrust::NoneFits => Code::SignatureInvalid,
    };
    Problem::new(code, "the event is not trusted; the log of the service says why")
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
        "payment event kept as unmatched"
    );
    received("unmatched", None)
}

fn received(outcome: &'static str, order: Option<&Order>) -> HttpResponse {
    let order = order.map(OrderBody::of);
    HttpResponse::Ok().json(json!({"message": "Webhook received", "outcome": outcome, "order": order}))
}
