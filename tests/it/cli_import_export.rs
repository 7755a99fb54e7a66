//! `flashsale export` and `flashsale import` against a running service.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    eventually,
    orders::write_status,
    process::command,
    redis::signal_process,
    seed,
};

const READ_TOKEN: &str = "a-token-that-may-only-look";
const TABLE: &str = "id,sale,name,price,total_stock\n1,drop,\"Sneaker, black\",120.00,500\n2,drop,Poster,15.001,many\n\
    3,drop,Ticket,45.50,20\n1,other,Again,1.00,1\n";

/// The program in a folder, and in an environment that names the service and its token.
pub fn program(app: &TestApp, folder: &Path, arguments: &str) -> Command {
    let mut program = command(Path::new("unused"));
    program.env("FLASHSALE_HTTP__ADDR", app.addr.to_string()).env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
    program.current_dir(folder).args(arguments.split(' '));
    program
}

/// Exit status, stdout and stderr.
pub fn result(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

pub fn run(app: &TestApp, folder: &TempDir, arguments: &str) -> (i32, String, String) {
    result(&program(app, folder.path(), arguments).output().unwrap())
}

pub fn folder() -> TempDir {
    TempDir::with_prefix("fs").unwrap()
}

fn read(folder: &TempDir, file: &str) -> String {
    fs::read_to_string(folder.path().join(file)).unwrap()
}

/// A service with this number of orders of product 1, one of them paid.
async fn with_orders(orders: usize) -> TestApp {
    let app = TestApp::start_with(&[("ADMIN__READ_TOKENS", READ_TOKEN)]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "5.00", "total_stock": 10_000})).await;
    let paid = app.ordered().await;
    app.pay("a", json!({"status": "paid", "order_id": paid})).await;
    seed::orders(&app.redis.url(), 1, orders - 1).await;
    app
}

#[tokio::test]
async fn an_export_goes_where_it_should_and_in_the_format_of_the_file() {
    let (app, folder) = (with_orders(250).await, folder());
    let (status, table, stderr) = run(&app, &folder, "export");
    assert_eq!((status, table.lines().count(), stderr.as_str()), (0, 251, ""));
    assert!(table.starts_with("id,sale,hold_id,product_id,"), "{table}");
    let (status, lines, _) = run(&app, &folder, "export --json --sale p1 --status paid");
    assert_eq!((status, lines.lines().count()), (0, 1));
    assert_eq!(serde_json::from_str::<Value>(&lines).unwrap()["status"], "paid");

    let (status, printed, stderr) = run(&app, &folder, "export -o orders.csv");
    assert_eq!((status, printed.as_str(), stderr.as_str()), (0, "", "orders.csv is whole: 250 orders\n"));
    assert_eq!(read(&folder, "orders.csv"), table);
    let (_, printed, stderr) = run(&app, &folder, "export -o orders.jsonl --status pending --json");
    let summary = json!({"orders": 249, "file": "orders.jsonl", "format": "ndjson"});
    assert_eq!((serde_json::from_str::<Value>(&printed).unwrap(), stderr.as_str()), (summary, ""));
    assert_eq!(read(&folder, "orders.jsonl").lines().count(), 249);
    run(&app, &folder, "export --excel --times rfc3339 -o excel.csv");
    assert_eq!(read(&folder, "excel.csv"), format!("\u{feff}{table}"));
    fs::remove_file(folder.path().join("excel.csv")).unwrap();
    run(&app, &folder, "export -o orders.txt --format ndjson --sale p1");
    assert_eq!(read(&folder, "orders.txt").lines().count(), 250);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "no part of a file is left");
    let (status, lines, _) = run(&app, &folder, &format!("export --format ndjson --token {READ_TOKEN}"));
    assert_eq!((status, lines.lines().count()), (0, 250), "a reading token may export");
}

#[tokio::test]
async fn an_export_of_payments_has_a_row_for_each_of_them() {
    let (app, folder) = (with_orders(250).await, folder());
    let (_, all, _) = run(&app, &folder, "export --per order");
    assert_eq!(all, run(&app, &folder, "export").1);
    let (status, printed, stderr) = run(&app, &folder, "export --per payment -o payments.csv");
    assert_eq!((status, printed.as_str(), stderr.as_str()), (0, "", "payments.csv is whole: 1 payment\n"));
    let table = read(&folder, "payments.csv");
    let (columns, row) = table.trim_end().split_once("\r\n").unwrap();
    assert!(columns.starts_with("order_id,sale,order_created_at,order_status,"), "{table}");
    assert!(row.ends_with(",paid,,,pays_order,5.00,,5.00,USD,,,"), "{table}");
    let (_, printed, _) = run(&app, &folder, "export --per payment --status pending --json -o none.ndjson");
    let summary = json!({"payments": 0, "file": "none.ndjson", "format": "ndjson"});
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), summary);
    assert_eq!(read(&folder, "none.ndjson"), "");
}

#[tokio::test]
async fn an_export_that_breaks_off_says_so_and_leaves_no_file_that_looks_whole() {
    let (app, folder) = (with_orders(250).await, folder());
    fs::write(folder.path().join("orders.csv"), "of yesterday").unwrap();
    let mut redis = app.redis.connect();
    let last: Vec<String> = redis::cmd("ZRANGE").arg("fs1:{p1}:orders").arg(-1).arg(-1).query(&mut redis).unwrap();
    let record = format!("fs1:{{p1}}:order:{}", last[0]);
    let mut set = |status| write_status(&mut redis, &record, status);
    set("unheard-of");
    let (status, printed, stderr) = run(&app, &folder, "export -o orders.csv");
    assert_eq!((status, printed.as_str()), (2, ""), "{stderr}");
    assert!(stderr.contains("broke off after ") && stderr.contains("orders.csv.part is not complete"), "{stderr}");
    assert_eq!(read(&folder, "orders.csv"), "of yesterday");
    let (status, _, stderr) = run(&app, &folder, "export");
    assert!(status == 2 && stderr.contains("What is printed is not complete"), "{stderr}");
    set("pending");
    assert_eq!(run(&app, &folder, "export -o orders.csv").0, 0);
    assert!(!folder.path().join("orders.csv.part").exists());
}

#[tokio::test]
async fn an_export_that_cannot_be_made_says_why() {
    let (app, folder) = (with_orders(2).await, folder());
    for (arguments, expected, words) in [
        ("export --sale none", 1, "there is no such sale"),
        ("export --per customer", 2, "possible values: order, item, payment"),
        ("export --excel --format ndjson", 2, "--excel is for CSV"),
        ("export --status lost", 2, "possible values: pending, in_review, paid"),
        ("export --token wrong-wrong-wrong", 1, "401 unauthorized"),
        ("export --url http://127.0.0.1:1", 2, "does not answer"),
        ("export -o no-such-folder/orders.csv", 2, "orders.csv.part cannot be written"),
    ] {
        let (status, printed, stderr) = run(&app, &folder, arguments);
        assert_eq!((status, printed.as_str()), (expected, ""), "{arguments}: {stderr}");
        assert!(stderr.contains(words), "{arguments}: {stderr}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_of_products_is_imported_and_each_bad_row_is_reported() {
    let (app, folder) = (TestApp::start(), folder());
    fs::write(folder.path().join("products.csv"), TABLE).unwrap();
    let (status, printed, stderr) = run(&app, &folder, "import products.csv");
    assert_eq!((status, stderr.as_str()), (1, ""), "{printed}");
    let expected = "\
ROW  PRODUCT   FIELD        WHAT IS WRONG
  2  2 Poster  price        price has a thousands separator, or too many decimals. Write 1234.50 and not 1,234.50
  2  2 Poster  total_stock  total_stock must be a whole number from 0 to 1000000000
  4  1 Again   id           a row before it has the same id

created 2, failed 2
new sales: drop (live)
  They were not there before, and sell from now on; to stop one: flashsale sale pause drop
";
    assert_eq!(printed, expected);
    assert_eq!(app.get("/api/products/1").await.body["name"], "Sneaker, black");

    let (status, printed, _) = run(&app, &folder, "import products.csv --json");
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((status, &report["created"], &report["already_there"]), (1, &json!(0), &json!(2)));
    assert_eq!((&report["failed"], &report["new_sales"]), (&json!(2), &json!([])));
    let row = json!({"row": 3, "status": "already_there", "code": "already_exists",
        "detail": "there is a product with this id already", "id": 3, "differs": [], "product": "3 Ticket"});
    assert_eq!(report["rows"][2], row);

    let line =
        |id: u64| json!({"id": id, "sale": "drop", "name": "Item", "price": "1.00", "total_stock": 1}).to_string();
    fs::write(folder.path().join("more.ndjson"), [line(7), line(8)].join("\n\n")).unwrap();
    assert_eq!(run(&app, &folder, "import more.ndjson"), (0, "created 2, failed 0\n".to_owned(), String::new()));
    let again = (0, "created 0, already there 2, failed 0\n".to_owned(), String::new());
    assert_eq!(run(&app, &folder, "import more.ndjson"), again, "an existing product is no failure");
    for (file, content) in [("none.csv", "id,name,price,total_stock\n"), ("none.ndjson", "\n\n")] {
        fs::write(folder.path().join(file), content).unwrap();
        assert_eq!(run(&app, &folder, &format!("import {file}")), (0, "no rows\n".to_owned(), String::new()));
    }
}

#[tokio::test]
async fn an_existing_product_that_differs_is_reported_and_only_another_stock_is_no_failure() {
    let (app, folder) = (TestApp::start(), folder());
    let import = |rows: &str| {
        fs::write(folder.path().join("products.csv"), format!("id,sale,name,price,total_stock\n{rows}")).unwrap();
        run(&app, &folder, "import products.csv")
    };
    assert_eq!(import("1,drop,Item,1,1\n2,drop,Item,1,1\n3,drop,Item,1,1\n").0, 0);
    app.admin(Method::POST, "/api/admin/products/1/restock", json!({"total": 5})).await;
    let (status, printed, _) = import("1,drop,Item,1,1\n2,drop,Item,1,1\n");
    let expected = "\
stock differs of 1 product: 1 Item
  An import changes no stock; `flashsale product restock` does.

created 0, already there 2 (1 with another stock), failed 0
";
    assert_eq!((status, printed.as_str()), (0, expected));
    let (status, printed, _) = import("2,drop,Item,1,1\n3,else,Other,2,1\n");
    let expected = "\
ROW  PRODUCT  NOT AS IN THE FILE
  2  3 Other  sale, name, price
  They stay as they are; --update changes name, price and limits.

created 0, already there 2 (1 not as in the file), failed 0
";
    assert_eq!((status, printed.as_str()), (1, expected));
}

/// A table, and the same rows as lines: with ids from 1, one of them too long.
fn with_a_long_row(rows: u64, long: u64) -> [(&'static str, String); 2] {
    let name = |id| if id == long { "x".repeat(5 << 20) } else { "Item".to_owned() };
    let line = |id| {
        format!("{{\"id\":{id},\"sale\":\"drop\",\"name\":\"{}\",\"price\":\"1\",\"total_stock\":1}}\n\n", name(id))
    };
    let row = |id| format!("{id},drop,{},1,1\n", name(id));
    let table = (1..=rows).map(row).collect::<String>();
    [
        ("long.csv", format!("id,sale,name,price,total_stock\n{table}")),
        ("long.ndjson", (1..=rows).map(line).collect::<String>()),
    ]
}

#[tokio::test]
async fn a_row_that_is_too_large_is_named_and_stops_no_other() {
    for (file, content) in with_a_long_row(402, 401) {
        let (app, folder) = (TestApp::start(), folder());
        fs::write(folder.path().join(file), content).unwrap();
        let (status, printed, stderr) = run(&app, &folder, &format!("import {file}"));
        // How far it is, after three seconds on a slow machine.
        let noted: Vec<_> = stderr.lines().filter(|line| !line.contains(" %  created ")).collect();
        assert!(status == 1 && noted.is_empty(), "{status} {stderr} {printed}");
        let words: Vec<_> = printed.lines().nth(1).unwrap().split_whitespace().take(2).collect();
        // Lines with empty lines behind them.
        let place = if file == "long.csv" { ["401", "401"] } else { ["801", "the"] };
        assert_eq!(words, place, "{printed}");
        assert!(printed.contains("the row has 5,242,") && printed.contains("created 401, failed 1\n"), "{printed}");
        let report: Value = serde_json::from_str(&run(&app, &folder, &format!("import {file} --json")).1).unwrap();
        assert_eq!(report["rows"][400]["errors"][0]["code"], "too_large");
    }
}

#[tokio::test]
async fn rows_have_their_numbers_in_the_file_over_several_calls() {
    let (app, folder) = (TestApp::start(), folder());
    let row = |id: u64| format!("{id},drop,Item,{},1\r\n", if id.is_multiple_of(300) { "free" } else { "1.00" });
    let file = format!("\u{feff}id,sale,name,price,total_stock\r\n{}", (1..=700).map(row).collect::<String>());
    let mut import = program(&app, folder.path(), "import - --format csv");
    let mut import = import.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(file.as_bytes()).unwrap();
    let (status, printed, _) = result(&import.wait_with_output().unwrap());
    let rows: Vec<_> = printed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!((status, rows), (1, vec!["ROW", "300", "600", "created", "new", "They"]), "{printed}");
    assert!(printed.contains("created 698, failed 2\n"), "{printed}");
}

#[tokio::test]
async fn an_import_that_cannot_be_made_says_why_and_makes_nothing() {
    let (app, folder) = (TestApp::start_with(&[("ADMIN__READ_TOKENS", READ_TOKEN)]), folder());
    for (file, content) in [
        ("columns.csv", "name,price,total_stock,colour\n"),
        ("semicolons.csv", "name;price\n"),
        ("book.csv", "PK\u{3}\u{4}"),
        ("lines.ndjson", "{}\n"),
        ("empty.csv", "\n"),
        ("products.csv", TABLE),
        ("products.txt", TABLE),
    ] {
        fs::write(folder.path().join(file), content).unwrap();
    }
    for (arguments, expected, words) in [
        ("import columns.csv", 1, "column 4 (colour) is not known; known are id, sale,"),
        ("import semicolons.csv", 1, "the first row must name a column total_stock"),
        ("import book.csv", 2, "book.csv: this is a workbook or an archive, not CSV"),
        ("import lines.ndjson --sale drop", 2, "are for tables"),
        ("import products.csv --map name=Titel", 2, "there is no column Titel for name; the file has id, sale, name"),
        ("import columns.csv --map cost=colour", 2, "there is no column cost; ours are id, sale,"),
        ("import columns.csv --map name", 2, "write it as ours=theirs"),
        ("import products.csv --preset shopify", 2, "there is no column Handle; is it the file of Products > Export?"),
        ("import semicolons.csv --preset shopify", 2, "a shop with several locations exports quantities"),
        ("import semicolons.csv --preset woocommerce", 2, "there is no column Stock for total_stock"),
        ("import semicolons.csv --map price=Price", 2, "name one with --map total_stock="),
        ("import products.csv --encoding ebcdic", 2, "windows-1252 is what Excel writes"),
        ("import empty.csv", 2, "empty.csv: it is empty: its first row must name the columns"),
        ("import none.csv", 2, "none.csv cannot be read"),
        ("import products.txt", 2, "Say --format csv or --format ndjson"),
        ("import -", 2, "the format of stdin is unknown"),
        ("import products.csv --url http://127.0.0.1:1", 2, "does not answer"),
        (&format!("import products.csv --token {READ_TOKEN}"), 1, "403 forbidden"),
    ] {
        let (status, printed, stderr) = run(&app, &folder, arguments);
        assert_eq!((status, printed.as_str()), (expected, ""), "{arguments}: {stderr}");
        assert!(stderr.contains(words), "{arguments}: {stderr}");
    }
    assert_eq!(app.get("/api/products").await.body["data"], json!([]));
}

#[tokio::test]
async fn an_import_that_stops_says_where_and_the_same_file_continues_it() {
    let app = TestApp::start_with(&[("REDIS__CALL_TIMEOUT_MS", "300")]);
    let folder = folder();
    fs::write(folder.path().join("products.csv"), TABLE).unwrap();
    let redis = app.redis.pid();
    signal_process(redis, "STOP");
    let (status, printed, stderr) = run(&app, &folder, "import products.csv");
    signal_process(redis, "CONT");
    assert_eq!(status, 2, "{stderr}");
    assert!(printed.contains("whether the product was made is unknown"), "{printed}");
    assert!(printed.ends_with("created 0, failed 2, not tried 2\n"), "{printed}");
    assert!(stderr.contains("send the same file again"), "{stderr}");
    let again = run(&app, &folder, "import products.csv").1;
    assert!(again.contains("created 2, failed 2\n"), "{again}");
}

/// Redis stops answering after the first products exist.
#[tokio::test]
async fn every_row_of_a_file_that_was_not_read_to_its_end_is_accounted_for() {
    let app = TestApp::start_with(&[("REDIS__CALL_TIMEOUT_MS", "2000")]);
    let folder = folder();
    let rows: String = (1..=1_500).map(|id| format!("{id},drop,Item,1,1\n")).collect();
    fs::write(folder.path().join("products.csv"), format!("id,sale,name,price,total_stock\n{rows}")).unwrap();
    let (mut redis, pid) = (app.redis.connect(), app.redis.pid());
    let import = program(&app, folder.path(), "import products.csv --json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    eventually("some products are there", async || {
        redis::cmd("HLEN").arg("fs1:{:all}:products").query::<u64>(&mut redis).unwrap() > 300
    })
    .await;
    signal_process(pid, "STOP");
    let (status, printed, stderr) = result(&import.unwrap().wait_with_output().unwrap());
    signal_process(pid, "CONT");
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("send the same file again"), "{stderr}");
    let report: Value = serde_json::from_str(&printed).unwrap();
    let count = |report: &Value, name: &str| report[name].as_u64().unwrap();
    let (created, failed, not_tried) =
        (count(&report, "created"), count(&report, "failed"), count(&report, "not_tried"));
    assert!(created >= 300 && failed == 1 && not_tried > 200, "{created}, {failed}, {not_tried}");
    assert_eq!((created + failed + not_tried, report["rows"].as_array().unwrap().len()), (1_500, 1_500));
    assert_eq!(report["rows"][1_499], json!({"row": 1_500, "status": "not_tried", "product": "1500 Item"}));

    let (status, printed, _) = run(&app, &folder, "import products.csv --json");
    let again: Value = serde_json::from_str(&printed).unwrap();
    let there = count(&again, "already_there");
    assert_eq!((status, count(&again, "created") + there, count(&again, "failed")), (0, 1_500, 0));
    assert!(there == created || there == created + 1, "{there} and not {created} were there");
}

#[test]
fn rows_whose_answer_was_lost_are_unknown_and_those_behind_them_not_tried() {
    let folder = folder();
    let rows: String = (1..=450).map(|id| format!("{id},Item,1,1\n")).collect();
    fs::write(folder.path().join("products.csv"), format!("id,name,price,total_stock\n{rows}")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let cut = thread::spawn(move || {
        let mut request = [0; 16];
        listener.accept().unwrap().0.read_exact(&mut request).unwrap();
    });
    let mut import = command(Path::new("unused"));
    import.current_dir(folder.path()).args(["import", "products.csv", "--token", ADMIN_TOKEN, "--url", &url]);
    let (status, printed, stderr) = result(&import.output().unwrap());
    cut.join().unwrap();
    let (counts, doubt) = printed.split_once('\n').unwrap();
    assert_eq!((status, counts), (2, "created 0, failed 0, unknown 200, not tried 250"), "{stderr}");
    assert!(doubt.contains("new sales that they name: `flashsale sale list`"), "{printed}");
    assert!(stderr.contains("no answer: ") && stderr.contains("send the same file again"), "{stderr}");
}

#[tokio::test]
async fn an_import_ends_with_the_sales_that_were_new_and_are_live() {
    let (app, folder) = (TestApp::start(), folder());
    app.admin(Method::POST, "/api/admin/sales", json!({"id": "drop", "name": "Drop", "paused": true})).await;
    let file = "sale,name,price,total_stock\ndrop,Item,1,1\ndrop-typo,Item,1,1\n,Item,1,1\ndrop-typo,Item,1,1\n";
    fs::write(folder.path().join("products.csv"), file).unwrap();
    let (status, printed, _) = run(&app, &folder, "import products.csv");
    let expected = "created 4, failed 0\nnew sales: drop-typo (live), 1 of products that name none (live)\n  \
        They were not there before, and sell from now on; to stop one: flashsale sale pause drop-typo\n";
    assert_eq!((status, printed.as_str()), (0, expected));
    assert_eq!(run(&app, &folder, "sale pause drop-typo").0, 0, "as it says");
}

#[test]
fn the_help_of_export_and_import_teaches() {
    let help = |arguments: &[&str]| result(&command(Path::new("unused")).args(arguments).output().unwrap()).1;
    for (arguments, words) in [
        (["export", "--help"], vec!["-o orders.csv", "FILE.part", "has 600", "symlink", "apostrophe", "141"]),
        (
            ["import", "--help"],
            vec![
                "id,sale,name,price",
                "--preset shopify",
                "windows-1252",
                "live at once",
                "--format csv",
                "Exit status",
            ],
        ),
    ] {
        // Lines are broken where they are too long.
        let help = help(&arguments).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.iter().all(|word| help.contains(word)), "{help}");
    }
    let top = help(&["--help"]);
    assert!(top.contains("export") && top.contains("import"), "{top}");
}
