//! SKUs: one product each, and a key beside its id.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp},
    commands::{all_fail, done, json_of},
    contract::Ask,
};

impl TestApp {
    /// Tries to make a product with this SKU.
    async fn put(&self, more: Value) -> Answer {
        let mut product = json!({"name": "Air", "price": "50.00", "total_stock": 10});
        product.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.admin(Method::POST, "/api/admin/products", product).await
    }

    async fn by_sku(&self, escaped: &str) -> Answer {
        self.get(&format!("/api/products/by-sku/{escaped}")).await
    }
}

#[tokio::test]
async fn a_product_says_its_sku_wherever_it_is_named() {
    let app = TestApp::start();
    let made = app.put(json!({"id": 7, "sale": "drop", "sku": "AIR-38"})).await;
    assert_eq!((made.status, &made.body["sku"]), (201, &json!("AIR-38")), "{made:?}");
    assert_eq!(app.put(json!({"id": 8, "sale": "drop"})).await.status, 201);
    assert_eq!(app.get("/api/products/7").await.body["sku"], "AIR-38");
    assert!(app.get("/api/products/8").await.body.get("sku").is_none(), "a product without one says nothing");
    for path in ["/api/products", "/api/admin/products"] {
        let list = app.admin(Method::GET, path, json!({})).await;
        assert_eq!([&list.body["data"][0]["sku"], &list.body["data"][1]["sku"]], [&json!("AIR-38"), &Value::Null]);
    }

    let items = json!({"items": [{"product_id": 8, "quantity": 1}, {"sku": "AIR-38", "quantity": 2}]});
    let hold = app.post("/api/holds", items).await;
    assert_eq!((hold.status, &hold.body["items"][0]["sku"]), (201, &json!("AIR-38")), "{hold:?}");
    assert!(hold.body["items"][1].get("sku").is_none() && hold.body.get("sku").is_none(), "{hold:?}");
    let read = app.get(&format!("/api/holds/{}", hold.id())).await;
    assert_eq!(read.body["items"], hold.body["items"]);
    let order = app.order(&hold.id()).await;
    assert_eq!((order.status, &order.body["items"]), (201, &hold.body["items"]));
    let paid = app.pay("e1", json!({"status": "paid", "order_id": order.id(), "amount": "150.00"})).await;
    assert_eq!(paid.body["order"]["items"], hold.body["items"], "{paid:?}");
    let one = app.post("/api/holds", json!({"product_id": 7, "quantity": 1})).await;
    assert_eq!((&one.body["sku"], &one.body["items"][0]["sku"]), (&json!("AIR-38"), &json!("AIR-38")));

    let events = app.admin(Method::GET, "/api/admin/events?sale=drop", json!({})).await;
    for event in events.body["data"].as_array().unwrap() {
        if event["product"]["id"] == 7 {
            assert_eq!(event["product"]["sku"], "AIR-38", "{event}");
        }
        if !event["order"].is_null() {
            assert_eq!(event["order"]["items"], hold.body["items"], "{event}");
        }
    }
    let row = app.admin(Method::GET, &format!("/api/admin/orders/{}", order.id()), json!({})).await;
    assert_eq!((&row.body["items"], &row.body["sku"]), (&hold.body["items"], &Value::Null));
}

#[tokio::test]
async fn another_service_on_the_same_redis_says_the_skus_too() {
    let app = TestApp::start();
    assert_eq!(app.put(json!({"sku": "AIR-38"})).await.status, 201);
    let order = app.ordered().await;
    let other = crate::support::app::run_service(&app.redis.url(), &[]);
    let path = format!("http://{}/api/orders/{order}", other.0);
    let read = Answer::read(app.client.get(path).ask().await.unwrap()).await;
    assert_eq!(read.body["sku"], "AIR-38", "{read:?}");
    drop(other.1.stop(false));
    other.2.join().unwrap();
}

#[tokio::test]
async fn a_sku_is_a_key_to_read_hold_change_and_restock() {
    let app = TestApp::start();
    app.put(json!({"id": 7, "sku": "restock"})).await;
    assert_eq!(app.by_sku("restock").await.body, app.get("/api/products/7").await.body);
    let hold = app.post("/api/holds", json!({"sku": "restock", "quantity": 2})).await;
    assert_eq!((hold.status, &hold.body["product_id"], &hold.body["sku"]), (201, &json!(7), &json!("restock")));
    let path = "/api/admin/products/by-sku/restock";
    let changed = app.admin(Method::PATCH, path, json!({"name": "Boot", "price": "60.00"})).await;
    assert_eq!((changed.status, &changed.body["name"], &changed.body["sku"]), (200, &json!("Boot"), &json!("restock")));
    let restocked = app.admin(Method::POST, &format!("{path}/restock"), json!({"delta": 5})).await;
    assert_eq!((restocked.status, &restocked.body["total_stock"]), (200, &json!(15)), "{restocked:?}");
    assert_eq!(app.admin(Method::GET, path, json!({})).await.body["total_stock"], 15);
    assert_eq!(app.stock(7).await, "13 available, 2 held");

    for (method, path) in [
        (Method::GET, "/api/admin/products/by-sku/nobody"),
        (Method::PATCH, "/api/admin/products/by-sku/nobody"),
        (Method::POST, "/api/admin/products/by-sku/nobody/restock"),
    ] {
        let answer = app.admin(method, path, json!({"total": 20})).await;
        assert!([404, 422].contains(&answer.status), "{answer:?}");
    }
    assert_eq!(app.by_sku("nobody").await.refusal(), (404, "product_not_found"));
    let missing = app.post("/api/holds", json!({"sku": "nobody", "quantity": 1})).await;
    assert_eq!((missing.refusal(), &missing.body["sku"]), ((404, "product_not_found"), &json!("nobody")));
}

#[tokio::test]
async fn of_32_products_with_one_sku_one_is_made_and_the_others_name_it() {
    let app = TestApp::start();
    for in_sale in [json!({}), json!({"sale": "drop"})] {
        let sku = format!("RACE{}", in_sale["sale"].as_str().unwrap_or_default());
        let calls = (0..32).map(|_| {
            let mut product = in_sale.clone();
            product["sku"] = json!(sku);
            app.put(product)
        });
        let answers = join_all(calls).await;
        let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(made.len(), 1, "{answers:?}");
        for other in answers.iter().filter(|answer| answer.status != 201) {
            assert_eq!(
                (other.refusal(), &other.body["id"]),
                ((409, "already_exists"), &made[0].body["id"]),
                "{other:?}"
            );
        }
    }
    assert_eq!(app.get("/api/products").await.body["data"].as_array().unwrap().len(), 2);
    let listed: Vec<String> = app.redis.connect().hkeys("fs1:{:all}:products").unwrap();
    assert_eq!(
        listed.into_iter().collect::<BTreeSet<_>>(),
        ["1", "2"].map(str::to_owned).into(),
        "no other id was taken"
    );
}

#[tokio::test]
async fn a_second_product_with_a_sku_is_refused_wherever_it_would_be() {
    let app = TestApp::start();
    app.put(json!({"id": 7, "sale": "drop", "sku": "A"})).await;
    app.put(json!({"id": 8, "sale": "drop"})).await;
    for (other, id) in [
        (json!({"sku": "A"}), 7),
        (json!({"id": 9, "sku": "A"}), 7),
        (json!({"id": 9, "sale": "other", "sku": "A"}), 7),
        (json!({"sale": "drop", "sku": "A"}), 7),
        (json!({"id": 8, "sale": "drop", "sku": "A"}), 7),
        (json!({"id": 7, "sale": "drop", "sku": "A"}), 7),
        (json!({"id": 7, "sale": "drop", "sku": "B"}), 7),
        (json!({"id": 7, "sale": "drop"}), 7),
        (json!({"id": 8, "sale": "drop", "sku": "B"}), 8),
    ] {
        let answer = app.put(other.clone()).await;
        assert_eq!((answer.refusal(), &answer.body["id"]), ((409, "already_exists"), &json!(id)), "{other}");
    }
    assert_eq!(app.get("/api/products/9").await.status, 404);
    assert!(app.get("/api/products/8").await.body.get("sku").is_none());
    assert_eq!(app.by_sku("B").await.status, 404, "no refused product left its SKU behind");
    assert_eq!(app.get("/api/products").await.body["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn after_a_crash_between_claim_and_product_the_same_call_finishes_it() {
    let app = TestApp::start();
    let mut redis = app.redis.connect();
    for (id, sale, sku) in [("3", "p3", "A"), ("4", "drop", "B"), ("5", "drop", "C")] {
        let () = redis.hset("fs1:{:all}:products", id, format!("{sale} {sku}")).unwrap();
        let () = redis.hset("fs1:{:all}:skus", sku, id).unwrap();
    }
    let hold = app.post("/api/holds", json!({"sku": "A", "quantity": 1})).await;
    assert_eq!(hold.refusal(), (404, "product_not_found"), "a claim is no product");
    assert_eq!(app.by_sku("A").await.status, 404);
    for (call, id) in [
        (json!({"sku": "A"}), 3),
        (json!({"sale": "drop", "sku": "B"}), 4),
        (json!({"id": 5, "sale": "drop", "sku": "C"}), 5),
    ] {
        let made = app.put(call).await;
        assert_eq!((made.status, &made.body["id"]), (201, &json!(id)), "{made:?}");
    }
    assert_eq!(app.post("/api/holds", json!({"sku": "A", "quantity": 1})).await.status, 201);
}

#[tokio::test]
async fn a_worker_that_remembers_where_a_product_was_looks_again() {
    let app = TestApp::start();
    let by_id = json!({"product_id": 7, "quantity": 1});
    let by_sku = json!({"sku": "A", "quantity": 1});
    let everywhere = async |body: &Value| join_all((0..40).map(|_| app.post("/api/holds", body.clone()))).await;
    app.put(json!({"id": 7, "sale": "drop", "sku": "A", "total_stock": 0})).await;
    for body in [&by_id, &by_sku] {
        let held = everywhere(body).await;
        assert!(held.iter().all(|hold| hold.refusal() == (409, "insufficient_stock")), "{held:?}");
    }
    // As if it had moved to another sale.
    let mut redis = app.redis.connect();
    let () = redis.del(&["fs1:{drop}:stock", "fs1:{drop}:product:7"]).unwrap();
    let () = redis.hset("fs1:{:all}:products", "7", "other A").unwrap();
    assert_eq!(app.put(json!({"id": 7, "sale": "other", "sku": "A", "total_stock": 100})).await.status, 201);
    for body in [&by_id, &by_sku] {
        let held = everywhere(body).await;
        assert!(held.iter().all(|hold| hold.status == 201), "{held:?}");
    }
    assert_eq!(app.stock(7).await, "20 available, 80 held");
}

#[tokio::test]
async fn odd_skus_are_kept_as_they_are_and_others_refused() {
    let app = TestApp::start();
    let longest = "x".repeat(64);
    for (sku, escaped) in [
        ("A/1", "A%2F1"),
        ("50%", "50%25"),
        ("%2F", "%252F"),
        ("a b", "a%20b"),
        ("a+b", "a+b"),
        ("\"quoted\" 'too'", "%22quoted%22%20%27too%27"),
        ("{1}:=,;?#&", "%7B1%7D:=,;%3F%23&"),
        ("\\", "%5C"),
        ("restock", "restock"),
        (&*longest, &*longest),
    ] {
        let made = app.put(json!({"sku": sku})).await;
        assert_eq!((made.status, &made.body["sku"]), (201, &json!(sku)), "{made:?}");
        let read = app.by_sku(escaped).await;
        assert_eq!((read.status, &read.body), (200, &made.body), "{sku}");
        let path = format!("/api/admin/products/by-sku/{escaped}/restock");
        assert_eq!(app.admin(Method::POST, &path, json!({"delta": 1})).await.body["total_stock"], 11, "{sku}");
        let hold = app.post("/api/holds", json!({"sku": sku, "quantity": 1})).await;
        assert_eq!((hold.status, &hold.body["sku"]), (201, &json!(sku)), "{hold:?}");
    }
    for sku in
        [json!(""), json!(" "), json!(" A"), json!("A "), json!("ä"), json!("A\u{7}"), json!("x".repeat(65)), json!(5)]
    {
        for answer in
            [app.put(json!({"sku": sku})).await, app.post("/api/holds", json!({"sku": sku, "quantity": 1})).await]
        {
            assert_eq!(
                (answer.refusal(), &answer.body["errors"][0]["pointer"]),
                ((422, "validation_failed"), &json!("/sku"))
            );
        }
    }
    for escaped in ["%C3%A4", "%00", "%20", &"x".repeat(65)] {
        assert_eq!(app.by_sku(escaped).await.refusal(), (404, "product_not_found"), "{escaped}");
    }
    assert_eq!(app.by_sku("%ff").await.refusal(), (422, "validation_failed"));
}

#[tokio::test]
async fn an_item_has_one_key_and_items_of_one_product_are_summed_whatever_names_it() {
    let app = TestApp::start();
    app.put(json!({"id": 1, "sku": "A"})).await;
    for (body, pointer) in [
        (json!({"sku": "A", "product_id": 1, "quantity": 1}), "/sku"),
        (json!({"sku": "A"}), "/quantity"),
        (json!({"quantity": 1}), "/product_id"),
        (json!({"sku": "A", "quantity": 1, "items": [{"sku": "A", "quantity": 1}]}), "/items"),
        (json!({"items": [{"sku": "A", "quantity": 1}, {"sku": "A", "product_id": 1, "quantity": 1}]}), "/items/1/sku"),
        (json!({"items": [{"sku": "A", "quantity": 1_000_000}, {"product_id": 1, "quantity": 1}]}), "/items"),
    ] {
        let answer = app.post("/api/holds", body.clone()).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
    let items =
        json!({"items": [{"sku": "A", "quantity": 2}, {"product_id": 1, "quantity": 1}, {"sku": "A", "quantity": 1}]});
    let key = |request: reqwest::RequestBuilder| request.header("idempotency-key", "k");
    let by_both = app.send(key(app.request(Method::POST, "/api/holds").json(&items))).await;
    assert_eq!((by_both.status, &by_both.body["quantity"]), (201, &json!(4)), "{by_both:?}");
    let by_id = json!({"product_id": 1, "quantity": 4});
    let again = app.send(key(app.request(Method::POST, "/api/holds").json(&by_id))).await;
    assert_eq!((&again.body["id"], again.headers["idempotency-replayed"].as_str()), (&by_both.body["id"], "true"));
    assert_eq!(app.stock(1).await, "6 available, 4 held");
}

#[tokio::test]
async fn an_import_knows_its_products_by_their_skus() {
    let app = TestApp::start();
    app.put(json!({"id": 7, "sale": "drop", "sku": "A"})).await;
    app.put(json!({"id": 8, "sale": "drop"})).await;
    let file = "sku,sale,name,price,total_stock,id\nA,drop,Air,50.00,10,\nB,drop,Boot,5.00,1,\nA,drop,Boot,60.00,10,\n\
                B,drop,Boot,5.00,1,8\nä,drop,Boot,5.00,1,\nA,other,Air,50.00,10,\n";
    let import = async |query: &str| {
        let request = app.request(Method::POST, &format!("/api/admin/import{query}")).bearer_auth(ADMIN_TOKEN);
        let answer = app.send(request.header("content-type", "text/csv").body(file)).await;
        let row = |row: &Value| {
            let words = ["status", "code", "id", "changed", "differs"].map(|name| &row[name]);
            words.into_iter().filter(|word| !word.is_null()).map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        answer.body["rows"].as_array().unwrap_or_else(|| panic!("{answer:?}")).iter().map(row).collect::<Vec<_>>()
    };
    let rest = [
        "\"failed\" \"already_exists\" 7 [\"name\",\"price\"]",
        "\"failed\" \"already_exists\" 3 [\"id\"]",
        "\"failed\" \"validation_failed\"",
        "\"failed\" \"already_exists\" 7 [\"sale\"]",
    ];
    let unchanged = "\"failed\" \"already_exists\" 7 []";
    // Nobody has the id of a product that is not made.
    let rehearsed =
        [unchanged, "\"would_create\"", rest[0], "\"failed\" \"already_exists\" [\"sku\"]", rest[2], rest[3]];
    assert_eq!(import("?dry_run=true").await, rehearsed);
    assert_eq!(import("").await, [&[unchanged, "\"created\" 3"][..], &rest].concat());
    let updated = import("?update=true").await;
    assert_eq!(updated[2], "\"changed\" 7 [\"name\",\"price\"] []", "{updated:?}");
    assert_eq!(updated[0], unchanged);
    assert_eq!(app.by_sku("A").await.body["price"], "60.00");
    assert_eq!(app.by_sku("B").await.body["id"], 3);
}

#[tokio::test]
async fn the_command_line_names_products_by_their_skus() {
    let app = TestApp::start();
    let created = "product create 7 --name Air --sku A/1 --metadata size=38 --metadata colour=red=blue --price 50.00 \
                   --total-stock 10 --json";
    let made = json_of(&app, created);
    assert_eq!((&made["sku"], &made["metadata"]), (&json!("A/1"), &json!({"size": "38", "colour": "red=blue"})));
    let shown = done(&app, "product show --sku A/1");
    assert!(shown.contains("  sku               A/1\n"), "{shown}");
    assert!(shown.contains("  metadata          {\"size\":\"38\",\"colour\":\"red=blue\"}\n"), "{shown}");
    assert_eq!(json_of(&app, "product restock --sku A/1 --delta 5 --json")["total_stock"], 15);
    assert_eq!(json_of(&app, "product change --sku A/1 --metadata size=39 --json")["metadata"], json!({"size": "39"}));
    assert!(json_of(&app, "product change 7 --no-metadata --json").get("metadata").is_none());
    let hold = app.post("/api/holds", json!({"sku": "A/1", "quantity": 2, "metadata": {"a": "b"}})).await;
    let order = app.order(&hold.id()).await;
    let shown = done(&app, &format!("order show {}", order.id()));
    assert!(shown.contains("2 of A/1 (product 7) at 50.00 USD") && shown.contains("{\"a\":\"b\"}"), "{shown}");
    all_fail(
        &app,
        &[
            ("product show --sku nobody", 1, &["404 product_not_found"]),
            ("product show 7 --sku A/1", 2, &["cannot be used with"]),
            ("product show", 2, &["--sku"]),
            ("product change --sku A/1 --metadata size", 2, &["colour=red"]),
        ],
    );
}
