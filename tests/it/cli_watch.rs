//! `flashsale watch` against a real service: as JSON, as lines, on a terminal, and while services come and go.

use std::{
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    app::TestApp,
    commands::{all_fail, done, flashsale, program, status_and_stderr},
    process::{ServiceProcess, command},
    redis::signal_process,
    terminal::{on_terminal, signalled_on_terminal},
};

/// A watch that runs, and what it prints.
struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn start(mut program: Command, arguments: &str) -> Self {
        let program = program.args(arguments.split(' ')).stdout(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().expect("another look").unwrap()).unwrap()
    }

    /// The first look of which this is so, and that comes within a minute.
    fn until(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..60 {
            let look = self.next();
            if is_so(&look) {
                return look;
            }
        }
        panic!("not in sixty looks: {what}");
    }

    /// Interrupts it, and gives its exit status.
    fn stop(mut self) -> Option<i32> {
        signal_process(self.child.id(), "INT");
        self.child.wait().unwrap().code()
    }
}

fn rate(look: &Value, outcome: &str, reason: &str) -> f64 {
    let rows = look["holds"]["by_outcome"].as_array().unwrap().iter();
    let wanted = rows.filter(|row| row["outcome"] == outcome && row["reason"].as_str().unwrap_or("") == reason);
    wanted.map(|row| row["per_second"].as_f64().unwrap()).sum()
}

#[tokio::test]
async fn looks_have_stock_rates_and_the_state_of_the_sale() {
    let app = TestApp::selling(10).await;
    let mut watching = Watching::start(program(&app), "watch p1 --json --every 1s");
    let first = watching.next();
    assert_eq!(first["holds"]["per_second"], Value::Null, "one look has no rate: {first}");
    assert_eq!((&first["services"][0]["silent_seconds"], &first["processes"]), (&Value::Null, &json!(1)));
    assert!(first["redis_ms"].as_f64().is_some() && first["at"].is_string(), "{first}");
    assert_eq!(first["stock"]["products"][0]["available_stock"], 10);
    watching.until("rates", |look| look["holds"]["per_second"] == 0.0);
    let mut orders = Vec::new();
    for _ in 0..10 {
        orders.push(app.ordered().await);
    }
    for _ in 0..5 {
        assert_eq!(app.hold(1).await.status, 409);
    }
    app.pay("k", json!({"status": "paid", "order_id": orders[0], "payment_id": "pi_1", "amount": "49.00"})).await;
    // What is decided between two looks is in the rate of the second, so the rates add up to all that was decided.
    let mut counted = 0.0;
    for _ in 0..200 {
        if counted > 14.5 {
            break;
        }
        let look = watching.next();
        counted += look["holds"]["per_second"].as_f64().unwrap() * look["seconds"].as_f64().unwrap();
    }
    assert!((14.5..15.5).contains(&counted), "{counted}");
    let last = watching.until("the review", |look| look["stock"]["reviews"]["open"] == 1);
    assert_eq!(last["stock"]["products"][0]["pending_stock"], 10, "{last}");
    assert_eq!(app.hold(1).await.status, 409);
    let refused = watching.until("a refusal", |look| rate(look, "refused", "all_held") > 0.0);
    assert!(rate(&refused, "held", "") < 0.01, "{refused}");
    assert_eq!(watching.stop(), Some(0));
}

#[tokio::test]
async fn without_a_terminal_each_look_is_a_line() {
    let app = TestApp::selling(10).await;
    app.held().await;
    let printed = done(&app, "watch p1 --for 1s");
    let line = printed.lines().next().unwrap();
    assert!(line.contains("Z p1 live: all sales held -, refused -, failed -; "), "{line}");
    for part in ["; available 9, held 1, pending 0, sold 0; 0 open reviews; redis ", " ms"] {
        assert!(line.contains(part), "{line}");
    }
    app.add_product(json!({"id": 2, "name": "Other", "price": "1.00", "total_stock": 1})).await;
    let printed = done(&app, "watch --for 1s");
    assert!(printed.lines().next().unwrap().contains("Z 2 sales, 2 live: "), "{printed}");
}

#[tokio::test]
async fn on_a_terminal_a_table_is_drawn_in_place_and_the_last_one_stays() {
    let app = TestApp::selling(10).await;
    app.held().await;
    let mut watch = program(&app);
    watch.args(["watch", "p1", "--for", "2s"]);
    let (status, text) = on_terminal(watch, 100);
    assert!(status.success(), "{text}");
    let (before, drawn) = text.split_once("\u{1b}[?1049h").unwrap();
    let (drawn, after) = drawn.split_once("\u{1b}[?1049l").unwrap();
    assert_eq!(before, "");
    assert!(drawn.matches("\u{1b}[H").count() >= 2 && drawn.contains("\u{1b}[?25l"), "{text:?}");
    assert!(drawn.ends_with("\u{1b}[?25h"), "the cursor comes back: {text:?}");
    for part in ["p1 live", "AVAILABLE", "open reviews", "1 process"] {
        assert!(drawn.contains(part) && after.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn every_signal_of_a_terminal_gives_it_back_with_its_cursor() {
    let app = TestApp::selling(10).await;
    for signal in ["INT", "QUIT", "TERM"] {
        let mut watch = program(&app);
        watch.args(["watch", "p1", "--for", "60s"]);
        let (status, text) = signalled_on_terminal(watch, 100, "AVAILABLE", signal);
        assert!(status.success() && text.contains("AVAILABLE"), "{signal}: {text}");
        assert!(text.contains("\u{1b}[?25h\u{1b}[?1049l"), "{signal}: {text:?}");
    }
}

#[tokio::test]
async fn a_list_of_products_and_a_watch_have_the_same_order_and_the_skus_also_on_a_narrow_terminal() {
    let app = TestApp::start();
    for (id, sku) in [(3, Some("AIR-41")), (1, None), (2, Some("AIR-42"))] {
        let sale = format!("drop-{}", 9 - id);
        let name = "Sneaker of the year, in black";
        let product = json!({"id": id, "sale": sale, "name": name, "sku": sku, "price": "120.00", "total_stock": 5});
        app.add_product(product).await;
    }
    for columns in [60_u16, 80, 160] {
        let run = |arguments: &str| {
            let mut command = program(&app);
            command.args(arguments.split(' '));
            let (status, text) = on_terminal(command, columns);
            assert!(status.success(), "{text}");
            // What stays on the screen: not what was drawn before, nor the progress of a slow machine.
            let last = text.split("\u{1b}[?1049l").last().unwrap();
            last.split("\u{1b}[2K").last().unwrap().to_owned()
        };
        for arguments in ["product list", "watch --for 1s"] {
            let printed = run(arguments);
            let rows = printed.lines().skip_while(|line| !line.starts_with("ID"));
            let lines: Vec<Vec<&str>> = rows.map(|line| line.split_whitespace().collect()).collect();
            assert!(lines[0].contains(&"SKU") && lines[0].contains(&"SOLD"), "{columns} {arguments}: {printed}");
            let skus: Vec<_> =
                lines[1..].iter().filter_map(|line| line.get(..2)).filter(|line| line[0].len() == 1).collect();
            let expected = [["1", "-"], ["2", "AIR-42"], ["3", "AIR-41"]];
            assert!(
                skus.starts_with(&[&expected[0][..], &expected[1], &expected[2]]),
                "{columns} {arguments}: {printed}"
            );
            assert!(printed.lines().all(|line| line.chars().count() <= usize::from(columns)), "{columns}: {printed}");
        }
    }
}

#[tokio::test]
async fn a_service_that_goes_away_is_shown_and_taken_up_again() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = ServiceProcess::start(folder.path());
    let token = service.welcome.split("admin token").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let (addr, url) = (service.addr, service.url());
    let mut watch = command(Path::new("unused"));
    watch.env("FLASHSALE_ADMIN__TOKEN", &token);
    let mut watching = Watching::start(watch, &format!("watch --json --url {url} --url {url}/ --every 1s"));
    let first = watching.next();
    assert_eq!((first["services"].as_array().unwrap().len(), &first["processes"]), (2, &json!(1)), "one process, once");
    service.kill();
    let silent = watching.until("silence", |look| look["services"][0]["silent_seconds"].is_u64());
    assert_eq!((&silent["processes"], &silent["holds"]["per_second"]), (&json!(0), &Value::Null));
    assert!(silent["stock"]["products"].is_array() && silent["stock_silent_seconds"].is_u64(), "{silent}");
    let mut again = command(folder.path());
    again.env("FLASHSALE_ADMIN__TOKEN", &token);
    let service = ServiceProcess::run(again, addr);
    let back = watching.until("an answer", |look| look["services"][0]["silent_seconds"].is_null());
    assert_eq!(back["processes"], 1, "{back}");
    assert_eq!(watching.stop(), Some(0));
    service.stop();
}

#[tokio::test]
async fn what_would_be_refused_again_and_again_ends_the_watch() {
    let app = TestApp::selling(1).await;
    all_fail(
        &app,
        &[
            ("watch nosuch", 1, &["404 sale_not_found"]),
            ("watch --token wrong", 1, &["401 unauthorized"]),
            ("watch --every 0s", 2, &["a time such as 1s"]),
            ("watch --url ftp://x", 2, &["must be http:// or https://"]),
        ],
    );
    let output = flashsale(&app, "watch --url http://127.0.0.1:1 --for 1s");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(status_and_stderr(&output).0, 2, "no service answered: {printed}");
    assert!(printed.contains("http://127.0.0.1:1: no answer since 0 s ("), "{printed}");
}

#[tokio::test]
async fn a_reader_that_leaves_ends_the_watch() {
    let app = TestApp::selling(1).await;
    let mut watching = Watching::start(program(&app), "watch --json --every 1s");
    watching.next();
    drop(watching.lines);
    assert_eq!(watching.child.wait().unwrap().code(), Some(141));
}

#[test]
fn help_of_watch_and_customer_teaches_with_examples() {
    for arguments in ["watch", "customer", "customer show"] {
        let output = command(Path::new("unused")).args(arguments.split(' ')).arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let examples = help.split("Example").nth(1).unwrap_or_else(|| panic!("no example in {help}"));
        assert!(examples.contains(&format!("flashsale {arguments}")), "{help}");
        assert!(help.contains("--token") && help.contains("FLASHSALE_URL") && help.contains("--json"), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}
