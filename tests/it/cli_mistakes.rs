//! Mistakes of people in a hurry, which must not cost them a sale: the wrong service, an empty variable, a mistyped name.

use std::{fs::File, path::Path, process::Stdio};

use serde_json::json;

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    commands::{all_fail, done, flashsale, program, status_and_stderr},
    process::command,
    redis::signal_process,
    stock,
};

const ELSEWHERE: &str = "http://127.0.0.1:1";

/// A command of each kind that asks a service.
const ASKING: [&str; 12] = [
    "healthcheck",
    "rush --product 1",
    "trigger paid order_x",
    "sale list",
    "product list",
    "order list",
    "review dismiss review_x --note x",
    "payment show pi_x",
    "audit",
    "audit --repair",
    "export",
    "import /dev/null --format csv",
];

#[tokio::test]
async fn every_command_asks_the_service_that_the_environment_names() {
    let app = TestApp::selling(5).await;
    let run = |arguments: &str, url: &str| {
        // The settings name the other one.
        let (named, other) = (url, if url == ELSEWHERE { app.addr.to_string() } else { "127.0.0.1:1".to_owned() });
        let mut program = command(Path::new("unused"));
        program.env("FLASHSALE_URL", named).env("FLASHSALE_HTTP__ADDR", other);
        program.env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN).args(arguments.split(' ')).output().unwrap()
    };
    for arguments in ASKING {
        let nobody = run(arguments, ELSEWHERE);
        let stderr = format!("{}{}", String::from_utf8_lossy(&nobody.stdout), status_and_stderr(&nobody).1);
        // An empty file of products is no reason to ask anybody.
        let asks = !arguments.starts_with("import");
        assert!(!nobody.status.success() && (!asks || stderr.contains(ELSEWHERE)), "{arguments}: {stderr}");
        let (status, stderr) = status_and_stderr(&run(arguments, ""));
        assert!(status == 2 && stderr.contains("FLASHSALE_URL: "), "{arguments}: {stderr}");
    }
    assert_eq!(app.stock(1).await, "5 available", "the service that the settings name was left alone");
    let url = format!("http://{}", app.addr);
    for arguments in ["healthcheck", "sale list", "product list", "order list", "review list", "audit", "export"] {
        assert_eq!(status_and_stderr(&run(arguments, &url)), (0, String::new()), "{arguments}");
    }
    for arguments in ["rush --product 1 --buyers 6", "trigger paid order_x"] {
        let (status, stderr) = status_and_stderr(&run(arguments, &url));
        assert!(
            status == 0 && stderr.lines().next().is_some_and(|line| line.ends_with(&format!(" go to {url}"))),
            "{stderr}"
        );
    }
}

#[tokio::test]
async fn a_product_creates_a_new_sale_only_on_request() {
    let app = TestApp::start();
    let product = "product create 1 --sale drop-typo --name A --price 1.00 --total-stock 5";
    let words: &[&str] =
        &["no sale drop-typo", "sale create drop-typo", "--new-sale", "live at once", "404 sale_not_found"];
    all_fail(
        &app,
        &[(product, 1, words), ("product create --new-sale --name A --price 1.00 --total-stock 5", 2, &["--sale"])],
    );
    assert_eq!(done(&app, "sale list"), "no sales yet; `flashsale sale create` makes one\n");
    assert!(done(&app, &format!("{product} --new-sale")).starts_with("product 1: live\n"));
    done(&app, "product create 2 --sale drop-typo --name B --price 1.00 --total-stock 5");
    done(&app, "product create 3 --name C --price 1.00 --total-stock 5");
    app.add_product(json!({"sale": "by-wire", "name": "D", "price": "1.00", "total_stock": 1})).await;
}

#[tokio::test]
async fn an_empty_value_is_refused_and_does_not_mean_everything() {
    let app = TestApp::selling(5).await;
    stock::add(&mut app.redis.connect(), "fs1:{p1}:stock", 1, "sold", 2);
    for arguments in [
        "audit --repair --sale ",
        "export --sale ",
        "export --status ",
        "export -o ",
        "product list --sale ",
        "product show ",
        "product create --name A --price 1.00 --total-stock 5 --sale ",
        "product change 1 --name ",
        "product restock 1 --delta 1 --key ",
        "sale show ",
        "sale create ",
        "sale pause ",
        "sale change p1 --ends-at ",
        "sale list --token ",
        "sale list --url ",
        "order list --sale ",
        "order show ",
        "order cancel ",
        "review list --sale ",
        "review accept review_x --note ",
        "payment show ",
        "trigger paid ",
        "trigger paid order_x --payment-id ",
        "trigger paid order_x --amount ",
        "trigger paid order_x --currency ",
        "rush --product 1 --url ",
        "rush --admin-token ",
        "healthcheck --addr ",
        "import ",
    ] {
        let (status, stderr) = status_and_stderr(&flashsale(&app, arguments));
        assert_eq!(status, 2, "{arguments}: {stderr}");
    }
    for missing in ["trigger paid ", "trigger paid"] {
        let (status, stderr) = status_and_stderr(&flashsale(&app, missing));
        assert!(status == 2 && stderr.contains("<ORDER_ID>") && !stderr.contains("<KIND>..."), "{missing}: {stderr}");
    }
    assert_eq!(flashsale(&app, "audit").status.code(), Some(1), "nothing was repaired");
    done(&app, "audit --repair --sale p1");
}

#[tokio::test]
async fn an_unknown_result_has_another_exit_status_than_a_refusal() {
    let app = TestApp::start_with(&[("REDIS__CALL_TIMEOUT_MS", "300")]);
    app.add_product(json!({"id": 1, "name": "A", "price": "1.00", "total_stock": 5})).await;
    let redis = app.redis.pid();
    signal_process(redis, "STOP");
    let asked = ["audit", "sale list", "product show 1", "product restock 1 --delta 1", "sale pause p1"]
        .map(|arguments| (arguments, status_and_stderr(&flashsale(&app, arguments))));
    signal_process(redis, "CONT");
    for (arguments, (status, stderr)) in asked {
        assert!(status == 2 && stderr.contains("(503 store_"), "{arguments}: {status} {stderr}");
        let is_change = arguments.contains("restock") || arguments.contains("pause");
        assert_eq!(stderr.contains("The change may have been made"), is_change, "{arguments}: {stderr}");
    }
    // Redis may still execute what was sent before.
    done(&app, "audit");
}

#[tokio::test]
async fn a_flag_without_its_effect_is_refused_and_not_dropped() {
    let app = TestApp::selling(5).await;
    all_fail(
        &app,
        &[
            ("audit --reason tidy", 2, &["--repair"]),
            ("audit --against events.ndjson --reason tidy", 2, &["cannot be used with"]),
            ("watch --json --top 5", 2, &["cannot be used with"]),
        ],
    );
}

#[tokio::test]
async fn a_full_output_is_an_error_and_a_closed_one_is_not() {
    let app = TestApp::selling(5).await;
    for arguments in [
        "sale list",
        "product list --json",
        "audit",
        "config",
        "healthcheck",
        "rush --product 1 --buyers 1",
        "trigger paid order_x",
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = program(&app).args(arguments.split(' ')).stdout(full).output().unwrap();
        let (status, stderr) = status_and_stderr(&output);
        assert!(status == 2 && stderr.contains("stdout takes no more: No space left"), "{arguments}: {stderr}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = program(&app).args(arguments.split(' ')).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let (status, stderr) = status_and_stderr(&output);
        assert!(status == 0 && !stderr.contains("flashsale:"), "{arguments}: {stderr}");
    }
}

#[test]
fn help_fits_a_terminal_and_teaches_the_exit_status() {
    let help = |arguments: &str| {
        let output = command(Path::new("unused")).args(arguments.split(' ')).arg("--help").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for arguments in [
        "serve",
        "healthcheck",
        "rush",
        "trigger",
        "sale",
        "sale create",
        "sale change",
        "product",
        "product create",
        "product restock",
        "product list",
        "order",
        "review",
        "payment",
        "audit",
    ] {
        let help = help(arguments);
        let widest = help.lines().max_by_key(|line| line.chars().count()).unwrap();
        assert!(widest.chars().count() <= 100, "{arguments}: {widest}");
        let teaches_the_status = help.contains("Exit status") || arguments.contains(' ');
        let mut examples =
            help.lines().skip_while(|line| !line.starts_with("Example")).skip(1).take_while(|line| !line.is_empty());
        let is_whole = examples.all(|line| line.starts_with("  "));
        assert!(teaches_the_status && is_whole, "{arguments}: {help}");
    }
}

#[tokio::test]
async fn one_long_name_does_not_push_a_list_aside_or_turn_it_around() {
    let app = TestApp::start();
    let name = format!("\u{202e}{}", "n".repeat(199));
    app.add_product(json!({"id": 1, "name": name, "price": "1.00", "total_stock": 5})).await;
    let listed = done(&app, "product list");
    assert!(listed.lines().all(|line| line.chars().count() <= 120), "{listed}");
    assert!(listed.contains("nnn…") && !listed.contains('\u{202e}'), "{listed}");
    assert!(done(&app, "product show 1").contains(&"n".repeat(199)));
}

#[test]
fn a_variable_that_stands_for_a_flag_is_refused_when_it_is_empty_or_quoted() {
    let run = |name: &str, value: &str, arguments: &[&str]| {
        let output = command(Path::new("unused")).env(name, value).args(arguments).output().unwrap();
        status_and_stderr(&output)
    };
    for (name, arguments) in [
        ("FLASHSALE_CONFIG", &["config"][..]),
        ("FLASHSALE_CONFIG", &["serve", "--addr", "127.0.0.1:0"]),
        ("FLASHSALE_URL", &["healthcheck"]),
        ("FLASHSALE_URL", &["sale", "list"]),
        ("REDIS_URL", &["serve", "--addr", "127.0.0.1:0"]),
        ("FLASHSALE_HTTP__API_KEYS", &["serve", "--addr", "127.0.0.1:0"]),
    ] {
        for (value, word) in [("", "empty"), (" ", "empty"), ("\"x\"", "quote")] {
            let (status, stderr) = run(name, value, arguments);
            assert!(status == 2 && stderr.contains(name) && stderr.contains(word), "{name}={value}: {stderr}");
        }
    }
}

#[tokio::test]
async fn a_token_or_url_from_a_file_with_a_line_end_is_taken() {
    let app = TestApp::selling(5).await;
    let mut program = command(Path::new("unused"));
    program.env("FLASHSALE_URL", format!(" http://{}\r\n", app.addr));
    let output = program.args(["sale", "list", "--token", &format!("{ADMIN_TOKEN}\r\n")]).output().unwrap();
    assert_eq!(status_and_stderr(&output), (0, String::new()));
}
