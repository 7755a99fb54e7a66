//! Servers of a cluster that are killed, hang, or hand over: their own sales wait, all others go on, and nothing is lost or sold
//! twice.

use std::{collections::HashSet, time::Duration};

use super::shop::{Purchases, QUICK, Shop};
use crate::support::{
    cluster::{Cluster, run},
    eventually,
    redis::{server_program, signal_process},
};

/// How long a fault lasts before the test looks at what came of it.
const WHILE: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_primary_that_is_killed_costs_its_own_sales_a_pause_and_no_other_sale_anything() {
    let settings = [QUICK[0], QUICK[1], ("DURABILITY__PAYMENTS", "replicas:1")];
    fails_over(&settings, |cluster| cluster.servers[0].end(), |_| {}).await;
}

#[tokio::test]
async fn a_primary_that_hangs_costs_its_own_sales_a_pause_and_no_other_sale_anything() {
    let settings = [QUICK[0], QUICK[1], ("DURABILITY__PAYMENTS", "replicas:1")];
    let stop = |cluster: &mut Cluster| signal_process(cluster.servers[0].pid(), "STOP");
    fails_over(&settings, stop, |cluster| signal_process(cluster.servers[0].pid(), "CONT")).await;
}

async fn fails_over(settings: &[(&str, &str)], fault: impl FnOnce(&mut Cluster), end: impl FnOnce(&mut Cluster)) {
    let mut cluster = Cluster::start(3, 1);
    let shop = Shop::open(&cluster.url(), settings);
    let sales = cluster.sale_of_each();
    shop.offer(&sales, 100_000).await;
    let crowd = shop.crowd(&[1, 1, 2, 2, 3, 3]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    fault(&mut cluster);
    let replica = &cluster.servers[3];
    eventually("its replica takes over", async || {
        crate::support::cluster::info(replica.port, "replication", "role") == "master"
    })
    .await;
    eventually("its sales go on", async || shop.hold(1).await.status == 201).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seen = crowd.stop().await;
    println!("{:?}", seen.iter().map(|s| (s.product, s.paid.len(), s.refused, s.worst_gap)).collect::<Vec<_>>());
    end(&mut cluster);
    for buyer in &seen {
        assert!(!buyer.paid.is_empty(), "{buyer:?}");
        assert!(buyer.lost_one_at_most(), "{buyer:?}");
        assert!(buyer.product == 1 || buyer.refused + buyer.lost_holds == 0, "another sale was hurt: {buyer:?}");
    }
    are_all_paid(&shop, &seen).await;
    are_in_the_directory(&shop, &seen).await;
    eventually("no breaker counts of a server that has no sales", async || {
        let metrics = shop.get("/metrics").await.body;
        let text = metrics.as_str().unwrap();
        let open = text.lines().filter(|line| line.starts_with("flashsale_redis_open_breakers{"));
        open.map(|line| line.rsplit(' ').next().unwrap()).all(|count| count == "0")
    })
    .await;
    drop(shop);
    for server in 1..4 {
        let noted: Vec<String> = redis::Commands::keys(&mut cluster.connect(server), "fs1:{*}:noted").unwrap();
        assert!(noted.is_empty(), "{noted:?}");
    }
}

/// Whoever knows a payment finds its order, though its part of the directory was away when it was paid.
async fn are_in_the_directory(shop: &Shop, seen: &[Purchases]) {
    for (payment, order) in seen.iter().flat_map(|buyer| buyer.payments.iter().zip(&buyer.paid)) {
        eventually("a sweep has written the directory", async || {
            let found = shop.get(&format!("/api/admin/payments/{payment}")).await;
            found.status == 200 && found.body["orders"][0]["id"] == order.as_str()
        })
        .await;
    }
}

/// A payment that was acknowledged is there, once.
async fn are_all_paid(shop: &Shop, seen: &[Purchases]) {
    let mut all = HashSet::new();
    for order in seen.iter().flat_map(|buyer| &buyer.paid) {
        assert!(all.insert(order.clone()), "{order} was sold twice");
        let mut found = shop.get(&format!("/api/orders/{order}")).await;
        if found.status == 503 {
            eventually("the order can be read", async || {
                found = shop.get(&format!("/api/orders/{order}")).await;
                found.status != 503
            })
            .await;
        }
        assert_eq!((found.status, found.body["status"].as_str()), (200, Some("paid")), "{found:?}");
    }
    shop.audit().await;
}

#[tokio::test]
async fn a_replica_that_hangs_hurts_nobody() {
    let cluster = Cluster::start(2, 1);
    // A server that hands over lets its callers wait, and they must not be refused meanwhile.
    let shop = Shop::open(&cluster.url(), &[("REDIS__CALL_TIMEOUT_MS", "5000")]);
    let sales = cluster.sale_of_each();
    shop.offer(&sales, 100_000).await;
    let crowd = shop.crowd(&[1, 2]);
    signal_process(cluster.servers[3].pid(), "STOP");
    // A fail-over of the other shard meanwhile, which makes everybody look at the cluster again.
    run(&mut cluster.connect(2), "CLUSTER FAILOVER");
    eventually("it took over", async || {
        crate::support::cluster::info(cluster.servers[2].port, "replication", "role") == "master"
    })
    .await;
    tokio::time::sleep(WHILE).await;
    let seen = crowd.stop().await;
    signal_process(cluster.servers[3].pid(), "CONT");
    let is_unhurt = |buyer: &Purchases| buyer.refused + buyer.lost_holds == 0 && !buyer.paid.is_empty();
    assert!(seen.iter().all(is_unhurt), "{seen:?}");
    are_all_paid(&shop, &seen).await;
}

#[tokio::test]
async fn a_shard_without_a_replica_that_dies_takes_only_its_own_sales_with_it() {
    for has_directory in [false, true] {
        let mut cluster = Cluster::start(3, 0);
        // One worker, which has seen each product: only the directory has the others.
        let shop = Shop::open(&cluster.url(), &[QUICK[0], QUICK[1], QUICK[2], ("HTTP__WORKERS", "1")]);
        let sales = cluster.sale_of_each();
        shop.offer(&sales, 1_000).await;
        let directory = cluster.owner("fs1:{:all}:products");
        let dead = (0..3).find(|n| (*n == directory) == has_directory).unwrap();
        for product in 1..=3 {
            eventually("it sells", async || shop.hold(product).await.status == 201).await;
        }
        cluster.servers[dead].end();
        eventually("its sale is refused", async || shop.hold(dead as u64 + 1).await.status == 503).await;
        for last in (0..3).filter(|n| *n != dead) {
            eventually("the others go on", async || shop.hold(last as u64 + 1).await.status == 201).await;
            for _ in 0..50 {
                let answer = shop.hold(last as u64 + 1).await;
                assert_eq!(answer.status, 201, "{answer:?}");
            }
        }
        let ready = shop.get("/readyz").await;
        assert_eq!((ready.status, ready.body["status"].as_str()), (200, Some("degraded")), "{ready:?}");
    }
}

#[tokio::test]
async fn a_payment_is_taken_by_a_service_that_cannot_learn_the_sku_of_its_product() {
    let on_disk = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut cluster = Cluster::start_with(&server_program(), 3, 0, &on_disk);
    let [sells, other] = [(); 2].map(|()| Shop::open(&cluster.url(), &QUICK));
    let sales = cluster.sale_of_each();
    sells.offer(&sales, 10).await;
    let directory = cluster.owner("fs1:{:all}:products");
    let product = (0..3).find(|server| *server != directory).unwrap() as u64 + 1;
    let [order, known] = [sells.order(product).await, sells.order(product).await];
    let seen = sells.pay(&known, "known").await;
    assert_eq!(seen.body["order"]["sku"], format!("SKU-{product}"), "{seen:?}");
    let killed = cluster.kill(directory);
    eventually("it is taken, without the SKU", async || {
        let paid = other.pay(&order, "e1").await;
        assert!(paid.status == 503 || paid.status == 200 && paid.body["order"].get("sku").is_none(), "{paid:?}");
        paid.status == 200
    })
    .await;
    assert_eq!(other.pay(&order, "e1").await.body["outcome"], "duplicate");
    cluster.bring_back(killed);
    cluster.wait_until_it_works();
    eventually("it says the SKU", async || {
        let paid = other.pay(&order, "e1").await;
        paid.body["order"]["sku"] == format!("SKU-{product}")
    })
    .await;
}
