//! Before the first buyer: is the service there, and what is to be sold? Says what to do when there is nothing.

use serde::Deserialize;

use super::{
    plan::{Plan, Wanted},
    stock::{Stock, Window},
};
use crate::tools::client::{Answer, Ask, Line, with_header};

const NAME: &str = "Rehearsal";
const PRICE: &str = "50.00";
const DETAIL_CHARS_MAX: usize = 300;

/// What the buyers will want.
pub struct Prepared {
    pub product: u64,
    pub window: Window,
    /// Before the first buyer.
    pub stock: Stock,
}

#[derive(Deserialize)]
struct Made {
    id: u64,
}

/// # Errors
/// Why there can be no rush, and what to do about it.
pub async fn prepare(plan: &Plan, line: &mut Line) -> Result<Prepared, String> {
    match plan.wanted {
        Wanted::Existing { product } => find(plan, line, product).await,
        Wanted::New { units } => {
            let product = make(plan, line, units).await?;
            find(plan, line, product).await
        }
    }
}

async fn find(plan: &Plan, line: &mut Line, product: u64) -> Result<Prepared, String> {
    let url = plan.endpoint.url();
    let (window, answer) = first_look(plan, line, product).await?;
    match answer.status {
        200 => {}
        401 if plan.endpoint.has_api_key() => {
            return Err(format!(
                "{url} does not know this API key; it must be one of its http.api_keys. It is that of --api-key, else \
                 the first of http.api_keys of the settings here"
            ));
        }
        401 => {
            return Err(format!("{url} asks buyers for an API key: --api-key KEY, with one of its http.api_keys"));
        }
        404 => return Err(missing(&answer, url, product)),
        429 => {
            return Err(format!(
                "{url} has a rate limit, and this address has used it up: a rush comes from one address.\n\
                 Rehearse with http.rate_limit_per_second at 0, or with a burst that is larger than the crowd"
            ));
        }
        _ => return Err(unexpected(&answer, url)),
    }
    let stock: Stock = serde_json::from_slice(&answer.body).map_err(|_| stranger(url))?;
    if stock.available <= 0 {
        return Err(format!(
            "product {product} has no units left: {} are held, {} wait for a payment, {} are sold of {}.\n\
             Wait until some come back, name another product, or leave --product out: the rush then makes its own",
            stock.held, stock.pending, stock.sold, stock.total
        ));
    }
    Ok(Prepared { product, window, stock })
}

/// As a buyer, who must be let in; and where that is possible as an admin, who takes nothing from the limit of buyers from then on.
async fn first_look(plan: &Plan, line: &mut Line, product: u64) -> Result<(Window, Answer), String> {
    let window = Window::of_buyers(product);
    let answer = ask(plan, line, window.ask(&plan.endpoint)).await?;
    if let (Some(token), 200) = (&plan.admin_token, answer.status) {
        let better = Window::of_admins(product, token);
        if ask(plan, line, better.ask(&plan.endpoint)).await?.status == 200 {
            return Ok((better, answer));
        }
    }
    Ok((window, answer))
}

/// The id of a new product.
async fn make(plan: &Plan, line: &mut Line, units: u64) -> Result<u64, String> {
    let url = plan.endpoint.url();
    let Some(token) = &plan.admin_token else {
        // Asked all the same: a service that is not there is the better thing to say.
        ask(plan, line, plan.endpoint.get("/livez")).await?;
        return Err("a rush makes a product of its own, and needs the admin token for it: --admin-token TOKEN, or \
                    FLASHSALE_ADMIN__TOKEN.\n`flashsale serve --demo` prints its token. Without one, rush a product \
                    that is there: --product 1"
            .to_owned());
    };
    let body = serde_json::json!({"name": NAME, "price": PRICE, "total_stock": units}).to_string();
    let request =
        with_header(plan.endpoint.post("/api/admin/products", body), "authorization", &format!("Bearer {token}"));
    let answer = ask(plan, line, request).await?;
    match answer.status {
        201 => {}
        401 => return Err(format!("{url} refuses this admin token; `flashsale serve --demo` prints the one it takes")),
        404 => {
            return Err(format!(
                "{url} has no admin routes: start the service with FLASHSALE_ADMIN__TOKEN, or rush a product that is \
                 there: --product 1"
            ));
        }
        _ => return Err(unexpected(&answer, url)),
    }
    let made: Made = serde_json::from_slice(&answer.body).map_err(|_| stranger(url))?;
    Ok(made.id)
}

async fn ask(plan: &Plan, line: &mut Line, request: Ask) -> Result<Answer, String> {
    line.send(request).await.map_err(|lost| {
        let (url, why) = (plan.endpoint.url(), lost.to_string());
        let advice = if why.contains("certificate") {
            "For a certificate authority of your own, name its file in SSL_CERT_FILE"
        } else {
            "Is the service running there? To start one: flashsale serve --demo"
        };
        format!("{url} does not answer: {why}.\n{advice}")
    })
}

fn missing(answer: &Answer, url: &str, product: u64) -> String {
    if code(answer) == "product_not_found" {
        return format!(
            "{url} has no product {product}; GET {url}/api/products lists what there is. Without --product the rush \
             makes its own"
        );
    }
    stranger(url)
}

fn stranger(url: &str) -> String {
    format!("what answers at {url} is no flashsale service, or --url has a path too many")
}

fn code(answer: &Answer) -> String {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body["code"].as_str().unwrap_or_default().to_owned()
}

fn unexpected(answer: &Answer, url: &str) -> String {
    let text: String = String::from_utf8_lossy(&answer.body).chars().filter(|c| !c.is_control()).collect();
    let text: String = text.chars().take(DETAIL_CHARS_MAX).collect();
    format!("{url} answered {} where the rush was to begin: {text}", answer.status)
}
