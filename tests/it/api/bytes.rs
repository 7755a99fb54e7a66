//! Bytes and headers as programs, spreadsheets and proxies write them.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use reqwest::Method;
use serde_json::json;

use crate::support::app::{ADMIN_TOKEN, Answer, TestApp};

const HOLD: &str = r#"{"product_id":1,"quantity":1}"#;
/// Written with an escape, a path is no exact match for the fast path.
const BOTH_PATHS: [&str; 2] = ["/api/holds", "/api/%68olds"];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn send(app: &TestApp, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let request = app.request(Method::POST, path).body(body);
    app.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn json_is_read_in_every_spelling_of_its_type_and_behind_a_byte_order_mark() {
    let app = TestApp::selling(1_000).await;
    for path in BOTH_PATHS {
        for media_type in [
            "application/json",
            "Application/JSON;charset=UTF-8",
            "application/json ; Charset=\"utf-8\"",
            "application/json; charset=utf8",
            "application/json;",
            "text/json",
            "application/vnd.shop.hold+json; v=1",
            "application/problem+JSON",
        ] {
            let answer = send(&app, path, &[("content-type", media_type)], HOLD.into()).await;
            assert_eq!(answer.status, 201, "{path} {media_type}");
        }
        for media_type in ["application/jsonx", "json", "+json", "text/plain", "application/xml; a=+json", ""] {
            let answer = send(&app, path, &[("content-type", media_type)], HOLD.into()).await;
            assert_eq!(answer.refusal(), (415, "unsupported_media_type"), "{path} {media_type}");
        }
        let marked = [b"\xef\xbb\xbf", HOLD.as_bytes()].concat();
        assert_eq!(send(&app, path, &[JSON], marked).await.status, 201);
        assert_eq!(send(&app, path, &[JSON], b"\xef\xbb\xbf".to_vec()).await.refusal(), (400, "malformed_json"));
    }
}

#[tokio::test]
async fn coded_bodies_are_read_and_are_no_way_around_the_longest_body() {
    let app = TestApp::selling(1_000).await;
    let bomb = vec![b' '; 100 << 20];
    let (gzip_bomb, deflate_bomb) = (gzip(&bomb[..10 << 20]), deflate(&bomb[..10 << 20]));
    let nested = gzip(&gzip(HOLD.as_bytes()));
    assert!(gzip_bomb.len() < 16_384, "as sent it is within the bound");
    for path in BOTH_PATHS {
        for (coding, body, status, code) in [
            ("identity", HOLD.into(), 201, ""),
            ("Identity, identity", HOLD.into(), 201, ""),
            ("gzip", gzip(HOLD.as_bytes()), 201, ""),
            ("x-GZIP", gzip(HOLD.as_bytes()), 201, ""),
            ("deflate", deflate(HOLD.as_bytes()), 201, ""),
            ("gzip", [gzip(&HOLD.as_bytes()[..9]), gzip(&HOLD.as_bytes()[9..])].concat(), 201, ""),
            ("gzip", gzip_bomb.clone(), 413, "body_too_large"),
            ("deflate", deflate_bomb.clone(), 413, "body_too_large"),
            ("gzip", HOLD.into(), 400, "malformed_json"),
            ("gzip", gzip(HOLD.as_bytes())[..20].to_vec(), 400, "malformed_json"),
            ("gzip", Vec::new(), 400, "malformed_json"),
            ("deflate", gzip(HOLD.as_bytes()), 400, "malformed_json"),
            ("gzip, gzip", nested.clone(), 415, "unsupported_media_type"),
            ("br", HOLD.into(), 415, "unsupported_media_type"),
            ("zstd", HOLD.into(), 415, "unsupported_media_type"),
        ] {
            let answer = send(&app, path, &[JSON, ("content-encoding", coding)], body).await;
            assert_eq!(answer.refusal(), (status, code), "{path} {coding}");
            if status == 415 {
                assert_eq!(answer.headers["accept-encoding"], "gzip, deflate, identity");
            }
        }
    }
    let event = json!({"idempotency_key": "k", "payload": {"status": "paid", "order_id": "order_1"}}).to_string();
    let coded = [JSON, ("content-encoding", "gzip")];
    assert_eq!(send(&app, "/api/payments/webhook", &coded, gzip(event.as_bytes())).await.status, 200);
    let token = format!("Bearer {ADMIN_TOKEN}");
    let csv = [("content-type", "text/csv"), ("content-encoding", "gzip"), ("authorization", token.as_str())];
    let imported = send(&app, "/api/admin/import", &csv, gzip(b"name,price,total_stock\nItem,1,1\n")).await;
    assert_eq!((imported.status, &imported.body["created"]), (200, &json!(1)));
}

#[tokio::test]
async fn a_whole_number_may_have_a_fraction_of_zero() {
    let app = TestApp::selling(1_000).await;
    for (quantity, status) in [
        ("1", 201),
        ("1.0", 201),
        ("1e0", 201),
        ("10e-1", 201),
        ("0.1e1", 201),
        ("2.00", 201),
        ("-0.0", 422),
        ("1.5", 422),
        ("1e-1", 422),
        ("1e300", 422),
        ("-1.0", 422),
        ("9007199254740993.0", 422),
        ("\"1\"", 422),
        ("true", 422),
    ] {
        let body = format!(r#"{{"product_id":1.0,"quantity":{quantity}}}"#);
        assert_eq!(send(&app, "/api/holds", &[JSON], body.into()).await.status, status, "{quantity}");
    }
    assert_eq!(app.stock(1).await, "993 available, 7 held");
}

#[tokio::test]
async fn a_slash_at_the_end_changes_nothing() {
    let app = TestApp::start_with(&[("HTTP__API_KEYS", "key-of-the-web-shop")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 10})).await;
    let ask = async |method: Method, path: &str, body: serde_json::Value| {
        let request = app.request(method, path).header("x-api-key", "key-of-the-web-shop").json(&body);
        app.send(request.bearer_auth(ADMIN_TOKEN)).await
    };
    assert_eq!(app.get("/api/products/").await.status, 401, "the gate is not walked around");
    assert_eq!(app.get("/api/holds//x/").await.status, 401);
    for path in ["/livez/", "/readyz/", "/api/products/", "/api/products/1/", "/api/admin/sales/", "/api/admin/orders/"]
    {
        assert_eq!(ask(Method::GET, path, json!(null)).await.status, 200, "{path}");
    }
    let hold = ask(Method::POST, "/api/holds/", json!({"product_id": 1, "quantity": 1})).await;
    assert_eq!(hold.status, 201);
    let order = ask(Method::POST, "/api/orders/", json!({"hold_id": hold.id()})).await;
    assert_eq!(order.status, 201);
    let event = json!({"idempotency_key": "k", "payload": {"status": "paid", "order_id": order.id()}});
    assert_eq!(ask(Method::POST, "/api/payments/webhook/", event).await.body["outcome"], "applied");
    assert_eq!(ask(Method::GET, &format!("/api/orders/{}/", order.id()), json!(null)).await.body["status"], "paid");
}

#[tokio::test]
async fn options_says_what_a_resource_takes_and_head_is_get_without_a_body() {
    let app = TestApp::selling(10).await;
    for (path, allow) in [
        ("/livez", "GET, HEAD, OPTIONS"),
        ("/readyz", "GET, HEAD, OPTIONS"),
        ("/api/products", "GET, HEAD, OPTIONS"),
        ("/api/products/1", "GET, HEAD, OPTIONS"),
        ("/api/holds", "POST, OPTIONS"),
        ("/api/holds/x", "GET, HEAD, DELETE, OPTIONS"),
        ("/api/orders", "POST, OPTIONS"),
        ("/api/orders/x/cancel", "POST, OPTIONS"),
        ("/api/payments/webhook", "POST, OPTIONS"),
        ("/api/payments/webhooks/stripe", "POST, OPTIONS"),
        ("/api/admin/products", "GET, HEAD, POST, OPTIONS"),
        ("/api/admin/products/1", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("/api/admin/audit", "GET, HEAD, POST, OPTIONS"),
    ] {
        let answer = app.send(app.request(Method::OPTIONS, path)).await;
        assert_eq!((answer.status, answer.headers["allow"].as_str()), (204, allow), "{path}");
    }
    assert_eq!(app.send(app.request(Method::OPTIONS, "/api/nothing")).await.refusal(), (404, "not_found"));
    for path in ["/livez", "/readyz", "/api/products", "/api/products/1", "/api/admin/sales", "/api/admin/reviews"] {
        let head = app.send(app.request(Method::HEAD, path).bearer_auth(ADMIN_TOKEN)).await;
        assert_eq!((head.status, head.body), (200, json!(null)), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_parameter_is_named_and_refused_on_every_route_but_those_of_payments() {
    let app = TestApp::selling(10).await;
    let ask = async |method: &Method, path: &str| {
        let request = app.request(method.clone(), &format!("{path}?colour=red")).bearer_auth(ADMIN_TOKEN);
        app.send(request.json(&json!({"product_id": 1, "quantity": 1}))).await
    };
    let (get, post) = (Method::GET, Method::POST);
    for (method, path, known) in [
        (&get, "/livez", "knows none"),
        (&get, "/readyz", "knows none"),
        (&get, "/api/products", "known are sale, ids, limit, cursor"),
        (&get, "/api/products/1", "knows none"),
        (&post, "/api/holds", "knows none"),
        (&post, "/api/%68olds", "knows none"),
        (&Method::DELETE, "/api/holds/x", "knows none"),
        (&post, "/api/orders", "knows none"),
        (&get, "/api/orders/x", "knows none"),
        (&post, "/api/admin/products", "knows none"),
        (&get, "/api/admin/products", "known are sale, ids, visibility, archived, search, limit, cursor"),
        (&Method::PATCH, "/api/admin/sales/x", "knows none"),
        (&get, "/api/admin/events", "known are sale, types, after, before, since, until, limit, wait"),
        (&post, "/api/admin/audit", "known are sale, reason"),
        (&get, "/api/admin/payments/x", "knows none"),
    ] {
        let answer = ask(method, path).await;
        assert_eq!(
            (answer.refusal(), &answer.body["parameter"]),
            ((400, "unknown_parameter"), &json!("colour")),
            "{path}"
        );
        assert!(answer.body["detail"].as_str().unwrap().contains(known), "{answer:?}");
    }
    let odd = app.get(&format!("/api/products?%1b%5B31m{}=1", "x".repeat(5_000))).await;
    let named = odd.body["parameter"].as_str().unwrap();
    assert!(named.len() <= 40 && named.chars().all(|c| !c.is_control()), "{named}");
    let event = json!({"idempotency_key": "k", "payload": {"status": "paid", "order_id": "order_1"}});
    assert_eq!(app.post("/api/payments/webhook?attempt=2", event).await.status, 200);
    assert_eq!(app.stock(1).await, "10 available");
}

#[tokio::test]
async fn a_customer_may_have_any_text_as_id() {
    let app = TestApp::start();
    let product = json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 1_000, "max_per_customer": 2});
    app.add_product(product).await;
    let long = "é".repeat(64);
    for id in [
        "alice",
        "ann@example.com",
        "Zoë Müller",
        "顧客 1",
        "🛒🛒",
        "a b",
        " a",
        "a ",
        " ",
        "1=2,7=1 t8v5mo bob",
        "a=1|b:2;c",
        "\"quoted\" \\",
        "{p1}",
        "%20",
        "0",
        "=cmd|' /C calc'!A0",
        "\u{202e}x",
        &long,
    ] {
        let wish = |quantity: u64| json!({"product_id": 1, "quantity": quantity, "customer_id": id});
        let held = app.post("/api/holds", wish(1)).await;
        assert_eq!((held.status, &held.body["customer_id"]), (201, &json!(id)), "{id:?}");
        let read = app.get(&format!("/api/holds/{}", held.id())).await;
        assert_eq!((read.status, &read.body["customer_id"]), (200, &json!(id)), "{id:?}");
        // With a key and a duration, the request has more lines.
        let more = app.request(Method::POST, "/api/holds").header("Idempotency-Key", "k".to_owned() + &held.id());
        let more = more.json(&json!({"product_id": 1, "quantity": 1, "customer_id": id, "ttl_seconds": 60}));
        assert_eq!(app.send(more).await.status, 201, "{id:?}");
        assert_eq!(app.post("/api/holds", wish(1)).await.refusal(), (409, "customer_limit_reached"), "{id:?}");
        let order = app.order(&held.id()).await;
        assert_eq!((order.status, &order.body["customer_id"]), (201, &json!(id)), "{id:?}");
        let paid = app.pay(&order.id(), json!({"status": "paid", "order_id": order.id()})).await;
        assert_eq!(paid.body["outcome"], "applied", "{id:?}");
        let read = app.admin(Method::GET, &format!("/api/admin/orders/{}", order.id()), json!({})).await;
        assert_eq!((&read.body["status"], &read.body["customer_id"]), (&json!("paid"), &json!(id)), "{id:?}");
    }
    for id in ["", "\n", "a\nb", "a\tb", "\u{7f}", "\u{85}", "\u{0}", &"é".repeat(65)] {
        let hold = json!({"product_id": 1, "quantity": 1, "customer_id": id});
        assert_eq!(app.post("/api/holds", hold).await.refusal(), (422, "validation_failed"), "{id:?}");
    }
}

#[tokio::test]
async fn headers_of_which_nobody_knows_what_they_mean_are_refused() {
    let app = TestApp::selling(5).await;
    let hold = |keys: &'static [&'static str]| {
        let request = app.request(Method::POST, "/api/holds").json(&json!({"product_id": 1, "quantity": 1}));
        app.send(keys.iter().fold(request, |request, key| request.header("Idempotency-Key", *key)))
    };
    // A quote that is forgotten would make it another key, and a second hold.
    for keys in [&["\"k"][..], &["k\""], &["\""], &["k", "k"]] {
        let answer = hold(keys).await;
        assert_eq!(
            (answer.status, &answer.body["errors"][0]["code"]),
            (422, &json!("invalid_idempotency_key")),
            "{keys:?}"
        );
    }
    let [quoted, bare] = [hold(&["\"k\""]).await, hold(&["k"]).await];
    assert_eq!((quoted.status, bare.id()), (201, quoted.id()), "with its quotes it is the same key");
    let looked = |tokens: &'static [&'static str]| {
        let request = app.request(Method::GET, "/api/admin/sales");
        app.send(
            tokens.iter().fold(request, |request, token| request.header("Authorization", format!("Bearer {token}"))),
        )
    };
    assert_eq!(looked(&[ADMIN_TOKEN]).await.status, 200);
    for tokens in [&[ADMIN_TOKEN, "another-token-of-nobody"][..], &["another-token-of-nobody", ADMIN_TOKEN], &[]] {
        assert_eq!(looked(tokens).await.status, 401, "{tokens:?}");
    }
    assert_eq!(app.stock(1).await, "4 available, 1 held");
}

#[test]
fn options_of_the_service_as_a_whole_are_answered() {
    let app = TestApp::start();
    let mut connection = TcpStream::connect(app.addr).unwrap();
    connection.write_all(b"OPTIONS * HTTP/1.1\r\nHost: flashsale\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 ") && answer.to_lowercase().contains("\r\nallow: get, "), "{answer}");
}
