//! Bad input: a clear 4xx, never an echo, nothing changed.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::app::TestApp;

async fn raw(
    app: &TestApp,
    method: Method,
    path: &str,
    content_type: Option<&str>,
    body: &[u8],
) -> (u16, String, String) {
    let mut request = app.request(method, path).body(body.to_vec());
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let answer = app.send(request).await;
    (answer.status, answer.body["code"].as_str().unwrap_or("").to_owned(), answer.body.to_string())
}

#[tokio::test]
async fn every_bad_body_of_a_hold_gets_its_own_4xx_and_changes_nothing() {
    let app = TestApp::selling(10).await;
    let long = format!(r#"{{"product_id":1,"quantity":1,"customer_id":"{}"}}"#, "x".repeat(129));
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let cases: &[(&str, u16, &str)] = &[
        ("", 400, "malformed_json"),
        ("{", 400, "malformed_json"),
        (r#"{"product_id":1,"quantity":1}}"#, 400, "malformed_json"),
        (r#"{"product_id":1,"quantity":01}"#, 400, "malformed_json"),
        (r#"{"product_id":1,"quantity":NaN}"#, 400, "malformed_json"),
        (r#"{"product_id":1,"quantity":1e999}"#, 400, "malformed_json"),
        ("{\"product_id\":1,\"quantity\":1,\"customer_id\":\"\u{1}\"}", 400, "malformed_json"),
        (&deep, 400, "malformed_json"),
        ("null", 422, "validation_failed"),
        ("[]", 422, "validation_failed"),
        ("\"x\"", 422, "validation_failed"),
        ("{}", 422, "validation_failed"),
        (r#"{"product_id":1}"#, 422, "validation_failed"),
        (r#"{"quantity":1}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":0}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":-1}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":1.5}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":1.2}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":"1"}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":true}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":[1]}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":1.5}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":9007199254740993}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":18446744073709551616}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":123456789012345678901234567890}"#, 422, "validation_failed"),
        (r#"{"product_id":0,"quantity":1}"#, 422, "validation_failed"),
        (r#"{"product_id":-1,"quantity":1}"#, 422, "validation_failed"),
        (r#"{"product_id":9007199254740992,"quantity":1}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":1,"quantity":2}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":1,"ttl_seconds":0}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":1,"ttl_seconds":-5}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":1,"customer_id":""}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":1,"customer_id":"a\nb"}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":1,"customer_id":7}"#, 422, "validation_failed"),
        (&long, 422, "validation_failed"),
        (r#"{"items":[]}"#, 422, "validation_failed"),
        (r#"{"items":{}}"#, 422, "validation_failed"),
        (r#"{"items":[1]}"#, 422, "validation_failed"),
        (r#"{"items":[{"product_id":1}]}"#, 422, "validation_failed"),
        (r#"{"items":[{"product_id":1,"quantity":1,"x":1}]}"#, 422, "unknown_field"),
        (r#"{"items":[{"product_id":1,"quantity":1}],"quantity":1}"#, 422, "validation_failed"),
        (r#"{"product_id":1,"quantity":1,"colour":"red"}"#, 422, "unknown_field"),
        (r#"{"product_id":1,"quantity":1,"Quantity":1}"#, 422, "unknown_field"),
    ];
    for (body, status, code) in cases {
        let (got, word, _) = raw(&app, Method::POST, "/api/holds", Some("application/json"), body.as_bytes()).await;
        assert_eq!((got, word.as_str()), (*status, *code), "{body}");
    }
    let many: Vec<_> = (0..65).map(|_| json!({"product_id": 1, "quantity": 1})).collect();
    assert_eq!(app.post("/api/holds", json!({"items": many})).await.refusal(), (422, "validation_failed"));
    let many: Vec<_> = (1..=17).map(|id| json!({"product_id": id, "quantity": 1})).collect();
    assert_eq!(app.post("/api/holds", json!({"items": many})).await.refusal(), (422, "validation_failed"));
    assert_eq!(app.stock(1).await, "10 available");
}

#[tokio::test]
async fn a_refusal_points_at_all_that_is_wrong_and_repeats_no_value_of_it() {
    let app = TestApp::selling(10).await;
    let body = br#"{"items":[{"product_id":1,"quantity":1},{"product_id":"<script>","quantity":0}],"<img>":1,"ttl_seconds":"<b>"}"#;
    let (status, code, text) = raw(&app, Method::POST, "/api/holds", Some("application/json"), body).await;
    assert_eq!((status, code.as_str()), (422, "validation_failed"));
    for pointer in ["/\u{fffd}img\u{fffd}", "/ttl_seconds", "/items/1/product_id", "/items/1/quantity"] {
        assert!(text.contains(pointer), "{pointer} in {text}");
    }
    assert!(!text.contains("script") && !text.contains("<img>") && !text.contains("<b>"), "{text}");
    assert!(text.contains("product_id, sku, quantity, items"), "the known fields are named: {text}");
}

#[tokio::test]
async fn an_unknown_field_is_named_wherever_it_stands() {
    let app = TestApp::selling(10).await;
    let long = "x".repeat(70);
    let body = json!({"product_id": 1, "quantity": 1, "colour": "red", "a/b~c": 1, "\u{202e}\n": 1, (long): 1});
    let answer = app.post("/api/holds", body).await;
    assert_eq!(answer.refusal(), (422, "unknown_field"));
    let errors = answer.body["errors"].as_array().unwrap();
    let pointers: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/colour", "/a~1b~0c", "/\u{fffd}\u{fffd}", &format!("/{}", "x".repeat(64))]);
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.starts_with("colour is not known here; known are product_id, sku, quantity, items"), "{detail}");
    assert_eq!(detail.matches("known are").count(), 1, "{detail}");
    for (field, meant) in [("SKU", "sku"), ("customerId", "customer_id"), ("Product-ID", "product_id")] {
        let answer = app.post("/api/holds", json!({"quantity": 1, (field): "x"})).await;
        let detail = answer.body["errors"][0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(&format!("{field} is not known here: write {meant}; known are ")), "{detail}");
    }
    let inside = app.post("/api/holds", json!({"items": [{"product_id": 1, "quantity": 1, "size": "L"}]})).await;
    assert_eq!(inside.body["errors"][0]["pointer"], "/items/0/size");
}

#[tokio::test]
async fn bodies_that_are_no_json_by_their_type_are_refused() {
    let app = TestApp::selling(10).await;
    let body = br#"{"product_id":1,"quantity":1}"#;
    for path in ["/api/holds", "/api/orders", "/api/payments/webhook"] {
        for content_type in
            [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonx")]
        {
            let (status, code, _) = raw(&app, Method::POST, path, content_type, body).await;
            assert_eq!((status, code.as_str()), (415, "unsupported_media_type"), "{path} {content_type:?}");
        }
    }
    let (status, ..) = raw(&app, Method::POST, "/api/holds", Some("Application/JSON; charset=utf-8"), body).await;
    assert_eq!(status, 201);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_said_to_be_so() {
    let app = TestApp::selling(10).await;
    for path in ["/nothing", "/api", "/api/admin", "/%ff", "/api/holds/a/b/c", "//", "/api/nothing/"] {
        assert_eq!(app.get(path).await.refusal(), (404, "not_found"), "{path}");
    }
    for (method, path, allow) in [
        (Method::PUT, "/api/holds", "POST, OPTIONS"),
        (Method::GET, "/api/holds", "POST, OPTIONS"),
        (Method::POST, "/api/products", "GET, HEAD, OPTIONS"),
        (Method::PATCH, "/api/holds/x", "GET, HEAD, DELETE, OPTIONS"),
        (Method::DELETE, "/api/orders/x", "GET, HEAD, OPTIONS"),
        (Method::GET, "/api/orders/x/cancel", "POST, OPTIONS"),
        (Method::GET, "/api/payments/webhook", "POST, OPTIONS"),
        (Method::PUT, "/api/admin/products", "GET, HEAD, POST, OPTIONS"),
    ] {
        let answer = app.send(app.request(method.clone(), path)).await;
        assert_eq!(answer.refusal(), (405, "method_not_allowed"), "{method} {path}");
        assert_eq!(answer.headers["allow"], allow, "{method} {path}");
    }
}

#[tokio::test]
async fn idempotency_keys_that_are_none_are_refused() {
    let app = TestApp::selling(10).await;
    let send = async |keys: &[&[u8]]| {
        let mut request = app.request(Method::POST, "/api/holds").json(&json!({"product_id": 1, "quantity": 1}));
        for key in keys {
            request = request.header("Idempotency-Key", *key);
        }
        app.send(request).await
    };
    for keys in [&[&b""[..]][..], &[b"a b"], &["k\u{e9}".as_bytes()], &[&[b'x'; 256]], &[b"a", b"b"], &[b"\"\""]] {
        assert_eq!(send(keys).await.refusal(), (422, "validation_failed"), "{keys:?}");
    }
    assert_eq!(send(&[&[b'x'; 255]]).await.status, 201);
    assert_eq!(app.stock(1).await, "9 available, 1 held");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_however_it_comes() {
    let app = TestApp::selling(10).await;
    let large = vec![b' '; 16_385];
    let (status, code, _) = raw(&app, Method::POST, "/api/holds", Some("application/json"), &large).await;
    assert_eq!((status, code.as_str()), (413, "body_too_large"));
    let mut stream = connect(&app, "Transfer-Encoding: chunked").await;
    let chunk = format!("{:x}\r\n{}\r\n", 8_000, " ".repeat(8_000));
    for _ in 0..4 {
        // The service may answer and close before all is sent.
        let _closed = stream.write_all(chunk.as_bytes()).await;
    }
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_in_time() {
    let app = TestApp::start_with(&[("HTTP__READ_TIMEOUT_MS", "200")]);
    let mut stream = connect(&app, "Content-Length: 100").await;
    stream.write_all(b"{").await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(20), read_all(&mut stream)).await.expect("an answer in time");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("request_timeout"), "{answer}");
}

#[tokio::test]
async fn a_body_that_ends_early_is_no_order() {
    let app = TestApp::selling(10).await;
    let mut stream = connect(&app, "Content-Length: 100").await;
    stream.write_all(br#"{"product_id":1,"quantity":1}"#).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(app.stock(1).await, "10 available");
}

#[tokio::test]
async fn bytes_that_are_no_http_are_refused() {
    let app = TestApp::selling(10).await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(app.addr).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(app.get("/livez").await.status, 200);
}

async fn connect(app: &TestApp, header: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.addr).await.unwrap();
    let head = format!("POST /api/holds HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{header}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// What comes until the service closes the connection.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset has said what it had to say.
    let _reset = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}
