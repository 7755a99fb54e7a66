//! The embedded server: who starts it, who guards it, and when it ends.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    support::{
        app::TestApp,
        eventually, invariants,
        process::{ServiceProcess, command},
        redis::{PrivateRedis, free_port, pid, server_program, signal_process},
        stock,
    },
    topology::{connect, server_runs, try_hold},
};

#[tokio::test]
async fn the_embedded_server_ends_in_order_with_the_last_service_and_nothing_is_lost() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let first = ServiceProcess::start(folder.path());
    let second = ServiceProcess::start(folder.path());
    let pid = pid(&mut connect(folder.path()));
    let client = reqwest::Client::new();
    for (n, url) in [first.url(), second.url()].iter().cycle().take(10).enumerate() {
        assert_eq!(try_hold(&client, url, &n.to_string()).await.unwrap().0, 201);
    }
    // The service that started the server is killed. The other one goes on with the server.
    first.kill();
    assert_eq!(try_hold(&client, &second.url(), "after-the-kill").await.unwrap().0, 201);
    assert!(server_runs(pid));
    assert!(second.stop(), "it stops with success");
    eventually("the server has ended", async || !server_runs(pid)).await;
    let again = ServiceProcess::start(folder.path());
    assert_eq!(stock::units(&mut connect(folder.path()), "fs1:{p1}:stock", 1, "held"), 11);
    invariants::check(&mut connect(folder.path()));
    assert!(again.stop());
}

#[tokio::test]
async fn no_server_is_left_when_every_service_is_killed() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = ServiceProcess::start(folder.path());
    let pid = pid(&mut connect(folder.path()));
    service.kill();
    eventually("the server has ended", async || !server_runs(pid)).await;
}

#[tokio::test]
async fn no_server_is_left_when_its_folder_is_removed_under_a_service() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let data = folder.path().join("data");
    let _service = ServiceProcess::start(&data);
    let pid = pid(&mut connect(&data));
    // The guard may make a lock between the removal of the files and that of the folder.
    eventually("it is removed", async || fs::remove_dir_all(&data).is_ok()).await;
    eventually("the server has ended", async || !server_runs(pid)).await;
}

#[tokio::test]
async fn a_server_whose_guard_was_killed_is_adopted_and_guarded_again() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = ServiceProcess::start(folder.path());
    let server = pid(&mut connect(folder.path()));
    signal_process(parent_of(server), "KILL");
    let second = ServiceProcess::start(folder.path());
    assert_eq!(pid(&mut connect(folder.path())), server, "the same server");
    service.kill();
    second.kill();
    eventually("the server has ended", async || !server_runs(server)).await;
}

#[tokio::test]
async fn a_guard_that_was_killed_is_replaced_and_starts_the_server_again() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = ServiceProcess::start(folder.path());
    let client = reqwest::Client::new();
    let (mut server, mut guards) = (pid(&mut connect(folder.path())), Vec::new());
    for key in ["a", "b"] {
        let guard = guard_of(folder.path());
        assert!(!guards.contains(&guard), "another one");
        guards.push(guard);
        signal_process(guard, "KILL");
        let is_other = |guard: u32| guard != 0 && !guards.contains(&guard);
        eventually("another guard is there", async || is_other(guard_of(folder.path()))).await;
        signal_process(server, "KILL");
        let held = async || try_hold(&client, &service.url(), key).await.is_some_and(|(status, _)| status == 201);
        eventually("holds are taken again", held).await;
        server = pid(&mut connect(folder.path()));
    }
    assert!(service.stop());
    eventually("the server has ended", async || !server_runs(server)).await;
}

/// The process that holds the lock of the guard of a data folder; 0: none.
fn guard_of(folder: &Path) -> u32 {
    let Ok(lock) = fs::metadata(folder.join("guard.lock")) else { return 0 };
    let inode = format!(":{}", lock.ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let mut lines = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let holder =
        lines.find(|words| words.get(1) == Some(&"FLOCK") && words.get(5).is_some_and(|file| file.ends_with(&inode)));
    holder.map_or(0, |words| words[4].parse().unwrap())
}

#[tokio::test]
async fn a_server_that_refuses_connections_is_not_joined_by_a_second_one() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let first = ServiceProcess::start(folder.path());
    let mut redis = connect(folder.path());
    let server = pid(&mut redis);
    signal_process(parent_of(server), "KILL");
    let second = ServiceProcess::start(folder.path());
    redis::cmd("CONFIG").arg(&["SET", "maxclients", "1"]).exec(&mut redis).unwrap();
    // The guard checks ten times a second, and the server refuses each connection.
    tokio::time::sleep(Duration::from_millis(500)).await;
    redis::cmd("CONFIG").arg(&["SET", "maxclients", "1000"]).exec(&mut redis).unwrap();
    assert_eq!(pid(&mut connect(folder.path())), server);
    drop((first, second));
    eventually("the server has ended", async || !server_runs(server)).await;
}

#[tokio::test]
async fn signals_to_all_processes_of_our_name_leave_no_server() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = ServiceProcess::start(folder.path());
    let server = pid(&mut connect(folder.path()));
    for name in ["TERM", "INT", "HUP"] {
        signal_process(parent_of(server), name);
    }
    assert!(service.stop());
    eventually("the server has ended", async || !server_runs(server)).await;
}

#[tokio::test]
async fn a_folder_that_is_removed_and_made_again_gets_a_server_of_its_own() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let data = folder.path().join("a #?%41 folder");
    let client = reqwest::Client::new();
    for _ in 0..3 {
        let service = ServiceProcess::start(&data);
        assert_eq!(try_hold(&client, &service.url(), "the-same-key").await.unwrap().0, 201);
        let held = stock::units(&mut connect(&data), "fs1:{p1}:stock", 1, "held");
        assert_eq!(held, 1, "nothing is left of the folder before");
        assert!(service.stop());
        fs::remove_dir_all(&data).unwrap();
    }
}

fn parent_of(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_embedded_server_that_is_killed_comes_back_with_what_it_had() {
    // The guard starts it again, whatever the other tests run on.
    let app = TestApp::start_on(PrivateRedis::start_embedded(), &[]).with_units(10).await;
    app.held().await;
    redis::cmd("CONFIG").arg(&["SET", "appendfsync", "always"]).exec(&mut app.redis.connect()).unwrap();
    app.held().await;
    let pid = app.redis.pid();
    signal_process(pid, "KILL");
    eventually("holds are taken again", async || app.hold(1).await.status == 201).await;
    assert_eq!(app.stock(1).await, "7 available, 3 held");
    assert_ne!(app.redis.pid(), pid);
}

/// A data folder with some holds in its append-only file.
async fn folder_with_holds(folder: &Path) -> PathBuf {
    let service = ServiceProcess::start(folder);
    let client = reqwest::Client::new();
    for n in 0..5 {
        assert_eq!(try_hold(&client, &service.url(), &n.to_string()).await.unwrap().0, 201);
    }
    assert!(service.stop());
    folder.join("appendonlydir/appendonly.aof.1.incr.aof")
}

/// A program in the place of a server.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/servers").join(name)
}

/// What the service says that does not start.
fn refusal(folder: &Path, settings: &[(&str, &str)]) -> String {
    let mut program = command(folder);
    program.args(["serve", "--addr", "127.0.0.1:0"]).envs(settings.iter().copied());
    let output = program.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    stderr
}

#[tokio::test]
async fn damage_in_the_middle_of_the_append_only_file_ends_the_start_with_what_to_do() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let file = folder_with_holds(folder.path()).await;
    let mut bytes = fs::read(&file).unwrap();
    let commands: Vec<_> = bytes.windows(3).enumerate().filter(|(_, w)| w == b"\r\n*").map(|(at, _)| at + 2).collect();
    bytes[commands[commands.len() / 2]] = b'?';
    fs::write(&file, bytes).unwrap();
    let manifest = file.with_file_name("appendonly.aof.manifest");
    let stderr = refusal(folder.path(), &[]);
    for word in [
        "redis.log",
        "Bad file format",
        "appendonly.aof.1.incr.aof",
        "backup",
        "check-aof --fix",
        manifest.to_str().unwrap(),
    ] {
        assert!(stderr.contains(word), "{word} in {stderr}");
    }
    // The advice is right.
    let Ok(mut check) =
        Command::new("redis-check-aof").arg("--fix").arg(&manifest).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()
    else {
        return;
    };
    check.stdin.take().unwrap().write_all(b"y\n").unwrap();
    assert!(check.wait().unwrap().success());
    assert!(ServiceProcess::start(folder.path()).stop());
}

#[tokio::test]
async fn a_torn_end_of_the_append_only_file_heals_by_itself() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let file = folder_with_holds(folder.path()).await;
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 7]).unwrap();
    let service = ServiceProcess::start(folder.path());
    invariants::check(&mut connect(folder.path()));
    assert!(service.stop());
}

#[tokio::test]
async fn other_damage_ends_the_start_too_and_names_the_backup() {
    for (name, word) in [("appendonly.aof.manifest", "manifest"), ("appendonly.aof.1.base.rdb", "base.rdb")] {
        let folder = TempDir::with_prefix("fs").unwrap();
        let file = folder_with_holds(folder.path()).await.with_file_name(name);
        let length = fs::metadata(&file).unwrap().len();
        fs::write(&file, vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
        let stderr = refusal(folder.path(), &[]);
        assert!(stderr.contains(word) && stderr.contains("Go back to a backup"), "{name}: {stderr}");
    }
}

#[test]
fn a_snapshot_that_the_server_would_not_read_is_no_empty_shop() {
    let folder = TempDir::with_prefix("fs").unwrap();
    fs::write(folder.path().join("dump.rdb"), "all that was sold").unwrap();
    let stderr = refusal(folder.path(), &[]);
    assert!(stderr.contains("dump.rdb") && stderr.contains("would start empty"), "{stderr}");
}

#[test]
fn a_program_that_is_no_server_ends_the_start() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let silent = script("silent.sh");
    for (program, word) in [
        ("/bin/false", "redis.server names another program"),
        ("/bin/true", "redis.server names another program"),
        (silent.to_str().unwrap(), "did not answer within 5 s"),
        ("/no/such/program", "cannot start /no/such/program"),
    ] {
        let settings = [("FLASHSALE_REDIS__SERVER", program), ("FLASHSALE_REDIS__STARTUP_SECONDS", "1")];
        // A folder each: a program that does not answer may end a moment after its start was given up.
        let data = TempDir::with_prefix_in("data", folder.path()).unwrap();
        let stderr = refusal(data.path(), &settings);
        assert!(stderr.contains(word), "{program}: {stderr}");
    }
}

#[tokio::test]
async fn a_full_disk_of_the_embedded_server_is_a_503_and_the_service_stops_in_order() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let mut program = command(&folder.path().join("data"));
    program.env("FLASHSALE_REDIS__SERVER", script("full_disk.sh")).env("REAL_SERVER", server_program());
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let service = ServiceProcess::run(program, addr);
    let client = reqwest::Client::new();
    let mut calls = 0;
    let mut last = 201;
    while last != 503 {
        let (status, _) = try_hold(&client, &service.url(), &format!("{calls}-{}", "k".repeat(100))).await.unwrap();
        assert!([201, 409, 503].contains(&status), "{status}");
        calls += 1;
        last = status;
        assert!(calls < 20_000, "the disk never got full");
    }
    assert!(service.stop());
}
