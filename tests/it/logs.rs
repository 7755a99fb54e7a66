//! What the service writes about itself.

use std::{
    fs,
    fs::File,
    io::{Read, pipe},
    net::SocketAddr,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::unix::pipe as nonblocking;

use crate::support::{
    contract::Ask,
    eventually,
    process::{command, without_settings},
    redis::{PROGRAM, PrivateRedis, free_port, signal_process},
    stock,
};

/// The trace of a caller.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The service on a folder, writing its log into a file.
fn serve(folder: &Path, addr: SocketAddr, log: &Path) -> Command {
    let mut command = command(&folder.join("data"));
    command.args(["serve", "--addr", &addr.to_string()]).stderr(File::create(log).unwrap());
    command
}

#[tokio::test]
async fn a_request_is_one_line_at_debug_and_a_failure_is_one_line_with_its_cause() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let log = folder.path().join("log");
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut service = serve(folder.path(), addr, &log)
        .env("FLASHSALE_LOG__FILTER", "info,flashsale=debug")
        .env("FLASHSALE_REDIS__CALL_TIMEOUT_MS", "50")
        .env("FLASHSALE_ADMIN__TOKEN", "a-secret-that-is-never-logged")
        .spawn()
        .unwrap();
    let client = reqwest::Client::new();
    let get = async |path: &str, id: &str| {
        let request = client.get(format!("http://{addr}{path}")).header("X-Request-Id", id);
        let request = request.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
        request.ask().await.ok().map(|response| response.status().as_u16())
    };
    eventually("it is ready", async || get("/readyz", "ready").await == Some(200)).await;
    assert_eq!(get("/api/products/7", "trace-1").await, Some(404));
    let socket = folder.path().join("data/redis.sock");
    let info = redis::IntoConnectionInfo::into_connection_info(redis::ConnectionAddr::Unix(socket)).unwrap();
    let server = crate::support::redis::pid(&mut redis::Client::open(info).unwrap().get_connection().unwrap());
    signal_process(server, "STOP");
    let failed = get("/api/products/7", "trace-2").await;
    signal_process(server, "CONT");
    assert_eq!(failed, Some(503));
    signal_process(service.id(), "TERM");
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().unwrap().success());

    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains("a-secret-that-is-never-logged"));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let about = |id: &str| lines.iter().filter(|line| line["request_id"] == id).collect::<Vec<_>>();
    let refused = about("trace-1");
    assert_eq!(refused.len(), 1, "a refusal is no failure: {refused:?}");
    assert_eq!((&refused[0]["level"], &refused[0]["status"]), (&"DEBUG".into(), &404.into()));
    let failed = about("trace-2");
    let errors: Vec<_> = failed.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!((failed.len(), errors.len()), (2, 1), "{failed:?}");
    assert_eq!(errors[0]["code"], "store_timeout");
    assert!(refused.iter().chain(&failed).all(|line| line["trace_id"] == TRACE), "{failed:?}");
    assert!(errors[0]["cause"].as_str().unwrap().contains("did not answer in time"), "{errors:?}");
}

#[tokio::test]
async fn the_log_says_once_that_redis_is_away_and_once_that_it_is_back() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let log = folder.path().join("log");
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut service = serve(folder.path(), addr, &log).env("FLASHSALE_REDIS__CALL_TIMEOUT_MS", "200").spawn().unwrap();
    let client = reqwest::Client::new();
    let ready =
        async || client.get(format!("http://{addr}/readyz")).ask().await.is_ok_and(|answer| answer.status() == 200);
    eventually("it is ready", ready).await;
    let said = |message: &str| {
        let text = fs::read_to_string(&log).unwrap();
        text.lines().filter(|line| line.contains(message)).count()
    };
    let server = crate::support::redis::pid(&mut crate::topology::connect(&folder.path().join("data")));
    for outages in 1..=2 {
        signal_process(server, "STOP");
        eventually("it is away", async || !ready().await && said("Redis does not answer:") == outages).await;
        signal_process(server, "CONT");
        eventually("it is back", async || ready().await && said("Redis answers again") == outages).await;
    }
    signal_process(service.id(), "TERM");
    assert!(service.wait().unwrap().success());
    assert_eq!([said("Redis does not answer:"), said("Redis answers again")], [2, 2]);
}

#[tokio::test]
async fn the_log_names_a_record_that_cannot_be_read() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let log = folder.path().join("log");
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut service = serve(folder.path(), addr, &log).args(["--demo"]).stdout(Stdio::null()).spawn().unwrap();
    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://{addr}{path}");
    let get = async |path: &str| client.get(url(path)).ask().await.ok().map(|response| response.status().as_u16());
    eventually("it is ready", async || get("/readyz").await == Some(200)).await;
    let made = async |path: &str, body: Value| {
        let answer: Value = client.post(url(path)).json(&body).ask().await.unwrap().json().await.unwrap();
        answer["id"].as_str().unwrap().to_owned()
    };
    let hold = made("/api/holds", json!({"product_id": 1, "quantity": 1})).await;
    let order = made("/api/orders", json!({"hold_id": hold})).await;
    let socket = folder.path().join("data/redis.sock");
    let info = redis::IntoConnectionInfo::into_connection_info(redis::ConnectionAddr::Unix(socket)).unwrap();
    let mut redis = redis::Client::open(info).unwrap().get_connection().unwrap();
    stock::set(&mut redis, "fs1:{p1}:stock", 1, "held", "none");
    let keys: Vec<String> = redis::cmd("KEYS").arg("fs1:{p1}:order:*").query(&mut redis).unwrap();
    redis::cmd("SET").arg(&keys[0]).arg("pending").exec(&mut redis).unwrap();
    assert_eq!(get("/api/products").await, Some(200));
    assert_eq!(get(&format!("/api/orders/{order}")).await, Some(503));
    signal_process(service.id(), "TERM");
    assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().unwrap().success());
    let text = fs::read_to_string(&log).unwrap();
    let errors: Vec<_> = text.lines().filter(|line| line.contains("\"level\":\"ERROR\"")).collect();
    for (logged, name) in [("left out of a list of products", "product 1 of sale p1: "), ("request failed", &order)] {
        assert!(
            errors.iter().any(|line| line.contains(logged) && line.contains(name)),
            "{logged} {name} in {errors:?}"
        );
    }
}

#[tokio::test]
async fn only_the_log_says_why_an_event_is_not_trusted() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let log = folder.path().join("log");
    let mut program = command(folder.path());
    // Each worker logs lines of one kind once a second.
    program.env("FLASHSALE_HTTP__WORKERS", "1");
    let service = Logging::start(program, File::create(&log).unwrap());
    let client = reqwest::Client::new();
    let url = |path: &str| format!("{}{path}", service.url);
    eventually("it is ready", async || service.is_ready().await).await;
    let request = client.post(url("/api/payments/webhooks/stripe")).header("stripe-signature", "t=soon,v1=00");
    let refused: Value = request.json(&json!({})).ask().await.unwrap().json().await.unwrap();
    assert!(service.stops("TERM").await);
    assert_eq!(refused["code"], "signature_invalid");
    let text = fs::read_to_string(&log).unwrap();
    for logged in [
        "nothing in webhook.secrets and webhook.stripe_secrets: every payment event will be refused",
        "\"reason\":\"the timestamp is no whole number of seconds\",\"path\":\"/api/payments/webhooks/stripe\"",
    ] {
        assert!(text.contains(logged) && !refused.to_string().contains("whole number"), "{logged} in {text}");
    }
}

#[tokio::test]
async fn the_log_names_and_counts_each_status_word_that_no_table_knows() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let log = folder.path().join("log");
    let mut program = command(folder.path());
    // Each worker logs lines of one kind once a second.
    program.env("FLASHSALE_HTTP__WORKERS", "1").env("FLASHSALE_WEBHOOK__ALLOW_UNSIGNED", "true");
    let service = Logging::start(program, File::create(&log).unwrap());
    let client = reqwest::Client::new();
    let url = |path: &str| format!("{}{path}", service.url);
    eventually("it is ready", async || service.is_ready().await).await;
    let odd = format!("\u{1b}[2J\nsettling {}", "x".repeat(500));
    let send = async |word: &str| {
        let event = json!({"idempotency_key": "k", "payload": {"status": word, "order_id": "order_p1_x"}});
        let answer = client.post(url("/api/payments/webhook")).json(&event).ask().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap()["outcome"], "ignored", "{word}");
    };
    for word in ["payd", "payed", &odd] {
        send(word).await;
    }
    let lines = || {
        let text = fs::read_to_string(&log).unwrap();
        // The last line may not be whole yet.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == "payment event with an unknown status ignored").collect::<Vec<_>>()
    };
    eventually("all are logged", async || lines().len() == 3).await;
    let words = lines().iter().map(|line| line["word"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(words, ["payd", "payed", &format!("\\u{{1b}}[2J\\nsettling {}", "x".repeat(40))]);
    // Another line about the same word comes a second later, and has counted those between.
    eventually("a line has a count", async || {
        send("payd").await;
        lines().iter().any(|line| line["word"] == "payd" && line["count"].as_u64().unwrap() > 1)
    })
    .await;
    assert!(service.stops("TERM").await);
}

/// A service on a Redis of the test that logs each request to this standard error.
struct Logging {
    service: Child,
    url: String,
    _redis: PrivateRedis,
}

impl Drop for Logging {
    /// A test that fails leaves nothing running. One that has stopped it finds nothing to kill.
    fn drop(&mut self) {
        let _stopped = self.service.kill();
        let _waited = self.service.wait();
    }
}

impl Logging {
    /// `program` has no arguments yet, or those of a shell that starts what follows.
    fn start(mut program: Command, stderr: impl Into<Stdio>) -> Self {
        let redis = PrivateRedis::start();
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
        program.args(["serve", "--addr", &addr.to_string()]).stderr(stderr);
        program.env("FLASHSALE_REDIS__URL", redis.url()).env("FLASHSALE_LOG__FILTER", "debug");
        Self { service: program.spawn().unwrap(), url: format!("http://{addr}"), _redis: redis }
    }

    async fn is_ready(&self) -> bool {
        reqwest::Client::new()
            .get(format!("{}/readyz", self.url))
            .ask()
            .await
            .is_ok_and(|answer| answer.status() == 200)
    }

    /// Makes many calls, each of which is answered and logged in a line of some thousand bytes.
    async fn log_much(&self, calls: usize) {
        let url = format!("{}/{}", self.url, "x".repeat(4_000));
        let client = reqwest::Client::new();
        for _ in 0..calls {
            assert_eq!(client.get(&url).ask().await.unwrap().status(), 404);
        }
    }

    /// Whether it ends with success after a signal.
    async fn stops(mut self, signal: &str) -> bool {
        signal_process(self.service.id(), signal);
        tokio::task::spawn_blocking(move || self.service.wait().unwrap().success()).await.unwrap()
    }
}

/// The lines of a log, without empty ones: such a line ends what a full disk tore.
fn lines(log: &str) -> Vec<Value> {
    log.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn lost(lines: &[Value]) -> u64 {
    let about = lines.iter().filter(|line| line["message"] == "log lines were lost");
    about.map(|line| line["lines"].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn a_service_whose_log_cannot_be_written_starts_serves_and_stops_in_order() {
    let folder = TempDir::with_prefix("fs").unwrap();
    for (is_pipe, signal) in [(false, "TERM"), (true, "TERM"), (false, "INT"), (true, "INT")] {
        // Nobody reads from this pipe, whose other end is closed at once.
        let nobody = || Stdio::from(pipe().unwrap().1);
        let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
        let service = Logging::start(command(folder.path()), if is_pipe { nobody() } else { full() });
        eventually("it is ready", async || service.is_ready().await).await;
        service.log_much(20).await;
        assert!(service.is_ready().await);
        assert!(service.stops(signal).await, "{signal}, {is_pipe}");
    }
}

#[tokio::test]
async fn a_demo_whose_output_and_log_cannot_be_written_serves_and_stops_in_order() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let mut program = command(&folder.path().join("data"));
    let addr = format!("127.0.0.1:{}", free_port());
    let mut service = program.args(["serve", "--demo", "--addr", &addr]).stdout(full()).stderr(full()).spawn().unwrap();
    let url = format!("http://{addr}/api/products/1");
    eventually("it sells", async || {
        reqwest::Client::new().get(&url).ask().await.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    signal_process(service.id(), "TERM");
    assert!(tokio::task::spawn_blocking(move || service.wait().unwrap().success()).await.unwrap());
}

/// A pipe that takes no more, as behind a reader that stands still.
async fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (writing, reading) = nonblocking::pipe().unwrap();
    writing.writable().await.unwrap();
    while writing.try_write(b"\n").is_ok() {}
    (writing.into_blocking_fd().unwrap(), reading.into_blocking_fd().unwrap())
}

#[tokio::test]
async fn a_reader_that_stands_still_holds_up_nothing_and_reads_later_how_much_is_lost() {
    const CALLS: usize = 700;
    let folder = TempDir::with_prefix("fs").unwrap();
    let (writing, reading) = full_pipe().await;
    let service = Logging::start(command(folder.path()), writing);
    eventually("it is ready", async || service.is_ready().await).await;
    service.log_much(CALLS).await;
    assert!(service.is_ready().await);
    let log = Arc::new(Mutex::new(String::new()));
    let copy = Arc::clone(&log);
    let reader = thread::spawn(move || {
        let (mut reading, mut bytes) = (File::from(reading), [0; 8_192]);
        while let Ok(1..) = reading.read(&mut bytes).inspect(|read| {
            copy.lock().unwrap().push_str(std::str::from_utf8(&bytes[..*read]).unwrap());
        }) {}
    });
    eventually("the loss is logged", async || log.lock().unwrap().contains("log lines were lost")).await;
    assert!(service.stops("TERM").await);
    reader.join().unwrap();
    let lines = lines(&log.lock().unwrap());
    let calls = lines.iter().filter(|line| line["path"].as_str().is_some_and(|path| path.starts_with("/xx"))).count();
    let lost = usize::try_from(lost(&lines)).unwrap();
    assert!(lost > 0 && calls < CALLS && calls + lost >= CALLS, "{calls} of {CALLS} are there, {lost} are lost");
    assert_eq!(lines.last().unwrap()["message"], "stopped", "the last line is written before it ends");
}

#[tokio::test]
async fn a_service_ends_although_nobody_reads_its_log() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let (writing, _reading) = full_pipe().await;
    let service = Logging::start(command(folder.path()), writing);
    eventually("it is ready", async || service.is_ready().await).await;
    assert!(service.stops("TERM").await);
    // One that cannot start ends too.
    let (writing, _reading) = full_pipe().await;
    let mut program = command(folder.path());
    program.args(["serve", "--addr", "192.0.2.1:1"]).stderr(writing);
    let status = tokio::task::spawn_blocking(move || program.status().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn a_log_that_has_room_again_says_how_much_is_lost() {
    const BYTES_MAX: u64 = 32_768;
    let folder = TempDir::with_prefix("fs").unwrap();
    let path = folder.path().join("log");
    let log = File::options().create(true).append(true).open(&path).unwrap();
    // No file of the service may be longer, as on a disk that is full. The unit is 512 bytes.
    let mut shell = without_settings("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"", PROGRAM]);
    let service = Logging::start(shell, log.try_clone().unwrap());
    eventually("it is ready", async || service.is_ready().await).await;
    service.log_much(20).await;
    eventually("the log is full", async || fs::metadata(&path).unwrap().len() == BYTES_MAX).await;
    log.set_len(0).unwrap();
    eventually("the loss is logged", async || fs::read_to_string(&path).unwrap().ends_with("}\n")).await;
    assert!(service.stops("TERM").await);
    let lines = lines(&fs::read_to_string(&path).unwrap());
    assert!(lost(&lines) > 10, "{lines:?}");
    let has_cause = |line: &Value| line["cause"].as_str().is_some_and(|cause| cause.contains("File too large"));
    assert!(lines.iter().any(has_cause), "{lines:?}");
}
