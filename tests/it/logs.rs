//! What the service writes about itself.

use std::{
    fs,
    fs::File,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    eventually,
    process::command,
    redis::{free_port, signal_process},
};

/// The service on a folder, writing its log into a file.
fn serve(folder: &Path, addr: SocketAddr, log: &Path) -> Command {
    let mut command = command(&folder.join("data"));
    command.args(["serve", "--addr", &addr.to_string()]).stderr(File::create(log).unwrap());
    command
}

#[tokio::test]
async fn a_request_is_one_line_at_debug_and_a_failure_is_one_line_with_its_cause() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let log = folder.path().join("log");
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut service = serve(folder.path(), addr, &log)
        .env("FLASHSALE_LOG__FILTER", "info,flashsale=debug")
        .env("FLASHSALE_REDIS__CALL_TIMEOUT_MS", "50")
        .env("FLASHSALE_ADMIN__TOKEN", "a-secret-that-is-never-logged")
        .spawn()
        .unwrap();
    let client = reqwest::Client::new();
    let get = async |path: &str, id: &str| {
        let request = client.get(format!("http://{addr}{path}")).header("X-Request-Id", id);
        request.send().await.ok().map(|response| response.status().as_u16())
    };
    eventually("it is ready", async || get("/readyz", "ready").await == Some(200)).await;
    assert_eq!(get("/api/products/7", "trace-1").await, Some(404));
    let socket = folder.path().join("data/redis.sock");
    let info = redis::IntoConnectionInfo::into_connection_info(redis::ConnectionAddr::Unix(socket)).unwrap();
    let server = crate::support::redis::pid(&mut redis::Client::open(info).unwrap().get_connection().unwrap());
    signal_process(server, "STOP");
    let failed = get("/api/products/7", "trace-2").await;
    signal_process(server, "CONT");
    assert_eq!(failed, Some(503));
    signal_process(service.id(), "TERM");
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().unwrap().success());

    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains("a-secret-that-is-never-logged"));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let about = |id: &str| lines.iter().filter(|line| line["request_id"] == id).collect::<Vec<_>>();
    let refused = about("trace-1");
    assert_eq!(refused.len(), 1, "a refusal is no failure: {refused:?}");
    assert_eq!((&refused[0]["level"], &refused[0]["status"]), (&"DEBUG".into(), &404.into()));
    let failed = about("trace-2");
    let errors: Vec<_> = failed.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!((failed.len(), errors.len()), (2, 1), "{failed:?}");
    assert_eq!(errors[0]["code"], "store_timeout");
    assert!(errors[0]["cause"].as_str().unwrap().contains("did not answer in time"), "{errors:?}");
}

#[tokio::test]
async fn the_log_names_a_record_that_cannot_be_read() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let log = folder.path().join("log");
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut service = serve(folder.path(), addr, &log).args(["--demo"]).stdout(Stdio::null()).spawn().unwrap();
    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://{addr}{path}");
    let get = async |path: &str| client.get(url(path)).send().await.ok().map(|response| response.status().as_u16());
    eventually("it is ready", async || get("/readyz").await == Some(200)).await;
    let made = async |path: &str, body: Value| {
        let answer: Value = client.post(url(path)).json(&body).send().await.unwrap().json().await.unwrap();
        answer["id"].as_str().unwrap().to_owned()
    };
    let hold = made("/api/holds", json!({"product_id": 1, "quantity": 1})).await;
    let order = made("/api/orders", json!({"hold_id": hold})).await;
    let socket = folder.path().join("data/redis.sock");
    let info = redis::IntoConnectionInfo::into_connection_info(redis::ConnectionAddr::Unix(socket)).unwrap();
    let mut redis = redis::Client::open(info).unwrap().get_connection().unwrap();
    redis::cmd("HDEL").arg("fs1:{p1}:stock").arg("1:held").exec(&mut redis).unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("fs1:{p1}:order:*").query(&mut redis).unwrap();
    redis::cmd("HDEL").arg(&keys[0]).arg("lines").exec(&mut redis).unwrap();
    assert_eq!(get("/api/products").await, Some(200));
    assert_eq!(get(&format!("/api/orders/{order}")).await, Some(503));
    signal_process(service.id(), "TERM");
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().unwrap().success());
    let text = fs::read_to_string(&log).unwrap();
    let errors: Vec<_> = text.lines().filter(|line| line.contains("\"level\":\"ERROR\"")).collect();
    for (logged, name) in [("left out of a list of products", "product 1 of sale p1: "), ("request failed", &order)] {
        assert!(
            errors.iter().any(|line| line.contains(logged) && line.contains(name)),
            "{logged} {name} in {errors:?}"
        );
    }
}

#[tokio::test]
async fn only_the_log_says_why_an_event_is_not_trusted() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let log = folder.path().join("log");
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut service = serve(folder.path(), addr, &log)
        // Each worker logs lines of one kind once a second.
        .env("FLASHSALE_HTTP__WORKERS", "1")
        .spawn()
        .unwrap();
    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://{addr}{path}");
    let ready = async || client.get(url("/readyz")).send().await.is_ok_and(|response| response.status() == 200);
    eventually("it is ready", ready).await;
    let request = client.post(url("/api/payments/webhooks/stripe")).header("stripe-signature", "t=soon,v1=00");
    let refused: Value = request.json(&json!({})).send().await.unwrap().json().await.unwrap();
    signal_process(service.id(), "TERM");
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().unwrap().success());
    assert_eq!(refused["code"], "signature_invalid");
    let text = fs::read_to_string(&log).unwrap();
    for logged in [
        "nothing in webhook.secrets and webhook.stripe_secrets: every payment event will be refused",
        "\"reason\":\"the timestamp is no whole number of seconds\",\"path\":\"/api/payments/webhooks/stripe\"",
    ] {
        assert!(text.contains(logged) && !refused.to_string().contains("whole number"), "{logged} in {text}");
    }
}

#[tokio::test]
async fn the_log_names_and_counts_each_status_word_that_no_table_knows() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let log = folder.path().join("log");
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut service = serve(folder.path(), addr, &log)
        .env("FLASHSALE_HTTP__WORKERS", "1")
        .env("FLASHSALE_WEBHOOK__ALLOW_UNSIGNED", "true")
        .spawn()
        .unwrap();
    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://{addr}{path}");
    let ready = async || client.get(url("/readyz")).send().await.is_ok_and(|response| response.status() == 200);
    eventually("it is ready", ready).await;
    let odd = format!("\u{1b}[2J\nsettling {}", "x".repeat(500));
    let send = async |word: &str| {
        let event = json!({"idempotency_key": "k", "payload": {"status": word, "order_id": "order_p1_x"}});
        let answer = client.post(url("/api/payments/webhook")).json(&event).send().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap()["outcome"], "ignored", "{word}");
    };
    for word in ["payd", "payed", &odd] {
        send(word).await;
    }
    let lines = || {
        let text = fs::read_to_string(&log).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["message"] == "payment event with an unknown status ignored").collect::<Vec<_>>()
    };
    let words = lines().iter().map(|line| line["word"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(words, ["payd", "payed", &format!("\\u{{1b}}[2J\\nsettling {}", "x".repeat(40))]);
    // Another line about the same word comes a second later, and has counted those between.
    eventually("a line has a count", async || {
        send("payd").await;
        lines().iter().any(|line| line["word"] == "payd" && line["count"].as_u64().unwrap() > 1)
    })
    .await;
    signal_process(service.id(), "TERM");
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().unwrap().success());
}
