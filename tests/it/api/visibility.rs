//! What the public sees of products and sales that are hidden, unlisted or archived, and lists page by page.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{app::TestApp, contract::Ask};

/// Products 1 (`AIR-1`), 2 and 3 of the sale `drop`, and 4 of the sale `other`.
async fn shop() -> TestApp {
    let app = TestApp::start();
    for (id, sale) in [(1, "drop"), (2, "drop"), (3, "drop"), (4, "other")] {
        let product = json!({"id": id, "sale": sale, "sku": format!("AIR-{id}"), "name": "Item", "price": "5", "total_stock": 10});
        app.add_product(product).await;
    }
    app
}

async fn change(app: &TestApp, path: &str, change: Value) -> Value {
    let changed = app.admin(Method::PATCH, path, change).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    changed.body
}

fn ids(list: &Value) -> Value {
    let rows = list["data"].as_array().unwrap_or_else(|| panic!("{list}"));
    rows.iter().map(|row| row["id"].clone()).collect()
}

async fn listed(app: &TestApp, query: &str) -> Value {
    ids(&app.get(&format!("/api/products{query}")).await.body)
}

async fn listed_to_admins(app: &TestApp, query: &str) -> Value {
    ids(&app.admin(Method::GET, &format!("/api/admin/products{query}"), Value::Null).await.body)
}

/// What a buyer gets who knows product 1: by id, by SKU, in a list of ids, and holds by id and by SKU.
async fn known(app: &TestApp) -> [u16; 5] {
    let by_id = app.get("/api/products/1").await;
    let by_sku = app.get("/api/products/by-sku/AIR-1").await;
    let among = listed(app, "?ids=1,4").await;
    let hold = app.post("/api/holds", json!({"product_id": 1, "quantity": 1})).await;
    let hold_by_sku = app.post("/api/holds", json!({"sku": "AIR-1", "quantity": 1})).await;
    for answer in [&by_id, &by_sku, &hold, &hold_by_sku].into_iter().filter(|answer| answer.status >= 400) {
        assert_eq!(answer.refusal(), (404, "product_not_found"));
    }
    if hold_by_sku.status == 404 {
        assert_eq!((&hold_by_sku.body["sku"], &hold_by_sku.body["product_id"]), (&json!("AIR-1"), &Value::Null));
    }
    let found = if among == json!([1, 4]) { 200 } else { 404 };
    [by_id.status, by_sku.status, found, hold.status, hold_by_sku.status]
}

const SEEN: [u16; 5] = [200, 200, 200, 201, 201];
const UNSEEN: [u16; 5] = [404; 5];

#[tokio::test]
async fn a_hidden_product_does_not_exist_for_the_public_and_an_unlisted_one_for_those_who_know_it() {
    let app = shop().await;
    assert_eq!((known(&app).await, listed(&app, "").await), (SEEN, json!([1, 2, 3, 4])));
    for (visibility, expected) in [("unlisted", SEEN), ("hidden", UNSEEN)] {
        change(&app, "/api/admin/products/1", json!({"visibility": visibility})).await;
        assert_eq!((known(&app).await, listed(&app, "").await), (expected, json!([2, 3, 4])), "{visibility}");
        assert_eq!(listed(&app, "?sale=drop").await, json!([2, 3]), "{visibility}");
        let read = app.admin(Method::GET, "/api/admin/products/1", Value::Null).await;
        assert_eq!((read.status, &read.body["visibility"]), (200, &json!(visibility)));
        let by_sku = app.admin(Method::GET, "/api/admin/products/by-sku/AIR-1", Value::Null).await;
        assert_eq!((by_sku.status, &by_sku.body), (200, &read.body));
        assert_eq!(listed_to_admins(&app, "").await, json!([1, 2, 3, 4]));
        assert_eq!(listed_to_admins(&app, &format!("?visibility={visibility}")).await, json!([1]));
        assert_eq!(listed_to_admins(&app, "?visibility=public&sale=drop").await, json!([2, 3]));
    }
    change(&app, "/api/admin/products/1", json!({"visibility": "public"})).await;
    assert_eq!((known(&app).await, listed(&app, "").await), (SEEN, json!([1, 2, 3, 4])));
}

#[tokio::test]
async fn the_stricter_one_of_a_product_and_its_sale_counts() {
    let app = shop().await;
    let sale = "/api/admin/sales/drop";
    change(&app, sale, json!({"visibility": "unlisted"})).await;
    assert_eq!((known(&app).await, listed(&app, "").await), (SEEN, json!([4])));
    assert_eq!((listed(&app, "?sale=drop").await, listed(&app, "?ids=1,2").await), (json!([]), json!([1, 2])));
    change(&app, "/api/admin/products/1", json!({"visibility": "hidden"})).await;
    assert_eq!((known(&app).await, listed(&app, "?ids=1,2").await), (UNSEEN, json!([2])));
    change(&app, "/api/admin/products/1", json!({"visibility": "unlisted"})).await;
    change(&app, sale, json!({"visibility": "hidden"})).await;
    assert_eq!((known(&app).await, listed(&app, "").await), (UNSEEN, json!([4])));
    assert_eq!(app.get("/api/products?sale=drop").await.refusal(), (404, "sale_not_found"));
    assert_eq!(listed_to_admins(&app, "?sale=drop").await, json!([1, 2, 3]));
    change(&app, sale, json!({"visibility": "public"})).await;
    assert_eq!((known(&app).await, listed(&app, "").await), (SEEN, json!([2, 3, 4])));
}

#[tokio::test]
async fn holds_and_orders_of_a_product_that_becomes_hidden_or_is_archived_go_on() {
    for (gone, back) in [
        (json!({"visibility": "hidden"}), json!({"visibility": "public"})),
        (json!({"archived": true}), json!({"archived": false})),
    ] {
        let app = TestApp::selling(10).await;
        let (held, to_order) = (app.held().await, app.held().await);
        let order = app.ordered().await;
        change(&app, "/api/admin/products/1", gone.clone()).await;
        assert_eq!(app.hold(1).await.refusal(), (404, "product_not_found"));
        assert_eq!(app.get(&format!("/api/holds/{held}")).await.body["status"], "active");
        let longer = app.post(&format!("/api/holds/{held}/extend"), json!({"seconds": 60})).await;
        assert!(longer.status == 200 || longer.refusal().1 == "extension_limit_reached", "{longer:?}");
        assert_eq!(app.order(&to_order).await.status, 201);
        let paid = app.pay("k", json!({"order_id": order, "payment_id": "pay", "status": "succeeded"})).await;
        assert_eq!(paid.status, 200, "{paid:?}");
        assert_eq!(app.get(&format!("/api/orders/{order}")).await.body["status"], "paid");
        assert_eq!(app.delete(&format!("/api/holds/{held}")).await.status, 204);
        change(&app, "/api/admin/products/1", back).await;
        assert_eq!(app.stock(1).await, "8 available, 1 pending, 1 sold", "{gone}");
    }
}

#[tokio::test]
async fn an_archived_product_is_seen_by_admins_alone_and_keeps_its_units() {
    let app = shop().await;
    let archived = change(&app, "/api/admin/products/1", json!({"archived": true, "reason": "last season"})).await;
    assert_eq!((&archived["archived"], &archived["available_stock"]), (&json!(true), &json!(10)));
    assert_eq!((known(&app).await, listed(&app, "").await), (UNSEEN, json!([2, 3, 4])));
    let filtered = [("?archived=true", json!([1])), ("?archived=false", json!([2, 3, 4])), ("", json!([1, 2, 3, 4]))];
    for (query, expected) in filtered {
        assert_eq!(listed_to_admins(&app, query).await, expected, "{query}");
    }
    let read = app.admin(Method::GET, "/api/admin/products/1", Value::Null).await;
    assert_eq!((read.status, &read.body), (200, &archived));
    change(&app, "/api/admin/products/1", json!({"archived": true})).await;
    change(&app, "/api/admin/products/1", json!({"archived": true, "group": "old"})).await;
    let back = change(&app, "/api/admin/products/1", json!({"archived": false})).await;
    assert_eq!(back.get("archived"), None);
    assert_eq!(known(&app).await, SEEN);
    let log =
        app.admin(Method::GET, "/api/admin/events?sale=drop&types=product.archived,product.changed", Value::Null).await;
    let events = log.body["data"].as_array().unwrap();
    assert_eq!(events.len(), 3, "what changed nothing is no event: {events:?}");
    let said = |at: usize| (&events[at]["type"], &events[at]["change"], &events[at]["reason"]);
    let to = |from: Value, to: Value| json!({"archived": {"from": from, "to": to}});
    assert_eq!(said(0), (&json!("product.archived"), &to(Value::Null, json!(true)), &json!("last season")));
    let grouped = json!({"group": {"from": null, "to": "old"}});
    assert_eq!(said(1), (&json!("product.changed"), &grouped, &Value::Null), "it was archived already");
    assert_eq!(said(2), (&json!("product.changed"), &to(json!(true), Value::Null), &Value::Null));
}

#[tokio::test]
async fn a_list_has_pages_without_gaps_which_stay_right_while_products_are_added() {
    let app = TestApp::start();
    let add = async |id: u64| {
        app.add_product(json!({"id": id, "sale": "drop", "name": "Item", "price": "5", "total_stock": 1})).await
    };
    for id in (10..=50).step_by(10) {
        add(id).await;
    }
    change(&app, "/api/admin/products/20", json!({"visibility": "hidden"})).await;
    change(&app, "/api/admin/products/50", json!({"archived": true})).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for added in [5, 35] {
        let page = app.get(&format!("/api/products?limit=1&cursor={cursor}")).await.body;
        seen.push(ids(&page)[0].clone());
        page["next_cursor"].as_str().unwrap().clone_into(&mut cursor);
        add(added).await;
    }
    let rest = app.get(&format!("/api/products?cursor={cursor}")).await.body;
    assert_eq!((json!(seen), ids(&rest), &rest["next_cursor"]), (json!([10, 30]), json!([35, 40]), &Value::Null));
    let last = app.get("/api/products?limit=3&cursor=10").await.body;
    assert_eq!((ids(&last), &last["next_cursor"]), (json!([30, 35, 40]), &Value::Null), "the rest is nobody's to see");
    assert_eq!(listed_to_admins(&app, "?limit=2&cursor=10").await, json!([20, 30]));
}

#[tokio::test]
async fn a_list_can_be_asked_for_ids_and_leaves_unknown_ones_out() {
    let app = shop().await;
    for (query, expected) in [
        ("?ids=3,1", json!([1, 3])),
        ("?ids=4,1,9007199254740991,1", json!([1, 4])),
        ("?ids=99", json!([])),
        ("?ids=1,2,4&sale=drop&limit=1&cursor=1", json!([2])),
    ] {
        assert_eq!(listed(&app, query).await, expected, "{query}");
        assert_eq!(listed_to_admins(&app, query).await, expected, "{query}");
    }
    let many = |count: u64| (1..=count).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(listed(&app, &format!("?ids={}", many(200))).await, json!([1, 2, 3, 4]));
    for (query, pointer) in [
        (format!("?ids={}", many(201)), "/ids"),
        ("?ids=1,,2".to_owned(), "/ids"),
        ("?ids=AIR-1".to_owned(), "/ids"),
        ("?limit=0".to_owned(), "/limit"),
        ("?limit=1001".to_owned(), "/limit"),
        ("?cursor=x".to_owned(), "/cursor"),
        ("?sale=No.Such".to_owned(), "/sale"),
    ] {
        let answer = app.get(&format!("/api/products{query}")).await;
        assert_eq!(
            (answer.refusal(), &answer.body["errors"][0]["pointer"]),
            ((422, "validation_failed"), &json!(pointer))
        );
    }
    assert_eq!(app.get("/api/products?sale=nosuch").await.refusal(), (404, "sale_not_found"));
    for query in ["?visibility=secret", "?archived=1"] {
        let answer = app.admin(Method::GET, &format!("/api/admin/products{query}"), Value::Null).await;
        assert_eq!(answer.refusal(), (422, "validation_failed"), "{query}");
    }
}

#[tokio::test]
async fn a_long_list_comes_compressed_to_those_who_take_gzip() {
    let app = shop().await;
    let ask = async |path: &str, accepted: &str| {
        let request = app.request(Method::GET, path).bearer_auth(crate::support::app::ADMIN_TOKEN);
        let answer = request.header("accept-encoding", accepted).ask().await.unwrap();
        let coding = answer.headers().get("content-encoding").map(|coding| coding.to_str().unwrap().to_owned());
        (coding, answer.bytes().await.unwrap())
    };
    for path in ["/api/products", "/api/admin/products"] {
        let (coding, plain) = ask(path, "identity").await;
        assert_eq!(coding, None, "{path}");
        for accepted in ["gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8, *;q=0.1"] {
            let (coding, packed) = ask(path, accepted).await;
            assert_eq!(coding.as_deref(), Some("gzip"), "{path} {accepted}");
            let mut unpacked = Vec::new();
            GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, plain, "{path}");
            assert!(packed.len() * 2 < plain.len(), "{} of {}", packed.len(), plain.len());
        }
        for accepted in ["", "br", "gzip;q=0", "identity, gzip;q=0.5"] {
            assert_eq!(ask(path, accepted).await.0, None, "{path} {accepted}");
        }
    }
    assert_eq!(ask("/api/products/1", "gzip").await.0, None, "one product is one packet");
}
