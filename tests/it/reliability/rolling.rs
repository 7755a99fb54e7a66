//! Two services behind nginx are restarted in turn while people buy, with the settings of nginx that the documents give.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::load::{Buyer, Caller, Load, Sample, Seen};
use crate::{
    house::{read, root},
    support::{
        app::ADMIN_TOKEN,
        eventually,
        nginx::Nginx,
        process::{ServiceProcess, command},
        redis::{ServerProcess, free_port},
    },
};

const UNITS: u64 = 1_000_000;
/// More at once than are served at any other time, so that nginx has connections that nobody uses afterwards.
const BURST: usize = 30;

/// What came of it.
pub struct Rolled {
    pub restarts: usize,
    pub seen: Seen,
    /// Whole exports, and events that a reader with a cursor got, each once and in order.
    pub exports: usize,
    pub events: usize,
    pub complaints: Vec<String>,
}

impl Rolled {
    /// Requests without an answer of the service. A refusal for too much load is an answer, and says that nothing was done.
    pub fn lost(&self) -> Vec<&Sample> {
        let is_lost = |sample: &&Sample| !sample.is_success() && sample.code != "overloaded";
        self.seen.samples.iter().filter(is_lost).collect()
    }
}

/// `deploy/nginx/flashsale.conf`, which the documents show, with two addresses of this machine in place of three services.
fn documented(services: [SocketAddr; 2], port: u16) -> String {
    let block = read(&root().join("deploy/nginx/flashsale.conf"));
    let mut block: String =
        block.lines().filter(|line| !line.contains("shop-3")).flat_map(|line| [line, "\n"]).collect();
    let own = [services[0].to_string(), services[1].to_string(), format!("listen 127.0.0.1:{port};")];
    for (documented, own) in ["shop-1:8080", "shop-2:8080", "listen 80;"].iter().zip(own) {
        assert_eq!(block.matches(documented).count(), 1, "{documented} in {block}");
        block = block.replace(documented, &own);
    }
    block
}

/// Starts a service while the buyers go on.
async fn start(redis: &ServerProcess, addr: SocketAddr) -> ServiceProcess {
    let mut program = command(redis.folder.path());
    program.env("FLASHSALE_REDIS__URL", redis.url()).env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
    program.env("FLASHSALE_HTTP__TRUSTED_PROXIES", "127.0.0.1");
    // The default, which a demo does not have.
    program.env("FLASHSALE_HTTP__DRAIN_SECONDS", "5");
    // A busy machine is no fault of a restart.
    program.env("FLASHSALE_REDIS__CALL_TIMEOUT_MS", "10000");
    tokio::task::spawn_blocking(move || ServiceProcess::run(program, addr)).await.unwrap()
}

/// Reads events with a cursor until it has seen them all.
async fn follow(caller: Caller, stop: Arc<AtomicBool>) -> Vec<String> {
    let (mut paid, mut cursor) = (Vec::new(), String::new());
    loop {
        let is_last = stop.load(Ordering::Relaxed);
        let wait = if is_last { "" } else { "&wait=2" };
        let (status, page) = caller.get(&format!("/api/admin/events?limit=1000{wait}{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        let events = page["data"].as_array().unwrap();
        let of =
            |event: &Value| (event["type"] == "order.paid").then(|| event["order"]["id"].as_str().unwrap().to_owned());
        paid.extend(events.iter().filter_map(of));
        if is_last && events.is_empty() {
            return paid;
        }
        cursor = format!("&after={}", page["next_cursor"].as_str().unwrap());
    }
}

/// Reads whole exports, one after another.
async fn export(caller: Caller, stop: Arc<AtomicBool>) -> usize {
    let mut exports = 0;
    while !stop.load(Ordering::Relaxed) {
        let (status, table) = caller.get("/api/admin/orders/export").await;
        assert_eq!(status, 200, "{table}");
        exports += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    exports
}

/// Fills the connections of nginx once a second.
async fn burst(caller: Caller, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let looks = (0..BURST).map(|_| caller.get("/api/products/7"));
        for (status, body) in futures_util::future::join_all(looks).await {
            assert!(status == 200 || body["code"] == "overloaded", "{status}: {body}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Restarts both as often. `None`: there is no nginx.
pub async fn restart_in_turn(rounds: usize, buyers: &[Buyer], pause: Duration) -> Option<Rolled> {
    let redis = ServerProcess::start(&["--appendonly", "yes"]);
    let addrs = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
    let port = free_port();
    let nginx = Nginx::start(&documented(addrs, port))?;
    let proxy = SocketAddr::from(([127, 0, 0, 1], port));
    let mut services = [Some(start(&redis, addrs[0]).await), Some(start(&redis, addrs[1]).await)];
    let caller = Caller::of(proxy);
    let product = json!({"id": 7, "sale": "drop", "name": "Item", "price": "50.00", "total_stock": UNITS});
    eventually("a product is made", async || caller.post("/api/admin/products", product.clone()).await.0 == 201).await;

    let stop = Arc::<AtomicBool>::default();
    let follower = tokio::spawn(follow(Caller::of(proxy), Arc::clone(&stop)));
    let exporter = tokio::spawn(export(Caller::of(proxy), Arc::clone(&stop)));
    let burster = tokio::spawn(burst(Caller::of(proxy), Arc::clone(&stop)));
    let load = Load::start(&[proxy], buyers, pause);
    for n in 0..rounds * 2 {
        let before = load.paid();
        eventually("they buy", async || load.paid() > before + 10).await;
        let service = services[n % 2].take().unwrap();
        let ended = tokio::task::spawn_blocking(move || service.stop());
        assert!(ended.await.unwrap(), "a service that is stopped exits with 0");
        services[n % 2] = Some(start(&redis, addrs[n % 2]).await);
        let again = Caller::of(addrs[n % 2]);
        eventually("it is ready", async || again.get("/readyz").await.0 == 200).await;
    }
    let seen = load.stop().await;
    stop.store(true, Ordering::Relaxed);
    let (events, exports) = (follower.await.unwrap(), exporter.await.unwrap());
    burster.await.unwrap();
    check(&caller, &seen, events.clone()).await;
    Some(Rolled { restarts: rounds * 2, seen, exports, events: events.len(), complaints: nginx.complaints() })
}

/// What was acknowledged is there, and nothing else.
async fn check(caller: &Caller, seen: &Seen, mut events: Vec<String>) {
    for hold in &seen.held {
        let (status, found) = caller.get(&format!("/api/holds/{hold}")).await;
        assert_eq!((status, &found["status"]), (200, &json!("active")), "{found}");
    }
    let (_, product) = caller.get("/api/products/7").await;
    let units = ["held_stock", "pending_stock", "sold_stock"].map(|name| product[name].as_u64().unwrap());
    let known = [seen.held.len(), 0, seen.paid.len()].map(|units| units as u64);
    // A buyer who was refused at the very end may have stopped halfway.
    assert!(units == known || seen.samples.iter().any(|sample| !sample.is_success()), "{units:?}, not {known:?}");
    events.sort();
    let mut paid = seen.paid.clone();
    paid.sort();
    assert_eq!(events, paid, "a reader gets the event of each payment once");
    let (status, audit) = caller.get("/api/admin/audit").await;
    assert_eq!((status, &audit["ok"]), (200, &json!(true)), "{audit}");
}

#[tokio::test]
async fn two_services_behind_nginx_are_restarted_in_turn_and_no_request_is_lost() {
    let buyers = [Buyer::Holds(7), Buyer::Holds(7), Buyer::Holds(7), Buyer::Buys(7), Buyer::Buys(7), Buyer::Buys(7)];
    let Some(rolled) = restart_in_turn(2, &buyers, Duration::from_millis(10)).await else { return };
    assert!(rolled.lost().is_empty(), "{:?} of {}: {:?}", rolled.lost(), rolled.seen.samples.len(), rolled.complaints);
    assert!(rolled.exports > 0 && rolled.events > 40 && rolled.seen.held.len() > 40, "they bought");
}
