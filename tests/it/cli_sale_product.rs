//! `flashsale sale` and `flashsale product` against a running service.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    thread,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    commands::{all_fail, done, flashsale, json_of, program, status_and_stderr},
    process::command,
};

const READ_TOKEN: &str = "a-token-that-may-only-look";

/// The values of a sheet, by name.
fn facts<'a>(sheet: &'a str, name: &str) -> Vec<&'a str> {
    let line = sheet.lines().find(|line| line.split_whitespace().next() == Some(name));
    line.unwrap_or_else(|| panic!("{name} in {sheet}")).split_whitespace().skip(1).collect()
}

#[tokio::test]
async fn a_drop_is_run_from_the_command_line() {
    let app = TestApp::start();
    let created = done(&app, "sale create drop-1 --name Friday --hold-seconds 300 --ends-at +1d");
    assert!(created.starts_with("sale drop-1: live\n"), "{created}");
    assert_eq!(facts(&created, "hold-seconds"), ["300", "(5m)"]);
    let product = "product create 1 --sale drop-1 --name Sneaker --price 120.00 --total-stock 5 --max-per-customer 3";
    assert_eq!(facts(&done(&app, product), "total"), ["5"]);

    assert_eq!(done(&app, "sale pause drop-1"), "sale drop-1: paused\n");
    assert_eq!(app.hold_of("anna").await, (409, "sale_paused".to_owned()));
    assert!(done(&app, "product show 1").starts_with("product 1: paused\n"));
    assert_eq!(done(&app, "sale resume drop-1"), "sale drop-1: live\n");
    assert_eq!(app.hold_of("anna").await, (201, String::new()));

    let shown = done(&app, "product show 1");
    assert_eq!(["available", "held"].map(|name| facts(&shown, name)), [["4"], ["1"]]);
    assert_ne!(facts(&shown, "next"), ["release", "-"]);
    all_fail(&app, &[("product restock 1 --total 0", 1, &["1 units are held, pending or sold", "409 below_promised"])]);
    assert_eq!(facts(&done(&app, "product restock 1 --delta -4"), "available"), ["0"]);
    for _again in 0..2 {
        assert_eq!(facts(&done(&app, "product restock 1 --delta 7 --key truck-1"), "total"), ["8"]);
    }
    assert_eq!(facts(&done(&app, "product change 1 --price 99.00 --name Boot"), "price"), ["99.00", "USD"]);
    let grouped = done(&app, "product change 1 --no-max-per-customer --group boots --visibility unlisted");
    let found = ["max-per-customer", "group", "visibility"].map(|name| facts(&grouped, name));
    assert_eq!(found, [["-"], ["boots"], ["unlisted"]]);
    assert_eq!(facts(&done(&app, "product change 1 --no-group --visibility public"), "group"), ["-"]);
    let limited = done(&app, "sale change drop-1 --max-per-customer 3 --max-per-group 2");
    assert_eq!(["max-per-customer", "max-per-group"].map(|name| facts(&limited, name)), [["3"], ["2"]]);
    let free = done(&app, "sale change drop-1 --no-max-per-customer --no-max-per-group");
    assert_eq!(["max-per-customer", "max-per-group"].map(|name| facts(&free, name)), [["-"], ["-"]]);
    let expected = "\
ID  NAME  SALE    STATUS      PRICE  TOTAL  AVAILABLE  HELD  PENDING  SOLD
 1  Boot  drop-1  live    99.00 USD      8          7     1        0     0
";
    assert_eq!(done(&app, "product list"), expected);

    assert!(done(&app, "sale change drop-1 --ends-at now").starts_with("sale drop-1: ended\n"));
    assert_eq!(app.hold_of("bert").await, (409, "sale_ended".to_owned()));
    assert!(done(&app, "sale change drop-1 --no-ends-at").starts_with("sale drop-1: live\n"));
    assert_eq!(app.stock(1).await, "7 available, 1 held");
}

impl TestApp {
    /// Status and code of the answer to a hold of one unit of product 1.
    async fn hold_of(&self, customer: &str) -> (u16, String) {
        let hold = json!({"product_id": 1, "quantity": 1, "customer_id": customer});
        let answer = self.post("/api/holds", hold).await;
        let (status, code) = answer.refusal();
        (status, code.to_owned())
    }
}

#[tokio::test]
async fn json_is_what_the_service_answers() {
    let app = TestApp::start();
    let everything = "sale create drop-1 --name Friday --starts-at 2026-01-01T09:00+01:00 --ends-at 2999-01-01T00:00:00Z \
                      --paused --hold-seconds 1 --hold-seconds-max 2 --payment-seconds 3 --payment-seconds-max 4 \
                      --review-seconds 7 --payment-amount exact --on-payment-failed keep --on-payment-ended release \
                      --restock-refunds=false --cooldown-holds 5 --cooldown-seconds 6 --cooldown-counts-releases \
                      --max-per-customer 8 --max-per-group 9 --visibility unlisted --json";
    let expected = json!({"id": "drop-1", "name": "Friday", "starts_at": "2026-01-01T08:00:00.000Z",
        "ends_at": "2999-01-01T00:00:00.000Z", "paused": true, "hold_seconds": 1, "hold_seconds_max": 2,
        "payment_seconds": 3, "payment_seconds_max": 4, "review_seconds": 7,
        "payment_amount": "exact", "on_payment_failed": "keep", "on_payment_ended": "release", "restock_refunds": false,
        "cooldown_holds": 5, "cooldown_seconds": 6, "cooldown_counts_releases": true, "currency": null,
        "max_per_customer": 8, "max_per_group": 9, "visibility": "unlisted"});
    assert_eq!(json_of(&app, everything), expected);
    assert_eq!(json_of(&app, "sale show drop-1 --json"), app.read_as_admin("/api/admin/sales/drop-1").await);

    let made = json_of(
        &app,
        "product create 7 --sale drop-1 --name Poster --price 1500 --currency JPY --total-stock 3 --json",
    );
    assert_eq!(made, app.get("/api/products/7").await.body);
    let other = app.add_product(json!({"name": "Other", "price": "1.00", "total_stock": 1})).await;
    assert_eq!(json_of(&app, "product list --json"), json!({"data": [other, made], "next_cursor": null}));
    assert_eq!(json_of(&app, "product list --sale drop-1 --json"), json!({"data": [made], "next_cursor": null}));

    let refused = flashsale(&app, "product restock 7 --total 2000000000000 --json");
    let problem: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!((refused.status.code(), &problem["code"]), (Some(1), &json!("validation_failed")));
}

#[tokio::test]
async fn a_list_has_all_pages() {
    let app = TestApp::start();
    assert_eq!(done(&app, "sale list"), "no sales yet; `flashsale sale create` makes one\n");
    for number in 0..103 {
        let sale = json!({"id": format!("drop-{number:03}"), "name": "Drop", "starts_at": "2999-01-01T00:00:30Z"});
        assert_eq!(app.admin(Method::POST, "/api/admin/sales", sale).await.status, 201);
    }
    let listed = done(&app, "sale list");
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 104);
    assert_eq!(lines[0], "ID        NAME  STATUS     STARTS                ENDS  HOLD  PAYMENT");
    assert_eq!(lines[103], "drop-102  Drop  scheduled  2999-01-01 00:00:30Z  -      15m      35m");
    let whole = json_of(&app, "sale list --json");
    assert_eq!((whole["data"].as_array().unwrap().len(), &whole["next_cursor"]), (103, &Value::Null));
}

#[tokio::test]
async fn a_refusal_says_what_to_do_about_it() {
    let app = TestApp::start_with(&[("ADMIN__READ_TOKENS", READ_TOKEN)]);
    done(&app, "sale create drop-1");
    all_fail(
        &app,
        &[
            ("sale list --token not-one-that-it-knows", 1, &["401 unauthorized", "--token", "FLASHSALE_ADMIN__TOKEN"]),
            ("sale create drop-1", 1, &["Already exists", "409 already_exists, request "]),
            ("sale show no/such?sale", 1, &["404 sale_not_found"]),
            ("product show 9", 1, &["404 product_not_found"]),
            ("product list --sale nosuch", 1, &["404 sale_not_found"]),
            ("product list --sale No.Such", 1, &["sale must be the id of a sale"]),
            (
                "sale create p7 --hold-seconds 0",
                1,
                &["\n  - id must be 1 to 32 of a-z", "\n  - hold_seconds must be at least 1", "422 validation_failed"],
            ),
            ("sale change drop-1 --payment-seconds 99999", 1, &["payment_seconds must not be more than"]),
        ],
    );
    let looks = program(&app).args(["sale", "list", "--token", READ_TOKEN]).output().unwrap();
    assert!(looks.status.success() && String::from_utf8_lossy(&looks.stdout).contains("drop-1"), "{looks:?}");
    let changes = program(&app).args(["sale", "pause", "drop-1", "--token", READ_TOKEN]).output().unwrap();
    let (status, stderr) = status_and_stderr(&changes);
    assert!(status == 1 && stderr.contains("403 forbidden") && stderr.contains("admin.read_tokens"), "{stderr}");
    assert_eq!(app.read_as_admin("/api/admin/sales/drop-1").await["paused"], false);
}

impl TestApp {
    async fn read_as_admin(&self, path: &str) -> Value {
        let answer = self.send(self.request(Method::GET, path).bearer_auth(ADMIN_TOKEN)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }
}

#[tokio::test]
async fn the_token_and_the_service_come_from_flags_or_settings() {
    let app = TestApp::start_with(&[("ADMIN__TOKENS", "the-second-of-our-tokens")]);
    let list = |settings: &[(&str, &str)], flags: &[&str]| {
        let mut program = command(Path::new("unused"));
        program.args(["sale", "list"]).args(flags).envs(settings.iter().copied());
        status_and_stderr(&program.output().unwrap())
    };
    let url = format!("http://{}", app.addr);
    let several = ("FLASHSALE_ADMIN__TOKENS", "the-second-of-our-tokens,another-that-is-long");
    for (settings, flags) in [
        (vec![("FLASHSALE_URL", url.as_str()), several], vec![]),
        (vec![several], vec!["--url", &url]),
        (vec![("FLASHSALE_URL", "http://127.0.0.1:1"), several], vec!["--url", &url]),
        (vec![], vec!["--url", &url, "--token", ADMIN_TOKEN]),
        (
            vec![("FLASHSALE_ADMIN__TOKEN", "the-token-of-another"), several],
            vec!["--url", &url, "--token", ADMIN_TOKEN],
        ),
    ] {
        assert_eq!(list(&settings, &flags), (0, String::new()), "{settings:?} {flags:?}");
    }
    let (status, stderr) = list(&[], &["--url", &url]);
    assert!(status == 2 && stderr.contains("needs an admin token") && stderr.contains("--token"), "{stderr}");
}

#[tokio::test]
async fn a_command_that_cannot_run_changes_nothing() {
    let app = TestApp::start();
    done(&app, "sale create drop-1");
    all_fail(
        &app,
        &[
            (
                "sale list --url http://127.0.0.1:1",
                2,
                &["http://127.0.0.1:1 does not answer", "flashsale serve", "--url"],
            ),
            ("sale list --url ftp://x", 2, &["--url"]),
            ("sale list --token a\nb", 2, &["no header can carry"]),
            ("sale change drop-1", 2, &["nothing to change", "sale change --help"]),
            ("product change 1", 2, &["nothing to change"]),
            ("product restock 1", 2, &["--delta <N>"]),
            ("product restock 1 --delta 1 --total 1", 2, &["cannot be used with"]),
            ("product restock 1 --delta 1 --key ä\nb", 2, &["no header can carry this idempotency-key"]),
            ("product create --price 1.00 --total-stock 1", 2, &["--name"]),
            ("sale create --starts-at tomorrow", 2, &["2026-11-27T09:00:00Z", "+10m"]),
            ("sale create --starts-at -5m", 2, &["invalid value '-5m' for '--starts-at <TIME>'", "+10m"]),
            ("sale create --hold-seconds -1", 2, &["a whole number from 0 on"]),
            ("product create --name A --price 1.00 --total-stock -1", 2, &["a whole number from 0 on"]),
            ("product create --name A --price -5 --total-stock 1", 1, &["price must be a decimal string"]),
            ("product show abc", 2, &["the id of a product is a whole number"]),
            ("sale change drop-1 --no-ends-at --ends-at now", 2, &["cannot be used with"]),
        ],
    );
    assert_eq!(app.read_as_admin("/api/admin/events").await["data"].as_array().unwrap().len(), 1);
}

/// Exit status and stderr of a command that gets this answer.
fn answered(with: &'static [u8], arguments: &[&str]) -> (i32, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap();
        assert_ne!(read, 0);
        stream.write_all(with).unwrap();
    });
    let mut program = command(Path::new("unused"));
    let output = program.args(arguments).args(["--url", &url, "--token", ADMIN_TOKEN]).output().unwrap();
    server.join().unwrap();
    status_and_stderr(&output)
}

#[test]
fn an_answer_that_is_foreign_or_incomplete_is_no_success() {
    let pause = ["sale", "pause", "drop-1"];
    let page = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 9\r\n\r\n<h1>\x1b</h1>";
    let (status, stderr) = answered(page, &pause);
    assert!(status == 2 && stderr.contains("Bad Gateway: <h1> </h1") && stderr.contains("flashsale?"), "{stderr}");
    let (status, stderr) = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", &pause);
    assert!(status == 2 && stderr.contains("is --url right?"), "{stderr}");
    let (status, stderr) = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"id\"", &pause);
    assert!(status == 2 && stderr.contains("look before you repeat it"), "{stderr}");
    let (status, stderr) = answered(b"", &["product", "restock", "1", "--delta", "5"]);
    let key = stderr.split("--key ").nth(1).and_then(|rest| rest.split(' ').next());
    assert!(status == 2 && key.is_some_and(|key| key.starts_with("restock-")), "{stderr}");
}

#[test]
fn help_teaches_with_examples() {
    for arguments in [
        "sale",
        "sale list",
        "sale show",
        "sale create",
        "sale change",
        "sale pause",
        "sale resume",
        "product",
        "product list",
        "product show",
        "product create",
        "product change",
        "product restock",
    ] {
        let mut program = command(Path::new("unused"));
        let output = program.args(arguments.split(' ')).arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let examples = help.split("Example").nth(1).unwrap_or_else(|| panic!("no example in {help}"));
        assert!(examples.contains(&format!("flashsale {arguments}")), "{help}");
        assert!(help.contains("--token") && help.contains("FLASHSALE_URL") && help.contains("--json"), "{help}");
    }
}
