//! Chaos: a crowd on several services, a nemesis that breaks what is below them, and checkers that read what everybody was answered.
//! `make chaos` plays as many runs as one likes, and `make test` a few. A seed decides what is asked and what breaks; how the two meet
//! is up to the machine. docs/chaos.md has the rules.

mod afterwards;
mod check;
mod client;
mod crowd;
mod dice;
mod history;
mod mutants;
mod nemesis;
mod play;
mod proxy;
mod report;
mod services;
mod slots;
mod stage;
mod watch;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use play::Plan;
use stage::Topology;

/// Seconds of each run that `make test` plays.
const SHORT: u64 = 5;

#[test]
fn services_on_one_redis_keep_their_promises_whatever_breaks() {
    for seed in 1..=3 {
        report::judge(Plan { seed, topology: Topology::Standalone, seconds: SHORT });
    }
}

#[test]
fn services_on_sentinels_keep_their_promises_whatever_breaks() {
    report::judge(Plan { seed: 4, topology: Topology::Sentinel, seconds: 2 * SHORT });
}

#[test]
fn services_on_a_cluster_keep_their_promises_whatever_breaks() {
    report::judge(Plan { seed: 5, topology: Topology::Cluster, seconds: 2 * SHORT });
}

/// `make chaos`: RUNS runs from SEED on, of SECONDS each, on TOPOLOGY, or on all of them in turn; JOBS at once.
#[test]
#[ignore = "it takes as long as one wants: make chaos"]
fn as_many_runs_as_one_likes_keep_all_promises() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().filter(|text| !text.is_empty()).map_or(default, |text| text.parse().expect(name))
    };
    let (seed, runs) = (number("SEED", getrandom::u64().unwrap() % 1_000_000), number("RUNS", 12));
    let (seconds, jobs) = (number("SECONDS", 10), number("JOBS", 1));
    let named = std::env::var("TOPOLOGY").unwrap_or_default();
    let topologies = match Topology::parse(&named) {
        Some(topology) => vec![topology],
        None if named.is_empty() => Topology::ALL.to_vec(),
        None => panic!("TOPOLOGY is {named}; it must be standalone, sentinel or cluster"),
    };
    let (started, next, sum) = (Instant::now(), AtomicU64::new(seed), Mutex::new(report::Sum::default()));
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let own = next.fetch_add(1, Ordering::Relaxed);
                    if own >= seed + runs {
                        break;
                    }
                    let topology = topologies[usize::try_from(own).unwrap() % topologies.len()];
                    let run = report::play(Plan { seed: own, topology, seconds });
                    sum.lock().unwrap().add(&run);
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap();
    sum.print(started.elapsed());
    assert_eq!(sum.failed, 0, "runs with violations: see above");
}

/// `make chaos-judge HISTORY=file`: what the checkers say of a history that was kept.
#[test]
#[ignore = "it needs a history that was kept: make chaos-judge"]
fn a_history_that_was_kept_is_judged_again() {
    let file = std::env::var("HISTORY").expect("HISTORY names a file that FLASHSALE_CHAOS_HISTORY made");
    assert_eq!(report::judge_again(&file), None, "{file} breaks a rule");
}
