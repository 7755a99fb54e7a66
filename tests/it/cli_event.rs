//! `flashsale event` against a running service.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    commands::{all_fail, done, program},
    contract::Ask,
    process::{ServiceProcess, command},
};

#[tokio::test]
async fn events_are_printed_with_what_changed_who_did_it_and_why() {
    let app = TestApp::start_with(&[("ADMIN__TOKENS", "anna:the-secret-of-anna")]);
    app.add_product(json!({"id": 1, "sale": "drop", "name": "Cap", "price": "9.00", "total_stock": 10})).await;
    for (arguments, reason) in [
        ("product restock 1 --delta 5", "found a box"),
        ("product change 1 --price 9.50", "a typing error"),
        ("sale pause drop", "the shelf fell"),
        ("sale resume drop", "it stands"),
        ("sale change drop --hold-seconds 60", "a rush"),
    ] {
        let changed = program(&app)
            .args(arguments.split(' '))
            .args(["--reason", reason, "--token", "the-secret-of-anna"])
            .output()
            .unwrap();
        assert!(changed.status.success(), "{changed:?}");
    }
    let order = app.ordered().await;
    done(&app, &format!("order cancel {order} --reason twice"));
    let printed = done(&app, "event list");
    let lines: Vec<_> = printed.lines().map(|line| line.split_once("Z  ").unwrap().1).collect();
    let restocked = "product.restocked      drop  product 1 (Cap): total_stock 10 -> 15 (+5), by anna: found a box";
    assert_eq!(lines[2], restocked);
    for (at, end) in [
        (3, "product 1 (Cap): price 9.00 -> 9.50, by anna: a typing error"),
        (4, "sale drop: paused false -> true, by anna: the shelf fell"),
        (5, "sale drop: paused true -> false, by anna: it stands"),
        (6, "hold_seconds 900 -> 60, hold_seconds_max 900 -> 60, by anna: a rush"),
    ] {
        assert!(lines[at].ends_with(end), "{} ends with {end}", lines[at]);
    }
    assert!(lines.last().unwrap().contains(&order) && lines.last().unwrap().ends_with(": twice"), "{printed}");
    let some = done(&app, "event list --sale drop --type order.*,product.restocked --since -1h --json");
    let types: Vec<String> = some
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(types, ["product.restocked", "order.created", "order.cancelled"]);
    assert_eq!(done(&app, "event list --type order.paid"), "");
}

#[tokio::test]
async fn events_of_an_order_a_customer_and_a_product_are_found_among_all() {
    let app = TestApp::start();
    for (id, sku) in [(1, Some("AIR-41")), (2, None)] {
        let product = json!({"id": id, "sale": "drop", "name": "Air", "sku": sku, "price": "9.00", "total_stock": 10});
        app.add_product(product).await;
    }
    let order = async |product: u64, customer: &str| {
        let hold = json!({"product_id": product, "quantity": 1, "customer_id": customer});
        let hold = app.post("/api/holds", hold).await.id();
        app.order(&hold).await.id()
    };
    let (of_anna, of_bob) = (order(1, "anna").await, order(2, "bob").await);
    app.pay("a", json!({"status": "paid", "order_id": of_anna, "payment_id": "pi_1", "amount": "1.00"})).await;
    app.pay("b", json!({"status": "paid", "order_id": of_bob})).await;
    done(&app, "product restock 1 --delta 5");
    let types = |filter: &str| {
        let printed = done(&app, &format!("event list --json {filter}"));
        let types = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone());
        types.map(|kind| kind.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let in_review = ["order.created", "order.in_review", "review.opened"];
    assert_eq!(types(&format!("--order {of_anna}")), in_review);
    assert_eq!(types("--customer anna"), in_review);
    assert_eq!(types("--customer bob --type order.paid"), ["order.paid"]);
    let product = ["product.created", "order.created", "order.in_review", "product.restocked"];
    assert_eq!(
        (types("--product 1"), types("--sku AIR-41 --sale drop")),
        (product.map(String::from).to_vec(), product.map(String::from).to_vec())
    );
    assert_eq!(types("--product 2"), ["product.created", "order.created", "order.paid"]);
    assert_eq!(types("--customer anna --product 2"), [""; 0]);
    let line = done(&app, &format!("event list --order {of_bob} --type order.paid"));
    assert!(line.contains(&format!("{of_bob}, 9.00 USD, bob")) && line.lines().count() == 1, "{line}");
    all_fail(&app, &[("event list --product 1 --sku AIR-41", 2, &["cannot be used with"])]);
}

#[tokio::test]
async fn mistakes_are_refused_with_what_to_do() {
    let app = TestApp::selling(1).await;
    all_fail(
        &app,
        &[
            ("event list --type order.shipped", 1, &["types", "order.paid"]),
            ("event follow --sale unknown-sale", 1, &["404 sale_not_found"]),
            ("event list --since soon", 2, &["90s, 1h, 1d12h"]),
            ("event list --token no-token-of-this-service", 1, &["401"]),
        ],
    );
}

/// `event follow`, and the lines that it prints.
struct Follower {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    notes: Lines<BufReader<ChildStderr>>,
}

impl Follower {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let notes = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines, notes }
    }

    /// The next line on stderr.
    fn note(&mut self) -> String {
        self.notes.next().unwrap().unwrap()
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

async fn send(client: &Client, service: &ServiceProcess, path: &str, body: &Value) -> Value {
    let request = client.request(Method::POST, format!("{}{path}", service.url())).json(body);
    request.ask().await.unwrap().json().await.unwrap()
}

async fn ordered(client: &Client, service: &ServiceProcess) -> Value {
    let hold = send(client, service, "/api/holds", &json!({"product_id": 1, "quantity": 1})).await;
    send(client, service, "/api/orders", &json!({"hold_id": hold["id"]})).await["id"].clone()
}

#[tokio::test]
async fn a_follower_goes_on_where_it_was_when_the_service_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let serve = || {
        let mut serve = command(folder.path());
        serve.env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
        serve
    };
    let service = ServiceProcess::run(serve(), ([127, 0, 0, 1], crate::support::redis::free_port()).into());
    let (client, addr) = (Client::new(), service.addr);
    let mut follow = command(folder.path());
    follow.env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN).env("FLASHSALE_URL", service.url());
    follow.args(["event", "list", "--follow", "--type", "order.created", "--json"]);
    let mut follower = Follower::start(follow);
    let first = ordered(&client, &service).await;
    assert_eq!(follower.next()["order"]["id"], first);
    assert!(service.stop());
    let service = ServiceProcess::run(serve(), addr);
    let client = Client::new();
    let (second, third) = (ordered(&client, &service).await, ordered(&client, &service).await);
    let found = [follower.next(), follower.next()].map(|event| event["order"]["id"].clone());
    assert_eq!(found, [second, third]);
}

#[tokio::test]
async fn a_follower_of_a_quiet_shop_says_once_that_the_service_is_gone_and_once_that_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let serve = || {
        let mut serve = command(folder.path());
        serve.env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
        serve
    };
    let service = ServiceProcess::run(serve(), ([127, 0, 0, 1], crate::support::redis::free_port()).into());
    let addr = service.addr;
    let mut follow = command(folder.path());
    follow.env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN).env("FLASHSALE_URL", service.url());
    follow.args(["event", "list", "--follow", "--json", "--timeout", "1s"]);
    let mut follower = Follower::start(follow);
    // Those of the demo's products, before anything else happens.
    while follower.next()["product"]["name"] != "Last pairs" {}
    // It stands still, with its connections open, and says nothing.
    crate::support::redis::signal_process(service.pid(), "STOP");
    let silent = follower.note();
    assert!(silent.starts_with("waiting for the service: no answer: no answer within 6 s"), "{silent}");
    crate::support::redis::signal_process(service.pid(), "CONT");
    assert_eq!(follower.note(), "the service answers again");
    service.kill();
    let gone = follower.note();
    assert!(gone.starts_with("waiting for the service: no answer: "), "{gone}");
    let service = ServiceProcess::run(serve(), addr);
    assert_eq!(follower.note(), "the service answers again");
    let order = ordered(&Client::new(), &service).await;
    // Another product of the demo may have been made after that one.
    let event = std::iter::repeat_with(|| follower.next()).find(|event| !event["product"].is_object()).unwrap();
    assert_eq!(event["order"]["id"], order, "{event}");
}
