//! A cluster: who has its slots, and what it does when a server is away.

use std::collections::HashMap;

use super::{finding::Chart, server::Server};
use crate::store::redis::slot::SLOTS;

/// With fewer primaries, the others are no majority that could replace one.
const PRIMARIES_MIN: usize = 3;
const NODE_TIMEOUT_MS: u64 = 5_000;

/// The answer to CLUSTER INFO.
#[derive(Clone, Debug)]
pub(super) struct ClusterState(HashMap<String, String>);

impl ClusterState {
    pub fn read(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    fn count(&self, name: &str) -> u64 {
        self.0.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    fn is_ok(&self) -> bool {
        self.0.get("cluster_state").is_some_and(|state| state == "ok")
    }

    /// Slots that a server has of which the cluster does not say that it is gone.
    fn served(&self) -> u64 {
        self.count("cluster_slots_assigned").saturating_sub(self.count("cluster_slots_fail"))
    }
}

/// What the servers together say.
pub(super) fn judge_all(states: &[ClusterState], primaries: usize, chart: &mut Chart) {
    if let Some(least) = states.iter().map(ClusterState::served).min() {
        let missing = u64::from(SLOTS).saturating_sub(least);
        if missing > 0 {
            chart.problem(
                "slots",
                format!("{missing} of {SLOTS} slots are on no server that works: sales in them are refused"),
                "start the server that has them, or send one of its replicas CLUSTER FAILOVER TAKEOVER",
            );
        } else {
            chart.ok("slots", format!("all {SLOTS} slots are served by {primaries} primaries"));
        }
    }
    if primaries < PRIMARIES_MIN {
        chart.warning(
            "primaries",
            format!("{primaries} of them: when one is lost, the others are no majority, and no replica takes over"),
            "use three primaries or more, on machines of their own",
        );
    }
}

/// What one server says.
pub(super) fn judge_one(state: &ClusterState, server: &Server, chart: &mut Chart) {
    let is_strict = server.setting("cluster-require-full-coverage") == Some("yes");
    if !state.is_ok() {
        chart.problem(
            "cluster",
            "it sees no working cluster, and refuses everything",
            if is_strict {
                "start the servers that are away; with cluster-require-full-coverage no, it would serve its own slots"
            } else {
                "connect it with most of the other primaries"
            },
        );
    }
    let doubtful = state.count("cluster_slots_pfail");
    if doubtful > 0 {
        chart.note(
            "slots",
            format!("it does not hear from the server of {doubtful} slots"),
            "look again; it may be busy, or the others soon agree that it is gone",
        );
    }
    if is_strict {
        chart.warning(
            "coverage",
            "cluster-require-full-coverage yes: all servers refuse everything while one primary is away",
            "set cluster-require-full-coverage no",
        );
    }
    if server.setting("cluster-allow-reads-when-down") == Some("yes") {
        chart.warning(
            "reads",
            "cluster-allow-reads-when-down yes: a server that was cut off answers from the past",
            "set cluster-allow-reads-when-down no",
        );
    }
    if let Some(ms) = server.setting_count("cluster-node-timeout").filter(|ms| *ms > NODE_TIMEOUT_MS) {
        chart.warning(
            "node timeout",
            format!("cluster-node-timeout {ms}: the pause of a fail-over is about {} s", 2 * ms / 1_000),
            "set cluster-node-timeout 2000 or so",
        );
    }
}

/// Whether a key in a slot of this server could be asked for: `None`, or why not.
pub(super) fn judge_probe(failure: Option<&str>, chart: &mut Chart) {
    match failure {
        None => chart.ok("slot", "a key in one of its slots answers"),
        Some(why) => chart.problem(
            "slot",
            format!("a key in one of its slots does not answer: {why}"),
            "look at CLUSTER SHARDS of this server and of another one: do they agree?",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Note, Ok, Problem, Warning};
    use super::*;

    const WORKS: &str = "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16384\r\n\
                         cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\n";

    fn together(texts: &[&str], primaries: usize) -> Chart {
        let mut chart = Chart::of("cluster");
        let states: Vec<_> = texts.iter().map(|text| ClusterState::read(text)).collect();
        judge_all(&states, primaries, &mut chart);
        chart
    }

    fn alone(text: &str, settings: &[(&str, &str)]) -> Chart {
        let mut chart = Chart::of("here");
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        judge_one(&ClusterState::read(text), &Server::new("redis_version:7.2.4", Some(settings)), &mut chart);
        chart
    }

    #[test]
    fn slots_that_nobody_serves_are_a_problem() {
        let chart = together(&[WORKS, WORKS], 3);
        chart.has("slots", Ok, "3 primaries");
        assert!(chart.about("primaries").is_empty());
        let missing = WORKS.replace("assigned:16384", "assigned:16383");
        together(&[WORKS, &missing], 3).has("slots", Problem, "1 of 16384");
        let failing = WORKS.replace("slots_fail:0", "slots_fail:5461");
        together(&[&failing], 3).has("slots", Problem, "5461 of");
        together(&[WORKS], 2).has("primaries", Warning, "no majority");
    }

    #[test]
    fn each_setting_of_a_cluster_that_hurts_is_a_warning() {
        let good = [
            ("cluster-require-full-coverage", "no"),
            ("cluster-allow-reads-when-down", "no"),
            ("cluster-node-timeout", "2000"),
        ];
        assert!(alone(WORKS, &good).findings().is_empty());
        alone(WORKS, &[("cluster-require-full-coverage", "yes")]).has("coverage", Warning, "refuse everything");
        alone(WORKS, &[("cluster-allow-reads-when-down", "yes")]).has("reads", Warning, "past");
        alone(WORKS, &[("cluster-node-timeout", "15000")]).has("node timeout", Warning, "30 s");
        alone(&WORKS.replace("pfail:0", "pfail:5461"), &good).has("slots", Note, "of 5461 slots");
        alone("cluster_state:fail", &good).has("cluster", Problem, "no working cluster");
        let strict = alone("cluster_state:fail", &[("cluster-require-full-coverage", "yes")]);
        strict.has("cluster", Problem, "would serve its own slots");
    }

    #[test]
    fn a_probe_that_fails_is_a_problem() {
        let mut chart = Chart::of("here");
        judge_probe(Some("MOVED"), &mut chart);
        chart.has("slot", Problem, "MOVED");
        let mut chart = Chart::of("here");
        judge_probe(None, &mut chart);
        chart.has("slot", Ok, "answers");
    }
}
