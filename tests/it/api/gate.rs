//! The gate in front of the storefront: the rate limit for each address, and the API keys.

use std::{net::SocketAddr, path::Path, process::Command};

use reqwest::{Method, RequestBuilder, header::HeaderValue};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::fast_path::{read_heads, request};
use crate::support::{
    app::{Answer, TestApp},
    contract::Ask,
    process::{ServiceProcess, command, without_settings},
    redis::{free_port, signal_process},
};

const KEY: &str = "key-of-the-web-shop";
const KEYS: (&str, &str) = ("HTTP__API_KEYS", "key-of-the-web-shop, key-of-the-mobile-app");
/// Five requests, and no other one for as long as a test takes.
const LIMIT: [(&str, &str); 2] = [("HTTP__RATE_LIMIT_PER_SECOND", "0.001"), ("HTTP__RATE_LIMIT_BURST", "5")];
const BEHIND_A_PROXY: (&str, &str) = ("HTTP__TRUSTED_PROXIES", "127.0.0.1");
/// Written with an escape, a path is no exact match for the fast path, and the router decodes it.
const BOTH_PATHS: [&str; 2] = ["/api/holds", "/api/%68olds"];

async fn selling(settings: &[(&str, &str)]) -> TestApp {
    let app = TestApp::start_with(settings);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 100})).await;
    app
}

fn limited(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    LIMIT.iter().chain(more).copied().collect()
}

fn hold_request(app: &TestApp, path: &str) -> RequestBuilder {
    app.request(Method::POST, path).json(&json!({"product_id": 1, "quantity": 1}))
}

async fn hold_for(app: &TestApp, path: &str, forwarded: &[&str]) -> u16 {
    let lines = forwarded.iter();
    let request = lines.fold(hold_request(app, path), |request, line| request.header("x-forwarded-for", *line));
    app.send(request).await.status
}

/// All that is the storefront's, on both ways, and what cannot be done there.
fn storefront(app: &TestApp) -> Vec<RequestBuilder> {
    let calls = [
        (Method::GET, "/api/products"),
        (Method::GET, "/api/products/1"),
        (Method::GET, "/api/product%73/1"),
        (Method::GET, "/api/products/none"),
        (Method::GET, "/api/products/by-sku/none"),
        (Method::POST, "/api/holds"),
        (Method::POST, "/api/%68olds"),
        (Method::PUT, "/api/holds"),
        (Method::GET, "/api/holds/hold_1"),
        (Method::DELETE, "/api/holds/hold_1"),
        (Method::POST, "/api/holds/hold_1/extend"),
        (Method::POST, "/api/orders"),
        (Method::GET, "/api/orders/order_1"),
        (Method::POST, "/api/orders/order_1/cancel"),
        (Method::POST, "/api/orders/order_1/payment-started"),
        (Method::GET, "/%61pi/products"),
    ];
    calls.into_iter().map(|(method, path)| app.request(method, path)).collect()
}

/// Answers to HEAD, which have no body, on the fast path and through the router.
async fn heads(app: &TestApp) -> [u16; 2] {
    let head = async |path| app.request(Method::HEAD, path).ask().await.unwrap().status().as_u16();
    [head("/api/products/1").await, head("/api/product%73/1").await]
}

/// What is not the storefront's: it is answered as ever.
async fn the_rest_is_open(app: &TestApp) {
    for path in ["/livez", "/readyz"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    assert_eq!(app.get("/api/unknown").await.refusal(), (404, "not_found"));
    assert_eq!(app.admin(Method::GET, "/api/admin/sales", json!({})).await.status, 200);
    for event in 0..10 {
        let answer = app.pay(&format!("event-{event}"), json!({"status": "paid", "order_id": "order_1"})).await;
        assert_eq!((answer.status, &answer.body["outcome"]), (200, &json!("unmatched")), "{answer:?}");
    }
    let stripe = json!({"id": "evt_1", "object": "event", "type": "customer.created", "data": {"object": {}}});
    assert_eq!(app.post("/api/payments/webhooks/stripe", stripe).await.status, 200);
}

#[tokio::test]
async fn storefront_calls_need_one_of_the_keys_and_others_none() {
    let app = selling(&[KEYS]).await;
    for request in storefront(&app) {
        let send = async |key: &str| app.send(request.try_clone().unwrap().header("x-api-key", key)).await;
        let without = app.send(request.try_clone().unwrap()).await;
        assert_eq!(without.refusal(), (401, "unauthorized"), "{request:?}");
        assert_eq!(without.headers["www-authenticate"], "ApiKey");
        for wrong in ["", "key-of-the-web-sho", "key-of-the-web-shop2", "KEY-OF-THE-WEB-SHOP", KEYS.1] {
            assert_eq!(send(wrong).await.status, 401, "{wrong}");
        }
        for right in [KEY, "key-of-the-mobile-app"] {
            assert_ne!(send(right).await.status, 401, "{request:?}");
        }
    }
    assert_eq!(heads(&app).await, [401, 401]);
    the_rest_is_open(&app).await;
}

#[tokio::test]
async fn a_key_counts_when_it_comes_once_and_in_its_header() {
    let app = selling(&[KEYS]).await;
    let odd = HeaderValue::from_bytes(&[0xff; 40]).unwrap();
    for path in BOTH_PATHS {
        let wrong = [
            hold_request(&app, path).bearer_auth(KEY),
            hold_request(&app, path).header("x-api-key", KEY).header("x-api-key", KEY),
            hold_request(&app, path).header("x-api-key", KEY).header("x-api-key", "another"),
            hold_request(&app, path).header("x-api-key", odd.clone()),
            hold_request(&app, path).header("x-api-key", KEY.repeat(3_000)),
            hold_request(&app, &format!("{path}?x-api-key={KEY}&api_key={KEY}")),
        ];
        for request in wrong {
            assert_eq!(app.send(request).await.refusal(), (401, "unauthorized"));
        }
        assert_eq!(app.send(hold_request(&app, path).header("X-API-KEY", KEY)).await.status, 201);
    }
}

#[tokio::test]
async fn a_buyer_with_a_key_goes_all_the_way_and_the_payment_shows_none() {
    let app = selling(&[KEYS]).await;
    let held = app.send(hold_request(&app, "/api/holds").header("x-api-key", KEY)).await;
    let ask = app.request(Method::POST, "/api/orders").json(&json!({"hold_id": held.id()}));
    let order = app.send(ask.header("x-api-key", KEY)).await;
    let paid = app.pay("payment-1", json!({"status": "paid", "order_id": order.id()})).await;
    assert_eq!((paid.status, &paid.body["outcome"]), (200, &json!("applied")));
}

#[tokio::test]
async fn beyond_the_burst_an_address_is_refused_with_the_time_to_wait() {
    let app = selling(&limited(&[])).await;
    for _ in 0..5 {
        assert_eq!(app.hold(1).await.status, 201);
    }
    for request in storefront(&app) {
        let refused = app.send(request).await;
        assert_eq!(refused.refusal(), (429, "rate_limited"), "{refused:?}");
        let seconds: u64 = refused.headers["retry-after"].parse().unwrap();
        assert!((1..=1_000).contains(&seconds), "{refused:?}");
    }
    assert_eq!(heads(&app).await, [429, 429]);
    the_rest_is_open(&app).await;
}

#[tokio::test]
async fn who_is_turned_away_never_reaches_redis() {
    let app = selling(&limited(&[("EVENTS__SWEEP_MS", "0")])).await;
    for _ in 0..5 {
        assert_eq!(app.hold(1).await.status, 201);
    }
    let scripts_run = || {
        let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut app.redis.connect()).unwrap();
        stats
            .lines()
            .find(|line| line.starts_with("cmdstat_evalsha:"))
            .map(|line| line.split(',').next().unwrap().to_owned())
    };
    let before = scripts_run();
    for path in BOTH_PATHS {
        for _ in 0..10 {
            assert_eq!(app.send(hold_request(&app, path)).await.refusal(), (429, "rate_limited"));
        }
    }
    assert!(before.is_some() && before == scripts_run());
}

#[tokio::test]
async fn the_fast_path_and_the_routes_count_together_and_refuse_alike() {
    let app = selling(&limited(&[KEYS])).await;
    let same = |mut answer: Answer| {
        ["date", "x-request-id", "content-length"].iter().for_each(|name| _ = answer.headers.remove(*name));
        answer.body["request_id"] = Value::Null;
        let wait = answer.headers.remove("retry-after");
        (answer.status, answer.headers, answer.body, wait.is_some())
    };
    let [fast, routed] = BOTH_PATHS;
    let unknown = [app.send(hold_request(&app, fast)).await, app.send(hold_request(&app, routed)).await].map(same);
    assert_eq!(unknown[0], unknown[1]);
    for path in [fast, routed, fast] {
        assert_eq!(app.send(hold_request(&app, path).header("x-api-key", KEY)).await.status, 201);
    }
    let beyond = [app.send(hold_request(&app, routed)).await, app.send(hold_request(&app, fast)).await].map(same);
    assert_eq!((beyond[0].0, &beyond[0]), (429, &beyond[1]));
}

#[tokio::test]
async fn the_limit_comes_before_the_key_and_the_key_before_the_body() {
    let app = selling(&limited(&[KEYS])).await;
    for path in [BOTH_PATHS, BOTH_PATHS].concat().into_iter().chain(["/api/orders"]) {
        let request = app.request(Method::POST, path).header("content-type", "text/plain").body("{");
        assert_eq!(app.send(request).await.refusal(), (401, "unauthorized"));
    }
    for path in BOTH_PATHS {
        assert_eq!(app.send(hold_request(&app, path).header("x-api-key", KEY)).await.refusal(), (429, "rate_limited"));
    }
}

#[tokio::test]
async fn requests_of_one_connection_are_counted_one_by_one_and_it_goes_on_after_a_refusal() {
    let app = selling(&limited(&[])).await;
    let mut stream = TcpStream::connect(app.addr).await.unwrap();
    let body = r#"{"product_id":1,"quantity":1}"#;
    let text = (request(body.len()) + body).repeat(7) + "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(text.as_bytes()).await.unwrap();
    let statuses: Vec<_> = read_heads(&mut stream, 8).await.iter().map(|head| head[9..].to_owned()).collect();
    assert_eq!(statuses, ["201", "201", "201", "201", "201", "429", "429", "200"]);
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_is_counted_by_itself() {
    let app = selling(&limited(&[BEHIND_A_PROXY])).await;
    for path in BOTH_PATHS.into_iter().cycle().take(5) {
        assert_eq!(hold_for(&app, path, &["203.0.113.7"]).await, 201);
    }
    let ipv6: Vec<_> = (1..=5).map(|host| format!("2001:db8:0:1::{host}")).collect();
    for address in &ipv6 {
        assert_eq!(hold_for(&app, "/api/holds", &[address]).await, 201);
    }
    for path in BOTH_PATHS {
        for refused in
            ["203.0.113.7", "203.0.113.7:4711", "::ffff:203.0.113.7", "2001:db8:0:1:ffff::9", "[2001:db8:0:1::9]:1"]
        {
            assert_eq!(hold_for(&app, path, &[refused]).await, 429, "{refused}");
        }
        for another in ["203.0.113.8", "2001:db8:0:2::1", "[2001:db8:0:3::1%eth0]:443"] {
            assert_eq!(hold_for(&app, path, &[another]).await, 201, "{another}");
        }
    }
}

#[tokio::test]
async fn what_a_client_says_before_the_proxy_speaks_chooses_no_count() {
    let app = selling(&limited(&[BEHIND_A_PROXY])).await;
    let many: Vec<_> = (0..80).map(|host| format!("198.51.100.{host}")).chain(["203.0.113.7".to_owned()]).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let long = format!("{}203.0.113.7", "198.51.100.1, ".repeat(4_000));
    let commas = format!("{}, 203.0.113.7", ",".repeat(50_000));
    let trusted = format!("{}203.0.113.7", "127.0.0.1, ".repeat(4_000));
    let forged: [&[&str]; 5] =
        [&["198.51.100.1, 203.0.113.7"], &["198.51.100.2", "nonsense", "203.0.113.7"], &many, &[&long], &[&commas]];
    for lines in forged {
        assert_eq!(hold_for(&app, "/api/holds", lines).await, 201);
    }
    let trusted = [&trusted[..]];
    let more: [&[&str]; 3] = [&trusted, &["203.0.113.7, 127.0.0.1"], &["198.51.100.9,203.0.113.7"]];
    for lines in forged.into_iter().chain(more) {
        for path in BOTH_PATHS {
            assert_eq!(hold_for(&app, path, lines).await, 429);
        }
    }
    assert_eq!(hold_for(&app, "/api/holds", &["203.0.113.7, 198.51.100.1"]).await, 201, "another one behind the proxy");
}

#[tokio::test]
async fn a_forged_header_from_a_peer_that_is_not_trusted_changes_nothing() {
    for proxies in ["", "10.0.0.0/8, 2001:db8::/32"] {
        let app = selling(&limited(&[("HTTP__TRUSTED_PROXIES", proxies)])).await;
        for host in 0..10 {
            let (path, forged) = (BOTH_PATHS[host % 2], format!("198.51.100.{host}"));
            let other = [("forwarded", format!("for={forged}")), ("x-real-ip", forged.clone())];
            let request = hold_request(&app, path).header("x-forwarded-for", &forged);
            let request = other.iter().fold(request, |request, (name, value)| request.header(*name, value));
            assert_eq!(app.send(request).await.status, if host < 5 { 201 } else { 429 });
        }
    }
}

#[test]
fn a_proxy_that_is_not_named_is_logged_once() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let log = folder.path().join("log");
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut program = command(&folder.path().join("data"));
    program.args(["serve", "--addr", &addr.to_string()]).stderr(std::fs::File::create(&log).unwrap());
    let mut service = program.env("FLASHSALE_HTTP__RATE_LIMIT_PER_SECOND", "1000").spawn().unwrap();
    let ask = || {
        let curl = Command::new("curl")
            .args(["-s", "-H", "X-Forwarded-For: 203.0.113.7"])
            .arg(format!("http://{addr}/api/products/1"))
            .output();
        String::from_utf8(curl.unwrap().stdout).unwrap().contains("product_not_found")
    };
    let started = std::time::Instant::now();
    while !ask() {
        assert!(started.elapsed().as_secs() < 20, "the service does not answer");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    (0..5).for_each(|_| assert!(ask()));
    signal_process(service.id(), "TERM");
    assert!(service.wait().unwrap().success());
    let text = std::fs::read_to_string(&log).unwrap();
    let logged: Vec<_> = text.lines().filter(|line| line.contains("http.trusted_proxies")).collect();
    assert!(logged.len() == 1 && logged[0].contains("\"peer\":\"127.0.0.1\"") && logged[0].contains("WARN"), "{text}");
}

#[test]
fn our_own_clients_show_the_key() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let mut program = command(&folder.path().join("data"));
    program.env("FLASHSALE_HTTP__API_KEYS", KEYS.1);
    let service = ServiceProcess::run(program, SocketAddr::from(([127, 0, 0, 1], free_port())));
    let url = service.url();
    assert_eq!(service.welcome.matches("-H \"X-Api-Key: $API_KEY\"").count(), 3, "{}", service.welcome);
    let token =
        service.welcome.lines().find(|line| line.contains("admin token")).unwrap().split_whitespace().last().unwrap();
    let lifecycle = ["--buyers", "30", "--units", "20", "--scenario", "lifecycle", "--admin-token", token];
    let rush = |arguments: &[&str], environment: &str| {
        let mut program = command(Path::new("unused"));
        program
            .args(["rush", "--url", &url])
            .args(arguments)
            .envs(Some(("FLASHSALE_HTTP__API_KEYS", environment)).filter(|(_, keys)| !keys.is_empty()))
            .output()
            .unwrap()
    };
    for arguments in
        [&["--product", "1"][..], &lifecycle, &[&lifecycle[..], &["--api-key", "not-a-key-of-this-one"]].concat()]
    {
        let output = rush(arguments, "");
        assert!(
            output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("--api-key"),
            "{output:?}"
        );
    }
    let shown = [rush(&[&lifecycle[..], &["--api-key", KEY]].concat(), ""), rush(&lifecycle, KEYS.1)];
    assert!(shown.iter().all(|output| output.status.success()), "{shown:?}");
    let proof = |key: &str| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("loadtest/rush.sh");
        without_settings(script).arg(&url).env("API_KEY", key).output().unwrap().status.code()
    };
    assert_eq!((proof(""), proof(KEY)), (Some(2), Some(0)));
}

#[tokio::test]
async fn payment_events_are_sent_without_a_key_and_only_asking_what_an_order_costs_needs_one() {
    let app = selling(&[KEYS]).await;
    let held = app.send(hold_request(&app, "/api/holds").header("x-api-key", KEY)).await;
    let ask = app.request(Method::POST, "/api/orders").json(&json!({"hold_id": held.id()}));
    let order = app.send(ask.header("x-api-key", KEY)).await.id();
    let trigger = |arguments: &[&str]| {
        let mut program = command(Path::new("unused"));
        program.args(["trigger", "paid", &order, "--url", &format!("http://{}", app.addr)]).args(arguments);
        let output = program.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (status, printed) = trigger(&[]);
    assert!(status == Some(0) && printed.contains("applied"), "{printed}");
    let (status, printed) = trigger(&["--provider", "stripe"]);
    assert!(status == Some(2) && printed.contains("--api-key"), "{printed}");
    for arguments in [&["--provider", "stripe", "--api-key", KEY][..], &["--provider", "stripe", "--amount", "50.00"]] {
        let (status, printed) = trigger(arguments);
        assert!(status == Some(0) && printed.contains("200"), "{printed}");
    }
}
