//! The official Python libraries sign what the service checks, and check what is signed here. `scripts/bootstrap --tests`
//! installs them. `stripe_events.rs` sends all that Stripe says, and `standard_words.rs` all that senders of our own webhook do.

mod standard_words;
mod stripe_events;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use flashsale::webhook::{Provider, signature::Signer, standard, stripe};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::app::{ADMIN_TOKEN, TestApp};

const SECRETS: [&str; 2] = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"];
const FOREIGN: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the libraries, if they were installed.
fn libraries() -> Option<PathBuf> {
    let folder = root().join(".cache/python");
    if folder.join("installed.txt").exists() {
        return Some(folder);
    }
    crate::support::left_out("no stripe and standardwebhooks for Python; scripts/bootstrap --tests installs them");
    None
}

/// Runs the sender. It says what came of each job.
fn run(jobs: &Value) -> Value {
    let mut python = Command::new("python3")
        .arg(root().join("tests/it/webhook_libraries/send.py"))
        .env("PYTHONPATH", libraries().expect("each test asks whether they are there"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    python.stdin.take().unwrap().write_all(jobs.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "the libraries sign everything and accept what they signed");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A service that believes only what is signed with one of the secrets, and sells 50.00 USD things.
async fn shop() -> TestApp {
    let secrets = SECRETS.join(",");
    let app = TestApp::start_with(&[
        ("WEBHOOK__SECRETS", &secrets),
        ("WEBHOOK__STRIPE_SECRETS", &secrets),
        ("WEBHOOK__ALLOW_UNSIGNED", "false"),
    ]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 9_000})).await;
    app
}

/// A job with one of the many ways to sign it that must be trusted: during a rotation of secrets, and with a clock that differs.
fn signed_as(at: usize, mut job: Value) -> Value {
    let secrets = [vec![SECRETS[0]], vec![SECRETS[1]], vec![FOREIGN, SECRETS[0]], vec![SECRETS[1], SECRETS[0]]];
    job["secrets"] = json!(secrets[at % secrets.len()]);
    job["age"] = json!([0, 240, -240][at % 3]);
    job
}

/// The rows of a table of docs/payments.md, which a unit test compares with the code: what stands in backticks in the first
/// cells, and the cell behind them.
fn documented(head: &str, cells: usize) -> Vec<(Vec<String>, String)> {
    let table = include_str!("../../docs/payments.md").split(head).nth(1).expect("the document has this table");
    let rows =
        table.lines().skip(2).take_while(|line| line.starts_with('|')).filter(|row| !row.starts_with("| any other"));
    let row = |row: &str| {
        let row: Vec<&str> = row.split('|').skip(1).collect();
        let first = row[..cells].join(" ");
        (first.split('`').skip(1).step_by(2).map(str::to_owned).collect(), row[cells].trim().to_owned())
    };
    rows.map(row).collect()
}

async fn admin_get(app: &TestApp, path: &str) -> Value {
    let answer = app.send(app.request(Method::GET, path).bearer_auth(ADMIN_TOKEN)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// The reasons of open reviews about each payment.
type Reviews = BTreeMap<String, BTreeSet<String>>;

async fn open_reviews(app: &TestApp) -> Reviews {
    let mut reasons = Reviews::new();
    let mut after = String::new();
    loop {
        let page = admin_get(app, &format!("/api/admin/reviews?status=open&limit=100{after}")).await;
        for review in page["data"].as_array().unwrap() {
            let text = |name: &str| review[name].as_str().unwrap_or("").to_owned();
            reasons.entry(text("payment_id")).or_default().insert(text("reason"));
        }
        let Some(next) = page["next_cursor"].as_str() else { return reasons };
        after = format!("&cursor={next}");
    }
}

/// What the service knows of an order: its status and the facts of its payments.
async fn known(app: &TestApp, order: &str) -> String {
    let found = admin_get(app, &format!("/api/admin/orders/{order}")).await;
    let payments: Vec<String> = found["payments"].as_array().unwrap().iter().map(facts).collect();
    format!("{}: {}", found["status"].as_str().unwrap(), payments.join(" | "))
}

fn facts(payment: &Value) -> String {
    let id = payment["payment_id"].as_str().unwrap_or("nameless");
    let mut words = vec![id.split('_').next().unwrap().to_owned()];
    for (field, name) in [("captured_amount", "captured"), ("refunded_amount", "refunded"), ("dispute", "dispute")] {
        if let Some(value) = payment[field].as_str() {
            let currency = payment["currency"].as_str().filter(|code| field != "dispute" && *code != "USD");
            words.push([name, value, currency.unwrap_or("")].join(" ").trim().to_owned());
        }
    }
    for (field, name) in [("in_flight", "in flight"), ("declined", "declined"), ("ended", "ended")] {
        if payment[field] == true {
            words.push(name.to_owned());
        }
    }
    words.join(", ")
}

#[tokio::test]
async fn what_the_official_libraries_sign_is_trusted_and_nothing_else() {
    if libraries().is_none() {
        return;
    }
    let app = shop().await;
    let mut jobs = Vec::new();
    let mut expected = Vec::new();
    for (library, provider) in [("standard", &standard::PROVIDER), ("stripe", &stripe::PROVIDER)] {
        let order = app.ordered().await;
        let id = format!("evt_{library}");
        // No JSON writer of ours would write this, so only the bytes as they came can have the right signature.
        let body = match library {
            "standard" => format!(
                "{{ \"payload\" : {{\"note\":\"caf\u{e9} \u{1f389}\",\n\"status\":\"paid\",\"order_id\":\"{order}\"}} }} "
            ),
            _ => format!(
                "{{ \"id\":\"{id}\", \"type\":\"payment_intent.succeeded\", \"note\":\"caf\u{e9} \u{1f389}\",\n  \"data\":{{\"object\":\
                 {{\"id\":\"pi_1\",\"amount_received\":5000,\"currency\":\"usd\",\"metadata\":{{\"order_id\":\"{order}\"}}}}}} }} "
            ),
        };
        let job = json!({"library": library, "url": format!("http://{}{}", app.addr, provider.path), "id": id, "body": body,
            "secrets": [SECRETS[0]], "age": 0});
        for (changed, value, answer) in [
            ("secrets", json!([FOREIGN]), json!([401, "signature_invalid"])),
            ("sent", json!(body.replace("caf\u{e9}", "cafe")), json!([401, "signature_invalid"])),
            ("age", json!(310), json!([401, "timestamp_out_of_tolerance"])),
            ("age", json!(-310), json!([401, "timestamp_out_of_tolerance"])),
            ("age", json!(0), json!([200, "applied"])),
            ("age", json!(290), json!([200, "duplicate"])),
            ("age", json!(-290), json!([200, "duplicate"])),
            ("secrets", json!([SECRETS[1]]), json!([200, "duplicate"])),
            ("secrets", json!([FOREIGN, SECRETS[1]]), json!([200, "duplicate"])),
            ("prefix", json!("svix"), json!([200, "duplicate"])),
        ] {
            let mut job = job.clone();
            job[changed] = value;
            jobs.push(job);
            expected.push(answer);
        }
    }
    let came = run(&json!({"send": jobs, "check": []}));
    assert_eq!(came["send"], Value::Array(expected));
    assert_eq!(app.stock(1).await, "8998 available, 2 sold");
}

#[test]
fn what_is_signed_here_is_trusted_by_the_official_libraries() {
    if libraries().is_none() {
        return;
    }
    let body = "{\"id\":\"evt_1\",\"object\":\"event\",\"note\":\"caf\u{e9}\"}";
    let check = |library: &str, provider: &'static Provider| {
        let now = jiff::Timestamp::now().as_second().unsigned_abs();
        let headers = Signer::new(provider, SECRETS[0]).unwrap().sign("evt_1", now, body.to_owned()).headers;
        let headers: Map<_, _> = headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        json!({"library": library, "body": body, "secret": SECRETS[0], "headers": headers})
    };
    let jobs = [check("standard", &standard::PROVIDER), check("stripe", &stripe::PROVIDER)];
    assert_eq!(run(&json!({"send": [], "check": jobs}))["check"], json!(["trusted", "trusted"]));
}
