//! POST /demo/payments: a payment provider for trying things. It signs its events, and the service takes them as it takes those of
//! any provider. Only the demo has it.

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    http::{
        StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    web::Data,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;

use super::{
    HttpContext, answer, body,
    extract::{FromHttp, Parsed},
    fields::{Json, Object},
    payments,
    problem::{Code, FieldError, Problem},
    refusals,
};
use crate::{
    domain::{
        money::{Amount, Currency},
        order::Order,
        outcome::FindOrderOutcome,
    },
    store::Store,
    webhook::{
        Message, Sample, SampleKind, Signed, now_seconds,
        signature::{Signer, Verifier},
        standard,
    },
    wire::webhook::WebhookBody,
};

/// So often the same event may be sent.
const COPIES_MAX: u64 = 5;
const TOLERANCE_SECONDS: u64 = 300;
const SECRET_BYTES: usize = 24;
/// Most decimals of any currency.
const DECIMALS_MAX: usize = 4;

/// Its own secret, which nobody else knows.
pub struct SimulatedProvider {
    signer: Signer,
    verifier: Verifier,
}

/// What a page asks it to do.
pub(super) struct Wish {
    order: String,
    kind: SampleKind,
    /// The payment that it is about. `None`: the first of the order.
    payment: Option<String>,
    /// `None`: what the order costs.
    amount: Option<Amount>,
    copies: u64,
}

/// What it was answered, for each event that it sent.
#[derive(Serialize)]
struct Sent<'a> {
    sent: Vec<WebhookBody<'a>>,
}

impl SimulatedProvider {
    /// `None`: there are no random numbers.
    pub fn new() -> Option<Self> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).ok()?;
        let secret = format!("whsec_{}", BASE64_STANDARD.encode(bytes));
        let verifier = Verifier::new(&standard::PROVIDER, [&*secret], false, TOLERANCE_SECONDS).ok()?;
        Some(Self { signer: Signer::new(&standard::PROVIDER, &secret)?, verifier })
    }

    fn event(&self, wish: &Wish, order: &Order, key: &str) -> Signed {
        let payment = wish.payment.clone().unwrap_or_else(|| format!("pi_{}", order.hold.key()));
        let total = |(amount, currency): &(Amount, Currency)| (wish.amount.unwrap_or(*amount), *currency);
        let sample = Sample {
            key,
            kind: wish.kind,
            target: &wish.order,
            payment: &payment,
            money: order.total.as_ref().map(total),
            is_partial: wish.amount.is_some(),
            sent_seconds: now_seconds(),
        };
        self.signer.sign(key, now_seconds(), (standard::PROVIDER.write)(&sample))
    }
}

pub(super) const PATH: &str = "/demo/payments";

pub(super) async fn pay(
    store: Data<Store>,
    context: Data<HttpContext>,
    Parsed(wish): Parsed<Wish>,
) -> Result<HttpResponse, Problem> {
    let nobody = || Problem::new(Code::NotFound, "only a demo has a simulated provider");
    let provider = context.simulated_provider.as_ref().ok_or_else(nobody)?;
    let id = store.ids().parse(&wish.order).ok_or_else(refusals::order_not_found)?;
    let FindOrderOutcome::Found(order) = store.find_order(&id).await? else {
        return Err(refusals::order_not_found());
    };
    let key = format!("demo-{:016x}", getrandom::u64().unwrap_or_default());
    let signed = provider.event(&wish, &order, &key);
    let mut answers = Vec::new();
    for _ in 0..wish.copies {
        let headers = headers(&signed);
        let message = Message { headers: &headers, body: signed.body.as_bytes(), now_seconds: now_seconds() };
        let reading =
            provider.verifier.open(message).await.map_err(|refusal| payments::refused(&provider.verifier, refusal))?;
        answers.push(payments::take(&store, &reading).await?);
    }
    let sent = answers.iter().map(payments::Taken::body).collect();
    Ok(answer::fresh_json(StatusCode::OK, &Sent { sent }))
}

fn headers(signed: &Signed) -> HeaderMap {
    let pairs = signed.headers.iter().filter_map(|(name, value)| {
        Some((HeaderName::try_from(*name).ok()?, HeaderValue::try_from(value.as_str()).ok()?))
    });
    pairs.collect()
}

impl FromHttp for Wish {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        body::read_json(&request, &mut payload, read_wish).await
    }
}

fn read_wish(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<Wish> {
    let mut object = Object::open(json, "", &["order_id", "event", "payment_id", "amount", "copies"], errors)?;
    let text = |text: &str| Some(text.to_owned());
    let order = object.required_text("order_id", "the id of an order", text);
    let kinds = SampleKind::ALL.map(SampleKind::as_str).join(", ");
    let kind = |word: &str| SampleKind::ALL.into_iter().find(|kind| kind.as_str() == word);
    let kind = object.required_text("event", &format!("one of {kinds}"), kind);
    let payment = object.text("payment_id", "the id of a payment", text);
    let amount = object.text("amount", "an amount, such as \"60.00\"", |text| Amount::parse(text, DECIMALS_MAX).ok());
    let copies = object.count("copies", 1, COPIES_MAX).unwrap_or(1);
    Some(Wish { order: order?, kind: kind?, payment, amount, copies })
}
