//! GET /metrics.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::{
    house::{read, root},
    support::{
        app::{ADMIN_TOKEN, TestApp},
        contract::Ask,
        eventually,
        redis::signal_process,
    },
};

const READER: &str = "a-token-for-prometheus";

fn scrape(app: &TestApp) -> RequestBuilder {
    app.request(Method::GET, "/metrics")
}

async fn metrics(app: &TestApp) -> String {
    let answer = scrape(app).bearer_auth(ADMIN_TOKEN).ask().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    answer.text().await.unwrap()
}

#[track_caller]
fn assert_has(metrics: &str, sample: &str) {
    assert!(metrics.lines().any(|line| line == sample), "no {sample} in {metrics}");
}

#[tokio::test]
async fn metrics_say_what_was_decided_and_where_the_units_are() {
    let app = TestApp::start();
    app.add_product(json!({"id": 1, "sku": "CAP", "name": "Cap", "price": "9.00", "total_stock": 3})).await;
    for _ in 0..2 {
        app.held().await;
    }
    let order = app.ordered().await;
    assert_eq!(app.hold(1).await.status, 409);
    let amount = json!({"status": "paid", "order_id": order, "amount": "8.00", "currency": "USD"});
    assert_eq!(app.pay("a", amount).await.status, 200);
    assert_eq!(app.get("/api/no/such/path").await.status, 404);
    let metrics = metrics(&app).await;
    for sample in [
        r#"flashsale_holds_total{outcome="held",reason=""} 3"#,
        r#"flashsale_holds_total{outcome="refused",reason="all_held"} 1"#,
        r#"flashsale_orders_total{outcome="created",reason=""} 1"#,
        r#"flashsale_payment_events_total{outcome="review",reason=""} 1"#,
        r#"flashsale_requests_total{route="/api/holds",method="POST",code="201"} 3"#,
        r#"flashsale_requests_total{route="/api/holds",method="POST",code="409"} 1"#,
        r#"flashsale_requests_total{route="none",method="GET",code="404"} 1"#,
        r#"flashsale_request_duration_seconds_count{route="/api/holds",method="POST"} 4"#,
        "flashsale_requests_in_flight 1",
        "flashsale_store_up 1",
        r#"flashsale_units{sale="p1",product="1",sku="CAP",state="total"} 3"#,
        r#"flashsale_units{sale="p1",product="1",sku="CAP",state="held"} 2"#,
        r#"flashsale_units{sale="p1",product="1",sku="CAP",state="pending"} 1"#,
        r#"flashsale_sales{status="live"} 1"#,
        r#"flashsale_reviews_open{reason="amount_mismatch"} 1"#,
        r#"flashsale_reviews_open{reason="disputed"} 0"#,
        r#"flashsale_script_calls_total{script="settle"} 1"#,
        r#"flashsale_batch_size_sum{script="hold"} 4"#,
        r#"flashsale_queue_waiting{script="hold"} 0"#,
    ] {
        assert_has(&metrics, sample);
    }
    assert!(metrics.contains(r#"result="answered"} "#) && !metrics.contains("/api/no/such/path"), "{metrics}");
}

/// Holds a unit of a product, and makes an order of it.
async fn ordered(app: &TestApp, product: u64) -> String {
    let hold = app.post("/api/holds", json!({"product_id": product, "quantity": 1})).await.id();
    app.order(&hold).await.id()
}

#[tokio::test]
async fn metrics_say_how_many_orders_have_each_status_in_sales_of_any_number_of_slots() {
    let app = TestApp::start();
    for sale in [
        json!({"id": "spread", "shards": 3}),
        json!({"id": "short", "payment_seconds": 1, "payment_seconds_max": 1}),
        json!({"id": "long"}),
    ] {
        assert_eq!(app.admin(Method::POST, "/api/admin/sales", sale).await.status, 201);
    }
    for (id, sale) in [(1, "spread"), (2, "short"), (3, "long")] {
        app.add_product(json!({"id": id, "sale": sale, "name": "Item", "price": "9.00", "total_stock": 300})).await;
    }
    let expired = ordered(&app, 2).await;
    let mut made = Vec::new();
    for n in 0..14 {
        made.push(ordered(&app, [1, 3][n % 2]).await);
    }
    // More than one call reads.
    for _ in 0..120 {
        ordered(&app, 3).await;
    }
    let pay = async |key: &str, order: &str, status: &str, amount: &str| {
        let event =
            json!({"status": status, "order_id": order, "payment_id": order, "amount": amount, "currency": "USD"});
        assert_eq!(app.pay(key, event).await.status, 200);
    };
    for (n, order) in made[..5].iter().enumerate() {
        pay(&format!("paid {n}"), order, "paid", "9.00").await;
    }
    pay("back", &made[0], "refunded", "9.00").await;
    pay("short", &made[5], "paid", "8.00").await;
    for order in &made[6..8] {
        app.post(&format!("/api/orders/{order}/cancel"), json!({})).await;
    }
    pay("late", &made[7], "paid", "9.00").await;
    eventually("an order has lapsed", async || {
        app.get(&format!("/api/orders/{expired}")).await.body["status"] == "expired"
    })
    .await;
    // What a busy machine did not count in time is there with a later look.
    let is_counted = async || metrics(&app).await.contains("\nflashsale_stored_orders{");
    eventually("orders are counted", is_counted).await;
    let metrics = metrics(&app).await;
    for (status, orders) in [
        ("pending", 126),
        ("in_review", 1),
        ("paid", 4),
        ("cancelled", 1),
        ("expired", 1),
        ("refund_required", 1),
        ("refunded", 1),
    ] {
        assert_has(&metrics, &format!("flashsale_stored_orders{{status=\"{status}\"}} {orders}"));
    }
    let age = metrics.lines().find_map(|line| line.strip_prefix("flashsale_stored_orders_age_seconds ")).unwrap();
    assert!(age.parse::<f64>().unwrap() < 60.0, "{age}");
}

#[tokio::test]
async fn metrics_are_for_admins_and_for_a_token_that_is_good_for_nothing_else() {
    let app = TestApp::start_with(&[("METRICS__TOKEN", READER)]);
    assert_eq!(app.get("/metrics").await.refusal(), (401, "unauthorized"));
    assert_eq!(app.send(scrape(&app).bearer_auth("a-token-of-nobody-at-all")).await.status, 401);
    for token in [READER, ADMIN_TOKEN] {
        assert_eq!(scrape(&app).bearer_auth(token).ask().await.unwrap().status(), 200, "{token}");
    }
    let sales = app.request(Method::GET, "/api/admin/sales").bearer_auth(READER);
    assert_eq!(app.send(sales).await.status, 401);
    let open = TestApp::start_with(&[("METRICS__OPEN", "true")]);
    assert_eq!(scrape(&open).ask().await.unwrap().status(), 200);
}

#[tokio::test]
async fn metrics_of_the_process_come_while_redis_stands_still() {
    let app = TestApp::start_with(&[("REDIS__CALL_TIMEOUT_MS", "300"), ("REDIS__CONNECT_TIMEOUT_MS", "300")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 10})).await;
    app.held().await;
    // Asked of Redis itself, so before it stands still.
    let redis = app.redis.pid();
    signal_process(redis, "STOP");
    let refused = [app.hold(1).await.status, app.hold(1).await.status];
    let during = scrape(&app).bearer_auth(ADMIN_TOKEN).ask().await.unwrap();
    signal_process(redis, "CONT");
    assert_eq!((refused, during.status().as_u16()), ([503; 2], 200));
    let during = during.text().await.unwrap();
    assert_has(&during, "flashsale_store_up 0");
    assert_has(&during, r#"flashsale_holds_total{outcome="held",reason=""} 1"#);
    assert!(!during.contains("\nflashsale_units{"), "what is not known is not shown: {during}");
}

#[tokio::test]
async fn the_documents_name_each_metric_and_no_other() {
    let app = TestApp::selling(10).await;
    app.held().await;
    let metrics = metrics(&app).await;
    let shown: BTreeSet<&str> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let document = read(&root().join("docs/metrics.md"));
    let named: BTreeSet<&str> =
        document.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next()).collect();
    assert_eq!(shown, named);
}
