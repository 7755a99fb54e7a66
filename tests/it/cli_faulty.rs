//! Commands against a service that never comes to an end: they end by themselves, say why, and say whether anything was changed.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::support::{
    app::ADMIN_TOKEN,
    commands::status_and_stderr,
    faulty_service::{self, Fault},
    process::command,
};

/// A log with an order of the sale `drop`.
const LOG: &str = r#"{"id":"drop:7-0","type":"order.created","at":"2026-11-27T09:00:00.000Z","sale":"drop","order":
    {"id":"order_drop_x","hold_id":"hold_drop_x","items":[],"customer_id":null,"status":"pending","total_amount":"5.00",
    "currency":"USD","created_at":"2026-11-27T09:00:00.000Z","payment_due_at":"2096-11-27T09:35:00.000Z","paid_at":null}}"#;

/// Exit status and stderr of a command that asks a service with this fault. The folder has what the commands read.
fn run(fault: Fault, arguments: &str) -> (i32, String) {
    let folder = TempDir::with_prefix("fs").unwrap();
    fs::write(folder.path().join("events.ndjson"), LOG.replace('\n', " ")).unwrap();
    fs::write(folder.path().join("products.csv"), "id,name,price,total_stock\n1,A,1.00,5\n").unwrap();
    let url = format!("http://{}", faulty_service::start(fault));
    let mut program = command(Path::new("unused"));
    program.current_dir(folder.path()).env("FLASHSALE_URL", url).env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
    status_and_stderr(&program.args(arguments.split(' ')).output().unwrap())
}

#[test]
fn a_list_that_leads_back_to_an_earlier_page_ends_the_command() {
    for arguments in [
        "sale list",
        "product list",
        "order list --customer anna",
        "order cancel --sale drop --pending --yes",
        "review list",
        "event list",
        "event follow --since 1h",
        "export --per event",
        "audit --against events.ndjson",
        "product restock --sale drop --delta 1 --run r",
        "product change --sale drop --max-per-hold 1",
        "rush --sale drop",
    ] {
        let (status, stderr) = run(Fault::Circles, arguments);
        assert!(status == 2 && stderr.contains("leads back to an earlier one"), "{arguments}: {status} {stderr}");
    }
}

#[test]
fn a_log_that_goes_back_ends_the_command() {
    for arguments in
        ["event list", "event follow --since 1h --json", "event list --order order_x", "export --per event"]
    {
        let (status, stderr) = run(Fault::GoesBack, arguments);
        assert!(status == 2 && stderr.contains("event drop:7-1 came again"), "{arguments}: {status} {stderr}");
    }
}

#[test]
fn a_body_that_trickles_or_stops_ends_the_command_and_only_a_change_may_have_been_made() {
    const MAY_BE_MADE: &str = "The change may have been made";
    let reading = [
        "sale list",
        "sale show drop",
        "product show 1",
        "order list",
        "order show order_x",
        "review show review_x",
        "customer show anna",
        "payment show pi_x",
        "event list",
        "event follow",
        "audit",
        "audit --against events.ndjson",
        "export",
        "export --per event",
        "import products.csv --dry-run",
    ];
    let changing = [
        "sale pause drop",
        "sale create drop-2",
        "product create --name A --price 1.00 --total-stock 5",
        "product change 1 --price 2.00",
        "product restock 1 --delta 1",
        "product delete 1",
        "product move 1 --to drop",
        "order cancel order_x",
        "review dismiss review_x --note x",
        "audit --repair",
    ];
    for fault in [Fault::Trickles, Fault::Stops] {
        for (arguments, is_change) in
            reading.map(|call| (call, false)).into_iter().chain(changing.map(|call| (call, true)))
        {
            let (status, stderr) = run(fault, &format!("{arguments} --timeout 1s"));
            assert!(status == 2 && stderr.contains("within 1 s"), "{fault:?} {arguments}: {status} {stderr}");
            assert!(stderr.contains("--timeout 5m waits longer"), "{fault:?} {arguments}: {stderr}");
            assert_eq!(stderr.contains(MAY_BE_MADE), is_change, "{fault:?} {arguments}: {stderr}");
        }
    }
    let (status, stderr) = run(Fault::Stops, "import products.csv --timeout 1s");
    assert!(status == 2 && stderr.contains("send the same file again"), "{status} {stderr}");
}
