//! Sentinel: the service follows the primary that the sentinels name.

use std::{
    cell::Cell,
    collections::HashSet,
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use super::shop::{Purchases, QUICK, Shop};
use crate::support::{
    cluster::{Sentinels, connect_with, run},
    eventually,
    process::command,
    redis::signal_process,
};

/// A primary must not take what no replica has, or a fail-over forgets it.
const ALL_REPLICAS: [&str; 4] = ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"];

#[tokio::test]
async fn the_service_follows_a_fail_over_and_loses_no_payment_that_it_acknowledged() {
    for fault in ["KILL", "STOP"] {
        let sentinels = Sentinels::start(1, 3, &[], None);
        let settings = [QUICK[0], QUICK[1], ("DURABILITY__PAYMENTS", "replicas:1")];
        let shop = Shop::open(&sentinels.url(""), &settings);
        shop.offer(&["drop".to_owned()], 100_000).await;
        let crowd = shop.crowd(&[1, 1, 1]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = sentinels.primary();
        signal_process(sentinels.servers[0].pid(), fault);
        eventually("another is the primary", async || sentinels.primary() != before).await;
        eventually("the sale goes on", async || shop.hold(1).await.status == 201).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let seen = crowd.stop().await;
        println!("{fault}: {:?}", seen.iter().map(|s| (s.paid.len(), s.refused, s.worst_gap)).collect::<Vec<_>>());
        // Nobody is left to confirm with one replica, so the last payments may have been refused all the while.
        let mut all = HashSet::new();
        for order in seen.iter().flat_map(|buyer| &buyer.paid) {
            assert!(all.insert(order.clone()), "{order} was sold twice");
            let found = shop.get(&format!("/api/orders/{order}")).await;
            assert_eq!((found.status, found.body["status"].as_str()), (200, Some("paid")), "{fault}: {found:?}");
        }
        assert!(!all.is_empty() && seen.iter().all(Purchases::lost_one_at_most), "{seen:?}");
        shop.check_money_of_lost_orders(&seen).await;
        shop.audit().await;
        if fault == "STOP" {
            signal_process(sentinels.servers[0].pid(), "CONT");
        }
    }
}

#[tokio::test]
async fn a_manual_fail_over_loses_no_payment_where_all_replicas_are_demanded() {
    let sentinels = Sentinels::start(1, 3, &ALL_REPLICAS, None);
    let shop = Shop::open(&sentinels.url(""), &[QUICK[0], QUICK[1], ("DURABILITY__PAYMENTS", "replicas:1")]);
    shop.offer(&["drop".to_owned()], 100_000).await;
    let crowd = shop.crowd(&[1, 1]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = sentinels.primary();
    sentinels.fail_over();
    eventually("another is the primary", async || sentinels.primary() != before).await;
    let new = sentinels.primary();
    eventually("its replica is back", async || {
        crate::support::cluster::info(new, "replication", "connected_slaves") == "1"
    })
    .await;
    eventually("the sale goes on", async || shop.hold(1).await.status == 201).await;
    let seen = crowd.stop().await;
    println!("{:?}", seen.iter().map(|s| (s.paid.len(), s.refused, s.worst_gap)).collect::<Vec<_>>());
    for order in seen.iter().flat_map(|buyer| &buyer.paid) {
        let found = shop.get(&format!("/api/orders/{order}")).await;
        assert_eq!((found.status, found.body["status"].as_str()), (200, Some("paid")), "{found:?}");
    }
    assert!(seen.iter().all(Purchases::lost_one_at_most), "{seen:?}");
    shop.check_money_of_lost_orders(&seen).await;
    shop.audit().await;
}

#[tokio::test]
async fn a_primary_without_its_replica_says_in_readiness_what_is_refused_and_why() {
    let mut sentinels = Sentinels::start(1, 3, &ALL_REPLICAS, None);
    let shop = Shop::open(&sentinels.url(""), &[QUICK[0], QUICK[1], ("DURABILITY__PAYMENTS", "replicas:1")]);
    eventually("it is ready", async || shop.get("/readyz").await.body["status"] == "ready").await;
    let primary = sentinels.primary();
    let replica = sentinels.servers.iter().position(|server| server.port != primary).unwrap();
    sentinels.servers[replica].end();
    eventually("the primary takes no writes", async || {
        let ready = shop.get("/readyz").await;
        ready.status == 503 && ready.body["redis_says"] == "NOREPLICAS"
    })
    .await;
    let mut healthcheck = command(std::path::Path::new("unused"));
    let looked = healthcheck.args(["healthcheck", "--addr", &shop.addr.to_string()]).output().unwrap();
    let printed = String::from_utf8(looked.stderr).unwrap();
    assert!(looked.status.code() == Some(1) && printed.contains("503 store_unavailable: "), "{printed}");
    assert!(printed.contains("(NOREPLICAS)"), "{printed}");
    // Without that demand it sells on, but for money.
    run(&mut connect_with(primary, ""), "CONFIG SET min-replicas-to-write 0");
    eventually("only payments are refused", async || {
        let ready = shop.get("/readyz").await;
        ready.status == 200
            && ready.body["status"] == "degraded"
            && ready.body["detail"].as_str().unwrap().contains("fewer replicas than durability.payments asks for")
    })
    .await;
}

#[tokio::test]
async fn a_planned_fail_over_is_followed_as_soon_as_it_has_happened() {
    let sentinels = Sentinels::start(1, 3, &[], None);
    let shop = Shop::open(&sentinels.url(""), &QUICK);
    shop.offer(&["drop".to_owned()], 100_000).await;
    let is_over = Cell::new(false);
    let buyer = async || {
        let (mut last, mut pause, mut refused) = (Instant::now(), Duration::ZERO, 0);
        while !is_over.get() {
            match shop.hold(1).await.status {
                201 => {
                    pause = pause.max(last.elapsed());
                    last = Instant::now();
                }
                status => {
                    assert_eq!(status, 503);
                    refused += 1;
                }
            }
        }
        (pause, refused)
    };
    let fail_over = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (before, asked) = (sentinels.primary(), Instant::now());
        sentinels.fail_over();
        eventually("the first sentinel names another primary", async || sentinels.primary() != before).await;
        let named = asked.elapsed();
        eventually("the sale goes on", async || shop.hold(1).await.status == 201).await;
        println!("the first sentinel named it {named:?} after the command, and it sold {:?} after it", asked.elapsed());
        tokio::time::sleep(Duration::from_secs(1)).await;
        is_over.set(true);
    };
    let (pauses, ()) = tokio::join!(join_all((0..4).map(|_| buyer())), fail_over);
    println!("pause and refusals of each buyer: {pauses:?}");
    shop.audit().await;
}

#[tokio::test]
async fn sentinels_and_servers_have_passwords_of_their_own_and_some_sentinels_may_be_gone() {
    let mut sentinels = Sentinels::start(1, 3, &[], Some(["data-pw", "own-pw"]));
    let url = sentinels.url(":data-pw@");
    // One is gone, and one hangs.
    sentinels.sentinels[0].end();
    signal_process(sentinels.sentinels[1].pid(), "STOP");
    let settings = [QUICK[0], QUICK[1], QUICK[2], ("REDIS__SENTINEL_PASSWORD", "own-pw")];
    let shop = Shop::open(&url, &settings);
    shop.offer(&["drop".to_owned()], 10).await;
    assert_eq!(shop.hold(1).await.status, 201);
    signal_process(sentinels.sentinels[1].pid(), "CONT");
    let refused =
        crate::topology::refusal_with(&url, &[("REDIS__SENTINEL_PASSWORD", "wrong"), ("REDIS__STARTUP_SECONDS", "0")]);
    assert!(
        refused.contains("WRONGPASS") || refused.contains("NOAUTH") || refused.contains("authentication"),
        "{refused}"
    );
    assert!(refused.contains("redis.sentinel_password"), "{refused}");
    assert!(!refused.contains("own-pw") && !refused.contains("data-pw"), "{refused}");
}
