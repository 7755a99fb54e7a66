//! GET /api/products, and the health of the service.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;

#[tokio::test]
async fn a_product_is_read_with_all_that_the_contract_names() {
    let app = TestApp::start();
    let created = app.add_product(json!({"name": "Flash Sale Item", "price": "50.00", "total_stock": 100})).await;
    let read = app.get("/api/products/1").await;
    assert_eq!(read.status, 200);
    assert_eq!(
        read.body,
        json!({"id": 1, "sale": "p1", "name": "Flash Sale Item", "price": "50.00", "currency": "USD", "total_stock": 100,
            "available_stock": 100, "held_stock": 0, "pending_stock": 0, "sold_stock": 0, "max_per_hold": 10,
            "max_per_customer": null, "status": "live", "starts_at": null, "ends_at": null, "next_release_at": null})
    );
    assert_eq!(created, read.body);
    assert_eq!(read.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn the_list_has_all_products_by_id_whatever_their_sale() {
    let app = TestApp::start();
    assert_eq!(app.get("/api/products").await.body, json!({"data": []}));
    for (id, sale) in [(30, json!("drop")), (2, Value::Null), (100, json!("drop")), (7, json!("other"))] {
        app.add_product(json!({"id": id, "sale": sale, "name": "Item", "price": "1.00", "total_stock": id})).await;
    }
    let list = app.get("/api/products").await;
    let rows: Vec<_> = list.body["data"].as_array().unwrap().iter().map(|p| (&p["id"], &p["total_stock"])).collect();
    assert_eq!(json!(rows), json!([[2, 2], [7, 7], [30, 30], [100, 100]]));
}

#[tokio::test]
async fn more_products_of_a_sale_than_one_call_reads_are_all_listed() {
    let app = TestApp::start();
    for id in 1..=150 {
        app.add_product(json!({"id": id, "sale": "big", "name": "Item", "price": "1.00", "total_stock": 1})).await;
    }
    assert_eq!(app.get("/api/products").await.body["data"].as_array().unwrap().len(), 150);
}

#[tokio::test]
async fn what_is_no_product_is_not_found() {
    let app = TestApp::selling(1).await;
    for id in ["2", "0", "01", "-1", "abc", "1.0", "9007199254740993", "99999999999999999999999", "%ff", "%00", "1%20"]
    {
        let answer = app.get(&format!("/api/products/{id}")).await;
        assert_eq!(answer.refusal(), (404, "product_not_found"), "{id}");
    }
}

#[tokio::test]
async fn head_is_answered_like_get_without_a_body() {
    let app = TestApp::selling(1).await;
    for path in ["/api/products", "/api/products/1", "/livez", "/readyz"] {
        let (head, get) = (app.send(app.request(Method::HEAD, path)).await, app.get(path).await);
        assert_eq!((head.status, head.body), (200, Value::Null), "{path}");
        assert_eq!(head.headers.get("content-length"), get.headers.get("content-length"), "{path}");
    }
}

#[tokio::test]
async fn the_service_says_that_it_lives_and_is_ready() {
    let app = TestApp::start();
    assert_eq!(app.get("/livez").await.status, 200);
    assert_eq!(app.get("/readyz").await.body, json!({"status": "ready"}));
}

#[tokio::test]
async fn a_request_id_is_kept_when_it_is_plain_and_made_otherwise() {
    let app = TestApp::start();
    let ask = async |id: &str| app.send(app.request(Method::GET, "/livez").header("X-Request-Id", id)).await;
    assert_eq!(ask("trace-1.A_b").await.headers["x-request-id"], "trace-1.A_b");
    for strange in ["a b", "<script>", &"x".repeat(65)] {
        assert_ne!(ask(strange).await.headers["x-request-id"], strange);
    }
    assert_ne!(app.get("/livez").await.headers["x-request-id"], app.get("/livez").await.headers["x-request-id"]);
}
