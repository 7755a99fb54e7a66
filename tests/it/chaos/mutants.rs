//! Planted bugs, which runs must find: mutants of the scripts, of the lists that `make mutants` has too, and mutants of the service.
//! `make chaos-mutants` plays runs of each until one fails, and writes the table of `docs/chaos.md`.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    services::{PLANTED_VARIABLE, PROGRAM_VARIABLE},
    stage::Topology,
};
use crate::support::mutant::{self, Mutant};

/// Runs that are played before a mutant counts as not found.
const RUNS_MAX: u64 = 12;
const SECONDS: u64 = 5;
const RUNS: &str = "chaos::as_many_runs_as_one_likes_keep_all_promises";
const PAGE: &str = "docs/chaos.md";
/// The table stands between these lines.
const MARKS: [&str; 2] = ["<!-- written by make chaos-mutants -->", "<!-- end -->"];

/// Mutants of the scripts, and where they are looked for.
const OF_SCRIPTS: [(&str, Topology); 12] = [
    ("hold_sells_one_unit_too_many", Topology::Standalone),
    ("hold_forgets_its_claim", Topology::Standalone),
    ("hold_ignores_limits", Topology::Standalone),
    ("limits_allow_one_unit_more", Topology::Standalone),
    ("hold_reclaims_nothing", Topology::Standalone),
    ("units_come_back_twice", Topology::Standalone),
    ("extend_leaves_units_in_their_bucket", Topology::Standalone),
    ("orders_give_no_units_of_a_released_hold_back", Topology::Standalone),
    ("orders_leave_the_bucket_of_the_hold", Topology::Standalone),
    ("cancel_takes_an_order_that_is_paid", Topology::Standalone),
    ("restock_twice_with_one_key", Topology::Standalone),
    ("clock_runs_backwards", Topology::Standalone),
];

/// Mutants of the service that are looked for elsewhere than on one Redis.
const ELSEWHERE: [(&str, Topology); 1] = [("service_acknowledges_before_it_is_durable", Topology::Sentinel)];

/// A mutant, and how to make services of it.
struct Planted {
    name: String,
    file: String,
    topology: Topology,
    environment: Vec<(&'static str, String)>,
}

struct Caught {
    seed: u64,
    rule: String,
}

#[test]
fn every_mutant_of_the_service_is_in_its_file_once() {
    for mutant in of_service() {
        let text = fs::read_to_string(&mutant.file).unwrap();
        assert!(mutant.edit(&mutant.file, &text).contains(&format!("planted(\"{}\")", mutant.name)), "{}", mutant.name);
    }
    let known: BTreeSet<_> = mutant::all().into_iter().map(|mutant| mutant.name).collect();
    for (name, _) in OF_SCRIPTS {
        assert!(known.contains(name), "{name} is no mutant");
    }
}

/// `CHAOS_MUTANTS=clock` plants those with this word in their names.
#[test]
#[ignore = "it builds another program and plays many runs: make chaos-mutants"]
fn every_planted_bug_is_found() {
    let wanted = std::env::var("CHAOS_MUTANTS").unwrap_or_default();
    let program = if wanted.is_empty() || wanted.contains("service") { build() } else { PathBuf::new() };
    let (mut rows, mut sound, mut missed) = (Vec::new(), BTreeSet::new(), Vec::new());
    for planted in all(&program).into_iter().filter(|planted| planted.name.contains(&wanted)) {
        let started = Instant::now();
        let caught = (1..=RUNS_MAX).find_map(|seed| play(seed, &planted).map(|rule| Caught { seed, rule }));
        let Some(Caught { seed, rule }) = caught else {
            println!("{} was not found in {RUNS_MAX} runs", planted.name);
            missed.push(planted.name);
            continue;
        };
        let topology = planted.topology;
        if sound.insert((topology.name(), seed)) {
            let none = Planted { name: String::new(), file: String::new(), topology, environment: vec![] };
            assert_eq!(play(seed, &none), None, "seed {seed} breaks a rule without any mutant");
        }
        let row = format!("| `{}` | `{}` | {} | {seed} | {rule} |", planted.name, planted.file, topology.name());
        println!("{row} {:.0} s", started.elapsed().as_secs_f64());
        rows.push(row);
        write_table(&rows);
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

fn of_service() -> Vec<Mutant> {
    mutant::of_text(&fs::read_to_string("tests/it/chaos/mutants.txt").unwrap())
}

fn all(program: &Path) -> Vec<Planted> {
    let known = mutant::all();
    let of_script = |(name, topology): (&str, Topology)| {
        let file = known.iter().find(|mutant| mutant.name == name).unwrap().file.clone();
        let environment = vec![(mutant::VARIABLE, name.to_owned())];
        Planted { name: name.to_owned(), file: format!("lua/{file}"), topology, environment }
    };
    let of_service = of_service().into_iter().map(|mutant| {
        let topology =
            ELSEWHERE.iter().find(|(name, _)| *name == mutant.name).map_or(Topology::Standalone, |(_, at)| *at);
        let program = (PROGRAM_VARIABLE, program.display().to_string());
        let environment = vec![program, (PLANTED_VARIABLE, mutant.name.clone())];
        Planted { name: mutant.name, file: mutant.file, topology, environment }
    });
    OF_SCRIPTS.into_iter().map(of_script).chain(of_service).collect()
}

/// The rule that a run of this mutant breaks.
fn play(seed: u64, planted: &Planted) -> Option<String> {
    // What is planted is in the environment, and a process has one of that.
    let mut run = Command::new(std::env::current_exe().unwrap());
    run.args(["--ignored", "--exact", RUNS, "--nocapture"]).stderr(Stdio::null());
    run.env_remove(mutant::VARIABLE).envs(planted.environment.iter().map(|(name, value)| (*name, value)));
    let seconds = if planted.topology == Topology::Standalone { SECONDS } else { 2 * SECONDS };
    run.env("SEED", seed.to_string()).env("RUNS", "1").env("SECONDS", seconds.to_string());
    let output = run.env("TOPOLOGY", planted.topology.name()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return None;
    }
    let rule = text.lines().find_map(|line| line.strip_prefix("VIOLATION of `")?.split('`').next());
    Some(rule.unwrap_or("recovery").to_owned())
}

/// Builds a program that has all mistakes of the service, from a copy of the sources in a folder of its own.
fn build() -> PathBuf {
    let started = Instant::now();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/chaos");
    let source = folder.join("source");
    fs::create_dir_all(&source).unwrap();
    let planted: Vec<_> = of_service();
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if name == "src" {
            copy(&entry.path(), &source.join(name), Path::new("src"), &planted);
        } else if ["Cargo.toml", "Cargo.lock"].iter().any(|file| name == *file) {
            write_new(&source.join(name), &fs::read(entry.path()).unwrap());
        } else if !name.to_string_lossy().starts_with('.') && name != "target" {
            let _is_there = symlink(entry.path(), source.join(name));
        }
    }
    let built = folder.join("build");
    let status = Command::new("cargo")
        .args(["build", "--locked", "--bin", "flashsale"])
        .current_dir(&source)
        .env("CARGO_TARGET_DIR", &built)
        .status();
    assert!(status.is_ok_and(|status| status.success()), "cargo builds the mutants of the service");
    println!("built the mutants of the service in {:.0} s", Duration::as_secs_f64(&started.elapsed()));
    built.join("debug/flashsale")
}

/// Copies a folder of sources, with the mistakes in them. `name` is its path from the root.
fn copy(from: &Path, to: &Path, name: &Path, mutants: &[Mutant]) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (to, name) = (to.join(entry.file_name()), name.join(entry.file_name()));
        if entry.path().is_dir() {
            copy(&entry.path(), &to, &name, mutants);
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap();
        let file = name.display().to_string();
        let mut text = mutants.iter().fold(text, |text, mutant| mutant.edit(&file, &text));
        if file == "src/lib.rs" {
            let planted = format!(
                "\n/// Whether this mistake was planted.\npub fn planted(name: &str) -> bool {{\n    \
                 std::env::var(\"{PLANTED_VARIABLE}\").is_ok_and(|planted| planted == name)\n}}\n"
            );
            text.push_str(&planted);
        }
        write_new(&to, text.as_bytes());
    }
}

/// Leaves a file alone that has this text, so that nothing is built again for it.
fn write_new(path: &Path, text: &[u8]) {
    if fs::read(path).is_ok_and(|old| old == text) {
        return;
    }
    fs::write(path, text).unwrap();
}

/// Writes the rows into the table, where those of mutants that were not played now stay.
fn write_table(rows: &[String]) {
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(MARKS[0]).expect("the page has a place for the table");
    let (table, after) = rest.split_once(MARKS[1]).expect("the table has an end");
    let name = |row: &str| row.split('`').nth(1).map(str::to_owned);
    let new: BTreeSet<_> = rows.iter().filter_map(|row| name(row)).collect();
    let kept = table.lines().filter(|line| name(line).is_some_and(|name| !new.contains(&name))).map(str::to_owned);
    let mut all: Vec<_> = kept.chain(rows.iter().cloned()).collect();
    all.sort();
    let head = "| mutant | in | topology | seed | rule that it breaks |\n|---|---|---|---|---|";
    let [begin, end] = MARKS;
    fs::write(PAGE, format!("{before}{begin}\n{head}\n{}\n{end}{after}", all.join("\n"))).unwrap();
}
