//! The runbook of docs/operations.md, as it is printed there, with a snapshot of a shop that sells.

use std::{path::Path, process::Command};

use serde_json::json;
use tempfile::TempDir;

use super::Caller;
use crate::{
    docs::{
        markdown::{Block, Document},
        normal, patient_service, run,
    },
    support::process::ServiceProcess,
};

/// Commands, each with what the document says it prints, of the blocks with this mark.
fn blocks(document: &Document, test: &str) -> Vec<Vec<(String, String)>> {
    let steps = |block: Block<'_>| {
        let mut steps: Vec<(String, String)> = Vec::new();
        for line in block.lines {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push((command.to_owned(), String::new())),
                (None, Some((_, printed))) => {
                    printed.push_str(line);
                    printed.push('\n');
                }
                (None, None) => panic!("{line}"),
            }
        }
        steps
    };
    let mark = format!("tested by {test}");
    document.blocks().into_iter().filter(|block| block.mark == Some(&mark)).map(steps).collect()
}

/// Runs a block against the service, and compares.
fn follow(steps: &[(String, String)], folder: &Path, service: &ServiceProcess) {
    let commands: Vec<String> = steps.iter().map(|(command, _)| command.clone()).collect();
    for ((command, expected), printed) in steps.iter().zip(run(&commands, folder, service)) {
        assert_eq!(normal(&printed), normal(expected), "$ {command}\n{printed}");
    }
}

#[tokio::test]
async fn the_runbook_brings_a_shop_back() {
    let document = Document::read("docs/operations.md");
    let blocks = blocks(&document, "the_runbook_brings_a_shop_back");
    let [back_up, restore, compare] = &blocks[..] else { panic!("{} blocks", blocks.len()) };
    let folder = TempDir::with_prefix("fs").unwrap();
    let folder = folder.path();
    let data = folder.join("flashsale-data");
    let service = patient_service(&data);
    let shop = Caller::of(service.addr);
    let pay = async |order: &str| {
        let event = json!({"idempotency_key": order, "payload": {"status": "paid", "order_id": order}});
        assert_eq!(shop.post("/api/payments/webhook", event).await.body["outcome"], "applied");
    };
    pay(&shop.ordered(1).await).await;
    let pending = shop.ordered(1).await;
    follow(back_up, folder, &service);
    // The shop sells on, and a minute later the log is written again.
    pay(&pending).await;
    pay(&shop.ordered(1).await).await;
    follow(&back_up[1..], folder, &service);
    assert!(service.stop());
    let commands: Vec<&str> = restore.iter().map(|(command, _)| &**command).collect();
    let script = format!("set -euo pipefail\n{}", commands.join("\n"));
    let output = Command::new("bash").args(["-c", &script]).current_dir(folder).output().unwrap();
    assert_eq!((output.status.success(), &*output.stdout), (true, &b"OK\n"[..]), "{output:?}");
    let service = patient_service(&data);
    follow(compare, folder, &service);
    assert!(service.stop());
}

#[tokio::test]
async fn products_move_to_an_empty_redis_by_export_and_import() {
    if Command::new("jq").arg("--version").output().is_err() {
        crate::support::left_out("no jq on this machine");
        return;
    }
    let document = Document::read("docs/operations.md");
    let blocks = blocks(&document, "products_move_to_an_empty_redis_by_export_and_import");
    let [write, import] = &blocks[..] else { panic!("{} blocks", blocks.len()) };
    let folder = TempDir::with_prefix("fs").unwrap();
    let folder = folder.path();
    let old = patient_service(&folder.join("old"));
    let shop = Caller::of(old.addr);
    let order = shop.ordered(1).await;
    shop.post(
        "/api/payments/webhook",
        json!({"idempotency_key": "a", "payload": {"status": "paid", "order_id": order}}),
    )
    .await;
    follow(write, folder, &old);
    let empty = super::redis();
    let new = super::Service::on(&empty);
    let (import, expected) = &import[0];
    let output = super::program(new.addr).current_dir(folder).args(import.split(' ').skip(1)).output().unwrap();
    assert_eq!(normal(&String::from_utf8_lossy(&output.stdout)), normal(expected), "{output:?}");
    let there = new.get("/api/admin/products/1").await.body;
    assert_eq!((&there["available_stock"], &there["total_stock"]), (&json!(99), &json!(99)), "{there}");
}
