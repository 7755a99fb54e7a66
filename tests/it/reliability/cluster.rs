//! One of three primaries of a cluster is away, and slots that move.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{
    load::{Buyer, Caller, Load},
    measured::{Measured, offer, settle},
    redis_alone::{CALM, PAUSE, UNITS, until_it_sells},
};
use crate::{
    servers::{
        reshard::{key_by_key, moving},
        shop::{QUICK, Shop},
    },
    support::{
        cluster::{Cluster, info, run},
        eventually,
        redis::{newer_server, server_program, signal_process},
    },
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Killed,
    Hung,
    Planned,
}

/// The other sales have as many buyers as the one whose server is away.
const BUYERS: [Buyer; 9] = [
    Buyer::Buys(1),
    Buyer::Holds(1),
    Buyer::Holds(1),
    Buyer::Buys(2),
    Buyer::Holds(2),
    Buyer::Holds(2),
    Buyer::Buys(3),
    Buyer::Holds(3),
    Buyer::Holds(3),
];

pub async fn fail_over(fault: Fault) -> Measured {
    let mut cluster = Cluster::start(3, 1);
    let shop = Shop::open(&cluster.url(), &[QUICK[0], QUICK[1], ("DURABILITY__PAYMENTS", "replicas:1")]);
    let caller = Caller::of(shop.addr);
    let sales = cluster.sale_of_each();
    offer(&caller, &[&sales[0], &sales[1], &sales[2]], UNITS).await;
    let load = Load::start(&[shop.addr], &BUYERS, PAUSE);
    // The first second is that of opening connections.
    tokio::time::sleep(CALM / 2).await;
    let began = Instant::now();
    tokio::time::sleep(2 * CALM).await;
    let at = Instant::now();
    let replica = cluster.servers[3].port;
    let mut killed = None;
    match fault {
        Fault::Killed => killed = Some(cluster.kill(0)),
        Fault::Hung => signal_process(cluster.servers[0].pid(), "STOP"),
        Fault::Planned => _ = run(&mut cluster.connect(3), "CLUSTER FAILOVER"),
    }
    // Asked seldom, because who asks takes time from the buyers.
    let mut ended = Instant::now();
    while info(replica, "replication", "role") != "master" {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ended = Instant::now();
        assert!(ended - at < Duration::from_mins(1), "no replica takes over");
    }
    until_it_sells(&load, ended).await;
    if let Some(killed) = killed {
        cluster.bring_back(killed);
    } else if fault == Fault::Hung {
        signal_process(cluster.servers[0].pid(), "CONT");
    }
    // Payments of its sales need one.
    eventually("it has a replica", async || info(replica, "replication", "connected_slaves") == "1").await;
    until_it_sells(&load, Instant::now()).await;
    let seen = load.stop().await;
    let back = at + seen.back_after(at).unwrap_or(CALM);
    let [before, meanwhile] = [seen.others(began, at), seen.others(at, back)];
    let ratio = |n: usize| meanwhile[n].as_secs_f64() / before[n].as_secs_f64();
    let other = seen.samples.iter().filter(|sample| sample.product != 1 && !sample.is_success()).count();
    assert_eq!(other, 0, "another sale was refused");
    let text = format!(
        "other sales: none of their calls failed; until the first success they took {:.2} times as long as before \
         (median {:.1} ms, before {:.1} ms), the slowest hundredth {:.2} times",
        ratio(0),
        meanwhile[0].as_secs_f64() * 1_000.0,
        before[0].as_secs_f64() * 1_000.0,
        ratio(1)
    );
    let measured = settle(&caller, 3, UNITS, at, &seen).await.and(text).without_lost_payments();
    if fault == Fault::Planned { measured.without_losses() } else { measured }
}

/// A slot moves as `redis-cli --cluster reshard` does it.
pub async fn moved_key_by_key() -> Measured {
    let measured = moved(&server_program(), key_by_key).await.without_losses();
    let known = ["201", "200", "503"];
    assert!(measured.answers.keys().all(|kind| known.iter().any(|known| kind.starts_with(known))), "{measured:?}");
    measured
}

/// Valkey 9 moves it in one step. `None`: this machine has no Valkey.
pub async fn moved_at_once() -> Option<Measured> {
    let server = newer_server()?;
    let at_once = async |cluster: &Cluster, slot: i64| {
        let to = cluster.id(1);
        run(&mut cluster.connect(0), &format!("CLUSTER MIGRATESLOTS SLOTSRANGE {slot} {slot} NODE {to}"));
    };
    let measured = moved(&server, at_once).await.without_losses();
    assert_eq!(measured.back_after, None, "{measured:?}");
    Some(measured)
}

async fn moved(server: &Path, reshard: impl AsyncFnOnce(&Cluster, i64)) -> Measured {
    let cluster = Cluster::start_with(server, 2, 0, &[]);
    let shop = Shop::open(&cluster.url(), &QUICK);
    let caller = Caller::of(shop.addr);
    let sales = cluster.sale_of_each();
    offer(&caller, &[&sales[0], &sales[1]], UNITS).await;
    let load = Load::start(&[shop.addr], &BUYERS[..6], PAUSE);
    tokio::time::sleep(CALM).await;
    let at = Instant::now();
    reshard(&cluster, moving(&cluster, &sales[0])).await;
    eventually("the slot has moved", async || cluster.owner(&format!("fs1:{{{}}}:sale", sales[0])) == 1).await;
    let took = at.elapsed();
    until_it_sells(&load, Instant::now()).await;
    let seen = load.stop().await;
    let other = seen.samples.iter().filter(|sample| sample.product != 1 && !sample.is_success()).count();
    assert_eq!(other, 0, "another sale was refused");
    settle(&caller, 2, UNITS, at, &seen).await.and(format!("moving took {} ms", took.as_millis()))
}
