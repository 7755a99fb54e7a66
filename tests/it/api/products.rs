//! GET /api/products and /api/admin/products, and the health of the service.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{app::TestApp, stock};

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
            "max_per_customer": null, "status": "live", "starts_at": null, "ends_at": null, "next_release_at": null,
            "group": null, "visibility": "public"})
    );
    assert_eq!(created, read.body);
    assert_eq!(read.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn the_list_has_all_products_by_id_whatever_their_sale() {
    let app = TestApp::start();
    assert_eq!(app.get("/api/products").await.body, json!({"data": [], "next_cursor": null}));
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
    for id in
        ["2", "0", "01", "-1", "abc", "1.0", "9007199254740993", "99999999999999999999999", "%C3%BF", "%00", "1%20"]
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

#[tokio::test]
async fn an_admin_reads_products_page_by_page_and_never_meets_the_gate() {
    let settings = [
        ("HTTP__API_KEYS", "a-key-of-some-shop"),
        ("HTTP__RATE_LIMIT_PER_SECOND", "0.001"),
        ("HTTP__RATE_LIMIT_BURST", "1"),
    ];
    let app = TestApp::start_with(&settings);
    for id in 1..=7 {
        let sale = if id % 2 == 0 { "even" } else { "odd" };
        app.add_product(json!({"id": id, "sale": sale, "name": "Item", "price": "1.00", "total_stock": id})).await;
    }
    let read = async |path: &str| app.admin(Method::GET, path, Value::Null).await;
    for (filter, expected) in [("", json!([1, 2, 3, 4, 5, 6, 7])), ("&sale=odd", json!([1, 3, 5, 7]))] {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = read(&format!("/api/admin/products?limit=2{filter}&cursor={cursor}")).await;
            seen.extend(page.body["data"].as_array().unwrap().iter().map(|product| product["id"].clone()));
            pages += 1;
            let Some(next) = page.body["next_cursor"].as_str() else { break };
            next.clone_into(&mut cursor);
        }
        assert_eq!((json!(seen), pages), (expected, seen.len().div_ceil(2)), "{filter}");
    }
    let one = read("/api/admin/products/7").await;
    assert_eq!((one.status, &one.body["total_stock"], &*one.headers["cache-control"]), (200, &json!(7), "no-store"));
    assert_eq!(
        read("/api/admin/products?sale=odd&limit=1").await.body["data"][0],
        read("/api/admin/products/1").await.body
    );
    for (path, refusal) in [
        ("/api/admin/products/8", (404, "product_not_found")),
        ("/api/admin/products/none", (404, "product_not_found")),
        ("/api/admin/products?sale=nosuch", (404, "sale_not_found")),
        ("/api/admin/products?sale=No.Such", (422, "validation_failed")),
        ("/api/admin/products?cursor=x", (422, "validation_failed")),
        ("/api/admin/products?limit=101", (422, "validation_failed")),
        ("/api/admin/products?page=2", (400, "unknown_parameter")),
    ] {
        assert_eq!(read(path).await.refusal(), refusal, "{path}");
    }
    assert_eq!(app.get("/api/admin/products").await.refusal(), (401, "unauthorized"));
    assert_eq!(app.get("/api/admin/products/7").await.refusal(), (401, "unauthorized"));
}

#[tokio::test]
async fn a_product_that_cannot_be_read_is_left_out_of_lists_and_costs_no_other() {
    let app = TestApp::start();
    for (id, sale) in [(1, "drop"), (2, "drop"), (3, "other")] {
        app.add_product(json!({"id": id, "sale": sale, "name": "Item", "price": "1.00", "total_stock": 5})).await;
    }
    let mut redis = app.redis.connect();
    let whole = stock::whole(&mut redis, "fs1:{drop}:stock", 1).unwrap();
    let mut damage = |command: &str, arguments: &[&str]| redis::cmd(command).arg(arguments).exec(&mut redis).unwrap();
    let listed = async |path: &str| {
        let answer = app.admin(Method::GET, path, Value::Null).await;
        let rows = answer.body["data"].as_array().unwrap_or_else(|| panic!("{answer:?}")).iter();
        json!(rows.map(|product| product["id"].clone()).collect::<Vec<_>>())
    };
    // The first part of its text is all that is left.
    damage("HSET", &["fs1:{drop}:stock", "1", "5"]);
    for path in ["/api/products", "/api/admin/products"] {
        assert_eq!(listed(path).await, json!([2, 3]), "{path}");
    }
    assert_eq!(listed("/api/admin/products?sale=drop&limit=1").await, json!([2]), "and it leaves no gap");
    assert_eq!(app.get("/api/products/1").await.refusal(), (503, "store_unavailable"));
    assert_eq!(app.get("/api/products/2").await.status, 200);
    damage("HSET", &["fs1:{drop}:stock", "1", &whole]);
    damage("HSET", &["fs1:{drop}:sale", "starts", "soon"]);
    assert_eq!(listed("/api/products").await, json!([3]), "of a sale that cannot be read nothing is known");
    damage("HSET", &["fs1:{drop}:sale", "starts", ""]);
    assert_eq!(listed("/api/products").await, json!([1, 2, 3]));
}

#[tokio::test]
async fn a_price_that_is_too_large_is_refused_for_its_size_however_large_it_is() {
    let app = TestApp::selling(1).await;
    for price in ["50000000000", "900719925475", "99999999999999999999", "1000000000000000000000000000000000000"] {
        let product = json!({"name": "Item", "price": price, "total_stock": 1});
        let made = app.admin(Method::POST, "/api/admin/products", product).await;
        let changed = app.admin(Method::PATCH, "/api/admin/products/1", json!({"price": price})).await;
        for refused in [made, changed] {
            assert_eq!(refused.refusal(), (422, "validation_failed"), "{price}");
            let error = &refused.body["errors"][0];
            assert_eq!((&error["pointer"], &error["code"]), (&json!("/price"), &json!("too_large")), "{error}");
            assert_eq!(error["detail"], "price times max_per_hold must be at most 50000000000");
        }
    }
}
