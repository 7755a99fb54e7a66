//! What nobody can read, or is gone, is told, and stops no audit of the rest.

use reqwest::Method;
use serde_json::{Value, json};

use super::run;
use crate::support::app::TestApp;

#[tokio::test]
async fn damage_that_cannot_be_read_is_told_by_sale_and_product_and_the_rest_is_audited() {
    let app = TestApp::selling(10).await;
    app.held().await;
    app.add_product(json!({"id": 2, "name": "Other", "price": "5.00", "total_stock": 3})).await;
    let mut redis = app.redis.connect();
    // Each with what undoes it, and how often it is told: of the stock of a sale, of its buckets, of a record.
    let damages = [
        ("HSET fs1:{p1}:stock 1:available abc", "HSET fs1:{p1}:stock 1:available 9", json!(1)),
        ("HSET fs1:{p1}:stock x:available 9", "HDEL fs1:{p1}:stock x:available", json!(null)),
        ("HSET fs1:{p1}:lapses junk 1", "HDEL fs1:{p1}:lapses junk", json!(null)),
        ("ZADD fs1:{p1}:deadlines 99999999999000 junk", "ZREM fs1:{p1}:deadlines junk", json!(null)),
        ("RPUSH fs1:{p1}:order:abcdefghijkl x", "DEL fs1:{p1}:order:abcdefghijkl", json!(null)),
        ("HSET fs1:{p1}:order:abcdefghijkl status paid", "DEL fs1:{p1}:order:abcdefghijkl", json!(null)),
        ("RPUSH fs1:{p1}:hold:abcdefghijkl x", "DEL fs1:{p1}:hold:abcdefghijkl", json!(null)),
        ("HSET fs1:{p1}:product:77 name Gone", "DEL fs1:{p1}:product:77", json!(77)),
    ];
    for (damage, cure, product) in damages {
        run(&mut redis, damage);
        let answer = app.admin(Method::POST, "/api/admin/audit", Value::Null).await;
        assert_eq!((answer.status, &answer.body["ok"]), (200, &json!(false)), "{damage}: {answer:?}");
        let found = answer.body["differences"].as_array().unwrap();
        assert_eq!(found.len(), 1, "{damage}: {found:#?}");
        assert_eq!((&found[0]["what"], &found[0]["sale"]), (&json!("record"), &json!("p1")), "{damage}");
        assert_eq!((&found[0]["product_id"], &found[0]["repairable"]), (&product, &json!(false)), "{damage}");
        assert_eq!(answer.body["sales"][1]["ok"], true, "{damage}");
        assert_eq!(answer.body["repaired"], json!([]), "{damage}");
        run(&mut redis, cure);
    }
}

#[tokio::test]
async fn a_sale_that_is_in_no_list_is_audited_all_the_same() {
    let app = TestApp::selling(10).await;
    let mut redis = app.redis.connect();
    run(&mut redis, "SREM fs1:sales p1");
    run(&mut redis, "HINCRBY fs1:{p1}:stock 1:held 1");
    let found = app.admin(Method::GET, "/api/admin/audit", Value::Null).await.body;
    let whats: Vec<_> =
        found["differences"].as_array().unwrap().iter().map(|row| row["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["held", "sale_index"]);
    run(&mut redis, "SADD fs1:sales p1");
    let repaired = app.admin(Method::POST, "/api/admin/audit", Value::Null).await.body;
    assert_eq!((&repaired["ok"], app.stock(1).await), (&json!(true), [10, 0, 0, 0]));
}
