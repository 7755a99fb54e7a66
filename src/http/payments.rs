//! The webhooks of all payment providers: `POST` to the path of each.

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    http::{
        StatusCode,
        header::{HeaderMap, HeaderValue},
    },
    web::Data,
};

use super::{
    BodyLimits, HttpContext, answer, body,
    extract::{self, FromHttp, Parsed},
    problem::{Code, FieldError, Problem},
    refusals,
    throttle::{Tally, Throttle},
};
use crate::{
    domain::{
        outcome::{SettleOutcome, Settled},
        payment::PaymentEvent,
    },
    store::Store,
    webhook::{
        self, Headers, Message, Reading,
        event::EventError,
        signature::{Distrust, Refusal, Verifier},
    },
    wire::{
        order::OrderBody,
        webhook::{WebhookBody, WebhookReview},
    },
};

thread_local! {
    static REFUSALS: Throttle = const { Throttle::new() };
    static UNKNOWN_WORDS: Tally = Tally::new();
}

pub(super) async fn webhook(store: Data<Store>, Parsed(reading): Parsed<Reading>) -> Result<HttpResponse, Problem> {
    answer(&store, &reading).await
}

pub(super) async fn answer(store: &Store, reading: &Reading) -> Result<HttpResponse, Problem> {
    Ok(answer::json(StatusCode::OK, &take(store, reading).await?.body()))
}

/// An event that was taken, and what became of it.
pub(super) struct Taken {
    outcome: &'static str,
    settled: Settled,
}

/// Takes the event of a provider that is trusted.
pub(super) async fn take(store: &Store, reading: &Reading) -> Result<Taken, Problem> {
    let taken = |outcome, settled| Ok(Taken { outcome, settled });
    let Reading::Event(event) = reading else { return taken("ignored", Settled::default()) };
    match store.count(store.settle(event).await)? {
        SettleOutcome::Applied(settled) => taken("applied", settled),
        SettleOutcome::Duplicate(settled) => taken("duplicate", settled),
        SettleOutcome::Ignored(settled) => taken("ignored", settled),
        SettleOutcome::RefundRequired(settled) => taken("refund_required", settled),
        SettleOutcome::Review(settled) => taken("review", settled),
        SettleOutcome::Unmatched(settled) => {
            log_unmatched(event, &settled);
            taken("unmatched", settled)
        }
        SettleOutcome::TargetsDiffer => Err(targets_differ()),
        SettleOutcome::IdempotencyKeyReused => Err(refusals::key_reused()),
    }
}

impl FromHttp for Reading {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        let context = extract::context(&request);
        read(verifier(&context, &request)?, request.headers(), &mut payload, context.limits).await
    }
}

/// Reads the event of a provider, if it is trusted.
pub(super) async fn read(
    verifier: &Verifier,
    headers: &HeaderMap,
    payload: &mut Payload,
    limits: BodyLimits,
) -> Result<Reading, Problem> {
    let body = body::read_bytes(headers, payload, limits.webhook_bytes_max, limits.read_timeout).await?;
    let message = Message { headers, body: &body, now_seconds: webhook::now_seconds() };
    let reading = verifier.open(message).await.map_err(|refusal| refused(verifier, refusal))?;
    if let Reading::UnknownStatus(word) = &reading {
        warn_of_unknown(verifier, word);
    }
    Ok(reading)
}

impl Headers for HeaderMap {
    fn value(&self, name: &str) -> Option<&[u8]> {
        self.get(name).map(HeaderValue::as_bytes)
    }
}

/// Which of the verifiers is that of the provider that sends to this path.
pub(super) fn place_of(verifiers: &[Verifier], path: &str) -> Option<usize> {
    verifiers.iter().position(|verifier| verifier.provider.path == path)
}

/// The verifier of the provider that sends to this path.
fn verifier<'a>(context: &'a HttpContext, request: &HttpRequest) -> Result<&'a Verifier, Problem> {
    let path = request.match_pattern().unwrap_or_default();
    let place = place_of(&context.verifiers, &path);
    place
        .map(|place| &context.verifiers[place])
        .ok_or_else(|| Problem::new(Code::NotFound, "no provider sends payment events to this path"))
}

pub(super) fn refused(verifier: &Verifier, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Distrusted(reason) => distrusted(verifier, reason),
        Refusal::OtherMediaType => body::other_media_type(verifier.provider.media_type),
        Refusal::Misread(error) => misread(error),
    }
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

/// Somebody has to teach the shop or this service the word, and can then send the event again.
fn warn_of_unknown(verifier: &Verifier, word: &str) {
    let word = webhook::visible(word);
    if let Some(count) = UNKNOWN_WORDS.with(|words| words.pass(&word)) {
        tracing::warn!(word, count, path = verifier.provider.path, "payment event with an unknown status ignored");
    }
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

fn log_unmatched(event: &PaymentEvent, settled: &Settled) {
    let payment = event.payment.as_ref().map_or("", |payment| payment.as_str());
    let review = settled.review.as_ref().map_or_else(String::new, |(id, _)| id.to_string());
    tracing::warn!(
        event = event.key.as_str(),
        status = event.status.as_str(),
        payment,
        review,
        "payment event kept as unmatched"
    );
}

impl Taken {
    pub(super) fn body(&self) -> WebhookBody<'_> {
        WebhookBody {
            message: "Webhook received".into(),
            outcome: self.outcome.into(),
            order: self.settled.order.as_ref().map(OrderBody::of),
            review: self.settled.review.as_ref().map(WebhookReview::of),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use actix_web::{App, test, web};

    use super::{
        super::{BodyLimits, Draining, Live, MetricsTerms, Pages},
        *,
    };
    use crate::webhook::{Provider, Signed, now_seconds, signature::Signer, standard, unlike};

    const BODY: &str = r#"{"idempotency_key":"k","payload":{"status":"paid","order_id":"order_p1_x"}}"#;

    /// The name of the event that a handler gets from a request of a provider, or else the code of the problem.
    async fn answer(provider: &'static Provider, secret: &str, signed: &Signed) -> String {
        answer_to(provider, secret, signed, Some(provider.media_type), false).await
    }

    async fn answer_to(
        provider: &'static Provider,
        secret: &str,
        signed: &Signed,
        media_type: Option<&str>,
        allow_unsigned: bool,
    ) -> String {
        let verifiers = [Verifier::new(provider, [secret], allow_unsigned, 300).unwrap()];
        let limits = BodyLimits { body_bytes_max: 1, webhook_bytes_max: 4_096, read_timeout: Duration::from_secs(9) };
        let context = HttpContext {
            limits,
            verifiers: verifiers.into(),
            admins: None,
            gate: None,
            cors: None,
            draining: Draining::default(),
            metrics: MetricsTerms::new(false, [], 0),
            live: Arc::new(Live::new(0)),
            pages: Pages::default(),
            simulated_provider: None,
            requests: Arc::default(),
            shows_sequence: false,
        };
        let name = |event: Result<Parsed<Reading>, Problem>| async move {
            match event {
                Ok(Parsed(Reading::Event(event))) => event.key.as_str().to_owned(),
                Ok(Parsed(other)) => format!("{other:?}"),
                Err(problem) => problem.code().row().0.to_owned(),
            }
        };
        let route = web::resource(provider.path).route(web::post().to(name));
        let app = test::init_service(App::new().app_data(Data::new(context)).service(route)).await;
        let mut request = test::TestRequest::post().uri(provider.path).set_payload(signed.body.clone());
        if let Some(media_type) = media_type {
            request = request.insert_header(("content-type", media_type));
        }
        let request =
            signed.headers.iter().fold(request, |request, header| request.insert_header((header.0, &*header.1)));
        let body = test::call_and_read_body(&app, request.to_request()).await;
        String::from_utf8_lossy(&body).into_owned()
    }

    #[actix_web::test]
    async fn a_provider_may_sign_in_the_body_or_with_a_private_key_or_be_asked() {
        let (seed, public_key) = unlike::key_pair();
        let in_body = "000102030405060708090a0b0c0d0e0f";
        let hint = |body: &str| Signed { headers: Vec::new(), body: body.to_owned() };
        let sign = |provider, secret| Signer::new(provider, secret).unwrap().sign("k", now_seconds(), BODY.to_owned());
        for (provider, secret, signed, name) in [
            (&unlike::IN_BODY, in_body, sign(&unlike::IN_BODY, in_body), "k"),
            (&unlike::ASYMMETRIC, &*public_key, sign(&unlike::ASYMMETRIC, &seed), "k"),
            (&unlike::ASKED, unlike::ASKED_TOKEN, hint("id=tr_1"), "tr_1-paid"),
        ] {
            assert_eq!(answer(provider, secret, &signed).await, name, "{}", provider.name);
            assert_eq!(answer(provider, secret, &hint(BODY)).await, "signature_missing", "{}", provider.name);
            let forged = signed.body.replace("order_p1_x", "order_p1_y").replace("tr_1", "tr_2");
            let forged = Signed { body: forged, ..signed };
            assert_eq!(answer(provider, secret, &forged).await, "signature_invalid", "{}", provider.name);
        }
    }

    #[actix_web::test]
    async fn a_signature_counts_whatever_the_headers_call_the_body_and_without_one_it_must_be_called_json() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let provider = &standard::PROVIDER;
        let signed = Signer::new(provider, secret).unwrap().sign("k", now_seconds(), BODY.to_owned());
        let unsigned = Signed { headers: Vec::new(), body: BODY.to_owned() };
        for media_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("é")] {
            assert_eq!(answer_to(provider, secret, &signed, media_type, false).await, "k", "{media_type:?}");
            for (allow_unsigned, code) in [(true, "unsupported_media_type"), (false, "signature_missing")] {
                let code_of = answer_to(provider, secret, &unsigned, media_type, allow_unsigned).await;
                assert_eq!(code_of, code, "{media_type:?}");
            }
        }
        for media_type in ["application/json", "Application/JSON; charset=utf-8"] {
            assert_eq!(answer_to(provider, secret, &unsigned, Some(media_type), true).await, "k");
        }
    }

    #[actix_web::test]
    async fn a_word_that_no_table_knows_is_answered_and_not_settled() {
        let unknown = Signed { headers: Vec::new(), body: BODY.replace("paid", "of next year") };
        let reading = answer_to(
            &standard::PROVIDER,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            &unknown,
            Some("application/json"),
            true,
        );
        assert_eq!(reading.await, "UnknownStatus(\"of next year\")");
        let answer = Taken { outcome: "ignored", settled: Settled::default() };
        let body = serde_json::to_string(&answer.body()).unwrap();
        assert_eq!(body, r#"{"message":"Webhook received","outcome":"ignored","order":null}"#);
    }
}
