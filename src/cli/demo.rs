//! `--demo`: something to sell, and what to type next.

use crate::{
    app::Application,
    config::{Secret, Settings},
    domain::{
        ids::ProductId,
        money::{Amount, Currency},
        outcome::PutProductOutcome,
        product::NewProduct,
        quantity::Quantity,
        text::Name,
    },
    store::Store,
};

const NAME: &str = "Flash Sale Item";
/// The address that `make proof` uses without a URL.
const USUAL_URL: &str = "http://127.0.0.1:8080";
const UNITS: u64 = 100;
/// Printed by a debug build, so that nobody measures it.
const BUILT_FOR_TRYING: &str = "\nThis program was built for trying. For measuring and selling: make build";
const PRICE_TEN_THOUSANDTHS: u64 = 500_000;

/// Accepts unsigned payment events, and makes an admin token if the settings have none. Answers the token that it made, which
/// is the only one that [`welcome`] prints.
pub(super) fn adapt(settings: &mut Settings) -> Option<String> {
    settings.webhook.allow_unsigned = true;
    if settings.admin.token.is_some() {
        return None;
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the operating system gives random numbers");
    let token = format!("{:024x}", u128::from_le_bytes(random) >> 32);
    settings.admin.token = Some(Secret::new(&*token));
    Some(token)
}

/// Adds product 1, unless an earlier run added it.
pub(super) async fn seed(store: &Store) -> Result<(), String> {
    let product = NewProduct {
        id: ProductId::new(1),
        sale: None,
        name: Name::parse(NAME).ok_or("the demo product has no name")?,
        price: Amount::from_ten_thousandths(PRICE_TEN_THOUSANDTHS),
        currency: Currency::parse("USD").ok_or("the demo currency is unknown")?,
        total: UNITS,
        max_per_hold: Quantity::new(10).ok_or("the demo limit is wrong")?,
        max_per_customer: None,
    };
    match store.put_product(&product).await.map_err(|e| e.to_string())? {
        PutProductOutcome::Created { .. } | PutProductOutcome::AlreadyExists => Ok(()),
        PutProductOutcome::CurrencyDiffers { .. } => Err("product 1 belongs to a sale in another currency".to_owned()),
    }
}

/// The command that proves this service, which may be at another address than the usual one.
fn proof(url: &str, settings: &Settings) -> String {
    let at = if url == USUAL_URL { String::new() } else { format!(" URL={url}") };
    let key = if settings.http.api_keys.is_empty() { "" } else { " API_KEY=\"$API_KEY\"" };
    format!("make proof{at}{key}")
}

/// URLs, the generated token, and the next curl to try. Secrets of the settings are named and not printed: the shell has them in
/// variables.
pub(super) fn welcome(application: &Application, settings: &Settings, generated: Option<&str>) -> String {
    let url = format!("http://{}", application.addr());
    let shown = generated.unwrap_or("admin.token of the settings; below it is in $FLASHSALE_ADMIN__TOKEN");
    let token = generated.unwrap_or("$FLASHSALE_ADMIN__TOKEN");
    let has_keys = !settings.http.api_keys.is_empty();
    let keys = if has_keys { "\n  API key       one of http.api_keys; below it is in $API_KEY" } else { "" };
    let key = if has_keys { " -H \"X-Api-Key: $API_KEY\"" } else { "" };
    let redis = application.embedded_socket().map_or_else(
        || "your own, by redis.url".to_owned(),
        |socket| format!("embedded; look inside with: redis-cli -s {}", socket.display()),
    );
    format!(
        r#"
flashsale is ready at {url}

  product 1     {NAME}, {UNITS} units at 50.00 USD
  admin token   {shown}{keys}
  Redis         {redis}
  webhook       accepts unsigned payment events, because this is a demo

Try it, in another terminal:

  curl -s -w '\n'{key} {url}/api/products/1

  curl -s -w '\n'{key} --json '{{"product_id":1,"quantity":1}}' {url}/api/holds | tee hold.json
  HOLD=$(grep -o 'hold_[A-Za-z0-9_-]*' hold.json | head -n 1)

  curl -s -w '\n'{key} --json "{{\"hold_id\":\"$HOLD\"}}" {url}/api/orders | tee order.json
  ORDER=$(grep -o 'order_[A-Za-z0-9_-]*' order.json | head -n 1)

  curl -s -w '\n' --json "{{\"idempotency_key\":\"pay-$ORDER\",\"payload\":{{\"status\":\"paid\",\"order_id\":\"$ORDER\"}}}}" {url}/api/payments/webhook
  curl -s -w '\n' -H "Authorization: Bearer {token}" --json '{{"name":"Second item","price":"9.99","total_stock":50}}' {url}/api/admin/products

Ctrl-C stops it; what was sold stays sold. In the source folder this sends five buyers too many: {proof}{speed}
"#,
        proof = proof(&url, settings),
        speed = if cfg!(debug_assertions) { BUILT_FOR_TRYING } else { "" }
    )
}
