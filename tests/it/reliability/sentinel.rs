//! Fail-overs that sentinels make: because the primary is gone or hangs, or because somebody asks for one.

use std::time::Instant;

use super::{
    measured::{Measured, settle},
    redis_alone::{UNITS, busy, until_it_sells},
};
use crate::{
    servers::{doctor::doctor, shop::QUICK},
    support::{
        cluster::{Sentinels, info},
        eventually,
        redis::signal_process,
    },
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Killed,
    Hung,
    Planned,
}

/// What is demanded of the replica.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    Nothing,
    /// That it has each payment.
    Payments,
    /// That it is there, or the primary takes nothing.
    Everything,
}

const ALL_REPLICAS: [&str; 4] = ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"];

pub async fn fail_over(fault: Fault, demand: Demand) -> Measured {
    let (more, payments) = match demand {
        Demand::Nothing => (&[][..], "memory"),
        Demand::Payments => (&[][..], "replicas:1"),
        Demand::Everything => (&ALL_REPLICAS[..], "replicas:1"),
    };
    let mut sentinels = Sentinels::start(1, 3, more, None);
    let url = sentinels.url("");
    let settings = [QUICK[0], QUICK[1], ("DURABILITY__PAYMENTS", payments)];
    let (_, said) = doctor(&[("REDIS__URL", &*url), settings[2]]);
    let (_shop, caller, load) = busy(&url, &settings).await;
    let before = sentinels.primary();
    let at = Instant::now();
    match fault {
        Fault::Killed => sentinels.servers[0].end(),
        Fault::Hung => signal_process(sentinels.servers[0].pid(), "STOP"),
        Fault::Planned => sentinels.fail_over(),
    }
    eventually("another is the primary", async || sentinels.primary() != before).await;
    if demand != Demand::Everything {
        until_it_sells(&load, Instant::now()).await;
    }
    // Whoever was the primary comes back, forgets what it took alone, and is a replica from here on.
    match fault {
        Fault::Killed => sentinels.servers[0].start_again(),
        Fault::Hung => signal_process(sentinels.servers[0].pid(), "CONT"),
        Fault::Planned => {}
    }
    let new = sentinels.primary();
    eventually("it has a replica", async || info(new, "replication", "connected_slaves") == "1").await;
    until_it_sells(&load, Instant::now()).await;
    let seen = load.stop().await;
    let line = said.lines().find_map(|line| line.split_once("fail-over: ")).unwrap_or_else(|| panic!("{said}"));
    let level = line.0.split_whitespace().next().unwrap();
    let measured = settle(&caller, 1, UNITS, at, &seen).await;
    let measured = measured.and(format!("`flashsale doctor` says before: {level}, {}", line.1)).without_errors();
    match (fault, demand) {
        (_, Demand::Nothing) => measured,
        (Fault::Planned, Demand::Everything) => measured.without_losses(),
        _ => measured.without_lost_payments(),
    }
}
