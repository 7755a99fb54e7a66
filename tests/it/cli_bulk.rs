//! Commands that change many things at once, and go on where they broke off.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cli_import_export::{folder, result, run},
    support::{
        app::{ADMIN_TOKEN, TestApp},
        commands::{all_fail, done, json_of},
        process::command,
    },
};

/// A sale `drop` of three sizes with five units each, and product 9 of another sale.
async fn sizes() -> TestApp {
    let app = TestApp::start();
    assert_eq!(app.admin(Method::POST, "/api/admin/sales", json!({"id": "drop"})).await.status, 201);
    for id in 1..=3 {
        let size = json!({"id": id, "sale": "drop", "name": format!("Air {id}"), "sku": format!("AIR-{id}"),
            "price": "120.00", "total_stock": 5});
        app.add_product(size).await;
    }
    app.add_product(json!({"id": 9, "name": "Mug", "price": "9.00", "total_stock": 5})).await;
    app
}

async fn totals(app: &TestApp) -> Vec<u64> {
    let products = app.admin(Method::GET, "/api/admin/products", Value::Null).await.body;
    products["data"].as_array().unwrap().iter().map(|product| product["total_stock"].as_u64().unwrap()).collect()
}

/// The number of events of one type.
async fn events(app: &TestApp, kind: &str) -> usize {
    let page = app.admin(Method::GET, &format!("/api/admin/events?types={kind}"), Value::Null).await.body;
    page["data"].as_array().unwrap().len()
}

fn write(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(folder.path().join(name), bytes).unwrap();
}

/// `product`, `status` and `code` of each row.
fn rows(report: &Value) -> Vec<[&str; 3]> {
    let rows = report["rows"].as_array().unwrap().iter();
    rows.map(|row| ["product", "status", "code"].map(|name| row[name].as_str().unwrap_or_default())).collect()
}

fn report(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap_or_else(|_| panic!("{printed}"))
}

#[tokio::test]
async fn all_products_of_a_sale_are_restocked_once_in_a_run() {
    let app = sizes().await;
    let printed = done(&app, "product restock --sale drop --delta 5 --run truck-1 --reason truck");
    let expected = "\
PRODUCT  OUTCOME  WHAT
AIR-1    done     total_stock 5 -> 10
AIR-2    done     total_stock 5 -> 10
AIR-3    done     total_stock 5 -> 10

done 3
the same again with --run truck-1 does nothing twice
";
    assert_eq!(printed, expected);
    let again = json_of(&app, "product restock --sale drop --delta 5 --run truck-1 --reason truck --json");
    assert_eq!((&again["run"], &again["done"], &again["unchanged"]), (&json!("truck-1"), &json!(0), &json!(3)));
    assert_eq!((totals(&app).await, events(&app, "product.restocked").await), (vec![10, 10, 10, 5], 3));
    let (status, other, _) = run(&app, &folder(), "product restock --sale drop --delta 6 --run truck-1 --json");
    let refused = |product| [product, "refused", "idempotency_key_reused"];
    assert_eq!((status, rows(&report(&other))), (1, ["AIR-1", "AIR-2", "AIR-3"].map(refused).to_vec()));

    let (status, printed, stderr) = run(&app, &folder(), "product restock --sale drop --delta 1");
    let name = stderr.split("--run ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(status == 0 && printed.contains(&format!("--run {name} does nothing twice")), "{stderr} {printed}");
    done(&app, &format!("product restock --sale drop --delta 1 --run {name}"));
    assert_eq!(totals(&app).await, [11, 11, 11, 5]);
}

#[tokio::test]
async fn a_file_restocks_by_sku_and_id_and_each_bad_row_says_why_and_stops_no_other() {
    let (app, folder) = (sizes().await, folder());
    app.post("/api/holds", json!({"product_id": 3, "quantity": 2})).await;
    let table = "sep=;\r\nArtikel;Nr;Plus;Summe;Farbe\r\nAIR-1;;+5;;rot\r\n;2;;7,0;\r\nAIR-3;;\u{2212}4;;\r\nNO-SUCH;;5;;\r\n\
        AIR-1;;5;;\r\n;9;1.000;;\r\n;;5;;\r\n;;;;\r\nAIR-9;;5;5;\r\n;9;;;\r\n";
    write(&folder, "truck.csv", table);
    let map = "--map sku=Artikel --map id=Nr --map delta=Plus --map total=Summe";
    let call = format!("product restock --file truck.csv {map} --run truck-17 --json");
    let (status, printed, stderr) = run(&app, &folder, &call);
    let first = report(&printed);
    assert_eq!(status, 1, "{stderr}");
    let expected = [
        ["AIR-1", "done", ""],
        ["2", "done", ""],
        ["AIR-3", "refused", "below_promised"],
        ["NO-SUCH", "refused", "product_not_found"],
        ["AIR-1", "refused", "invalid_row"],
        ["9", "refused", "invalid_row"],
        ["row 7", "refused", "invalid_row"],
        ["AIR-9", "refused", "invalid_row"],
        ["9", "refused", "invalid_row"],
    ];
    assert_eq!(rows(&first), expected);
    for (row, words) in [
        (4, "row 1 names this product too"),
        (5, "delta has a thousands separator"),
        (6, "neither a sku nor an id"),
        (7, "delta and total"),
    ] {
        let detail = first["rows"][row]["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{words} in {detail}");
    }
    assert_eq!(first["rows"][0]["changed"], json!({"total_stock": {"from": 5, "to": 10}}));
    assert_eq!(totals(&app).await, [10, 7, 5, 5]);

    // The same product by its id is the same product.
    write(&folder, "by-id.csv", "id,delta\n1,5\n");
    let (status, printed, _) = run(&app, &folder, "product restock --file by-id.csv --run truck-17 --json");
    assert_eq!((status, &report(&printed)["unchanged"]), (0, &json!(1)));

    let corrected = "sku,id,delta,total\nAIR-1,,5,\n,2,,7\nAIR-3,,-3,\n,9,1000,\n";
    write(&folder, "truck.csv", corrected);
    let (status, printed, _) = run(&app, &folder, "product restock --file truck.csv --run truck-17 --json");
    let words: Vec<_> = report(&printed)["rows"].as_array().unwrap().iter().map(|row| row["status"].clone()).collect();
    assert_eq!((status, words), (0, ["unchanged", "unchanged", "done", "done"].map(Value::from).to_vec()));
    assert_eq!(totals(&app).await, [10, 7, 2, 1005]);
}

#[tokio::test]
async fn many_products_are_changed_by_flags_and_by_the_cells_of_a_file() {
    let (app, folder) = (sizes().await, folder());
    let call = "product change --sale drop --max-per-customer 2 --group air --json";
    let first = json_of(&app, call);
    assert_eq!((&first["done"], first.get("run")), (&json!(3), None));
    let to = |from: Value, to: Value| json!({"from": from, "to": to});
    let expected = json!({"max_per_customer": to(Value::Null, 2.into()), "group": to(Value::Null, "air".into())});
    assert_eq!(first["rows"][0]["changed"], expected);
    assert_eq!(json_of(&app, call)["unchanged"], 3);
    assert_eq!(events(&app, "product.changed").await, 3, "what changes nothing writes no event");

    write(&folder, "prices.csv", "SKU;Price;Max per customer\nAIR-1;99,50;\nAIR-2;;4\nAIR-3;x;\n");
    let (status, printed, _) =
        run(&app, &folder, "product change --file prices.csv --max-per-customer 3 --reason sale");
    let lines: Vec<_> = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(status, 1, "{printed}");
    assert_eq!(
        lines[..3],
        [
            "ROW PRODUCT OUTCOME WHAT",
            "1 AIR-1 done price 120.00 -> 99.50, max_per_customer 2 -> 3",
            "2 AIR-2 done max_per_customer 2 -> 4"
        ]
    );
    assert!(
        lines[3].starts_with("3 AIR-3 refused validation_failed: ") && lines[5] == "done 2, refused 1",
        "{printed}"
    );
    write(&folder, "skus.csv", "sku\nAIR-1\nAIR-3\n");
    let (status, printed, _) = run(&app, &folder, "product change --file skus.csv --no-max-per-customer --json");
    assert_eq!((status, &report(&printed)["done"]), (0, &json!(2)), "{printed}");
    let limits = [1, 2, 3].map(|id| format!("/api/products/{id}"));
    let mut found = Vec::new();
    for path in &limits {
        found.push(app.get(path).await.body["max_per_customer"].clone());
    }
    assert_eq!(found, [Value::Null, json!(4), Value::Null]);
}

#[tokio::test]
async fn products_get_skus_from_a_flag_or_a_file_once() {
    let (app, folder) = (sizes().await, folder());
    for id in [10, 11] {
        app.add_product(json!({"id": id, "sale": "drop", "name": "Air", "price": "120.00", "total_stock": 5})).await;
    }
    for _ in 0..2 {
        let given = done(&app, "product change 9 --new-sku MUG");
        assert!(given.lines().any(|line| line.split_whitespace().eq(["sku", "MUG"])), "{given}");
    }
    all_fail(
        &app,
        &[
            ("product change 9 --new-sku OTHER", 1, &["another SKU", "409 product_has_sku"]),
            ("product change 10 --new-sku MUG", 1, &["409 already_exists"]),
            ("product change --sale drop --new-sku ANY", 2, &["--new-sku"]),
        ],
    );
    write(&folder, "skus.csv", "id,new_sku\n10,AIR-10\n11,AIR-1\n1,AIR-1\n");
    for again in [false, true] {
        let (status, printed, _) = run(&app, &folder, "product change --file skus.csv --json");
        let first = if again { "unchanged" } else { "done" };
        let expected = [["10", first, ""], ["11", "refused", "already_exists"], ["1", "unchanged", ""]];
        assert_eq!((status, rows(&report(&printed))), (1, expected.to_vec()), "{printed}");
    }
    assert_eq!(app.get("/api/products/by-sku/AIR-10").await.body["id"], 10);
}

#[tokio::test]
async fn all_pending_orders_of_a_sale_are_cancelled_and_no_others() {
    let (app, folder) = (sizes().await, folder());
    let mut orders = Vec::new();
    for product in [1, 2, 3, 1, 9] {
        let hold = app.post("/api/holds", json!({"product_id": product, "quantity": 1})).await.id();
        orders.push(app.order(&hold).await.id());
    }
    app.pay("a", json!({"status": "paid", "order_id": orders[1]})).await;
    let (status, printed, stderr) = run(&app, &folder, "order cancel --sale drop --pending --dry-run");
    assert!(status == 0 && stderr.contains("3 pending orders would be cancelled"), "{stderr}");
    assert!(printed.contains(&orders[0]) && !printed.contains(&orders[1]), "{printed}");
    all_fail(&app, &[("order cancel --sale drop --pending", 2, &["cancel 3 pending orders of drop?", "say --yes"])]);
    assert_eq!(app.stock(1).await, "3 available, 2 pending");

    let report = json_of(&app, "order cancel --sale drop --pending --yes --reason mistake --json");
    let cancelled: Vec<_> = report["rows"].as_array().unwrap().iter().map(|row| row["order"].clone()).collect();
    assert_eq!(cancelled, [&orders[0], &orders[2], &orders[3]].map(|id| json!(id)));
    assert_eq!(report["rows"][0]["changed"], json!({"status": {"from": "pending", "to": "cancelled"}}));
    assert_eq!(done(&app, "order cancel --sale drop --pending"), "done 0\n", "nobody needs to be asked");
    assert_eq!((app.stock(1).await.as_str(), app.stock(2).await.as_str()), ("5 available", "4 available, 1 sold"));
    assert_eq!(app.stock(9).await, "4 available, 1 pending");
    assert_eq!(events(&app, "order.cancelled").await, 3);
}

#[tokio::test]
async fn what_does_not_fit_is_said_before_anything_is_changed() {
    let (app, folder) = (sizes().await, folder());
    for (name, table) in [
        ("no-key.csv", "name,total\nx,5\n"),
        ("unknown.csv", "sku,total,colour\nAIR-1,5,red\n"),
        ("twice.csv", "sku,total,Total\nAIR-1,5,6\n"),
        ("empty.csv", ""),
        ("good.csv", "sku,total\nAIR-1,50\n"),
    ] {
        write(&folder, name, table);
    }
    for (call, expected, word) in [
        ("restock --file no-key.csv", 2, "column name is not known; known are sku, id, delta, total"),
        ("restock --file unknown.csv", 2, "column colour is not known"),
        ("restock --file twice.csv", 2, "two columns total"),
        ("restock --file empty.csv", 2, "must name the columns"),
        ("restock --file missing.csv", 2, "cannot be read"),
        ("restock --file good.csv --map total=Bestand", 2, "no column for total: is --map right?"),
        ("restock --file good.csv --map units=total", 2, "there is no column units"),
        ("restock --file good.csv --sale drop", 2, "cannot be used with"),
        ("restock --file good.csv --key k", 2, "cannot be used with"),
        ("restock 1 --delta 5 --run r", 2, "cannot be used with"),
        ("restock --sale drop", 2, "--delta"),
        ("restock --sale nosuch --delta 5", 1, "404 sale_not_found"),
        ("restock --file good.csv --token wrong", 2, "To go on: the same again with --run"),
        ("change --sale drop", 2, "nothing to change: `flashsale product change --help` lists"),
        ("change 1 --reason fair", 2, "nothing to change"),
        ("change", 2, "--sale"),
    ] {
        let (status, printed, stderr) = run(&app, &folder, &format!("product {call}"));
        assert!(status == expected && stderr.contains(word), "{call}: {status} {stderr} {printed}");
    }
    for (call, word) in [
        ("order cancel", "<ID>"),
        ("order cancel --sale drop", "--pending"),
        ("order cancel order_x --dry-run", "--sale"),
    ] {
        let (status, _, stderr) = run(&app, &folder, call);
        assert!(status == 2 && stderr.contains(word), "{call}: {stderr}");
    }
    assert_eq!(totals(&app).await, [5, 5, 5, 5]);
}

#[tokio::test]
async fn a_row_whose_id_and_sku_are_two_products_is_refused() {
    let (app, folder) = (sizes().await, folder());
    write(&folder, "both.csv", "SKU,id,delta\nAIR-1,1,5\nAIR-2,3,5\nAIR-3,9,5\n,2,5\nAIR-2,,5\n");
    let (status, printed, stderr) = run(&app, &folder, "product restock --file both.csv --run truck-18 --json");
    let found = report(&printed);
    let expected = [
        ["AIR-1", "done", ""],
        ["AIR-2", "refused", "invalid_row"],
        ["AIR-3", "refused", "invalid_row"],
        ["2", "done", ""],
        ["AIR-2", "refused", "invalid_row"],
    ];
    assert_eq!((status, rows(&found)), (1, expected.to_vec()), "{stderr}");
    let detail = "the row has id 3, and its sku is that of product 2: which one is meant?";
    assert_eq!(found["rows"][1]["detail"], detail);
    assert_eq!(totals(&app).await, [10, 10, 5, 5]);
}

/// A service that reads one request on each connection and hangs up.
#[test]
fn rows_whose_answer_was_lost_are_unknown_and_the_last_line_says_how_to_go_on() {
    let folder = folder();
    let table: String = (1..=40).map(|id| format!("{id},5\n")).collect();
    write(&folder, "truck.csv", format!("id,delta\n{table}"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || serve_one_product(&mut stream));
        }
    });
    let mut restock = command(Path::new("unused"));
    let call = ["product", "restock", "--file", "truck.csv", "--run", "truck 17", "--json"];
    restock.current_dir(folder.path()).args(call).args(["--token", ADMIN_TOKEN, "--url", &url]);
    let (status, printed, stderr) = result(&restock.output().unwrap());
    let report = report(&printed);
    let count = |word: &str| report[word].as_u64().unwrap();
    assert!(status == 2 && (1..=8).contains(&count("unknown")), "{stderr} {printed}");
    assert_eq!(count("unknown") + count("not_tried"), 40);
    assert!(stderr.trim_end().ends_with("the same again with --run truck 17. What is done counts once."), "{stderr}");
}

/// Answers a GET with a product, and no POST.
fn serve_one_product(stream: &mut TcpStream) {
    let mut request = [0; 4096];
    while let Ok(read) = stream.read(&mut request) {
        if !request[..read].starts_with(b"GET") {
            return;
        }
        let body = r#"{"id":1,"total_stock":5}"#;
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    }
}
