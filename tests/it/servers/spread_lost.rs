//! A spread sale whose shards are away or gone: nothing is sold twice, and what lives obeys.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use redis::{Commands, Value as Reply};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    shop::{QUICK, Shop},
    spread::{hold_of, offer, shards_of, sum_of},
};
use crate::support::{
    app::Answer,
    cluster::{Cluster, run},
    eventually,
    redis::{ServerProcess, server_program, signal_process},
};

fn is_lost(answer: &Answer, shard: &str) -> bool {
    answer.refusal() == (503, "store_replaced") && answer.body["detail"].as_str().unwrap().contains(shard)
}

/// Says that a shard may begin anew, which is for sales of one shard.
fn give_up(cluster: &Cluster, shard: &str) {
    let directory = cluster.owner("fs1:{:all}:made");
    let taken = run(&mut cluster.connect(directory), &format!("SREM fs1:{{:all}}:made {shard}"));
    assert_eq!(taken, Reply::Int(1));
}

/// A cluster that sells 90 units of a product in three shards; a shard of another server than that of the directory, the first
/// shard or another one; and the number of its server.
async fn spread(first: bool) -> (Cluster, Shop, String, usize) {
    let on_disk = ["--appendonly", "yes", "--appendfsync", "always"];
    let cluster = Cluster::start_with(&server_program(), 3, 0, &on_disk);
    let shop = Shop::open(&cluster.url(), &QUICK);
    offer(&shop, 3, 90).await;
    let directory = cluster.owner("fs1:{:all}:products");
    let found = shards_of(&cluster).into_iter().find(|(name, owner)| (name == "p1") == first && *owner != directory);
    let (shard, server) = found.expect("the directory is not on the server of p1");
    (cluster, shop, shard, server)
}

#[tokio::test]
async fn a_shard_that_is_lost_and_given_up_borrows_nothing_a_second_time() {
    let (cluster, shop, shard, server) = spread(false).await;
    run(&mut cluster.connect(server), "FLUSHALL");
    eventually("it is noticed", async || {
        shop.get("/readyz").await.body["detail"].as_str().is_some_and(|detail| detail.contains(&shard))
    })
    .await;
    let audit = shop.get("/api/admin/audit").await;
    assert_eq!((audit.status, &audit.body["ok"]), (200, &json!(false)), "{audit:?}");
    give_up(&cluster, &shard);
    let mut seen = BTreeSet::new();
    let mut is_refused = false;
    eventually("what is left is sold", async || {
        for customer in 0..40 {
            let answer = hold_of(&shop, customer).await;
            is_refused |= is_lost(&answer, &shard);
            if answer.status == 201 {
                seen.insert(answer.id());
            }
        }
        seen.len() >= 60 && is_refused
    })
    .await;
    // Once the workers have looked again: until then the units of that shard may come back.
    eventually("customers of the shards that live hear the truth", async || {
        let answers: Vec<Answer> = join_all((0..60).map(|customer| hold_of(&shop, customer))).await;
        assert!(answers.iter().all(|answer| answer.status == 409 || is_lost(answer, &shard)), "{answers:?}");
        answers.iter().filter(|answer| answer.status == 409).count() > 20
    })
    .await;
    assert_eq!((sum_of(&cluster, "total"), sum_of(&cluster, "held")), (60, 60));
    let product = shop.get("/api/products/1").await.body;
    assert_eq!((&product["total_stock"], &product["available_stock"]), (&json!(60), &json!(0)), "{product}");
    // And what lives obeys.
    let paused = shop.send(Method::PATCH, "/api/admin/sales/p1", Some(json!({"paused": true}))).await;
    assert_eq!((paused.status, &paused.body["paused"]), (200, &json!(true)), "{paused:?}");
    let answers = join_all((0..60).map(|customer| hold_of(&shop, customer))).await;
    assert!(
        answers.iter().all(|answer| answer.body["code"] == "sale_paused" || is_lost(answer, &shard)),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_shard_that_many_buyers_make_at_once_is_not_taken_for_one_that_is_lost() {
    let cluster = Cluster::start_with(&server_program(), 3, 0, &[]);
    let shop = Shop::open(&cluster.url(), &QUICK);
    offer(&shop, 8, 0).await;
    assert_eq!(shop.post("/api/admin/products/1/restock", json!({"total": 40})).await.status, 200);
    // Nobody has lent them anything yet, as where their making was interrupted.
    for (shard, owner) in shards_of(&cluster).into_iter().filter(|(shard, _)| shard != "p1") {
        let keys = ["sale", "stock", "product:1"].map(|name| format!("fs1:{{{shard}}}:{name}"));
        run(&mut cluster.connect(owner), &format!("DEL {}", keys.join(" ")));
        give_up(&cluster, &shard);
    }
    // One that remembers that they were made would take them for lost.
    let shop = Shop::open(&cluster.url(), &QUICK);
    let answers: Vec<Answer> = join_all((0..60).map(|customer| hold_of(&shop, customer))).await;
    assert!(answers.iter().all(|answer| answer.body["code"] != "store_replaced"), "{answers:?}");
}

#[tokio::test]
async fn a_first_shard_that_is_lost_and_given_up_is_not_made_beside_the_units_of_the_others() {
    let (cluster, shop, shard, server) = spread(true).await;
    run(&mut cluster.connect(server), "FLUSHALL");
    give_up(&cluster, &shard);
    let product = json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 10, "shards": 3});
    for _ in 0..20 {
        let made = shop.post("/api/admin/products", product.clone()).await;
        assert!(is_lost(&made, &shard), "{made:?}");
    }
    assert_eq!(sum_of(&cluster, "total"), 60);
}

#[tokio::test]
async fn a_sale_whose_first_shard_is_lost_and_given_up_is_not_made_beside_its_other_shards() {
    let cluster = Cluster::start(3, 0);
    let shop = Shop::open(&cluster.url(), &QUICK);
    let directory = cluster.owner("fs1:{:all}:products");
    let away = |name: &String| cluster.owner(&format!("fs1:{{{name}}}:sale")) != directory;
    let sale = (0..100).map(|number| format!("drop-{number}")).find(away).expect("a name of another server");
    let wanted = json!({"id": sale, "shards": 3});
    let made = shop.post("/api/admin/sales", wanted.clone()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let server = cluster.owner(&format!("fs1:{{{sale}}}:sale"));
    run(&mut cluster.connect(server), "FLUSHALL");
    give_up(&cluster, &sale);
    // Nor where nobody says that it had several.
    let product = json!({"id": 7, "sale": sale, "name": "Item", "price": "50.00", "total_stock": 10});
    for _ in 0..5 {
        for (path, body) in [
            ("/api/admin/sales", wanted.clone()),
            ("/api/admin/sales", json!({"id": sale})),
            ("/api/admin/products", product.clone()),
        ] {
            let made = shop.post(path, body).await;
            assert!(is_lost(&made, &sale), "{path}: {made:?}");
        }
    }
    let known = cluster.connect(directory).hget::<_, _, Option<String>>("fs1:{:all}:products", 7).unwrap();
    assert_eq!(known, None, "who is refused takes no id");
}

#[tokio::test]
async fn a_pause_reaches_all_shards_that_live_at_once_and_the_others_when_they_are_back() {
    let (mut cluster, shop, _, server) = spread(false).await;
    let killed = cluster.kill(server);
    for _ in 0..20 {
        let held = shop.hold(1).await;
        assert_eq!(held.status, 201, "who is tied to no shard buys of the others: {held:?}");
    }
    let paused = shop.send(Method::PATCH, "/api/admin/sales/p1", Some(json!({"paused": true}))).await;
    assert_eq!(paused.status, 503, "{paused:?}");
    for customer in 0..30 {
        let answer = hold_of(&shop, customer).await;
        assert!(answer.status == 503 || answer.body["code"] == "sale_paused", "{answer:?}");
    }
    cluster.bring_back(killed);
    cluster.wait_until_it_works();
    // Nobody asks again.
    eventually("all shards have heard of it", async || {
        let answers: Vec<Answer> = join_all((0..30).map(|customer| hold_of(&shop, customer))).await;
        answers.iter().all(|answer| answer.body["code"] == "sale_paused")
    })
    .await;
    let audit = shop.audit().await;
    assert_eq!(audit["ok"], true, "{audit}");
}

/// Units that one shard lent, and no other has borrowed yet.
fn under_way(audit: &Answer) -> i64 {
    let differences = audit.body["differences"].as_array().unwrap();
    let of = |difference: &Value, side: &str| difference[side].as_i64().unwrap();
    let open = differences.iter().filter(|difference| difference["what"] == "loan");
    open.map(|difference| of(difference, "recomputed") - of(difference, "stored")).sum()
}

#[tokio::test]
async fn a_loan_that_no_replica_confirms_takes_no_more_units_with_each_try_and_ends_by_itself() {
    let cluster = Cluster::start(3, 1);
    let settings = [QUICK[0], QUICK[1], ("DURABILITY__PAYMENTS", "replicas:1")];
    let shop = Shop::open(&cluster.url(), &settings);
    let product =
        json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 90, "shards": 3, "max_per_hold": 100});
    eventually("the product is made", async || {
        [201, 409].contains(&shop.post("/api/admin/products", product.clone()).await.status)
    })
    .await;
    let replicas = || cluster.servers[3..].iter().map(ServerProcess::pid);
    replicas().for_each(|pid| signal_process(pid, "STOP"));
    let most = async || shop.post("/api/holds", json!({"product_id": 1, "quantity": 70, "customer_id": "anna"})).await;
    let audit = async || shop.get("/api/admin/audit").await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        assert_eq!(most().await.refusal(), (503, "store_unavailable"));
        seen.push(under_way(&audit().await));
        // Longer than it trusts no loan of that shard.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
    }
    assert!(seen[0] > 0 && seen[3] == seen[0], "each try takes units out of a shard: {seen:?}");
    replicas().for_each(|pid| signal_process(pid, "CONT"));
    // Nobody buys meanwhile.
    eventually("a task has ended the loan", async || audit().await.body["ok"] == true).await;
    eventually("the units can be had", async || most().await.status == 201).await;
}
