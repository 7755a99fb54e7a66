//! An audit reports damaged and missing records, and goes on with the rest.

use reqwest::Method;
use serde_json::{Value, json};

use super::run;
use crate::support::{app::TestApp, stock};

#[tokio::test]
async fn unreadable_damage_is_reported_by_sale_and_product_and_the_rest_is_audited() {
    let app = TestApp::selling(10).await;
    app.held().await;
    app.add_product(json!({"id": 2, "name": "Other", "price": "5.00", "total_stock": 3})).await;
    let mut redis = app.redis.connect();
    for part in ["available", "price", "max_per_hold"] {
        let cure = stock::text(&mut redis, "fs1:{p1}:stock", 1, part).unwrap();
        stock::set(&mut redis, "fs1:{p1}:stock", 1, part, "abc");
        is_reported(&app, &format!("{part} is abc"), &json!(1)).await;
        stock::set(&mut redis, "fs1:{p1}:stock", 1, part, cure);
    }
    // Each damage with the command that undoes it, and the product of which it is reported.
    let damages = [
        ("HSET fs1:{p1}:stock x 9", "HDEL fs1:{p1}:stock x", json!(null)),
        ("HSET fs1:{p1}:lapses junk 1", "HDEL fs1:{p1}:lapses junk", json!(null)),
        ("ZADD fs1:{p1}:deadlines 99999999999000 junk", "ZREM fs1:{p1}:deadlines junk", json!(null)),
        ("RPUSH fs1:{p1}:order:abcdefghijkl x", "DEL fs1:{p1}:order:abcdefghijkl", json!(null)),
        ("SET fs1:{p1}:order:abcdefghijkl status", "DEL fs1:{p1}:order:abcdefghijkl", json!(null)),
        ("RPUSH fs1:{p1}:hold:abcdefghijkl x", "DEL fs1:{p1}:hold:abcdefghijkl", json!(null)),
        ("HSET fs1:{p1}:product:77 name Gone", "DEL fs1:{p1}:product:77", json!(77)),
    ];
    for (damage, cure, product) in damages {
        run(&mut redis, damage);
        is_reported(&app, damage, &product).await;
        run(&mut redis, cure);
    }
}

/// A damage is reported once, of the product or of the sale alone, and a repair leaves it to a person.
async fn is_reported(app: &TestApp, damage: &str, product: &Value) {
    let answer = app.admin(Method::POST, "/api/admin/audit", Value::Null).await;
    assert_eq!((answer.status, &answer.body["ok"]), (200, &json!(false)), "{damage}: {answer:?}");
    let found = answer.body["differences"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{damage}: {found:#?}");
    assert_eq!((&found[0]["what"], &found[0]["sale"]), (&json!("record"), &json!("p1")), "{damage}");
    assert_eq!((&found[0]["product_id"], &found[0]["repairable"]), (product, &json!(false)), "{damage}");
    assert_eq!(answer.body["sales"][1]["ok"], true, "{damage}");
    assert_eq!(answer.body["repaired"], json!([]), "{damage}");
}

#[tokio::test]
async fn a_sale_that_is_in_no_list_is_audited_all_the_same() {
    let app = TestApp::selling(10).await;
    let mut redis = app.redis.connect();
    run(&mut redis, "SREM fs1:{:all}:sales p1");
    stock::add(&mut redis, "fs1:{p1}:stock", 1, "held", 1);
    let found = app.admin(Method::GET, "/api/admin/audit", Value::Null).await.body;
    let whats: Vec<_> =
        found["differences"].as_array().unwrap().iter().map(|row| row["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["held", "sale_index"]);
    run(&mut redis, "SADD fs1:{:all}:sales p1");
    let repaired = app.admin(Method::POST, "/api/admin/audit", Value::Null).await.body;
    assert_eq!((&repaired["ok"], app.stock(1).await.as_str()), (&json!(true), "10 available"));
}

#[tokio::test]
async fn keys_of_another_type_and_lost_keys_are_reported_and_the_rest_is_audited() {
    let app = TestApp::selling(10).await;
    app.post("/api/holds", json!({"product_id": 1, "quantity": 1, "customer_id": "ann"})).await;
    assert_eq!(app.order(&app.held().await).await.status, 201);
    app.add_product(json!({"id": 2, "name": "Other", "price": "5.00", "total_stock": 3})).await;
    let mut redis = app.redis.connect();
    for name in ["sale", "stock", "lapses", "deadlines", "customers", "orders", "due", "product:1"] {
        let key = format!("fs1:{{p1}}:{name}");
        run(&mut redis, &format!("RENAME {key} kept{{p1}}"));
        // Names are not read; of the others some may rightly be absent.
        let damages: &[&str] = match name {
            "product:1" => &["DEL"],
            "sale" | "stock" => &["SET", "DEL"],
            _ => &["SET"],
        };
        for damage in damages {
            if *damage == "SET" {
                run(&mut redis, &format!("SET {key} nonsense"));
            } else {
                run(&mut redis, &format!("DEL {key}"));
            }
            let answer = app.admin(Method::GET, "/api/admin/audit", Value::Null).await;
            assert_eq!((answer.status, &answer.body["ok"]), (200, &json!(false)), "{damage} {name}: {answer:?}");
            let found = answer.body["differences"].as_array().unwrap();
            assert!(found.iter().any(|row| row["what"] == "record"), "{damage} {name}: {found:#?}");
            assert_eq!(answer.body["sales"][1]["ok"], true, "{damage} {name}");
        }
        run(&mut redis, &format!("DEL {key}"));
        run(&mut redis, &format!("RENAME kept{{p1}} {key}"));
    }
}

#[tokio::test]
async fn a_product_whose_counters_are_lost_is_not_made_again_and_a_pause_that_cannot_be_read_is_one() {
    let app = TestApp::selling(10).await;
    app.held().await;
    let mut redis = app.redis.connect();
    run(&mut redis, "RENAME fs1:{p1}:stock kept{p1}");
    let again = json!({"id": 1, "name": "Item", "price": "5.00", "total_stock": 10});
    let refused = app.admin(Method::POST, "/api/admin/products", again).await;
    assert_eq!(refused.refusal(), (409, "already_exists"), "a unit of it is promised");
    run(&mut redis, "RENAME kept{p1} fs1:{p1}:stock");
    run(&mut redis, "HSET fs1:{p1}:sale paused maybe");
    assert_eq!(app.hold(1).await.refusal(), (409, "sale_paused"));
    assert_eq!(app.get("/api/products/1").await.body["status"], "paused");
}
