//! The embedded server: who starts it, who guards it, and when it ends.

use std::time::Duration;

use redis::Commands;
use tempfile::TempDir;

use crate::{
    support::{
        app::TestApp,
        eventually, invariants,
        process::ServiceProcess,
        redis::{pid, signal_process},
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
    let stock: u64 = connect(folder.path()).hget("fs1:{p1}:stock", "1:held").unwrap();
    assert_eq!(stock, 11);
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
    std::fs::remove_dir_all(&data).unwrap();
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
        let stock: u64 = connect(&data).hget("fs1:{p1}:stock", "1:held").unwrap();
        assert_eq!(stock, 1, "nothing is left of the folder before");
        assert!(service.stop());
        std::fs::remove_dir_all(&data).unwrap();
    }
}

fn parent_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_embedded_server_that_is_killed_comes_back_with_what_it_had() {
    let app = TestApp::selling(10).await;
    app.held().await;
    redis::cmd("CONFIG").arg(&["SET", "appendfsync", "always"]).exec(&mut app.redis.connect()).unwrap();
    app.held().await;
    let pid = app.redis.pid();
    signal_process(pid, "KILL");
    eventually("holds are taken again", async || app.hold(1).await.status == 201).await;
    assert_eq!(app.stock(1).await, "7 available, 3 held");
    assert_ne!(app.redis.pid(), pid);
}
