//! What `flashsale doctor` looks at: the servers of the settings, and the machine on which it runs.

use std::{fs, path::Path, sync::Arc};

use super::{
    files,
    listen::system_backlog,
    parts::{Parts, Redis, limits},
    start::prepare_tls,
};
use crate::{
    config::{Complaints, RedisSource, Settings},
    embedded::Embedded,
    store::{
        Catalogue, Topology,
        doctor::{self, Chart, Finding, Needs},
    },
};

const OVERCOMMIT: &str = "/proc/sys/vm/overcommit_memory";
const HUGE_PAGES: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// Looks at everything that a service with these settings needs. Starts and changes nothing.
pub async fn examine(settings: &Settings) -> Vec<Finding> {
    let parts = Parts::new(settings, &mut Complaints::default());
    prepare_tls(&settings.redis.source);
    let (topology, is_ours) = match (parts.redis, &settings.redis.source) {
        (Redis::At(topology), _) => (Some(topology), false),
        (Redis::Embedded, RedisSource::Embedded { data_dir, .. }) => (embedded(settings, data_dir), true),
        (Redis::Embedded, _) => (None, false),
    };
    let mut findings =
        Machine::here(settings, is_ours || topology.as_ref().is_some_and(Topology::is_on_this_machine)).judge();
    let Some(topology) = topology else {
        let mut chart = Chart::of("embedded Redis");
        chart.problem(
            "server",
            "it does not run, so nothing of it was looked at",
            "start the service, which starts it, and ask again; or set redis.url",
        );
        findings.extend(chart.findings());
        return findings;
    };
    let needs = Needs {
        kind: topology.kind(),
        payments: parts.durability,
        is_ours,
        // For holds and for payments that are waited for, each worker, and for the sweep.
        connections: 2 * settings.http.workers as u64 + 1,
    };
    findings.extend(doctor::examine(&topology, Arc::new(Catalogue::compiled()), needs).await);
    findings
}

fn embedded(settings: &Settings, data_dir: &Path) -> Option<Topology> {
    Topology::single(&Embedded::running(data_dir)?, limits(settings)).ok()
}

/// The facts about this machine.
struct Machine {
    /// `None`: as many as it likes.
    files: Option<u64>,
    clients: usize,
    backlog: u32,
    system_backlog: Option<u32>,
    has_redis: bool,
    overcommit: Option<String>,
    huge_pages: Option<String>,
}

impl Machine {
    fn here(settings: &Settings, has_redis: bool) -> Self {
        let (files, clients) = files::look(settings.http.workers);
        let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        Self {
            files,
            clients,
            backlog: settings.http.backlog,
            system_backlog: system_backlog(),
            has_redis,
            overcommit: read(OVERCOMMIT),
            huge_pages: read(HUGE_PAGES),
        }
    }

    fn judge(&self) -> Vec<Finding> {
        let mut chart = Chart::of("this machine");
        let files = self.files.map_or_else(|| "any number of".to_owned(), |files| files.to_string());
        let found = format!("{files} files may be open, so {} clients are served at once", self.clients);
        if (self.clients as u64) < files::CLIENTS_FEW {
            chart.warning("files", found, "raise the hard limit (ulimit -Hn, LimitNOFILE=, --ulimit nofile=)");
        } else {
            chart.ok("files", found);
        }
        match self.system_backlog {
            Some(allowed) if allowed < self.backlog => chart.warning(
                "backlog",
                format!(
                    "net.core.somaxconn {allowed} is less than http.backlog {}: a rush connects slowly",
                    self.backlog
                ),
                format!("sysctl net.core.somaxconn={}", self.backlog),
            ),
            Some(allowed) => {
                chart.ok("backlog", format!("net.core.somaxconn {allowed}, http.backlog {}", self.backlog));
            }
            None => {}
        }
        if self.has_redis {
            self.judge_for_redis(&mut chart);
        }
        chart.findings()
    }

    fn judge_for_redis(&self, chart: &mut Chart) {
        match self.overcommit.as_deref() {
            Some("1") => chart.ok("overcommit", "vm.overcommit_memory 1"),
            Some(value) => chart.warning(
                "overcommit",
                format!("vm.overcommit_memory {value}: when memory is short, Redis cannot rewrite its file"),
                "sysctl vm.overcommit_memory=1",
            ),
            None => {}
        }
        match &self.huge_pages {
            Some(found) if found.contains("[always]") => chart.warning(
                "huge pages",
                "transparent huge pages are on: Redis stands still for longer while it rewrites its file",
                format!("echo madvise > {HUGE_PAGES}"),
            ),
            Some(_) => chart.ok("huge pages", "transparent huge pages are not forced"),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::doctor::Level;

    fn machine() -> Machine {
        Machine {
            files: Some(65_536),
            clients: 30_000,
            backlog: 4_096,
            system_backlog: Some(4_096),
            has_redis: true,
            overcommit: Some("1".to_owned()),
            huge_pages: Some("always [madvise] never".to_owned()),
        }
    }

    #[test]
    fn each_weakness_of_the_machine_is_a_warning_with_something_to_do() {
        let of = |machine: Machine| {
            let findings = machine.judge();
            findings.into_iter().filter(|finding| finding.level > Level::Ok).collect::<Vec<_>>()
        };
        assert_eq!(of(machine()), []);
        for (machine, subject, text) in [
            (Machine { files: Some(1_024), clients: 400, ..machine() }, "files", "1024 files"),
            (Machine { system_backlog: Some(128), ..machine() }, "backlog", "somaxconn 128"),
            (Machine { overcommit: Some("0".to_owned()), ..machine() }, "overcommit", "overcommit_memory 0"),
            (Machine { huge_pages: Some("[always] madvise never".to_owned()), ..machine() }, "huge pages", "still"),
        ] {
            let findings = of(machine);
            let [finding] = &findings[..] else { panic!("{findings:?}") };
            assert_eq!((finding.level, finding.subject), (Level::Warning, subject));
            assert!(finding.found.contains(text) && !finding.advice.is_empty(), "{finding:?}");
        }
        let elsewhere = Machine { has_redis: false, overcommit: Some("0".to_owned()), ..machine() };
        assert_eq!(of(elsewhere), []);
    }
}
