//! What a cluster loses with a server that many depend on: one with a shard of a sale that is spread, the one with the directory, and
//! one whose data is gone.

use std::time::Instant;

use serde_json::json;

use super::{
    load::{Buyer, Caller, HOLDS, Load, Sample, Seen},
    measured::{Measured, offer, settle},
    redis_alone::{BUYERS, CALM, PAUSE, UNITS, until_it_sells},
};
use crate::{
    servers::shop::{QUICK, Shop},
    support::{
        cluster::{Cluster, info},
        eventually,
    },
};

const DIRECTORY: &str = "fs1:{:all}:products";
const THREE_PRODUCTS: [Buyer; 6] =
    [Buyer::Buys(1), Buyer::Holds(1), Buyer::Buys(2), Buyer::Holds(2), Buyer::Buys(3), Buyer::Holds(3)];

/// How many calls were successes, of those that are meant and were sent between two instants, and how many there were.
fn counted(seen: &Seen, is_meant: impl Fn(&Sample) -> bool, from: Instant, to: Instant) -> [usize; 2] {
    let sent: Vec<_> =
        seen.samples.iter().filter(|sample| is_meant(sample) && sample.sent >= from && sample.sent < to).collect();
    [sent.iter().filter(|sample| sample.is_success()).count(), sent.len()]
}

/// Kills a primary, brings it back as a replica, and answers when the other one had taken over.
async fn kill_and_bring_back(cluster: &mut Cluster, server: usize, load: &Load) -> Instant {
    let replica = cluster.servers[3 + server].port;
    let killed = cluster.kill(server);
    eventually("the replica takes over", async || info(replica, "replication", "role") == "master").await;
    let took_over = Instant::now();
    until_it_sells(load, took_over).await;
    cluster.bring_back(killed);
    // Payments of its sales need one.
    eventually("it has a replica", async || info(replica, "replication", "connected_slaves") == "1").await;
    until_it_sells(load, Instant::now()).await;
    took_over
}

/// A primary with a shard of a sale that is spread over all of them, which has not the directory.
pub async fn shard_killed() -> Measured {
    let mut cluster = Cluster::start(3, 1);
    let shop = Shop::open(&cluster.url(), &[QUICK[0], QUICK[1], ("DURABILITY__PAYMENTS", "replicas:1")]);
    let caller = Caller::of(shop.addr);
    let product =
        json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": UNITS, "max_per_hold": 1_000, "shards": 3});
    let (status, made) = caller.post("/api/admin/products", product).await;
    assert_eq!(status, 201, "{made}");
    let server = (cluster.owner(DIRECTORY) + 1) % 3;
    let load = Load::start(&[shop.addr], &BUYERS, PAUSE);
    tokio::time::sleep(CALM).await;
    let at = Instant::now();
    let took_over = kill_and_bring_back(&mut cluster, server, &load).await;
    let seen = load.stop().await;
    let [done, of] = counted(&seen, |sample| sample.path == HOLDS, at, took_over);
    let text = format!(
        "until its replica took over, after {} ms, {done} of {of} holds were served",
        (took_over - at).as_millis()
    );
    settle(&caller, 1, UNITS, at, &seen).await.and(text).without_lost_payments()
}

/// The primary with the directory of products, sales and payments.
pub async fn directory_killed() -> Measured {
    let mut cluster = Cluster::start(3, 1);
    let shop = Shop::open(&cluster.url(), &[QUICK[0], QUICK[1], ("DURABILITY__PAYMENTS", "replicas:1")]);
    let caller = Caller::of(shop.addr);
    let mut sales = cluster.sale_of_each();
    let server = cluster.owner(DIRECTORY);
    // Product 1 is on the same server.
    sales.rotate_left(server);
    offer(&caller, &[&sales[0], &sales[1], &sales[2]], UNITS).await;
    let load = Load::start(&[shop.addr], &THREE_PRODUCTS, PAUSE);
    tokio::time::sleep(CALM).await;
    let at = Instant::now();
    let took_over = kill_and_bring_back(&mut cluster, server, &load).await;
    let seen = load.stop().await;
    let [done, of] = counted(&seen, |sample| sample.product != 1, at, took_over);
    let text = format!(
        "until its replica took over, after {} ms, {done} of {of} calls about sales of the other servers were served",
        (took_over - at).as_millis()
    );
    settle(&caller, 3, UNITS, at, &seen).await.and(text).without_lost_payments()
}

/// A primary without a replica or a disk, which is started again with nothing in it.
pub async fn emptied() -> Measured {
    let mut cluster = Cluster::start(3, 0);
    let shop = Shop::open(&cluster.url(), &QUICK);
    let caller = Caller::of(shop.addr);
    let mut sales = cluster.sale_of_each();
    let server = (cluster.owner(DIRECTORY) + 1) % 3;
    sales.rotate_left(server);
    offer(&caller, &[&sales[0], &sales[1], &sales[2]], UNITS).await;
    let load = Load::start(&[shop.addr], &THREE_PRODUCTS, PAUSE);
    tokio::time::sleep(CALM).await;
    let at = Instant::now();
    cluster.restart(server);
    let back = Instant::now();
    tokio::time::sleep(2 * CALM).await;
    let seen = load.stop().await;
    let of_lost = |sample: &Sample| sample.product == 1;
    let said = seen.samples.iter().filter(|sample| of_lost(sample) && sample.code == "store_replaced");
    let said = said.map(Sample::ended).min().expect("somebody hears that the data is gone");
    let [sold, _] = counted(&seen, of_lost, back, Instant::now());
    assert_eq!(sold, 0, "the emptied server sold something");
    let [done, of] = counted(&seen, |sample| sample.product != 1, at, Instant::now());
    let text = format!(
        "the first `store_replaced` {} ms after the fault; of the emptied server {sold} calls were served after that, of the others \
         {done} of {of}",
        said.saturating_duration_since(at).as_millis()
    );
    Measured { answers: seen.kinds(), ..Measured::default() }.and(text).without_errors()
}
