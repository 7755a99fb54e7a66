//! Products by a part of their name: GET /api/admin/products?search=.

use reqwest::Method;
use serde_json::{Value, json};

use super::desk::ask;
use crate::support::app::{ADMIN_TOKEN, TestApp};

/// The ids of all products that a query finds, and the number of pages.
async fn found(app: &TestApp, query: &str) -> (Vec<u64>, usize) {
    let (mut ids, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = ask(app, &format!("/api/admin/products?{query}&cursor={cursor}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        pages += 1;
        ids.extend(page.body["data"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()));
        match page.body["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return (ids, pages),
        }
    }
}

async fn ids(app: &TestApp, query: &str) -> Vec<u64> {
    found(app, query).await.0
}

#[tokio::test]
async fn products_are_found_by_a_part_of_their_name_their_sku_and_their_id() {
    let app = TestApp::start();
    let spread = json!({"id": "spread", "shards": 3});
    assert_eq!(app.admin(Method::POST, "/api/admin/sales", spread).await.status, 201);
    for (id, sale, name, sku) in [
        (1, "drop", "Red Sneaker", json!("SNK-1")),
        (2, "drop", "Blue cap", json!("CAP-2")),
        (3, "spread", "SNEAKER, worn by a star", Value::Null),
        (4, "other", "Élan tee", json!("T-1 4")),
        (12, "other", "Poster", Value::Null),
    ] {
        let product = json!({"id": id, "sale": sale, "sku": sku, "name": name, "price": "1.00", "total_stock": 3});
        app.add_product(product).await;
    }
    for (query, expected) in [
        ("search=sneak", vec![1, 3]),
        ("search=SNEAKER,", vec![3]),
        ("search=snk-", vec![1]),
        ("search=%C3%89LAN", vec![4]),
        ("search=+cap+", vec![2]),
        ("search=1", vec![1, 4]),
        ("search=12", vec![12]),
        ("search=no+such+thing", vec![]),
        ("search=sneak&sale=spread", vec![3]),
        ("search=sneak&ids=1,2", vec![1]),
        ("search=sneak&limit=1", vec![1, 3]),
    ] {
        assert_eq!(ids(&app, query).await, expected, "{query}");
    }
    // A new name and a SKU that was given later are found at once, and the old name no more.
    let renamed = json!({"name": "Black boot", "sku": "BOOT-3"});
    assert_eq!(app.admin(Method::PATCH, "/api/admin/products/3", renamed).await.status, 200);
    assert_eq!((ids(&app, "search=sneak").await, ids(&app, "search=oot-3").await), (vec![1], vec![3]));
    app.admin(Method::PATCH, "/api/admin/products/1", json!({"archived": true})).await;
    assert_eq!(ids(&app, "search=sneak&archived=false").await, [0; 0]);
    let deleted = app.send(app.request(Method::DELETE, "/api/admin/products/2").bearer_auth(ADMIN_TOKEN)).await;
    assert_eq!((deleted.status, ids(&app, "search=cap").await), (204, vec![]));
}

#[tokio::test]
async fn a_search_in_many_products_goes_on_behind_a_page_that_found_none() {
    let app = TestApp::start();
    let row = |n: u64| json!({"id": n, "sku": format!("MANY-{n}"), "name": "Of many", "price": "5.00", "total_stock": 3, "sale": "many"});
    for first in [1, 701] {
        let rows: Vec<_> = (first..first + 700).map(|n| row(n).to_string()).collect();
        let import = app.request(Method::POST, "/api/admin/import").header("content-type", "application/x-ndjson");
        let answer = app.send(import.bearer_auth(ADMIN_TOKEN).body(rows.join("\n"))).await;
        assert_eq!((answer.status, &answer.body["created"]), (200, &json!(700)), "{answer:?}");
    }
    // The first page looks at 1,000 products and finds nothing.
    assert_eq!(found(&app, "search=many-1390").await, (vec![1390], 2));
    assert_eq!(found(&app, "search=of+nobody").await, (vec![], 2));
    let (all, pages) = found(&app, "search=OF+MANY&limit=100").await;
    assert_eq!((all, pages), ((1..=1400).collect::<Vec<_>>(), 14));
}

#[tokio::test]
async fn a_search_for_nothing_is_refused_and_the_storefront_has_none() {
    let app = TestApp::selling(1).await;
    for query in ["search=", "search=%20", &format!("search={}", "x".repeat(201)), "search=%00"] {
        let answer = ask(&app, &format!("/api/admin/products?{query}")).await;
        assert_eq!(
            (answer.refusal(), &answer.body["errors"][0]["pointer"]),
            ((422, "validation_failed"), &json!("/search"))
        );
    }
    assert_eq!(app.get("/api/products?search=item").await.refusal(), (400, "unknown_parameter"));
}
