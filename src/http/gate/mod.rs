//! The gate in front of the storefront: the rate limit for each address, then the API keys. Both are off unless they are set.
//! A request that is refused here has no body read, and never reaches Redis.

mod address;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed;
mod limit;
mod network;

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{RequestHead, ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{HeaderMap, HeaderName},
    },
    middleware::Next,
};

use self::{address::Proxies, limit::Limit};
pub use self::{limit::Rate, network::Network};
use super::{
    digests::{Digests, digest},
    extract,
    problem::{Code, Problem},
};

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The scheme of `WWW-Authenticate`. No registered scheme has a header of its own.
const CHALLENGE: &str = "ApiKey";

/// One for all workers, so that an address has one count.
pub struct Gate {
    limit: Option<(Limit, Proxies)>,
    keys: Option<Digests>,
}

impl Gate {
    /// `None` when there is neither a rate nor a key: then every request passes.
    pub fn new<'a>(
        api_keys: impl Iterator<Item = &'a str>,
        rate: Option<Rate>,
        trusted_proxies: Vec<Network>,
    ) -> Option<Self> {
        let limit = rate.map(|rate| (Limit::new(rate), Proxies::new(trusted_proxies)));
        let keys = Some(Digests::of(api_keys)).filter(|keys| !keys.is_empty());
        (limit.is_some() || keys.is_some()).then_some(Self { limit, keys })
    }

    /// # Errors
    /// [`Problem`], when the request may not pass. The limit comes first, so that keys cannot be tried out fast.
    pub(super) fn pass(&self, head: &RequestHead) -> Result<(), Problem> {
        if let Some((limit, proxies)) = &self.limit {
            limit.count(proxies.client(head.peer_addr, head.headers())).map_err(too_many)?;
        }
        match &self.keys {
            Some(keys) if !knows(keys, head.headers()) => Err(unauthorized()),
            _ => Ok(()),
        }
    }
}

/// The gate as middleware of the storefront's routes, for `actix_web::middleware::from_fn`.
pub(super) async fn gate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // Says only which methods there are. A preflight has no key, and costs none of the buyer's calls.
    if *request.method() == Method::OPTIONS {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let gate = extract::context(request.request()).gate.clone();
    match gate.map_or(Ok(()), |gate| gate.pass(request.head())) {
        Ok(()) => Ok(next.call(request).await?.map_into_boxed_body()),
        // The frame renders it, as it does those of handlers.
        Err(problem) => Ok(request.error_response(problem)),
    }
}

fn knows(keys: &Digests, headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(&X_API_KEY);
    match (given.next(), given.next()) {
        (Some(key), None) => keys.find(&digest(key.as_bytes())).is_some(),
        _ => false,
    }
}

fn unauthorized() -> Problem {
    Problem::unauthorized(CHALLENGE, "send X-Api-Key, once, with a key of this shop")
}

fn too_many(wait_seconds: u64) -> Problem {
    Problem::new(Code::RateLimited, "too many requests came from this address; nothing was done, try again later")
        .retry_after(wait_seconds)
}
