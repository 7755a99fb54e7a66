//! `flashsale rush --sale`: a whole drop, rehearsed on the service that will sell it, and nothing of it left afterwards.

use std::{
    process::{Child, Output, Stdio},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    commands::{all_fail, flashsale, json_of, program, status_and_stderr},
    faulty_service::{self, Fault},
    process::command,
    redis::signal_process,
};

const SIZES: u64 = 12;
const UNITS: u64 = 4;

/// Sale `drop` of 12 sizes, four units each, at most two of a size for one customer.
async fn drop_of_sizes(terms: Value) -> TestApp {
    drop_with(&[], terms).await
}

async fn drop_with(settings: &[(&str, &str)], terms: Value) -> TestApp {
    let app = TestApp::start_with(settings);
    let mut sale = json!({"id": "drop"});
    sale.as_object_mut().unwrap().extend(terms.as_object().unwrap().clone());
    let made = app.admin(Method::POST, "/api/admin/sales", sale).await;
    assert_eq!(made.status, 201, "{made:?}");
    for size in 1..=SIZES {
        app.add_product(json!({"id": size, "sale": "drop", "name": format!("Air {}", 35 + size), "price": "120.00",
            "total_stock": UNITS, "max_per_customer": 2}))
            .await;
    }
    app
}

/// The units of all sizes in words, if all have the same.
async fn stock_of_each(app: &TestApp) -> String {
    let first = app.stock(1).await;
    for size in 2..=SIZES {
        assert_eq!(app.stock(size).await, first, "size {size}");
    }
    first
}

fn report(output: &Output, status: i32) -> Value {
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn outcome(report: &Value, code: &str) -> u64 {
    let outcomes = report["outcomes"].as_array().unwrap().iter().filter(|row| row["code"] == code);
    outcomes.map(|row| row["count"].as_u64().unwrap()).sum()
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["proof"]["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

#[tokio::test]
async fn a_drop_of_twelve_sizes_is_sold_out_within_its_limits_and_is_as_before_afterwards() {
    let app = drop_of_sizes(json!({})).await;
    let page = tempfile::NamedTempFile::new().unwrap();
    let page = page.path().to_str().unwrap();
    let rehearsal = format!("rush --sale drop --duration 5m --buyers 900 --customers 8 --seed 7 --report {page}");
    let report = json_of(&app, &format!("{rehearsal} --json"));
    assert_eq!(report["accepted"], SIZES * UNITS, "{report}");
    assert!(outcome(&report, "customer_limit_reached") > 0 && outcome(&report, "insufficient_stock") > 0, "{report}");
    assert_eq!(report["not_shown"], json!([]));
    let products = report["products"].as_array().unwrap();
    assert_eq!(products.len() as u64, SIZES);
    for (place, product) in products.iter().enumerate() {
        let before = json!({"total": UNITS, "available": UNITS, "held": 0, "pending": 0, "sold": 0});
        assert_eq!((&product["before"], &product["after"]), (&before, &before));
        assert_eq!(product["end"]["held"], UNITS, "{product}");
        assert_eq!((&product["id"], &product["ok"]), (&(place as u64 + 1).into(), &true.into()));
    }
    assert!(products[0]["buyers"].as_u64() > products[11]["buyers"].as_u64().map(|buyers| 5 * buyers), "{report}");
    let limits = check(&report, "no customer has more than a limit allows");
    assert!(limits["detail"].as_str().unwrap().ends_with("at most 2 of a product"), "{limits}");
    assert_eq!(check(&report, "who met a limit had reached it")["ok"], true);
    assert_eq!(report["taken_away"]["holds"], SIZES * UNITS);
    assert_eq!(stock_of_each(&app).await, "4 available");

    let printed = String::from_utf8(flashsale(&app, &rehearsal).stdout).unwrap();
    for expected in [
        "900 buyers want 48 units of 12 products of sale drop",
        "as        8 customers",
        "proved: 48 units of 12 products, 900 buyers: gave out exactly 48",
    ] {
        assert!(printed.contains(expected), "{expected} in {printed}");
    }
    assert!(printed.lines().any(|line| line.trim_start().starts_with("Air 47 ")), "{printed}");
    assert!(printed.lines().all(|line| line.chars().count() <= 100), "{printed}");
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("<tr><th>Air 47</th><td>4</td>"), "{html}");
    assert_eq!(stock_of_each(&app).await, "4 available");
}

#[tokio::test]
async fn what_was_not_shown_is_shown_with_the_flags_that_it_names() {
    let app = drop_of_sizes(json!({})).await;
    let few = json_of(&app, "rush --sale drop --duration 5m --buyers 20 --customers 20 --json --seed 1");
    let missing = few["not_shown"].to_string();
    assert!(missing.contains("that a limit refuses anybody"), "{missing}");
    assert!(missing.contains("of 12 products have units left (Air 37, "), "{missing}");
    let advice = missing.split("Add --buyers").nth(1).unwrap().split('"').next().unwrap();
    let enough = json_of(&app, &format!("rush --sale drop --json --duration 5m --buyers{advice}"));
    assert_eq!((&enough["accepted"], &enough["not_shown"]), (&(SIZES * UNITS).into(), &json!([])), "{advice}");
    assert_eq!(stock_of_each(&app).await, "4 available");
}

#[tokio::test]
async fn without_a_token_it_reads_what_buyers_read_and_says_that_it_knows_no_terms_of_the_sale() {
    let app = drop_of_sizes(json!({})).await;
    let url = format!("http://{}", app.addr);
    let mut public = command(std::path::Path::new("unused"));
    let output = public
        .args(["rush", "--sale", "drop", "--url", &url, "--duration", "5m", "--buyers", "900", "--json"])
        .output()
        .unwrap();
    let report = report(&output, 0);
    assert_eq!(report["accepted"], SIZES * UNITS);
    assert!(report["not_shown"][0].as_str().unwrap().contains("--admin-token"), "{report}");
    let mut unknown = command(std::path::Path::new("unused"));
    let output = unknown.args(["rush", "--sale", "other", "--url", &url]).output().unwrap();
    let (status, stderr) = status_and_stderr(&output);
    assert!(status == 2 && stderr.contains("sale other has no products that buyers can see"), "{stderr}");
}

#[tokio::test]
async fn a_sale_that_gives_out_no_holds_is_refused_with_what_opens_it() {
    let app = drop_of_sizes(json!({"paused": true})).await;
    app.admin(Method::POST, "/api/admin/sales", json!({"id": "empty"})).await;
    let change = async |terms: Value| {
        let changed = app.admin(Method::PATCH, "/api/admin/sales/drop", terms).await;
        assert_eq!(changed.status, 200, "{changed:?}");
    };
    let rush = "rush --sale drop";
    all_fail(
        &app,
        &[
            (rush, 2, &["sale drop is paused", "flashsale sale resume drop", "flashsale sale pause drop"]),
            ("rush --product 3", 2, &["sale drop is paused"]),
            ("rush --sale empty", 2, &["sale empty has no products", "flashsale import"]),
            ("rush --sale other", 2, &["no sale other", "flashsale sale list"]),
            ("rush --sale drop --units 5", 2, &["--units"]),
            ("rush --sale drop --popularity steep", 2, &["zipf, even"]),
            ("rush --sale drop --scenario lifecycle", 2, &["paid orders stay", "--keep"]),
            ("rush --product 3 --scenario duplicates", 2, &["paid orders stay", "--keep"]),
            ("rush --sale drop --admin-token not-the-token-of-this-one", 2, &["refuses this admin token"]),
        ],
    );
    change(json!({"paused": false, "starts_at": "2096-11-27T09:00:00Z"})).await;
    let opens = "flashsale sale change drop --starts-at 2096-11-27T09:00:00.000Z";
    all_fail(&app, &[(rush, 2, &["sale drop opens at 2096-11-27T09:00:00.000Z", "--no-starts-at", opens])]);
    change(json!({"starts_at": null, "ends_at": "2016-11-27T09:00:00Z"})).await;
    all_fail(&app, &[(rush, 2, &["sale drop ended at 2016-11-27T09:00:00.000Z", "--no-ends-at"])]);
    change(json!({"ends_at": null})).await;
    let one_each = json_of(&app, "rush --sale drop --popularity even --duration 5m --buyers 400 --json");
    assert_eq!(one_each["accepted"], SIZES * UNITS);
}

/// The units of all sizes that are held.
async fn held(app: &TestApp) -> u64 {
    let list = app.get("/api/products").await.body;
    list["data"].as_array().unwrap().iter().map(|row| row["held_stock"].as_u64().unwrap()).sum()
}

/// A rush whose buyers come slowly, and of which some have holds by now.
async fn interruptible(app: &TestApp) -> Child {
    let mut rush = program(app);
    rush.args("rush --sale drop --rate 20 --duration 60s --json".split(' '));
    let child = rush.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while held(app).await < 5 {
        assert!(started.elapsed() < Duration::from_secs(20), "no buyers come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child
}

#[tokio::test]
async fn an_interrupted_rehearsal_takes_away_what_it_made() {
    let app = drop_of_sizes(json!({})).await;
    for signal in ["INT", "TERM"] {
        let child = interruptible(&app).await;
        signal_process(child.id(), signal);
        let report = report(&child.wait_with_output().unwrap(), 0);
        assert_eq!(report["ended"], "interrupted");
        assert!(report["accepted"].as_u64().unwrap() >= 5, "{report}");
        assert_eq!(report["taken_away"]["holds"], report["accepted"]);
        assert!(report["not_shown"].to_string().contains("Let it run to its end"), "{report}");
        assert_eq!(stock_of_each(&app).await, "4 available", "{signal}");
    }
}

#[tokio::test]
async fn with_keep_everything_stays_and_orders_are_paid() {
    let app = drop_of_sizes(json!({})).await;
    let kept = json_of(&app, "rush --sale drop --keep --duration 5m --buyers 900 --json");
    assert_eq!((&kept["taken_away"]["kept"], &kept["taken_away"]["holds"]), (&true.into(), &0.into()));
    assert_eq!(stock_of_each(&app).await, "4 held");
    all_fail(&app, &[("rush --sale drop", 2, &["sale drop has no units left: 48 are held"])]);

    let app = drop_of_sizes(json!({})).await;
    let paid = json_of(&app, "rush --sale drop --scenario lifecycle --keep --duration 5m --buyers 900 --json");
    let sold = check(&paid, "units sold = orders paid");
    assert_eq!((&sold["ok"], &sold["detail"]), (&true.into(), &"48 sold, 48 paid".into()));
    assert_eq!(stock_of_each(&app).await, "4 sold");
}

#[tokio::test]
async fn a_product_with_a_limit_is_rushed_by_customers_and_its_stock_comes_back() {
    let app = drop_of_sizes(json!({})).await;
    let report = json_of(&app, "rush --product 3 --buyers 100 --json");
    assert_eq!((&report["accepted"], &report["customers"]), (&UNITS.into(), &4.into()), "{report}");
    assert_eq!(stock_of_each(&app).await, "4 available");
    let own = json_of(&app, "rush --units 20 --buyers 30 --json");
    let id = own["product"].as_u64().unwrap();
    assert_eq!(app.stock(id).await, "20 available");
}

#[tokio::test]
async fn what_cannot_be_taken_away_is_counted_with_its_reason() {
    let gate = [("HTTP__RATE_LIMIT_PER_SECOND", "0.001"), ("HTTP__RATE_LIMIT_BURST", "6")];
    let app = drop_with(&gate, json!({})).await;
    let output = flashsale(&app, "rush --sale drop --popularity even --buyers 5 --customers 100 --seed 7 --json");
    let report = report(&output, 1);
    assert_eq!(report["taken_away"]["stays"], json!({"429 rate_limited": 5}));
    assert_eq!(check(&report, "what the rush made was taken away")["ok"], false);
    assert_eq!(report["proof"]["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).count(), 1);
    assert!(report["notes"].to_string().contains("5 holds or orders could not be taken away"), "{report}");
}

#[tokio::test]
async fn a_rehearsal_in_which_releases_count_leaves_real_customers_alone() {
    let app =
        drop_of_sizes(json!({"cooldown_holds": 1, "cooldown_seconds": 60, "cooldown_counts_releases": true})).await;
    json_of(&app, "rush --sale drop --duration 5m --buyers 900 --json");
    assert_eq!(stock_of_each(&app).await, "4 available");
    let held = app.post("/api/holds", json!({"product_id": 1, "quantity": 2, "customer_id": "ann"})).await;
    assert_eq!(held.status, 201, "{held:?}");
}

/// A rush of the sale of a faulty service.
fn rush_faulty(fault: Fault, more: &str) -> Output {
    let url = format!("http://{}", faulty_service::start(fault));
    let arguments = format!("rush --sale drop --url {url} --json --duration 5m {more}");
    command(std::path::Path::new("unused")).args(arguments.split(' ')).output().unwrap()
}

#[test]
fn one_product_of_twelve_that_is_wrong_is_named() {
    let cases = [
        (Fault::OversellsOne, "nothing was oversold", "1 too many"),
        (Fault::IsGenerous, "no customer has more than a limit allows", " have more"),
        (Fault::Miscounts, "units taken = holds granted", "Shoe 1, "),
        (Fault::Keeps, "what the rush made was taken away", "Shoe 1, "),
    ];
    for (fault, name, detail) in cases {
        let report = report(&rush_faulty(fault, "--buyers 2000 --customers 15 --seed 7"), 1);
        let found = check(&report, name);
        assert!(found["ok"] == false && found["detail"].as_str().unwrap().contains(detail), "{fault:?}: {report}");
        if fault == Fault::OversellsOne {
            assert!(found["detail"].as_str().unwrap().ends_with(": Shoe 7"), "{found}");
            let first = &report["products"][0];
            assert_eq!((&first["id"], &first["ok"]), (&7.into(), &false.into()), "the wrong one comes first");
            assert_eq!(report["products"].as_array().unwrap().iter().filter(|row| row["ok"] == false).count(), 1);
        }
    }
    report(&rush_faulty(Fault::None, "--buyers 900"), 0);
}

/// The check needs the terms of the sale, which only an admin can read. The faulty service shows them to anybody.
#[test]
fn a_limit_that_comes_too_early_is_found() {
    for (fault, ok) in [(Fault::IsStrict, false), (Fault::None, true)] {
        let output = rush_faulty(fault, &format!("--buyers 900 --customers 10 --admin-token {ADMIN_TOKEN}"));
        let report = report(&output, i32::from(!ok));
        assert_eq!(check(&report, "who met a limit had reached it")["ok"], ok, "{report}");
    }
}
