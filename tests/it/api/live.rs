//! GET /api/products/{id}/live and /api/sales/{id}/live.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    contract::Ask,
    eventually,
    nginx::Nginx,
    process::{ServiceProcess, command},
    redis::{ServerProcess, free_port, signal_process},
    sse::{Event, EventStream},
};

fn live(app: &TestApp, path: &str) -> RequestBuilder {
    app.request(Method::GET, path)
}

async fn product_stream(app: &TestApp) -> EventStream {
    EventStream::open(live(app, "/api/products/1/live")).await
}

fn has_available(units: u64) -> impl Fn(&Event) -> bool {
    move |event| event.data["available_stock"] == units
}

#[tokio::test]
async fn a_stream_begins_with_the_product_and_ends_up_with_its_last_stock() {
    let app = TestApp::selling(100).await;
    let mut stream = product_stream(&app).await;
    let first = stream.next().await.unwrap();
    assert_eq!(first.name, "product");
    assert_eq!(first.data, app.get("/api/products/1").await.body, "an event has what a read has");
    assert!((2_000..5_000).contains(&stream.retry_ms.unwrap()), "{:?}", stream.retry_ms);
    for _ in 0..30 {
        app.held().await;
    }
    let seen = stream.until(has_available(70)).await;
    let stocks: Vec<_> = seen.iter().map(|event| event.data["available_stock"].as_u64().unwrap()).collect();
    assert!(stocks.is_sorted_by(|before, after| before > after), "it only falls: {stocks:?}");
}

#[tokio::test]
async fn units_that_lapse_are_back_in_the_stream_though_nobody_asks_for_them() {
    let app = TestApp::start_with(&[("SALE__HOLD_SECONDS", "1")]).with_units(3).await;
    let mut stream = product_stream(&app).await;
    app.held().await;
    stream.until(has_available(2)).await;
    stream.until(has_available(3)).await;
}

#[tokio::test]
async fn the_stream_of_a_sale_says_what_changed_what_is_new_and_what_is_gone() {
    let app = TestApp::start();
    for id in 1..=3 {
        let product = json!({"id": id, "sale": "drop", "name": "Item", "price": "5.00", "total_stock": 10});
        app.add_product(product).await;
    }
    let mut stream = EventStream::open(live(&app, "/api/sales/drop/live")).await;
    let first = stream.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data["sale"]), ("products", &json!("drop")));
    assert_eq!(first.data["products"], app.get("/api/products?sale=drop").await.body["data"]);
    app.held().await;
    let changes = stream.next().await.unwrap();
    assert_eq!((changes.name.as_str(), &changes.data["removed"]), ("changes", &json!([])));
    let rows = changes.data["products"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["id"], &rows[0]["held_stock"]), (1, &json!(1), &json!(1)));
    app.add_product(json!({"id": 4, "sale": "drop", "name": "New", "price": "5.00", "total_stock": 1})).await;
    assert_eq!(stream.next().await.unwrap().data["products"][0]["name"], "New");
    let hidden = app.admin(Method::PATCH, "/api/admin/products/2", json!({"visibility": "hidden"})).await;
    assert_eq!(hidden.status, 200, "{hidden:?}");
    assert_eq!(stream.next().await.unwrap().data["removed"], json!([2]));
}

#[tokio::test]
async fn a_browser_that_comes_back_is_not_sent_what_it_knows() {
    let app = TestApp::selling(10).await;
    let known = product_stream(&app).await.next().await.unwrap();
    let again = |id: &str| live(&app, "/api/products/1/live").header("Last-Event-ID", id);
    let mut back = EventStream::open(again(&known.id)).await;
    app.held().await;
    assert_eq!(back.next().await.unwrap().data["available_stock"], 9, "the next event is the change");
    let mut back = EventStream::open(again(&known.id)).await;
    assert_eq!(back.next().await.unwrap().data["available_stock"], 9, "what it missed comes at once");
}

#[tokio::test]
async fn what_nobody_can_see_has_no_stream_and_what_is_deleted_ends_its_stream() {
    let app = TestApp::selling(1).await;
    for path in ["/api/products/2/live", "/api/products/x/live", "/api/sales/none/live", "/api/sales/%20/live"] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
    let answer = app.send(app.request(Method::POST, "/api/products/1/live")).await;
    assert_eq!((answer.status, answer.headers["allow"].as_str()), (405, "GET, HEAD, OPTIONS"));
    assert_eq!(app.get("/api/products/1/live?interval=1").await.body["code"], "unknown_parameter");
    let head = app.request(Method::HEAD, "/api/products/1/live").ask().await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["content-type"]), (200, &"text/event-stream".parse().unwrap()));
    let mut stream = product_stream(&app).await;
    stream.next().await.unwrap();
    let deleted = app.admin(Method::DELETE, "/api/admin/products/1", json!(null)).await;
    assert!([200, 204].contains(&deleted.status), "{deleted:?}");
    assert_eq!(stream.next().await.unwrap().name, "gone");
    assert_eq!(stream.next().await, None);
    assert_eq!(app.get("/api/products/1/live").await.status, 404);
}

#[tokio::test]
async fn places_of_watchers_are_bounded_and_free_again_when_one_leaves() {
    let app = TestApp::start_with(&[("HTTP__WATCHERS_MAX", "2")]).with_units(1_000).await;
    let (mut one, mut other) = (product_stream(&app).await, product_stream(&app).await);
    one.next().await.unwrap();
    other.next().await.unwrap();
    let refused = app.get("/api/products/1/live").await;
    assert_eq!((refused.status, &refused.body["code"]), (503, &json!("too_many_watchers")));
    assert_eq!(refused.headers["retry-after"], "5");
    let watchers = async || {
        let scraped = app.request(Method::GET, "/metrics").bearer_auth(ADMIN_TOKEN).ask().await.unwrap();
        let text = scraped.text().await.unwrap();
        text.lines().find_map(|line| line.strip_prefix("flashsale_watchers ")?.parse::<u64>().ok())
    };
    assert_eq!(watchers().await, Some(2));
    drop(one);
    eventually("its place is free, once something was sent to it", async || {
        app.held().await;
        watchers().await == Some(1)
    })
    .await;
    product_stream(&app).await.next().await.unwrap();
}

/// A request on a connection of its own, and what came of the answer by the time that it has this text.
async fn raw(app: &TestApp, head: &str, text: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(app.addr).await.unwrap();
    stream
        .write_all(format!("{head}\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(text) {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "{}", String::from_utf8_lossy(&answer));
    }
    (stream, String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn whoever_leaves_a_stream_in_which_nothing_happens_gives_up_the_place_before_the_next_sign_of_life() {
    let app = TestApp::start_with(&[("HTTP__WATCHERS_MAX", "2"), ("HTTP__WORKERS", "1")]).with_units(10).await;
    for _ in 0..3 {
        let mut stays = raw(&app, "GET /api/products/1/live HTTP/1.1", "}\n\n\r\n").await.0;
        // All of it was read, so that the connection ends in order and nothing says that nobody reads any more.
        let (leaves, _) = raw(&app, "GET /api/products/1/live HTTP/1.1", "}\n\n\r\n").await;
        drop(leaves);
        let head = async || app.request(Method::HEAD, "/api/products/1/live").ask_head().await.unwrap().status() == 200;
        let free = eventually("its place is free", head);
        tokio::select! {
            () = free => {}
            _ = stays.read_u8() => panic!("a heartbeat was needed to see that somebody had left"),
        }
    }
}

#[tokio::test]
async fn whoever_gives_up_waiting_for_events_leaves_the_place_to_others_before_the_wait_is_over() {
    let app = TestApp::start_with(&[("HTTP__WORKERS", "1")]).with_units(10).await;
    let target = "GET /api/admin/events?after=latest&wait=30 HTTP/1.1";
    let (mut stays, mut leaves) =
        (TcpStream::connect(app.addr).await.unwrap(), TcpStream::connect(app.addr).await.unwrap());
    for stream in [&mut stays, &mut leaves] {
        let head = format!("{target}\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
    }
    assert_eq!(app.get("/livez").await.status, 200);
    // Its half of the connection, so that the end of the wait can be seen here.
    leaves.shutdown().await.unwrap();
    let mut answer = String::new();
    tokio::select! {
        read = leaves.read_to_string(&mut answer) => assert!(read.unwrap() > 0),
        _ = stays.read_u8() => panic!("a reader that had left was waited for"),
    }
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(r#""data":[]"#), "{answer}");
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_a_stream_without_chunks() {
    let app = TestApp::selling(10).await;
    let (_stream, answer) = raw(&app, "GET /api/products/1/live HTTP/1.0", "data: ").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK") && !head.to_lowercase().contains("transfer-encoding"), "{head}");
    assert!(body.starts_with("retry: "), "{body}");
    // So does nginx, unless it is set to HTTP/1.1.
    let port = free_port();
    let Some(_nginx) = Nginx::start(&format!(
        "server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{}; }} }}",
        app.addr
    )) else {
        return;
    };
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}/api/products/1");
    eventually("nginx is there", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
    let mut stream = EventStream::open_behind_nginx(client.get(format!("{url}/live"))).await;
    assert_eq!(stream.next().await.unwrap().data["available_stock"], 10);
    app.held().await;
    stream.until(has_available(9)).await;
}

#[tokio::test]
async fn however_many_watch_one_task_reads_for_all_of_them() {
    let app = TestApp::start_with(&[("HTTP__WORKERS", "2")]).with_units(10).await;
    let mut streams = join_all((0..50).map(|_| product_stream(&app))).await;
    for stream in &mut streams {
        stream.next().await.unwrap();
    }
    let calls = || {
        let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut app.redis.connect()).unwrap();
        let of_scripts = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        of_scripts.map_or(0, |rest| rest.split(',').next().unwrap().parse::<u128>().unwrap())
    };
    let (before, started) = (calls(), Instant::now());
    app.held().await;
    for stream in &mut streams {
        stream.until(has_available(9)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let read = calls() - before - 1;
    assert!(read <= started.elapsed().as_millis() / 100 + 1, "{read} reads in {:?}", started.elapsed());
    drop(streams);
    let answer = app.get("/api/products/1").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn watchers_learn_that_the_store_is_away_and_when_it_is_back() {
    let settings = [("REDIS__CALL_TIMEOUT_MS", "300"), ("REDIS__CONNECT_TIMEOUT_MS", "300")];
    let app = TestApp::start_with(&settings).with_units(5).await;
    let mut stream = product_stream(&app).await;
    let first = stream.next().await.unwrap();
    let pid = app.redis.pid();
    signal_process(pid, "STOP");
    let away = stream.next().await.unwrap();
    signal_process(pid, "CONT");
    assert_eq!(away.name, "unavailable");
    assert_eq!(stream.next().await.unwrap(), first);
}

#[tokio::test]
async fn a_stream_passes_nginx_at_once_lives_on_without_events_and_ends_with_a_drain() {
    let redis = ServerProcess::start(&[]);
    let addr = ([127, 0, 0, 1], free_port()).into();
    let mut program = command(redis.folder.path());
    program.env("FLASHSALE_REDIS__URL", redis.url()).env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
    program.env("FLASHSALE_HTTP__DRAIN_SECONDS", "1");
    let service = tokio::task::spawn_blocking(move || ServiceProcess::run(program, addr)).await.unwrap();
    let client = reqwest::Client::new();
    let product = json!({"id": 7, "name": "Item", "price": "50.00", "total_stock": 10});
    let made = client.post(format!("http://{addr}/api/admin/products")).bearer_auth(ADMIN_TOKEN).json(&product);
    assert_eq!(made.ask().await.unwrap().status(), 201);
    let port = free_port();
    let settings = format!(
        "server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{addr}; proxy_read_timeout 15s; }} }}"
    );
    let Some(_nginx) = Nginx::start(&settings) else { return };
    let through = || client.get(format!("http://127.0.0.1:{port}/api/products/7/live"));
    eventually("nginx listens", async || through().send().await.is_ok()).await;
    let mut stream = EventStream::open_behind_nginx(through()).await;
    stream.next().await.unwrap();
    let held = client.post(format!("http://{addr}/api/holds")).json(&json!({"product_id": 7, "quantity": 4}));
    assert_eq!(held.ask().await.unwrap().status(), 201);
    stream.until(has_available(6)).await;
    // Longer than nginx waits for a word.
    let ended = tokio::time::timeout(Duration::from_secs(21), stream.next()).await;
    assert!(ended.is_err() && stream.comments >= 1, "{ended:?}, {} comments", stream.comments);
    let stopped = tokio::task::spawn_blocking(move || service.stop());
    assert_eq!(stream.next().await, None, "it ends as a whole answer does");
    assert!(stopped.await.unwrap());
}
