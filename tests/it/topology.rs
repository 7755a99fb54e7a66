//! Redis in all its places and states: embedded, standalone, killed, slow, gone.

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use flashsale::embedded::Embedded;
use futures_util::future::join_all;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    contract::Ask,
    eventually, invariants,
    process::{ServiceProcess, command},
    redis::{PROGRAM, PrivateRedis, ServerProcess, free_port, signal_process},
    stock,
};

pub fn connect(folder: &Path) -> redis::Connection {
    let socket = redis::ConnectionAddr::Unix(folder.join("redis.sock"));
    let info = redis::IntoConnectionInfo::into_connection_info(socket).unwrap();
    redis::Client::open(info).unwrap().get_connection().unwrap()
}

pub fn server_runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

pub async fn try_hold(client: &reqwest::Client, url: &str, key: &str) -> Option<(u16, Value)> {
    let request = client.post(format!("{url}/api/holds")).header("Idempotency-Key", key);
    // None: the service is away.
    let response = request.json(&json!({"product_id": 1, "quantity": 1})).ask().await.ok()?;
    Some((response.status().as_u16(), response.json().await.ok()?))
}

#[tokio::test]
async fn a_service_that_is_killed_among_105_buyers_still_sells_exactly_100() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = ServiceProcess::start(folder.path());
    let (addr, url) = (service.addr, service.url());
    let client = reqwest::Client::new();
    let buyers: Vec<_> = (0..105)
        .map(|n| {
            let (client, url) = (client.clone(), url.clone());
            // A buyer who gets no answer asks again with the same key.
            tokio::spawn(async move {
                let started = Instant::now();
                loop {
                    match try_hold(&client, &url, &format!("buyer-{n}")).await {
                        Some((201, body)) => return Some(body["id"].as_str().unwrap().to_owned()),
                        Some((409, _)) => return None,
                        _ => tokio::time::sleep(Duration::from_millis(5)).await,
                    }
                    assert!(started.elapsed() < Duration::from_mins(1), "no answer");
                }
            })
        })
        .collect();
    let units = |name: &str| stock::units_if_any(&mut connect(folder.path()), "fs1:{p1}:stock", 1, name).unwrap_or(0);
    eventually("some have bought", async || units("held") > 10).await;
    service.kill();
    let service = ServiceProcess::start_at(folder.path(), addr);
    let held: Vec<String> = join_all(buyers).await.into_iter().filter_map(Result::unwrap).collect();
    let distinct: std::collections::HashSet<_> = held.iter().collect();
    assert_eq!((held.len(), distinct.len()), (100, 100));
    assert_eq!(["available", "held"].map(units), [0, 100]);
    invariants::check(&mut connect(folder.path()));
    assert!(service.stop());
}

#[tokio::test]
async fn a_redis_that_does_not_answer_gets_a_fast_503_and_all_is_well_when_it_is_back() {
    let app = TestApp::start_with(&[("REDIS__CALL_TIMEOUT_MS", "100"), ("REDIS__CONNECT_TIMEOUT_MS", "100")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 10_000})).await;
    app.held().await;
    let pid = app.redis.pid();
    signal_process(pid, "STOP");
    let started = Instant::now();
    let answers = join_all((0..50).map(|_| app.hold(1))).await;
    let took = started.elapsed();
    let ready = app.get("/readyz").await;
    signal_process(pid, "CONT");
    assert!(took < Duration::from_secs(5), "{took:?}");
    for answer in answers.iter().chain([&ready]) {
        assert!([(503, "store_timeout"), (503, "store_unavailable")].contains(&answer.refusal()), "{answer:?}");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    eventually("it is ready again", async || app.get("/readyz").await.status == 200).await;
    app.held().await;
}

#[tokio::test]
async fn a_redis_that_is_gone_gets_a_503_and_all_is_well_when_it_is_back() {
    let server = ServerProcess::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let port = server.port;
    let url = format!("redis://127.0.0.1:{port}");
    let (addr, handle, thread) = crate::support::app::run_service(&url, &[]);
    let base = format!("http://{addr}");
    let client = reqwest::Client::new();
    let product = json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 10});
    let made = client.post(format!("{base}/api/admin/products")).bearer_auth(ADMIN_TOKEN).json(&product);
    assert_eq!(made.ask().await.unwrap().status(), 201);
    assert_eq!(try_hold(&client, &base, "a").await.unwrap().0, 201);
    let folder = server.end_and_keep_folder();
    let started = Instant::now();
    for n in 0..20 {
        let (status, body) = try_hold(&client, &base, &n.to_string()).await.unwrap();
        assert_eq!((status, body["code"].as_str().unwrap()), (503, "store_unavailable"));
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(client.get(format!("{base}/livez")).ask().await.unwrap().status(), 200);
    let server = ServerProcess::start_in(folder, port, &["--appendonly", "yes"]);
    eventually("holds are taken again", async || try_hold(&client, &base, "b").await.unwrap().0 == 201).await;
    let replayed = client.post(format!("{base}/api/holds")).header("Idempotency-Key", "a");
    let replayed = replayed.json(&json!({"product_id": 1, "quantity": 1})).ask().await.unwrap();
    assert!(replayed.headers().contains_key("idempotency-replayed"));
    drop(handle.stop(true));
    thread.join().unwrap();
    invariants::check(
        &mut redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap().get_connection().unwrap(),
    );
}

#[tokio::test]
async fn a_redis_that_is_full_gets_a_503_and_what_frees_units_still_works() {
    let app = TestApp::selling(10).await;
    let (hold, order) = (app.held().await, app.ordered().await);
    app.add_product(json!({"id": 2, "sale": "other", "name": "Item", "price": "1.00", "total_stock": 1})).await;
    let set = |name: &str, value: &str| {
        redis::cmd("CONFIG").arg(&["SET", name, value]).exec(&mut app.redis.connect()).unwrap();
    };
    set("maxmemory", "1");
    let refused = app.hold(1).await;
    assert_eq!((refused.refusal(), &*refused.headers["retry-after"]), ((503, "store_full"), "5"));
    let ready = app.get("/readyz").await;
    assert!(
        ready.status == 200 && ready.body["status"] == "degraded" && ready.body["code"] == "store_full",
        "{ready:?}"
    );
    assert_eq!(app.post(&format!("/api/orders/{order}/payment-started"), json!({})).await.status, 200);
    assert_eq!(app.stock(1).await, "8 available, 1 held, 1 pending");
    assert_eq!(app.delete(&format!("/api/holds/{hold}")).await.status, 204);
    let event = json!({"status": "paid", "order_id": order, "payment_id": "pi_1"});
    assert_eq!(app.pay("a", event).await.body["outcome"], "applied");
    for (method, path) in [(Method::DELETE, "/api/admin/products/1"), (Method::POST, "/api/admin/products/1/move")] {
        let answer = app.admin(method, path, json!({"sale": "other"})).await;
        assert_eq!(answer.refusal(), (503, "store_full"), "{path}: nothing was begun");
    }
    // Money that names nothing of ours is kept for a person, and a person can pause.
    let foreign = json!({"status": "paid", "order_id": "cart 9", "payment_id": "pi_2", "amount": "1"});
    assert_eq!(app.pay("b", foreign).await.body["outcome"], "unmatched");
    for paused in [true, false] {
        assert_eq!(
            app.admin(Method::PATCH, "/api/admin/sales/p1", json!({"paused": paused})).await.body["paused"],
            paused
        );
    }
    // A service that is started again meanwhile finds its secret.
    holds(&app.redis.url(), (503, "store_full")).await;
    set("maxmemory", "0");
    assert_eq!(app.get("/readyz").await.body["status"], "ready");
    app.held().await;
    eventually("what was noted of the payment is in the directory", async || {
        let request = app.request(Method::GET, "/api/admin/payments/pi_1").bearer_auth(ADMIN_TOKEN);
        app.send(request).await.body["orders"][0]["id"] == order.as_str()
    })
    .await;
}

#[tokio::test]
async fn a_primary_that_became_a_replica_gets_a_503_until_it_is_one_again() {
    // A server of a cluster refuses that while it has slots.
    let server = PrivateRedis::Standalone(ServerProcess::start(&["--appendonly", "yes"]));
    let app = TestApp::start_on(server, &[]).with_units(10).await;
    app.held().await;
    redis::cmd("REPLICAOF").arg(&["127.0.0.1", "1"]).exec(&mut app.redis.connect()).unwrap();
    assert_eq!(app.hold(1).await.refusal(), (503, "store_unavailable"));
    assert_eq!(app.get("/readyz").await.refusal(), (503, "store_unavailable"));
    redis::cmd("REPLICAOF").arg(&["NO", "ONE"]).exec(&mut app.redis.connect()).unwrap();
    eventually("holds are taken again", async || app.hold(1).await.status == 201).await;
}

#[test]
fn a_redis_that_would_lose_stock_is_refused_at_start_up() {
    let evicting = ServerProcess::start(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let message = refusal(&format!("redis://127.0.0.1:{}", evicting.port));
    assert!(message.contains("noeviction"), "{message}");
    let replica = ServerProcess::start(&["--replicaof", "127.0.0.1 1"]);
    let message = refusal(&format!("redis://127.0.0.1:{}", replica.port));
    assert!(message.contains("primary"), "{message}");
    let other = PrivateRedis::start();
    other.connect().set::<_, _, ()>("fs1:{:all}:schema", "99").unwrap();
    assert!(refusal(&other.url()).contains("schema 99"));
    assert!(refusal("redis://127.0.0.1:1").contains("not available"));
    let message = refusal("http://user:hunter2@127.0.0.1:1");
    assert!(message.contains("redis.url") && !message.contains("hunter2"), "{message}");
}

/// The message of a service that does not start on this Redis.
fn refusal(url: &str) -> String {
    refusal_with(url, &[])
}

pub fn refusal_with(url: &str, environment: &[(&str, &str)]) -> String {
    let output = command(Path::new("unused"))
        .envs(environment.iter().copied())
        .args(["serve", "--addr", "127.0.0.1:0"])
        .env("FLASHSALE_REDIS__URL", url)
        .env("FLASHSALE_REDIS__STARTUP_SECONDS", "0")
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn a_standalone_redis_is_used_with_user_and_password() {
    let acl = ["--user", "buyer", "on", ">secret", "~fs1:*", "&*", "+@all"];
    let server = ServerProcess::start(&[&acl[..], &["--requirepass", "other"]].concat());
    let url = format!("redis://buyer:secret@127.0.0.1:{}", server.port);
    holds_a_unit(&url).await;
    let wrong = refusal(&format!("redis://buyer:hunter2@127.0.0.1:{}", server.port));
    assert!(wrong.contains("not available") && !wrong.contains("hunter2"), "{wrong}");
}

#[tokio::test]
async fn a_standalone_redis_is_used_over_tls() {
    if !ServerProcess::knows_tls() {
        crate::support::left_out("the server on this machine was built without TLS");
        return;
    }
    let folder = TempDir::with_prefix("fs").unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=CA:FALSE"])
        .args(["-keyout", &file("key.pem"), "-out", &file("cert.pem")])
        .stderr(Stdio::null())
        .status();
    assert!(made.is_ok_and(|status| status.success()), "openssl makes a certificate; scripts/bootstrap installs it");
    let port = free_port();
    let port_text = port.to_string();
    let arguments = ["--port", "0", "--tls-port", &port_text, "--tls-auth-clients", "no", "--tls-cert-file"];
    let more = [&file("cert.pem"), "--tls-key-file", &file("key.pem"), "--tls-ca-cert-file", &file("cert.pem")];
    let server =
        ServerProcess::start_in(TempDir::with_prefix("fs").unwrap(), port, &[&arguments[..], &more[..]].concat());
    let mut service = command(Path::new("unused"));
    service
        .env("SSL_CERT_FILE", file("cert.pem"))
        .env("FLASHSALE_REDIS__URL", format!("rediss://localhost:{}", server.port));
    let service = ServiceProcess::run(service, SocketAddr::from(([127, 0, 0, 1], free_port())));
    assert_eq!(try_hold(&reqwest::Client::new(), &service.url(), "a").await.unwrap().0, 201);
    assert!(service.stop());
}

/// What a service of its own on this Redis answers to a hold.
async fn holds(url: &str, expected: (u16, &str)) {
    let (addr, handle, thread) = crate::support::app::run_service(url, &[]);
    let (status, body) = try_hold(&reqwest::Client::new(), &format!("http://{addr}"), "once").await.unwrap();
    assert_eq!((status, body["code"].as_str().unwrap()), expected);
    drop(handle.stop(true));
    thread.join().unwrap();
}

/// Whether a socket of this process leads to the port, in the state in which the other side has closed.
fn has_half_closed(port: u16) -> bool {
    let sockets = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let is_one = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words[2].ends_with(&format!(":{port:04X}")) && words[3] == "08"
    };
    sockets.lines().skip(1).any(is_one)
}

#[tokio::test]
async fn a_connection_that_died_while_nobody_used_it_is_replaced_without_an_error() {
    let mut server = ServerProcess::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let settings = [("HTTP__WORKERS", "1"), ("EVENTS__SWEEP_MS", "0")];
    let (addr, handle, thread) = crate::support::app::run_service(&server.url(), &settings);
    let client = reqwest::Client::new();
    let admin = async |path: &str, key: &str, body: Value| {
        let request = client.post(format!("http://{addr}/api/admin/products{path}")).header("Idempotency-Key", key);
        let answer = request.bearer_auth(ADMIN_TOKEN).json(&body).ask().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let product = |id: u64| json!({"id": id, "name": "Item", "price": "1.00", "total_stock": 10});
    assert_eq!(admin("", "a", product(1)).await.0, 201);
    for turn in 0..3 {
        let (port, folder) = (server.port, server.end_and_keep_folder());
        eventually("the service has closed its side", async || !has_half_closed(port)).await;
        server = ServerProcess::start_in(folder, port, &["--appendonly", "yes", "--appendfsync", "always"]);
        eventually("it has loaded its data", async || {
            let client = redis::Client::open(server.url()).unwrap();
            client.get_connection().is_ok_and(|mut connection| redis::cmd("PING").exec(&mut connection).is_ok())
        })
        .await;
        // None of these calls may be sent twice.
        let answer = match turn {
            0 => admin("/1/restock", "b", json!({"delta": 1})).await,
            1 => admin("", "c", product(2)).await,
            _ => admin("/1/restock", "d", json!({"delta": 1})).await,
        };
        assert!([200, 201].contains(&answer.0), "{answer:?}");
    }
    drop(handle.stop(true));
    thread.join().unwrap();
}

#[tokio::test]
async fn a_payment_is_as_durable_on_a_full_redis() {
    let server = ServerProcess::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (addr, handle, thread) = crate::support::app::run_service(&server.url(), &[("DURABILITY__PAYMENTS", "fsync")]);
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    redis::cmd("CONFIG").arg(&["SET", "maxmemory", "1"]).exec(&mut connection).unwrap();
    let event = json!({"idempotency_key": "k", "payload": {"status": "paid", "order_id": "order_1"}});
    let request = reqwest::Client::new().post(format!("http://{addr}/api/payments/webhook")).json(&event);
    assert_eq!(request.ask().await.unwrap().status(), 200);
    drop(handle.stop(true));
    thread.join().unwrap();
}

/// What a service says when it is asked twice to stop: the second time ends the drain.
pub fn stopped(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let folder = TempDir::with_prefix("fs").unwrap();
    let mut service = command(folder.path());
    service.env_remove("FLASHSALE_HTTP__DRAIN_SECONDS").args(["serve", "--addr", "127.0.0.1:0"]).args(arguments);
    service.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut service = service.spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(service.stderr.take().unwrap()));
    let mut said = String::new();
    while let Some(Ok(line)) = lines.next() {
        if line.contains("listening") || line.contains("stopping") {
            signal_process(service.id(), "TERM");
        }
        said.push_str(&line);
    }
    assert!(service.wait().unwrap().success());
    said
}

#[test]
fn a_service_drains_unless_it_is_a_demo_and_says_that_it_has_no_admin_routes() {
    let said = stopped(&[], &[]);
    assert!(said.contains("\"drain_seconds\":5"), "{said}");
    assert_eq!(said.matches("there are no admin routes").count(), 1, "{said}");
    let said = stopped(&["--demo"], &[]);
    assert!(said.contains("\"drain_seconds\":0") && !said.contains("no admin routes"), "{said}");
    let said = stopped(&["--demo"], &[("FLASHSALE_HTTP__DRAIN_SECONDS", "3600")]);
    assert!(said.contains("\"drain_seconds\":3600"), "a setting wins: {said}");
}

async fn holds_a_unit(url: &str) {
    let (addr, handle, thread) = crate::support::app::run_service(url, &[]);
    let client = reqwest::Client::new();
    let product = json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 10});
    let made = client.post(format!("http://{addr}/api/admin/products"));
    let made = made.bearer_auth(ADMIN_TOKEN).json(&product).ask().await.unwrap();
    assert_eq!(made.status(), 201);
    assert_eq!(try_hold(&client, &format!("http://{addr}"), "a").await.unwrap().0, 201);
    drop(handle.stop(true));
    thread.join().unwrap();
}

#[tokio::test]
async fn a_service_that_drains_is_not_ready_and_finishes_what_it_began() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let mut service = command(folder.path());
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    service.env("FLASHSALE_HTTP__DRAIN_SECONDS", "2").args(["serve", "--demo", "--addr", &addr.to_string()]);
    let mut service = service.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let client = reqwest::Client::new();
    let ready = async || {
        let response = client.get(format!("http://{addr}/readyz")).ask().await.ok()?;
        Some((response.status().as_u16(), response.json::<Value>().await.ok()?["code"].clone()))
    };
    eventually("it is ready", async || ready().await.is_some_and(|(status, _)| status == 200)).await;
    signal_process(service.id(), "TERM");
    eventually("it drains", async || ready().await.is_some_and(|answer| answer == (503, json!("draining")))).await;
    assert_eq!(try_hold(&client, &format!("http://{addr}"), "a").await.unwrap().0, 201, "requests are still answered");
    let answer = client.get(format!("http://{addr}/livez")).ask().await.unwrap();
    assert_eq!(answer.headers()["connection"], "close", "the client goes elsewhere before the service is gone");
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().unwrap().success());
}

#[test]
fn a_data_folder_that_cannot_be_used_is_named() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let start = |folder: &Path, server| Embedded::start(folder, server, Path::new(PROGRAM), Duration::from_secs(5));
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = start(&file, None).unwrap_err();
    assert!(error.to_string().contains("cannot use the data folder"), "{error}");
    let error = start(&folder.path().join("new"), Some(Path::new("/no/such/server")));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("/no/such/server"), "{error}");
    let long = folder.path().join("x".repeat(120));
    let error = start(&long, None).unwrap_err();
    assert!(error.to_string().contains("redis.data_dir"), "{error}");
}
