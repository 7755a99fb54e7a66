//! Who works at the desk looks for orders: GET /api/admin/orders with filters.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp},
    seed,
};

pub async fn ask(app: &TestApp, path: &str) -> Answer {
    app.send(app.request(Method::GET, path).bearer_auth(ADMIN_TOKEN)).await
}

/// The ids of all orders that a query finds, and the number of pages.
async fn found(app: &TestApp, query: &str) -> (Vec<String>, usize) {
    let (mut ids, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = ask(app, &format!("/api/admin/orders?{query}&cursor={cursor}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        pages += 1;
        ids.extend(page.body["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        match page.body["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return (ids, pages),
        }
    }
}

async fn ordered(app: &TestApp, items: Value, customer: &str) -> String {
    let hold = app.post("/api/holds", json!({"items": items, "customer_id": customer})).await.id();
    app.order(&hold).await.id()
}

fn one_of(product: u64) -> Value {
    json!([{"product_id": product, "quantity": 1}])
}

#[tokio::test]
async fn orders_are_found_by_customer_product_payment_status_and_sale() {
    let app = TestApp::start();
    for (id, sale) in [(1, "drop"), (2, "drop"), (3, "other")] {
        app.add_product(json!({"id": id, "sale": sale, "sku": format!("S/{id}"), "name": "Item", "price": "50.00", "total_stock": 9})).await;
    }
    let anna = ordered(&app, one_of(1), "anna & co/ä").await;
    let both = ordered(&app, json!([{"product_id": 1, "quantity": 1}, {"product_id": 2, "quantity": 1}]), "bob").await;
    let other = ordered(&app, one_of(3), "bob").await;
    app.pay("k", json!({"status": "paid", "order_id": both, "payment_id": "pi/1", "amount": "100.00"})).await;
    for (query, expected) in [
        ("customer_id=anna%20%26%20co%2F%C3%A4", vec![&anna]),
        ("customer_id=bob", vec![&both, &other]),
        ("customer_id=nobody", vec![]),
        ("product_id=1", vec![&anna, &both]),
        ("product_id=2&customer_id=bob", vec![&both]),
        ("sku=S%2F2", vec![&both]),
        ("product_id=3&sale=drop", vec![]),
        ("product_id=1&sale=drop&status=paid", vec![&both]),
        ("payment_id=pi%2F1", vec![&both]),
        ("payment_id=pi%2F1&status=pending", vec![]),
        ("payment_id=pi_2", vec![]),
        ("sale=other", vec![&other]),
    ] {
        assert_eq!(found(&app, query).await.0.iter().collect::<Vec<_>>(), expected, "{query}");
    }
    assert_eq!(ask(&app, &format!("/api/admin/orders/{both}")).await.body["payment_id"], "pi/1");
    for (query, refusal) in [
        ("product_id=9", (404, "product_not_found")),
        ("product_id=x", (422, "validation_failed")),
        ("sku=S/9", (404, "product_not_found")),
        ("sku=S/1&product_id=1", (422, "validation_failed")),
        ("customer_id=%07", (422, "validation_failed")),
        ("payment_id=%C3%A4", (422, "validation_failed")),
        ("since=yesterday", (422, "validation_failed")),
        ("since=2000&until=1000", (422, "validation_failed")),
        ("customer=bob", (400, "unknown_parameter")),
    ] {
        assert_eq!(ask(&app, &format!("/api/admin/orders?{query}")).await.refusal(), refusal, "{query}");
    }
}

#[tokio::test]
async fn a_payment_of_several_orders_leads_to_each_of_them() {
    let app = TestApp::selling(5).await;
    let orders = [app.ordered().await, app.ordered().await];
    for order in &orders {
        app.pay(order, json!({"status": "paid", "order_id": order, "payment_id": "pi_1", "amount": "50.00"})).await;
    }
    assert_eq!(found(&app, "payment_id=pi_1").await.0, orders);
}

#[tokio::test]
async fn a_time_is_found_in_the_index_with_its_first_instant_and_without_its_last() {
    let app = TestApp::selling(9).await;
    let mut orders = Vec::new();
    for _ in 0..4 {
        let id = app.ordered().await;
        let at = app.get(&format!("/api/orders/{id}")).await.body["created_at"].as_str().unwrap().to_owned();
        // Each in a millisecond of its own.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        orders.push((id, at));
    }
    let ids = |range: std::ops::Range<usize>| orders[range].iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    let (second, last) = (&orders[1].1, &orders[3].1);
    let epoch_ms = second.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    for (query, expected) in [
        (format!("since={second}"), ids(1..4)),
        (format!("since={epoch_ms}"), ids(1..4)),
        (format!("until={last}"), ids(0..3)),
        (format!("since={second}&until={last}"), ids(1..3)),
        (format!("since={second}&until={last}&limit=1"), ids(1..3)),
    ] {
        assert_eq!(found(&app, &query).await.0, expected, "{query}");
    }
}

#[tokio::test]
async fn a_search_in_three_thousand_orders_looks_at_a_thousand_in_each_call() {
    let app = TestApp::selling(4_000).await;
    seed::orders(&app.redis.url(), 1, 1_500).await;
    let anna = ordered(&app, one_of(1), "anna").await;
    let after = app.get(&format!("/api/orders/{anna}")).await.body["created_at"].as_str().unwrap().to_owned();
    seed::orders(&app.redis.url(), 1, 1_499).await;
    let first = ask(&app, "/api/admin/orders?customer_id=anna").await.body;
    assert_eq!(first["data"], json!([]), "the order is the 1,501st");
    assert!(first["next_cursor"].is_string(), "{first}");
    // The last thousand ends with the last order, so a fourth page finds nothing more.
    assert_eq!(found(&app, "customer_id=anna").await, (vec![anna.clone()], 4));
    assert_eq!(found(&app, &format!("customer_id=anna&since={after}&until={after}")).await.0, Vec::<String>::new());
    assert_eq!(found(&app, &format!("customer_id=anna&since={after}")).await, (vec![anna.clone()], 2));
    let reads = |app: &TestApp| -> u64 {
        let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut app.redis.connect()).unwrap();
        let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        calls.unwrap().split(',').next().unwrap().parse().unwrap()
    };
    let before = reads(&app);
    ask(&app, "/api/admin/orders?status=paid").await;
    let calls = reads(&app) - before;
    // Ten times a page of the index and its records. Sweeps may come in between. All orders would be 61 calls.
    assert!(calls < 40, "a page costs {calls} calls");
}

#[tokio::test]
async fn a_search_through_many_sales_without_orders_goes_on_from_sale_to_sale() {
    let app = TestApp::start();
    for id in 1..=120 {
        app.add_product(json!({"id": id, "name": "Item", "price": "50.00", "total_stock": 1})).await;
    }
    let order = ordered(&app, one_of(99), "anna").await;
    let (ids, pages) = found(&app, "customer_id=anna").await;
    assert_eq!((ids, pages), (vec![order], 2));
}
