//! What a Redis that is slow or stands still costs: no units for buyers who have left, and little time of those who come.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp, run_service, run_service_of},
    clock,
    contract::Ask,
    eventually,
    redis::{ServerProcess, signal_process},
    stalling_proxy::{Side, StallingProxy},
    stock,
};

#[tokio::test]
async fn a_redis_that_stood_still_for_two_seconds_holds_nothing_for_buyers_who_have_left() {
    let app = TestApp::start_with(&[("REDIS__CALL_TIMEOUT_MS", "300"), ("REDIS__CONNECT_TIMEOUT_MS", "300")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 1_000})).await;
    // Both workers have a connection.
    join_all((0..32).map(|_| app.held())).await;
    let before = app.counters(1).await;
    let redis = app.redis.pid();
    signal_process(redis, "STOP");
    let (answers, ()) =
        tokio::join!(join_all((0..32).map(|_| app.hold(1))), tokio::time::sleep(Duration::from_secs(2)));
    signal_process(redis, "CONT");
    for answer in answers {
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    eventually("it is ready again", async || app.get("/readyz").await.status == 200).await;
    assert_eq!(app.counters(1).await, before, "nobody knows of a hold that was made meanwhile");
    app.held().await;
    assert_eq!(app.counters(1).await, [before[0] - 1, before[1] + 1, 0, 0]);
    let audit = app.send(app.request(Method::GET, "/api/admin/audit").bearer_auth(ADMIN_TOKEN)).await;
    assert_eq!((&audit.body["ok"], audit.status), (&json!(true), 200), "{audit:?}");
}

#[tokio::test]
async fn holds_that_redis_made_and_whose_answers_were_lost_are_given_back_unless_their_callers_can_find_them() {
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let proxy = StallingProxy::start(server.port);
    let settings = [("HTTP__WORKERS", "1"), ("REDIS__CALL_TIMEOUT_MS", "400"), ("REDIS__CONNECT_TIMEOUT_MS", "400")];
    let (addr, handle, thread) = run_service(&format!("redis://127.0.0.1:{}", proxy.port), &settings);
    let client = reqwest::Client::new();
    let send = async |path: &str, key: Option<u32>, body: Value| {
        let request = client.post(format!("http://{addr}{path}")).bearer_auth(ADMIN_TOKEN).json(&body);
        let request = key.iter().fold(request, |request, key| request.header("idempotency-key", format!("key-{key}")));
        Answer::read(request.ask().await.unwrap()).await
    };
    let make_hold = async |key| send("/api/holds", key, json!({"product_id": 1, "quantity": 1})).await;
    let product = json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 100});
    assert_eq!(send("/api/admin/products", None, product).await.status, 201);
    assert_eq!(make_hold(None).await.status, 201);
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut held = || stock::units(&mut redis, "fs1:{p1}:stock", 1, "held");
    // Redis decides, and no reply comes back.
    proxy.arm(Some((0, Side::Reply)));
    let keys = (0..12).map(|at| (at % 3 == 0).then_some(at));
    let answers = join_all(keys.clone().map(make_hold)).await;
    assert!(answers.iter().all(|answer| answer.status == 503), "{answers:?}");
    assert!(held() > 1, "Redis made some of them");
    proxy.disarm(true);
    eventually("it answers again", async || make_hold(Some(0)).await.status == 201).await;
    let found = join_all((0..4).map(|at| make_hold(Some(3 * at)))).await;
    assert!(found.iter().all(|answer| answer.status == 201), "{found:?}");
    eventually("only what somebody knows of is held", async || held() == 1 + 4).await;
    drop(handle.stop(true));
    thread.join().unwrap();
}

/// What one worker has of sixteen calls in flight, while Redis answers nothing: holds twelve, releases one more, orders another,
/// and money the rest.
#[tokio::test]
async fn when_redis_is_busy_reads_are_refused_first_then_holds_releases_and_orders_and_money_last() {
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let proxy = StallingProxy::start(server.port);
    let settings = [
        ("HTTP__WORKERS", "1"),
        ("EVENTS__SWEEP_MS", "0"),
        ("REDIS__IN_FLIGHT_MAX", "16"),
        ("REDIS__CALL_TIMEOUT_MS", "60000"),
    ];
    let (addr, handle, thread) = run_service(&format!("redis://127.0.0.1:{}", proxy.port), &settings);
    let client = reqwest::Client::new();
    let send = async |method: Method, path: String, body: Value| {
        let request = client.request(method, format!("http://{addr}{path}")).bearer_auth(ADMIN_TOKEN).json(&body);
        Answer::read(request.ask().await.unwrap()).await
    };
    let post = |path: &str, body| send(Method::POST, path.to_owned(), body);
    let make_hold =
        |product: usize| post("/api/holds", json!({"product_id": product, "quantity": 1, "metadata": {"kind": "odd"}}));
    let make_order = |hold: &str| post("/api/orders", json!({"hold_id": hold}));
    let release = |hold: &str| send(Method::DELETE, format!("/api/holds/{hold}"), Value::Null);
    let pay = |order: &str| {
        let payload = json!({"order_id": order, "status": "failed"});
        post("/api/payments/webhook", json!({"idempotency_key": order, "payload": payload}))
    };
    // Each product is a sale of its own, and a hold with metadata needs a call for its sale, so no two calls are one. The first hold of each lets the worker know it.
    let mut held = Vec::new();
    for product in 1..=20 {
        let body =
            json!({"id": product, "sku": format!("S{product}"), "name": "Item", "price": "1.00", "total_stock": 9});
        assert_eq!(post("/api/admin/products", body).await.status, 201);
        held.push(make_hold(product).await.id());
    }
    let mut orders = Vec::new();
    for hold in &held[15..] {
        orders.push(make_order(hold).await.id());
    }
    proxy.arm(Some((0, Side::Reply)));
    let in_flight = async |calls: usize| eventually("they are in flight", async || proxy.seen() == calls).await;
    let refused = |answer: &Answer| assert_eq!(answer.refusal(), (503, "overloaded"), "{answer:?}");
    let all = futures_util::future::join(join_all((1..=12).map(make_hold)), async {
        in_flight(12).await;
        refused(&send(Method::GET, "/api/products/13".to_owned(), Value::Null).await);
        refused(&make_hold(13).await);
        futures_util::future::join(release(&held[12]), async {
            in_flight(13).await;
            refused(&release(&held[13]).await);
            futures_util::future::join(make_order(&held[13]), async {
                in_flight(14).await;
                refused(&make_order(&held[14]).await);
                let pay_two = join_all(orders[..2].iter().map(|order| pay(order)));
                let (paid, ()) = tokio::join!(pay_two, async {
                    in_flight(16).await;
                    refused(&pay(&orders[2]).await);
                    proxy.disarm(false);
                });
                paid
            })
            .await
        })
        .await
    });
    let (holds, (released, (order, paid))) = all.await;
    assert!(holds.iter().all(|answer| answer.status == 201), "{holds:?}");
    assert_eq!((released.status, order.status), (204, 201), "{released:?} {order:?}");
    assert!(paid.iter().all(|answer| answer.status == 200), "{paid:?}");
    drop(handle.stop(true));
    thread.join().unwrap();
}

#[tokio::test]
async fn a_clock_of_redis_that_steps_forward_or_back_takes_no_hold_from_a_buyer_who_waits() {
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut now_ms = clock::start_ms(&mut redis);
    clock::set_now(&mut redis, "p1", now_ms);
    let (addr, handle, thread) = run_service_of(&server.url(), &[("HTTP__WORKERS", "1")], clock::catalogue());
    let client = reqwest::Client::new();
    let send = async |path: &str, body: Value| {
        let request = client.post(format!("http://{addr}{path}")).bearer_auth(ADMIN_TOKEN).json(&body);
        request.ask().await.unwrap().status().as_u16()
    };
    let product = json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 10});
    assert_eq!(send("/api/admin/products", product).await, 201);
    // The first step is a day, between the clock of the server, which the service asked, and that of its scripts.
    for step_ms in [0, 5_000, 60_000, -30_000, -30_000, 3_000] {
        now_ms += step_ms;
        clock::set_now(&mut redis, "p1", now_ms);
        let hold = json!({"product_id": 1, "quantity": 1});
        assert_eq!(send("/api/holds", hold).await, 201, "after a step of {step_ms} ms");
    }
    drop(handle.stop(true));
    thread.join().unwrap();
}

#[tokio::test]
async fn a_redis_that_hangs_costs_a_few_callers_their_time_and_then_nobody_until_it_is_back() {
    let timeouts = [("REDIS__CALL_TIMEOUT_MS", "300"), ("REDIS__CONNECT_TIMEOUT_MS", "1000"), ("HTTP__WORKERS", "1")];
    let app = TestApp::start_with(&timeouts);
    app.add_product(json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 1_000})).await;
    app.held().await;
    let redis = app.redis.pid();
    signal_process(redis, "STOP");
    let started = Instant::now();
    // Each would wait for a second until it cannot connect.
    for _ in 0..200 {
        let answer = app.hold(1).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    }
    let took = started.elapsed();
    signal_process(redis, "CONT");
    assert!(took < Duration::from_mins(1), "{took:?}");
    eventually("holds are taken again", async || app.hold(1).await.status == 201).await;
    assert_eq!(app.counters(1).await[..2], [998, 2], "of the others none took a unit");
}

#[tokio::test]
async fn holds_that_waited_too_long_behind_a_slow_redis_are_refused_unsent_and_orders_and_payments_are_served() {
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let proxy = StallingProxy::start(server.port);
    let settings = [("HTTP__WORKERS", "1"), ("EVENTS__SWEEP_MS", "0"), ("REDIS__CALL_TIMEOUT_MS", "60000")];
    let (addr, handle, thread) = run_service(&format!("redis://127.0.0.1:{}", proxy.port), &settings);
    let client = reqwest::Client::new();
    let send = async |path: &str, body: Value| {
        let request = client.post(format!("http://{addr}{path}")).bearer_auth(ADMIN_TOKEN).json(&body);
        Answer::read(request.ask().await.unwrap()).await
    };
    let make_hold = async || send("/api/holds", json!({"product_id": 1, "quantity": 1})).await;
    let product = json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 100});
    assert_eq!(send("/api/admin/products", product).await.status, 201);
    let (held, paid) = (make_hold().await.id(), make_hold().await.id());
    // The reply to the first command that comes stays in the proxy, and so all that follow.
    proxy.arm(Some((0, Side::Reply)));
    let pay = async |key: u32| {
        let payload = json!({"hold_id": paid, "status": "paid", "payment_id": "pi"});
        send("/api/payments/webhook", json!({"idempotency_key": key.to_string(), "payload": payload})).await
    };
    let behind = async {
        eventually("the first hold is in flight", async || proxy.is_stalled()).await;
        let order = send("/api/orders", json!({"hold_id": held}));
        tokio::join!(join_all((0..20).map(|_| make_hold())), order, join_all((0..5).map(pay)))
    };
    let wake = async {
        eventually("the first hold is in flight", async || proxy.is_stalled()).await;
        // Twice as long as any hold may wait, and then as long as a busy machine needs to read the requests.
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.disarm(false);
    };
    let (first, (behind, order, payments), ()) = tokio::join!(make_hold(), behind, wake);
    assert_eq!((first.status, order.status), (201, 201), "what is in flight is served, and orders do not wait in vain");
    assert!(payments.iter().all(|answer| answer.status == 200), "money is never refused: {payments:?}");
    for answer in &behind {
        assert_eq!(answer.refusal(), (503, "overloaded"));
        let again: u64 = answer.headers["retry-after"].parse().unwrap();
        assert!((1..=3).contains(&again), "{again}");
    }
    assert_eq!(make_hold().await.status, 201, "who comes now is served");
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let units = ["held", "pending", "sold"].map(|name| stock::units(&mut redis, "fs1:{p1}:stock", 1, name));
    assert_eq!(units, [2, 1, 1], "none of those refused took a unit");
    drop(handle.stop(true));
    thread.join().unwrap();
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_loaded_again() {
    let app = TestApp::selling(100).await;
    for _ in 0..3 {
        redis::cmd("SCRIPT").arg("FLUSH").exec(&mut app.redis.connect()).unwrap();
        let answers = join_all((0..10).map(|_| app.hold(1))).await;
        assert!(answers.iter().all(|answer| answer.status == 201));
    }
    redis::cmd("SCRIPT").arg("FLUSH").exec(&mut app.redis.connect()).unwrap();
    assert_eq!(app.get("/readyz").await.status, 200, "readiness loads them too");
    assert_eq!(app.stock(1).await, "70 available, 30 held");
}

#[tokio::test]
async fn a_script_that_redis_forgets_as_soon_as_it_is_loaded_is_loaded_once_more() {
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let proxy = StallingProxy::start(server.port);
    let settings = [("HTTP__WORKERS", "1"), ("EVENTS__SWEEP_MS", "0"), ("REDIS__CALL_TIMEOUT_MS", "60000")];
    let (addr, handle, thread) = run_service(&format!("redis://127.0.0.1:{}", proxy.port), &settings);
    let client = reqwest::Client::new();
    let send = async |path: &str, body: Value| {
        let request = client.post(format!("http://{addr}{path}")).bearer_auth(ADMIN_TOKEN).json(&body);
        Answer::read(request.ask().await.unwrap()).await
    };
    let hold = async || send("/api/holds", json!({"product_id": 1, "quantity": 1})).await;
    let product = json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 10});
    assert_eq!(send("/api/admin/products", product).await.status, 201);
    assert_eq!(hold().await.status, 201);
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut flush = || redis::cmd("SCRIPT").arg("FLUSH").exec(&mut redis).unwrap();
    flush();
    // The call, the script, and the call again, before which it is forgotten once more.
    proxy.arm(Some((2, Side::Command)));
    let forget = async {
        eventually("the call is sent again", async || proxy.is_stalled()).await;
        flush();
        proxy.disarm(false);
    };
    let (answer, ()) = tokio::join!(hold(), forget);
    assert_eq!(answer.status, 201, "{answer:?}");
    drop(handle.stop(true));
    thread.join().unwrap();
}

#[tokio::test]
async fn connections_that_redis_closes_are_made_again_without_a_lost_hold() {
    let app = TestApp::selling(100).await;
    for _ in 0..10 {
        redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).exec(&mut app.redis.connect()).unwrap();
        app.held().await;
    }
    assert_eq!(app.stock(1).await, "90 available, 10 held");
}
