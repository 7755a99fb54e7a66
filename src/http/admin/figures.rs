//! GET /api/admin/figures.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Data};

use super::authorize;
use crate::{
    http::{
        answer,
        extract::{FromHttp, Parsed},
        problem::Problem,
    },
    store::Store,
    wire::figures::FiguresBody,
};

pub(in crate::http) async fn read(
    store: Data<Store>,
    Parsed(ReadRequest): Parsed<ReadRequest>,
) -> Result<HttpResponse, Problem> {
    // That Redis is away is a figure too.
    let redis = store.measure_redis().await.ok().map(|(took, now_ms)| (milliseconds(took), now_ms));
    let figures = store.figures();
    let body = FiguresBody::of(&figures.process, figures.started_ms, redis, &figures.sums());
    Ok(answer::fresh_json(StatusCode::OK, &body))
}

/// With a digit for each microsecond.
fn milliseconds(took: std::time::Duration) -> f64 {
    f64::from(u32::try_from(took.as_micros()).unwrap_or(u32::MAX)) / 1_000.0
}

pub(in crate::http) struct ReadRequest;

impl FromHttp for ReadRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request).map(|_| Self)
    }
}
