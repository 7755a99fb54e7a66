//! Whether the process lives, and whether it should get requests.

use actix_web::{HttpResponse, web::Data};
use serde_json::json;

use super::{
    HttpContext,
    problem::{Code, Problem},
};
use crate::store::{Failure, Readiness, Store};

pub(super) const LIVEZ: &str = "/livez";
pub(super) const READYZ: &str = "/readyz";

pub(super) async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

pub(super) async fn readyz(context: Data<HttpContext>, store: Data<Store>) -> Result<HttpResponse, Problem> {
    if context.draining.has_begun() {
        return Err(Problem::new(Code::Draining, "this worker is about to stop").retry_after(1));
    }
    // Still 200, because a service without traffic could not even take the payments and releases that make room.
    let body = match store.ready().await.map_err(unready)? {
        Readiness::Ready => json!({"status": "ready"}),
        Readiness::Partly { away, of } => json!({
            "status": "degraded",
            "code": Code::StoreUnavailable.row().0,
            "detail": format!(
                "{} of {of} Redis servers do not answer, or take no writes ({}): their sales are refused; all others go on",
                away.len(),
                away.iter().map(named).collect::<Vec<_>>().join(", "),
            ),
        }),
        Readiness::Alone { servers } => json!({
            "status": "degraded",
            "code": Code::StoreUnavailable.row().0,
            "detail": format!(
                "{} has fewer replicas than durability.payments asks for: payment events are refused; everything else goes on",
                servers.join(", "),
            ),
        }),
        Readiness::Lost { sales } => json!({
            "status": "degraded",
            "code": Code::StoreReplaced.row().0,
            "detail": format!("the data of sales is gone ({sales}): they are refused; all others go on"),
        }),
        Readiness::Full => json!({
            "status": "degraded",
            "code": Code::StoreFull.row().0,
            "detail": "Redis has no memory left: no new holds, orders, products and sales, no restocking and no change of a product; payments, \
                       releases, reads and changes of sales go on",
        }),
    };
    Ok(HttpResponse::Ok().json(body))
}

/// A server, and the word with which it refuses.
fn named((address, word): &(String, Option<String>)) -> String {
    word.as_ref().map_or_else(|| address.clone(), |word| format!("{address}: {word}"))
}

/// Where a server refused, its own word says why: NOREPLICAS, NOAUTH, LOADING.
fn unready(failure: Failure) -> Problem {
    let word = failure.word().map(str::to_owned);
    let problem = Problem::from(failure);
    match word {
        Some(word) => problem.with("redis_says", word),
        None => problem,
    }
}
