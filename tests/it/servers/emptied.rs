//! A server of a cluster that lost its data, while the directory on another one still knows its sales: they are refused loudly, and
//! nothing of them is sold anew.

use redis::Value as Reply;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    doctor::doctor,
    shop::{QUICK, Shop},
};
use crate::support::{
    app::Answer,
    cluster::{Cluster, run},
    eventually,
};

/// A cluster that keeps nothing on disk, a sale on each server, and the number of one that has not the directory.
async fn with_sales() -> (Cluster, Vec<String>, usize) {
    let cluster = Cluster::start(3, 0);
    let sales = cluster.sale_of_each();
    let directory = cluster.owner("fs1:{:all}:products");
    let shop = Shop::open(&cluster.url(), &QUICK);
    shop.offer(&sales, 10).await;
    drop(shop);
    (cluster, sales, (directory + 1) % 3)
}

fn product(n: usize, sales: &[String]) -> Value {
    json!({"id": n + 1, "sale": sales[n], "sku": format!("SKU-{}", n + 1), "name": "Item", "price": "50.00", "total_stock": 10})
}

fn is_lost(answer: &Answer, sale: &str) -> bool {
    answer.refusal() == (503, "store_replaced") && answer.body["detail"].as_str().unwrap().contains(sale)
}

#[tokio::test]
async fn a_server_that_comes_back_empty_sells_nothing_anew_and_everybody_says_so() {
    let (mut cluster, sales, emptied) = with_sales().await;
    let shop = Shop::open(&cluster.url(), &QUICK);
    let (lost, id) = (sales[emptied].as_str(), emptied as u64 + 1);
    let order = shop.order(id).await;
    let hold = shop.hold(id).await.id();
    cluster.restart(emptied);
    eventually("it is refused", async || is_lost(&shop.hold(id).await, lost)).await;
    for (method, path, body) in [
        (Method::GET, format!("/api/orders/{order}"), None),
        (Method::GET, format!("/api/holds/{hold}"), None),
        (Method::POST, "/api/orders".to_owned(), Some(json!({"hold_id": hold}))),
        (Method::POST, "/api/admin/products".to_owned(), Some(product(emptied, &sales))),
        (Method::POST, "/api/admin/sales".to_owned(), Some(json!({"id": lost}))),
        (Method::POST, format!("/api/admin/products/{id}/restock"), Some(json!({"delta": 1}))),
    ] {
        let answer = shop.send(method, &path, body).await;
        assert!(is_lost(&answer, lost), "{path}: {answer:?}");
    }
    let paid = shop.pay(&order, "p1").await;
    assert!(is_lost(&paid, lost), "the provider must send it again: {paid:?}");
    // The others go on.
    for n in (0..3).filter(|n| *n != emptied) {
        assert_eq!(shop.hold(n as u64 + 1).await.status, 201);
    }
    let products = shop.get("/api/products").await;
    assert_eq!((products.status, products.body["data"].as_array().map(Vec::len)), (200, Some(2)), "{products:?}");
    let ready = shop.get("/readyz").await;
    assert_eq!(
        (ready.status, &ready.body["status"], &ready.body["code"]),
        (200, &json!("degraded"), &json!("store_replaced"))
    );
    assert!(ready.body["detail"].as_str().unwrap().contains(lost), "{ready:?}");
    let audit = shop.get("/api/admin/audit").await;
    assert_eq!((audit.status, &audit.body["ok"]), (200, &json!(false)), "{audit:?}");
    let of =
        |sale: &str| audit.body["sales"].as_array().unwrap().iter().find(|found| found["id"] == sale).unwrap().clone();
    for sale in &sales {
        assert_eq!(of(sale)["ok"] == true, sale != lost, "{audit:?}");
    }
    let (status, printed) = doctor(&[("REDIS__URL", &cluster.url())]);
    assert!(status == 1 && printed.contains(&format!("the data of sales is gone ({lost})")), "{printed}");
    // One that starts now knows it too.
    drop(shop);
    let shop = Shop::open(&cluster.url(), &QUICK);
    assert!(is_lost(&shop.hold(id).await, lost));
    let again = shop.post("/api/admin/products", product(emptied, &sales)).await;
    assert!(is_lost(&again, lost), "{again:?}");
}

#[tokio::test]
async fn a_server_that_is_flushed_sells_nothing_anew_and_its_sale_begins_again_only_where_somebody_says_so() {
    let (cluster, sales, emptied) = with_sales().await;
    let shop = Shop::open(&cluster.url(), &QUICK);
    let (lost, id) = (sales[emptied].as_str(), emptied as u64 + 1);
    let order = shop.order(id).await;
    run(&mut cluster.connect(emptied), "FLUSHALL");
    // No connection was lost, so nobody knows it yet.
    let again = shop.post("/api/admin/products", product(emptied, &sales)).await;
    assert!(is_lost(&again, lost), "{again:?}");
    let paid = shop.pay(&order, "p1").await;
    assert!(is_lost(&paid, lost), "{paid:?}");
    let directory = cluster.owner("fs1:{:all}:products");
    let taken = run(&mut cluster.connect(directory), &format!("SREM fs1:{{:all}}:made {lost}"));
    assert_eq!(taken, Reply::Int(1));
    eventually("it may begin anew", async || {
        let made = shop.post("/api/admin/products", product(emptied, &sales)).await;
        assert!(made.status == 201 || is_lost(&made, lost), "{made:?}");
        made.status == 201
    })
    .await;
    assert_eq!(shop.hold(id).await.status, 201);
    shop.audit().await;
}

#[tokio::test]
async fn where_unmatched_money_is_gone_payments_of_other_sales_go_on() {
    let (cluster, sales, other) = with_sales().await;
    let unmatched = cluster.owner("fs1:{p0}:sale");
    assert!(unmatched != other && unmatched != cluster.owner("fs1:{:all}:products"), "three servers");
    let shop = Shop::open(&cluster.url(), &QUICK);
    assert_eq!(shop.pay("cart 7", "p0").await.body["outcome"], "unmatched");
    run(&mut cluster.connect(unmatched), "FLUSHALL");
    eventually("it is noticed", async || {
        shop.get("/readyz").await.body["detail"].as_str().is_some_and(|detail| detail.contains("p0"))
    })
    .await;
    let order = shop.order(other as u64 + 1).await;
    for outcome in ["applied", "duplicate", "duplicate"] {
        let paid = shop.pay(&order, "p1").await;
        assert_eq!((paid.status, paid.body["outcome"].as_str()), (200, Some(outcome)), "{paid:?}");
    }
    // By its payment alone.
    let back = json!({"payment_id": "pay-p1", "status": "refunded", "amount": "50.00", "currency": "USD"});
    let back = shop.post("/api/payments/webhook", json!({"idempotency_key": "r1", "payload": back})).await;
    assert_eq!((back.status, &back.body["order"]["status"]), (200, &json!("refunded")), "{back:?}");
    assert!(is_lost(&shop.pay("cart 8", "p2").await, "p0"), "money that only a person could match");
    let audit = shop.get(&format!("/api/admin/audit?sale={}", sales[other])).await;
    assert_eq!((audit.status, &audit.body["ok"]), (200, &json!(true)), "{audit:?}");
}

#[tokio::test]
async fn a_sale_that_nobody_noted_as_made_is_noted_by_the_next_service() {
    let (cluster, sales, emptied) = with_sales().await;
    let directory = cluster.owner("fs1:{:all}:products");
    run(&mut cluster.connect(directory), "DEL fs1:{:all}:made");
    let shop = Shop::open(&cluster.url(), &QUICK);
    run(&mut cluster.connect(emptied), "FLUSHALL");
    let again = shop.post("/api/admin/products", product(emptied, &sales)).await;
    assert!(is_lost(&again, &sales[emptied]), "{again:?}");
}
