//! Faults of the service, of its clock, and of the machine under Redis.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use redis::cmd;
use serde_json::json;
use tempfile::TempDir;

use super::{
    load::{Buyer, Caller, HOLDS, Load, ORDERS, PAYMENTS, id, payment},
    measured::{Measured, offer, settle, until_answered},
    redis_alone::{BUYERS, CALM, PAUSE, UNITS, busy, until_it_sells},
    rolling::restart_in_turn,
};
use crate::{
    house::root,
    servers::shop::QUICK,
    support::{
        app::{ADMIN_TOKEN, run_service_of},
        clock,
        cluster::connect,
        process::{ServiceProcess, command},
        redis::{ServerProcess, free_port},
    },
};

async fn start(folder: &Path, addr: SocketAddr) -> ServiceProcess {
    let mut program = command(folder);
    program.env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
    tokio::task::spawn_blocking(move || ServiceProcess::run(program, addr)).await.unwrap()
}

/// Killed with its embedded Redis, and started again at once.
pub async fn killed() -> Measured {
    let folder = TempDir::with_prefix("fs").unwrap();
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let service = start(folder.path(), addr).await;
    let caller = Caller::of(addr);
    let product = json!({"id": 7, "sale": "drop", "name": "Item", "price": "50.00", "total_stock": UNITS});
    assert_eq!(caller.post("/api/admin/products", product).await.0, 201);
    let buyers = BUYERS.map(|buyer| match buyer {
        Buyer::Buys(_) => Buyer::Buys(7),
        Buyer::Holds(_) => Buyer::Holds(7),
    });
    let load = Load::start(&[addr], &buyers, PAUSE);
    tokio::time::sleep(CALM).await;
    let fault = Instant::now();
    service.kill();
    let _service = start(folder.path(), addr).await;
    tokio::time::sleep(CALM).await;
    let seen = load.stop().await;
    // No product with an id from 1 was offered here, so nothing is sold out.
    let measured = settle(&caller, 0, 0, fault, &seen).await;
    Measured { oversold: Some(0), unknown: None, ..measured }.without_losses()
}

pub async fn rolling_restart() -> Option<Measured> {
    let buyers = [Buyer::Holds(7), Buyer::Holds(7), Buyer::Holds(7), Buyer::Holds(7), Buyer::Buys(7), Buyer::Buys(7)];
    let rolled = restart_in_turn(6, &buyers, Duration::from_millis(5)).await?;
    let lost = rolled.lost().len();
    assert_eq!(lost, 0, "{:?}: {:?}", rolled.lost(), rolled.complaints);
    let text = format!(
        "{} restarts, lost requests {lost} of {}; the slowest answer took {} ms; {} whole exports; {} events, each once",
        rolled.restarts,
        rolled.seen.samples.len(),
        rolled.seen.slowest().as_millis(),
        rolled.exports,
        rolled.events
    );
    let answers = rolled.seen.kinds();
    // Each that was acknowledged was looked up.
    let [holds, payments] = [[0, rolled.seen.held.len()], [0, rolled.seen.paid.len()]];
    let found = Measured { holds: Some(holds), payments: Some(payments), answers, ..Measured::default() };
    Some(found.and(text))
}

/// No memory for what is new, for two seconds.
pub async fn memory_full() -> Measured {
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let (_shop, caller, load) = busy(&server.url(), &QUICK).await;
    let mut orders = Vec::new();
    for _ in 0..20 {
        let (_, hold) = caller.hold(1, None).await;
        orders.push(id(&caller.post(ORDERS, json!({"hold_id": id(&hold)})).await.1));
    }
    let set = |bytes: &str| cmd("CONFIG").arg(&["SET", "maxmemory", bytes]).exec(&mut connect(server.port)).unwrap();
    let fault = Instant::now();
    set("1");
    let mut paid = 0;
    let event = |n: usize, order: &str| payment(order, &format!("full-{n}"));
    for (n, order) in orders.iter().enumerate() {
        let (status, answer) = caller.post(PAYMENTS, event(n, order)).await;
        assert_eq!(status, 200, "{answer}");
        paid += usize::from(caller.get(&format!("{ORDERS}/{order}")).await.1["status"] == "paid");
    }
    tokio::time::sleep(CALM).await;
    set("0");
    let room = Instant::now();
    until_it_sells(&load, room).await;
    // The provider sends its events again.
    for (n, order) in orders.iter().enumerate() {
        let again = until_answered(async || caller.post(PAYMENTS, event(n, order)).await).await;
        assert_eq!(again.0, 200, "{again:?}");
    }
    let mut seen = load.stop().await;
    let back = seen.back_after(fault).unwrap_or_default();
    seen.paid.extend(orders);
    let text = format!(
        "{} ms after there was room again; of 20 events of payments while it was full, {paid} paid their order, and \
         were answered 200",
        back.saturating_sub(room - fault).as_millis()
    );
    assert_eq!(paid, 20);
    settle(&caller, 1, UNITS, fault, &seen).await.and(text).without_losses()
}

/// Redis cannot write its append-only file, for three seconds.
pub async fn disk_full() -> Measured {
    let program: PathBuf = root().join("tests/it/support/servers/limited_disk.sh");
    let server = ServerProcess::start_program(&program, &["--appendonly", "yes", "--appendfsync", "everysec"]);
    let (_shop, caller, load) = busy(&server.url(), &QUICK).await;
    let set = |most: &str| {
        let mut prlimit = Command::new("prlimit");
        prlimit.args(["--pid", &server.pid().to_string(), &format!("--fsize={most}:unlimited")]);
        assert!(prlimit.status().unwrap().success());
    };
    let fault = Instant::now();
    set("1");
    tokio::time::sleep(Duration::from_secs(3)).await;
    set("unlimited");
    let room = Instant::now();
    until_it_sells(&load, room).await;
    let seen = load.stop().await;
    assert!(seen.samples.iter().any(|sample| sample.status == 503), "the disk was not full");
    let back = seen.back_after(fault).unwrap_or_default();
    let text = format!("{} ms after there was room again", back.saturating_sub(room - fault).as_millis());
    settle(&caller, 1, UNITS, fault, &seen).await.and(text).without_losses()
}

/// The clock of the scripts steps between holds.
pub async fn clock_steps() -> Measured {
    const STEPS_MS: [i64; 6] = [5_000, 60_000, -30_000, -30_000, 3_000, -3_600_000];
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let mut redis = connect(server.port);
    let mut now_ms = clock::start_ms(&mut redis);
    clock::set_now(&mut redis, "drop", now_ms);
    let settings = [("HTTP__WORKERS", "1"), ("SALE__HOLD_SECONDS", "900")];
    let (addr, handle, thread) = run_service_of(&server.url(), &settings, clock::catalogue());
    let caller = Caller::of(addr);
    offer(&caller, &["drop"], UNITS).await;
    let mut holds = vec![id(&caller.hold(1, None).await.1)];
    let mut measured = Measured::default();
    for step_ms in STEPS_MS {
        now_ms += step_ms;
        clock::set_now(&mut redis, "drop", now_ms);
        let (status, hold) = caller.hold(1, None).await;
        *measured.answers.entry(status.to_string()).or_default() += 1;
        holds.push(id(&hold));
    }
    let mut kept = 0;
    for hold in &holds {
        kept += usize::from(caller.get(&format!("{HOLDS}/{hold}")).await.0 == 200);
    }
    assert_eq!(kept, holds.len(), "a hold was taken from its buyer");
    measured.holds = Some([holds.len() - kept, holds.len()]);
    drop(handle.stop(true));
    tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    measured.and("steps of 5 s, 60 s, -30 s, -30 s, 3 s and -1 h")
}
