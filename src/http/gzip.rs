//! Long answers, compressed for those who take gzip. Only lists of products are long: no other route pays for a look.

use std::io::Write;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{AcceptEncoding, CONTENT_ENCODING, Encoding, Header, HeaderValue},
    },
    web::{self, Bytes},
};
use flate2::{Compression, write::GzEncoder};

use super::answer;

/// A shorter body is one packet either way.
const BYTES_MIN: usize = 1_024;
/// A longer body is compressed by another thread, because the worker decides holds.
const BYTES_OF_WORKER: usize = 64 << 10;

/// Whether the client takes gzip, and not rather the plain body.
pub(super) fn is_accepted(request: &HttpRequest) -> bool {
    let gzip = Encoding::gzip();
    let accepted = AcceptEncoding::parse(request).ok();
    accepted.and_then(|accepted| accepted.negotiate([Encoding::identity(), gzip.clone()].iter())) == Some(gzip)
}

/// An answer that is exact at its instant. No cache keeps it, so it needs no Vary.
pub(super) async fn fresh(body: Bytes, takes_gzip: bool) -> HttpResponse {
    let packed = match body.len() {
        size if !takes_gzip || size < BYTES_MIN => None,
        size if size <= BYTES_OF_WORKER => packed(&body).ok(),
        _ => {
            let body = body.clone();
            web::block(move || packed(&body)).await.ok().and_then(Result::ok)
        }
    };
    let Some(packed) = packed else { return answer::fresh(StatusCode::OK, body) };
    let mut response = answer::fresh(StatusCode::OK, packed);
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

fn packed(body: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body)?;
    Ok(encoder.finish()?.into())
}
