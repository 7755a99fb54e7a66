//! POST /api/admin/products.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    house::{read, root},
    support::app::TestApp,
};

const PATH: &str = "/api/admin/products";

#[tokio::test]
async fn only_the_bearer_of_the_token_makes_products() {
    let app = TestApp::start();
    let product = json!({"name": "Item", "price": "1.00", "total_stock": 1});
    assert_eq!(app.post(PATH, product.clone()).await.refusal(), (401, "unauthorized"));
    for value in ["Bearer", "Bearer wrong", "Basic a-token-for-tests-only", "a-token-for-tests-only", ""] {
        let answer = app.send(app.request(Method::POST, PATH).header("authorization", value).json(&product)).await;
        assert_eq!(answer.refusal(), (401, "unauthorized"), "{value}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    assert_eq!(app.get("/api/products").await.body["data"], json!([]));
}

#[tokio::test]
async fn who_may_not_ask_hears_nothing_else_about_any_call_of_admins() {
    let app = TestApp::start();
    let document: Value = serde_json::from_str(&read(&root().join("web/openapi.json"))).unwrap();
    let paths = document["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/api/admin/"));
    let mut asked = 0;
    for (path, operations) in paths {
        let methods = [Method::GET, Method::POST, Method::PATCH, Method::DELETE];
        for method in methods.iter().filter(|method| operations[method.as_str().to_lowercase()].is_object()) {
            for (id, query) in [("x", ""), ("%ff", ""), ("x", "?unknown=1"), ("x", "?limit=%ff")] {
                let path = path.replace("{id}", id).replace("{sku}", id) + query;
                let answer = app.send(app.request(method.clone(), &path).body("{")).await;
                assert_eq!(answer.refusal(), (401, "unauthorized"), "{method} {path}");
                asked += 1;
            }
        }
    }
    assert!(asked >= 100, "{asked} requests");
}

#[tokio::test]
async fn of_several_tokens_each_counts_and_some_may_only_look() {
    let settings = [
        ("ADMIN__TOKENS", "another-token-for-tests,a-third-token-for-tests"),
        ("ADMIN__READ_TOKENS", "a-token-that-may-look"),
    ];
    let app = TestApp::start_with(&settings);
    let product = json!({"name": "Item", "price": "1.00", "total_stock": 1});
    let send = async |method: Method, path: &str, token: &str| {
        app.send(app.request(method, path).bearer_auth(token).json(&product)).await
    };
    for token in ["another-token-for-tests", "a-third-token-for-tests", crate::support::app::ADMIN_TOKEN] {
        assert_eq!(send(Method::POST, PATH, token).await.status, 201, "{token}");
    }
    let looks = "a-token-that-may-look";
    assert_eq!(send(Method::GET, "/api/admin/sales", looks).await.status, 200);
    assert_eq!(send(Method::POST, PATH, looks).await.refusal(), (403, "forbidden"));
    assert_eq!(send(Method::PATCH, "/api/admin/sales/p1", looks).await.refusal(), (403, "forbidden"));
    assert_eq!(send(Method::GET, "/api/admin/sales", "a-token-that-may-loop").await.refusal(), (401, "unauthorized"));
}

#[tokio::test]
async fn without_a_configured_token_the_routes_do_not_exist() {
    let app = TestApp::start_with(&[("ADMIN__TOKEN", "")]);
    assert_eq!(app.admin(Method::POST, PATH, json!({})).await.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn ids_are_given_in_order_and_a_taken_id_is_refused() {
    let app = TestApp::start();
    let product = |id: Value| json!({"id": id, "name": "Item", "price": "1.00", "total_stock": 1});
    assert_eq!(app.add_product(product(json!(2))).await["id"], 2);
    assert_eq!(app.add_product(product(Value::Null)).await["id"], 3);
    assert_eq!(app.add_product(product(json!(1))).await["id"], 1);
    assert_eq!(app.admin(Method::POST, PATH, product(json!(2))).await.refusal(), (409, "already_exists"));
    let elsewhere = json!({"id": 2, "sale": "other", "name": "Item", "price": "1.00", "total_stock": 1});
    assert_eq!(app.admin(Method::POST, PATH, elsewhere).await.refusal(), (409, "already_exists"));
}

#[tokio::test]
async fn products_made_at_once_get_ids_of_their_own() {
    let app = TestApp::start();
    let product = json!({"name": "Item", "price": "1.00", "total_stock": 1});
    let made = join_all((0..40).map(|_| app.add_product(product.clone()))).await;
    let mut ids: Vec<_> = made.iter().map(|product| product["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_wrong_with_a_product_is_said_all_at_once() {
    let app = TestApp::start();
    let wrong = json!({"id": 0, "sale": "p7", "price": 9.99, "currency": "dollars", "total_stock": -1, "max_per_hold": 1001,
        "max_per_customer": 0, "colour": "red"});
    let answer = app.admin(Method::POST, PATH, wrong).await;
    assert_eq!(answer.refusal(), (422, "validation_failed"));
    let mut pointers: Vec<_> =
        answer.body["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/colour",
            "/currency",
            "/id",
            "/max_per_customer",
            "/max_per_hold",
            "/name",
            "/price",
            "/sale",
            "/total_stock"
        ]
    );
    for (price, currency) in [("1.001", "USD"), ("1.5", "JPY"), ("-1", "USD"), ("1e3", "USD"), ("9000000000", "USD")] {
        let product = json!({"name": "Item", "price": price, "currency": currency, "total_stock": 1});
        let answer = app.admin(Method::POST, PATH, product).await;
        assert_eq!(answer.body["errors"][0]["pointer"], "/price", "{answer:?}");
    }
}

#[tokio::test]
async fn all_products_of_a_sale_have_one_currency() {
    let app = TestApp::start();
    let product = |currency: &str, sale: &str| json!({"sale": sale, "name": "Item", "price": "1", "currency": currency, "total_stock": 1});
    app.add_product(product("EUR", "drop")).await;
    let refused = app.admin(Method::POST, PATH, product("USD", "drop")).await;
    assert_eq!((refused.status, &refused.body["errors"][0]["code"]), (422, &json!("currency_differs")));
    // The refused product took no id.
    assert_eq!(app.add_product(product("USD", "other")).await["id"], 2);
}
