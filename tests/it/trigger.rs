//! `flashsale trigger` against a running service.

use std::{path::Path, process::Output};

use serde_json::{Value, json};

use crate::support::{app::TestApp, process::command};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STRIPE_SECRET: &str = "whsec_4f5c0c2a7d9e4b1f8a6d3e2c1b0a9f8e";

/// A service that takes only signed events, with product 1 at 50.00 USD.
async fn selling(units: u64) -> TestApp {
    let app = TestApp::start_with(&[
        ("WEBHOOK__SECRETS", SECRET),
        ("WEBHOOK__STRIPE_SECRETS", STRIPE_SECRET),
        ("WEBHOOK__ALLOW_UNSIGNED", "false"),
    ]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": units})).await;
    app
}

/// Runs the command in an environment with the address of the service and its secrets.
fn trigger(app: &TestApp, arguments: &str) -> Output {
    command(Path::new("unused"))
        .arg("trigger")
        .args(arguments.split(' '))
        .env("FLASHSALE_HTTP__ADDR", app.addr.to_string())
        .env("FLASHSALE_WEBHOOK__SECRETS", format!("{SECRET},whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
        .env("FLASHSALE_WEBHOOK__STRIPE_SECRETS", STRIPE_SECRET)
        .output()
        .unwrap()
}

/// The printed lines without the id of the event, and the exit status.
fn printed(output: &Output) -> (Vec<String>, i32) {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(|line| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.remove(1);
        words.join(" ")
    });
    (lines.collect(), output.status.code().unwrap())
}

/// Each case must succeed and print these lines. `ORDER` stands for the order's id.
fn all_go(app: &TestApp, order: &str, cases: &[(&str, &[&str])]) {
    for (arguments, expected) in cases {
        let output = trigger(app, &arguments.replace("ORDER", order));
        let expected = expected.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(printed(&output), (expected, 0), "{arguments}: {}", complaint(&output).1);
    }
}

fn complaint(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn every_case_can_be_tried_from_a_shell() {
    let app = selling(20).await;
    let order = app.ordered().await;
    let cases: [(&str, &[&str]); 8] = [
        ("paid ORDER --amount 1.00", &["paid 200 review order pending"]),
        (
            "paid ORDER --duplicate 3",
            &["paid 200 applied order paid", "paid 200 duplicate order paid", "paid 200 duplicate order paid"],
        ),
        ("paid ORDER", &["paid 200 duplicate order paid"]),
        ("paid ORDER --payment-id pi_other", &["paid 200 review order paid"]),
        ("failed,cancelled ORDER", &["failed 200 ignored order paid", "cancelled 200 ignored order paid"]),
        ("refunded ORDER --amount 10 --currency usd", &["refunded 200 review order paid"]),
        ("refunded ORDER", &["refunded 200 applied order refunded"]),
        ("paid order_x", &["paid 200 unmatched no order"]),
    ];
    all_go(&app, &order, &cases);
    assert_eq!(app.stock(1).await, "20 available");
}

#[tokio::test]
async fn a_payment_of_a_hold_and_the_refund_of_its_order_are_about_one_payment() {
    let app = selling(5).await;
    let hold = app.held().await;
    let paid = trigger(&app, &format!("paid {hold} --amount 50.00"));
    assert_eq!(printed(&paid), (vec!["paid 200 applied order paid".to_owned()], 0));
    let order = app.order(&hold).await.id();
    let refunded = trigger(&app, &format!("refunded {order} --provider stripe"));
    assert_eq!(printed(&refunded), (vec!["refunded 200 applied order refunded".to_owned()], 0));
}

#[tokio::test]
async fn stripes_events_carry_what_the_order_costs_and_are_signed() {
    let app = selling(20).await;
    let order = app.ordered().await;
    let begun = trigger(&app, &format!("processing {order} --provider stripe"));
    assert!(printed(&begun).0[0].ends_with("order pending"), "{begun:?}");
    let cases: [(&str, &[&str]); 4] = [
        (
            "paid ORDER --provider stripe --duplicate 2",
            &["paid 200 applied order paid", "paid 200 duplicate order paid"],
        ),
        ("refunded ORDER --provider stripe --amount 10.00", &["refunded 200 review order paid"]),
        ("refunded ORDER --provider stripe", &["refunded 200 applied order refunded"]),
        ("paid order_x --provider stripe --amount 7 --currency JPY", &["paid 200 unmatched no order"]),
    ];
    all_go(&app, &order, &cases);
    for (status, stands) in [("failed", "cancelled"), ("canceled", "cancelled")] {
        let output = trigger(&app, &format!("{status} {} --provider stripe", app.ordered().await));
        assert!(printed(&output).0[0].ends_with(&format!("applied order {stands}")), "{output:?}");
    }
    let hold = app.held().await;
    let unknown = trigger(&app, &format!("paid {hold} --provider stripe"));
    let (status, message) = complaint(&unknown);
    assert!(status == 2 && message.contains("give --amount"), "{message}");
    let known = trigger(&app, &format!("paid {hold} --provider stripe --amount 50"));
    assert_eq!(printed(&known), (vec!["paid 200 applied order paid".to_owned()], 0));
}

#[tokio::test]
async fn events_are_shuffled_by_a_printed_seed_and_programs_can_read_the_answers() {
    let app = selling(20).await;
    let sent = |output: &Output| -> Vec<String> {
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let jsons = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap());
        jsons.map(|json| format!("{} {} {}", json["sent"], json["event"], json["status"])).collect()
    };
    let shuffled = |order: &str, more: &str| {
        trigger(&app, &format!("paid,failed,refunded {order} --duplicate 4 --shuffle --json --key e{more}"))
    };
    let first = shuffled(&app.ordered().await, "");
    let message = complaint(&first).1;
    let seed = message.split(' ').nth(1).unwrap();
    let orders = sent(&first);
    assert_eq!(orders.len(), 12, "{orders:?}");
    for (status, number) in [("paid", 1), ("failed", 2), ("refunded", 3)] {
        let line = format!("\"{status}\" \"e-{number}\" 200");
        assert_eq!(orders.iter().filter(|sent| **sent == line).count(), 4, "{orders:?}");
    }
    // Another product has another sale, which has not seen these events.
    app.add_product(json!({"id": 2, "name": "Other", "price": "50.00", "total_stock": 1})).await;
    let hold = app.post("/api/holds", json!({"product_id": 2, "quantity": 1})).await.id();
    let again = shuffled(&app.order(&hold).await.id(), &format!(" --seed {seed}"));
    assert_eq!(sent(&again), orders);
}

#[tokio::test]
async fn the_exit_status_reports_refusals_and_missing_answers() {
    let app = selling(5).await;
    let order = app.ordered().await;
    let forged = trigger(&app, &format!("paid {order} --secret whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"));
    let (lines, status) = printed(&forged);
    assert!(status == 1 && lines[0].starts_with("paid 401 signature_invalid: "), "{lines:?}");
    let nobody = trigger(&app, &format!("paid {order} --url http://127.0.0.1:1"));
    let (lines, status) = printed(&nobody);
    assert!(status == 1 && lines[0].starts_with("paid no answer: "), "{lines:?}");
    for (arguments, said) in [
        ("payed order_x", "possible values: paid, failed, cancelled, refunded, processing"),
        ("paid", "ORDER"),
        ("paid order_x --amount 1.234", "more decimals"),
        ("paid order_x --currency XYZ --amount 1", "ISO 4217"),
        ("paid order_x --secret hunter2", "base64"),
        ("paid order_x --provider stripe --secret sk_live_hunter2", "as Stripe shows it"),
        ("paid order_x --provider paypal", "possible values: standard, stripe"),
        ("paid order_x --seed 1", "--shuffle"),
        ("paid order_x --url ftp://x", "--url"),
    ] {
        let (status, complaint) = complaint(&trigger(&app, arguments));
        assert!(status == 2 && complaint.contains(said) && !complaint.contains("hunter2"), "{arguments}: {complaint}");
    }
    assert_eq!(app.stock(1).await, "4 available, 1 pending");
}
