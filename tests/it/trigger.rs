//! `flashsale trigger` against a running service.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::Output,
    thread,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    process::command,
};

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

/// The printed lines without the ids of events and reviews, and the exit status.
fn printed(output: &Output) -> (Vec<String>, i32) {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(|line| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with(' ') {
            assert!(words.pop().is_some_and(|id| id.starts_with("review_p") || id.starts_with("pi_")), "{line}");
            words.truncate(1);
        } else {
            words.remove(1);
        }
        words.join(" ")
    });
    (lines.collect(), output.status.code().unwrap())
}

/// Each case must succeed and print these lines. `ORDER` stands for the order's id. A word with a colon stands for the line
/// about a review with this reason.
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

/// The payment of an order, as an admin sees it.
async fn payment_of(app: &TestApp, order: &str) -> Value {
    let path = format!("/api/admin/orders/{order}");
    let answer = app.send(app.request(Method::GET, &path).bearer_auth(ADMIN_TOKEN)).await;
    answer.body["payments"][0].clone()
}

/// Status of the order, then captured and refunded amount and the flags of its payment.
async fn facts(app: &TestApp, order: &str) -> String {
    let status = app.get(&format!("/api/orders/{order}")).await.body["status"].as_str().unwrap().to_owned();
    let payment = payment_of(app, order).await;
    let amounts = ["captured_amount", "refunded_amount"].map(|name| payment[name].as_str().unwrap_or("-").to_owned());
    let flags = ["in_flight", "declined", "ended"].into_iter().filter(|name| payment[*name] == true);
    let dispute = payment["dispute"].as_str();
    [status.as_str()]
        .into_iter()
        .chain(amounts.iter().map(String::as_str))
        .chain(flags)
        .chain(dispute)
        .collect::<Vec<_>>()
        .join(" ")
}

#[tokio::test]
async fn every_case_can_be_tried_from_a_shell() {
    let app = selling(20).await;
    let order = app.ordered().await;
    let cases: [(&str, &[&str]); 7] = [
        ("paid ORDER --amount 1.00", &["paid 200 review order in_review", "amount_mismatch:"]),
        (
            "paid ORDER --duplicate 3",
            &["paid 200 applied order paid", "paid 200 duplicate order paid", "paid 200 duplicate order paid"],
        ),
        ("paid ORDER", &["paid 200 duplicate order paid"]),
        ("partial-refund ORDER", &["partial-refund 200 review order paid", "partial_refund:"]),
        ("refunded ORDER", &["refunded 200 applied order refunded"]),
        ("refund-failed ORDER", &["refund-failed 200 refund_required order refund_required", "refund_failed:"]),
        ("paid order_x", &["paid 200 unmatched no order", "unmatched:"]),
    ];
    all_go(&app, &order, &cases);
    assert_eq!(facts(&app, &order).await, "refund_required 50.00 -");
    let order = app.ordered().await;
    all_go(
        &app,
        &order,
        &[
            ("paid ORDER", &["paid 200 applied order paid"]),
            ("paid ORDER --payment-id pi_other", &["paid 200 review order paid", "duplicate_payment:"]),
            ("dispute ORDER", &["dispute 200 review order paid", "disputed:"]),
            ("dispute-won ORDER", &["dispute-won 200 applied order paid"]),
            ("dispute-lost ORDER", &["dispute-lost 200 review order paid", "dispute_lost:"]),
        ],
    );
    assert_eq!(app.stock(1).await, "19 available, 1 sold");
}

#[tokio::test]
async fn what_is_about_one_payment_is_no_word_of_the_shop_about_the_order() {
    let app = selling(20).await;
    for provider in ["", " --provider stripe"] {
        let order = app.ordered().await;
        for (kind, expected) in [
            ("processing", "pending - - in_flight"),
            ("declined", "pending - - in_flight declined"),
            ("ended", "pending - - declined ended"),
            ("paid", "paid 50.00 - declined ended"),
            ("partial-refund", "paid 50.00 25.00 declined ended"),
            ("dispute", "paid 50.00 25.00 declined ended open"),
            ("dispute-won", "paid 50.00 25.00 declined ended won"),
            ("dispute-lost", "paid 50.00 25.00 declined ended lost"),
            ("refunded", "refunded 50.00 50.00 declined ended lost"),
            ("refund-failed", "refund_required 50.00 - declined ended lost"),
        ] {
            let output = trigger(&app, &format!("{kind} {order}{provider}"));
            assert_eq!(output.status.code(), Some(0), "{kind}{provider}: {output:?}");
            assert_eq!(facts(&app, &order).await, expected, "{kind}{provider}");
        }
        let order = app.ordered().await;
        let authorised = trigger(&app, &format!("authorised {order}{provider}"));
        assert!(printed(&authorised).0[0].ends_with("order pending"), "{authorised:?}");
        assert_eq!(facts(&app, &order).await, "pending - - in_flight");
    }
    for kind in ["failed", "cancelled"] {
        let order = app.ordered().await;
        let output = trigger(&app, &format!("{kind} {order}"));
        assert_eq!(printed(&output), (vec![format!("{kind} 200 applied order cancelled")], 0));
        let stripe = trigger(&app, &format!("paid,{kind} {} --provider stripe", app.ordered().await));
        let (status, message) = complaint(&stripe);
        assert!(status == 2 && message.contains(&format!("stripe has no event `{kind}`")), "{message}");
        assert!(message.contains("declined") && message.contains("ended") && stripe.stdout.is_empty(), "{message}");
        let named = trigger(&app, &format!("{kind} {order} --payment-id pi_1"));
        let (status, message) = complaint(&named);
        assert!(status == 2 && message.contains("names no payment"), "{message}");
    }
}

#[tokio::test]
async fn the_money_is_that_of_the_order_unless_the_caller_says_something_else() {
    let app = selling(20).await;
    app.add_product(json!({"id": 7, "name": "Mug", "price": "1501", "currency": "JPY", "total_stock": 9})).await;
    let hold = app.post("/api/holds", json!({"product_id": 7, "quantity": 1})).await.id();
    let order = app.order(&hold).await.id();
    for (arguments, expected) in [
        ("paid ORDER --currency USD", "in_review 1501.00 -"),
        ("paid ORDER --amount 1000", "in_review 1000 -"),
        ("paid ORDER", "paid 1501 -"),
        ("partial-refund ORDER", "paid 1501 750"),
        ("partial-refund ORDER --amount 800", "paid 1501 800"),
        ("refunded ORDER --amount 900 --provider stripe", "paid 1501 900"),
        ("partial-refund ORDER --no-amount", "paid 1501 900"),
        ("refunded ORDER --no-amount", "refunded 1501 1501"),
    ] {
        let output = trigger(&app, &arguments.replace("ORDER", &order));
        assert_eq!(output.status.code(), Some(0), "{arguments}: {output:?}");
        assert_eq!(facts(&app, &order).await, expected, "{arguments}");
    }
    for (arguments, said) in [
        ("paid ORDER --no-amount --amount 5", "cannot be used with"),
        ("paid ORDER --no-amount --currency EUR", "cannot be used with"),
        ("paid ORDER --no-amount --provider stripe", "every event of stripe has an amount"),
        ("paid ORDER --amount 1.5", "more decimals"),
        ("partial-refund order_x", "knows no total of order_x: give --amount"),
        ("paid order_x --provider stripe", "knows no total of order_x: give --amount and --currency"),
        ("paid hold_x --provider stripe", "knows no total of hold_x: give --amount and --currency"),
        ("paid ../admin/orders --provider stripe", "knows no total of ../admin/orders"),
    ] {
        let output = trigger(&app, &arguments.replace("ORDER", &order));
        let (status, message) = complaint(&output);
        assert!(status == 2 && message.contains(said) && output.stdout.is_empty(), "{arguments}: {message}");
    }
    let unknown = trigger(&app, "paid order_x");
    assert!(complaint(&unknown).1.contains("knows no total of order_x, so the events have no amount"), "{unknown:?}");
    let known = trigger(&app, "paid order_y --provider stripe --amount 7 --currency JPY");
    assert_eq!(printed(&known).0[0], "paid 200 unmatched no order");
}

/// Answers with these bodies, one after another, and gives the requests that came.
fn answering(bodies: Vec<Value>) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let requests = bodies.into_iter().map(|body| {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let from = head.len();
                assert_ne!(stream.read_line(&mut head).unwrap(), 0, "{head}");
                if let Some(value) = head[from..].to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut sent = vec![0; length];
            stream.read_exact(&mut sent).unwrap();
            let body = body.to_string();
            let head_of_answer =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.get_mut().write_all((head_of_answer + &body).as_bytes()).unwrap();
            head.lines().next().unwrap().to_owned() + "\n" + &String::from_utf8(sent).unwrap()
        });
        requests.collect()
    });
    (url, server)
}

#[tokio::test]
async fn a_hold_that_says_what_it_costs_is_paid_with_that() {
    let received = json!({"message": "", "outcome": "applied", "order": null});
    let priced = json!({"id": "hold_p1_x", "total_amount": "20.50", "currency": "EUR", "expires_in": 5});
    let converted = json!({"id": "hold_p1_x", "order_id": "order_p1_y", "expires_in": 0});
    let order = json!({"id": "order_p1_y", "total_amount": "7.00", "currency": "USD"});
    let silent = json!({"id": "hold_p1_x", "expires_in": 5});
    for (answers, provider, asked, money) in [
        (vec![priced.clone()], "standard", vec!["GET /api/holds/hold_p1_x HTTP/1.1"], (json!("20.50"), json!("EUR"))),
        (vec![priced], "stripe", vec!["GET /api/holds/hold_p1_x HTTP/1.1"], (json!(2050), json!("eur"))),
        (
            vec![converted, order],
            "stripe",
            vec!["GET /api/holds/hold_p1_x HTTP/1.1", "GET /api/orders/order_p1_y HTTP/1.1"],
            (json!(700), json!("usd")),
        ),
        (vec![silent], "standard", vec!["GET /api/holds/hold_p1_x HTTP/1.1"], (Value::Null, Value::Null)),
    ] {
        let (url, server) = answering(answers.into_iter().chain([received.clone()]).collect());
        let mut program = command(Path::new("unused"));
        let output =
            program.args(["trigger", "paid", "hold_p1_x", "--provider", provider, "--url", &url]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let requests = server.join().unwrap();
        let (event, questions) = requests.split_last().unwrap();
        assert_eq!(questions.iter().map(|text| text.trim()).collect::<Vec<_>>(), asked);
        let event: Value = serde_json::from_str(event.split_once('\n').unwrap().1).unwrap();
        let place = if provider == "stripe" { &event["data"]["object"] } else { &event["payload"] };
        assert_eq!((place["amount"].clone(), place["currency"].clone()), money, "{event}");
    }
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
    let known = trigger(&app, &format!("paid {} --provider stripe --amount 50", app.held().await));
    assert_eq!(printed(&known), (vec!["paid 200 applied order paid".to_owned()], 0));
    let unpriced = trigger(&app, &format!("paid {}", app.held().await));
    assert_eq!(printed(&unpriced), (vec!["paid 200 applied order paid".to_owned()], 0));
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
    let (status, message) = complaint(&nobody);
    assert!(
        status == 2 && message.contains("http://127.0.0.1:1 does not answer") && nobody.stdout.is_empty(),
        "{message}"
    );
    let unasked = trigger(&app, &format!("paid {order} --no-amount --url http://127.0.0.1:1"));
    let (lines, status) = printed(&unasked);
    assert!(status == 1 && lines[0].starts_with("paid no answer: "), "{lines:?}");
    for (arguments, said) in [
        (
            "payed order_x",
            "possible values: paid, processing, authorised, declined, ended, failed, cancelled, refunded, partial-refund",
        ),
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

#[tokio::test]
async fn a_line_about_a_review_names_the_command_that_shows_it() {
    let app = selling(5).await;
    let order = app.ordered().await;
    let output = trigger(&app, &format!("paid {order} --amount 49.00"));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().nth(1).unwrap();
    let shown = line.trim().strip_prefix("amount_mismatch: flashsale ").unwrap();
    let mut program = command(Path::new("unused"));
    program.env("FLASHSALE_HTTP__ADDR", app.addr.to_string()).env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
    let output = program.args(shown.split(' ')).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("  amount_mismatch: what was captured"), "{line}");
    let foreign = String::from_utf8(trigger(&app, "paid order_x --payment-id pi_foreign").stdout).unwrap();
    assert!(foreign.contains("\n               unmatched: flashsale "), "{foreign}");
}

#[tokio::test]
async fn a_key_that_is_missing_costs_an_event_of_our_own_webhook_only_its_amount() {
    let app = TestApp::start_with(&[("HTTP__API_KEYS", "a-key-of-some-shop"), ("WEBHOOK__SECRETS", SECRET)]);
    let sent = trigger(&app, "paid order_x");
    let (status, message) = complaint(&sent);
    assert!(
        status == 0 && message.contains("asks for an API key before") && message.contains("have no amount"),
        "{message}"
    );
    let (status, message) = complaint(&trigger(&app, "partial-refund order_x"));
    assert!(status == 2 && message.contains("asks for an API key before") && message.contains("--amount"), "{message}");
    let (status, message) = complaint(&trigger(&app, "paid order_x --provider stripe"));
    assert!(status == 2 && message.contains("--api-key, or --amount and --currency"), "{message}");
    let (status, message) = complaint(&trigger(&app, "paid order_x --api-key a-key-of-some-shop"));
    assert!(status == 0 && message.contains("knows no total of order_x"), "{message}");
}
