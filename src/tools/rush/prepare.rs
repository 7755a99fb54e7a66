//! Before the first buyer: checks that the service answers, and finds or makes the product.

use serde_json::json;

use super::{
    error::RushError,
    plan::{ProductChoice, RushPlan},
    stock::{StockCounters, StockReader},
};
use crate::{
    tools::{
        client::{
            Bounds, TIMEOUT,
            api::{ApiCall, ApiClient, CallError, Refusal},
        },
        text::cut,
    },
    wire::product::ProductBody,
};

const NAME: &str = "Rehearsal";
const PRICE: &str = "50.00";
const DETAIL_CHARS_MAX: usize = 300;
const BOUNDS: Bounds = Bounds { timeout: TIMEOUT, body_bytes_max: 1 << 20 };

/// What the buyers will want.
pub struct Prepared {
    pub product: u64,
    pub reader: StockReader,
    /// The counters before the first buyer.
    pub stock: StockCounters,
}

/// # Errors
/// [`RushError`].
pub async fn prepare(plan: &RushPlan) -> Result<Prepared, RushError> {
    let product = match plan.product {
        ProductChoice::Existing { product } => product,
        ProductChoice::New { units } => create(plan, units).await?,
    };
    let (reader, stock) = first_read(plan, product).await?;
    if stock.available <= 0 {
        return Err(RushError::NoUnits { product, stock });
    }
    Ok(Prepared { product, reader, stock })
}

/// The first read goes through the storefront, to prove that buyers are admitted. Later reads use the admin route if
/// there is a token, so they do not use up the buyers' rate limit.
async fn first_read(plan: &RushPlan, product: u64) -> Result<(StockReader, StockCounters), RushError> {
    let mut as_buyer = StockReader::as_buyer(client(plan, None)?, product);
    let stock = as_buyer.read().await.map_err(|error| explain_read(plan, product, error))?;
    if let Some(token) = &plan.admin_token {
        let mut as_admin = StockReader::as_admin(client(plan, Some(token))?, product);
        match as_admin.read().await {
            Ok(_) => return Ok((as_admin, stock)),
            Err(CallError::Transport(source)) => return Err(explain(plan, source.into())),
            Err(_) => {}
        }
    }
    Ok((as_buyer, stock))
}

/// Makes a product; gives its id.
async fn create(plan: &RushPlan, units: u64) -> Result<u64, RushError> {
    let Some(token) = &plan.admin_token else {
        // Asked all the same, because a service that does not answer is the first thing to report.
        return match client(plan, None)?.send(ApiCall::get("/livez")).await {
            Err(CallError::Transport(source)) => Err(explain(plan, source.into())),
            _ => Err(RushError::TokenNeeded),
        };
    };
    let body = json!({"name": NAME, "price": PRICE, "total_stock": units});
    let reply = client(plan, Some(token))?.send(ApiCall::post("/api/admin/products", &body)).await;
    let created = reply.and_then(|reply| reply.json::<ProductBody<'static>>());
    created.map(|product| product.id).map_err(|error| explain_create(plan, error))
}

fn client(plan: &RushPlan, token: Option<&str>) -> Result<ApiClient, RushError> {
    Ok(ApiClient::bounded(plan.endpoint.clone(), token, BOUNDS)?)
}

fn explain_read(plan: &RushPlan, product: u64, error: CallError) -> RushError {
    let url = plan.endpoint.url().to_owned();
    match error {
        CallError::Refused(refusal) => match (refusal.status, refusal.code.as_str()) {
            (401, _) if plan.endpoint.has_api_key() => RushError::UnknownApiKey { url },
            (401, _) => RushError::ApiKeyNeeded { url },
            (404, "product_not_found") => RushError::NoProduct { url, product },
            (404, _) => RushError::NotFlashsale { url },
            (429, _) => RushError::RateLimited { url },
            _ => unexpected(url, &refusal),
        },
        other => explain(plan, other),
    }
}

fn explain_create(plan: &RushPlan, error: CallError) -> RushError {
    let url = plan.endpoint.url().to_owned();
    match error {
        CallError::Refused(refusal) => match refusal.status {
            401 => RushError::UnknownToken { url },
            404 => RushError::NoAdminRoutes { url },
            _ => unexpected(url, &refusal),
        },
        other => explain(plan, other),
    }
}

/// The error of a call that has no answer of flashsale's.
fn explain(plan: &RushPlan, error: CallError) -> RushError {
    let url = plan.endpoint.url().to_owned();
    match error {
        CallError::Transport(source) => RushError::Unreachable { url, source },
        CallError::Refused(refusal) => unexpected(url, &refusal),
        CallError::NoToken => RushError::TokenNeeded,
        CallError::Unreadable | CallError::InvalidHeader(_) => RushError::NotFlashsale { url },
    }
}

fn unexpected(url: String, refusal: &Refusal) -> RushError {
    let text = cut(&String::from_utf8_lossy(&refusal.body), DETAIL_CHARS_MAX);
    RushError::Unexpected { url, status: refusal.status, text }
}
