//! Prints what came of each run, and for one that failed the seed, the first rule that was broken, and the calls around it.

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use super::{
    afterwards,
    check::{self, Verdict, Violation},
    history::History,
    play::Plan,
};

/// So many runs are worth a line in RELIABILITY.md.
const MANY: usize = 100;

/// Calls that are printed beside those that show a violation.
const AROUND: usize = 12;

/// One run, as the summary counts it.
pub struct Run {
    pub calls: usize,
    pub unknown: usize,
    pub faults: usize,
    pub lost: usize,
    pub windows: usize,
    pub undecided: usize,
    /// What was broken first.
    pub violation: Option<String>,
}

#[derive(Default)]
pub struct Sum {
    runs: usize,
    pub failed: usize,
    calls: usize,
    unknown: usize,
    faults: usize,
    lost: usize,
    windows: usize,
    undecided: usize,
}

/// Plays one run, which must keep all promises.
pub fn judge(plan: Plan) {
    assert_eq!(play(plan).violation, None, "seed {} broke a rule", plan.seed);
}

/// Plays one run, judges it, and prints a line.
pub fn play(plan: Plan) -> Run {
    let started = Instant::now();
    let played = catch_unwind(AssertUnwindSafe(|| plan.play()));
    let Ok(history) = played else {
        println!("{} broke off: what it waited for did not come\n{}", head(plan), repeat(plan));
        let violation = Some("recovery".to_owned());
        return Run { calls: 0, unknown: 0, faults: 0, lost: 0, windows: 0, undecided: 0, violation };
    };
    let verdict = check::check(&history);
    print_line(plan, &history, &verdict, started.elapsed());
    let first = verdict.violations.first();
    if let Some(first) = first {
        explain(&history, &verdict, first);
        keep(plan, &history);
        println!("{}", repeat(plan));
    }
    Run {
        calls: history.calls.len(),
        unknown: history.calls.iter().filter(|call| call.is_unknown()).count(),
        faults: history.faults.len(),
        lost: verdict.lost,
        windows: verdict.searched.windows,
        undecided: verdict.searched.undecided,
        violation: first.map(|violation| violation.rule.to_owned()),
    }
}

fn head(plan: Plan) -> String {
    format!("chaos seed {} {}:", plan.seed, plan.topology.name())
}

fn repeat(plan: Plan) -> String {
    let Plan { seed, topology, seconds } = plan;
    format!("again: make chaos SEED={seed} RUNS=1 SECONDS={seconds} TOPOLOGY={}", topology.name())
}

fn print_line(plan: Plan, history: &History, verdict: &Verdict, took: Duration) {
    let tally = afterwards::tally(&history.calls);
    let tally: Vec<_> = tally.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let faults: Vec<_> = history.faults.iter().map(|fault| &*fault.name).collect();
    println!(
        "{} {} calls ({}); faults {}; {} lost, {} windows, {} undecided, {} violations, {:.1} s",
        head(plan),
        history.calls.len(),
        tally.join(", "),
        faults.join(" "),
        verdict.lost,
        verdict.searched.windows,
        verdict.searched.undecided,
        verdict.violations.len(),
        took.as_secs_f64()
    );
}

fn explain(history: &History, verdict: &Verdict, first: &Violation) {
    println!("VIOLATION of `{}`: {}", first.rule, first.said);
    for other in verdict.violations.iter().skip(1).take(5) {
        println!("and of `{}`: {}", other.rule, other.said);
    }
    print!("{}", first.known);
    for fault in &history.faults {
        println!("fault {} from {} to {} us", fault.name, fault.start_ns / 1_000, fault.end_ns / 1_000);
    }
    let mut around = BTreeSet::new();
    for number in &first.calls {
        around.extend(number.saturating_sub(AROUND)..(number + AROUND).min(history.calls.len()));
    }
    for number in around {
        let mark = if first.calls.contains(&number) { ">" } else { " " };
        println!("{mark} {number:>5} {}", history.calls[number]);
    }
}

/// Keeps a history that broke a rule: a line for each call, to read, and the whole of it, to judge again.
fn keep(plan: Plan, history: &History) {
    let Ok(folder) = std::env::var("FLASHSALE_CHAOS_HISTORY") else { return };
    let lines: String = history.calls.iter().map(|call| format!("{call}\n")).collect();
    let whole = serde_json::to_string(history).unwrap();
    for (end, text) in [("", lines), (".json", whole)] {
        fs::write(format!("{folder}/{}{end}", plan.seed), text).unwrap();
    }
}

/// Judges a history that was kept. What was broken first.
pub fn judge_again(file: &str) -> Option<&'static str> {
    let history: History = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let verdict = check::check(&history);
    let first = verdict.violations.first()?;
    explain(&history, &verdict, first);
    Some(first.rule)
}

impl Sum {
    pub fn add(&mut self, run: &Run) {
        self.runs += 1;
        self.failed += usize::from(run.violation.is_some());
        self.calls += run.calls;
        self.unknown += run.unknown;
        self.faults += run.faults;
        self.lost += run.lost;
        self.windows += run.windows;
        self.undecided += run.undecided;
    }

    /// Prints the sum. One of many runs is kept for RELIABILITY.md.
    pub fn print(&self, took: Duration) {
        let text = self.text(took);
        println!("chaos: {text}");
        if self.runs >= MANY {
            fs::write("tests/it/chaos/sum.txt", format!("{text}\n")).unwrap();
        }
    }

    fn text(&self, took: Duration) -> String {
        format!(
            "{} runs, {} with violations; {} calls, {} of unknown outcome, {} faults, {} holds lost in fail-overs, {} windows \
             searched and {} left undecided, in {:.0} s",
            self.runs,
            self.failed,
            self.calls,
            self.unknown,
            self.faults,
            self.lost,
            self.windows,
            self.undecided,
            took.as_secs_f64()
        )
    }
}
