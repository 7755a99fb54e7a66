//! The cost of an export to the service: memory that does not grow with the number of orders, and no delay of a stop.

use std::{fs, net::SocketAddr, process::Command, time::Instant};

use reqwest::Client;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{
    app::ADMIN_TOKEN,
    contract::Ask,
    eventually,
    process::{ServiceProcess, command},
    redis::{PrivateRedis, free_port, signal_process},
    seed,
};

const FEW: usize = 1_000;
/// About 11 MB of NDJSON, of which sockets take about 5 MB.
const MANY: usize = 20_000;
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";
const GROWTH_KIB_MAX: u64 = 3 * 1_024;

/// A service of its own on a Redis of its own, with a sale of few orders and one of many.
async fn service(redis: &PrivateRedis, folder: &TempDir) -> ServiceProcess {
    let mut command: Command = command(folder.path());
    command.env("FLASHSALE_REDIS__URL", redis.url()).env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
    command.env("FLASHSALE_HTTP__SHUTDOWN_SECONDS", "1").env("FLASHSALE_HTTP__WORKERS", "1");
    let service = ServiceProcess::run(command, ([127, 0, 0, 1], free_port()).into());
    for (id, sale, orders) in [(11, "few", FEW), (12, "many", MANY)] {
        let product = json!({"id": id, "sale": sale, "name": "Item", "price": "5.00", "total_stock": 1_000_000});
        let url = format!("{}/api/admin/products", service.url());
        let made = Client::new().post(url).bearer_auth(ADMIN_TOKEN).json(&product).ask().await.unwrap();
        assert_eq!(made.status().as_u16(), 201);
        seed::orders(&redis.url(), id, orders).await;
    }
    service
}

/// The most memory that a process ever had, in KiB; `None` where the system does not say.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Reads a whole body in small pieces; gives how many orders came.
async fn count_orders(mut stream: TcpStream) -> usize {
    let (mut orders, mut piece, mut end) = (0, vec![0; 8 << 10], Vec::new());
    while !end.ends_with(LAST_CHUNK) {
        let bytes = stream.read(&mut piece).await.unwrap();
        assert!(bytes > 0, "the export broke off");
        orders += piece[..bytes].split(|byte| *byte == b'}').count() - 1;
        end.extend_from_slice(&piece[..bytes]);
        end.drain(..end.len().saturating_sub(LAST_CHUNK.len()));
    }
    // An order is an object with one item.
    orders / 2
}

async fn read_what_comes(stream: &mut TcpStream) -> Vec<u8> {
    let mut body = Vec::new();
    let _reset = stream.read_to_end(&mut body).await;
    assert!(!body.is_empty());
    body
}

/// Scripts that Redis ran.
fn scripts_run(redis: &PrivateRedis) -> u64 {
    let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut redis.connect()).unwrap();
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap();
    line.split(',').next().unwrap().parse().unwrap()
}

/// A client that takes little before it reads, so that the service must wait for it.
async fn reluctant(addr: SocketAddr, sale: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut stream = socket.connect(addr).await.unwrap();
    let head = format!(
        "GET /api/admin/orders/export?format=ndjson&sale={sale} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// An export of many orders to a client that reads nothing, once the service has stopped to ask Redis.
async fn waiting(redis: &PrivateRedis, service: &ServiceProcess) -> TcpStream {
    let stream = reluctant(service.addr, "many").await;
    let (mut last, mut since) = (scripts_run(redis), Instant::now());
    eventually("the service waits for its client", async || {
        let run = scripts_run(redis);
        if run != last {
            (last, since) = (run, Instant::now());
        }
        since.elapsed().as_millis() > 300
    })
    .await;
    stream
}

#[tokio::test]
async fn a_slow_client_costs_no_memory_and_delays_no_stop_and_notices_when_redis_goes() {
    let (redis, folder) = (PrivateRedis::start(), TempDir::with_prefix("fs").unwrap());
    let service = service(&redis, &folder).await;
    memory_does_not_grow_with_the_number_of_orders(&redis, &service).await;

    let mut stream = waiting(&redis, &service).await;
    let redis_pid = redis.pid();
    signal_process(redis_pid, "STOP");
    let cut = read_what_comes(&mut stream).await;
    signal_process(redis_pid, "CONT");
    assert!(!cut.ends_with(LAST_CHUNK), "Redis went, and what came looks whole");

    let mut stream = waiting(&redis, &service).await;
    assert!(service.stop(), "it stops in order, although the export did not end");
    assert!(!read_what_comes(&mut stream).await.ends_with(LAST_CHUNK), "what was cut looks whole");
}

async fn memory_does_not_grow_with_the_number_of_orders(redis: &PrivateRedis, service: &ServiceProcess) {
    assert_eq!(count_orders(reluctant(service.addr, "few").await).await, FEW);
    let (before, scripts) = (peak_kib(service.pid()), scripts_run(redis));
    let stream = waiting(redis, service).await;
    let pages = (scripts_run(redis) - scripts) / 2;
    assert!(pages < 150, "{pages} of 200 pages were read for a client that took none");
    assert_eq!(count_orders(stream).await, MANY);
    if let (Some(before), Some(after)) = (before, peak_kib(service.pid())) {
        println!("{pages} pages were read ahead; at most {before} KiB before, {after} KiB after");
        assert!(after.saturating_sub(before) < GROWTH_KIB_MAX, "from {before} to {after} KiB");
    }
}
