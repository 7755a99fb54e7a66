//! A rush that somebody stops, at each of its steps.

use std::{
    fs,
    process::{Child, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    app::TestApp,
    commands::{program, status_and_stderr},
    faulty_service::{self, Fault},
    process::{ServiceProcess, command},
    redis::signal_process,
};

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_mins(1), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the process has a handler of SIGINT.
fn listens(child: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 0b10 != 0
}

fn report(output: &Output, status: i32) -> Value {
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn detail(report: &Value, name: &str) -> String {
    let checks = report["proof"]["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name} in {report}"));
    check["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn one_that_waits_for_abandoned_holds_releases_them_when_it_is_stopped() {
    let app = TestApp::selling(100).await;
    let mut rush = program(&app);
    rush.args("rush --product 1 --scenario abandon --buyers 1000 --rate 20 --duration 60s --json".split(' '));
    let child = rush.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let held = async || app.get("/api/products/1").await.body["held_stock"].as_u64().unwrap();
    let started = Instant::now();
    while held().await < 5 {
        assert!(started.elapsed() < Duration::from_mins(1), "no buyers come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // One stops the buyers, the other the wait. Two of the same kind might be one.
    for signal in ["INT", "TERM"] {
        signal_process(child.id(), signal);
    }
    let report = report(&child.wait_with_output().unwrap(), 1);
    assert_eq!(app.stock(1).await, "100 available", "{report}");
    assert!(report["taken_away"]["holds"].as_u64().unwrap() > 0, "{report}");
    assert!(detail(&report, "all units came back after their deadlines").starts_with("interrupted"), "{report}");
}

#[test]
fn one_whose_service_stands_still_ends_when_it_is_stopped() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = ServiceProcess::start(folder.path());
    let mut rush = command(folder.path());
    rush.args(["rush", "--url", &service.url(), "--product", "1", "--rate", "5", "--duration", "60s", "--json"]);
    let mut child = rush.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it listens to signals", || listens(&child));
    signal_process(service.pid(), "STOP");
    // It stops the buyers, the last look at the counters, and what is taken away.
    wait_until("it ends", || {
        ["INT", "TERM"].iter().for_each(|signal| signal_process(child.id(), signal));
        child.try_wait().unwrap().is_some()
    });
    signal_process(service.pid(), "CONT");
    let output = child.wait_with_output().unwrap();
    // If it was stopped before its first buyer, nothing is held.
    match output.status.code() {
        Some(2) => assert!(status_and_stderr(&output).1.contains("nothing is held"), "{output:?}"),
        _ => drop(report(&output, 1)),
    }
}

#[test]
fn one_that_is_stopped_before_its_first_buyer_says_so() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = ServiceProcess::start(folder.path());
    signal_process(service.pid(), "STOP");
    let mut rush = command(folder.path());
    rush.args(["rush", "--url", &service.url(), "--product", "1"]);
    let child = rush.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it listens to signals", || listens(&child));
    signal_process(child.id(), "INT");
    let output = child.wait_with_output().unwrap();
    signal_process(service.pid(), "CONT");
    let (status, stderr) = status_and_stderr(&output);
    assert!(status == 2 && stderr.contains("interrupted before the first buyer came: nothing is held"), "{stderr}");
    assert!(!stderr.contains("go to"), "whoever names a service knows it: {stderr}");
}

#[test]
fn counters_that_no_sum_can_hold_are_not_proved_and_no_panic() {
    for arguments in ["--product 1", "--sale drop", "--product 1 --scenario lifecycle --keep"] {
        let url = format!("http://{}", faulty_service::start(Fault::Overflows));
        let call = format!("rush --url {url} --buyers 30 --json {arguments}");
        let output = command(std::path::Path::new("unused")).args(call.split(' ')).output().unwrap();
        let report = report(&output, 1);
        assert_eq!(report["proof"]["ok"], json!(false), "{report}");
    }
}
