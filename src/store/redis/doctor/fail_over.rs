//! What a fail-over to a replica would lose.

use super::{
    Needs,
    finding::{Chart, Level},
    server::Server,
};
use crate::store::redis::{durability::Durability, topology::Kind};

const SUBJECT: &str = "fail-over";
/// A primary that was cut off takes writes for so many seconds at most.
const LAG_SECONDS: u64 = 5;

pub(super) fn judge(server: &Server, needs: Needs, chart: &mut Chart) {
    let replicas = server.count("connected_slaves").unwrap_or(0);
    let demanded = server.setting_count("min-replicas-to-write");
    if let Some(demanded) = demanded.filter(|demanded| *demanded > replicas) {
        chart.problem(
            "replicas",
            format!("min-replicas-to-write is {demanded}, and {replicas} are connected: it takes no writes"),
            "start the missing replicas, or lower min-replicas-to-write",
        );
    }
    if let Durability::Replicas(wanted) = needs.payments
        && u64::from(wanted) > replicas
    {
        chart.problem(
            "replicas",
            format!("durability.payments is replicas:{wanted}, and {replicas} are connected: payment events get 503"),
            "start the missing replicas, or lower durability.payments",
        );
    }
    if replicas == 0 {
        alone(needs, chart);
    } else {
        with_replicas(server, needs, replicas, demanded, chart);
    }
}

fn alone(needs: Needs, chart: &mut Chart) {
    match needs.kind {
        Kind::Single => chart.note(
            SUBJECT,
            "no replica: what was sold is on this server alone",
            "back it up (docs/operations.md, Back up), or start a replica",
        ),
        Kind::Sentinel => chart.warning(
            SUBJECT,
            "no replica: if this server is lost, there is none that Sentinel could put in its place",
            "start a replica of it",
        ),
        Kind::Cluster => chart.warning(
            SUBJECT,
            "no replica: if this server is lost, its sales are refused until it is back",
            "start a replica of it (CLUSTER REPLICATE)",
        ),
    }
}

fn with_replicas(server: &Server, needs: Needs, replicas: u64, demanded: Option<u64>, chart: &mut Chart) {
    // INFO has this line only where the setting is in force.
    let is_set = server.count("min_slaves_good_slaves").is_some();
    match demanded {
        None if is_set => chart.note(
            SUBJECT,
            format!("min-replicas-to-write is set, to an unknown number; {replicas} replicas are connected"),
            "it should be the number of all replicas",
        ),
        Some(demanded) if demanded >= replicas => {
            let lag = server.setting_count("min-replicas-max-lag").unwrap_or(0);
            let found = format!("min-replicas-to-write is {demanded} of {replicas} replicas");
            if lag > LAG_SECONDS {
                let found = format!("{found}, but a primary that was cut off takes writes for {lag} s, which are lost");
                chart.note(SUBJECT, found, "set min-replicas-max-lag 2");
            } else {
                chart.ok(SUBJECT, format!("{found}; {}", lost(needs.payments, replicas)));
            }
        }
        demanded => {
            // Without Sentinel or a cluster a person decides when a replica takes over.
            let level = if needs.kind == Kind::Single { Level::Note } else { Level::Warning };
            let found = format!(
                "min-replicas-to-write is {} of {replicas} replicas: a primary that was replaced goes on taking holds and \
                 orders for seconds, and a fail-over forgets them; {}",
                demanded.unwrap_or(0),
                lost(needs.payments, replicas)
            );
            let advice = format!(
                "set min-replicas-to-write {replicas} and min-replicas-max-lag 2{}",
                match needs.payments {
                    Durability::Replicas(wanted) if u64::from(wanted) >= replicas => String::new(),
                    _ => format!(", and durability.payments = \"replicas:{replicas}\""),
                }
            );
            let price = "; then a primary takes nothing after a fail-over until the lost server is back: who cannot wait for it has \
                         one replica more, and demands one fewer than all";
            chart.add(level, SUBJECT, found, format!("{advice}{price}"));
        }
    }
}

/// What becomes of payments that were acknowledged.
fn lost(payments: Durability, replicas: u64) -> String {
    match payments {
        Durability::Replicas(wanted) if u64::from(wanted) >= replicas => {
            "it loses no payment that was answered 200, because all replicas have it".to_owned()
        }
        Durability::Replicas(wanted) => {
            format!(
                "it may lose payments that were answered 200, because only {wanted} of {replicas} replicas must have them"
            )
        }
        Durability::Memory | Durability::Fsync => {
            let word = if payments == Durability::Memory { "memory" } else { "fsync" };
            format!("it may lose payments that were answered 200 (durability.payments is {word})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Note, Ok, Problem, Warning};
    use super::*;

    fn chart_of(replicas: u64, settings: Option<&[(&str, &str)]>, kind: Kind, payments: Durability) -> Chart {
        let mut chart = Chart::of("here");
        let settings =
            settings.map(|pairs| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        let server = Server::new(&format!("redis_version:7.2.4\nconnected_slaves:{replicas}\n"), settings);
        judge(&server, Needs { kind, payments, is_ours: false, connections: 9 }, &mut chart);
        chart
    }

    #[test]
    fn a_server_without_replicas_is_as_weak_as_its_kind_makes_it() {
        for (kind, level, text) in [
            (Kind::Single, Note, "Back up"),
            (Kind::Sentinel, Warning, "Sentinel"),
            (Kind::Cluster, Warning, "its sales"),
        ] {
            chart_of(0, Some(&[]), kind, Durability::Memory).has(SUBJECT, level, text);
        }
    }

    #[test]
    fn what_a_fail_over_loses_is_said_with_what_payments_wait_for() {
        let demand = |count: &'static str| [("min-replicas-to-write", count), ("min-replicas-max-lag", "2")];
        for (count, kind, payments, level, text) in [
            ("0", Kind::Sentinel, Durability::Memory, Warning, "may lose payments that were answered 200"),
            ("1", Kind::Cluster, Durability::Replicas(1), Warning, "only 1 of 2 replicas"),
            ("1", Kind::Sentinel, Durability::Replicas(2), Warning, "loses no payment"),
            ("0", Kind::Single, Durability::Fsync, Note, "durability.payments is fsync"),
            ("2", Kind::Sentinel, Durability::Replicas(2), Ok, "loses no payment"),
            ("2", Kind::Sentinel, Durability::Memory, Ok, "may lose payments"),
        ] {
            chart_of(2, Some(&demand(count)), kind, payments).has(SUBJECT, level, text);
        }
        chart_of(2, None, Kind::Sentinel, Durability::Memory).has(SUBJECT, Warning, "0 of 2");
        let slow = [("min-replicas-to-write", "2"), ("min-replicas-max-lag", "10")];
        chart_of(2, Some(&slow), Kind::Sentinel, Durability::Replicas(2)).has(SUBJECT, Note, "10 s");
    }

    #[test]
    fn replicas_that_are_demanded_and_missing_are_a_problem() {
        let demand = [("min-replicas-to-write", "2")];
        chart_of(1, Some(&demand), Kind::Sentinel, Durability::Memory).has("replicas", Problem, "takes no writes");
        chart_of(1, Some(&[]), Kind::Cluster, Durability::Replicas(2)).has("replicas", Problem, "503");
        assert!(chart_of(2, Some(&demand), Kind::Sentinel, Durability::Replicas(2)).about("replicas").is_empty());
    }

    #[test]
    fn a_demand_of_unknown_size_is_a_note() {
        let mut chart = Chart::of("here");
        let server = Server::new("redis_version:7.2.4\nconnected_slaves:2\nmin_slaves_good_slaves:2\n", None);
        let needs = Needs { kind: Kind::Sentinel, payments: Durability::Memory, is_ours: false, connections: 9 };
        judge(&server, needs, &mut chart);
        chart.has(SUBJECT, Note, "unknown number");
    }
}
