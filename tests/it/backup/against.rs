//! `flashsale audit --against`: a restored snapshot, and the log that was exported before.

use std::{io::Write, path::Path, process::Output};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Service, program, redis, restored, snapshot};
use crate::support::eventually;

fn run(service: &Service, folder: &Path, arguments: &str) -> Output {
    program(service.addr).current_dir(folder).args(arguments.split(' ')).output().unwrap()
}

/// Exit status and stdout.
fn printed(service: &Service, folder: &Path, arguments: &str) -> (i32, String) {
    let output = run(service, folder, arguments);
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn json_of(service: &Service, folder: &Path, arguments: &str) -> (i32, Value) {
    let (status, text) = printed(service, folder, arguments);
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{arguments}: {text}")))
}

/// Kind, id, state in the log and in the store of each difference, in their order.
fn differences(found: &Value) -> Vec<[String; 4]> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or("missing").to_owned();
    let rows = found["differences"].as_array().unwrap().iter();
    rows.map(|row| ["what", "id", "in_log", "in_store"].map(|name| text(row, name))).collect()
}

fn texts(rows: &[[&str; 4]]) -> Vec<[String; 4]> {
    rows.iter().map(|row| row.map(str::to_owned)).collect()
}

#[tokio::test]
async fn after_a_restore_the_log_names_exactly_what_the_store_lost() {
    names_what_was_lost(1).await;
}

#[tokio::test]
async fn after_a_restore_the_log_of_a_spread_sale_names_exactly_what_its_shards_lost() {
    names_what_was_lost(3).await;
}

/// The sale `drop` has so many shards.
async fn names_what_was_lost(shards: u64) {
    let (redis, folder) = (redis(), TempDir::with_prefix("fs").unwrap());
    let folder = folder.path();
    let service = Service::on(&redis);
    service.post("/api/admin/sales", json!({"id": "drop", "shards": shards})).await;
    service.add(1, Some("drop")).await;
    let before = service.bought(1, "pi_before").await;
    let pending = service.ordered(1).await;
    let cancelled = service.ordered(1).await;
    let hour_ago = snapshot(&redis);
    // What the snapshot does not have.
    assert_eq!(service.pay(&pending, "pi_pending").await.body["outcome"], "applied");
    service.post(&format!("/api/orders/{cancelled}/cancel"), json!({})).await;
    let gone = service.bought(1, "pi_gone").await;
    service.pay(&gone, "pi_twice").await;
    let unpaid = service.ordered(1).await;
    service.post("/api/admin/products/1/restock", json!({"delta": 20})).await;
    service.add(2, Some("later")).await;
    let of_later = service.bought(2, "pi_later").await;
    service.try_call(Method::PATCH, "/api/admin/sales/drop", &json!({"paused": true})).await.unwrap();
    let (status, _) = printed(&service, folder, "export --per event -o events.ndjson");
    assert_eq!(status, 0);
    // A store that has gone on knows more than the log, which is no difference.
    service.try_call(Method::PATCH, "/api/admin/sales/drop", &json!({"paused": false})).await.unwrap();
    service.post(&format!("/api/orders/{unpaid}/cancel"), json!({})).await;
    let (status, text) = printed(&service, folder, "audit --against events.ndjson");
    assert!(status == 0 && text.contains("the store knows all that the log says"), "{text}");

    let redis = restored(redis, &hour_ago);
    eventually("it is ready again", async || service.get("/readyz").await.status == 200).await;
    // The restored store sells on.
    service.bought(1, "pi_since").await;
    let (status, found) = json_of(&service, folder, "audit --against events.ndjson --json");
    assert_eq!((status, &found["ok"]), (1, &json!(false)), "{found}");
    let mut found_differences = differences(&found);
    let review = found_differences.iter().find(|row| row[0] == "review").unwrap()[1].clone();
    let mut expected = texts(&[
        ["paid_order", &pending, "paid", "pending"],
        ["paid_order", &gone, "paid", "missing"],
        ["paid_order", &of_later, "paid", "missing"],
        ["review", &review, "open, duplicate_payment", "missing"],
        ["sale", "drop", "paused true", "paused false"],
        ["sale", "later", "there", "missing"],
        ["product", "1", "total_stock 120", "total_stock 100"],
        ["product", "2", "100 units at 20.00 USD, 10 a hold", "missing"],
        ["order", &cancelled, "cancelled", "pending"],
        ["order", &unpaid, "pending", "missing"],
    ]);
    assert!(found_differences.iter().all(|row| row[1] != before), "{found}");
    let kinds = |rows: &[[String; 4]]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(kinds(&found_differences), kinds(&expected), "the worst first");
    found_differences.sort();
    expected.sort();
    assert_eq!(found_differences, expected);
    let of_sale = found["differences"].as_array().unwrap().iter().find(|row| row["id"] == "drop").unwrap();
    assert_eq!(of_sale["fields"], json!({"paused": {"in_log": true, "in_store": false}}));
    assert_eq!(found["paid"], json!([{"currency": "USD", "amount": "60.00", "orders": 3}]));
    assert_eq!(found["orders"], json!({"in_log": 6, "missing": 3, "older": 2}));
    let units = json!([{"product_id": 1, "units": 2, "available_stock": 96},
        {"product_id": 2, "units": 1, "available_stock": null}]);
    assert_eq!(found["units"], units);
    let (status, text) = printed(&service, folder, "audit --against events.ndjson");
    assert_eq!(status, 1);
    for line in ["paid order", "60.00 USD for 3 paid orders", "AVAILABLE AGAIN", "Pause its sales"] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let (_, of_sale) = json_of(&service, folder, "audit --against events.ndjson --sale later --json");
    assert_eq!(differences(&of_sale).len(), 3, "{of_sale}");
    let restarted = Service::on(&redis);
    let (status, again) = json_of(&restarted, folder, "audit --against events.ndjson --json");
    assert_eq!((status, &again["differences"]), (1, &found["differences"]));
}

#[tokio::test]
async fn a_product_that_the_log_ends_with_deleting_is_no_product() {
    let (redis, folder) = (redis(), TempDir::with_prefix("fs").unwrap());
    let folder = folder.path();
    let service = Service::on(&redis);
    for id in 1..=3 {
        service.add(id, Some("drop")).await;
    }
    let hour_ago = snapshot(&redis);
    for id in [2, 3] {
        let path = format!("/api/admin/products/{id}");
        service.try_call(Method::DELETE, &path, &Value::Null).await.unwrap();
    }
    service.add(3, Some("drop")).await;
    let terms = json!({"hold_seconds": 60, "max_per_customer": 4});
    service.try_call(Method::PATCH, "/api/admin/sales/drop", &terms).await.unwrap();
    assert_eq!(printed(&service, folder, "export --per event -o events.ndjson").0, 0);
    let (status, found) = json_of(&service, folder, "audit --against events.ndjson --json");
    assert_eq!((status, &found["differences"]), (0, &json!([])), "{found}");

    let _redis = restored(redis, &hour_ago);
    eventually("it is ready again", async || service.get("/readyz").await.status == 200).await;
    let (status, found) = json_of(&service, folder, "audit --against events.ndjson --json");
    let summary = "100 units at 20.00 USD, 10 a hold";
    let terms = |hold, limit| format!("hold_seconds {hold}, hold_seconds_max {hold}, max_per_customer {limit}");
    let (in_log, in_store) = (terms(60, "4"), terms(900, "none"));
    let expected = texts(&[["sale", "drop", &in_log, &in_store], ["product", "2", "deleted", summary]]);
    assert_eq!((status, differences(&found)), (1, expected), "{found}");
}

#[tokio::test]
async fn a_log_is_read_packed_and_from_stdin_and_bad_lines_are_named() {
    let (redis, folder) = (redis(), TempDir::with_prefix("fs").unwrap());
    let folder = folder.path();
    let service = Service::on(&redis);
    let (status, text) = printed(&service, folder, "audit");
    assert!(status == 0 && text.contains("it was emptied"), "{text}");
    service.add(1, None).await;
    for n in 0..150 {
        service.bought(1, &format!("pi_{n}")).await;
        if n == 60 {
            service.post("/api/admin/products/1/restock", json!({"delta": 100})).await;
        }
    }
    let (status, log) = printed(&service, folder, "export --per event");
    assert_eq!(status, 0);
    assert!(log.lines().count() > 300, "more than a page");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(log.as_bytes()).unwrap();
    std::fs::write(folder.join("events.ndjson.gz"), packed.finish().unwrap()).unwrap();
    let (status, found) = json_of(&service, folder, "audit --against events.ndjson.gz --json");
    assert_eq!((status, &found["events"]), (0, &json!(log.lines().count())), "{found}");
    let torn = &log[..log.len() - 20];
    let endless = "x".repeat(2 << 20);
    std::fs::write(folder.join("torn.ndjson"), format!("{endless}\nnonsense\n\n{torn}")).unwrap();
    let stdin = std::fs::File::open(folder.join("torn.ndjson")).unwrap();
    let output = program(service.addr).args(["audit", "--against", "-", "--json"]).stdin(stdin).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines: Vec<_> =
        found["unreadable"].as_array().unwrap().iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!((output.status.code(), lines), (Some(1), vec![1, 2, 3 + log.lines().count() as u64]), "{found}");
    assert_eq!(found["differences"], json!([]));
    for (file, why) in [("torn", "No such file"), ("empty.ndjson", "no event"), ("csv.csv", "line 1 is no event")] {
        std::fs::write(folder.join("empty.ndjson"), "").unwrap();
        std::fs::write(folder.join("csv.csv"), "id,name\n").unwrap();
        let output = run(&service, folder, &format!("audit --against {file}"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(why), "{said}");
    }
    let output = run(&service, folder, "export --per event --format csv");
    assert_eq!(output.status.code(), Some(2));
}
