//! What the user of the service may do, of what the service does. A script asks the server, which runs none of it.

use super::{Needs, finding::Chart};
use crate::store::redis::{durability::Durability, keys::ALL, topology::Kind};

const SUBJECT: &str = "rights";
/// Stands for a key.
const KEY: &str = "K";

/// Asks of each command whether it may be run: 1, 0, or -1 where the server does not know the command, or does not say.
pub(super) const SCRIPT: &str = "#!lua flags=no-writes
local answers = {}
for number, command in ipairs(ARGV) do
  local words = {}
  for word in command:gmatch('%S+') do words[#words + 1] = word end
  local knows, may = pcall(redis.acl_check_cmd, unpack(words))
  answers[number] = knows and (may and 1 or 0) or -1
end
return answers
";

/// What the service sends, and what its scripts do. `docs/operations.md` has the same as a rule.
pub(super) const COMMANDS: [&str; 43] = [
    "append K x",
    "del K",
    "evalsha x 1 K",
    "exists K",
    "get K",
    "hdel K x",
    "hexists K x",
    "hget K x",
    "hgetall K",
    "hincrby K x 1",
    "hlen K",
    "hmget K x",
    "hscan K 0",
    "hset K x x",
    "incr K",
    "info",
    "mget K",
    "pexpire K 1",
    "ping",
    "sadd K x",
    "scan 0",
    "script|exists x",
    "script|load x",
    "set K x",
    "sismember K x",
    "smembers K",
    "smismember K x",
    "srandmember K",
    "srem K x",
    "time",
    "unwatch",
    "xadd K * x x",
    "xinfo|stream K",
    "xread STREAMS K 0",
    "xrevrange K + -",
    "zadd K 1 x",
    "zcard K",
    "zcount K 0 1",
    "zmscore K x",
    "zrange K 0 1",
    "zrem K x",
    "zscan K 0",
    "zscore K x",
];
pub(super) const OF_CLUSTERS: [&str; 4] = ["asking", "cluster|info", "cluster|nodes", "cluster|slots"];
const OF_REPLICAS: &str = "wait 0 0";
const OF_DISKS: &str = "waitaof 1 0 0";

/// A command, and what the server said of it.
#[derive(Clone, Debug)]
pub(super) struct Right {
    pub command: &'static str,
    pub may: Option<bool>,
}

/// The commands that a service with these needs sends.
pub(super) fn needed(needs: Needs, knows_waitaof: bool) -> Vec<&'static str> {
    let mut commands: Vec<_> = COMMANDS.to_vec();
    if needs.kind == Kind::Cluster {
        commands.extend(OF_CLUSTERS);
    }
    match needs.payments {
        Durability::Replicas(_) => commands.push(OF_REPLICAS),
        Durability::Fsync if knows_waitaof => commands.push(OF_DISKS),
        Durability::Fsync | Durability::Memory => {}
    }
    commands
}

/// The words of a command about a key.
pub(super) fn words(command: &str, key: &str) -> String {
    let words = command.split(['|', ' ']).map(|word| if word == KEY { key } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// The name of a command, as a rule has it.
pub(super) fn name(command: &str) -> &str {
    command.split(' ').next().unwrap_or(command)
}

fn is_about_key(command: &str) -> bool {
    command.split(' ').any(|word| word == KEY)
}

const ADVICE: &str = "give it the rights that docs/operations.md names, \"A user of its own\"";

/// `refusal` says why the server let nobody ask.
pub(super) fn judge(rights: &Result<Vec<Right>, String>, chart: &mut Chart) {
    let rights = match rights {
        Ok(rights) => rights,
        Err(why) => {
            chart.problem(SUBJECT, format!("the user of the service may not load and call scripts: {why}"), ADVICE);
            return;
        }
    };
    if rights.iter().all(|right| right.may.is_none()) {
        chart.note(SUBJECT, "this server does not say what its users may do", "");
        return;
    }
    let missing: Vec<_> = rights.iter().filter(|right| right.may != Some(true)).collect();
    let is_refused = |right: &&Right| is_about_key(right.command);
    let about_keys = rights.iter().filter(is_refused).count();
    if missing.is_empty() {
        chart.ok(SUBJECT, format!("its user may run all {} commands that the service needs", rights.len()));
    } else if missing.iter().copied().filter(is_refused).count() == about_keys {
        chart.problem(SUBJECT, format!("its user may not touch the keys of the service (~{ALL})"), ADVICE);
    } else {
        let names: Vec<_> = missing.iter().map(|right| name(right.command).to_uppercase().replace('|', " ")).collect();
        chart.problem(SUBJECT, format!("its user may not run {}", names.join(", ")), ADVICE);
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Note, Ok, Problem};
    use super::*;

    fn chart_of(may: impl Fn(&str) -> Option<bool>) -> Chart {
        let needs = Needs { kind: Kind::Cluster, payments: Durability::Replicas(1), is_ours: false, connections: 9 };
        let rights = needed(needs, true).into_iter().map(|command| Right { command, may: may(command) });
        let mut chart = Chart::of("here");
        judge(&Result::Ok(rights.collect()), &mut chart);
        chart
    }

    #[test]
    fn what_the_user_may_not_do_is_named() {
        chart_of(|_| Some(true)).has(SUBJECT, Ok, "all 48 commands");
        let chart = chart_of(|command| Some(!["cluster|slots", "set K x"].contains(&command)));
        chart.has(SUBJECT, Problem, "may not run SET, CLUSTER SLOTS");
        chart_of(|command| Some(!is_about_key(command))).has(SUBJECT, Problem, "~fs1:*");
        chart_of(|_| None).has(SUBJECT, Note, "does not say");
        let mut chart = Chart::of("here");
        judge(&Err("NOPERM".to_owned()), &mut chart);
        chart.has(SUBJECT, Problem, "scripts: NOPERM");
    }

    #[test]
    fn every_command_of_a_script_is_asked_about() {
        for script in crate::store::Catalogue::compiled().iter() {
            let calls =
                ["redis.call('", "redis.pcall('"].into_iter().flat_map(|call| script.source.split(call).skip(1));
            for command in calls.filter_map(|rest| rest.split('\'').next()).map(str::to_lowercase) {
                let is_asked = COMMANDS.iter().any(|asked| name(asked) == command);
                assert!(is_asked, "{command} of {}", script.name);
            }
        }
    }

    #[test]
    fn commands_are_written_as_the_server_reads_them() {
        assert_eq!(words("script|load x", "k"), "script load x");
        assert_eq!(words("zrange K 0 1", "k|1"), "zrange k|1 0 1");
        assert_eq!(name("xinfo|stream K"), "xinfo|stream");
    }
}
