//! Calls from web pages of other origins.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::app::{Answer, TestApp};

const SHOP: &str = "https://shop.example";
const ORIGINS: (&str, &str) = ("HTTP__CORS_ORIGINS", "http://localhost:3000, https://shop.example");
const KEYS: (&str, &str) = ("HTTP__API_KEYS", "key-of-the-web-shop");
/// One request, and no other one for as long as a test takes.
const LIMIT: [(&str, &str); 2] = [("HTTP__RATE_LIMIT_PER_SECOND", "0.001"), ("HTTP__RATE_LIMIT_BURST", "1")];

fn preflight(app: &TestApp, path: &str, origin: &str) -> RequestBuilder {
    let request = app.request(Method::OPTIONS, path).header("origin", origin);
    request
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,idempotency-key,x-api-key")
}

fn origin_of(answer: &Answer) -> Option<&str> {
    answer.headers.get("access-control-allow-origin").map(String::as_str)
}

#[tokio::test]
async fn a_page_of_a_configured_origin_may_ask_and_call_and_read_every_answer() {
    let app = TestApp::start_with(&[ORIGINS, KEYS]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 10})).await;
    for path in ["/api/holds", "/api/%68olds", "/api/orders", "/api/admin/sales", "/livez", "/api/nothing"] {
        let answer = app.send(preflight(&app, path, SHOP)).await;
        assert_eq!((answer.status, origin_of(&answer)), (204, Some(SHOP)), "{path}");
        assert!(answer.headers["access-control-allow-methods"].contains("POST"));
        for header in ["content-type", "idempotency-key", "x-api-key", "authorization"] {
            assert!(answer.headers["access-control-allow-headers"].contains(header), "{header}");
        }
        assert!(answer.headers["vary"].contains("Origin") && answer.headers.contains_key("access-control-max-age"));
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    }
    let hold = json!({"product_id": 1, "quantity": 1});
    for path in ["/api/holds", "/api/%68olds"] {
        let ask = |key: &str| {
            let request = app.request(Method::POST, path).json(&hold).header("origin", SHOP);
            request.header("x-api-key", key.to_owned())
        };
        let statuses = [
            app.send(ask("key-of-the-web-shop")).await,
            app.send(ask("another")).await,
            app.send(ask("key-of-the-web-shop").body("{")).await,
            app.send(app.request(Method::PUT, path).header("origin", SHOP).header("x-api-key", KEYS.1)).await,
        ]
        .map(|answer| {
            assert_eq!((origin_of(&answer), answer.headers["vary"].as_str()), (Some(SHOP), "Origin"), "{answer:?}");
            for header in ["Retry-After", "X-Request-Id", "Idempotency-Replayed", "Location"] {
                assert!(answer.headers["access-control-expose-headers"].contains(header), "{header}");
            }
            answer.status
        });
        assert_eq!(statuses, [201, 401, 400, 405], "{path}");
    }
}

#[tokio::test]
async fn preflights_cost_no_call_and_a_refusal_for_the_rate_can_be_read() {
    let app = TestApp::start_with(&[ORIGINS, LIMIT[0], LIMIT[1]]);
    for _ in 0..5 {
        assert_eq!(app.send(preflight(&app, "/api/products", SHOP)).await.status, 204);
        let plain = app.request(Method::OPTIONS, "/api/products");
        assert_eq!(app.send(plain).await.headers["allow"], "GET, HEAD, OPTIONS");
    }
    for (path, status) in [("/api/products", 200), ("/api/products/1", 429), ("/api/products", 429)] {
        let answer = app.send(app.request(Method::GET, path).header("origin", SHOP)).await;
        assert_eq!((answer.status, origin_of(&answer)), (status, Some(SHOP)), "{path}");
    }
}

#[tokio::test]
async fn other_origins_get_no_leave_and_answers_are_never_mixed_up_by_a_cache() {
    let app = TestApp::start_with(&[ORIGINS]);
    for origin in ["https://evil.example", "https://shop.example.evil.example", "null", "https://SHOP.example", ""] {
        let asked = app.send(preflight(&app, "/api/holds", origin)).await;
        assert_eq!((asked.refusal(), origin_of(&asked)), ((403, "forbidden"), None), "{origin}");
        let read = app.send(app.request(Method::GET, "/api/products").header("origin", origin)).await;
        assert_eq!((read.status, origin_of(&read), read.headers["vary"].as_str()), (200, None, "Origin"), "{origin}");
    }
    let same = app.get("/api/products").await;
    assert_eq!((same.status, origin_of(&same), same.headers["vary"].as_str()), (200, None, "Origin"));
}

#[tokio::test]
async fn without_origins_there_is_no_cors_and_with_a_star_all_may_call() {
    let app = TestApp::start();
    let asked = app.send(preflight(&app, "/api/holds", SHOP)).await;
    assert_eq!((asked.status, origin_of(&asked), asked.headers["allow"].as_str()), (204, None, "POST, OPTIONS"));
    assert!(!app.get("/api/products").await.headers.contains_key("vary"));
    let app = TestApp::start_with(&[("HTTP__CORS_ORIGINS", "*")]);
    assert_eq!(origin_of(&app.send(preflight(&app, "/api/holds", "null")).await), Some("*"));
    let read = app.send(app.request(Method::GET, "/api/products/1").header("origin", SHOP)).await;
    assert_eq!((read.status, origin_of(&read)), (404, Some("*")));
}
