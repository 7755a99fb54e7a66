//! `flashsale doctor`: looks at Redis and at this machine, and says what to do.

use clap::Args;
use serde::Serialize;

use super::{
    CommonArgs,
    exit::Exit,
    print::{print_error, print_line},
    service::{settings, with_service},
    table::counted,
};
use crate::{
    app,
    store::doctor::{Finding, Level},
    tools::text::printable,
};

const EXAMPLES: &str = "\
Examples:
  flashsale doctor                     with the settings of the service, where it runs
  REDIS_URL=redis-cluster://10.0.0.1:6379 flashsale doctor
  flashsale doctor --json | jq '.findings[] | select(.level == \"problem\")'
  flashsale doctor > /dev/null && flashsale serve

It reads the same file, environment and flags as `flashsale serve`, asks every primary, and every
sentinel where there are some, and looks at the machine on which it runs. It starts and changes
nothing. A line is ok, note (worth knowing), warning (weaker than it could be) or problem (does not
work, or loses something), and what to do stands below it.

Exit status: 0 no problem; 1 a problem; 2 bad flags or settings.";

/// What to look at, and how to print it
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DoctorArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct ReportBody<'a> {
    ok: bool,
    problems: usize,
    warnings: usize,
    findings: Vec<FindingBody<'a>>,
}

#[derive(Serialize)]
struct FindingBody<'a> {
    level: &'static str,
    place: &'a str,
    subject: &'static str,
    found: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    advice: &'a str,
}

pub(super) fn run(common: &CommonArgs, args: &DoctorArgs) -> Exit {
    with_service(settings(common), async |settings| {
        let findings = app::examine(&settings).await;
        let count = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
        let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
        if args.json {
            let body =
                ReportBody { ok: problems == 0, problems, warnings, findings: findings.iter().map(body).collect() };
            print_line(&serde_json::to_string(&body).map_err(|error| error.to_string())?);
        } else {
            findings.iter().for_each(|finding| print_line(&lines(finding)));
            print_line(&format!("\n{}", verdict(problems, warnings)));
        }
        if problems == 0 {
            return Ok(Exit::Done);
        }
        if args.json {
            print_error(&verdict(problems, warnings));
        }
        Ok(Exit::No)
    })
}

fn body(finding: &Finding) -> FindingBody<'_> {
    let Finding { level, place, subject, found, advice } = finding;
    FindingBody { level: level.word(), place, subject, found, advice }
}

/// What was found, and below it what to do.
fn lines(finding: &Finding) -> String {
    let Finding { level, place, subject, found, advice } = finding;
    let found = format!("{:<8} {}, {subject}: {}", level.word(), printable(place), printable(found));
    if advice.is_empty() { found } else { format!("{found}\n           -> {}", printable(advice)) }
}

fn verdict(problems: usize, warnings: usize) -> String {
    let warnings = counted(warnings as u64, "warning");
    if problems == 0 {
        format!("no problem, {warnings}")
    } else {
        format!("{}, {warnings}", counted(problems as u64, "problem"))
    }
}
