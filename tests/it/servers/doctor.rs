//! `flashsale doctor` on real servers, and what the service says of the same at its start.

use std::{path::Path, process::Output};

use serde_json::Value;
use tempfile::TempDir;

use super::shop::{QUICK, Shop};
use crate::{
    support::{
        cluster::{Cluster, Sentinels, run},
        eventually,
        process::{ServiceProcess, command},
        redis::{ServerProcess, newer_server, signal_process},
    },
    topology::stopped,
};

/// The exit status of a doctor with these settings, and what it prints.
pub fn doctor(settings: &[(&str, &str)]) -> (i32, String) {
    let mut program = command(Path::new("/nonexistent/data"));
    program.envs(settings.iter().map(|(name, value)| (format!("FLASHSALE_{name}"), *value)));
    read(&program.arg("doctor").output().unwrap())
}

fn read(output: &Output) -> (i32, String) {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), String::from_utf8(output.stdout.clone()).unwrap())
}

/// The line has all these words in it, and where it wants something done, the next line says what.
fn has(printed: &str, words: &[&str]) {
    let mut lines = printed.lines().skip_while(|line| !words.iter().all(|word| line.contains(word)));
    let found = lines.next().unwrap_or_else(|| panic!("{words:?} in no line of\n{printed}"));
    let has_advice = lines.next().is_some_and(|line| line.trim_start().starts_with("-> "));
    assert!(has_advice || found.starts_with("ok") || found.starts_with("note"), "nothing to do about {found}");
}

#[test]
fn a_healthy_embedded_server_has_no_problem_and_one_that_does_not_run_is_not_started() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let data = folder.path().join("data");
    let look = || read(&command(&data).arg("doctor").output().unwrap());
    let (status, printed) = look();
    assert_eq!(status, 1, "{printed}");
    has(&printed, &["problem", "embedded Redis", "does not run"]);
    assert!(!data.exists(), "the doctor made a folder");
    let service = ServiceProcess::start(&data);
    let (status, printed) = look();
    assert_eq!(status, 0, "{printed}");
    for words in [
        &["ok", "embedded Redis", "server", "noeviction"][..],
        &["ok", "embedded Redis, disk", "appendfsync everysec"],
        &["ok", "embedded Redis, hz"],
        &["ok", "embedded Redis, rights", "all 43 commands"],
        &["warning", "embedded Redis, memory", "no maxmemory"],
        &["ok", "data, schema"],
        &["ok", "data, secret"],
        &["this machine, files"],
        &["this machine, backlog"],
    ] {
        has(&printed, words);
    }
    assert!(printed.trim_end().lines().last().unwrap().starts_with("no problem, "), "{printed}");
    let json = command(&data).args(["doctor", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&report["ok"], &report["problems"]), (&Value::Bool(true), &0.into()));
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["subject"] == "schema" && finding["level"] == "ok"), "{report}");
    assert!(service.stop());
}

#[test]
fn a_server_that_would_lose_stock_is_a_problem_and_stays_as_it_is() {
    let evicting = ServerProcess::start(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let (status, printed) = doctor(&[("REDIS__URL", &evicting.url())]);
    assert_eq!(status, 1, "{printed}");
    has(&printed, &["problem", "evicts keys", "allkeys-lru"]);
    has(&printed, &["warning", "append-only"]);
    has(&printed, &["ok", "schema", "no data yet"]);
    let empty: u64 = redis::cmd("DBSIZE").query(&mut crate::support::cluster::connect(evicting.port)).unwrap();
    assert_eq!(empty, 0, "the doctor wrote something");
    let replica = ServerProcess::start(&["--replicaof", "127.0.0.1 1"]);
    let (status, printed) = doctor(&[("REDIS__URL", &replica.url())]);
    assert_eq!(status, 1, "{printed}");
    has(&printed, &["problem", "is a replica"]);
    let (status, printed) = doctor(&[("REDIS__URL", &replica.url()), ("DURABILITY__PAYMENTS", "replicas:2")]);
    assert_eq!(status, 1, "{printed}");
    has(&printed, &["problem", "replicas:2", "503"]);
}

#[test]
fn another_schema_and_a_lost_secret_are_problems() {
    let server = ServerProcess::start(&["--appendonly", "yes"]);
    let mut connection = crate::support::cluster::connect(server.port);
    run(&mut connection, "SET fs1:{:all}:schema 99");
    let (status, printed) = doctor(&[("REDIS__URL", &server.url())]);
    assert_eq!(status, 1, "{printed}");
    has(&printed, &["problem", "schema 99"]);
    has(&printed, &["problem", "secret", "gone"]);
}

#[test]
fn sentinels_of_a_primary_that_takes_writes_alone_are_a_warning() {
    let sentinels = Sentinels::start(1, 3, &["--appendonly", "yes"], None);
    let url = sentinels.url("");
    let (status, printed) = doctor(&[("REDIS__URL", &url)]);
    assert_eq!(status, 0, "{printed}");
    has(&printed, &["warning", "min-replicas-to-write is 0 of 1", "durability.payments is memory"]);
    has(&printed, &["ok", "sentinels, quorum", "2 of 3"]);
    has(&printed, &["ok", "sentinels, primary"]);
    let said = stopped(&[], &[("FLASHSALE_REDIS__URL", &url)]);
    assert!(said.contains("min-replicas-to-write is 0 of 1") && said.contains("flashsale doctor says more"), "{said}");
    for server in &sentinels.servers {
        let mut connection = crate::support::cluster::connect(server.port);
        run(&mut connection, "CONFIG SET min-replicas-to-write 1 min-replicas-max-lag 2");
    }
    let (_, printed) = doctor(&[("REDIS__URL", &url), ("DURABILITY__PAYMENTS", "replicas:1")]);
    has(&printed, &["ok", "fail-over", "loses no payment"]);
}

#[test]
fn sentinels_that_hang_or_are_gone_are_named() {
    let mut sentinels = Sentinels::start(0, 3, &[], None);
    sentinels.sentinels[0].end();
    signal_process(sentinels.sentinels[1].pid(), "STOP");
    let (status, printed) = doctor(&[("REDIS__URL", &sentinels.url("")), QUICK[0], QUICK[1]]);
    signal_process(sentinels.sentinels[1].pid(), "CONT");
    assert_eq!(status, 1, "{printed}");
    for number in [0, 1] {
        has(&printed, &["warning", &format!("127.0.0.1:{} does not answer", sentinels.sentinels[number].port)]);
    }
    has(&printed, &["problem", "1 of 3 answer"]);
    has(&printed, &["warning", "no replica"]);
}

#[tokio::test]
async fn a_cluster_with_a_slot_missing_is_a_problem_but_the_service_starts() {
    let cluster = Cluster::start(3, 0);
    let (status, printed) = doctor(&[("REDIS__URL", &cluster.url())]);
    assert_eq!(status, 0, "{printed}");
    has(&printed, &["ok", "all 16384 slots", "3 primaries"]);
    assert_eq!(printed.matches("a key in one of its slots answers").count(), 3, "{printed}");
    assert_eq!(printed.matches("all 47 commands").count(), 3, "{printed}");
    // The slot of the name of a sale that nobody has.
    let owner = cluster.owner("fs1:{gone}:sale");
    let redis::Value::Int(slot) = run(&mut cluster.connect(owner), "CLUSTER KEYSLOT gone") else { panic!("no slot") };
    run(&mut cluster.connect(owner), &format!("CLUSTER DELSLOTS {slot}"));
    let (status, printed) = doctor(&[("REDIS__URL", &cluster.url())]);
    assert_eq!(status, 1, "{printed}");
    has(&printed, &["problem", "1 of 16384 slots"]);
    let said = stopped(&[], &[("FLASHSALE_REDIS__URL", &cluster.url())]);
    assert!(said.contains("1 of 16384 slots") && said.contains("listening"), "{said}");
}

#[tokio::test]
async fn a_service_starts_while_a_shard_is_away_and_sells_what_the_others_have() {
    let mut cluster = Cluster::start(3, 0);
    let sales = cluster.sale_of_each();
    let shop = Shop::open(&cluster.url(), &QUICK);
    shop.offer(&sales, 100).await;
    drop(shop);
    let directory = cluster.owner("fs1:{:all}:products");
    let dead = (0..3).find(|n| *n != directory).unwrap();
    cluster.servers[dead].end();
    let left = &cluster.servers[directory];
    eventually("the others see it", async || {
        let mut connection = crate::support::cluster::connect(left.port);
        let state: String = redis::cmd("CLUSTER").arg("INFO").query(&mut connection).unwrap();
        !state.contains("cluster_slots_fail:0") && state.contains("cluster_state:ok")
    })
    .await;
    let shop = Shop::open(&cluster.url(), &QUICK);
    for (n, product) in (1..=3).enumerate() {
        let status = shop.hold(product).await.status;
        assert_eq!(status, if n == dead { 503 } else { 201 }, "of sale {n}");
    }
    let (status, printed) = doctor(&[("REDIS__URL", &cluster.url()), QUICK[0], QUICK[1]]);
    assert_eq!(status, 1, "{printed}");
    has(&printed, &["problem", &format!("127.0.0.1:{}, server", cluster.servers[dead].port)]);
    has(&printed, &["problem", "slots are on no server that works"]);
    has(&printed, &["ok", &format!("127.0.0.1:{}, server", left.port)]);
}

#[test]
fn a_url_of_the_wrong_kind_says_what_to_write_and_one_of_nobody_what_to_start() {
    let server = Cluster::start(1, 0);
    let at = format!("127.0.0.1:{}", server.servers[0].port);
    let (status, printed) = doctor(&[("REDIS__URL", &format!("redis://{at}"))]);
    assert_eq!(status, 1, "{printed}");
    has(&printed, &["problem", "kind", &format!("redis-cluster://{at}")]);
    let (status, printed) = doctor(&[("REDIS__URL", "redis://127.0.0.1:1")]);
    assert_eq!(status, 1, "{printed}");
    has(&printed, &["problem", "127.0.0.1:1, server", "not available"]);
    let (status, printed) = doctor(&[("REDIS__URL", "redis-cluster://127.0.0.1:1")]);
    assert_eq!(status, 1, "{printed}");
    has(&printed, &["problem", "127.0.0.1:1", "not available"]);
    let wrong = command(Path::new("unused")).arg("doctor").env("FLASHSALE_HTTP__ADR", "x").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_server_that_hangs_is_a_problem_and_the_doctor_ends() {
    let server = ServerProcess::start(&[]);
    signal_process(server.pid(), "STOP");
    let (status, printed) = doctor(&[("REDIS__URL", &server.url()), QUICK[0], QUICK[1]]);
    signal_process(server.pid(), "CONT");
    assert_eq!(status, 1, "{printed}");
    has(&printed, &["problem", "server"]);
    assert!(!printed.contains("latency"), "{printed}");
}

#[test]
fn valkey_is_known_by_its_name() {
    let Some(program) = newer_server() else { panic!("no Valkey: scripts/bootstrap --tests") };
    let server = ServerProcess::start_program(&program, &["--appendonly", "yes", "--maxmemory", "1gb"]);
    let (status, printed) = doctor(&[("REDIS__URL", &server.url()), ("DURABILITY__PAYMENTS", "fsync")]);
    assert_eq!(status, 0, "{printed}");
    has(&printed, &["ok", "server: Valkey"]);
    has(&printed, &["ok", "rights", "all 44 commands"]);
    has(&printed, &["ok", "memory", "of 1.0 GB left"]);
}
