//! Limits for each customer across products: of a group and of a sale. Groups, and what is hidden.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp},
    eventually,
};

const SALE: &str = "/api/admin/sales/drop";

/// A sale `drop` with these terms, and sizes of one model: products from 1 on in the group `air-max`.
async fn drop_with(settings: &[(&str, &str)], sizes: u64, terms: Value) -> TestApp {
    let app = TestApp::start_with(settings);
    let mut sale = terms;
    sale["id"] = "drop".into();
    assert_eq!(app.admin(Method::POST, "/api/admin/sales", sale).await.status, 201);
    for id in 1..=sizes {
        let name = format!("Air Max {}", 37 + id);
        let size =
            json!({"id": id, "sale": "drop", "name": name, "price": "120.00", "total_stock": 100, "group": "air-max"});
        app.add_product(size).await;
    }
    app
}

async fn read(app: &TestApp, path: &str) -> Value {
    app.admin(Method::GET, path, Value::Null).await.body
}

async fn hold(app: &TestApp, customer: &str, items: &[(u64, u64)]) -> Answer {
    let items: Vec<Value> = items.iter().map(|(id, units)| json!({"product_id": id, "quantity": units})).collect();
    app.post("/api/holds", json!({"items": items, "customer_id": customer})).await
}

/// The limit of a refusal, and what remains.
fn limit(answer: &Answer) -> (&str, u64) {
    assert_eq!(answer.refusal(), (409, "customer_limit_reached"), "{answer:?}");
    (answer.body["limit"].as_str().unwrap(), answer.body["remaining"].as_u64().unwrap())
}

#[tokio::test]
async fn fifty_holds_of_each_customer_at_once_over_all_sizes_get_exactly_the_limit() {
    let app = drop_with(&[], 10, json!({"max_per_group": 2})).await;
    let wishes = (0..8 * 50_u64).map(|n| {
        let (app, customer, size) = (&app, n % 8, 1 + n / 8 % 10);
        // Some want two sizes at once.
        let items = if n / 8 % 7 == 3 { vec![(size, 1), (1 + size % 10, 1)] } else { vec![(size, 1)] };
        async move {
            let answer = hold(app, &format!("customer-{customer}"), &items).await;
            if answer.status != 201 {
                assert_eq!(limit(&answer).0, "group");
            }
            (customer, if answer.status == 201 { items.len() } else { 0 })
        }
    });
    let mut units: BTreeMap<u64, usize> = BTreeMap::new();
    for (customer, held) in join_all(wishes).await {
        *units.entry(customer).or_default() += held;
    }
    assert_eq!(units.into_values().collect::<Vec<_>>(), [2; 8]);
}

#[tokio::test]
async fn fifty_holds_of_one_customer_at_once_over_all_products_get_the_limit_of_the_sale() {
    let app = drop_with(&[], 10, json!({"max_per_customer": 7})).await;
    let wishes = (0..50_u64).map(|n| {
        let app = &app;
        async move { hold(app, "ann", &[(1 + n % 10, 1)]).await }
    });
    let held = join_all(wishes).await.into_iter().filter(|answer| answer.status == 201).count();
    assert_eq!(held, 7);
}

#[tokio::test]
async fn a_refusal_says_which_limit_it_is_and_what_remains() {
    let app = drop_with(&[], 2, json!({"max_per_customer": 5, "max_per_group": 3})).await;
    app.add_product(
        json!({"id": 3, "sale": "drop", "name": "Cap", "price": "9.00", "total_stock": 9, "max_per_customer": 2}),
    )
    .await;
    let without_id = async |items: Value| {
        let answer = app.post("/api/holds", json!({"items": items})).await;
        assert_eq!(answer.refusal(), (422, "customer_id_required"));
        ["limit", "product_id", "group"].map(|field| answer.body[field].clone())
    };
    assert_eq!(without_id(json!([{"product_id": 3, "quantity": 1}])).await, [json!("product"), json!(3), json!(null)]);
    assert_eq!(
        without_id(json!([{"product_id": 1, "quantity": 1}])).await,
        [json!("group"), json!(null), json!("air-max")]
    );
    assert_eq!(hold(&app, "ann", &[(1, 1), (2, 1)]).await.status, 201);
    let facts = |answer: &Answer| {
        ["limit", "product_id", "group", "most", "remaining"].map(|field| answer.body[field].clone()).to_vec()
    };
    let of_product = hold(&app, "ann", &[(1, 2), (3, 3)]).await;
    assert_eq!(facts(&of_product), [json!("product"), json!(3), json!(null), json!(2), json!(2)]);
    let of_group = hold(&app, "ann", &[(1, 1), (2, 1), (3, 2)]).await;
    assert_eq!(facts(&of_group), [json!("group"), json!(null), json!("air-max"), json!(3), json!(1)]);
    assert_eq!(hold(&app, "ann", &[(3, 2)]).await.status, 201);
    let change = json!({"max_per_group": null});
    assert_eq!(app.admin(Method::PATCH, SALE, change).await.body["max_per_group"], json!(null));
    let of_sale = hold(&app, "ann", &[(1, 2)]).await;
    assert_eq!(facts(&of_sale), [json!("sale"), json!(null), json!(null), json!(5), json!(1)]);
    assert!(of_sale.body["detail"].as_str().unwrap().contains("may have 5 units of this sale"), "{of_sale:?}");
}

#[tokio::test]
async fn what_comes_back_counts_no_more_and_what_is_bought_stays() {
    let short = [("SALE__HOLD_SECONDS", "2"), ("EVENTS__SWEEP_MS", "0")];
    let app = drop_with(&short, 3, json!({"max_per_group": 2})).await;
    let bought = hold(&app, "ann", &[(1, 1)]).await.id();
    app.pay("paid", json!({"status": "paid", "hold_id": bought})).await;
    let released = hold(&app, "ann", &[(2, 1)]).await.id();
    assert_eq!(limit(&hold(&app, "ann", &[(3, 1)]).await), ("group", 0));
    app.delete(&format!("/api/holds/{released}")).await;
    let ordered = app.order(&hold(&app, "ann", &[(3, 1)]).await.id()).await.id();
    assert_eq!(limit(&hold(&app, "ann", &[(2, 1)]).await), ("group", 0));
    app.post(&format!("/api/orders/{ordered}/cancel"), json!({})).await;
    assert_eq!(hold(&app, "ann", &[(2, 1)]).await.status, 201, "a cancelled order gave its unit back");
    assert_eq!(limit(&hold(&app, "ann", &[(3, 1)]).await), ("group", 0));
    eventually("the hold has lapsed", async || hold(&app, "ann", &[(3, 1)]).await.status == 201).await;
    assert_eq!(limit(&hold(&app, "ann", &[(1, 1)]).await), ("group", 0));
    eventually("that one has lapsed too", async || app.stock(3).await == "100 available").await;
    assert_eq!(limit(&hold(&app, "ann", &[(1, 1), (2, 1)]).await), ("group", 1), "what is bought stays");
    app.pay("refunded", json!({"status": "refunded", "hold_id": bought})).await;
    assert_eq!(hold(&app, "ann", &[(1, 1), (2, 1)]).await.status, 201, "what was refunded does not");
}

#[tokio::test]
async fn groups_and_limits_that_change_while_it_sells_count_at_once_and_take_nothing_away() {
    let app = drop_with(&[], 3, json!({})).await;
    assert_eq!(hold(&app, "ann", &[(1, 2), (2, 2)]).await.status, 201);
    assert_eq!(app.admin(Method::PATCH, SALE, json!({"max_per_group": 3})).await.status, 200);
    assert_eq!(limit(&hold(&app, "ann", &[(3, 1)]).await), ("group", 0));
    assert_eq!(app.stock(1).await, "98 available, 2 held");
    let group = async |id: u64, group: Value| {
        let changed = app.admin(Method::PATCH, &format!("/api/admin/products/{id}"), json!({"group": group})).await;
        assert_eq!((changed.status, &changed.body["group"]), (200, &group));
    };
    group(2, json!("other")).await;
    assert_eq!(hold(&app, "ann", &[(3, 1)]).await.status, 201);
    assert_eq!(limit(&hold(&app, "ann", &[(2, 2)]).await), ("group", 1));
    group(2, json!(null)).await;
    assert_eq!(hold(&app, "ann", &[(2, 2)]).await.status, 201, "it counts for no group");
    group(2, json!("air-max")).await;
    assert_eq!(limit(&hold(&app, "ann", &[(2, 1)]).await), ("group", 0));
}

#[tokio::test]
async fn what_is_hidden_takes_no_holds_and_what_is_unlisted_does() {
    let app = drop_with(&[], 2, json!({"visibility": "unlisted"})).await;
    assert_eq!(read(&app, SALE).await["visibility"], "unlisted");
    assert_eq!(hold(&app, "ann", &[(1, 1)]).await.status, 201);
    let seen = async |visibility: &str| {
        let changed = app.admin(Method::PATCH, "/api/admin/products/1", json!({"visibility": visibility})).await;
        assert_eq!((changed.status, &changed.body["visibility"]), (200, &json!(visibility)));
    };
    seen("hidden").await;
    let refused = hold(&app, "ann", &[(2, 1), (1, 1)]).await;
    assert_eq!((refused.refusal(), &refused.body["product_id"]), ((404, "product_not_found"), &json!(1)));
    assert_eq!(hold(&app, "ann", &[(2, 1)]).await.status, 201);
    seen("public").await;
    app.admin(Method::PATCH, SALE, json!({"visibility": "hidden", "paused": true})).await;
    assert_eq!(hold(&app, "ann", &[(2, 1)]).await.refusal(), (404, "product_not_found"));
}

#[tokio::test]
async fn rules_that_cannot_be_are_refused_and_events_say_those_that_are() {
    let app = drop_with(&[], 1, json!({"max_per_customer": 4, "max_per_group": 2})).await;
    for (method, path, body, pointer) in [
        (Method::PATCH, "/api/admin/products/1", json!({"group": "air max"}), "/group"),
        (Method::PATCH, "/api/admin/products/1", json!({"group": ""}), "/group"),
        (Method::PATCH, "/api/admin/products/1", json!({"visibility": "secret"}), "/visibility"),
        (Method::PATCH, "/api/admin/products/1", json!({"max_per_group": 1}), "/max_per_group"),
        (Method::PATCH, SALE, json!({"max_per_customer": 0}), "/max_per_customer"),
        (Method::PATCH, SALE, json!({"max_per_group": "2"}), "/max_per_group"),
        (Method::PATCH, SALE, json!({"visibility": 1}), "/visibility"),
        (Method::POST, "/api/admin/sales", json!({"group": "a"}), "/group"),
    ] {
        let answer = app.admin(method, path, body.clone()).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
    app.admin(Method::PATCH, SALE, json!({"max_per_customer": null, "visibility": "hidden"})).await;
    let events = read(&app, "/api/admin/events?sale=drop").await["data"].clone();
    let terms =
        |at: usize| ["max_per_customer", "max_per_group", "visibility"].map(|name| events[at]["terms"][name].clone());
    assert_eq!(terms(0), [json!(4), json!(2), json!("public")]);
    assert_eq!(
        (&events[1]["product"]["group"], &events[1]["product"]["visibility"]),
        (&json!("air-max"), &json!("public"))
    );
    assert_eq!(terms(2), [json!(null), json!(2), json!("hidden")]);
}

#[tokio::test]
async fn groups_and_visibility_are_imported_and_updated() {
    let app = TestApp::start();
    let import = async |query: &str, kind: &str, body: &str| {
        let request = app.request(Method::POST, &format!("/api/admin/import?{query}")).bearer_auth(ADMIN_TOKEN);
        let answer = app.send(request.header("content-type", kind).body(body.to_owned())).await;
        answer.body["rows"].as_array().unwrap().clone()
    };
    let head = "id,sale,name,price,total_stock,group,visibility\n";
    let first = format!(
        "{head}1,drop,Air 38,1,9,air,\n2,drop,Air 39,1,9,air,hidden\n3,drop,Cap,1,9,,\n4,drop,Bad,1,9,a b,open\n"
    );
    let rows = import("", "text/csv", &first).await;
    let pointers: Vec<_> = rows[3]["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!((&rows[1]["status"], pointers), (&json!("created"), vec![json!("/group"), json!("/visibility")]));
    let line =
        r#"{"id":4,"sale":"drop","name":"Bag","price":"1","total_stock":9,"group":"bags","visibility":"unlisted"}"#;
    assert_eq!(import("", "application/x-ndjson", line).await[0]["status"], "created");
    let rows =
        format!("{head}1,drop,Air 38,1,9,air,\n2,drop,Air 39,1,9,,public\n3,drop,Cap,1,9,caps,\n4,drop,Bag,1,9,,\n");
    let updated = import("update=true", "text/csv", &rows).await;
    let changed: Vec<_> = updated.iter().map(|row| row["changed"].clone()).collect();
    assert_eq!(
        changed,
        [json!(null), json!(["visibility"]), json!(["group"]), json!(null)],
        "an empty cell changes nothing"
    );
    let list = read(&app, "/api/admin/products").await["data"].clone();
    let found: Vec<_> = (0..4).map(|at| [&list[at]["group"], &list[at]["visibility"]].map(Value::clone)).collect();
    let expected = [("air", "public"), ("air", "public"), ("caps", "public"), ("bags", "unlisted")];
    assert_eq!(found, expected.map(|(group, seen)| [json!(group), json!(seen)]));
}

#[tokio::test]
async fn a_limit_of_groups_warns_of_products_that_have_none() {
    let app = TestApp::start();
    app.admin(Method::POST, "/api/admin/sales", json!({"id": "shoes"})).await;
    let path = "/api/admin/sales/shoes";
    for (id, more) in [(1, json!({"group": "air"})), (2, json!({"sku": "AIR-39"})), (3, json!({}))] {
        let mut product = json!({"id": id, "name": "Air", "price": "1.00", "total_stock": 5, "sale": "shoes"});
        product.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        app.add_product(product).await;
    }
    let quiet = app.admin(Method::PATCH, path, json!({"max_per_customer": 2})).await;
    assert_eq!((quiet.status, quiet.body.get("warnings")), (200, None));
    let warned = app.admin(Method::PATCH, path, json!({"max_per_group": 2})).await;
    let expected = "max_per_group does not count products without a group: AIR-39, 3";
    assert_eq!((warned.status, &warned.body["warnings"]), (200, &json!([expected])));
    assert!(app.admin(Method::GET, path, json!({})).await.body.get("warnings").is_none());

    let import = async |query: &str, table: &'static str| {
        let request = app.request(Method::POST, &format!("/api/admin/import{query}")).bearer_auth(ADMIN_TOKEN);
        app.send(request.header("content-type", "text/csv").body(table)).await.body["warnings"].clone()
    };
    let table = "id,sale,name,price,total_stock,group\n4,shoes,Air,1.00,5,\n5,shoes,Air,1.00,5,air\n6,,Cap,1.00,5,\n";
    let expected = "max_per_group does not count products without a group, such as some of these in the sale shoes";
    for query in ["?dry_run=true", ""] {
        assert_eq!(import(query, table).await, json!([expected]));
    }
    assert_eq!(import("", table).await, json!(null), "they were there already");
    for id in [2, 3, 4] {
        app.admin(Method::PATCH, &format!("/api/admin/products/{id}"), json!({"group": "air"})).await;
    }
    assert!(app.admin(Method::PATCH, path, json!({"max_per_group": 3})).await.body.get("warnings").is_none());
}
