//! The programs of docs/payments.md run: they sell over Stripe Checkout, in front of a stand-in for Stripe's API, and over a
//! provider of the shop's own.

mod program;
mod stripe_api;

use reqwest::Method;
use serde_json::{Value, json};

use self::{
    program::Program,
    stripe_api::{API_KEY, Fields, StripeApi, WEBHOOK_SECRET},
};
use crate::support::{app::TestApp, eventually};

const READ_TOKEN: &str = "a-token-that-may-only-read";
const OWN_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Shorter than any session of Stripe's may be.
const SHORT_SECONDS: u64 = 3;

/// Sells product 1 on the terms that docs/payments.md asks for, and product 2 on short ones.
async fn shop() -> TestApp {
    let app = TestApp::start_with(&[
        ("WEBHOOK__STRIPE_SECRETS", WEBHOOK_SECRET),
        ("WEBHOOK__SECRETS", OWN_SECRET),
        ("WEBHOOK__ALLOW_UNSIGNED", "false"),
        ("ADMIN__READ_TOKENS", READ_TOKEN),
        ("SALE__PAYMENT_SECONDS", "2100"),
        ("SALE__PAYMENT_SECONDS_MAX", "3600"),
        ("EVENTS__SWEEP_MS", "50"),
    ]);
    let short = json!({"id": "short", "payment_seconds": SHORT_SECONDS, "payment_seconds_max": SHORT_SECONDS});
    let sale = app.admin(Method::POST, "/api/admin/sales", short).await;
    assert_eq!(sale.status, 201, "{sale:?}");
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 5})).await;
    app.add_product(json!({"id": 2, "sale": "short", "name": "Rush", "price": "9.90", "total_stock": 5})).await;
    app
}

async fn hold(app: &TestApp, body: Value) -> String {
    let answer = app.post("/api/holds", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.id()
}

/// A hold that has lapsed.
async fn lapsed(app: &TestApp) -> String {
    let hold = hold(app, json!({"product_id": 1, "quantity": 1, "ttl_seconds": 1})).await;
    eventually("the hold lapses", async || app.get(&format!("/api/holds/{hold}")).await.status == 410).await;
    hold
}

async fn order(app: &TestApp, id: &str) -> Value {
    let answer = app.get(&format!("/api/orders/{id}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// A shop with the program, as its buyers see it.
struct Shop {
    app: TestApp,
    stripe: StripeApi,
    program: Program,
}

type Start = fn(&str, &[(&str, &str)]) -> Option<Program>;

impl Shop {
    async fn open(start: Start) -> Option<Self> {
        let (app, stripe) = (shop().await, StripeApi::start());
        let program = start(
            "stripe_checkout",
            &[
                ("FLASHSALE_URL", &format!("http://{}", app.addr)),
                ("FLASHSALE_READ_TOKEN", READ_TOKEN),
                ("STRIPE_SECRET_KEY", API_KEY),
                ("STRIPE_API", &stripe.url()),
            ],
        )?;
        Some(Self { app, stripe, program })
    }

    fn check_out(&mut self, hold: &str) -> Value {
        self.program.call("check_out", &json!([hold]), &json!({}))
    }

    fn end_sessions(&mut self, cursor: &str) -> String {
        let answer = self.program.call("end_sessions", &json!([cursor]), &json!({}));
        answer["value"].as_str().expect("a cursor").to_owned()
    }

    /// The order that a hold became.
    async fn order_of(&self, hold: &str) -> String {
        let answer = self.app.get(&format!("/api/holds/{hold}")).await;
        answer.body["order_id"].as_str().unwrap_or_else(|| panic!("no order in {answer:?}")).to_owned()
    }
}

async fn sell_over_stripe(start: Start) {
    let Some(mut shop) = Shop::open(start).await else { return };
    is_paid_once(&mut shop).await;
    refuses_what_has_lapsed(&mut shop).await;
    ends_what_has_ended(&mut shop).await;
    assert_eq!(shop.app.stock(1).await, "4 available, 1 sold");
    assert_eq!(shop.app.stock(2).await, "5 available");
}

/// Two calls make one session, which lives no longer than its order; the buyer pays it.
async fn is_paid_once(shop: &mut Shop) {
    let hold = hold(&shop.app, json!({"product_id": 1, "quantity": 1})).await;
    let first = shop.check_out(&hold);
    let id = shop.order_of(&hold).await;
    let session = shop.stripe.session(&id);
    assert_eq!((&first["value"], &session["amount_total"]), (&session["url"], &json!(5000)), "{first}");
    assert_eq!(shop.check_out(&hold), first);
    assert_eq!(shop.stripe.sessions().len(), 1);
    let pending = order(&shop.app, &id).await;
    let due: jiff::Timestamp = pending["payment_due_at"].as_str().unwrap().parse().unwrap();
    assert!(session["expires_at"].as_i64().unwrap() + 60 < due.as_second(), "{session} of {pending}");
    assert_eq!(pending["status"], "pending");
    shop.stripe.pay(&id);
    assert_eq!(shop.stripe.report_payment(&shop.app, &id).await, ["applied", "duplicate"]);
    assert_eq!(order(&shop.app, &id).await["status"], "paid");
    assert_eq!(shop.check_out(&hold), json!({"status": 409}));
    assert_eq!((shop.stripe.sessions().len(), shop.stripe.ends(&id)), (1, 0));
}

/// A hold that has lapsed is 410, and one that was never made is 404.
async fn refuses_what_has_lapsed(shop: &mut Shop) {
    let hold = lapsed(&shop.app).await;
    assert_eq!(shop.check_out(&hold), json!({"status": 410}));
    assert_eq!(shop.check_out(&hold.replace("hold_p1_", "hold_p1_x")), json!({"status": 404}));
}

/// The session of an order that expired is ended once. One that the buyer paid meanwhile is left as it is.
async fn ends_what_has_ended(shop: &mut Shop) {
    let (mut expired, mut cancelled) = (String::new(), String::new());
    for (product, id) in [(2, &mut expired), (1, &mut cancelled)] {
        let hold = hold(&shop.app, json!({"product_id": product, "quantity": 1})).await;
        assert!(shop.check_out(&hold)["value"].is_string());
        *id = shop.order_of(&hold).await;
    }
    let mut cursor = String::new();
    eventually("the session ends", async || {
        cursor = shop.end_sessions(&cursor);
        shop.stripe.session(&expired)["status"] == "expired"
    })
    .await;
    assert_eq!(order(&shop.app, &expired).await["status"], "expired");
    shop.stripe.report_end(&shop.app, &expired).await;
    assert_eq!(order(&shop.app, &expired).await["status"], "expired");

    shop.stripe.pay(&cancelled);
    let cancel = shop.app.post(&format!("/api/orders/{cancelled}/cancel"), json!({})).await;
    assert_eq!(cancel.status, 200, "{cancel:?}");
    let last = shop.end_sessions(&cursor);
    assert_ne!(last, cursor);
    assert_eq!(shop.end_sessions(&last), last);
    // A shop that lost its cursor reads everything again.
    shop.end_sessions("");
    assert_eq!((shop.stripe.ends(&expired), shop.stripe.ends(&cancelled)), (1, 1));
    assert_eq!(shop.stripe.session(&cancelled)["status"], "complete");
    assert_eq!(shop.stripe.report_payment(&shop.app, &cancelled).await[0], "refund_required");
}

#[tokio::test]
async fn checkout_of_stripe_runs_in_python() {
    sell_over_stripe(Program::in_python).await;
}

#[tokio::test]
async fn checkout_of_stripe_runs_in_node() {
    sell_over_stripe(Program::in_node).await;
}

async fn charge_in_all_currencies(start: Start) {
    let Some(mut shop) = Shop::open(start).await else { return };
    let prices = [
        ("JPY", "5000", 5000),
        ("KWD", "1.230", 1230),
        ("ISK", "500", 50000),
        ("MGA", "12.00", 12),
        ("EUR", "0.07", 7),
    ];
    for (at, (currency, price, units)) in prices.into_iter().enumerate() {
        let product = at + 3;
        let body = json!({"id": product, "name": "Item", "price": price, "currency": currency, "total_stock": 1});
        shop.app.add_product(body).await;
        let hold = hold(&shop.app, json!({"product_id": product, "quantity": 1})).await;
        assert!(shop.check_out(&hold)["value"].is_string(), "{currency}");
        let id = shop.order_of(&hold).await;
        let session = shop.stripe.session(&id);
        assert_eq!((&session["amount_total"], &session["currency"]), (&json!(units), &json!(currency.to_lowercase())));
        shop.stripe.pay(&id);
        assert_eq!(shop.stripe.report_payment(&shop.app, &id).await, ["applied", "duplicate"], "{currency}");
    }
    // Stripe has no decimals of MGA, so it cannot charge this.
    shop.app.add_product(json!({"id": 9, "name": "Item", "price": "12.20", "currency": "MGA", "total_stock": 1})).await;
    let hold = hold(&shop.app, json!({"product_id": 9, "quantity": 1})).await;
    assert_eq!(shop.check_out(&hold)["wrong"], "Stripe cannot charge 12.20 MGA");
}

#[tokio::test]
async fn checkout_in_python_charges_what_the_order_costs_in_all_currencies() {
    charge_in_all_currencies(Program::in_python).await;
}

#[tokio::test]
async fn checkout_in_node_charges_what_the_order_costs_in_all_currencies() {
    charge_in_all_currencies(Program::in_node).await;
}

#[tokio::test]
async fn checkout_stand_in_refuses_what_would_lose_a_payment() {
    let stripe = StripeApi::start();
    let soon = jiff::Timestamp::now().as_second() + 1860;
    let good: Fields = [
        ("mode", "payment"),
        ("client_reference_id", "order_p1_x"),
        ("metadata[order_id]", "order_p1_x"),
        ("payment_intent_data[metadata][order_id]", "order_p1_x"),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][unit_amount]", "5000"),
        ("line_items[0][price_data][currency]", "usd"),
        ("line_items[0][price_data][product_data][name]", "Item"),
        ("expires_at", &soon.to_string()),
        ("success_url", "https://shop.example"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let send = async |fields: &Fields, key: &str| {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request =
            reqwest::Client::new().post(format!("{}/v1/checkout/sessions", stripe.url())).bearer_auth(API_KEY);
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").header("idempotency-key", key);
        request.body(body).send().await.unwrap().status().as_u16()
    };
    for name in good.keys() {
        for value in ["", "5000.5"] {
            let mut fields = good.clone();
            fields.insert(name.clone(), value.to_owned());
            let is_free_text = name.ends_with("[name]") && !value.is_empty();
            assert!(is_free_text || send(&fields, "k0").await == 400, "{name} = {value:?}");
        }
    }
    assert_eq!(send(&good, "k1").await, 200);
    assert_eq!(send(&good, "k1").await, 200);
    assert_eq!(stripe.sessions().len(), 1);
    let mut other = good.clone();
    other.insert("line_items[0][price_data][unit_amount]".to_owned(), "1".to_owned());
    assert_eq!(send(&other, "k1").await, 400);
}

#[tokio::test]
async fn checkout_over_a_provider_of_your_own_runs() {
    let app = shop().await;
    let url = format!("http://{}", app.addr);
    let environment = [("FLASHSALE_URL", url.as_str()), ("WEBHOOK_SECRET", OWN_SECRET)];
    let Some(mut program) = Program::in_python_alone("payment_events", &environment) else { return };
    let gone = lapsed(&app).await;
    assert_eq!(program.call("check_out", &json!([gone]), &json!({})), json!({"status": 410}));
    let hold = hold(&app, json!({"product_id": 1, "quantity": 1})).await;
    let first = program.call("check_out", &json!([hold]), &json!({}))["value"].clone();
    assert_eq!((&first["total_amount"], &first["currency"]), (&json!("50.00"), &json!("USD")));
    assert_eq!(program.call("check_out", &json!([hold]), &json!({}))["value"], first);
    let mut report = |event: &str, status: &str| {
        let payment = json!({"status": status, "order_id": first["id"], "payment_id": "tx_7", "amount": "50.00",
            "currency": "USD"});
        program.call("report", &json!([event]), &payment)["value"].clone()
    };
    assert_eq!(report("tx_7:paid", "paid"), "applied");
    assert_eq!(report("tx_7:paid", "paid"), "duplicate");
    assert_eq!(app.stock(1).await, "4 available, 1 sold");
    assert_eq!(report("tx_7:refunded", "refunded"), "applied");
    assert_eq!(app.stock(1).await, "5 available");
}
