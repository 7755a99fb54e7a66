//! GET /api/admin/payments/{id}.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Data};

use super::authorize;
use crate::{
    domain::{outcome::FindPaymentOutcome, payment::PaymentId},
    http::{
        answer,
        extract::{FromHttp, Parsed},
        problem::Problem,
        refusals,
    },
    store::Store,
    wire::payment::FoundPaymentBody,
};

pub(in crate::http) async fn read(
    store: Data<Store>,
    Parsed(ReadRequest(id)): Parsed<ReadRequest>,
) -> Result<HttpResponse, Problem> {
    match store.find_payment(&id).await? {
        FindPaymentOutcome::Found { orders, reviews } => {
            Ok(answer::fresh_json(StatusCode::OK, &FoundPaymentBody::of(&id, &orders, &reviews)))
        }
        FindPaymentOutcome::PaymentNotFound => Err(refusals::payment_not_found()),
    }
}

/// The provider's id of a payment.
pub(in crate::http) struct ReadRequest(PaymentId);

impl FromHttp for ReadRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        // Decoded whole: `query` leaves the `%` and `/` of an id encoded.
        let id = request.match_info().load::<String>().ok();
        id.and_then(|id| PaymentId::parse(&id)).map(Self).ok_or_else(refusals::payment_not_found)
    }
}
