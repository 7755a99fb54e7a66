//! Sales that are spread over several hash slots, as a client sees them.

use std::collections::BTreeSet;

use flashsale::store::{Catalogue, Op};
use futures_util::future::join_all;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{Answer, TestApp},
    eventually, stock,
};

/// Product 1 with so many units, in a sale `drop` of so many shards with these terms.
pub async fn spread_with(shards: u64, units: u64, terms: Value) -> TestApp {
    let app = TestApp::start();
    let mut sale = terms;
    (sale["id"], sale["shards"]) = ("drop".into(), shards.into());
    let made = app.admin(Method::POST, "/api/admin/sales", sale).await;
    assert_eq!((made.status, &made.body["shards"]), (201, &json!(shards)), "{made:?}");
    add(&app, 1, units).await;
    app
}

async fn spread(shards: u64, units: u64) -> TestApp {
    spread_with(shards, units, json!({})).await
}

async fn add(app: &TestApp, id: u64, units: u64) {
    app.add_product(json!({"id": id, "sale": "drop", "name": "Item", "price": "50.00", "total_stock": units})).await;
}

pub async fn hold_of(app: &TestApp, customer: &str) -> Answer {
    hold(app, json!({"product_id": 1, "quantity": 1, "customer_id": customer})).await
}

async fn one(app: &TestApp) -> Answer {
    hold(app, json!({"product_id": 1, "quantity": 1})).await
}

/// The answer to a buyer who comes again after a 503, which a busy machine gives to some of a crowd.
async fn hold(app: &TestApp, body: Value) -> Answer {
    loop {
        let answer = app.post("/api/holds", body.clone()).await;
        if answer.status != 503 {
            return answer;
        }
        assert_eq!(answer.body["code"], "overloaded", "{answer:?}");
    }
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// The shards of the sale, and what each has of product 1.
fn shards_of(app: &TestApp) -> Vec<(String, i64)> {
    let mut redis = app.redis.connect();
    let names: BTreeSet<String> = redis.smembers("fs1:{:all}:sales").unwrap();
    let of = |name: String| {
        let available = stock::units(&mut redis, &format!("fs1:{{{name}}}:stock"), 1, "available");
        (name, available)
    };
    names.into_iter().map(of).collect()
}

/// A shard lends so many units to another one, and whoever began that is gone.
fn lend(app: &TestApp, from: &str, to: &str, units: u64) {
    let catalogue = Catalogue::compiled();
    let script = redis::Script::new(&catalogue.script(Op::Lend).source);
    let mut call = script.prepare_invoke();
    for name in ["sale", "stock", "lapses", "deadlines", "loans"] {
        call.key(format!("fs1:{{{from}}}:{name}"));
    }
    let reply: (String, u64, u64) = call.arg(1).arg(to).arg(units).invoke(&mut app.redis.connect()).unwrap();
    assert_eq!((reply.0.as_str(), reply.1), ("lent", units));
}

/// Units of a loan that the other shard does not have yet.
fn under_way(difference: &Value) -> i64 {
    difference["recomputed"].as_i64().unwrap() - difference["stored"].as_i64().unwrap()
}

async fn audit(app: &TestApp) -> Value {
    app.admin(Method::GET, "/api/admin/audit", Value::Null).await.body
}

#[tokio::test]
async fn of_105_buyers_of_100_units_in_four_shards_exactly_100_get_one() {
    let app = spread(4, 100).await;
    let parts: Vec<i64> = shards_of(&app).into_iter().map(|(_, available)| available).collect();
    assert_eq!(parts, [25, 25, 25, 25]);
    let answers = join_all((0..105).map(|_| one(&app))).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (100, 5), "{answers:?}");
    let refused = answers.iter().find(|answer| answer.status == 409).unwrap();
    assert_eq!(refused.refusal(), (409, "insufficient_stock"));
    assert_eq!((&refused.body["available_stock"], &refused.body["reason"]), (&json!(0), &json!("all_held")));
    assert!(refused.body["next_release_at"].is_string() && refused.headers.contains_key("retry-after"), "{refused:?}");
    assert_eq!(app.stock(1).await, "100 held");
    let ids: BTreeSet<String> = answers.iter().filter(|answer| answer.status == 201).map(Answer::id).collect();
    assert_eq!(ids.len(), 100, "each hold has an id of its own");
    assert!(ids.iter().any(|id| id.starts_with("hold_drop_1_")), "holds are in all shards");
}

#[tokio::test]
async fn nobody_is_refused_while_a_unit_is_free_in_any_shard() {
    // Fewer units than shards: all of them are in the first one.
    let app = spread(8, 5).await;
    for _ in 0..5 {
        assert_eq!(one(&app).await.status, 201);
    }
    assert_eq!(one(&app).await.refusal(), (409, "insufficient_stock"));
    // Many who come at once, each from a shard of their own.
    add(&app, 2, 16).await;
    let buyers =
        (0..48).map(|n| hold(&app, json!({"product_id": 2, "quantity": 1, "customer_id": format!("customer-{n}")})));
    let answers = join_all(buyers).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (16, 32), "{answers:?}");
}

#[tokio::test]
async fn a_hold_gets_its_units_from_several_shards() {
    let app = spread(5, 10).await;
    add(&app, 2, 10).await;
    let both =
        |units: u64| json!({"items": [{"product_id": 1, "quantity": units}, {"product_id": 2, "quantity": units}]});
    assert_eq!(app.post("/api/holds", both(9)).await.status, 201, "no shard has more than two of each");
    let refused = app.post("/api/holds", both(2)).await;
    assert_eq!((refused.refusal(), &refused.body["available_stock"]), ((409, "insufficient_stock"), &json!(1)));
    assert_eq!(app.post("/api/holds", both(1)).await.status, 201);
    assert_eq!((app.stock(1).await, app.stock(2).await), ("10 held".to_owned(), "10 held".to_owned()));
}

#[tokio::test]
async fn a_loan_that_was_interrupted_loses_no_unit_and_the_next_buyers_finish_it() {
    let app = spread(3, 9).await;
    let names: Vec<String> = shards_of(&app).into_iter().map(|(name, _)| name).collect();
    lend(&app, &names[0], &names[1], 3);
    lend(&app, &names[2], &names[0], 2);
    assert_eq!(app.stock(1).await, "9 available", "what is under way counts");
    let found = audit(&app).await;
    assert_eq!((&found["ok"], found["sales"].as_array().map(Vec::len)), (&json!(false), Some(1)), "{found:#}");
    let differences = found["differences"].as_array().unwrap();
    let loans: Vec<_> = differences.iter().map(|d| (d["what"].as_str(), &d["sale"], under_way(d))).collect();
    assert_eq!(loans, [(Some("loan"), &json!("drop"), 3), (Some("loan"), &json!("drop"), 2)]);
    let answers = join_all((0..12).map(|_| one(&app))).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (9, 3), "{answers:?}");
    assert_eq!(audit(&app).await["ok"], true);
    // A repair finishes one too.
    let more = app.admin(Method::POST, "/api/admin/products/1/restock", json!({"delta": 4})).await;
    assert_eq!((more.status, &more.body["total_stock"]), (200, &json!(13)), "{more:?}");
    lend(&app, &names[0], &names[2], 4);
    let mended = app.admin(Method::POST, "/api/admin/audit", Value::Null).await.body;
    assert_eq!((&mended["ok"], &mended["repaired"][0]["what"]), (&json!(true), &json!("loan")), "{mended:#}");
    assert_eq!(shards_of(&app)[2].1, 4);
}

#[tokio::test]
async fn a_sale_whose_making_was_interrupted_is_finished_by_the_next_call() {
    let mut app = spread(3, 0).await;
    let last = shards_of(&app).pop().unwrap().0;
    let forget = |app: &TestApp| {
        let keys = ["sale", "stock", "product:1"].map(|name| format!("fs1:{{{last}}}:{name}"));
        app.redis.connect().del::<_, ()>(keys.as_slice()).unwrap();
        // On a cluster a shard that was made is noted behind its making.
        app.redis.connect().srem::<_, _, ()>("fs1:{:all}:made", &last).unwrap();
    };
    forget(&app);
    assert_eq!(audit(&app).await["differences"][0]["what"], "shard_terms");
    let again = app.admin(Method::POST, "/api/admin/sales", json!({"id": "drop", "shards": 7})).await;
    assert_eq!(again.refusal(), (409, "already_exists"));
    let product = json!({"id": 1, "sale": "drop", "name": "Item", "price": "50.00", "total_stock": 0});
    assert_eq!(app.admin(Method::POST, "/api/admin/products", product).await.refusal(), (409, "already_exists"));
    assert_eq!(audit(&app).await["ok"], true, "it has its own number of shards");
    // Buyers find the product too.
    assert_eq!(app.admin(Method::POST, "/api/admin/products/1/restock", json!({"total": 40})).await.status, 200);
    forget(&app);
    // One that remembers that the shard was made would take it for lost.
    app.replace_service();
    let answers = join_all((0..44).map(|_| one(&app))).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (40, 4), "{answers:?}");
}

#[tokio::test]
async fn a_limit_for_each_customer_holds_over_all_shards() {
    let app = spread_with(6, 100, json!({"max_per_customer": 2})).await;
    let wishes = (0..80).map(|n| {
        let app = &app;
        async move { (n % 10, hold_of(app, &format!("customer-{}", n % 10)).await) }
    });
    let mut got = [0; 10];
    for (customer, answer) in join_all(wishes).await {
        match answer.status {
            201 => got[customer] += 1,
            _ => assert_eq!(answer.refusal(), (409, "customer_limit_reached")),
        }
    }
    assert_eq!(got, [2; 10]);
    let customer = app.admin(Method::GET, "/api/admin/customers/customer-3", Value::Null).await;
    let sales = customer.body["sales"].as_array().unwrap();
    assert_eq!((sales.len(), &sales[0]["sale"]), (1, &json!("drop")), "{customer:?}");
}

#[tokio::test]
async fn an_idempotency_key_finds_its_hold_in_its_shard() {
    let app = spread(5, 50).await;
    for n in 0..12 {
        let body = if n % 2 == 0 {
            json!({"product_id": 1, "quantity": 1})
        } else {
            json!({"product_id": 1, "quantity": 1, "customer_id": format!("c{n}")})
        };
        let send = || {
            app.send(app.request(Method::POST, "/api/holds").header("Idempotency-Key", format!("key-{n}")).json(&body))
        };
        let (first, second) = (send().await, send().await);
        assert_eq!((first.status, first.id()), (201, second.id()), "{second:?}");
    }
    assert_eq!(app.stock(1).await, "38 available, 12 held");
}

#[tokio::test]
async fn orders_and_payments_of_all_shards_are_those_of_the_sale() {
    let app = spread(4, 40).await;
    let mut orders = Vec::new();
    for n in 0..8 {
        let hold = hold_of(&app, &format!("customer-{n}")).await.id();
        orders.push(app.order(&hold).await.id());
    }
    assert!(
        orders.iter().map(|order| order.split('_').count()).any(|parts| parts > 3),
        "in other shards too: {orders:?}"
    );
    let paid = |order: &str, payment: &str| json!({"order_id": order, "payment_id": payment, "status": "paid", "amount": "50.00", "currency": "USD"});
    for (n, order) in orders[..4].iter().enumerate() {
        for event in ["e", "e", "f"] {
            let answer = app.pay(&format!("{event}{n}"), paid(order, &format!("pi_{n}"))).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        assert_eq!(app.get(&format!("/api/orders/{order}")).await.body["status"], "paid");
    }
    assert_eq!(app.post(&format!("/api/orders/{}/cancel", orders[4]), json!({})).await.body["status"], "cancelled");
    let twice = app.pay("twice", paid(&orders[0], "pi_other")).await;
    assert_eq!(twice.status, 200, "{twice:?}");
    assert_eq!(app.stock(1).await, "33 available, 3 pending, 4 sold");
    let get = async |path: &str| app.admin(Method::GET, path, Value::Null).await.body;
    let listed = get("/api/admin/orders?sale=drop").await;
    let found: BTreeSet<&str> =
        listed["data"].as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap()).collect();
    assert_eq!(found, orders.iter().map(String::as_str).collect());
    let reviews = get("/api/admin/reviews?sale=drop").await;
    assert_eq!((reviews["data"].as_array().map(Vec::len), &reviews["data"][0]["sale"]), (Some(1), &json!("drop")));
    let sales = get("/api/admin/sales").await;
    assert_eq!((sales["data"].as_array().map(Vec::len), &sales["data"][0]["shards"]), (Some(1), &json!(4)));
    let rows = super::export::lines(&app, "sale=drop").await;
    assert_eq!((rows.len(), rows.iter().filter(|row| row["sale"] == "drop").count()), (8, 8), "{rows:?}");
}

#[tokio::test]
async fn the_events_of_all_shards_are_those_of_the_sale_each_once() {
    let app = spread(4, 40).await;
    let mut seen = Vec::new();
    let mut after = "0".to_owned();
    let mut last_id = String::new();
    for n in 0..9 {
        app.order(&hold_of(&app, &format!("customer-{n}")).await.id()).await;
        let page =
            app.admin(Method::GET, &format!("/api/admin/events?sale=drop&after={after}&limit=3"), Value::Null).await;
        assert_eq!(page.status, 200, "{page:?}");
        for event in page.body["data"].as_array().unwrap() {
            assert_eq!(event["sale"], "drop");
            seen.push(event["type"].as_str().unwrap().to_owned());
            last_id = event["id"].as_str().unwrap().to_owned();
        }
        after = page.body["next_cursor"].as_str().unwrap().to_owned();
    }
    let of = |kind: &str| seen.iter().filter(|seen| *seen == kind).count();
    assert_eq!((of("sale.created"), of("product.created"), of("order.created")), (1, 1, 9), "{seen:?}");
    let wait = format!("/api/admin/events?sale=drop&after={last_id}&wait=20");
    let waiting = app.admin(Method::GET, &wait, Value::Null);
    let ordering = async { app.order(&hold_of(&app, "another").await.id()).await };
    let (page, _) = tokio::join!(waiting, ordering);
    assert!(!page.body["data"].as_array().unwrap().is_empty(), "{page:?}");
}

#[tokio::test]
async fn what_lapses_in_another_shard_is_had_at_once() {
    let app = spread_with(4, 4, json!({"hold_seconds": 1})).await;
    for _ in 0..4 {
        assert_eq!(one(&app).await.status, 201);
    }
    let refused = one(&app).await;
    assert_eq!((refused.status, &refused.body["reason"]), (409, &json!("all_held")));
    eventually("the units came back", async || app.hold(4).await.status == 201).await;
}

#[tokio::test]
async fn units_are_added_and_taken_away_wherever_they_are() {
    let app = spread(4, 20).await;
    let restock = async |body: Value| app.admin(Method::POST, "/api/admin/products/1/restock", body).await;
    assert_eq!(restock(json!({"delta": 10})).await.body["total_stock"], 30);
    app.hold(8).await;
    let less = restock(json!({"delta": -21})).await;
    assert_eq!((less.status, &less.body["total_stock"], &less.body["available_stock"]), (200, &json!(9), &json!(1)));
    let refused = restock(json!({"total": 7})).await;
    assert_eq!((refused.refusal(), &refused.body["floor"]), ((409, "below_promised"), &json!(8)));
    assert_eq!(restock(json!({"total": 8})).await.status, 200);
    assert_eq!(app.stock(1).await, "8 held");
    let events = app.admin(Method::GET, "/api/admin/events?types=product.restocked", Value::Null).await;
    let totals: Vec<_> =
        events.body["data"].as_array().unwrap().iter().map(|event| &event["change"]["total_stock"]["to"]).collect();
    assert_eq!(totals, [30, 9, 8], "{events:?}");
}

#[tokio::test]
async fn terms_that_change_are_the_same_in_all_shards_when_the_answer_comes() {
    // For a second, each look at the price takes one.
    let app = spread(6, 60_000).await;
    let patch = async |path: &str, body: Value| {
        let answer = app.admin(Method::PATCH, path, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    let everywhere = async |status: u16, code: &str| {
        for n in 0..24 {
            let answer = hold_of(&app, &format!("customer-{n}")).await;
            assert_eq!((answer.status, answer.body["code"].as_str().unwrap_or("")), (status, code), "{answer:?}");
        }
    };
    patch("/api/admin/sales/drop", json!({"paused": true})).await;
    everywhere(409, "sale_paused").await;
    patch("/api/admin/sales/drop", json!({"paused": false})).await;
    patch("/api/admin/products/1", json!({"visibility": "hidden"})).await;
    everywhere(404, "product_not_found").await;
    patch("/api/admin/products/1", json!({"visibility": "public", "price": "70.00"})).await;
    let price = async |n: u64| hold_of(&app, &format!("customer-{n}")).await.body["items"][0]["unit_price"].clone();
    eventually("the second is over in which the price changed", async || price(0).await == "70.00").await;
    for n in 0..12 {
        assert_eq!(price(n).await, "70.00");
    }
    let other = app.admin(Method::PATCH, "/api/admin/sales/drop", json!({"shards": 3})).await;
    assert_eq!((other.status, &other.body["errors"][0]["pointer"]), (422, &json!("/shards")), "{other:?}");
}

#[tokio::test]
async fn a_product_of_a_spread_sale_is_deleted_where_nobody_wants_it_and_never_moves() {
    let app = spread(4, 40).await;
    let hold = app.held().await;
    let delete = async || app.admin(Method::DELETE, "/api/admin/products/1", Value::Null).await;
    assert_eq!(delete().await.refusal(), (409, "product_has_holds"));
    assert_eq!(app.stock(1).await, "39 available, 1 held", "all of it is still there");
    app.delete(&format!("/api/holds/{hold}")).await;
    app.add_product(json!({"id": 2, "sale": "other", "name": "Item", "price": "50.00", "total_stock": 5})).await;
    for (product, sale) in [(1, "other"), (2, "drop")] {
        let path = format!("/api/admin/products/{product}/move");
        let moved = app.admin(Method::POST, &path, json!({"sale": sale})).await;
        assert_eq!((moved.refusal(), &moved.body["sale"]), ((409, "sale_is_spread"), &json!("drop")));
    }
    let deleted = delete().await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
    assert_eq!(app.hold(1).await.refusal(), (404, "product_not_found"));
}

#[tokio::test]
async fn a_product_may_be_spread_over_shards_of_a_sale_of_its_own() {
    let app = TestApp::start();
    let product = |more: Value| {
        let mut product = json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 9});
        product.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        product
    };
    for wrong in [json!({"shards": 0}), json!({"shards": 65}), json!({"shards": 2, "sale": "drop"})] {
        let refused = app.admin(Method::POST, "/api/admin/products", product(wrong.clone())).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (422, &json!("/shards")), "{wrong}");
    }
    app.add_product(product(json!({"shards": 3}))).await;
    assert_eq!(shards_of(&app).iter().map(|(_, units)| *units).collect::<Vec<_>>(), [3, 3, 3]);
    assert_eq!(app.hold(9).await.status, 201);
    let list = app.get("/api/products").await;
    assert_eq!((&list.body["data"][0]["held_stock"], &list.body["data"][0]["sale"]), (&json!(9), &json!("p1")));
}
