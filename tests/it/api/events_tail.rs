//! Following the event log: cursors of any number of sales, waiting, types and times.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp, run_service},
    contract::Ask,
    process::command,
    redis::{free_port, signal_process},
};

async fn ask(client: &Client, addr: SocketAddr, query: &str) -> Option<Answer> {
    let sent = client.get(format!("http://{addr}/api/admin/events{query}")).bearer_auth(ADMIN_TOKEN).ask().await;
    match sent {
        Ok(response) => Some(Answer::read(response).await),
        Err(_) => None,
    }
}

async fn page(app: &TestApp, query: &str) -> Value {
    let answer = ask(&app.client, app.addr, query).await.unwrap();
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    answer.body
}

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

fn types(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn next(page: &Value) -> String {
    page["next_cursor"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn latest_is_the_cursor_of_now_and_each_later_event_comes_behind_it() {
    let app = TestApp::selling(10).await;
    app.ordered().await;
    for sale in ["", "&sale=p1"] {
        let latest = page(&app, &format!("?after=latest{sale}")).await;
        assert_eq!((&latest["data"], &latest["more"], &latest["missing"]), (&json!([]), &json!(false), &json!([])));
        let still = page(&app, &format!("?after={}{sale}", next(&latest))).await;
        assert_eq!((ids(&still).len(), next(&still)), (0, next(&latest)), "nothing happened since");
        let order = app.ordered().await;
        let since = page(&app, &format!("?after={}{sale}", next(&still))).await;
        assert_eq!((types(&since), &since["data"][0]["order"]["id"]), (vec!["order.created"], &json!(order)));
    }
}

#[tokio::test]
async fn a_reader_that_waits_gets_the_next_event_and_else_an_empty_page_with_its_cursor() {
    let app = TestApp::selling(10).await;
    let start = next(&page(&app, "?after=latest").await);
    let query = format!("?after={start}&wait=30");
    let (waited, order) = tokio::join!(page(&app, &query), app.ordered());
    assert_eq!((types(&waited), &waited["data"][0]["order"]["id"]), (vec!["order.created"], &json!(order)));
    // A sale that did not exist when the reader began to wait.
    let query = format!("?after={}&wait=30&types=product.created", next(&waited));
    let product = json!({"id": 2, "sale": "new", "name": "Other", "price": "1.00", "total_stock": 1});
    let (waited, _) = tokio::join!(page(&app, &query), app.add_product(product));
    assert_eq!((types(&waited), &waited["data"][0]["sale"]), (vec!["product.created"], &json!("new")));
    let nothing = page(&app, &format!("?after={}&wait=1", next(&waited))).await;
    assert_eq!((ids(&nothing).len(), next(&nothing)), (0, next(&waited)));
    // A cursor of before finds what is there at once.
    assert!(!ids(&page(&app, &format!("?after={start}&wait=30")).await).is_empty());
}

#[tokio::test]
async fn types_choose_events_and_the_cursor_passes_the_others() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    app.pay("a", json!({"status": "paid", "order_id": order, "payment_id": "pi_1"})).await;
    app.pay("b", json!({"status": "paid", "order_id": order, "payment_id": "pi_2"})).await;
    for (wanted, expected) in [
        ("order.paid", vec!["order.paid"]),
        ("order.*", vec!["order.created", "order.paid"]),
        ("review.opened,%20order.paid", vec!["order.paid", "review.opened"]),
        ("*", vec!["sale.created", "product.created", "order.created", "order.paid", "review.opened"]),
        ("order.refunded", vec![]),
    ] {
        let found = page(&app, &format!("?types={wanted}")).await;
        assert_eq!((types(&found), &found["more"]), (expected, &json!(false)), "{wanted}");
        let rest = page(&app, &format!("?after={}", next(&found))).await;
        assert_eq!(ids(&rest).len(), 0, "{wanted}: all of it was looked at");
    }
    let first = page(&app, "?types=order.*&limit=1").await;
    assert_eq!((types(&first), &first["more"]), (vec!["order.created"], &json!(true)));
    for wrong in ["order.shipped", "order", "order.paid,", "*.paid", "ord*"] {
        let refused = ask(&app.client, app.addr, &format!("?types={wrong}")).await.unwrap();
        assert_eq!(refused.refusal(), (422, "validation_failed"), "{wrong}");
        assert!(refused.body["detail"].as_str().unwrap().contains("order.paid"), "it names those that are known");
    }
}

#[tokio::test]
async fn times_bound_what_is_read() {
    let app = TestApp::selling(10).await;
    let all = loop {
        app.ordered().await;
        let all = page(&app, "?types=order.*").await;
        let mut times: Vec<_> = all["data"].as_array().unwrap().iter().map(|event| event["at"].clone()).collect();
        times.dedup();
        if times.len() > 2 {
            break all;
        }
    };
    let middle = all["data"][1]["at"].as_str().unwrap();
    let (since, until) = (page(&app, &format!("?since={middle}")).await, page(&app, &format!("?until={middle}")).await);
    let found: BTreeSet<_> = ids(&since).into_iter().chain(ids(&until)).collect();
    assert!(ids(&all).iter().all(|id| found.contains(id)) && !ids(&since).is_empty(), "{found:?}");
    assert!(ids(&since).iter().all(|id| !ids(&until).contains(id)));
    assert_eq!(until["more"], false);
    // Nobody waits for what cannot come any more, however long others do.
    let over = format!("?after={}&until={middle}&wait=30", next(&until));
    tokio::select! {
        over = page(&app, &over) => assert!(ids(&over).is_empty()),
        _ = page(&app, "?after=latest&wait=30") => panic!("a reader waits for events of the past"),
    }
    let rest = page(&app, &format!("?types=order.*&after={}", next(&until))).await;
    assert_eq!(ids(&rest), ids(&since), "what came later is still there");
    let ms = until["data"][0]["id"].as_str().unwrap().split(&[':', '-']).nth(1).unwrap().to_owned();
    assert_eq!(ids(&page(&app, &format!("?since={ms}")).await), ids(&page(&app, "").await));
    for wrong in ["?since=yesterday", "?until=-1", "?since=1&after=latest", "?wait=31", "?wait=-1", "?wait=1.5"] {
        let refused = ask(&app.client, app.addr, wrong).await.unwrap();
        assert_eq!(refused.refusal(), (422, "validation_failed"), "{wrong}");
    }
}

#[tokio::test]
async fn events_that_were_dropped_are_said_to_be_missing_and_reading_goes_on() {
    let app = TestApp::start_with(&[("EVENTS__KEEP_MAX", "100")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 1_000})).await;
    app.add_product(json!({"id": 2, "sale": "quiet", "name": "Other", "price": "1.00", "total_stock": 1})).await;
    app.ordered().await;
    let cursors = [next(&page(&app, "?sale=p1").await), next(&page(&app, "").await)];
    for _ in 0..300 {
        app.ordered().await;
    }
    for (query, cursor) in ["&sale=p1", ""].into_iter().zip(cursors) {
        let late = page(&app, &format!("?limit=1000&after={cursor}{query}")).await;
        assert_eq!(late["missing"], json!(["p1"]), "{query}");
        // Redis drops whole nodes of a log, of up to 100 events.
        assert!((100..200).contains(&ids(&late).len()), "{query}: {}", ids(&late).len());
        let again = page(&app, &format!("?after={}{query}", next(&late))).await;
        assert_eq!((&again["missing"], ids(&again).len()), (&json!([]), 0), "it is said once");
    }
    let from_the_first = page(&app, "?limit=1000&types=order.*").await;
    assert_eq!(from_the_first["missing"], json!(["p1"]), "the log does not begin at the beginning");
}

#[tokio::test]
async fn a_cursor_that_is_ahead_of_redis_is_refused_and_one_ahead_of_a_log_goes_on_at_its_end() {
    let app = TestApp::selling(10).await;
    let future = ask(&app.client, app.addr, "?after=9000000000000").await.unwrap();
    assert_eq!(future.refusal(), (410, "cursor_expired"));
    app.ordered().await;
    let seen = page(&app, "?sale=p1").await;
    // As after a fail-over to a server that had not heard of it.
    let position = ids(&seen).last().unwrap().replace("p1:", "");
    redis::cmd("XDEL").arg("fs1:{p1}:events").arg(position).exec(&mut app.redis.connect()).unwrap();
    let lost = page(&app, &format!("?sale=p1&after={}", next(&seen))).await;
    assert_eq!((&lost["missing"], ids(&lost).len()), (&json!(["p1"]), 0));
    app.ordered().await;
    let after = page(&app, &format!("?sale=p1&after={}", next(&lost))).await;
    assert_eq!((types(&after), &after["missing"]), (vec!["order.created"], &json!([])));
}

#[tokio::test]
async fn the_id_of_an_event_is_a_cursor_of_its_sale_and_of_no_other() {
    let app = TestApp::selling(10).await;
    app.ordered().await;
    let all = ids(&page(&app, "?sale=p1").await);
    for (seen, id) in all.iter().enumerate() {
        assert_eq!(ids(&page(&app, &format!("?sale=p1&after={id}")).await), all[seen + 1..]);
    }
    let refused = ask(&app.client, app.addr, &format!("?after={}", all[0])).await.unwrap();
    assert_eq!(refused.refusal(), (422, "validation_failed"), "the events of other sales would come again");
}

#[tokio::test]
async fn more_readers_than_a_worker_keeps_waiting_are_refused_at_once() {
    let app = TestApp::start_with(&[("HTTP__WORKERS", "1")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 10})).await;
    let start = next(&page(&app, "?after=latest").await);
    let query = format!("?after={start}&wait=30");
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..260 {
        let (client, addr, query) = (app.client.clone(), app.addr, query.clone());
        readers.spawn(async move { ask(&client, addr, &query).await.unwrap() });
    }
    for _ in 0..4 {
        let refused = readers.join_next().await.unwrap().unwrap();
        assert_eq!(refused.refusal(), (503, "overloaded"));
        assert!(refused.headers.contains_key("retry-after"));
    }
    app.ordered().await;
    while let Some(answer) = readers.join_next().await {
        assert_eq!(types(&answer.unwrap().body), ["order.created"]);
    }
}

#[tokio::test]
async fn readers_that_wait_are_answered_as_soon_as_the_service_drains() {
    let redis = crate::support::redis::PrivateRedis::start();
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut service = command(Path::new("unused"));
    service.args(["serve", "--addr", &addr.to_string()]);
    for (name, value) in [
        ("FLASHSALE_REDIS__URL", redis.url().as_str()),
        ("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN),
        ("FLASHSALE_HTTP__DRAIN_SECONDS", "3600"),
    ] {
        service.env(name, value);
    }
    let mut service = service.stderr(std::process::Stdio::null()).spawn().unwrap();
    let client = Client::new();
    crate::support::eventually("it answers", async || ask(&client, addr, "").await.is_some()).await;
    let began = Instant::now();
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let client = client.clone();
        readers.spawn(async move { ask(&client, addr, "?after=latest&wait=30").await.unwrap() });
    }
    let first = tokio::time::timeout(Duration::from_secs(2), readers.join_next()).await;
    assert!(first.is_err(), "nothing happens, so all of them wait: {first:?}");
    signal_process(service.id(), "TERM");
    let mut answered = 0;
    while let Some(answer) = readers.join_next().await {
        let answer = answer.unwrap();
        assert_eq!((answer.status, &answer.body["data"]), (200, &json!([])), "{answer:?}");
        assert!(answer.body["next_cursor"].is_string());
        answered += 1;
    }
    assert!(answered == 200 && began.elapsed() < Duration::from_secs(28), "none waited to its end");
    assert_eq!(ask(&client, addr, "?after=latest&wait=30").await.unwrap().status, 200, "nobody begins to wait");
    signal_process(service.id(), "TERM");
    assert!(service.wait().unwrap().success());
}

/// The log of each sale, by the way that needs no cursor of several sales.
async fn whole_log(app: &TestApp, sale: &str) -> Vec<String> {
    let page = page(app, &format!("?sale={sale}&limit=1000")).await;
    assert_eq!(page["more"], false);
    ids(&page)
}

const SALES: usize = 150;

async fn whole_page(client: &Client, addr: SocketAddr, query: &str) -> Option<Value> {
    let request = client.get(format!("http://{addr}/api/admin/events{query}")).bearer_auth(ADMIN_TOKEN);
    let answer = request.ask().await.ok()?.bytes().await.ok()?;
    serde_json::from_slice(&answer).ok()
}

/// Follows all sales with one cursor, through the restarts of its service. Its addresses come one after the other.
async fn follow(
    client: Client,
    mut addrs: tokio::sync::watch::Receiver<SocketAddr>,
    is_over: &AtomicBool,
) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let was_over = is_over.load(Ordering::Relaxed);
        let addr = *addrs.borrow_and_update();
        let wait = u64::from(!was_over);
        // A service that stops may cut an answer off.
        let Some(page) = whole_page(&client, addr, &format!("?limit=37&wait={wait}&after={cursor}")).await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        assert_eq!(page["missing"], json!([]), "{page:?}");
        assert!(next(&page).len() < 7_000);
        seen.extend(ids(&page));
        cursor = next(&page);
        if was_over && page["more"] == false && ids(&page).is_empty() {
            return seen;
        }
    }
}

#[tokio::test]
async fn a_reader_of_150_sales_sees_every_event_once_while_they_sell_and_its_service_restarts() {
    let app = TestApp::start();
    for id in 1..=SALES {
        let sale = format!("a-sale-with-a-long-name-{id:03}");
        app.add_product(json!({"id": id, "sale": sale, "name": "Item", "price": "1.00", "total_stock": 9})).await;
    }
    let (addr, handle, thread) = run_service(&app.redis.url(), &[]);
    let (addrs, current) = tokio::sync::watch::channel(addr);
    let is_over = AtomicBool::new(false);
    let sell = async {
        let (mut handle, mut thread) = (handle, thread);
        for round in 0..4 {
            let sales = (1..=SALES).map(|id| sell_one(&app, id, round));
            stream::iter(sales).buffer_unordered(16).collect::<Vec<()>>().await;
            if round < 3 {
                handle.stop(false).await;
                tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
                let (addr, new_handle, new_thread) = run_service(&app.redis.url(), &[]);
                handle = new_handle;
                thread = new_thread;
                addrs.send(addr).unwrap();
            }
        }
        is_over.store(true, Ordering::Relaxed);
        (handle, thread)
    };
    let (seen, (handle, thread)) = tokio::join!(follow(Client::new(), current, &is_over), sell);
    let mut by_sale: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in &seen {
        by_sale.entry(id.split_once(':').unwrap().0.to_owned()).or_default().push(id.clone());
    }
    assert_eq!(by_sale.len(), SALES);
    for (sale, found) in &by_sale {
        assert_eq!(*found, whole_log(&app, sale).await, "{sale}: each once, and in order");
    }
    assert!(seen.len() >= SALES * (2 + 4 + 2), "{}", seen.len());
    handle.stop(false).await;
    tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
}

/// An order of the product, which every second round pays.
async fn sell_one(app: &TestApp, product: usize, round: usize) {
    let hold = app.post("/api/holds", json!({"product_id": product, "quantity": 1})).await.id();
    let order = app.order(&hold).await.id();
    if round.is_multiple_of(2) {
        app.pay(&order, json!({"status": "paid", "order_id": order})).await;
    }
}

#[tokio::test]
async fn head_and_readers_without_a_token_get_no_events() {
    let app = TestApp::selling(1).await;
    assert_eq!(app.get("/api/admin/events?wait=30").await.refusal(), (401, "unauthorized"));
    let head = app.request(Method::HEAD, "/api/admin/events").bearer_auth(ADMIN_TOKEN);
    assert_eq!(app.send(head).await.body, Value::Null);
}
