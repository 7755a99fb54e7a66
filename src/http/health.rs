//! Whether the process lives, and whether it should get requests.

use actix_web::{HttpResponse, web::Data};
use serde_json::json;

use super::{
    HttpContext,
    problem::{Code, Problem},
};
use crate::store::Store;

pub(super) const LIVEZ: &str = "/livez";
pub(super) const READYZ: &str = "/readyz";

pub(super) async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

pub(super) async fn readyz(context: Data<HttpContext>, store: Data<Store>) -> Result<HttpResponse, Problem> {
    if context.draining.has_begun() {
        return Err(Problem::new(Code::Draining, "this worker is about to stop").retry_after(1));
    }
    store.ready().await?;
    Ok(HttpResponse::Ok().json(json!({"status": "ready"})))
}
