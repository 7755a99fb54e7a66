//! Before the first buyer: checks that the service answers and sells, and finds or makes the products.

use serde_json::json;

use super::{
    error::RushError,
    limits::{Limits, SaleLimits},
    plan::{ProductChoice, RushPlan},
    products::{ProductReader, WantedProduct},
    stock::StockCounters,
};
use crate::{
    tools::{
        client::{
            Bounds, CallPath, TIMEOUT,
            api::{ApiCall, ApiClient, CallError, Refusal},
        },
        text::cut,
    },
    wire::product::ProductBody,
};

const NAME: &str = "Rehearsal";
const PRICE: &str = "50.00";
const DETAIL_CHARS_MAX: usize = 300;
/// The public list of a shop may be long.
const BOUNDS: Bounds = Bounds { timeout: TIMEOUT, body_bytes_max: 64 << 20 };

/// What the buyers will want.
pub struct Prepared {
    /// By id, as before the first buyer.
    pub products: Vec<WantedProduct>,
    pub limits: Limits,
    pub reader: ProductReader,
    /// Whether the counters are read over the admin routes.
    pub by_admin: bool,
}

impl Prepared {
    /// The counters of the products before the first buyer.
    pub fn stock(&self) -> Vec<StockCounters> {
        self.products.iter().map(|product| product.stock).collect()
    }

    /// The available units of the products before the first buyer.
    pub fn available(&self) -> Vec<i64> {
        self.products.iter().map(|product| product.stock.available).collect()
    }
}

/// # Errors
/// [`RushError`].
pub async fn prepare(plan: &RushPlan) -> Result<Prepared, RushError> {
    let prepared = match &plan.product {
        ProductChoice::Existing { product } => first_read(plan, *product).await?,
        ProductChoice::New { units } => first_read(plan, create(plan, *units).await?).await?,
        ProductChoice::Sale { sale } => first_list(plan, sale).await?,
    };
    let Some(first) = prepared.products.first() else {
        return Err(RushError::NoProducts { what: plan.product.to_string(), by_admin: prepared.by_admin });
    };
    if let Some(status) = first.status.as_ref().filter(|status| *status != "live") {
        let sale = first.sale.clone().unwrap_or_default();
        let (starts_at, ends_at) = (first.starts_at.clone(), first.ends_at.clone());
        return Err(RushError::NotOpen { sale, status: status.clone(), starts_at, ends_at });
    }
    let stock = StockCounters::sum(&prepared.stock());
    if stock.available <= 0 {
        return Err(RushError::NoUnits { what: plan.product.to_string(), stock });
    }
    Ok(prepared)
}

/// The first read goes through the storefront, to prove that buyers are admitted. Later reads use the admin route if
/// there is a token, so they do not use up the buyers' rate limit.
async fn first_read(plan: &RushPlan, product: u64) -> Result<Prepared, RushError> {
    let mut reader = ProductReader::as_buyer(client(plan, None)?, product);
    let products = reader.find().await.map_err(|error| explain_read(plan, product, error))?;
    let mut by_admin = false;
    let mut limits = None;
    if let Some(token) = &plan.admin_token {
        let mut as_admin = ProductReader::as_admin(client(plan, Some(token))?, product);
        match as_admin.find().await {
            Ok(_) => (reader, by_admin) = (as_admin, true),
            Err(CallError::Transport(source)) => return Err(explain(plan, source.into())),
            Err(_) => {}
        }
        if let Some(sale) = products.first().and_then(|product| product.sale.as_deref()).filter(|_| by_admin) {
            limits = Some(sale_limits(plan, token, sale).await?);
        }
    }
    Ok(Prepared { limits: Limits::new(&products, limits), products, reader, by_admin })
}

/// All products of the sale. With an admin token the list is the admin's, and one product is read as a buyer reads it, to
/// prove that buyers are admitted.
async fn first_list(plan: &RushPlan, sale: &str) -> Result<Prepared, RushError> {
    let Some(token) = &plan.admin_token else {
        let mut reader = ProductReader::of_sale(client(plan, None)?, sale, false);
        let products = match reader.find().await {
            // It may be one that buyers do not see.
            Err(CallError::Refused(refusal)) if refusal.code == "sale_not_found" => Vec::new(),
            found => found.map_err(|error| explain_read(plan, 0, error))?,
        };
        return Ok(Prepared { limits: Limits::new(&products, None), products, reader, by_admin: false });
    };
    let limits = sale_limits(plan, token, sale).await?;
    let mut reader = ProductReader::of_sale(client(plan, Some(token))?, sale, true);
    let products = reader.find().await.map_err(|error| explain_admin(plan, sale, error))?;
    if let Some(first) = products.first() {
        let as_buyer = ProductReader::as_buyer(client(plan, None)?, first.id).find().await;
        as_buyer.map_err(|error| explain_read(plan, first.id, error))?;
    }
    Ok(Prepared { limits: Limits::new(&products, Some(limits)), products, reader, by_admin: true })
}

async fn sale_limits(plan: &RushPlan, token: &str, sale: &str) -> Result<SaleLimits, RushError> {
    let path = CallPath::of("/api/admin/sales").segment(sale);
    let reply = client(plan, Some(token))?.send(ApiCall::get(path)).await;
    reply.and_then(|reply| reply.json()).map_err(|error| explain_admin(plan, sale, error))
}

/// Makes a product, which buyers of the shop do not see in its list; gives its id.
async fn create(plan: &RushPlan, units: u64) -> Result<u64, RushError> {
    let Some(token) = &plan.admin_token else {
        // Asked all the same, because a service that does not answer is the first thing to report.
        return match client(plan, None)?.send(ApiCall::get(CallPath::of("/livez"))).await {
            Err(CallError::Transport(source)) => Err(explain(plan, source.into())),
            _ => Err(RushError::TokenNeeded),
        };
    };
    let body = json!({"name": NAME, "price": PRICE, "total_stock": units, "visibility": "unlisted"});
    let reply = client(plan, Some(token))?.send(ApiCall::post(CallPath::of("/api/admin/products"), &body)).await;
    let created = reply.and_then(|reply| reply.json::<ProductBody<'static>>());
    created.map(|product| product.id).map_err(|error| explain_admin(plan, "", error))
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

fn explain_admin(plan: &RushPlan, sale: &str, error: CallError) -> RushError {
    let url = plan.endpoint.url().to_owned();
    match error {
        CallError::Refused(refusal) => match (refusal.status, refusal.code.as_str()) {
            (401, _) => RushError::UnknownToken { url },
            (404, "sale_not_found") => RushError::NoSale { url, sale: sale.to_owned() },
            (404, _) => RushError::NoAdminRoutes { url },
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
        CallError::Circular { .. } | CallError::Backwards { .. } | CallError::TooLong { .. } => {
            RushError::NoList { url, why: error.to_string() }
        }
    }
}

fn unexpected(url: String, refusal: &Refusal) -> RushError {
    let text = cut(&String::from_utf8_lossy(&refusal.body), DETAIL_CHARS_MAX);
    RushError::Unexpected { url, status: refusal.status, text }
}
