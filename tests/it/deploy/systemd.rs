//! `deploy/systemd/flashsale.service`, and the settings that the Debian package comes with.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    process::{Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::assert_is_command;
use crate::{
    house::{read, root},
    support::{
        left_out,
        process::without_settings,
        redis::{PROGRAM, signal_process},
    },
};

/// Ten times the exposure that `systemd-analyze security` may see: 0 is the safest, 100 the worst.
const EXPOSURE_MAX: u32 = 20;

fn unit() -> String {
    read(&root().join("deploy/systemd/flashsale.service"))
}

fn value(key: &str) -> String {
    let unit = unit();
    let found: Vec<_> = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect();
    assert_eq!(found.len(), 1, "{key}: {found:?}");
    found[0].to_owned()
}

#[test]
fn the_unit_starts_a_command_of_the_program_where_packages_have_it() {
    let command = value("ExecStart");
    let mut words = command.split_whitespace();
    let program = words.next().unwrap();
    let script = read(&root().join("scripts/dist"));
    assert!(script.contains(&format!("\"$1{program}\"")), "scripts/dist puts nothing at {program}");
    let (_, settings) = value("LoadCredential").split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(script.contains(&format!("\"$1{settings}\"")), "scripts/dist puts nothing at {settings}");
    assert_is_command(&words.collect::<Vec<_>>());
}

#[test]
fn a_supervisor_hears_when_the_service_listens_and_when_it_stops() {
    // Were there a bound, a Redis that loads for longer would be killed, and begin again, for ever.
    assert_eq!((value("Type").as_str(), value("TimeoutStartSec").as_str()), ("notify", "infinity"));
    let folder = TempDir::with_prefix("fs").unwrap();
    let supervisor = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    supervisor.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let hear = || {
        let mut message = [0; 64];
        let length = supervisor.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut program = without_settings(PROGRAM);
    program.env_remove("REDIS_URL").current_dir(folder.path()).env("NOTIFY_SOCKET", folder.path().join("notify"));
    program.args(["serve", "--demo", "--addr", &addr]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut service = program.spawn().unwrap();
    assert_eq!(hear(), "READY=1\n");
    assert!(TcpStream::connect(&addr).is_ok(), "it listens");
    signal_process(service.id(), "TERM");
    assert_eq!(hear(), "STOPPING=1\n");
    assert!(service.wait().unwrap().success());
}

#[test]
fn the_settings_of_the_package_are_good_and_leave_the_unit_time_to_stop() {
    let file = root().join("deploy/debian/flashsale.toml");
    let folder = TempDir::with_prefix("fs").unwrap();
    let mut program = without_settings(PROGRAM);
    program.env_remove("REDIS_URL").current_dir(folder.path()).arg("config").arg("--config").arg(file);
    let output = program.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config = String::from_utf8(output.stdout).unwrap();
    let seconds = |key: &str| {
        let text = config.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ")).unwrap();
        text.parse::<u64>().unwrap()
    };
    let stop: u64 = value("TimeoutStopSec").parse().unwrap();
    assert!(stop > seconds("drain_seconds") + seconds("shutdown_seconds"), "{config}");
}

#[test]
fn the_unit_is_started_again_however_often_but_not_with_bad_settings() {
    // By default systemd gives up after five tries in ten seconds: less than a fail-over of Redis takes.
    assert_eq!((value("Restart").as_str(), value("StartLimitIntervalSec").as_str()), ("on-failure", "0"));
    let prevented = value("RestartPreventExitStatus");
    let prevented: Vec<_> = prevented.split_whitespace().collect();
    let folder = TempDir::with_prefix("fs").unwrap();
    let status_of = |setting: &str, given: &str| {
        let mut program = without_settings(PROGRAM);
        program.env_remove("REDIS_URL").current_dir(folder.path()).arg("serve").env(setting, given);
        program.output().unwrap().status.code().unwrap().to_string()
    };
    let bad = status_of("FLASHSALE_HTTP__ADDR", "127.0.0.1:99999999");
    assert!(prevented.contains(&bad.as_str()), "bad settings end it with {bad}, and it is started again");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let in_use = status_of("FLASHSALE_HTTP__ADDR", &taken.local_addr().unwrap().to_string());
    assert!(!prevented.contains(&in_use.as_str()) && in_use != "0", "a port in use ends it with {in_use}, for ever");
    assert!(prevented.contains(&"CREDENTIALS"), "without a file of settings it is started again and again");
}

/// A tool of systemd over the unit, with the program of the tests in its place.
fn analyze(arguments: &[&str]) -> Option<Output> {
    let folder = TempDir::with_prefix("fs").unwrap();
    let file = folder.path().join("flashsale.service");
    fs::write(&file, unit().replace("/usr/bin/flashsale", PROGRAM)).unwrap();
    let output = Command::new("systemd-analyze").args(arguments).arg(file).output();
    if output.is_err() {
        left_out("systemd-analyze is not installed");
    }
    output.ok()
}

#[test]
fn systemd_understands_the_unit() {
    let Some(output) = analyze(&["verify", "--man=no"]) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    // It says nothing about lines that it does not know but that, and ends with 0.
    let about: Vec<_> = said.lines().filter(|line| line.contains("flashsale.service")).collect();
    assert!(output.status.success() && about.is_empty(), "{said}");
}

#[test]
fn the_unit_gives_the_service_little() {
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let Some(output) = analyze(&["security", "--offline=true", "--no-pager", &threshold]) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
