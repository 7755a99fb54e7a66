//! GET /api/products/{id}/live and GET /api/sales/{id}/live: stock as server-sent events. However many watch, one task of the process
//! reads a product or a sale, at most ten times a second, and what it read is written once for all of them.

mod hub;
mod reader;
mod snapshot;
mod stream;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        ConnectionType, Method, Version,
        header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue},
    },
    rt,
    web::{Bytes, Data},
};
use futures_util::stream as streams;

pub use self::hub::Live;
use self::{hub::Topic, reader::look, snapshot::Snapshot, stream::Watcher};
use super::{
    HttpContext,
    edge::Hangup,
    problem::{Code, Problem},
    refusals,
};
use crate::{
    domain::ids::{ProductId, SaleId},
    store::{Failure, Store},
};

/// nginx passes an answer with it on as it comes.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
const LAST_EVENT_ID: &str = "last-event-id";
const RETRY_SECONDS: u64 = 5;

pub(super) async fn product(
    request: HttpRequest,
    store: Data<Store>,
    context: Data<HttpContext>,
) -> Result<HttpResponse, Problem> {
    let id = ProductId::parse(request.match_info().query("id")).ok_or_else(refusals::product_not_found)?;
    watch(Topic::Product(id), &request, store, &context).await
}

pub(super) async fn sale(
    request: HttpRequest,
    store: Data<Store>,
    context: Data<HttpContext>,
) -> Result<HttpResponse, Problem> {
    let id = SaleId::parse(request.match_info().query("id")).ok_or_else(refusals::sale_not_found)?;
    watch(Topic::Sale(id), &request, store, &context).await
}

async fn watch(
    topic: Topic,
    request: &HttpRequest,
    store: Data<Store>,
    context: &HttpContext,
) -> Result<HttpResponse, Problem> {
    let place = context.live.enter().ok_or_else(too_many)?;
    let snapshots = match context.live.follow(&topic) {
        Some(snapshots) => snapshots,
        None => begin(topic, store, context).await?,
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store, no-transform"))
        .insert_header(UNBUFFERED);
    if request.method() == Method::HEAD {
        return Ok(unchunked_if_old(request, response.streaming(streams::empty::<Result<Bytes, Failure>>())));
    }
    let known = request.headers().get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let watcher = Watcher::new(snapshots, known, place, context.draining.clone(), Hangup::of(request));
    Ok(unchunked_if_old(request, response.streaming(watcher.events())))
}

/// HTTP/1.0, which nginx speaks unless it is set to 1.1, knows no chunks: such a stream ends with its connection.
fn unchunked_if_old(request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    if request.version() < Version::HTTP_11 {
        response.head_mut().no_chunking(true);
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

/// Begins to read a topic, unless somebody else has begun meanwhile.
async fn begin(topic: Topic, store: Data<Store>, context: &HttpContext) -> Result<hub::Snapshots, Problem> {
    let Some(rows) = look(&store, &topic).await? else {
        return Err(match topic {
            Topic::Product(_) => refusals::product_not_found(),
            Topic::Sale(_) => refusals::sale_not_found(),
        });
    };
    let first = Snapshot::first(topic.sale(), rows);
    let (snapshots, reading) = context.live.begin(topic, first);
    if let Some(reading) = reading {
        rt::spawn(reader::read(store, reading));
    }
    Ok(snapshots)
}

fn too_many() -> Problem {
    let detail = "as many watch as this worker serves: read the product once in a while instead, or try again";
    Problem::new(Code::TooManyWatchers, detail).retry_after(RETRY_SECONDS)
}
