//! Durability: a payment event is answered once it is in memory, on disk, or on replicas.

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, TestApp, run_service},
    contract::Ask,
    eventually, invariants,
    redis::{ServerProcess, newer_server, signal_process},
};

/// A service on a Redis of its own.
struct Shop {
    client: Client,
    url: String,
    handle: actix_web::dev::ServerHandle,
    thread: std::thread::JoinHandle<()>,
}

impl Shop {
    async fn open(server: &ServerProcess, settings: &[(&str, &str)]) -> Self {
        let (addr, handle, thread) = run_service(&server.url(), settings);
        let shop = Self { client: Client::new(), url: format!("http://{addr}"), handle, thread };
        let product = json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 10});
        assert_eq!(shop.post("/api/admin/products", &product).await.0, StatusCode::CREATED);
        shop
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.client.request(Method::POST, format!("{}{path}", self.url));
        let response = request.bearer_auth(ADMIN_TOKEN).json(body).ask().await.unwrap();
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            assert!(response.headers().contains_key("retry-after"));
        }
        (response.status(), response.json().await.unwrap())
    }

    async fn ordered(&self) -> String {
        let (_, hold) = self.post("/api/holds", &json!({"product_id": 1, "quantity": 1})).await;
        let (_, order) = self.post("/api/orders", &json!({"hold_id": hold["id"]})).await;
        order["id"].as_str().unwrap().to_owned()
    }

    async fn pay(&self, key: &str, order: &str) -> (u16, String) {
        let event = json!({"idempotency_key": key, "payload": {"status": "paid", "order_id": order}});
        let (status, answer) = self.post("/api/payments/webhook", &event).await;
        let word = answer["outcome"].as_str().or(answer["code"].as_str()).unwrap();
        (status.as_u16(), word.to_owned())
    }

    /// Payments are not acknowledged while they cannot be made durable. Holds go on, and the same events succeed afterwards.
    async fn check_while_it_is_unreachable(&self) {
        let order = self.ordered().await;
        assert_eq!(self.pay("b", &order).await, (503, "store_timeout".to_owned()));
        let foreign = self.pay("c", "order of another shop").await;
        assert_eq!(foreign, (503, "store_timeout".to_owned()), "what is kept for review is money too");
        assert_eq!(self.post("/api/holds", &json!({"product_id": 1, "quantity": 1})).await.0, StatusCode::CREATED);
        assert_eq!(self.pay("b", &order).await.0, 503, "a duplicate is not acknowledged before it is stored either");
    }

    async fn check_when_it_is_back(&self) {
        eventually("the provider's next try succeeds", async || self.pay("c", "order of another shop").await.0 == 200)
            .await;
        let order = self.ordered().await;
        assert_eq!(self.pay("d", &order).await, (200, "applied".to_owned()));
    }

    fn close(self, server: &ServerProcess) {
        drop(self.handle.stop(true));
        self.thread.join().unwrap();
        invariants::check(&mut redis::Client::open(server.url()).unwrap().get_connection().unwrap());
    }
}

#[tokio::test]
async fn a_payment_is_acknowledged_once_a_replica_has_it() {
    let primary = ServerProcess::start(&["--repl-diskless-sync-delay", "0"]);
    let port = primary.port.to_string();
    let mut replica = ServerProcess::start(&["--replicaof", "127.0.0.1", &port]);
    let settings = [("DURABILITY__PAYMENTS", "replicas:1"), ("DURABILITY__TIMEOUT_MS", "200")];
    let shop = Shop::open(&primary, &settings).await;
    let order = shop.ordered().await;
    eventually("the replica has caught up", async || shop.pay("a", &order).await.0 == 200).await;
    signal_process(replica.pid(), "STOP");
    shop.check_while_it_is_unreachable().await;
    signal_process(replica.pid(), "CONT");
    shop.check_when_it_is_back().await;
    replica.end();
    shop.close(&primary);
}

#[tokio::test]
async fn a_payment_is_acknowledged_once_it_is_on_disk() {
    let Some(program) = newer_server() else {
        crate::support::left_out("no server with WAITAOF on this machine");
        return;
    };
    let server = ServerProcess::start_program(&program, &["--appendonly", "yes"]);
    let shop = Shop::open(&server, &[("DURABILITY__PAYMENTS", "fsync"), ("DURABILITY__TIMEOUT_MS", "2500")]).await;
    let order = shop.ordered().await;
    assert_eq!(shop.pay("a", &order).await, (200, "applied".to_owned()));
    // A disk that takes nothing: Redis never asks the operating system to write.
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut set = |policy: &str| {
        redis::cmd("CONFIG").arg("SET").arg("appendfsync").arg(policy).exec(&mut redis).unwrap();
    };
    set("no");
    shop.check_while_it_is_unreachable().await;
    set("everysec");
    shop.check_when_it_is_back().await;
    shop.close(&server);
}

#[tokio::test]
async fn a_payment_whose_effect_was_lost_while_it_was_waited_for_is_not_acknowledged() {
    let Some(program) = newer_server() else {
        crate::support::left_out("no server with WAITAOF on this machine");
        return;
    };
    let server = ServerProcess::start_program(&program, &["--appendonly", "yes", "--appendfsync", "no"]);
    let shop = Shop::open(&server, &[("DURABILITY__PAYMENTS", "fsync"), ("DURABILITY__TIMEOUT_MS", "30000")]).await;
    let order = shop.ordered().await;
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    // The scripts are gone too, as on a server that has just taken over.
    redis::cmd("SCRIPT").arg("FLUSH").exec(&mut redis).unwrap();
    let lose = async {
        eventually("somebody waits for the disk", async || {
            let info: redis::InfoDict = redis::cmd("INFO").arg("clients").query(&mut redis).unwrap();
            info.get::<u32>("blocked_clients") == Some(1)
        })
        .await;
        let settled: Vec<String> = redis::cmd("KEYS").arg("fs1:{p1}:once:*").query(&mut redis).unwrap();
        assert_eq!(settled.len(), 1);
        redis::cmd("DEL").arg(settled).exec(&mut redis).unwrap();
        // Killed before the disk may catch up, because a wait that succeeds would be no loss.
        redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").exec(&mut redis).unwrap();
        redis::cmd("CONFIG").arg("SET").arg("appendfsync").arg("everysec").exec(&mut redis).unwrap();
    };
    let (answer, ()) = futures_util::future::join(shop.pay("a", &order), lose).await;
    assert_eq!(answer, (503, "store_unavailable".to_owned()));
    eventually("the provider's next try finds the order paid", async || {
        shop.pay("a", &order).await == (200, "duplicate".to_owned())
    })
    .await;
    shop.close(&server);
}

#[test]
fn a_server_that_cannot_fsync_is_refused_at_start_up() {
    let refusal = |arguments: &[&str]| {
        let server = ServerProcess::start(arguments);
        crate::topology::refusal_with(&server.url(), &[("FLASHSALE_DURABILITY__PAYMENTS", "fsync")])
    };
    assert!(refusal(&["--appendonly", "no"]).contains("appendonly yes"));
    if ServerProcess::knows_waitaof() {
        crate::support::left_out("this server has WAITAOF, so the other refusal does not come");
        return;
    }
    let message = refusal(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    assert!(message.contains("appendfsync always") && message.contains("7.2"), "{message}");
}

#[tokio::test]
async fn a_server_that_always_fsyncs_needs_no_waiting() {
    let server = ServerProcess::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let shop = Shop::open(&server, &[("DURABILITY__PAYMENTS", "fsync")]).await;
    let order = shop.ordered().await;
    assert_eq!(shop.pay("a", &order).await, (200, "applied".to_owned()));
    shop.close(&server);
}

#[tokio::test]
async fn an_embedded_server_gets_appendfsync_always_where_it_has_no_waitaof() {
    let app = TestApp::selling(5).await;
    let policy = |app: &TestApp| -> Vec<String> {
        redis::cmd("CONFIG").arg("GET").arg("appendfsync").query(&mut app.redis.connect()).unwrap()
    };
    assert_eq!(policy(&app)[1], "everysec");
    let folder = tempfile::TempDir::with_prefix("fs").unwrap();
    let mut command = crate::support::process::command(folder.path());
    command.env("FLASHSALE_DURABILITY__PAYMENTS", "fsync");
    command.env("FLASHSALE_REDIS__SERVER", crate::support::redis::server_program());
    let service = crate::support::process::ServiceProcess::run(
        command,
        ([127, 0, 0, 1], crate::support::redis::free_port()).into(),
    );
    let socket = format!("unix://{}/redis.sock", folder.path().display());
    let mut redis = redis::Client::open(socket).unwrap().get_connection().unwrap();
    let policy: Vec<String> = redis::cmd("CONFIG").arg("GET").arg("appendfsync").query(&mut redis).unwrap();
    let expected = if ServerProcess::knows_waitaof() { "everysec" } else { "always" };
    assert_eq!(policy[1], expected);
    assert!(service.stop());
}

#[tokio::test]
async fn an_embedded_server_that_died_and_came_back_still_fsyncs_what_is_acknowledged() {
    if ServerProcess::knows_waitaof() {
        crate::support::left_out("this server has WAITAOF, whatever its own policy");
        return;
    }
    let folder = tempfile::TempDir::with_prefix("fs").unwrap();
    let mut command = crate::support::process::command(folder.path());
    for (name, value) in [
        ("FLASHSALE_DURABILITY__PAYMENTS", "fsync"),
        ("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN),
        ("FLASHSALE_WEBHOOK__ALLOW_UNSIGNED", "true"),
    ] {
        command.env(name, value);
    }
    let addr = ([127, 0, 0, 1], crate::support::redis::free_port()).into();
    let service = crate::support::process::ServiceProcess::run(command, addr);
    let client = redis::Client::open(format!("unix://{}/redis.sock", folder.path().display())).unwrap();
    signal_process(crate::support::redis::pid(&mut client.get_connection().unwrap()), "KILL");
    let pay = async || {
        let event = json!({"idempotency_key": "a", "payload": {"status": "paid", "order_id": "cart 7"}});
        let sent = Client::new().post(format!("{}/api/payments/webhook", service.url())).json(&event).ask().await;
        sent.is_ok_and(|answer| answer.status() == StatusCode::OK)
    };
    eventually("payments are acknowledged again", pay).await;
    let mut redis = client.get_connection().unwrap();
    let policy: Vec<String> = redis::cmd("CONFIG").arg("GET").arg("appendfsync").query(&mut redis).unwrap();
    assert_eq!(policy[1], "always");
    assert!(service.stop());
}
