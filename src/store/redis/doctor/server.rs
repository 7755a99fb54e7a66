//! What a server says of itself, and how good that is for a sale.

use std::{collections::HashMap, time::Duration};

use super::{Needs, finding::Chart};
use crate::store::redis::{durability::Durability, error::Failure, facts::Facts};

/// Less than this part of `maxmemory` is soon full.
const MEMORY_LEFT_PERCENT: u64 = 10;
/// Fewer connections that are left than this are soon gone.
const CLIENTS_LEFT: u64 = 100;
const HZ: u64 = 100;

/// The settings that the doctor looks at.
pub(super) const SETTINGS: [&str; 9] = [
    "appendfsync",
    "save",
    "stop-writes-on-bgsave-error",
    "min-replicas-to-write",
    "min-replicas-max-lag",
    "timeout",
    "cluster-require-full-coverage",
    "cluster-allow-reads-when-down",
    "cluster-node-timeout",
];

/// The answers of a server to INFO and CONFIG GET.
pub(super) struct Server {
    pub facts: Facts,
    info: HashMap<String, String>,
    /// `None`: the server does not show its settings.
    settings: Option<HashMap<String, String>>,
}

impl Server {
    pub fn new(info: &str, settings: Option<HashMap<String, String>>) -> Self {
        let pairs = info.lines().filter_map(|line| line.split_once(':'));
        Self {
            facts: Facts::of_info(info),
            info: pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect(),
            settings,
        }
    }

    pub fn info(&self, name: &str) -> &str {
        self.info.get(name).map_or("", String::as_str)
    }

    pub fn count(&self, name: &str) -> Option<u64> {
        self.info(name).parse().ok()
    }

    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.as_ref()?.get(name).map(String::as_str)
    }

    pub fn setting_count(&self, name: &str) -> Option<u64> {
        self.setting(name)?.parse().ok()
    }

    /// Host and port of the replicas that are connected.
    pub fn replicas(&self) -> impl Iterator<Item = (String, u16)> {
        let lines = (0..).map(|number| self.info(&format!("slave{number}"))).take_while(|line| !line.is_empty());
        lines.filter_map(|line| {
            let field = |name: &str| line.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            Some((field("ip")?.to_owned(), field("port")?.parse().ok()?))
        })
    }

    pub fn shows_settings(&self) -> bool {
        self.settings.is_some()
    }
}

/// A server that did not answer.
pub(super) fn judge_silence(failure: &Failure, chart: &mut Chart) {
    let advice = match failure {
        Failure::TimedOut(_) => {
            "it hangs, or is far away: look at its log and its load, or raise redis.call_timeout_ms"
        }
        _ if failure.is_refused_login() => "correct user and password in redis.url",
        _ => "start it, or correct redis.url; is a firewall between?",
    };
    chart.problem("server", failure.to_string(), advice);
}

/// A replica that did not answer, which the primary says is there.
pub(super) fn judge_silent_replica(failure: &Failure, chart: &mut Chart) {
    if failure.is_refused_login() {
        let found = format!("{failure}; after a fail-over to it everything of its sales would be refused");
        chart.problem("server", found, "make the user of redis.url there too: users are not replicated");
    } else {
        chart.warning(
            "server",
            format!("{failure}; nobody knows whether it could take over"),
            "is a firewall between?",
        );
    }
}

pub(super) fn judge(server: &Server, needs: Needs, chart: &mut Chart) {
    identity(server, chart);
    persistence(server, needs, chart);
    memory(server, chart);
    clients(server, needs, chart);
    rhythm(server, chart);
    if !server.shows_settings() {
        chart.note(
            "settings",
            "CONFIG is refused, so appendfsync, min-replicas-to-write and others were not looked at",
            "look at them where the server is hosted, or allow +config|get to the user of the service",
        );
    }
}

fn identity(server: &Server, chart: &mut Chart) {
    let faults = server.facts.faults();
    for fault in &faults {
        chart.problem("server", fault.to_string(), "the service does not start until that is so");
    }
    if server.info("loading") == "1" {
        chart.problem("server", "it loads its data, and answers nothing else", "wait until it has");
    } else if faults.is_empty() {
        let days = server.count("uptime_in_seconds").unwrap_or(0) / 86_400;
        let up = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        chart.ok("server", format!("{}, a primary, noeviction, up for {up}", server.facts.engine));
    }
}

fn persistence(server: &Server, needs: Needs, chart: &mut Chart) {
    append_only_file(server, needs, chart);
    if server.info("aof_last_write_status") == "err" {
        chart.problem(
            "disk",
            "the last write to the append-only file failed, so Redis refuses writes",
            "make room on its disk; it goes on by itself",
        );
    }
    if server.info("aof_last_bgrewrite_status") == "err" {
        chart.warning(
            "disk",
            "the last rewrite of the append-only file failed: the file grows without end",
            "look into the log of Redis: it has too little disk or memory",
        );
    }
    if server.info("rdb_last_bgsave_status") == "err" {
        let is_kept = server.setting("stop-writes-on-bgsave-error") == Some("no") || server.setting("save") == Some("");
        let advice = "look into the log of Redis: it has too little disk or memory";
        if is_kept {
            chart.warning("snapshot", "the last snapshot failed", advice);
        } else {
            chart.problem("snapshot", "the last snapshot failed, so Redis refuses writes", advice);
        }
    }
}

fn append_only_file(server: &Server, needs: Needs, chart: &mut Chart) {
    let payments = needs.payments;
    if !server.facts.aof {
        let found = "Redis keeps no append-only file: a restart of Redis forgets holds, orders and payments";
        if payments == Durability::Fsync {
            chart.problem("disk", format!("durability.payments is fsync, but {found}"), "set appendonly yes");
        } else {
            chart.warning("disk", found, "set appendonly yes");
        }
        return;
    }
    let policy = server.setting("appendfsync");
    let needs_always = payments == Durability::Fsync && !server.facts.knows_waitaof() && !needs.is_ours;
    match policy {
        Some("no") => chart.warning(
            "disk",
            "appendfsync no: a crash of its machine loses what the system did not write yet, half a minute or more",
            "set appendfsync everysec",
        ),
        _ if needs_always && policy != Some("always") => chart.problem(
            "disk",
            format!(
                "durability.payments is fsync, which {} can only keep with appendfsync always",
                server.facts.engine
            ),
            "set that, or use Redis 7.2 or newer",
        ),
        Some("always") => chart.ok("disk", "an append-only file, appendfsync always: a crash loses no answer"),
        Some(policy) => chart.ok(
            "disk",
            format!("an append-only file, appendfsync {policy}: a crash of its machine loses about two seconds"),
        ),
        None => chart.ok("disk", "an append-only file"),
    }
}

fn memory(server: &Server, chart: &mut Chart) {
    let (used, most) = (server.count("used_memory").unwrap_or(0), server.count("maxmemory").unwrap_or(0));
    let machine = server.count("total_system_memory").unwrap_or(0);
    if most == 0 {
        chart.warning(
            "memory",
            format!("no maxmemory: {} in use, on a machine of {}", bytes(used), bytes(machine)),
            "set maxmemory below what the machine can spare: a full Redis refuses, one without a bound is killed",
        );
        return;
    }
    let left = most.saturating_sub(used);
    let found = format!("{} of {} left", bytes(left), bytes(most));
    let advice = "raise maxmemory, and leave maxmemory-policy noeviction";
    if left == 0 {
        chart.problem("memory", format!("full: {found}; new holds and orders are refused"), advice);
    } else if left * 100 < most * MEMORY_LEFT_PERCENT {
        chart.warning("memory", found, advice);
    } else if machine > 0 && most > machine {
        let found = format!("maxmemory is {}, and the machine has {}", bytes(most), bytes(machine));
        chart.warning("memory", found, "lower maxmemory, or the system kills Redis before it is full");
    } else {
        chart.ok("memory", found);
    }
}

fn clients(server: &Server, needs: Needs, chart: &mut Chart) {
    let (Some(most), Some(connected)) = (server.count("maxclients"), server.count("connected_clients")) else { return };
    let left = most.saturating_sub(connected);
    let opens = match needs.connections {
        0 => String::new(),
        count => format!("; a service of these settings opens {count}"),
    };
    let found = format!("{left} of {most} connections left{opens}");
    let advice = "raise maxclients (and the limit of open files of Redis)";
    if left < needs.connections.max(1) {
        chart.problem("clients", found, advice);
    } else if left < CLIENTS_LEFT {
        chart.warning("clients", found, advice);
    } else {
        chart.ok("clients", found);
    }
    if let Some(seconds) = server.setting_count("timeout").filter(|seconds| *seconds > 0) {
        chart.note(
            "timeout",
            format!("Redis closes connections that are idle for {seconds} s; the service makes them again"),
            "set timeout 0",
        );
    }
}

fn rhythm(server: &Server, chart: &mut Chart) {
    let Some(hz) = server.count("configured_hz").or_else(|| server.count("hz")) else { return };
    if hz < HZ {
        let pause = Duration::from_millis(250 / hz.max(1)).as_millis();
        chart.note(
            "hz",
            format!("hz {hz}: while very many holds lapse at once, Redis answers nobody for {pause} ms at a time"),
            "set hz 100",
        );
    } else {
        chart.ok("hz", format!("hz {hz}"));
    }
}

/// Never rounded up.
pub fn bytes(count: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    let (mut tenths, mut unit) = (count.saturating_mul(10) / 1_024, 0);
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1_024;
        unit += 1;
    }
    let whole = tenths / 10;
    if whole < 10 { format!("{whole}.{} {}", tenths % 10, units[unit]) } else { format!("{whole} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Note, Ok, Problem, Warning};
    use super::*;
    use crate::store::redis::topology::Kind;

    const HEALTHY: &str = "redis_version:7.2.4\nredis_mode:standalone\nrole:master\nmaxmemory_policy:noeviction\n\
                           uptime_in_seconds:86400\nloading:0\naof_enabled:1\naof_last_write_status:ok\n\
                           aof_last_bgrewrite_status:ok\nrdb_last_bgsave_status:ok\nused_memory:1048576\n\
                           maxmemory:1073741824\ntotal_system_memory:8589934592\nmaxclients:10000\n\
                           connected_clients:5\nconfigured_hz:100\n";

    fn needs(payments: Durability) -> Needs {
        Needs { kind: Kind::Single, payments, is_ours: false, connections: 9 }
    }

    /// The findings about a healthy server whose INFO has other lines, and whose settings are these.
    fn chart_of(lines: &str, settings: &[(&str, &str)], payments: Durability) -> Chart {
        let mut chart = Chart::of("here");
        let defaults = [("appendfsync", "everysec"), ("timeout", "0"), ("save", "3600 1")];
        let settings = defaults.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        judge(&Server::new(&format!("{HEALTHY}{lines}"), Some(settings.collect())), needs(payments), &mut chart);
        chart
    }

    #[test]
    fn a_healthy_server_has_nothing_to_do() {
        let findings = chart_of("", &[], Durability::Fsync).findings();
        assert!(findings.len() >= 5 && findings.iter().all(|finding| finding.level == Ok), "{findings:?}");
    }

    #[test]
    fn each_weakness_of_a_server_is_a_finding_with_something_to_do() {
        for (lines, settings, subject, level, text) in [
            ("redis_version:6.2.0", &[][..], "server", Problem, "too old"),
            ("role:slave", &[], "server", Problem, "replica"),
            ("maxmemory_policy:allkeys-lru", &[], "server", Problem, "evicts"),
            ("loading:1", &[], "server", Problem, "loads its data"),
            ("aof_enabled:0", &[], "disk", Warning, "appendonly yes"),
            ("", &[("appendfsync", "no")], "disk", Warning, "everysec"),
            ("", &[("appendfsync", "always")], "disk", Ok, "loses no answer"),
            ("rdb_last_bgsave_status:err", &[], "snapshot", Problem, "refuses writes"),
            ("rdb_last_bgsave_status:err", &[("save", "")], "snapshot", Warning, "failed"),
            ("rdb_last_bgsave_status:err", &[("stop-writes-on-bgsave-error", "no")], "snapshot", Warning, "failed"),
            ("maxmemory:0", &[], "memory", Warning, "no maxmemory: 1.0 MB in use, on a machine of 8.0 GB"),
            ("used_memory:1073741824", &[], "memory", Problem, "full"),
            ("used_memory:1073000000", &[], "memory", Warning, "724 kB of 1.0 GB left"),
            ("total_system_memory:1000000000", &[], "memory", Warning, "the machine has"),
            ("connected_clients:9995", &[], "clients", Problem, "5 of 10000"),
            ("connected_clients:9950", &[], "clients", Warning, "50 of 10000"),
            ("", &[("timeout", "300")], "timeout", Note, "300 s"),
            ("configured_hz:10", &[], "hz", Note, "25 ms"),
        ] {
            chart_of(lines, settings, Durability::Memory).has(subject, level, text);
        }
        for (lines, text) in
            [("aof_last_write_status:err", "refuses writes"), ("aof_last_bgrewrite_status:err", "grows")]
        {
            let about = chart_of(lines, &[], Durability::Memory).about("disk");
            assert!(about.iter().any(|(level, found)| *level >= Warning && found.contains(text)), "{about:?}");
        }
    }

    #[test]
    fn what_payments_need_is_a_problem_where_it_is_missing() {
        let old = "redis_version:7.0.15";
        let fsync = Durability::Fsync;
        chart_of("aof_enabled:0", &[], fsync).has("disk", Problem, "durability.payments");
        chart_of(old, &[], fsync).has("disk", Problem, "appendfsync always");
        chart_of(old, &[("appendfsync", "always")], fsync).has("disk", Ok, "no answer");
        chart_of(old, &[], Durability::Memory).has("disk", Ok, "two seconds");
    }

    #[test]
    fn a_server_that_hides_its_settings_is_noted() {
        let mut chart = Chart::of("here");
        judge(&Server::new(HEALTHY, None), needs(Durability::Memory), &mut chart);
        chart.has("settings", Note, "+config|get");
        chart.has("disk", Ok, "append-only");
    }
}
