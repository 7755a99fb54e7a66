//! Where `flashsale export` writes, and what it leaves of an earlier file.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{app::TestApp, commands, seed};

/// More orders than fit into a pipe that nobody reads.
const MANY: usize = 2_000;

async fn with_orders(orders: usize) -> (TestApp, TempDir) {
    let app = TestApp::start();
    app.add_product(json!({"id": 1, "name": "Item", "price": "5.00", "total_stock": 10_000})).await;
    seed::orders(&app.redis.url(), 1, orders).await;
    (app, TempDir::with_prefix("fs").unwrap())
}

fn export(app: &TestApp, folder: &TempDir, arguments: &str) -> Command {
    let mut program = commands::program(app);
    program.current_dir(folder.path()).arg("export").args(arguments.split_whitespace());
    program
}

/// Exit status and stderr.
fn run(app: &TestApp, folder: &TempDir, arguments: &str) -> (i32, String) {
    commands::status_and_stderr(&export(app, folder, arguments).output().unwrap())
}

fn stdout(app: &TestApp, folder: &TempDir, arguments: &str) -> String {
    let output = export(app, folder, arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments}: {}", commands::status_and_stderr(&output).1);
    String::from_utf8(output.stdout).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

#[tokio::test]
async fn a_file_keeps_its_mode_and_a_new_one_is_for_its_owner() {
    let (app, folder) = with_orders(2).await;
    let (new, old) = (folder.path().join("new.csv"), folder.path().join("old.csv"));
    fs::write(&old, "of yesterday").unwrap();
    for expected in [0o640, 0o644, 0o600] {
        fs::set_permissions(&old, fs::Permissions::from_mode(expected)).unwrap();
        assert_eq!(run(&app, &folder, "-o old.csv").0, 0);
        assert_eq!((lines(&old), mode(&old)), (3, expected));
    }
    assert_eq!(run(&app, &folder, "-o new.csv").0, 0);
    assert_eq!((lines(&new), mode(&new)), (3, 0o600));
}

#[tokio::test]
async fn behind_a_symlink_the_target_is_replaced_and_the_link_stays() {
    let (app, folder) = with_orders(2).await;
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("orders.csv"), "of yesterday").unwrap();
    for (link, target) in
        [("there.csv", "inner/orders.csv"), ("not-yet.csv", "inner/new.csv"), ("twice.csv", "there.csv")]
    {
        symlink(target, folder.path().join(link)).unwrap();
        let (status, stderr) = run(&app, &folder, &format!("-o {link}"));
        assert_eq!((status, stderr), (0, format!("{link} is whole: 2 orders\n")));
        assert_eq!(fs::read_link(folder.path().join(link)).unwrap(), Path::new(target));
        assert_eq!(lines(&folder.path().join(link)), 3);
    }
    let names: Vec<_> = fs::read_dir(&inner).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no part is left: {names:?}");
}

#[tokio::test]
async fn a_device_or_fifo_is_written_to_and_stays_what_it_is() {
    let (app, folder) = with_orders(MANY).await;
    let (fifo, link) = (folder.path().join("fifo"), folder.path().join("link"));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    symlink("fifo", &link).unwrap();
    for name in ["fifo", "link"] {
        let child = export(&app, &folder, &format!("-o {name}")).stderr(Stdio::piped()).spawn().unwrap();
        let came = fs::read_to_string(&fifo).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), came.lines().count()), (Some(0), MANY + 1), "{ended:?}");
    }
    assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is beside them");
}

#[tokio::test]
async fn a_folder_is_refused_before_the_service_is_asked_and_a_dash_is_stdout() {
    let (app, folder) = with_orders(2).await;
    for arguments in ["-o .", "-o . --url http://127.0.0.1:1"] {
        let (status, stderr) = run(&app, &folder, arguments);
        assert!(status == 2 && stderr.contains(". is a folder"), "{stderr}");
    }
    let printed = export(&app, &folder, "-o - --json").output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap().lines().count(), 2, "as without -o");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn when_its_reader_leaves_an_export_ends_quietly_and_not_as_if_it_were_whole() {
    let (app, folder) = with_orders(MANY).await;
    let mut child = export(&app, &folder, "").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(141), ""));
    assert!(first.starts_with("id,sale,"), "{first}");
}

#[tokio::test]
async fn a_part_of_an_earlier_export_is_no_way_into_another_file() {
    let (app, folder) = with_orders(2).await;
    let other = folder.path().join("other");
    fs::write(&other, "precious").unwrap();
    symlink("other", folder.path().join("orders.csv.part")).unwrap();
    assert_eq!(run(&app, &folder, "-o orders.csv").0, 0);
    assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
    assert_eq!(lines(&folder.path().join("orders.csv")), 3);
}

#[tokio::test]
async fn a_warehouse_gets_a_row_for_each_item_that_was_paid_since_the_last_file() {
    let (app, folder) = with_orders(3).await;
    let orders = stdout(&app, &folder, "--columns id");
    let id = orders.lines().nth(2).unwrap();
    app.pay("a", json!({"status": "paid", "order_id": id, "payment_id": "pi_1"})).await;
    let columns = "--per item --columns order_id,name,quantity,line_amount";
    for (arguments, rows) in [
        ("--by paid_at --since 1h", 1),
        ("--by paid_at --since 2020-01-01T00:00:00Z --until 1577840400000", 0),
        ("--status paid --until 1h", 0),
        ("--since 1h", 3),
        ("--status pending", 2),
    ] {
        let table = stdout(&app, &folder, &format!("{columns} {arguments}"));
        assert_eq!(table.lines().count(), rows + 1, "{arguments}: {table}");
        assert!(table.starts_with("order_id,name,quantity,line_amount\r\n"), "{table}");
        assert!(rows != 1 || table.ends_with(&format!("\r\n{id},Item,1,5.00\r\n")), "{table}");
    }
    let (status, stderr) = run(&app, &folder, "--per item -o ship.csv");
    assert_eq!((status, stderr.as_str()), (0, "ship.csv is whole: 3 items\n"));
    let (status, stderr) = run(&app, &folder, "--per item --columns order_id,colour");
    assert!(status == 1 && stderr.contains("of order_id, sale, product_id, sku, name,"), "{stderr}");
    for (arguments, words) in [
        ("--since yesterday", "or how long ago as in 90s, 1h, 1d12h"),
        ("--rows payments", "unexpected argument '--rows'"),
        ("--since 1h --until 2h", "until must not be earlier than since"),
        ("--zone Mars", "a time zone such as Europe/Berlin"),
    ] {
        let (status, stderr) = run(&app, &folder, arguments);
        assert!(status > 0 && stderr.contains(words), "{arguments}: {stderr}");
    }
}

#[tokio::test]
async fn for_excel_times_are_those_of_spreadsheets_unless_others_are_asked_for() {
    let (app, folder) = with_orders(1).await;
    let time = |arguments: &str| {
        let table = stdout(&app, &folder, &format!("--columns created_at {arguments}"));
        table.trim_start_matches('\u{feff}').lines().nth(1).unwrap().to_owned()
    };
    let plain = time("");
    let instant: jiff::Timestamp = plain.parse().unwrap();
    assert!(plain.ends_with('Z') && time("--excel --times rfc3339") == plain, "{plain}");
    let utc = instant.to_string()[..19].replace('T', " ");
    assert_eq!([time("--times spreadsheet"), time("--excel")], [utc.clone(), utc]);
    let in_zone = instant.checked_sub(jiff::SignedDuration::from_hours(5)).unwrap().to_string()[..19].replace('T', " ");
    assert_eq!(time("--excel --zone -05:00"), in_zone);
}
