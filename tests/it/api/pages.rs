//! The pages of the program, and the simulated provider of the demo.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    app::{Answer, TestApp},
    contract::Ask,
    process::{ServiceProcess, command},
    redis::free_port,
};

#[tokio::test]
async fn pages_are_there_where_the_settings_say_so_and_allow_nothing_from_outside() {
    for (settings, storefront, dashboard) in [
        (vec![], 404, 200),
        (vec![("PAGES__STOREFRONT", "true")], 200, 200),
        (vec![("PAGES__DASHBOARD", "false")], 404, 404),
        (vec![("ADMIN__TOKEN", ""), ("PAGES__STOREFRONT", "true")], 200, 404),
    ] {
        let app = TestApp::start_with(&settings);
        for (path, status) in [("/", storefront), ("/dashboard", dashboard), ("/demo/payments", 404)] {
            let answer = app.request(Method::GET, path).ask().await.unwrap();
            assert_eq!(answer.status(), status, "{path} with {settings:?}");
        }
    }
    let app = TestApp::start_with(&[("PAGES__STOREFRONT", "true")]);
    for page in ["/", "/dashboard", "/docs"] {
        let answer = app.request(Method::GET, page).ask().await.unwrap();
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        let html = answer.text().await.unwrap();
        for inline in ["style=", "<style", "javascript:", "http://", "https://", " onclick"] {
            assert!(!html.contains(inline), "{page} has {inline}");
        }
        let named = html.split(['"', '\'']).filter(|text| text.starts_with("/assets/"));
        let mut count = 0;
        for path in named {
            let asset = app.request(Method::GET, path).ask().await.unwrap();
            assert_eq!(
                (asset.status(), asset.headers()["x-content-type-options"].to_str().ok()),
                (StatusCode::OK, Some("nosniff")),
                "{path}"
            );
            count += 1;
        }
        assert!(count >= 3, "{page} names {count} files");
    }
}

#[tokio::test]
async fn a_browser_that_has_a_file_is_not_sent_it_again() {
    let app = TestApp::start();
    let ask = async |tag: &str| {
        app.request(Method::GET, "/assets/base.css").header("If-None-Match", tag).ask().await.unwrap()
    };
    let first = ask("\"another\"").await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!((first.status(), &first.headers()["cache-control"]), (StatusCode::OK, &"no-cache".parse().unwrap()));
    for known in [tag.clone(), format!("\"x\", {tag}"), format!("W/{tag}")] {
        let again = ask(&known).await;
        assert_eq!(
            (again.status(), again.headers()["etag"].to_str().ok()),
            (StatusCode::NOT_MODIFIED, Some(&*tag)),
            "{known}"
        );
        assert!(again.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_shows_the_interface_is_there_for_everybody_packed_or_plain() {
    let app = TestApp::start_with(&[("ADMIN__TOKEN", ""), ("HTTP__API_KEYS", "a-key-of-a-shop-1234")]);
    assert_eq!(app.request(Method::GET, "/docs").ask().await.unwrap().status(), StatusCode::OK);
    for (path, begins) in [("/assets/swagger-ui.js", "/*! For license"), ("/assets/swagger-ui.css", ".swagger-ui")] {
        let ask = |accepted| app.request(Method::GET, path).header("Accept-Encoding", accepted).ask();
        let (packed, plain) = (ask("gzip, br").await.unwrap(), ask("identity").await.unwrap());
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        assert!(!plain.headers().contains_key("content-encoding"));
        for answer in [&packed, &plain] {
            assert_eq!(answer.headers()["vary"], "Accept-Encoding");
        }
        assert!(packed.headers()["etag"] == plain.headers()["etag"] && plain.headers()["etag"].as_bytes()[0] == b'W');
        let (mut unpacked, packed) = (String::new(), packed.bytes().await.unwrap());
        flate2::read::GzDecoder::new(&*packed).read_to_string(&mut unpacked).unwrap();
        let plain = plain.text().await.unwrap();
        assert!(plain == unpacked && plain.starts_with(begins) && packed.len() < plain.len() / 3, "{path}");
    }
}

#[test]
fn a_demo_that_wants_signatures_has_no_provider_that_anybody_can_ask() {
    for (name, value) in [
        ("FLASHSALE_WEBHOOK__SECRETS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("FLASHSALE_WEBHOOK__ALLOW_UNSIGNED", "false"),
    ] {
        let folder = TempDir::with_prefix("fs").unwrap();
        let mut program = command(&folder.path().join("data"));
        program.env(name, value);
        let service = ServiceProcess::run(program, ([127, 0, 0, 1], free_port()).into());
        let mut connection = TcpStream::connect(service.addr).unwrap();
        let body = r#"{"order_id":"order_p1_x","event":"paid"}"#;
        let head = format!(
            "Host: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        connection.write_all(format!("POST /demo/payments HTTP/1.1\r\n{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("\"not_found\""), "{name}: {answer}");
    }
}

#[tokio::test]
async fn the_simulated_provider_of_the_demo_pays_well_badly_and_twice() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let data = folder.path().join("data");
    let service = tokio::task::spawn_blocking(move || ServiceProcess::start(&data)).await.unwrap();
    let client = Client::new();
    let post = async |path: &str, body: Value| {
        Answer::read(client.post(format!("{}{path}", service.url())).json(&body).ask().await.unwrap()).await
    };
    let order = async || {
        let hold = post("/api/holds", json!({"product_id": 1, "quantity": 2})).await.id();
        post("/api/orders", json!({"hold_id": hold})).await.id()
    };
    let pay = async |body: Value| post("/demo/payments", body).await;
    let outcomes = |answer: &Answer| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let sent = answer.body["sent"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
        sent.iter().map(|sent| (text(&sent["outcome"]), text(&sent["order"]["status"]))).collect()
    };
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(outcome, status)| ((*outcome).to_owned(), (*status).to_owned())).collect()
    };
    let first = order().await;
    let declined = pay(json!({"order_id": first, "event": "declined"})).await;
    assert_eq!(outcomes(&declined), owned(&[("ignored", "pending")]));
    let twice = pay(json!({"order_id": first, "event": "paid", "copies": 2})).await;
    assert_eq!(outcomes(&twice), owned(&[("applied", "paid"), ("duplicate", "paid")]));
    let little = pay(json!({"order_id": order().await, "event": "paid", "amount": "1.00"})).await;
    assert_eq!(outcomes(&little), owned(&[("review", "in_review")]));
    let second = pay(json!({"order_id": first, "event": "paid", "payment_id": "pi_another"})).await;
    assert_eq!(outcomes(&second), owned(&[("review", "paid")]));
    for (body, status, code) in [
        (json!({"order_id": "order_p1_x", "event": "paid"}), 404, "order_not_found"),
        (json!({"order_id": first, "event": "stolen"}), 422, "validation_failed"),
        (json!({"order_id": first, "event": "paid", "copies": 6}), 422, "validation_failed"),
        (json!({"order_id": first, "event": "paid", "amount": "-1"}), 422, "validation_failed"),
        (json!({"order_id": first, "event": "paid", "card": 1}), 422, "unknown_field"),
    ] {
        let answer = pay(body.clone()).await;
        assert_eq!(answer.refusal(), (status, code), "{body}");
    }
}
