//! Who waits, who is refused at once, and who is refused in time, while Redis hangs with a first call in flight.

use std::{cell::Cell, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    app::{Answer, TestApp},
    eventually,
    redis::{PrivateRedis, ServerProcess, signal_process},
};

/// A service of one worker whose Redis hangs, that Redis, and a first hold in flight.
async fn stuck(settings: &[(&str, &str)]) -> (TestApp, u32, TcpStream) {
    let app = TestApp::start_with(&[settings, &[("HTTP__WORKERS", "1")]].concat());
    app.add_product(json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 100})).await;
    app.held().await;
    let redis = app.redis.pid();
    signal_process(redis, "STOP");
    let body = r#"{"product_id":1,"quantity":1}"#;
    let length = body.len();
    let first = ask_first(&app, &format!("POST /api/holds HTTP/1.1\r\nContent-Length: {length}\r\n"), body).await;
    (app, redis, first)
}

/// Sends a request, and returns once the one worker has begun with it: it has answered those that came later.
async fn ask_first(app: &TestApp, head: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.addr).await.unwrap();
    let head = format!("{head}Host: x\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(app.get("/livez").await.status, 200);
    }
    stream
}

/// The head and the body of the answer.
async fn answer_of(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn more_than_may_wait_are_refused_at_once() {
    // However long this machine needs for all of them.
    let bounds = [("REDIS__IN_FLIGHT_MAX", "6"), ("REDIS__QUEUE_MAX", "5"), ("REDIS__CALL_TIMEOUT_MS", "60000")];
    let (app, redis, first) = stuck(&bounds).await;
    let first_look = ask_first(&app, "GET /api/products HTTP/1.1\r\n", "").await;
    let refused = [Cell::new(0), Cell::new(0)];
    let counted = |answer: Answer, refused: &Cell<usize>| {
        let is_refused = answer.refusal() == (503, "overloaded");
        refused.set(refused.get() + usize::from(is_refused));
        answer.status
    };
    let holds = join_all((0..20).map(async |_| counted(app.hold(1).await, &refused[0])));
    let looks = join_all((0..20).map(async |_| counted(app.get("/api/products").await, &refused[1])));
    let wake = async {
        eventually("all but five of each are refused", async || refused.iter().all(|refused| refused.get() == 15))
            .await;
        signal_process(redis, "CONT");
    };
    let (holds, looks, ()) = tokio::join!(holds, looks, wake);
    assert!(
        answer_of(first).await.starts_with("HTTP/1.1 201") && answer_of(first_look).await.starts_with("HTTP/1.1 200")
    );
    let seen = looks.iter().filter(|status| **status == 200).count();
    assert_eq!(seen, 5, "those that waited are served");
    // Holds that had waited for too long by then were never sent.
    let served = holds.iter().filter(|status| **status == 201).count();
    assert_eq!(app.counters(1).await[1], 2 + served as u64);
}

#[tokio::test]
async fn a_hold_whose_turn_does_not_come_in_time_was_never_sent() {
    let (app, redis, first) = stuck(&[("REDIS__CALL_TIMEOUT_MS", "600")]).await;
    let (first, late) = tokio::join!(answer_of(first), join_all((0..20).map(|_| app.hold(1))));
    assert!(first.starts_with("HTTP/1.1 503") && first.contains("store_timeout"), "its outcome is unknown: {first}");
    let late: Vec<_> = late.iter().map(Answer::refusal).collect();
    assert!(late.iter().all(|refusal| [(503, "overloaded"), (503, "store_timeout")].contains(refusal)), "{late:?}");
    signal_process(redis, "CONT");
    eventually("holds are taken again", async || app.hold(1).await.status == 201).await;
}

#[tokio::test]
async fn nobody_waits_for_a_turn_at_a_server_that_is_not_asked() {
    // One server has the sales, whatever the others run on.
    let server = PrivateRedis::Standalone(ServerProcess::start(&["--appendonly", "yes"]));
    let app = TestApp::start_on(server, &[("HTTP__WORKERS", "1"), ("REDIS__CALL_TIMEOUT_MS", "2000")]);
    // Each in a sale of its own, so that no batch takes two.
    let mut held = Vec::new();
    for id in 1..=80 {
        app.add_product(json!({"id": id, "name": "Item", "price": "1.00", "total_stock": 2})).await;
        held.push(format!(
            "/api/holds/{}",
            app.post("/api/holds", json!({"product_id": id, "quantity": 1})).await.id()
        ));
    }
    let redis = app.redis.pid();
    signal_process(redis, "STOP");
    // The first ones open the breaker. More calls than a server may have at first are still in flight then: releases do not wait.
    let rest = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        join_all(held[10..].iter().map(|hold| app.delete(hold))).await
    };
    let after = async {
        let first = join_all(held[..10].iter().map(|hold| app.delete(hold))).await;
        // They are given up when their callers are, or a moment later.
        tokio::time::sleep(Duration::from_millis(300)).await;
        (first, app.hold(1).await)
    };
    let (rest, (first, after)) = tokio::join!(rest, after);
    signal_process(redis, "CONT");
    // The second is of the one call that may go through.
    assert!([(503, "store_unavailable"), (503, "store_timeout")].contains(&after.refusal()), "{after:?}");
    assert!(first.iter().chain(&rest).all(|answer| answer.status == 503));
}
