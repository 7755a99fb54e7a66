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
    #[error("the products at {url} cannot be listed: {why}")]
    NoList { url: String, why: String },
    #[error("{url} has no sale {sale}; `flashsale sale list` shows all sales")]
    NoSale { url: String, sale: String },
    #[error(
        "{what} has no products{}",
        if *.by_admin { " that can be held (hidden and archived ones cannot): `flashsale import` makes some, and `product change --visibility unlisted` \
            opens a hidden one to whoever knows it" }
        else { " that buyers can see: is the id right? --admin-token TOKEN finds unlisted ones too" }
    )]
    NoProducts { what: String, by_admin: bool },
    #[error("sale {sale} {}", closed(.sale, .status, .starts_at.as_deref(), .ends_at.as_deref()))]
    NotOpen { sale: String, status: String, starts_at: Option<String>, ends_at: Option<String> },
    #[error(
        "{what} has no units left: {} are held, {} wait for a payment, {} are sold of {}.\n\
         Wait until some come back, name another product or sale, or name none: the rush then makes a product of its own",
        .stock.held, .stock.pending, .stock.sold, .stock.total
    )]
    NoUnits { what: String, stock: StockCounters },
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
    #[error(
        "interrupted before the first buyer came: nothing is held{}",
        if *.makes_product { ". The product that it makes for itself may be there: `flashsale product list --visibility unlisted`" }
        else { "" }
    )]
    Interrupted { makes_product: bool },
    #[error("the operating system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// What a sale is that gives out no holds, and how to rehearse it.
fn closed(sale: &str, status: &str, starts_at: Option<&str>, ends_at: Option<&str>) -> String {
    let (what, open, close) = match (status, starts_at, ends_at) {
        ("paused", ..) => {
            ("is paused".to_owned(), format!("flashsale sale resume {sale}"), format!("flashsale sale pause {sale}"))
        }
        ("scheduled", Some(at), _) => (
            format!("opens at {at}"),
            format!("flashsale sale change {sale} --no-starts-at"),
            format!("flashsale sale change {sale} --starts-at {at}"),
        ),
        ("ended", _, Some(at)) => (
            format!("ended at {at}"),
            format!("flashsale sale change {sale} --no-ends-at"),
            format!("flashsale sale change {sale} --ends-at {at}"),
        ),
        _ => (format!("is {status}"), format!("flashsale sale change {sale}"), "what undoes it".to_owned()),
    };
    format!(
        "{what}, so nobody gets a hold, and nothing can be proved.\n\
         Where buyers cannot reach it yet, open it for the rehearsal: `{open}`, and afterwards `{close}`.\n\
         Where they can, rush a copy of it: docs/rehearsal.md has the commands that make one"
    )
}

fn advice(error: &TransportError) -> &'static str {
    match error {
        TransportError::NotConnected(ConnectError::Certificate(_)) => {
            "For a certificate authority of your own, name its file in SSL_CERT_FILE"
        }
        _ => "Is the service running there? To start one: flashsale serve --demo",
    }
}
