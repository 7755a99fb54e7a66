//! Traces: what a collector gets, and that nobody waits for one. A binary of its own, so that the other tests are not built once
//! more for the feature: `make test-otlp`.

#![cfg(feature = "otlp")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod collector;
mod service;

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value as Json, json};

use self::{
    collector::{Attributes, Collector, attributes},
    service::{ADMIN_TOKEN, Service, answer, lines},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const ALL: (&str, &str) = ("FLASHSALE_TRACING__SAMPLE_RATIO", "1");
const NONE: (&str, &str) = ("FLASHSALE_TRACING__SAMPLE_RATIO", "0");
/// Each has two spans: more than wait for a collector at the same time, by far.
const REQUESTS: usize = 3_200;
const BUYERS: usize = 64;
/// What a service may need to stop, beside the two seconds for a collector.
const STOP_MAX: Duration = Duration::from_secs(6);

/// The request as a part of a trace that its caller keeps (`01`) or does not keep (`00`).
fn traced(request: RequestBuilder, flags: &str) -> RequestBuilder {
    request.header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}")).header("X-Request-Id", "of-the-test")
}

fn hold() -> Json {
    json!({"product_id": 1, "quantity": 1, "customer_id": "anna-of-the-test"})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Trace and parent.
fn place(span: &Span) -> (String, String) {
    (hex(&span.trace_id), hex(&span.parent_span_id))
}

fn is_below(span: &Span, parent: &Span) -> bool {
    (&span.trace_id, &span.parent_span_id) == (&parent.trace_id, &parent.span_id)
}

#[tokio::test]
async fn a_request_is_a_part_of_its_callers_trace_and_what_it_waits_for_is_below_it() {
    let (collector, addr) = Collector::start();
    // Only what a caller keeps is kept.
    let of_others = [
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-of-the-test=yes"),
    ];
    let service = Service::start(Some(addr), &[&[NONE][..], &of_others].concat()).await;
    let post = || service.request(Method::POST, "/api/holds").json(&hold());
    let get = |path: &str| service.request(Method::GET, path);
    // Of several lines, the state is all of them.
    let (status, made) =
        answer(traced(post(), "01").header("tracestate", "shop=4711").header("tracestate", "edge=x")).await;
    assert_eq!(status, 201, "{made}");
    let path = format!("/api/holds/{}", made["id"].as_str().unwrap());
    assert_eq!(answer(traced(get(&path), "01")).await.0, 200);
    assert_eq!(answer(traced(get("/api/products/9999"), "01")).await.0, 404);
    assert_eq!(answer(traced(post(), "00")).await.0, 201);
    assert_eq!(answer(post()).await.0, 201);
    // What waits is sent before it ends.
    service.stop();

    let hold = collector.only("POST /api/holds");
    assert_eq!(place(&hold), (TRACE.to_owned(), CALLER.to_owned()));
    assert_eq!(hold.kind(), SpanKind::Server);
    assert!(hold.end_time_unix_nano >= hold.start_time_unix_nano);
    assert_eq!(hold.trace_state, "shop=4711,edge=x");
    let expected = [
        ("flashsale.request_id", "of-the-test"),
        ("http.request.method", "POST"),
        ("http.response.status_code", "201"),
        ("http.route", "/api/holds"),
    ];
    let expected: Attributes = expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    assert_eq!(attributes(&hold.attributes), expected);
    let batch = collector.only("batch hold");
    assert!(is_below(&batch, &hold), "{batch:?}");

    let read = collector.only("GET /api/holds/{id}");
    let call = collector.only("EVALSHA find_hold");
    assert!(is_below(&call, &read) && call.kind() == SpanKind::Client, "{call:?}");
    let of_call = attributes(&call.attributes);
    assert_eq!(of_call["db.system.name"], "redis");
    assert_eq!((&*of_call["db.operation.name"], &*of_call["db.stored_procedure.name"]), ("EVALSHA", "find_hold"));
    assert!(of_call["server.address"].ends_with("redis.sock"), "{of_call:?}");

    // A refusal is no failure.
    let refused = collector.only("GET /api/products/{id}");
    assert_eq!(attributes(&refused.attributes)["http.response.status_code"], "404");
    assert_eq!(refused.status.unwrap_or_default().code, 0);
    assert!(collector.heads().iter().all(|head| head.contains(&"x-of-the-test: yes".to_owned())));
    for (resource, _) in collector.spans() {
        assert_eq!(
            (&*resource["service.name"], &*resource["service.version"]),
            ("flashsale", env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(resource["service.instance.id"].len(), 32);
        assert_eq!(resource["deployment.environment.name"], "test");
    }
}

#[tokio::test]
async fn no_span_has_a_secret_or_a_customer_in_it() {
    let (collector, addr) = Collector::start();
    let service = Service::start(Some(addr), &[ALL]).await;
    let key = "key-of-the-test";
    let (status, made) =
        answer(service.request(Method::POST, "/api/holds").header("Idempotency-Key", key).json(&hold())).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap();
    assert_eq!(answer(service.request(Method::GET, &format!("/api/holds/{id}"))).await.0, 200);
    let admin = |path: &str| service.request(Method::GET, path).bearer_auth(ADMIN_TOKEN);
    assert_eq!(answer(admin("/api/admin/customers/anna-of-the-test")).await.0, 200);
    assert_eq!(answer(admin("/api/admin/orders?customer_id=anna-of-the-test")).await.0, 200);
    assert_eq!(answer(service.request(Method::GET, "/api/of-no-route/anna-of-the-test")).await.0, 404);
    service.stop();

    assert_eq!(collector.named("GET /api/admin/customers/{id}").len(), 1);
    // What has no route has its method alone. So has the command of Redis.
    assert_eq!(collector.named("GET").iter().filter(|span| span.kind() == SpanKind::Server).count(), 1);
    let spans = collector.spans();
    for secret in [id, key, "anna-of-the-test", ADMIN_TOKEN, "Bearer"] {
        assert!(!format!("{spans:?}").contains(secret), "{secret}: {spans:?}");
    }
}

#[tokio::test]
async fn a_traceparent_that_is_none_begins_a_trace_of_its_own() {
    let (collector, addr) = Collector::start();
    let service = Service::start(Some(addr), &[ALL]).await;
    let get = || service.request(Method::GET, "/api/products/1").header("tracestate", "shop=4711");
    let whole = format!("00-{TRACE}-{CALLER}-00");
    let malformed = [
        String::new(),
        "00".to_owned(),
        whole.to_uppercase().replace("4BF", "4BG"),
        format!("{whole}-more"),
        format!("ff-{TRACE}-{CALLER}-01"),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
    ];
    for text in &malformed {
        assert_eq!(answer(get().header("traceparent", text)).await.0, 200, "{text}");
    }
    // Nobody knows which one of two is meant.
    assert_eq!(answer(get().header("traceparent", &whole).header("traceparent", &whole)).await.0, 200);
    service.stop();
    let spans = collector.named("GET /api/products/{id}");
    assert_eq!(spans.len(), malformed.len() + 1);
    for span in spans {
        let (trace, parent) = place(&span);
        assert!(trace != TRACE && parent.is_empty() && span.trace_state.is_empty(), "{span:?}");
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_read_leaves_the_trace_as_it_is() {
    let (collector, addr) = Collector::start();
    let service = Service::start(Some(addr), &[NONE]).await;
    for state in ["no-pair", &format!("shop={}", "x".repeat(600))] {
        let request = service.request(Method::GET, "/api/products/1").header("tracestate", state);
        assert_eq!(answer(traced(request, "01")).await.0, 200);
    }
    service.stop();
    let spans = collector.named("GET /api/products/{id}");
    assert_eq!(spans.len(), 2);
    for span in spans {
        assert_eq!((place(&span), &*span.trace_state), ((TRACE.to_owned(), CALLER.to_owned()), ""));
    }
}

#[tokio::test]
async fn where_callers_are_strangers_a_request_begins_a_trace_of_its_own_and_the_log_names_it() {
    let (collector, addr) = Collector::start();
    let settings =
        [ALL, ("FLASHSALE_TRACING__TRUST_CALLERS", "false"), ("FLASHSALE_LOG__FILTER", "info,flashsale::http=debug")];
    let service = Service::start(Some(addr), &settings).await;
    assert_eq!(answer(traced(service.request(Method::GET, "/api/products/1"), "00")).await.0, 200);
    let (log, _) = service.stop();
    let read = collector.only("GET /api/products/{id}");
    assert_ne!(hex(&read.trace_id), TRACE);
    assert!(read.parent_span_id.is_empty(), "{read:?}");
    let [line] = &lines(&log, "of-the-test")[..] else { panic!("{log}") };
    assert_eq!(line["trace_id"], hex(&read.trace_id));
}

/// So many requests, of many at the same time, all of which are answered.
async fn buy(service: &Service, requests: usize) {
    let buyers = (0..BUYERS).map(|_| async {
        for _ in 0..requests / BUYERS {
            let (status, product) = answer(service.request(Method::GET, "/api/products/1")).await;
            assert_eq!((status, &product["id"]), (200, &json!(1)));
        }
    });
    futures_util::future::join_all(buyers).await;
}

#[tokio::test]
async fn a_collector_that_is_away_or_hangs_costs_buyers_nothing_and_the_log_counts_what_is_lost() {
    // Nobody listens on the one. The other accepts by itself, and nobody ever answers.
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    for (collector, reason) in [(away, "refused"), (hangs.local_addr().unwrap(), "no answer within 5 s")] {
        let service = Service::start(Some(collector), &[ALL]).await;
        let started = Instant::now();
        buy(&service, REQUESTS).await;
        service.eventually(async || service.log().contains("the collector takes no spans")).await;
        let (log, stopped) = service.stop();
        let warnings = lines(&log, "the collector takes no spans");
        assert!(warnings.len() as u64 <= 1 + started.elapsed().as_secs() / 60, "{log}");
        let count = |line: &Json| line["lost"].as_u64().unwrap();
        assert!(warnings[0]["level"] == "WARN" && count(&warnings[0]) > 0, "{log}");
        assert!(warnings[0]["error"].as_str().unwrap().contains(reason), "{log}");
        let [rest] = &lines(&log, "the last spans were not sent")[..] else { panic!("{log}") };
        let all = warnings.iter().map(count).sum::<u64>() + count(rest);
        assert!(all >= 2 * REQUESTS as u64, "{all} of {REQUESTS} requests, each with a call: {log}");
        assert!(stopped < STOP_MAX, "{stopped:?}");
    }
}

#[tokio::test]
async fn a_collector_that_is_slow_gets_what_it_takes_and_the_log_counts_the_rest() {
    let (collector, addr) = Collector::start();
    collector.be_slow(Duration::from_secs(4));
    let service = Service::start(Some(addr), &[ALL]).await;
    let warning = "spans came faster than the collector took them";
    service
        .eventually(async || {
            buy(&service, REQUESTS / 8).await;
            service.log().contains(warning)
        })
        .await;
    let (log, stopped) = service.stop();
    let [first, ..] = &lines(&log, warning)[..] else { panic!("{log}") };
    assert!(first["level"] == "WARN" && first["lost"].as_u64().unwrap() > 0, "{log}");
    assert!(!collector.spans().is_empty() && !log.contains("takes no spans"), "{log}");
    assert!(stopped < STOP_MAX, "{stopped:?}");
}

#[tokio::test]
async fn a_collector_that_refuses_spans_gets_those_that_come_after_it_takes_them_again() {
    let (collector, addr) = Collector::start();
    collector.refuse(true);
    let service = Service::start(Some(addr), &[NONE]).await;
    let get = || traced(service.request(Method::GET, "/api/products/1"), "01");
    assert_eq!(answer(get()).await.0, 200);
    service.eventually(async || service.log().contains("the collector takes no spans")).await;
    collector.refuse(false);
    assert_eq!(answer(get()).await.0, 200);
    service.eventually(async || service.log().contains("the collector takes spans again")).await;
    let (log, _) = service.stop();
    assert_eq!(collector.named("GET /api/products/{id}").len(), 1, "{log}");
    let [refused] = &lines(&log, "the collector takes no spans")[..] else { panic!("{log}") };
    assert!(refused["error"].as_str().unwrap().contains("500"), "{refused}");
    assert!(lines(&log, "the last spans").is_empty(), "{log}");
}

/// Whether a thread of the program sends spans.
#[cfg(target_os = "linux")]
fn sends(service: &Service) -> bool {
    use std::fs;

    let threads = fs::read_dir(format!("/proc/{}/task", service.pid())).unwrap();
    let name = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
    threads.flatten().any(|thread| name(thread).starts_with("OpenTelemetry"))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_a_collector_in_the_settings_nothing_sends() {
    let (_, addr) = Collector::start();
    assert!(sends(&Service::start(Some(addr), &[ALL]).await));
    let service = Service::start(None, &[ALL]).await;
    assert!(!sends(&service));
    assert_eq!(answer(traced(service.request(Method::GET, "/api/products/1"), "01")).await.0, 200);
    let (log, _) = service.stop();
    assert!(lines(&log, "traces").is_empty(), "{log}");
}
