//! The fast path answers as the routes do, however the bytes of a request arrive.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::app::TestApp;

const HOLD: &str = r#"{"product_id":1,"quantity":1}"#;

/// An answer without what differs from one request to the next.
async fn answer(app: &TestApp, request: RequestBuilder) -> (u16, BTreeMap<String, String>, Value) {
    let mut answer = app.send(request).await;
    for name in ["date", "x-request-id", "content-length", "retry-after"] {
        answer.headers.remove(name);
    }
    if let Value::Object(members) = &mut answer.body {
        ["id", "request_id", "expires_at", "expires_in", "next_release_at"]
            .iter()
            .for_each(|name| _ = members.remove(*name));
    }
    (answer.status, answer.headers.into_iter().collect(), answer.body)
}

#[tokio::test]
async fn the_fast_path_and_the_routes_give_the_same_answers() {
    // All units go in the first wishes, so that the others are refused alike.
    let app = TestApp::selling(4).await;
    // Written like this, a path is no exact match for the fast path, and the router decodes it.
    let (fast, routed) = ("/api/holds", "/api/%68olds");
    let wishes = [
        HOLD,
        r#"{"items":[{"product_id":1,"quantity":1}],"customer_id":"alice"}"#,
        r#"{"product_id":1,"quantity":4}"#,
        r#"{"product_id":1,"quantity":11}"#,
        r#"{"product_id":9,"quantity":1}"#,
        r#"{"product_id":1,"quantity":0,"colour":"red"}"#,
        "{",
        "",
    ];
    for body in wishes {
        let ask = |path| app.request(Method::POST, path).header("content-type", "application/json").body(body);
        assert_eq!(answer(&app, ask(fast)).await, answer(&app, ask(routed)).await, "{body}");
    }
    for (content_type, length) in [("text/plain", 1), ("application/json", 20_000)] {
        let ask = |path| app.request(Method::POST, path).header("content-type", content_type).body(" ".repeat(length));
        assert_eq!(answer(&app, ask(fast)).await, answer(&app, ask(routed)).await, "{content_type}");
    }
    for (method, id) in [(Method::GET, "1"), (Method::HEAD, "1"), (Method::GET, "9"), (Method::PUT, "1")] {
        let ask = |products| app.request(method.clone(), &format!("/api/{products}/{id}"));
        assert_eq!(answer(&app, ask("products")).await, answer(&app, ask("product%73")).await, "{method} {id}");
    }
}

#[tokio::test]
async fn orders_and_payment_events_are_answered_alike_on_both_ways() {
    let app = TestApp::selling(40).await;
    let hold = async || {
        app.send(app.request(Method::POST, "/api/holds").json(&json!({"product_id": 1, "quantity": 1}))).await.id()
    };
    let gone = "hold_p1_-ffwesdZnkpB3XefFNNl3oza";
    let both = async |paths: [&str; 2], bodies: [String; 2]| {
        let mut answers = Vec::new();
        for (path, body) in paths.into_iter().zip(bodies) {
            let ask = app.request(Method::POST, path).header("content-type", "application/json").body(body);
            let (status, headers, mut body) = answer(&app, ask).await;
            if body["order"].is_object() {
                body["order"]
                    .as_object_mut()
                    .unwrap()
                    .retain(|name, _| !name.ends_with("id") && !name.ends_with("_at"));
            }
            if let Some(body) = body.as_object_mut() {
                body.retain(|name, _| !["hold_id", "created_at", "payment_due_at"].contains(&name.as_str()));
            }
            answers.push((status, headers, body));
        }
        assert_eq!(answers[0], answers[1]);
        answers[0].0
    };
    let (orders, webhook) = (["/api/orders", "/api/%6Frders"], ["/api/payments/webhook", "/api/payments/%77ebhook"]);
    let holds = [hold().await, hold().await];
    let wishes = holds.each_ref().map(|hold| json!({"hold_id": hold}).to_string());
    let events = holds.each_ref().map(|hold| {
        let payload = json!({"status": "paid", "hold_id": hold, "payment_id": "pi_1"});
        json!({"idempotency_key": hold, "payload": payload}).to_string()
    });
    let same = |body: &str| [(); 2].map(|()| body.to_owned());
    assert_eq!(both(orders, wishes.clone()).await, 201);
    assert_eq!(both(orders, wishes).await, 200);
    assert_eq!(both(webhook, events.clone()).await, 200);
    assert_eq!(both(webhook, events).await, 200);
    for body in [&json!({"hold_id": gone}).to_string(), "{}", "{", ""] {
        assert!((400..500).contains(&both(orders, same(body)).await), "{body}");
        assert!((400..500).contains(&both(webhook, same(body)).await), "{body}");
    }
    // A provider may add what it likes, and an order knows no parameter.
    let with_query = |path: &str| format!("{path}?a=1");
    assert_eq!(both(webhook.map(with_query).each_ref().map(String::as_str), same("{")).await, 400);
    assert_eq!(both(orders.map(with_query).each_ref().map(String::as_str), same("{")).await, 400);
}

#[tokio::test]
async fn an_idempotency_key_means_the_same_on_the_fast_path_and_on_the_route() {
    let app = TestApp::selling(3).await;
    let ask = |path, quantity| {
        let request = app.request(Method::POST, path).header("Idempotency-Key", "k");
        request.json(&json!({"product_id": 1, "quantity": quantity}))
    };
    let first = app.send(ask("/api/holds", 1)).await;
    let again = app.send(ask("/api/%68olds", 1)).await;
    assert_eq!((again.status, again.id()), (201, first.id()));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(app.send(ask("/api/holds", 2)).await.refusal(), (422, "idempotency_key_reused"));
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_is_read_to_its_end() {
    let app = TestApp::selling(10).await;
    let mut stream = TcpStream::connect(app.addr).await.unwrap();
    let text = request(HOLD.len()) + HOLD;
    for piece in [&text[..20], &text[20..text.len() - 9], &text[text.len() - 9..]] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        // Whoever answers this has had the time to look at the piece.
        assert_eq!(app.get("/readyz").await.status, 200);
    }
    assert_eq!(read_heads(&mut stream, 1).await, ["HTTP/1.1 201"]);
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_their_order() {
    let app = TestApp::selling(10).await;
    let mut stream = TcpStream::connect(app.addr).await.unwrap();
    let read = "GET /api/products/1 HTTP/1.1\r\nHost: x\r\n\r\n";
    let text = [request(HOLD.len()), HOLD.to_owned(), read.to_owned(), request(2), "{}".to_owned()].concat();
    stream.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(read_heads(&mut stream, 3).await, ["HTTP/1.1 201", "HTTP/1.1 200", "HTTP/1.1 422"]);
    assert_eq!(app.stock(1).await, "9 available, 1 held");
}

#[tokio::test]
async fn a_body_that_does_not_come_behind_another_request_is_given_up_in_time() {
    let app = TestApp::start_with(&[("HTTP__READ_TIMEOUT_MS", "200")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 10})).await;
    let mut stream = TcpStream::connect(app.addr).await.unwrap();
    let text = request(HOLD.len()) + HOLD + &request(100);
    stream.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(read_heads(&mut stream, 2).await, ["HTTP/1.1 201", "HTTP/1.1 408"]);
}

pub fn request(content_length: usize) -> String {
    format!(
        "POST /api/holds HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {content_length}\r\n\r\n"
    )
}

/// The first words of so many answers.
pub async fn read_heads(stream: &mut TcpStream, count: usize) -> Vec<String> {
    let mut text = String::new();
    let mut bytes = [0; 4_096];
    while text.matches("HTTP/1.1 ").count() < count {
        let read =
            tokio::time::timeout(Duration::from_secs(20), stream.read(&mut bytes)).await.expect("answers in time");
        let read = read.unwrap();
        assert!(read > 0, "the connection ended after {text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    text.match_indices("HTTP/1.1 ").map(|(at, _)| text[at..at + 12].to_owned()).collect()
}
