//! `flashsale rush` against the real service, against none, and against a faulty one.

use std::{fs, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    faulty_service::{self, Fault},
    process::{ServiceProcess, command},
};

/// A demo service, and a folder for its data and for reports.
struct Demo {
    folder: TempDir,
    service: ServiceProcess,
}

impl Demo {
    fn new() -> Self {
        let folder = TempDir::with_prefix("fs").unwrap();
        let service = ServiceProcess::start(&folder.path().join("data"));
        Self { folder, service }
    }

    /// The token that the demo printed.
    fn token(&self) -> &str {
        let line = self.service.welcome.lines().find(|line| line.contains("admin token")).unwrap();
        line.split_whitespace().last().unwrap()
    }

    fn rush(&self, arguments: &str) -> Output {
        rush(&self.service.url(), arguments)
    }

    /// A rush of its own product that must be proved.
    fn proved(&self, arguments: &str) -> Value {
        let output = self.rush(&format!("--admin-token {} --json {arguments}", self.token()));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["proof"]["ok"], true, "{report}");
        report
    }
}

fn rush(url: &str, arguments: &str) -> Output {
    let mut program = command(std::path::Path::new("unused"));
    program.args(["rush", "--url", url]).args(arguments.split_whitespace()).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn sum(rows: &Value, name: &str) -> u64 {
    rows.as_array().unwrap().iter().map(|row| row[name].as_u64().unwrap()).sum()
}

fn outcome(report: &Value, step: &str, code: &str) -> u64 {
    let outcomes = report["outcomes"].as_array().unwrap().iter();
    outcomes.filter(|row| row["step"] == step && row["code"] == code).map(|row| row["count"].as_u64().unwrap()).sum()
}

#[test]
fn of_105_buyers_100_are_accepted_and_5_refused_and_all_figures_say_so() {
    let demo = Demo::new();
    let report = demo.proved("--buyers 105 --units 100");
    for figures in [&report, &report["seconds"]] {
        let counts = ["accepted", "refused", "failed"].map(|name| match figures {
            Value::Array(_) => sum(figures, name),
            _ => figures[name].as_u64().unwrap(),
        });
        assert_eq!(counts, [100, 5, 0], "{report}");
    }
    assert_eq!((outcome(&report, "hold", "held"), outcome(&report, "hold", "insufficient_stock")), (100, 5));
    assert_eq!(report["latency_us"]["hold"]["count"], 105);
    assert_eq!((&report["requests"], &report["ended"]), (&105.into(), &"all_served".into()));
    let last = report["stock"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["available"], &last["held"]), (&0.into(), &100.into()));
}

#[test]
fn in_a_lifecycle_every_unit_is_sold_and_signed_payments_are_accepted() {
    let demo = Demo::new();
    let secret = "--webhook-secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for signed in ["", secret] {
        let report = demo.proved(&format!("--scenario lifecycle --buyers 25 --units 20 {signed}"));
        let counts = [("hold", "held"), ("order", "ordered"), ("pay", "applied")];
        assert_eq!(counts.map(|(step, code)| outcome(&report, step, code)), [20, 20, 20]);
        assert_eq!(report["stock"].as_array().unwrap().last().unwrap()["sold"], 20);
    }
}

#[test]
fn a_request_that_is_sent_three_times_counts_once() {
    let report = Demo::new().proved("--scenario duplicates --buyers 25 --units 20 --seed 7");
    assert_eq!((report["accepted"].as_u64(), report["refused"].as_u64()), (Some(20), Some(5)));
    assert_eq!((outcome(&report, "hold", "held"), outcome(&report, "hold", "insufficient_stock")), (60, 15));
    assert_eq!((outcome(&report, "pay", "applied"), outcome(&report, "pay", "duplicate")), (20, 40));
    assert_eq!(report["stock"].as_array().unwrap().last().unwrap()["sold"], 20);
}

#[test]
fn others_get_abandoned_units_and_all_come_back() {
    let report = Demo::new().proved("--scenario abandon --buyers 200 --units 5 --duration 4s");
    assert!(report["accepted"].as_u64().unwrap() > 5, "{report}");
    assert_eq!(report["stock"].as_array().unwrap().last().unwrap()["available"], 5);
}

#[test]
fn with_a_rate_buyers_come_on_schedule_until_the_time_is_up() {
    let report = Demo::new().proved("--buyers 100000 --units 10 --rate 200/s --duration 1s");
    assert_eq!((&report["loop"], &report["rate"], &report["ended"]), (&"open".into(), &200.into(), &"time_up".into()));
    let served = ["accepted", "refused", "failed"].map(|name| report[name].as_u64().unwrap()).iter().sum::<u64>();
    assert!((1..=200).contains(&served), "{report}");
    assert_eq!(report["unserved"], 100_000 - served);
}

#[test]
fn the_report_is_one_page_that_needs_no_other() {
    let demo = Demo::new();
    let page = demo.folder.path().join("rush.html");
    let output = demo.rush(&format!("--product 1 --buyers 105 --report {}", page.display()));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let verdict = "100 units, 105 buyers: gave out exactly 100";
    assert!(printed.contains(&format!("proved: {verdict}")), "{printed}");
    assert!(printed.lines().all(|line| line.chars().count() <= 100), "{printed}");
    let html = fs::read_to_string(page).unwrap();
    assert!(html.contains(&format!("<h1>{verdict}</h1>")), "{html}");
    assert_eq!(html.matches("<svg").count(), 3);
    for foreign in ["src=", "href=", "<script", "@import", "url("] {
        assert!(!html.contains(foreign), "{foreign} in {html}");
    }
}

#[test]
fn when_there_can_be_no_rush_it_says_what_to_do() {
    let demo = Demo::new();
    let url = demo.service.url();
    let cases = [
        ("http://127.0.0.1:1", "--product 1", "flashsale serve --demo"),
        ("http://127.0.0.1:1", "", "flashsale serve --demo"),
        (&url, "", "--admin-token"),
        (&url, "--admin-token not-the-token-of-this-one", "refuses this admin token"),
        (&url, "--product 99", "/api/products lists"),
        (&format!("{url}/elsewhere"), "--product 1", "no flashsale service"),
        ("ftp://127.0.0.1", "--product 1", "--url"),
        (&url, "--product 1 --units 5", "--units"),
        (&url, "--product 1 --rate fast", "5000/s"),
        (&url, "--product 1 --duration 2h", "10s"),
        (&url, "--product 1 --buyers 0", "--buyers"),
        (&url, "--product 1 --webhook-secret hunter2hunter2", "whsec_"),
        (&url, "--product 1 --report /no/such/folder/rush.html", "cannot be written"),
    ];
    for (url, arguments, expected) in cases {
        let output = rush(url, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {output:?}");
        assert!(stderr(&output).contains(expected), "{arguments}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments}: {output:?}");
    }
    assert_eq!(demo.rush("--product 1 --keep").status.code(), Some(0));
    let late = demo.rush("--product 1");
    assert!(late.status.code() == Some(2) && stderr(&late).contains("no units left"), "{late:?}");
}

#[tokio::test]
async fn a_buyer_who_is_turned_away_at_the_gate_was_not_refused_for_stock() {
    let limit = [("HTTP__RATE_LIMIT_PER_SECOND", "0.001"), ("HTTP__RATE_LIMIT_BURST", "6")];
    let app = TestApp::start_with(&limit);
    app.add_product(json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 5})).await;
    let url = format!("http://{}", app.addr);
    let report = |arguments: &str| {
        let output = rush(&url, &format!("--product 1 --json {arguments}"));
        (
            output.status.code().unwrap(),
            serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default(),
            stderr(&output),
        )
    };
    let (status, report_of_ten, _) = report(&format!("--buyers 10 --admin-token {ADMIN_TOKEN}"));
    let counts = ["accepted", "refused", "failed"].map(|name| report_of_ten[name].as_u64().unwrap());
    assert_eq!(
        (status, counts),
        (1, [5, 0, 5]),
        "of the reads of the counters only the first took one: {report_of_ten}"
    );
    let verdict = report_of_ten["verdict"].as_str().unwrap();
    assert!(verdict.ends_with("not proved that nobody was turned away at the gate"), "{verdict}");
    assert!(report_of_ten["notes"][0].as_str().unwrap().contains("5 requests met a rate limit"), "{report_of_ten}");
    let (status, _, printed) = report("--buyers 10");
    assert!(status == 2 && printed.contains("has a rate limit"), "{printed}");
}

#[tokio::test]
async fn no_key_and_a_wrong_key_get_different_hints() {
    let app = TestApp::start_with(&[("HTTP__API_KEYS", "a-key-of-some-shop")]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "1.00", "total_stock": 5})).await;
    let url = format!("http://{}", app.addr);
    for (key, hint) in
        [("", "asks buyers for an API key"), ("--api-key another-key-than-that", "does not know this API key")]
    {
        for arguments in [format!("--product 1 {key}"), format!("--admin-token {ADMIN_TOKEN} {key}")] {
            let output = rush(&url, &arguments);
            assert!(output.status.code() == Some(2) && stderr(&output).contains(hint), "{output:?}");
        }
    }
    assert_eq!(rush(&url, "--product 1 --buyers 6 --api-key a-key-of-some-shop").status.code(), Some(0));
}

#[test]
fn an_interrupted_rush_reports_what_it_did() {
    let demo = Demo::new();
    let mut program = command(demo.folder.path());
    program.args([
        "rush",
        "--url",
        &demo.service.url(),
        "--product",
        "1",
        "--json",
        "--rate",
        "1",
        "--duration",
        "60s",
    ]);
    let child = program.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let id = child.id();
    // Its second buyer is there, so it listens to signals by now.
    let held = || {
        let addr = demo.service.addr;
        let mut stream = std::net::TcpStream::connect(addr).unwrap();
        let ask = format!("GET /api/products/1 HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
        std::io::Write::write_all(&mut stream, ask.as_bytes()).unwrap();
        std::io::read_to_string(&mut stream).unwrap()
    };
    let started = std::time::Instant::now();
    while !held().contains("\"held_stock\":2") {
        assert!(started.elapsed().as_secs() < 20, "no second buyer");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    crate::support::redis::signal_process(id, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ended"], "interrupted");
    assert!(report["accepted"].as_u64().unwrap() >= 2);
}

#[test]
fn a_faulty_service_is_not_proved() {
    let faultless = faulty_service::start(Fault::None);
    assert_eq!(rush(&format!("http://{faultless}"), "--product 1 --buyers 30").status.code(), Some(0));
    let cases = [
        (Fault::Oversells, "rush", "nothing was oversold"),
        (Fault::Miscounts, "rush", "units taken = holds granted"),
        (Fault::Shares, "rush", "every buyer has a hold of their own"),
        (Fault::Hoards, "rush", "no buyer met sold-out while units were left"),
        (Fault::Forgets, "duplicates --keep", "duplicates were answered identically"),
        (Fault::Keeps, "rush", "what the rush made was taken away"),
        (Fault::None, "lifecycle --keep", "units sold = orders paid"),
        (Fault::None, "abandon --duration 1s", "all units came back"),
    ];
    for (fault, scenario, check) in cases {
        let addr = faulty_service::start(fault);
        let output = rush(&format!("http://{addr}"), &format!("--product 1 --buyers 30 --scenario {scenario}"));
        let printed = String::from_utf8(output.stdout.clone()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{fault:?}: {output:?}");
        assert!(printed.contains(&format!("NO  {check}")), "{fault:?}: {printed}");
        assert!(printed.contains("FAILED: 20 units, 30 buyers: not proved that "), "{fault:?}: {printed}");
    }
}
