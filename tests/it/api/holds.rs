//! POST /api/holds, GET and DELETE /api/holds/{id}.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

async fn hold_with_key(app: &TestApp, key: &str, body: Value) -> Answer {
    app.send(app.request(Method::POST, "/api/holds").header("Idempotency-Key", key).json(&body)).await
}

#[tokio::test]
async fn a_hold_is_answered_with_its_deadline_and_can_be_read() {
    let app = TestApp::selling(10).await;
    let made = app.post("/api/holds", json!({"product_id": 1, "quantity": 2, "customer_id": "alice"})).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.body["product_id"], 1);
    assert_eq!(made.body["quantity"], 2);
    assert_eq!(made.body["items"], json!([{"product_id": 1, "quantity": 2, "unit_price": "50.00"}]));
    assert_eq!(costs(&made), json!(["50.00", "100.00", "USD"]));
    assert_eq!(made.body["customer_id"], "alice");
    assert_eq!(made.body["expires_in"], 900);
    let read = app.get(&format!("/api/holds/{}", made.id())).await;
    assert_eq!((read.status, &read.body["status"]), (200, &json!("active")));
    for name in
        ["id", "product_id", "quantity", "unit_price", "items", "total_amount", "currency", "customer_id", "expires_at"]
    {
        assert_eq!(read.body[name], made.body[name], "{name}");
    }
    assert_eq!(app.stock(1).await, "8 available, 2 held");
}

fn costs(answer: &Answer) -> Value {
    json!([answer.body["unit_price"], answer.body["total_amount"], answer.body["currency"]])
}

#[tokio::test]
async fn a_hold_says_the_price_of_its_making_in_every_answer_and_is_ordered_at_it() {
    let app = TestApp::start_with(&[("SALE__HOLD_SECONDS_MAX", "3600")]);
    for (id, price) in [(1, "0.10"), (2, "19.99")] {
        let product =
            json!({"id": id, "sale": "drop", "name": "Item", "price": price, "currency": "EUR", "total_stock": 9});
        app.add_product(product).await;
    }
    let wish = json!({"items": [{"product_id": 1, "quantity": 3}, {"product_id": 2, "quantity": 2}]});
    let made = hold_with_key(&app, "key-1", wish.clone()).await;
    assert_eq!(costs(&made), json!([null, "40.28", "EUR"]), "prices of several products stand in their items");
    let items = json!([{"product_id": 1, "quantity": 3, "unit_price": "0.10"},
        {"product_id": 2, "quantity": 2, "unit_price": "19.99"}]);
    assert_eq!(made.body["items"], items);
    app.admin(Method::PATCH, "/api/admin/products/2", json!({"price": "25.00"})).await;
    let path = format!("/api/holds/{}", made.id());
    let extended = app.post(&format!("{path}/extend"), json!({"seconds": 60})).await;
    let order = app.order(&made.id()).await;
    for answer in [hold_with_key(&app, "key-1", wish.clone()).await, app.get(&path).await, extended, order] {
        assert_eq!((costs(&answer), &answer.body["items"]), (costs(&made), &items), "{answer:?}");
    }
}

#[tokio::test]
async fn holds_that_are_made_while_the_price_changes_are_ordered_at_what_they_say() {
    let app = TestApp::selling(1_000).await;
    let change = async {
        for price in 1..=60 {
            let changed = app.admin(Method::PATCH, "/api/admin/products/1", json!({"price": price.to_string()})).await;
            assert_eq!(changed.status, 200, "{changed:?}");
        }
    };
    let buyers = join_all((0..8).map(async |_| {
        for _ in 0..20 {
            let made = app.hold(2).await;
            let read = app.get(&format!("/api/holds/{}", made.id())).await;
            let order = app.order(&made.id()).await;
            assert_eq!((made.status, costs(&read), costs(&order)), (201, costs(&made), costs(&made)));
        }
    }));
    futures_util::future::join(change, buyers).await;
}

#[tokio::test]
async fn a_shorter_time_may_be_asked_for_and_a_longer_one_is_capped() {
    let app = TestApp::start_with(&[("SALE__HOLD_SECONDS_MAX", "3600")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 10})).await;
    for (asked, given) in [(60, 60), (3_600, 3_600), (99_999_999, 3_600)] {
        let made = app.post("/api/holds", json!({"product_id": 1, "quantity": 1, "ttl_seconds": asked})).await;
        assert_eq!(made.body["expires_in"], given, "{made:?}");
    }
}

#[tokio::test]
async fn lines_of_the_same_product_are_summed() {
    let app = TestApp::selling(10).await;
    let line = json!({"product_id": 1, "quantity": 2});
    let made = app.post("/api/holds", json!({"items": [line, line, line]})).await;
    assert_eq!(made.body["items"], json!([{"product_id": 1, "quantity": 6, "unit_price": "50.00"}]));
    assert_eq!(app.stock(1).await, "4 available, 6 held");
    // The limit counts the sum: splitting does not get around it.
    let answer = app.post("/api/holds", json!({"items": vec![json!({"product_id": 1, "quantity": 4}); 3]})).await;
    assert_eq!(answer.refusal(), (422, "quantity_above_limit"));
}

#[tokio::test]
async fn several_products_of_one_sale_are_held_together_and_a_refusal_names_the_product() {
    let app = TestApp::start();
    for (id, units) in [(1, 10), (2, 1)] {
        app.add_product(json!({"id": id, "sale": "drop-1", "name": "Item", "price": "1.00", "total_stock": units}))
            .await;
    }
    let wish =
        |second: u64| json!({"items": [{"product_id": 2, "quantity": second}, {"product_id": 1, "quantity": 3}]});
    let made = app.post("/api/holds", wish(1)).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.body["product_id"], Value::Null, "only a hold of one product has it at the top");
    let refused = app.post("/api/holds", wish(1)).await;
    assert_eq!(refused.refusal(), (409, "insufficient_stock"));
    assert_eq!(refused.body["product_id"], 2);
    assert_eq!(app.stock(1).await, "7 available, 3 held");
    assert_eq!(app.stock(2).await, "1 held");
    assert_eq!(app.delete(&format!("/api/holds/{}", made.id())).await.status, 204);
    assert_eq!(app.stock(1).await, "10 available");
}

#[tokio::test]
async fn products_of_different_sales_cannot_be_held_together() {
    let app = TestApp::selling(10).await;
    app.add_product(json!({"id": 2, "name": "Item", "price": "1.00", "total_stock": 10})).await;
    let items = json!({"items": [{"product_id": 1, "quantity": 1}, {"product_id": 2, "quantity": 1}]});
    assert_eq!(app.post("/api/holds", items).await.refusal(), (422, "products_of_different_sales"));
    assert_eq!(app.stock(1).await, "10 available");
}

#[tokio::test]
async fn refusals_say_why_and_change_nothing() {
    let app = TestApp::selling(5).await;
    let refused = app.hold(11).await;
    assert_eq!(refused.refusal(), (422, "quantity_above_limit"));
    assert_eq!(refused.body["max_per_hold"], 10);
    let refused = app.hold(6).await;
    assert_eq!(refused.refusal(), (409, "insufficient_stock"));
    assert_eq!((&refused.body["reason"], &refused.body["available_stock"]), (&json!("not_enough"), &json!(5)));
    assert!(!refused.headers.contains_key("retry-after"), "nothing can come back");
    let unknown = app.post("/api/holds", json!({"product_id": 999, "quantity": 1})).await;
    assert_eq!(unknown.refusal(), (404, "product_not_found"));
    assert_eq!(app.stock(1).await, "5 available");
}

#[tokio::test]
async fn sold_out_is_said_when_nothing_can_come_back() {
    let app = TestApp::selling(1).await;
    let hold = app.held().await;
    assert_eq!(app.pay("txn", json!({"status": "paid", "hold_id": hold})).await.body["outcome"], "applied");
    let refused = app.hold(1).await;
    assert_eq!(refused.body["reason"], "sold_out");
    assert_eq!(refused.body["next_release_at"], Value::Null);
    assert!(!refused.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn the_same_key_and_body_give_the_same_hold_once() {
    let app = TestApp::selling(10).await;
    let wish = json!({"product_id": 1, "quantity": 2});
    let answers = join_all((0..20).map(|_| hold_with_key(&app, "key-1", wish.clone()))).await;
    assert!(answers.iter().all(|answer| answer.status == 201));
    assert!(answers.iter().all(|answer| answer.body == answers[0].body), "all are answered alike");
    let replayed = answers.iter().filter(|answer| answer.headers.contains_key("idempotency-replayed")).count();
    assert_eq!(replayed, 19);
    assert_eq!(app.stock(1).await, "8 available, 2 held");
    // Quoted is the same key; another spelling of the same wish is the same body.
    let respelled = hold_with_key(&app, "\"key-1\"", json!({"items": [{"product_id": 1, "quantity": 2}]})).await;
    assert_eq!(respelled.id(), answers[0].id());
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let app = TestApp::selling(10).await;
    hold_with_key(&app, "key-1", json!({"product_id": 1, "quantity": 2})).await;
    for other in [
        json!({"product_id": 1, "quantity": 3}),
        json!({"product_id": 1, "quantity": 2, "customer_id": "bob"}),
        json!({"product_id": 1, "quantity": 2, "ttl_seconds": 60}),
    ] {
        assert_eq!(hold_with_key(&app, "key-1", other).await.refusal(), (422, "idempotency_key_reused"));
    }
    assert_eq!(app.stock(1).await, "8 available, 2 held");
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let app = TestApp::selling(1).await;
    let first = app.held().await;
    let wish = json!({"product_id": 1, "quantity": 1});
    assert_eq!(hold_with_key(&app, "key-1", wish.clone()).await.status, 409);
    app.delete(&format!("/api/holds/{first}")).await;
    let answer = hold_with_key(&app, "key-1", wish).await;
    assert_eq!(answer.status, 201);
    assert!(!answer.headers.contains_key("idempotency-replayed"));
}

#[tokio::test]
async fn a_hold_is_released_once() {
    let app = TestApp::selling(10).await;
    let hold = app.held().await;
    let path = format!("/api/holds/{hold}");
    let mut statuses: Vec<u16> = join_all((0..20).map(|_| app.delete(&path))).await.iter().map(|a| a.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 204);
    assert!(statuses[1..].iter().all(|status| *status == 410), "{statuses:?}");
    assert_eq!(app.stock(1).await, "10 available");
    assert_eq!(app.get(&path).await.refusal(), (410, "hold_expired"));
}

#[tokio::test]
async fn a_hold_that_became_an_order_says_so() {
    let app = TestApp::selling(10).await;
    let hold = app.held().await;
    let order = app.order(&hold).await.id();
    let read = app.get(&format!("/api/holds/{hold}")).await;
    assert_eq!((&read.body["status"], &read.body["order_id"]), (&json!("converted"), &json!(order)));
    let refused = app.delete(&format!("/api/holds/{hold}")).await;
    assert_eq!(refused.refusal(), (409, "hold_converted"));
    assert_eq!(refused.body["order_id"], json!(order));
}

#[tokio::test]
async fn an_id_that_was_never_made_here_is_unknown_without_asking_redis() {
    // Nothing else calls scripts without the sweep. The looks whether Redis is the same are other commands.
    let app = TestApp::start_with(&[("EVENTS__SWEEP_MS", "0")]).with_units(10).await;
    let hold = app.held().await;
    let mut forged = hold.clone().into_bytes();
    let last = forged.len() - 1;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let calls = || ["evalsha", "hget", "hmget"].map(|command| app.calls_of(command));
    let before = calls();
    for id in
        [forged.as_str(), "hold_", "nonsense", "hold_p1_AAAAAAAAAAAAAAAAAAAAAAAA", &hold.replace("hold_", "order_")]
    {
        assert_eq!(app.get(&format!("/api/holds/{id}")).await.refusal(), (404, "hold_not_found"), "{id}");
        assert_eq!(app.delete(&format!("/api/holds/{id}")).await.refusal(), (404, "hold_not_found"), "{id}");
        assert_eq!(app.order(id).await.refusal(), (404, "hold_not_found"), "{id}");
    }
    assert_eq!(calls(), before);
}
