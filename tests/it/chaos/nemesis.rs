//! The nemesis: faults, one or two at a time, in an order that the seed says. It heals each before the next of its kind.

use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    dice::Dice,
    history::FaultSpan,
    proxy::Weather,
    stage::{Redis, Stage, answers, connect, wait},
};
use crate::support::redis::signal_process;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    KillService,
    StopService,
    StopRedis,
    KillRedis,
    RestartRedis,
    CutConnections,
    FlushScripts,
    FullMemory,
    FullDisk,
    SlowNetwork,
    CutCommands,
    CutReplies,
    LoseReplies,
    SilentNetwork,
    ClockStep,
    PlannedFailOver,
    FailOver,
    Reshard,
}

/// Those of services, which may come together with one of the others.
const OF_SERVICES: [Fault; 2] = [Fault::KillService, Fault::StopService];

const OF_ALL: [Fault; 4] = [Fault::StopRedis, Fault::CutConnections, Fault::FlushScripts, Fault::FullMemory];

const OF_STANDALONE: [Fault; 8] = [
    Fault::KillRedis,
    Fault::RestartRedis,
    Fault::FullDisk,
    Fault::SlowNetwork,
    Fault::CutCommands,
    Fault::CutReplies,
    Fault::LoseReplies,
    Fault::SilentNetwork,
];

/// The faults that fit this stage.
pub fn fitting(stage: &Stage) -> Vec<Fault> {
    let mut all = OF_ALL.to_vec();
    match &stage.redis {
        Redis::Standalone(_) => all.extend(OF_STANDALONE),
        Redis::Sentinel(_) => all.extend([Fault::FailOver; 3]),
        Redis::Cluster(_) => all.extend([Fault::FailOver, Fault::FailOver, Fault::Reshard, Fault::Reshard]),
    }
    // Without its replicas, a primary that hands over on demand goes on to take what nobody will have.
    if stage.demands_replicas && !matches!(stage.redis, Redis::Standalone(_)) {
        all.extend([Fault::PlannedFailOver; 2]);
    }
    if stage.clock_file.is_some() && matches!(stage.redis, Redis::Standalone(_)) {
        all.extend([Fault::ClockStep, Fault::ClockStep]);
    }
    all
}

/// Plays on the stage until it is stopped. What it did, as spans of the run.
pub fn play(stage: &mut Stage, dice: &mut Dice, began: Instant, stop: &AtomicBool) -> Vec<FaultSpan> {
    let mut spans = Vec::new();
    let now_ns = || u64::try_from(began.elapsed().as_nanos()).unwrap();
    let fitting = fitting(stage);
    sleep(Duration::from_millis(dice.between(200, 500)));
    while !stop.load(Ordering::Relaxed) {
        let fault = *dice.one(&fitting).unwrap();
        let beside = dice.percent(30).then(|| *dice.one(&OF_SERVICES).unwrap());
        let fault = if dice.percent(20) { *dice.one(&OF_SERVICES).unwrap() } else { fault };
        let beside = beside.filter(|_| !OF_SERVICES.contains(&fault));
        let start_ns = now_ns();
        let victim = usize::try_from(dice.between(0, stage.services.len() as u64)).unwrap();
        if let Some(beside) = beside {
            hurt(stage, beside, victim);
        }
        let lost_at = strike(stage, fault, dice);
        if let Some(beside) = beside {
            heal(stage, beside, victim);
        }
        let name = beside.map_or_else(|| format!("{fault:?}"), |beside| format!("{fault:?}+{beside:?}"));
        let lost_at_ns = lost_at.map(|at| u64::try_from(at.duration_since(began).as_nanos()).unwrap());
        spans.push(FaultSpan { name, start_ns, end_ns: now_ns(), lost_at_ns: lost_at_ns.into_iter().collect() });
        sleep(Duration::from_millis(dice.between(200, 700)));
    }
    spans
}

fn hurt(stage: &mut Stage, fault: Fault, victim: usize) {
    match fault {
        Fault::KillService => stage.services[victim].kill(),
        _ => stage.services[victim].signal("STOP"),
    }
}

fn heal(stage: &mut Stage, fault: Fault, victim: usize) {
    match fault {
        Fault::KillService => stage.services[victim].start_again(),
        _ => stage.services[victim].signal("CONT"),
    }
    assert!(stage.services[victim].wait_until_it_is_ready(), "service {victim} does not come back");
}

/// One fault from its beginning until it is healed. Where a primary was replaced by one that may have less: an instant between the
/// last answer of the old one and the first of the new one.
fn strike(stage: &mut Stage, fault: Fault, dice: &mut Dice) -> Option<Instant> {
    let time = Duration::from_millis(dice.between(100, 1_500));
    match fault {
        Fault::KillService | Fault::StopService => {
            let victim = usize::try_from(dice.between(0, stage.services.len() as u64)).unwrap();
            hurt(stage, fault, victim);
            sleep(time);
            heal(stage, fault, victim);
        }
        Fault::StopRedis => {
            let pid = primary(stage, dice).1;
            signal_process(pid, "STOP");
            // Shorter than what makes others take over.
            sleep(time.min(Duration::from_millis(700)));
            signal_process(pid, "CONT");
            settle(stage);
        }
        Fault::KillRedis | Fault::RestartRedis => restart(stage, fault, time),
        Fault::FullDisk => fill_disk(stage, time),
        Fault::CutConnections => on_primary(stage, dice, &["CLIENT", "KILL", "TYPE", "normal"]),
        Fault::FlushScripts => on_primary(stage, dice, &["SCRIPT", "FLUSH"]),
        Fault::FullMemory => {
            let port = primary(stage, dice).0;
            command(port, &["CONFIG", "SET", "maxmemory", "1"]);
            sleep(time);
            command(port, &["CONFIG", "SET", "maxmemory", "0"]);
        }
        Fault::SlowNetwork => weather(stage, dice, Weather::Delay(Duration::from_millis(40)), time),
        Fault::CutCommands => {
            let bytes = usize::try_from(dice.between(1, 5_000)).unwrap();
            weather(stage, dice, Weather::CutCommands(bytes), time / 2);
        }
        Fault::CutReplies => weather(stage, dice, Weather::CutReplies, time / 4),
        Fault::LoseReplies => weather(stage, dice, Weather::LoseReplies, time / 2),
        Fault::SilentNetwork => weather(stage, dice, Weather::Silence, time),
        Fault::ClockStep => step_clock(stage, dice, time),
        Fault::PlannedFailOver => return plan_fail_over(stage, dice),
        Fault::FailOver => return Some(fail_over(stage, dice)),
        Fault::Reshard => reshard(stage, dice),
    }
    None
}

/// The port and process of a server that takes writes.
fn primary(stage: &mut Stage, dice: &mut Dice) -> (u16, u32) {
    let is_primary = |port: u16| {
        connect(port).and_then(|mut connection| {
            let role: redis::RedisResult<redis::InfoDict> =
                redis::cmd("INFO").arg("replication").query(&mut connection);
            role.ok()?.get::<String>("role")
        }) == Some("master".to_owned())
    };
    let all: Vec<_> = stage.servers().iter().map(|server| (server.port, server.pid())).collect();
    let primaries: Vec<_> = all.into_iter().filter(|(port, _)| is_primary(*port)).collect();
    *dice.one(&primaries).expect("a primary")
}

fn on_primary(stage: &mut Stage, dice: &mut Dice, words: &[&str]) {
    command(primary(stage, dice).0, words);
}

fn command(port: u16, words: &[&str]) {
    let Some(mut connection) = connect(port) else { return };
    let mut command = redis::cmd(words[0]);
    words[1..].iter().for_each(|word| _ = command.arg(*word));
    let _: redis::RedisResult<redis::Value> = command.query(&mut connection);
}

fn restart(stage: &mut Stage, fault: Fault, time: Duration) {
    let server = &mut stage.servers()[0];
    if fault == Fault::KillRedis {
        server.end();
        sleep(time);
    } else {
        signal_process(server.pid(), "TERM");
        let started = Instant::now();
        while !server.has_ended() && started.elapsed() < Duration::from_secs(10) {
            sleep(Duration::from_millis(10));
        }
        if !server.has_ended() {
            let log = fs::read_to_string(server.folder.path().join("redis.log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(5).collect();
            println!("a server did not end for ten seconds and is killed: {}", lines.join("; "));
        }
    }
    server.start_again();
    settle(stage);
}

/// Lets no file of Redis grow, as on a full disk. A server that must fsync each write ends by that.
fn fill_disk(stage: &mut Stage, time: Duration) {
    let server = &mut stage.servers()[0];
    let limit = |pid: u32, soft: &str| {
        let set = Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--fsize={soft}:")]).status();
        assert!(set.is_ok_and(|status| status.success()), "prlimit");
    };
    limit(server.pid(), "1000");
    let started = Instant::now();
    while started.elapsed() < time && !server.has_ended() {
        sleep(Duration::from_millis(10));
    }
    if server.has_ended() {
        server.start_again();
    } else {
        limit(server.pid(), "unlimited");
    }
    settle(stage);
}

fn weather(stage: &Stage, dice: &mut Dice, weather: Weather, time: Duration) {
    // One service is cut off, or all.
    let one = dice.percent(60).then(|| usize::try_from(dice.between(0, stage.proxies.len() as u64)).unwrap());
    let some = || stage.proxies.iter().enumerate().filter(|(n, _)| one.is_none_or(|one| one == *n));
    some().for_each(|(_, proxy)| proxy.set(weather));
    sleep(time);
    some().for_each(|(_, proxy)| proxy.set(Weather::Fair));
}

/// The clock of Redis jumps, and may jump back. A jump back alone stops time until it is made up for, so it is short.
fn step_clock(stage: &Stage, dice: &mut Dice, time: Duration) {
    let file = stage.clock_file.as_ref().unwrap();
    let now: f64 = fs::read_to_string(file).unwrap().trim_start_matches('+').parse().unwrap();
    let steps: [i32; 5] = [-1, 1, 2, 3, 10];
    let mut later = now + f64::from(*dice.one(&steps).unwrap());
    let write = |seconds: f64| fs::write(file, format!("{seconds:+}")).unwrap();
    write(later);
    sleep(time);
    if dice.percent(30) {
        later -= 1.0;
        write(later);
    }
}

fn plan_fail_over(stage: &mut Stage, dice: &mut Dice) -> Option<Instant> {
    let mut promoted = None;
    let (_, replica) = pair(stage, dice);
    match &stage.redis {
        Redis::Sentinel(sentinels) => {
            let before = sentinels.primary();
            command(sentinels.sentinels[0].port, &["SENTINEL", "FAILOVER", "drop"]);
            let started = Instant::now();
            // One that comes too soon after another is refused.
            while sentinels.primary() == before && started.elapsed() < Duration::from_secs(5) {
                // Sentinels do not wait for what is on its way to the replica. The old primary takes nothing once that has left, and
                // the new one nothing until it has a replica itself.
                if promoted.is_none() && is_primary(replica) {
                    promoted = Some(Instant::now());
                }
                sleep(Duration::from_millis(5));
            }
            promoted = promoted.or_else(|| is_primary(replica).then(Instant::now));
        }
        Redis::Cluster(_) => {
            command(replica, &["CLUSTER", "FAILOVER"]);
            sleep(Duration::from_millis(500));
        }
        Redis::Standalone(_) => {}
    }
    settle(stage);
    promoted
}

/// Kills a primary, and starts it again when another has taken over. An instant between the two.
fn fail_over(stage: &mut Stage, dice: &mut Dice) -> Instant {
    let (primary, replica) = pair(stage, dice);
    let number = stage.servers().iter().position(|server| server.port == primary).unwrap();
    if !stage.demands_replicas && dice.percent(60) {
        // What is answered from now on, its replica does not get.
        command(primary, &["CLIENT", "KILL", "TYPE", "replica"]);
        sleep(Duration::from_millis(dice.between(20, 500)));
    }
    stage.servers()[number].end();
    let killed = Instant::now();
    wait("its replica takes over", || is_primary(replica));
    sleep(Duration::from_millis(dice.between(0, 300)));
    stage.servers()[number].start_again();
    settle(stage);
    // Nobody takes over so soon.
    killed + Duration::from_millis(500)
}

fn is_primary(port: u16) -> bool {
    connect(port).is_some_and(|mut connection| {
        let role: redis::RedisResult<String> = redis::cmd("INFO").arg("replication").query(&mut connection);
        role.is_ok_and(|text| text.contains("role:master"))
    })
}

/// The ports of a primary and of its replica.
fn pair(stage: &mut Stage, dice: &mut Dice) -> (u16, u16) {
    let (port, _) = primary(stage, dice);
    let mut connection = connect(port).expect("a primary that answers");
    let info: redis::InfoDict = redis::cmd("INFO").arg("replication").query(&mut connection).unwrap();
    let replica: String = info.get("slave0").expect("a primary has a replica");
    let replica = replica.split(',').find_map(|part| part.strip_prefix("port=")).unwrap().parse().unwrap();
    (port, replica)
}

/// Moves the slot of the first sale to another primary, while it sells.
fn reshard(stage: &mut Stage, dice: &mut Dice) {
    let is_valkey = stage.is_valkey;
    let (to, _) = primary(stage, dice);
    let Redis::Cluster(cluster) = &stage.redis else { return };
    let sale = &stage.sales[0];
    let from = cluster.owner(&format!("fs1:{{{sale}}}:sale"));
    let to = cluster.servers.iter().position(|server| server.port == to).unwrap();
    if from != to {
        super::slots::move_slot(cluster, sale, from, to, is_valkey);
    }
    settle(stage);
}

/// Waits until Redis is whole, so that the next fault meets what settings promise.
fn settle(stage: &mut Stage) {
    let ports: Vec<_> = stage.servers().iter().map(|server| server.port).collect();
    wait("all servers answer", || ports.iter().all(|port| answers(*port)));
    stage.wait_for_replicas();
}
