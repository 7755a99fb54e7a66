//! Mutants of the scripts: each has one planted mistake, and a test must see it. `make mutants` runs all of them and prints
//! what killed each; `make test` runs a few. A mutant is no build: this program runs itself with the name of the mutant in
//! the environment, and the ground of its tests builds the catalogue from it (`support/mutant.rs`).

mod ledger;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use flashsale::store::{Catalogue, Op};
use tempfile::TempDir;

use self::ledger::Ledger;
use crate::support::{
    mutant::{self, Mutant},
    redis::PrivateRedis,
};

/// How long the tests of a mutant may take. One that hangs them is killed by that.
const TIMEOUT: Duration = Duration::from_mins(10);

/// What `quick` stands for in the lists: the tests of the scripts that take no time.
const QUICK: [&str; 14] = [
    "lua::bounds",
    "lua::words",
    "lua::examples",
    "lua::facts",
    "lua::lapses",
    "lua::life",
    "lua::cooldown",
    "lua::limits::",
    "lua::loans",
    "lua::long_ways",
    "lua::metadata",
    "lua::plain_ways",
    "lua::skus",
    "lua::unmatched",
];

/// Those that `make test` runs: one mistake of each kind.
const FEW: [&str; 6] = [
    "hold_sells_one_unit_too_many",
    "hold_forgets_its_claim",
    "extend_leaves_units_in_their_bucket",
    "settle_compares_no_fingerprint",
    "limits_forget_bought_units",
    "clock_runs_backwards",
];

/// In the place of the test that failed.
const ENDLESS: &str = "tests that do not end";
const SURVIVED: &str = "- it survived";

/// What came of a mutant.
struct Outcome {
    name: String,
    /// The test that failed first. `None`: it survived.
    killer: Option<String>,
    took: Duration,
}

#[test]
fn every_mutant_is_found_once_and_redis_compiles_it() {
    let redis = PrivateRedis::start();
    let mut connection = redis.connect();
    let (mut names, mut files, own) = (BTreeSet::new(), BTreeSet::new(), Catalogue::compiled());
    for one in mutant::all() {
        let mutated = Catalogue::edited(|file, text| one.edit(file, text));
        let changed = mutated.iter().zip(own.iter()).filter(|(mutated, own)| mutated.sha != own.sha);
        let changed: Vec<_> = changed.map(|(mutated, _)| mutated).collect();
        assert!(!changed.is_empty(), "{} changes no script", one.name);
        for script in changed {
            let loaded: Result<String, _> = redis::cmd("SCRIPT").arg("LOAD").arg(&script.source).query(&mut connection);
            assert!(loaded.is_ok(), "{} in {}: {loaded:?}", one.name, script.name);
        }
        assert!(names.insert(one.name.clone()), "two mutants are {}", one.name);
        files.insert(one.file);
    }
    assert!(names.len() >= 60, "{} mutants", names.len());
    for op in Op::ALL {
        assert!(files.contains(&*format!("{}.lua", op.name())), "no mutant of {}.lua", op.name());
    }
    for one in FEW {
        assert!(names.contains(one), "{one} is no mutant");
    }
    let list = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    let tests = String::from_utf8(list.stdout).unwrap();
    for killer in Ledger::open().killers().filter(|killer| *killer != ENDLESS) {
        assert!(tests.lines().any(|line| line.strip_suffix(": test") == Some(killer)), "no test is {killer}");
    }
    for by in mutant::all().iter().flat_map(|one| &one.by).map(String::as_str).chain(QUICK) {
        assert!(by == "quick" || tests.contains(by), "no test is named {by}");
    }
}

#[test]
fn a_few_mutants_are_killed() {
    if mutant::name().is_none() {
        let few = mutant::all().into_iter().filter(|mutant| FEW.contains(&&*mutant.name));
        kill_all(few, &BTreeMap::new(), |_, _| {});
    }
}

/// `make mutants` runs those that no test is known to see. `FLASHSALE_MUTANTS=settle` runs those with this word in their name or file,
/// whatever is known.
#[test]
#[ignore = "it runs many tests for each of many mutants: make mutants"]
fn every_mutant_is_killed() {
    let wanted = std::env::var("FLASHSALE_MUTANTS").unwrap_or_default();
    let mut ledger = Ledger::open();
    let is_wanted = |mutant: &Mutant| match &*wanted {
        "" => ledger.killer(mutant).is_none(),
        word => mutant.name.contains(word) || mutant.file.contains(word),
    };
    let chosen: Vec<_> = mutant::all().into_iter().filter(is_wanted).collect();
    println!("{} of {} mutants", chosen.len(), mutant::all().len());
    let last = ledger.last_killers();
    kill_all(chosen.into_iter(), &last, |mutant, killer| ledger.note(mutant, killer));
    let mut score = Score::default();
    mutant::all().iter().for_each(|mutant| score.count(&mutant.file, ledger.killer(mutant).is_some()));
    let [killed, all] = score.sum();
    println!("\n{score}");
    if killed == all {
        fs::write("tests/it/mutants/score.txt", format!("{killed} of {all} were killed\n\n{score}\n")).unwrap();
    }
}

/// `last`: the test that saw a mutant when it was asked before, by name. It is asked first.
fn kill_all(
    mutants: impl Iterator<Item = Mutant>,
    last: &BTreeMap<String, String>,
    mut note: impl FnMut(&Mutant, Option<&str>),
) {
    let started = Instant::now();
    println!("{:<44} | {:<72} | seconds", "mutant", "killed by");
    let (mut survivors, mut trusted) = (Vec::new(), BTreeSet::new());
    let mut count = 0;
    for mutant in mutants {
        count += 1;
        let outcome = run(&mutant, last.get(&mutant.name).map(String::as_str));
        note(&mutant, outcome.killer.as_deref());
        let killer = outcome.killer.unwrap_or_else(|| SURVIVED.to_owned());
        println!("{:<44} | {killer:<72} | {:.1}", outcome.name, outcome.took.as_secs_f64());
        if killer == SURVIVED {
            survivors.push(outcome.name);
        } else if killer != ENDLESS && trusted.insert(killer.clone()) {
            assert_eq!(run_tests(None, &["--exact", &killer]), None, "{killer} fails without a mutant too");
        }
    }
    println!("{count} in {:.0} s", started.elapsed().as_secs_f64());
    assert!(survivors.is_empty(), "no test sees {survivors:?}");
}

/// Mutants of each script file: those that were killed, and all.
#[derive(Default)]
struct Score(BTreeMap<String, [usize; 2]>);

impl Score {
    fn count(&mut self, file: &str, is_killed: bool) {
        let [killed, all] = self.0.entry(file.to_owned()).or_default();
        *killed += usize::from(is_killed);
        *all += 1;
    }

    /// Those that were killed, and all.
    fn sum(&self) -> [usize; 2] {
        self.0.values().fold([0; 2], |[killed, all], [of_file, all_of_file]| [killed + of_file, all + all_of_file])
    }
}

/// A table for a document, with the sum at its end.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| script | mutants | killed |\n|---|---|---|")?;
        for (file, [of_file, all_of_file]) in &self.0 {
            writeln!(f, "| `lua/{file}` | {all_of_file} | {of_file} |")?;
        }
        let [killed, all] = self.sum();
        write!(f, "| all | {all} | {killed} |")
    }
}

/// Runs the tests of a mutant until the first of them fails.
fn run(mutant: &Mutant, last: Option<&str>) -> Outcome {
    let started = Instant::now();
    let killer = last.and_then(|test| run_tests(Some(&mutant.name), &["--exact", test])).or_else(|| {
        mutant.by.iter().find_map(|tests| {
            let tests = if tests == "quick" { &QUICK[..] } else { &[&**tests] };
            run_tests(Some(&mutant.name), tests)
        })
    });
    Outcome { name: mutant.name.clone(), killer, took: started.elapsed() }
}

/// The first test that fails, of the mutant or of the scripts as they are.
fn run_tests(mutant: Option<&str>, tests: &[&str]) -> Option<String> {
    // What a killed process leaves goes with this folder.
    let folder = TempDir::with_prefix("fs").unwrap();
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(tests).args(["--skip", "house_lua"]).env("TMPDIR", folder.path());
    program.env_remove(mutant::VARIABLE).envs(mutant.map(|name| (mutant::VARIABLE, name)));
    let mut program = program.process_group(0).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let killer = first_failure(&mut program);
    // With the servers that it started, which nobody else would end.
    let group = format!("-{}", program.id());
    let _was_running = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    program.wait().unwrap();
    killer
}

fn first_failure(tests: &mut Child) -> Option<String> {
    let (sender, receiver) = mpsc::channel();
    let output = BufReader::new(tests.stdout.take().unwrap());
    thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let deadline = Instant::now() + TIMEOUT;
    let mut counted = 0;
    loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let test = line.strip_prefix("test ").unwrap_or_default();
                if let Some(failed) = test.strip_suffix(" ... FAILED") {
                    return Some(failed.to_owned());
                }
                counted += usize::from(test.ends_with(" ... ok"));
            }
            Err(mpsc::RecvTimeoutError::Timeout) => return Some(ENDLESS.to_owned()),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                assert!(counted > 0, "no test ran: {:?}", tests.wait());
                return None;
            }
        }
    }
}
