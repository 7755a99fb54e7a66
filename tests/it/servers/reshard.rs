//! Slots that move to another server while their sale is on.

use std::{path::Path, time::Duration};

use super::shop::{Purchases, QUICK, Shop};
use crate::support::{
    cluster::{Cluster, run},
    eventually,
    redis::{newer_server, server_program},
};

/// The slot of the first sale, and the numbers of the servers that it leaves and goes to.
pub fn moving(cluster: &Cluster, sale: &str) -> i64 {
    let tagged = format!("fs1:{{{sale}}}:sale");
    let redis::Value::Int(slot) = run(&mut cluster.connect(0), &format!("CLUSTER KEYSLOT {tagged}")) else {
        panic!("no slot")
    };
    slot
}

async fn buys_while(server: &Path, reshard: impl AsyncFnOnce(&Cluster, i64)) -> Vec<Purchases> {
    let cluster = Cluster::start_with(server, 2, 0, &[]);
    let shop = Shop::open(&cluster.url(), &QUICK);
    let sales = cluster.sale_of_each();
    shop.offer(&sales, 100_000).await;
    let crowd = shop.crowd(&[1, 1, 1, 1, 2]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    reshard(&cluster, moving(&cluster, &sales[0])).await;
    eventually("the slot has moved", async || cluster.owner(&format!("fs1:{{{}}}:sale", sales[0])) == 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let seen = crowd.stop().await;
    println!("{:?}", seen.iter().map(|s| (s.product, s.paid.len(), s.refused, s.slowest)).collect::<Vec<_>>());
    assert!(seen.iter().all(|buyer| !buyer.paid.is_empty() && buyer.lost_holds == 0), "{seen:?}");
    let mut paid = 0;
    for order in seen.iter().flat_map(|buyer| &buyer.paid) {
        let found = shop.get(&format!("/api/orders/{order}")).await;
        assert_eq!((found.status, found.body["status"].as_str()), (200, Some("paid")), "{found:?}");
        paid += 1;
    }
    let audit = shop.audit().await;
    println!("{paid} paid, {audit}");
    drop(shop);
    cluster.check_invariants();
    seen
}

/// As `redis-cli --cluster reshard` does it, key by key.
pub async fn key_by_key(cluster: &Cluster, slot: i64) {
    let (from, to) = (cluster.id(0), cluster.id(1));
    let port = cluster.servers[1].port;
    run(&mut cluster.connect(1), &format!("CLUSTER SETSLOT {slot} IMPORTING {from}"));
    run(&mut cluster.connect(0), &format!("CLUSTER SETSLOT {slot} MIGRATING {to}"));
    loop {
        let some: Vec<String> =
            redis::cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(10).query(&mut cluster.connect(0)).unwrap();
        if some.is_empty() {
            break;
        }
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg("127.0.0.1").arg(port).arg("").arg(0).arg(5_000).arg("KEYS").arg(&some);
        migrate.exec(&mut cluster.connect(0)).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for n in [1, 0] {
        run(&mut cluster.connect(n), &format!("CLUSTER SETSLOT {slot} NODE {to}"));
    }
}

#[tokio::test]
async fn a_slot_that_moves_key_by_key_makes_its_buyers_wait_and_loses_nothing() {
    let seen = buys_while(&server_program(), key_by_key).await;
    let other = seen.iter().find(|buyer| buyer.product == 2).unwrap();
    assert_eq!(other.refused, 0, "{other:?}");
}

#[tokio::test]
async fn a_slot_that_valkey_moves_at_once_makes_nobody_wait() {
    let Some(server) = newer_server() else { panic!("no Valkey: scripts/bootstrap --tests") };
    let seen = buys_while(&server, async |cluster, slot| {
        let to = cluster.id(1);
        run(&mut cluster.connect(0), &format!("CLUSTER MIGRATESLOTS SLOTSRANGE {slot} {slot} NODE {to}"));
    })
    .await;
    let refused: usize = seen.iter().map(|buyer| buyer.refused).sum();
    assert_eq!(refused, 0, "{seen:?}");
}

#[tokio::test]
async fn no_audit_is_made_while_a_slot_moves_because_it_would_miss_records() {
    let cluster = Cluster::start(2, 0);
    let shop = Shop::open(&cluster.url(), &QUICK);
    let sales = cluster.sale_of_each();
    shop.offer(&sales, 10).await;
    assert_eq!(shop.hold(1).await.status, 201);
    shop.audit().await;
    let slot = moving(&cluster, &sales[0]);
    let (from, to) = (cluster.id(0), cluster.id(1));
    run(&mut cluster.connect(1), &format!("CLUSTER SETSLOT {slot} IMPORTING {from}"));
    run(&mut cluster.connect(0), &format!("CLUSTER SETSLOT {slot} MIGRATING {to}"));
    let audit = shop.get("/api/admin/audit").await;
    assert_eq!((audit.status, audit.headers.contains_key("retry-after")), (503, true), "{audit:?}");
    for n in [0, 1] {
        run(&mut cluster.connect(n), &format!("CLUSTER SETSLOT {slot} STABLE"));
    }
    shop.audit().await;
}
