//! The report for programs. Times are in the unit that their name ends with.

use serde_json::{Map, Value, json};

use super::{Latency, Report};
use crate::tools::rush::{plan::Pace, stock::Sample, tally::Outcome, timeline::Row};

pub(super) fn render(report: &Report) -> String {
    let (pace, rate) = match report.pace {
        Pace::Closed => ("closed", None),
        Pace::Open { rate } => ("open", Some(rate)),
    };
    let mut body = json!({
        "verdict": report.verdict(),
        "command": report.command,
        "started_at": report.at,
        "url": report.url,
        "scenario": report.scenario.word(),
        "product": report.product,
        "own_product": report.own_product,
        "buyers": report.buyers,
        "units": report.units,
        "concurrency": report.concurrency,
        "loop": pace,
        "rate": rate,
        "duration_ms": ms(report.duration),
        "seed": report.seed,
        "elapsed_ms": ms(report.elapsed),
        "ended": report.ended.word(),
        "requests": report.requests,
        "accepted": report.accepted,
        "refused": report.refused,
        "failed": report.failed,
        "unknown": report.unknown,
        "unserved": report.buyers - report.served(),
        "in_line": report.in_line,
        "requests_per_second": report.per_second(report.requests),
        "accepted_per_second": report.per_second(report.accepted),
        "refused_per_second": report.per_second(report.refused),
        "outcomes": report.outcomes.iter().map(outcome).collect::<Vec<_>>(),
        "latency_us": report.latency.iter().map(latency).collect::<Map<_, _>>(),
    });
    body["proof"] = json!({
        "ok": report.is_proved(),
        "checks": report.proof.checks.iter()
            .map(|check| json!({"name": check.name, "ok": check.ok, "detail": check.detail}))
            .collect::<Vec<_>>(),
    });
    body["notes"] = json!(report.notes);
    body["seconds"] = report.seconds.iter().enumerate().map(second).collect();
    body["stock"] = report.samples.iter().map(sample).collect();
    body.to_string()
}

fn outcome(outcome: &Outcome) -> Value {
    json!({"step": outcome.step.word(), "status": outcome.status, "code": outcome.code, "count": outcome.count})
}

fn latency(row: &Latency) -> (String, Value) {
    let figures = json!({"count": row.count, "p50": row.p50, "p99": row.p99, "p999": row.p999, "max": row.max});
    (row.step.word().to_owned(), figures)
}

fn second((second, row): (usize, &Row)) -> Value {
    json!({
        "second": second, "accepted": row.accepted, "refused": row.refused, "failed": row.failed,
        "requests": row.requests, "p50_us": row.p50_us, "p99_us": row.p99_us, "max_us": row.max_us,
    })
}

fn sample(sample: &Sample) -> Value {
    let stock = sample.stock;
    json!({
        "ms": ms(sample.at), "total": stock.total, "available": stock.available, "held": stock.held,
        "pending": stock.pending, "sold": stock.sold,
    })
}

fn ms(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
