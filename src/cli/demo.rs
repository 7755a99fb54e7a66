//! `--demo`: something to sell, and what to type next.

use std::env;

use crate::{
    app::Application,
    config::{Secret, Settings},
    domain::{
        act::Act,
        ids::{ProductId, SaleId, Shards},
        money::{Amount, Currency},
        outcome::PutProductOutcome,
        product::NewProduct,
        quantity::Quantity,
        sale::SaleChange,
        text::Name,
    },
    store::Store,
    webhook::PROVIDERS,
};

const NAME: &str = "Flash Sale Item";
/// The address that `make proof` uses without a URL.
const USUAL_URL: &str = "http://127.0.0.1:8080";
const UNITS: u64 = 100;
const QUICK_ID: u64 = 2;
const QUICK_SALE: &str = "quick";
const QUICK_NAME: &str = "Last pairs";
const QUICK_UNITS: u64 = 5;
const QUICK_HOLD_MS: u64 = 45_000;
const QUICK_PAYMENT_MS: u64 = 60_000;
/// Printed by a debug build, so that nobody measures it.
const BUILT_FOR_TRYING: &str = "\nThis program was built for trying. For measuring and selling: make build";
const PRICE_TEN_THOUSANDTHS: u64 = 500_000;

/// The setting that says whether unsigned payment events are accepted. Where somebody gave it, the demo leaves it alone.
pub(super) const ALLOW_UNSIGNED: &str = "webhook.allow_unsigned";
/// The same of the page at /.
pub(super) const STOREFRONT: &str = "pages.storefront";

/// Accepts unsigned payment events of providers without a secret, unless the settings say whether to. Makes an admin token if the
/// settings have none. Opens the storefront, with a simulated provider where unsigned events are accepted. Answers the token that it
/// made, which is the only one that [`welcome`] prints.
pub(super) fn adapt(settings: &mut Settings, says_unsigned: bool, says_storefront: bool) -> Option<String> {
    settings.webhook.allow_unsigned_without_secrets = !says_unsigned;
    // Where events must be signed, nobody pays without the secret.
    settings.webhook.simulated = settings.webhook.allows_unsigned(PROVIDERS[0].setting);
    settings.pages.storefront |= !says_storefront;
    if settings.admin.token.is_some() {
        return None;
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the operating system gives random numbers");
    let token = format!("{:024x}", u128::from_le_bytes(random) >> 32);
    settings.admin.token = Some(Secret::new(&*token));
    Some(token)
}

/// Adds what there is to sell, unless an earlier run added it: product 1, and one of a sale with so little time that lapses and late
/// payments can be watched.
pub(super) async fn seed(store: &Store) -> Result<(), String> {
    let quick = SaleId::parse(QUICK_SALE).ok_or("the quick sale has no id")?;
    let terms = SaleChange {
        name: Name::parse(QUICK_NAME),
        hold_ms: Some(QUICK_HOLD_MS),
        hold_max_ms: Some(Some(QUICK_HOLD_MS)),
        payment_ms: Some(QUICK_PAYMENT_MS),
        ..SaleChange::default()
    };
    store.put_sale(&quick, Shards::ONE, &terms, &Act::default()).await.map_err(|e| e.to_string())?;
    put(store, 1, NAME, UNITS, None).await?;
    put(store, QUICK_ID, QUICK_NAME, QUICK_UNITS, Some(quick)).await
}

async fn put(store: &Store, id: u64, name: &str, units: u64, sale: Option<SaleId>) -> Result<(), String> {
    let product = NewProduct {
        shards: Shards::ONE,
        id: ProductId::new(id),
        sale,
        name: Name::parse(name).ok_or("the demo product has no name")?,
        sku: None,
        metadata: None,
        price: Amount::from_ten_thousandths(PRICE_TEN_THOUSANDTHS),
        currency: Currency::parse("USD").ok_or("the demo currency is unknown")?,
        total: units,
        max_per_hold: Quantity::new(10),
        max_per_customer: None,
        group: None,
        visibility: None,
    };
    match store.put_product(&product, &Act::default()).await.map_err(|e| e.to_string())? {
        PutProductOutcome::Created { .. } | PutProductOutcome::AlreadyExists(_) => Ok(()),
        PutProductOutcome::CurrencyDiffers { .. } => Err(format!("product {id} belongs to a sale in another currency")),
    }
}

/// The command that proves this service, which may be at another address than the usual one.
fn proof(url: &str, settings: &Settings) -> String {
    let at = if url == USUAL_URL { String::new() } else { format!(" URL={url}") };
    let key = if settings.http.api_keys.is_empty() { "" } else { " API_KEY=\"$API_KEY\"" };
    format!("make proof{at}{key}")
}

/// For each provider, whether its events must be signed, and why.
fn webhooks(settings: &Settings) -> String {
    let webhook = &settings.webhook;
    let lines = PROVIDERS.map(|provider| {
        let has_secrets = !webhook.secrets_of(provider.setting).is_empty();
        let taken = match (webhook.allows_unsigned(provider.setting), has_secrets) {
            (true, _) if webhook.allow_unsigned => format!("unsigned events too, by {ALLOW_UNSIGNED}"),
            (true, _) => "unsigned events, because this is a demo".to_owned(),
            (false, true) => format!("only events that are signed with one of {}", provider.setting),
            (false, false) => format!("no events, because {} is empty", provider.setting),
        };
        format!("{} takes {taken}", provider.path)
    });
    lines.join("\n                ")
}

/// What to open in a browser.
fn pages(url: &str, settings: &Settings) -> String {
    let shop = if settings.pages.storefront { format!("  shop          {url}/\n") } else { String::new() };
    let dashboard = if settings.pages.dashboard {
        format!("  dashboard     {url}/dashboard, with the token below\n")
    } else {
        String::new()
    };
    shop + &dashboard
}

/// The command that pays the order. A curl cannot sign.
fn pay(url: &str, settings: &Settings) -> String {
    let own = PROVIDERS[0];
    let webhook = &settings.webhook;
    if webhook.allows_unsigned(own.setting) {
        return format!(
            r#"curl -s -w '\n' --json "{{\"idempotency_key\":\"pay-$ORDER\",\"payload\":{{\"status\":\"paid\",\"order_id\":\"$ORDER\"}}}}" {url}{}"#,
            own.path
        );
    }
    if webhook.secrets_of(own.setting).is_empty() {
        return format!("# nobody can pay: set {}, or leave {ALLOW_UNSIGNED} out", own.setting);
    }
    let key = if settings.http.api_keys.is_empty() { "" } else { " --api-key \"$API_KEY\"" };
    // As it was called here, which works from the same folder.
    let program = env::args_os().next().map_or_else(|| "flashsale".into(), |name| name.to_string_lossy().into_owned());
    format!("{program} trigger paid \"$ORDER\" --url {url} --secret \"$WEBHOOK_SECRET\"{key}")
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
    let must_sign = !settings.webhook.allows_unsigned(PROVIDERS[0].setting);
    let has_secrets = !settings.webhook.secrets_of(PROVIDERS[0].setting).is_empty();
    let secret = if must_sign && has_secrets {
        format!("\n  secret        one of {}; below it is in $WEBHOOK_SECRET", PROVIDERS[0].setting)
    } else {
        String::new()
    };
    let redis = application.embedded_socket().map_or_else(
        || "your own, by redis.url".to_owned(),
        |socket| format!("embedded; look inside with: redis-cli -s {}", socket.display()),
    );
    format!(
        r#"
flashsale is ready at {url}

  product 1     {NAME}, {UNITS} units at 50.00 USD
{pages}  admin token   {shown}{keys}
  Redis         {redis}
  webhooks      {webhooks}{secret}

Try it, in another terminal:

  curl -s -w '\n'{key} {url}/api/products/1

  curl -s -w '\n'{key} --json '{{"product_id":1,"quantity":1}}' {url}/api/holds | tee hold.json
  HOLD=$(grep -o 'hold_[A-Za-z0-9_-]*' hold.json | head -n 1)

  curl -s -w '\n'{key} --json "{{\"hold_id\":\"$HOLD\"}}" {url}/api/orders | tee order.json
  ORDER=$(grep -o 'order_[A-Za-z0-9_-]*' order.json | head -n 1)

  {pay}
  curl -s -w '\n' -H "Authorization: Bearer {token}" --json '{{"name":"Second item","price":"9.99","total_stock":50}}' {url}/api/admin/products

Ctrl-C stops it; what was sold stays sold. In the source folder this sends five buyers too many: {proof}{speed}
"#,
        pages = pages(&url, settings),
        webhooks = webhooks(settings),
        pay = pay(&url, settings),
        proof = proof(&url, settings),
        speed = if cfg!(debug_assertions) { BUILT_FOR_TRYING } else { "" }
    )
}
