//! RELIABILITY.md: what is promised, what was measured, and by which command.

use std::{collections::BTreeSet, fmt::Write, fs};

use super::{
    machine,
    scenarios::{SCENARIOS, Scenario},
};
use crate::house::{files, read, root};

const PAGE: &str = "RELIABILITY.md";

/// In the place of figures.
pub fn not_here() -> String {
    "not measured: this machine lacks what it needs".to_owned()
}

const PROMISES: &str = "\
What happens when something fails, as it was measured. `make reliability` writes this file; nobody edits it.

## What is promised

- **No unit is sold twice**, by one Redis, whatever happens to the service, to its connections or to the process of Redis.
- **A payment that was answered 200 stays**, as `durability.payments` says: with `memory` as long as the primary lives, with `fsync` on its
  disk, with `replicas:N` (N = all replicas) through any fail-over.
- **Nothing is repeated.** Who asks again with the same key or the same event gets the same answer.
- **What failed says so**, at once, with 503 and `Retry-After`, and the service goes on by itself when the fault is over.

## What is not promised

- Holds, and orders that are not paid, in an unplanned fail-over: what the replica did not have yet is lost, and its units are sold to
  somebody else. `min-replicas-to-write` with the number of all replicas keeps that to what was on its way.
- A loss of power with `appendfsync everysec`: Redis then loses about two seconds. It was not tried here.
- A network that is cut in two, and anything that happens between data centres: not tried on this page.
- That a 503 without an idempotency key changed nothing, where its code is `store_timeout`: the outcome is unknown.
";

const METHOD: &str = "\
Buyers (three who hold, order and pay with keys, three who hold without one, each with a pause of 10 ms) are at work from 2 s before the
fault until 2 s after the sale goes on. Then everything that was acknowledged is looked up, all that is left is bought, and the service
audits itself. *First success*: from the fault to the first call that succeeded after the first that did not. *Lost*: acknowledged with
201 or 200, and not there afterwards. *Oversold*: units that are paid, or held by a buyer who knows it, beyond those that there are.
*Units that nobody knows to have*: left over when everything is bought; they lapse like any hold, and are sold then. These are figures of
one run on one machine: they show what kind of thing happens, and no bound follows from them.
";

/// A figure of another program: what it is of, where that program writes it, and the command that does.
const ELSEWHERE: [[&str; 3]; 2] = [
    ["mistakes that were planted in the scripts, and a test saw", "tests/it/mutants/score.txt", "make mutants"],
    ["runs of the chaos harness with random faults, and what they found", "tests/it/chaos/sum.txt", "make chaos"],
];

pub fn write(rows: &[(&Scenario, String)], load: &str) {
    let mut page = format!("# Reliability\n\n{PROMISES}\n## Measured\n\n");
    let (date, kind, versions) = (machine::date(), machine::kind(), machine::versions());
    let began = format!("On {date}: {kind}; {versions}. Its load average was {load} when the run began.");
    let _written = writeln!(page, "{began}\n\n{METHOD}");
    page.push_str("| fault | what happens | how it is tested | figure | command |\n|---|---|---|---|---|\n");
    for (scenario, figures) in rows {
        page.push_str(&row(scenario, figures));
    }
    page.push_str("\n## Measured elsewhere\n\n| what | figure | command |\n|---|---|---|\n");
    for [what, file, command] in ELSEWHERE {
        let figure = fs::read_to_string(root().join(file)).unwrap_or_default();
        let figure = figure.lines().next().unwrap_or("not measured yet");
        let _written = writeln!(page, "| {what} | {figure} | `{command}` |");
    }
    page.push_str("\nHow to run it: [docs/operations.md](docs/operations.md). What somebody may try: [docs/threats.md](docs/threats.md).\n");
    fs::write(root().join(PAGE), page).unwrap();
}

fn row(scenario: &Scenario, figures: &str) -> String {
    let tests: Vec<_> = scenario.tests.iter().map(|test| format!("`{test}`")).collect();
    let cells = [scenario.fault, scenario.happens, &tests.join(", "), figures, &command(scenario)];
    format!("| {} |\n", cells.join(" | "))
}

fn command(scenario: &Scenario) -> String {
    format!("`make reliability SCENARIO={}`", scenario.name)
}

#[test]
fn the_page_has_a_row_for_each_scenario_and_the_tests_that_it_names_exist() {
    let page = read(&root().join(PAGE));
    let sources: String = files("tests/it", "rs").iter().map(|file| read(file)).collect();
    let mut names = BTreeSet::new();
    for scenario in &SCENARIOS {
        assert!(names.insert(scenario.name), "two scenarios are {}", scenario.name);
        let begins = format!("| {} | {} |", scenario.fault, scenario.happens);
        let line = page.lines().find(|line| line.contains(&command(scenario)));
        let line = line.unwrap_or_else(|| panic!("{PAGE} has no row of {}: make reliability", scenario.name));
        assert!(line.starts_with(&begins), "{PAGE} says something else of {}: make reliability", scenario.name);
        for test in scenario.tests {
            assert!(sources.contains(&format!("fn {test}()")), "no test is named {test}");
        }
    }
}
