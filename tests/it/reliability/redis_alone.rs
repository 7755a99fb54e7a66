//! Faults of one Redis, and of the connections to it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{
    load::{Buyer, Caller, Load},
    measured::{Measured, offer, settle},
};
use crate::{
    servers::shop::{QUICK, Shop},
    support::{
        cluster::{connect, run},
        eventually,
        redis::{ServerProcess, signal_process},
        stalling_proxy::{Side, StallingProxy},
    },
};

pub const UNITS: u64 = 20_000;
/// Between two calls of a buyer.
pub const PAUSE: Duration = Duration::from_millis(10);
/// Before a fault and after it, so that it hits a service in full swing.
pub const CALM: Duration = Duration::from_secs(2);

/// Units of the first product, and of the others too.
pub const BUYERS: [Buyer; 6] =
    [Buyer::Buys(1), Buyer::Buys(1), Buyer::Buys(1), Buyer::Holds(1), Buyer::Holds(1), Buyer::Holds(1)];

/// A service with a product of many units, and buyers.
pub async fn busy(url: &str, settings: &[(&str, &str)]) -> (Shop, Caller, Load) {
    let shop = Shop::open(url, settings);
    let caller = Caller::of(shop.addr);
    offer(&caller, &["drop"], UNITS).await;
    let load = Load::start(&[shop.addr], &BUYERS, PAUSE);
    tokio::time::sleep(CALM).await;
    (shop, caller, load)
}

/// Lets the buyers go on until they have got something that they asked for after this instant, and a little longer.
pub async fn until_it_sells(load: &Load, since: Instant) {
    eventually("the sale goes on", async || load.has_sold_since(1, since)).await;
    tokio::time::sleep(CALM).await;
}

/// Killed, and started again from its append-only file after a second.
pub async fn killed(policy: &'static str) -> Measured {
    let arguments = ["--appendonly", "yes", "--appendfsync", policy];
    let server = ServerProcess::start(&arguments);
    let port = server.port;
    let (_shop, caller, load) = busy(&server.url(), &QUICK).await;
    let fault = Instant::now();
    let folder = server.end_and_keep_folder();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let restarted = Instant::now();
    let _server = tokio::task::spawn_blocking(move || ServerProcess::start_in(folder, port, &arguments)).await.unwrap();
    until_it_sells(&load, restarted).await;
    let seen = load.stop().await;
    let back = seen.back_after(fault).unwrap_or_default().saturating_sub(restarted - fault);
    let measured = settle(&caller, 1, UNITS, fault, &seen).await;
    measured.and(format!("{} ms after Redis was started again", back.as_millis())).without_losses()
}

/// Stands still for two seconds under 32 buyers who ask once.
pub async fn stopped_for_two_seconds() -> Measured {
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let shop = Shop::open(&server.url(), &[("REDIS__CALL_TIMEOUT_MS", "300"), ("REDIS__CONNECT_TIMEOUT_MS", "300")]);
    let caller = Caller::of(shop.addr);
    offer(&caller, &["drop"], UNITS).await;
    join_all((0..32).map(|_| caller.hold(1, None))).await;
    let held = async || caller.get("/api/products/1").await.1["held_stock"].as_u64().unwrap_or(u64::MAX);
    let before = held().await;
    signal_process(server.pid(), "STOP");
    let asked = Instant::now();
    let ask = async || (caller.hold(1, None).await, asked.elapsed());
    let (answers, ()) = tokio::join!(join_all((0..32).map(|_| ask())), tokio::time::sleep(Duration::from_secs(2)));
    signal_process(server.pid(), "CONT");
    let woken = Instant::now();
    eventually("holds are taken", async || caller.hold(1, None).await.0 == 201).await;
    let mut measured = Measured { back_after: Some(woken.elapsed()), ..Measured::default() };
    for ((status, body), _) in &answers {
        let kind = format!("{status} {}", body["code"].as_str().unwrap_or_default());
        *measured.answers.entry(kind.trim_end().to_owned()).or_default() += 1;
    }
    let taken = answers.iter().filter(|((status, _), _)| *status == 201).count() as u64;
    let slowest = answers.iter().map(|(_, took)| took.as_millis()).max().unwrap_or_default();
    // What Redis decided when it woke up may be released a moment later.
    let mut unknown = u64::MAX;
    let settled = async || {
        unknown = held().await.saturating_sub(before + taken + 1);
        unknown == 0
    };
    let _in_time = tokio::time::timeout(Duration::from_secs(5), eventually("all are released", settled)).await;
    measured.unknown = Some(unknown);
    measured.and(format!("the slowest answer took {slowest} ms")).without_errors()
}

/// Hangs for six seconds.
pub async fn hung() -> Measured {
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let (_shop, caller, load) = busy(&server.url(), &QUICK).await;
    let fault = Instant::now();
    signal_process(server.pid(), "STOP");
    tokio::time::sleep(Duration::from_secs(6)).await;
    signal_process(server.pid(), "CONT");
    let woken = Instant::now();
    until_it_sells(&load, woken).await;
    let seen = load.stop().await;
    let mut refused: Vec<_> =
        seen.samples.iter().filter(|sample| sample.status == 503).map(|sample| sample.took.as_millis()).collect();
    refused.sort_unstable();
    let back = seen.back_after(fault).unwrap_or_default().saturating_sub(woken - fault);
    let median = refused.get(refused.len() / 2).copied().unwrap_or_default();
    let text = format!(
        "{} ms after it went on; while it hung, half of the answers took no longer than {median} ms, the slowest {} ms",
        back.as_millis(),
        seen.slowest().as_millis()
    );
    settle(&caller, 1, UNITS, fault, &seen).await.and(text).without_lost_payments()
}

/// All connections of the service are cut, twenty times.
pub async fn connections_cut() -> Measured {
    often("connections cut", |server| run(&mut connect(server.port), "CLIENT KILL TYPE normal")).await
}

/// Scripts are forgotten, twenty times.
pub async fn scripts_flushed() -> Measured {
    let measured = often("flushed", |server| run(&mut connect(server.port), "SCRIPT FLUSH")).await;
    assert_eq!(measured.back_after, None, "{measured:?}");
    measured
}

async fn often(what: &str, fault: impl Fn(&ServerProcess) -> redis::Value) -> Measured {
    const TIMES: u32 = 20;
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let (_shop, caller, load) = busy(&server.url(), &QUICK).await;
    let first = Instant::now();
    for _ in 0..TIMES {
        fault(&server);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    until_it_sells(&load, Instant::now()).await;
    let seen = load.stop().await;
    settle(&caller, 1, UNITS, first, &seen).await.and(format!("{what} {TIMES} times")).without_losses()
}

/// Replies of holds are lost on the way back from Redis, which has decided them.
pub async fn replies_dropped() -> Measured {
    const TIMES: usize = 10;
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let proxy = StallingProxy::start(server.port);
    let url = format!("redis://127.0.0.1:{}", proxy.port);
    let settings = [QUICK[0], QUICK[1], QUICK[2], ("HTTP__WORKERS", "1"), ("EVENTS__SWEEP_MS", "0")];
    let shop = Shop::open(&url, &settings);
    let caller = Caller::of(shop.addr);
    offer(&caller, &["drop"], UNITS).await;
    caller.hold(1, None).await;
    let mut measured = Measured::default();
    let mut known = 1;
    for n in 0..2 * TIMES {
        let key = (n % 2 == 0).then(|| format!("key-{n}"));
        proxy.arm(Some((0, Side::Reply)));
        let mut ask = async || {
            let (status, body) = caller.hold(1, key.as_deref()).await;
            let kind = format!("{status} {}", body["code"].as_str().unwrap_or_default());
            *measured.answers.entry(kind.trim_end().to_owned()).or_default() += 1;
            status
        };
        let drop_it = async {
            eventually("the reply is on its way", async || proxy.is_stalled()).await;
            proxy.disarm(true);
        };
        let (mut status, ()) = tokio::join!(ask(), drop_it);
        while key.is_some() && status != 201 {
            status = ask().await;
        }
        known += u64::from(status == 201);
    }
    let (_, product) = caller.get("/api/products/1").await;
    measured.unknown = Some(product["held_stock"].as_u64().unwrap() - known);
    measured
        .and(format!("{TIMES} replies to holds with a key, repeated by their buyers, and {TIMES} without"))
        .without_errors()
}
