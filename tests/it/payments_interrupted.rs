//! Payment events that are interrupted at each command that they send to Redis, before it and before its reply: the service
//! is killed there, or Redis is slow there. The provider sends the event again, and the end is as if nothing had happened.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    app::ADMIN_TOKEN,
    contract::Ask,
    eventually, invariants,
    process::{ServiceProcess, command},
    redis::{ServerProcess, free_port},
    stalling_proxy::{Side, StallingProxy},
};

/// What is interrupted. The events before it are not.
#[derive(Clone, Copy, Debug)]
enum Scene {
    Named,
    /// A refund of the payment was kept, because it named no order.
    NamedAfterOneThatWasKept,
    /// It names an order, and another order was named before.
    NamesAnotherOrder,
    FoundByItsPayment,
    Unmatched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed,
    Slow,
}

struct Shop {
    server: ServerProcess,
    proxy: StallingProxy,
    folder: TempDir,
    service: Option<ServiceProcess>,
    client: Client,
    url: String,
    payments: usize,
}

impl Shop {
    async fn open() -> Self {
        let server = ServerProcess::start(&[]);
        let proxy = StallingProxy::start(server.port);
        let folder = TempDir::with_prefix("fs").unwrap();
        let url = format!("http://127.0.0.1:{}", free_port());
        let mut shop = Self { server, proxy, folder, service: None, client: Client::new(), url, payments: 0 };
        shop.start();
        let product = json!({"id": 7, "sale": "drop", "name": "Item", "price": "50.00", "total_stock": 1_000});
        assert_eq!(shop.post("/api/admin/products", &product).await.0, StatusCode::CREATED);
        shop
    }

    fn start(&mut self) {
        let mut service = command(self.folder.path());
        let redis = format!("redis://127.0.0.1:{}", self.proxy.port);
        for (name, value) in [
            ("FLASHSALE_REDIS__URL", &*redis),
            ("FLASHSALE_REDIS__CALL_TIMEOUT_MS", "400"),
            ("FLASHSALE_HTTP__WORKERS", "1"),
            ("FLASHSALE_EVENTS__SWEEP_MS", "0"),
            ("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN),
            ("FLASHSALE_WEBHOOK__ALLOW_UNSIGNED", "true"),
        ] {
            service.env(name, value);
        }
        let addr = self.url.strip_prefix("http://").unwrap().parse().unwrap();
        self.service = Some(ServiceProcess::run(service, addr));
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let sent = self.client.post(format!("{}{path}", self.url)).bearer_auth(ADMIN_TOKEN).json(body).ask();
        let response = sent.await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// The answer that is no 503: Redis may be slow on a busy machine too, and calls wait only for a short time here.
    async fn answer(&self, path: &str, body: Option<&Value>) -> Value {
        let mut found = Value::Null;
        eventually(path, async || {
            let url = format!("{}{path}", self.url);
            let request = body.map_or_else(|| self.client.get(&url), |body| self.client.post(&url).json(body));
            let response = request.bearer_auth(ADMIN_TOKEN).ask().await.unwrap();
            let status = response.status();
            found = response.json().await.unwrap();
            // A payment that named two orders leads to neither, and so is not found.
            let is_answer = status.is_success() || status == StatusCode::NOT_FOUND;
            assert!(is_answer || status == StatusCode::SERVICE_UNAVAILABLE, "{path}: {found}");
            is_answer
        })
        .await;
        found
    }

    async fn admin(&self, path: &str) -> Value {
        self.answer(path, None).await
    }

    async fn ordered(&self) -> String {
        let hold = self.answer("/api/holds", Some(&json!({"product_id": 7, "quantity": 1}))).await;
        let order = self.answer("/api/orders", Some(&json!({"hold_id": hold["id"]}))).await;
        order["id"].as_str().unwrap().to_owned()
    }

    async fn settled(&self, event: &Value) -> bool {
        self.post("/api/payments/webhook", event).await.0 == StatusCode::OK
    }

    /// Sends the event of the scene, interrupted or not, and again until it is acknowledged. Answers where its order and its
    /// money ended, and how many commands it sent.
    async fn play(&mut self, scene: Scene, fault: Option<(Fault, usize, Side)>) -> (Value, usize) {
        self.payments += 1;
        let payment = format!("pi_{}", self.payments);
        let order = self.ordered().await;
        let event = |key: &str, status: &str, order: &Value| {
            json!({"idempotency_key": format!("{payment}-{key}"), "payload":
                {"status": status, "payment_id": payment, "order_id": order, "amount": "50.00", "currency": "USD"}})
        };
        let (named, nothing) = (json!(order), Value::Null);
        let (before, sent) = match scene {
            Scene::Named => (None, event("paid", "paid", &named)),
            Scene::NamedAfterOneThatWasKept => {
                (Some(event("back", "refunded", &nothing)), event("paid", "paid", &named))
            }
            Scene::NamesAnotherOrder => {
                let other = json!(self.ordered().await);
                (Some(event("paid", "paid", &other)), event("again", "paid", &named))
            }
            Scene::FoundByItsPayment => (Some(event("paid", "paid", &named)), event("back", "refunded", &nothing)),
            Scene::Unmatched => (None, event("paid", "paid", &json!("cart 7"))),
        };
        if let Some(before) = before {
            eventually("the event before it is settled", async || self.settled(&before).await).await;
        }
        self.proxy.arm(fault.map(|(_, at, side)| (at, side)));
        match fault {
            None => assert!(self.settled(&sent).await),
            Some((fault, ..)) => self.interrupt(&sent, fault).await,
        }
        let commands = self.proxy.disarm(false);
        eventually("the provider's next try succeeds", async || self.settled(&sent).await).await;
        (self.end(&order, &payment).await, commands)
    }

    async fn interrupt(&mut self, event: &Value, fault: Fault) {
        let webhook = format!("{}/api/payments/webhook", self.url);
        let answer = tokio::spawn(self.client.post(webhook).json(event).ask());
        if fault == Fault::Killed {
            eventually("the proxy stands still", async || self.proxy.is_stalled()).await;
            self.service.take().unwrap().kill();
            self.proxy.disarm(true);
            let is_acknowledged = answer.await.unwrap().is_ok_and(|answer| answer.status().is_success());
            assert!(!is_acknowledged, "nobody acknowledged it");
            self.start();
            return;
        }
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        assert!(self.proxy.is_stalled());
    }

    async fn end(&self, order: &str, payment: &str) -> Value {
        let order = self.admin(&format!("/api/admin/orders/{order}")).await;
        let found = self.admin(&format!("/api/admin/payments/{payment}")).await;
        let reviews = found["reviews"].as_array().into_iter().flatten();
        let reviews: Vec<_> = reviews.map(|review| ["reason", "status", "event"].map(|name| &review[name])).collect();
        let mut payments = order["payments"].clone();
        for payment in payments.as_array_mut().unwrap() {
            payment["payment_id"] = Value::Null;
            // Each play has ids and instants of its own, and a kept event may be settled before or after the one that names its order.
            let events = payment["events"].as_array_mut().unwrap();
            events.iter_mut().for_each(|event| *event = event["type"].take());
            events.sort_by_key(Value::to_string);
        }
        json!([order["status"], payments, found["orders"][0]["status"], reviews])
    }
}

#[tokio::test]
async fn an_event_that_is_interrupted_anywhere_ends_as_if_it_had_not_been() {
    let mut shop = Shop::open().await;
    let mut played = 0;
    for scene in [
        Scene::Named,
        Scene::NamedAfterOneThatWasKept,
        Scene::NamesAnotherOrder,
        Scene::FoundByItsPayment,
        Scene::Unmatched,
    ] {
        let (expected, commands) = shop.play(scene, None).await;
        assert!(commands >= 2, "{scene:?} sends {commands}");
        for at in 0..commands {
            for side in [Side::Command, Side::Reply] {
                for fault in [Fault::Killed, Fault::Slow] {
                    let (end, _) = shop.play(scene, Some((fault, at, side))).await;
                    assert_eq!(end, expected, "{scene:?}: {fault:?} at command {at} of {commands}, {side:?}");
                    played += 1;
                }
            }
        }
    }
    println!("{played} interruptions");
    let audit = shop.admin("/api/admin/audit").await;
    assert_eq!(audit["ok"], true, "{audit:#}");
    drop(shop.service.take());
    invariants::check(&mut redis::Client::open(shop.server.url()).unwrap().get_connection().unwrap());
}
