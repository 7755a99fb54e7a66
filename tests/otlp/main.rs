//! Traces: what a collector gets, and that nobody waits for one. A binary of its own, so that the other tests are not built once
//! more for the feature: `make test-otlp`.

#![cfg(feature = "otlp")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;
use reqwest::{Client, Method};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
/// More than wait for a collector at the same time, by far.
const REQUESTS: usize = 6_400;
const BUYERS: usize = 64;
const WAIT_MAX: Duration = Duration::from_mins(1);

type Attributes = BTreeMap<String, String>;

/// A small collector: takes `POST /v1/traces`, and keeps what came.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

impl Collector {
    fn start() -> (Self, SocketAddr) {
        let (collector, listener) = (Self::default(), TcpListener::bind("127.0.0.1:0").unwrap());
        let addr = listener.local_addr().unwrap();
        let taken = collector.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| taken.take(&stream)));
        (collector, addr)
    }

    fn take(&self, mut stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(bytes) = line.strip_prefix("content-length: ") {
                length = bytes.parse().unwrap();
            }
            head.push(line);
        }
        assert_eq!(head[0], "post /v1/traces http/1.1");
        assert!(head.contains(&"content-type: application/x-protobuf".to_owned()), "{head:?}");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        self.0.lock().unwrap().push(ExportTraceServiceRequest::decode(&body[..]).unwrap());
        let answer = ExportTraceServiceResponse::default().encode_to_vec();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all(&[head.as_bytes(), &answer].concat()).unwrap();
    }

    /// All spans, each with the attributes of its resource.
    fn spans(&self) -> Vec<(Attributes, Span)> {
        let mut all = Vec::new();
        for of_resource in self.0.lock().unwrap().iter().flat_map(|message| &message.resource_spans) {
            let resource = attributes(&of_resource.resource.as_ref().unwrap().attributes);
            let spans = of_resource.scope_spans.iter().flat_map(|of_scope| &of_scope.spans);
            all.extend(spans.map(|span| (resource.clone(), span.clone())));
        }
        all
    }
}

fn attributes(list: &[KeyValue]) -> Attributes {
    let text = |pair: &KeyValue| match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    list.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}

/// The service with a demo sale, and a collector in its settings.
struct Service {
    child: Child,
    addr: SocketAddr,
    client: Client,
    folder: TempDir,
}

impl Service {
    async fn start(collector: SocketAddr, settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::with_prefix("fs").unwrap();
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_flashsale"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("FLASHSALE_REDIS__DATA_DIR", folder.path().join("data")).env("FLASHSALE_HTTP__WORKERS", "2");
        command.env("FLASHSALE_TRACING__OTLP_ENDPOINT", format!("http://{collector}"));
        settings.iter().for_each(|(name, value)| {
            command.env(format!("FLASHSALE_TRACING__{name}"), value);
        });
        let log = File::create(folder.path().join("log")).unwrap();
        let child = command.args(["serve", "--demo", "--addr", &addr.to_string()]).stderr(log).spawn().unwrap();
        let service = Self { child, addr, client: Client::new(), folder };
        let started = Instant::now();
        while service.client.get(format!("http://{addr}/readyz")).send().await.is_err() {
            assert!(started.elapsed() < WAIT_MAX, "it is not ready: {}", service.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        service
    }

    /// Sends a request, as a part of a trace that its caller keeps or does not keep.
    async fn ask(&self, method: Method, path: &str, flags: Option<&str>, body: Json) -> (u16, Json) {
        let mut request = self.client.request(method.clone(), format!("http://{}{path}", self.addr));
        if let Some(flags) = flags {
            request = request.header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}"));
        }
        if method == Method::POST {
            request = request.json(&body);
        }
        let answer = request.header("X-Request-Id", "of-the-test").send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Stops it in order, and gives its log.
    fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let started = Instant::now();
        let ended = loop {
            if let Some(ended) = self.child.try_wait().unwrap() {
                break ended;
            }
            assert!(started.elapsed() < WAIT_MAX, "it does not stop: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        };
        assert!(ended.success(), "{}", self.log());
        self.log()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_request_is_a_part_of_its_callers_trace_and_what_it_waits_for_is_below_it() {
    let (collector, addr) = Collector::start();
    // Only what a caller keeps is kept.
    let service = Service::start(addr, &[("SAMPLE_RATIO", "0")]).await;
    let wanted = json!({"product_id": 1, "quantity": 1});
    let (status, hold) = service.ask(Method::POST, "/api/holds", Some("01"), wanted.clone()).await;
    assert_eq!(status, 201, "{hold}");
    let id = hold["id"].as_str().unwrap();
    let path = format!("/api/holds/{id}");
    assert_eq!(service.ask(Method::GET, &path, Some("01"), Json::Null).await.0, 200);
    assert_eq!(service.ask(Method::GET, "/api/products/9999", Some("01"), Json::Null).await.0, 404);
    assert_eq!(service.ask(Method::POST, "/api/holds", Some("00"), wanted.clone()).await.0, 201);
    assert_eq!(service.ask(Method::POST, "/api/holds", None, wanted).await.0, 201);
    // What waits is sent before it ends.
    service.stop();

    let spans = collector.spans();
    let find = |name: &str| {
        let found: Vec<_> = spans.iter().map(|(_, span)| span).filter(|span| span.name == name).collect();
        let [one] = &found[..] else { panic!("{name}: {} of {:?}", found.len(), names(&spans)) };
        (*one).clone()
    };
    let hold = find("POST /api/holds");
    assert_eq!((hex(&hold.trace_id).as_str(), hex(&hold.parent_span_id).as_str()), (TRACE, CALLER));
    assert_eq!(hold.kind(), SpanKind::Server);
    assert!(hold.end_time_unix_nano >= hold.start_time_unix_nano);
    let expected = [
        ("flashsale.request_id", "of-the-test"),
        ("http.request.method", "POST"),
        ("http.response.status_code", "201"),
        ("http.route", "/api/holds"),
    ];
    let expected: Attributes = expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    assert_eq!(attributes(&hold.attributes), expected);
    let batch = find("batch hold");
    assert_eq!((&batch.trace_id, &batch.parent_span_id), (&hold.trace_id, &hold.span_id));

    let read = find("GET /api/holds/{id}");
    let call = find("EVALSHA find_hold");
    assert_eq!((&call.trace_id, &call.parent_span_id, call.kind()), (&read.trace_id, &read.span_id, SpanKind::Client));
    let of_call = attributes(&call.attributes);
    assert_eq!(of_call["db.system.name"], "redis");
    assert_eq!((&*of_call["db.operation.name"], &*of_call["db.stored_procedure.name"]), ("EVALSHA", "find_hold"));
    assert!(of_call["server.address"].ends_with("redis.sock"), "{of_call:?}");

    // A refusal is no failure.
    let refused = find("GET /api/products/{id}");
    assert_eq!(attributes(&refused.attributes)["http.response.status_code"], "404");
    assert_eq!(refused.status.unwrap_or_default().code, 0);
    for (resource, span) in &spans {
        assert_eq!(
            (&*resource["service.name"], &*resource["service.version"]),
            ("flashsale", env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(resource["service.instance.id"].len(), 32);
        assert!(!format!("{span:?}").contains(id), "the id of a hold is its buyer's: {span:?}");
    }
}

fn names(spans: &[(Attributes, Span)]) -> Vec<&str> {
    spans.iter().map(|(_, span)| span.name.as_str()).collect()
}

#[tokio::test]
async fn where_callers_are_strangers_a_request_begins_a_trace_of_its_own() {
    let (collector, addr) = Collector::start();
    let service = Service::start(addr, &[("SAMPLE_RATIO", "1"), ("TRUST_CALLERS", "false")]).await;
    assert_eq!(service.ask(Method::GET, "/api/products/1", Some("00"), Json::Null).await.0, 200);
    service.stop();
    let spans = collector.spans();
    let (_, read) = spans.iter().find(|(_, span)| span.name == "GET /api/products/{id}").unwrap();
    assert_ne!(hex(&read.trace_id), TRACE);
    assert!(read.parent_span_id.is_empty(), "{read:?}");
}

#[tokio::test]
async fn a_collector_that_is_away_or_hangs_fails_no_request_and_the_log_says_it_once() {
    // Nobody listens on the one. The other accepts by itself, and nobody ever answers.
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    for collector in [away, hangs.local_addr().unwrap()] {
        let service = Service::start(collector, &[("SAMPLE_RATIO", "1")]).await;
        let buyers = (0..BUYERS).map(|_| async {
            for _ in 0..REQUESTS / BUYERS {
                let (status, product) = service.ask(Method::GET, "/api/products/1", None, Json::Null).await;
                assert_eq!((status, &product["id"]), (200, &json!(1)));
            }
        });
        futures_util::future::join_all(buyers).await;
        let started = Instant::now();
        while !service.log().contains("the collector takes no spans") {
            assert!(started.elapsed() < WAIT_MAX, "{}", service.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = service.stop();
        assert_eq!(log.matches("the collector takes no spans").count(), 1, "{log}");
    }
}
