//! A cluster: everything that a shop does, over sales in different slots on different servers.

use reqwest::Method;
use serde_json::json;

use super::shop::{QUICK, Shop};
use crate::support::{
    cluster::{Cluster, run},
    redis::newer_server,
};

#[tokio::test]
async fn a_shop_works_on_a_cluster_as_on_one_server() {
    let cluster = Cluster::start(3, 0);
    let shop = Shop::open(&cluster.url(), &QUICK);
    let sales = cluster.sale_of_each();
    shop.offer(&sales, 100).await;
    let ready = shop.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["status"]), (200, &json!("ready")), "{ready:?}");
    // 105 buyers of 100 units, in each sale at the same time.
    for product in 1..=3 {
        let answers = futures_util::future::join_all((0..105).map(|_| shop.hold(product))).await;
        let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((of(201), of(409)), (100, 5));
        let order =
            shop.post("/api/orders", json!({"hold_id": answers.iter().find(|a| a.status == 201).unwrap().id()}));
        let order = order.await.id();
        for _ in 0..2 {
            let paid = shop.pay(&order, &format!("p{product}")).await;
            assert_eq!(paid.status, 200, "{paid:?}");
        }
    }
    // An event about nothing of this service, and one that explains it.
    let unknown = shop.pay("cart-7", "p9").await;
    assert_eq!(unknown.status, 200, "{unknown:?}");
    let list = shop.get("/api/products").await;
    assert_eq!(list.body["data"].as_array().map(Vec::len), Some(3), "{list:?}");
    let events = shop.get("/api/admin/events?limit=1000").await;
    let paid = events.body["data"].as_array().unwrap().iter().filter(|event| event["type"] == "order.paid");
    assert_eq!(paid.count(), 3, "{events:?}");
    let held = shop.post("/api/holds", json!({"sku": "SKU-2", "quantity": 1})).await;
    assert_eq!((held.status, held.body["code"].as_str()), (409, Some("insufficient_stock")), "{held:?}");
    let orders = shop.get("/api/admin/orders").await;
    assert_eq!(orders.body["data"].as_array().map(Vec::len), Some(3), "{orders:?}");
    let audit = shop.audit().await;
    assert_eq!(audit["sales"].as_array().map(Vec::len), Some(3), "{audit:#}");
    let export = shop.get("/api/admin/orders/export").await;
    assert_eq!(export.status, 200);
    drop(shop);
    cluster.check_invariants();
}

#[tokio::test]
async fn a_product_moves_between_sales_of_different_servers_and_is_deleted() {
    let cluster = Cluster::start(2, 0);
    let shop = Shop::open(&cluster.url(), &QUICK);
    let sales = cluster.sale_of_each();
    shop.offer(&sales, 10).await;
    let moved = shop.post("/api/admin/products/1/move", json!({"sale": sales[1]})).await;
    assert_eq!(moved.status, 200, "{moved:?}");
    assert_eq!(shop.hold(1).await.status, 201);
    let deleted = shop.send(Method::DELETE, "/api/admin/products/2", None).await;
    assert!(deleted.status < 300, "{deleted:?}");
    assert_eq!(shop.hold(2).await.status, 404);
    shop.audit().await;
    drop(shop);
    cluster.check_invariants();
}

#[tokio::test]
async fn payments_of_many_sales_on_a_cluster_wait_together_for_their_disks() {
    let Some(server) = newer_server() else { panic!("no server with WAITAOF: scripts/bootstrap --tests") };
    let cluster = Cluster::start_with(&server, 2, 0, &["--appendonly", "yes"]);
    let shop = Shop::open(&cluster.url(), &[("DURABILITY__PAYMENTS", "fsync")]);
    let sales: Vec<_> = (0..12).map(|n| format!("drop-{n}")).collect();
    shop.offer(&sales, 10).await;
    let orders = futures_util::future::join_all((1..=12).map(|product| shop.order(product))).await;
    let waits = |n: usize| {
        let stats: redis::InfoDict = redis::cmd("INFO").arg("commandstats").query(&mut cluster.connect(n)).unwrap();
        let line: String = stats.get("cmdstat_waitaof").unwrap_or_default();
        line.split(',').next().and_then(|calls| calls.strip_prefix("calls=")?.parse::<usize>().ok()).unwrap_or(0)
    };
    let paying = orders.iter().enumerate().map(async |(n, order)| {
        let paid = shop.pay(order, &format!("w{n}")).await;
        assert_eq!(paid.status, 200, "{paid:?}");
    });
    futures_util::future::join_all(paying).await;
    let all: usize = (0..2).map(waits).sum();
    assert!((1..12).contains(&all), "{all} waits for 12 payments of 12 sales");
    // The slots of all sales are served, so no key was asked of the wrong server.
    for n in 0..2 {
        assert!(run(&mut cluster.connect(n), "DBSIZE") != redis::Value::Int(0));
    }
    shop.audit().await;
}
