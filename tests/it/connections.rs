//! Connections as proxies, browsers and kernels make them.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use futures_util::future::{join_all, try_join_all};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    api::fast_path::{read_heads, request},
    support::{
        app::{ADMIN_TOKEN, TestApp},
        contract::Ask,
        eventually,
        nginx::Nginx,
        process::{ServiceProcess, command},
        redis::{PROGRAM, PrivateRedis, free_port, signal_process},
    },
};

const HOLD: &str = r#"{"product_id":1,"quantity":1}"#;

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// All that comes until the other side closes.
async fn rest_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = timeout(Duration::from_secs(30), stream.read_to_end(&mut bytes)).await;
    read.expect("the service closes").unwrap();
    bytes
}

async fn say(addr: SocketAddr, text: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(text).await.unwrap();
    stream
}

#[tokio::test]
async fn a_rush_of_clients_connects_before_the_service_looks_at_any_of_them() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = ServiceProcess::start_at(folder.path(), loopback());
    let system: usize = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    let rush = system.min(3_000) - 1;
    // Nobody accepts now, so a connection comes to be only if the queue has room. A queue of 128 would drop the others.
    signal_process(service.pid(), "STOP");
    let connects = try_join_all((0..rush).map(|_| TcpStream::connect(service.addr)));
    let connected = timeout(Duration::from_mins(1), connects).await;
    signal_process(service.pid(), "CONT");
    let streams = connected.expect("all of them have connected").unwrap();
    let answers = join_all(streams.into_iter().map(async |mut stream| {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        read_heads(&mut stream, 1).await
    }));
    assert!(answers.await.iter().all(|heads| *heads == ["HTTP/1.1 200"]));
}

#[tokio::test]
async fn with_256_files_the_service_serves_some_refuses_the_others_and_stays_in_good_health() {
    let redis = PrivateRedis::start();
    let addr = loopback();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 256; exec \"$0\" serve --demo --addr \"$1\"", PROGRAM, &addr.to_string()]);
    limited.env_clear().env("FLASHSALE_REDIS__URL", redis.url()).env("FLASHSALE_HTTP__WORKERS", "2");
    limited.env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN).env("FLASHSALE_HTTP__READ_TIMEOUT_MS", "600000");
    limited.env("FLASHSALE_HTTP__HEAD_TIMEOUT_MS", "600000");
    let mut service = limited.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let get = async |path: &str| {
        let answer = client.get(format!("http://{addr}{path}")).bearer_auth(ADMIN_TOKEN).ask().await;
        answer.map_or(0, |answer| answer.status().as_u16())
    };
    eventually("it is ready", async || get("/readyz").await == 200).await;

    let mut served = Vec::new();
    let mut refused = 0;
    for _ in 0..300 {
        let mut stream = say(addr, (request(HOLD.len()) + HOLD).as_bytes()).await;
        let mut bytes = [0; 2_048];
        let read = timeout(Duration::from_secs(30), stream.read(&mut bytes)).await.expect("an answer").unwrap();
        let text = String::from_utf8_lossy(&bytes[..read]).to_lowercase();
        if text.starts_with("http/1.1 503") {
            assert!(text.contains("retry-after: 1\r\n") && text.contains("connection: close\r\n"), "{text}");
            refused += 1;
        } else {
            assert!(text.starts_with("http/1.1 201") || text.starts_with("http/1.1 409"), "{text}");
            served.push(stream);
        }
    }
    assert!(served.len() >= 100 && refused >= 100, "{} served, {refused} refused", served.len());
    // As many again that say nothing.
    let silent = join_all((0..300).map(|_| TcpStream::connect(addr))).await;
    assert!(silent.iter().all(Result::is_ok));
    for path in ["/livez", "/readyz", "/metrics", "/api/admin/sales"] {
        assert_eq!(get(path).await, 200, "{path}");
    }
    let event = json!({"idempotency_key": "k", "payload": {"status": "paid", "order_id": "order_1"}});
    let paid = client.post(format!("http://{addr}/api/payments/webhook")).json(&event).ask().await.unwrap();
    assert_eq!(paid.status(), 200, "money is taken");
    assert_eq!(get("/api/products/1").await, 503);

    // Connections to Redis have files of their own.
    redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).exec(&mut redis.connect()).unwrap();
    let stream = served.last_mut().unwrap();
    stream.write_all(b"GET /api/products/1 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(read_heads(stream, 1).await, ["HTTP/1.1 200"]);
    drop((served, silent));
    eventually("there is room again", async || get("/api/products/1").await == 200).await;
    signal_process(service.id(), "TERM");
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().unwrap().success());
}

#[tokio::test]
async fn the_soft_limit_of_files_is_raised_to_the_hard_one() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -Sn 64; ulimit -Hn 1024; exec \"$@\"", "sh"]);
    limited.arg(command(folder.path()).get_program()).env_clear();
    limited.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("FLASHSALE_REDIS__DATA_DIR", folder.path());
    let service = ServiceProcess::run(limited, loopback());
    let limits = fs::read_to_string(format!("/proc/{}/limits", service.pid())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().filter(|word| *word == "1024").count(), 2, "{files}");
    assert!(service.stop());
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed_without_a_byte_and_a_slow_one_gets_a_408() {
    let app = TestApp::start_with(&[("HTTP__HEAD_TIMEOUT_MS", "100")]);
    let silent = (0..20).map(|_| async { rest_of(&mut TcpStream::connect(app.addr).await.unwrap()).await });
    assert!(join_all(silent).await.iter().all(Vec::is_empty));
    // Long enough for the service to read what has come.
    let app = TestApp::start_with(&[("HTTP__HEAD_TIMEOUT_MS", "3000")]);
    let mut slow = say(app.addr, b"GET /livez HTTP/1.1\r\nHost:").await;
    assert!(rest_of(&mut slow).await.starts_with(b"HTTP/1.1 408 "));
}

/// Each message of a connection, answered before the next one is sent.
async fn asked_in_turn(addr: SocketAddr, messages: &[String]) -> Vec<String> {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let mut answers = Vec::new();
    for message in messages {
        stream.write_all(message.as_bytes()).await.unwrap();
        answers.extend(read_heads(&mut stream, 1).await);
    }
    answers
}

#[tokio::test]
async fn an_upgrade_that_is_not_offered_leaves_the_connection_as_it_is() {
    let app = TestApp::selling(100).await;
    for upgrade in [
        "Connection: upgrade\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ] {
        let with = |text: String| text.replacen("Host: x\r\n", &format!("Host: x\r\n{upgrade}"), 1);
        let hold = with(request(HOLD.len())) + HOLD;
        let read = with("GET /api/products/1 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned());
        let routed = with("GET /api/products HTTP/1.1\r\nHost: x\r\n\r\n".to_owned());
        let plain = "GET /api/products/1 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned();
        let answers = asked_in_turn(app.addr, &[hold.clone(), read, routed, plain, hold]).await;
        let expected = [201, 200, 200, 200, 201].map(|status| format!("HTTP/1.1 {status}"));
        assert_eq!(answers, expected, "{upgrade}");
    }
}

/// As its manual and half the web have it, for web sockets.
const NGINX: &str = r#"
  upstream flashsale { server SERVICE; keepalive 16; }
  server {
    listen 127.0.0.1:PORT;
    location / {
      proxy_pass http://flashsale; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; proxy_set_header Host $host;
    }
  }
"#;

/// Both ends of each connection to the port, open or ended within the last minute.
fn connections_of(port: u16) -> usize {
    let sockets = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let mine = format!(":{port:04X}");
    let is_one = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Not the one that listens.
        words[3] != "0A" && (words[1].ends_with(&mine) || words[2].ends_with(&mine))
    };
    sockets.lines().skip(1).filter(|line| is_one(line)).count()
}

#[tokio::test]
async fn nginx_keeps_its_connection_whatever_upgrade_it_asks_for() {
    let app = TestApp::selling(1_000).await;
    let port = free_port();
    let settings = NGINX.replace("SERVICE", &app.addr.to_string()).replace("PORT", &port.to_string());
    let Some(_nginx) = Nginx::start(&settings) else { return };
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}/api");
    let get =
        async || client.get(format!("{url}/products/1")).send().await.map_or(0, |answer| answer.status().as_u16());
    eventually("nginx passes requests on", async || get().await == 200).await;
    let before = connections_of(app.addr.port());
    for _ in 0..50 {
        let hold = client.post(format!("{url}/holds")).json(&json!({"product_id": 1, "quantity": 1})).send().await;
        assert_eq!((hold.unwrap().status().as_u16(), get().await), (201, 200));
    }
    let made = connections_of(app.addr.port()) - before;
    assert_eq!(made, 0, "100 requests came through the connections that there were");
}

#[tokio::test]
async fn whoever_has_connected_before_the_port_is_closed_is_answered() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let mut program = command(folder.path());
    program.env("FLASHSALE_HTTP__DRAIN_SECONDS", "1").env("FLASHSALE_REDIS__CALL_TIMEOUT_MS", "10000");
    let service = ServiceProcess::run(program, loopback());
    let (pid, addr) = (service.pid(), service.addr);
    let client = reqwest::Client::new();
    signal_process(pid, "TERM");
    eventually("it drains", async || {
        let ready = client.get(format!("http://{addr}/readyz")).ask().await;
        ready.is_ok_and(|answer| answer.status() == 503)
    })
    .await;
    // It sleeps until the drain is over, and finds clients that have connected and sent.
    signal_process(pid, "STOP");
    let mut streams = Vec::new();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    for _ in 0..50 {
        streams.push(say(addr, (request(HOLD.len()) + HOLD).as_bytes()).await);
    }
    signal_process(pid, "CONT");
    for mut stream in streams {
        assert!(rest_of(&mut stream).await.starts_with(b"HTTP/1.1 201 "), "it was accepted and not answered");
    }
    let gone = async || {
        TcpStream::connect(addr).await.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    eventually("the port is closed", gone).await;
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap(), "it exits with 0");
}

#[tokio::test]
async fn http2_is_refused_in_its_own_words() {
    let app = TestApp::start();
    let mut stream = say(app.addr, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let answer = rest_of(&mut stream).await;
    let (settings, goaway) = answer.split_at(9);
    assert_eq!((settings[3], goaway[3]), (4, 7), "SETTINGS and GOAWAY");
    assert_eq!(goaway[13..17], [0, 0, 0, 13], "HTTP_1_1_REQUIRED");
    assert!(String::from_utf8_lossy(goaway).contains("HTTP/1.1 only"));
    // Whoever knows to go on with HTTP/1.1 is served.
    assert_eq!(app.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_refusal_keeps_the_connection_when_the_body_came_whole() {
    let keys = ("HTTP__API_KEYS", "key-of-the-web-shop");
    let limit = [("HTTP__RATE_LIMIT_PER_SECOND", "0.001"), ("HTTP__RATE_LIMIT_BURST", "2"), keys];
    let with_key = |text: String| text.replacen("Host: x\r\n", "Host: x\r\nX-Api-Key: key-of-the-web-shop\r\n", 1);
    for path in ["/api/holds", "/api/%68olds"] {
        let to = |text: String| text.replacen("/api/holds", path, 1);
        let no_key = to(request(HOLD.len())) + HOLD;
        let other_type = with_key(no_key.replacen("application/json", "text/plain", 1));
        let too_large = with_key(to(request(20_000))) + &" ".repeat(20_000);
        let unread = "DELETE /api/holds HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}".to_owned();
        let read = with_key("GET /api/products HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}".to_owned());
        let app = TestApp::start_with(&[keys]);
        let messages = [no_key.clone(), other_type, too_large, with_key(unread), read];
        let expected = [401, 415, 413, 405, 200].map(|status| format!("HTTP/1.1 {status}"));
        assert_eq!(asked_in_turn(app.addr, &messages).await, expected, "{path}");

        let app = TestApp::start_with(&limit);
        let hold = with_key(no_key);
        let answers = asked_in_turn(app.addr, &[hold.clone(), hold.clone(), hold.clone(), hold]).await;
        assert_eq!(answers[2..], ["HTTP/1.1 429", "HTTP/1.1 429"]);
    }
}

#[tokio::test]
async fn a_body_that_nobody_needs_is_not_read_for_long() {
    let app = TestApp::start();
    for path in ["/api/holds", "/api/%68olds"] {
        // The rest of it never comes.
        let text = request(20_000).replacen("/api/holds", path, 1) + "{";
        let mut stream = say(app.addr, text.as_bytes()).await;
        let answer = String::from_utf8(rest_of(&mut stream).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    assert_eq!(app.admin(Method::GET, "/api/admin/sales", json!({})).await.status, 200);
}

#[test]
fn a_service_of_few_files_says_so() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let script = "ulimit -n 128; exec \"$0\" serve --addr 127.0.0.1:0";
    let mut limited = Command::new("sh");
    let mut service = limited
        .args(["-c", script, PROGRAM])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("FLASHSALE_REDIS__DATA_DIR", Path::new(folder.path()))
        .env("FLASHSALE_HTTP__BACKLOG", "65535")
        .env("FLASHSALE_HTTP__DRAIN_SECONDS", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = service.id();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(service.stderr.take().unwrap()));
    let mut said = String::new();
    for line in lines.map_while(Result::ok) {
        said.push_str(&line);
        if line.contains("listening") {
            signal_process(pid, "TERM");
        }
    }
    assert!(service.wait().unwrap().success());
    assert!(said.contains(r#""files":128"#) && said.contains("LimitNOFILE"), "{said}");
    assert!(said.contains("net.core.somaxconn"), "{said}");
}
