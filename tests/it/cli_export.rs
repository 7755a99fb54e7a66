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
