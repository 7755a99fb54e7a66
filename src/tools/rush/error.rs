//! Why there was no rush, and what to do about it.

use super::stock::StockCounters;
use crate::tools::client::{ConnectError, TransportError, api::InvalidToken};

#[derive(Debug, thiserror::Error)]
pub enum RushError {
    #[error("{url} does not answer: {source}.\n{}", advice(.source))]
    Unreachable { url: String, source: TransportError },
    #[error("what answers at {url} is no flashsale service, or --url has a path too many")]
    NotFlashsale { url: String },
    #[error("{url} answered {status} before the rush could begin: {text}")]
    Unexpected { url: String, status: u16, text: String },
    #[error(
        "{url} does not know this API key; it must be one of its http.api_keys. The key is that of --api-key, else the first \
         of http.api_keys of the settings here"
    )]
    UnknownApiKey { url: String },
    #[error("{url} asks buyers for an API key: --api-key KEY, with one of its http.api_keys")]
    ApiKeyNeeded { url: String },
    #[error(
        "{url} has a rate limit, and this address has used it up: a rush comes from one address.\n\
         Rehearse with http.rate_limit_per_second at 0, or with a burst that is larger than the crowd"
    )]
    RateLimited { url: String },
    #[error(
        "{url} has no product {product}; GET {url}/api/products lists all products. Without --product the rush makes its own"
    )]
    NoProduct { url: String, product: u64 },
    #[error(
        "product {product} has no units left: {} are held, {} wait for a payment, {} are sold of {}.\n\
         Wait until some come back, name another product, or leave --product out: the rush then makes its own",
        .stock.held, .stock.pending, .stock.sold, .stock.total
    )]
    NoUnits { product: u64, stock: StockCounters },
    #[error(
        "a rush makes a product of its own, and needs the admin token for it: --admin-token TOKEN, or FLASHSALE_ADMIN__TOKEN.\n\
         `flashsale serve --demo` prints its token. Without a token, rush an existing product: --product 1"
    )]
    TokenNeeded,
    #[error(transparent)]
    InvalidToken(#[from] InvalidToken),
    #[error("{url} refuses this admin token; `flashsale serve --demo` prints the one that it takes")]
    UnknownToken { url: String },
    #[error(
        "{url} has no admin routes: start the service with FLASHSALE_ADMIN__TOKEN, or rush an existing product: --product 1"
    )]
    NoAdminRoutes { url: String },
    #[error("the operating system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

fn advice(error: &TransportError) -> &'static str {
    match error {
        TransportError::NotConnected(ConnectError::Certificate(_)) => {
            "For a certificate authority of your own, name its file in SSL_CERT_FILE"
        }
        _ => "Is the service running there? To start one: flashsale serve --demo",
    }
}
