//! The report for programs. The name of each time ends with its unit.

use serde_json::{Map, Value, json};

use super::{RushReport, StepLatency};
use crate::tools::rush::{metrics::OutcomeCount, plan::LoadModel, stock::StockSample, timeline::IntervalStats};

/// Products that have a row.
const PRODUCTS_MAX: usize = 1_000;

pub(super) fn render(report: &RushReport) -> String {
    let (load, rate) = match report.load {
        LoadModel::Closed => ("closed", None),
        LoadModel::Open { rate } => ("open", Some(rate)),
    };
    let mut body = json!({
        "verdict": report.verdict(),
        "command": report.command,
        "started_at": report.at,
        "url": report.url,
        "scenario": report.scenario.as_str(),
        "product": match &report.products[..] { [only] => Some(only.product.id), _ => None },
        "sale": report.sale,
        "popularity": report.sale.as_ref().map(|_| report.popularity.to_string()),
        "customers": report.customers,
        "own_product": report.own_product,
        "buyers": report.buyers,
        "units": report.units,
        "concurrency": report.concurrency,
        "loop": load,
        "rate": rate,
        "duration_ms": ms(report.duration),
        "seed": report.seed,
        "elapsed_ms": ms(report.elapsed),
        "ended": report.ended.as_str(),
        "requests": report.requests,
        "accepted": report.accepted,
        "refused": report.refused,
        "failed": report.failed,
        "unknown": report.unknown,
        "unserved": report.buyers - report.served(),
        "in_line": report.waiting,
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
    let (products, others) = report.product_json(PRODUCTS_MAX);
    body["products"] = products.into();
    body["products_left_out"] = others.into();
    let taken = &report.taken;
    body["taken_away"] = json!({
        "kept": taken.kept, "holds": taken.holds, "orders": taken.orders, "lapsed": taken.lapsed, "paid": taken.paid,
        "stays": taken.stays,
    });
    body["not_shown"] = json!(report.not_shown);
    body["notes"] = json!(report.notes);
    body["seconds"] = report.seconds.iter().enumerate().map(second).collect();
    body["stock"] = report.samples.iter().map(sample).collect();
    body.to_string()
}

fn outcome(outcome: &OutcomeCount) -> Value {
    json!({"step": outcome.step.as_str(), "status": outcome.status, "code": outcome.code, "count": outcome.count})
}

fn latency(row: &StepLatency) -> (String, Value) {
    let figures = json!({"count": row.count, "p50": row.p50, "p99": row.p99, "p999": row.p999, "max": row.max});
    (row.step.as_str().to_owned(), figures)
}

fn second((second, stats): (usize, &IntervalStats)) -> Value {
    json!({
        "second": second, "accepted": stats.accepted, "refused": stats.refused, "failed": stats.failed,
        "requests": stats.requests, "p50_us": stats.p50_us, "p99_us": stats.p99_us, "max_us": stats.max_us,
    })
}

fn sample(sample: &StockSample) -> Value {
    let stock = sample.stock;
    json!({
        "ms": ms(sample.at), "total": stock.total, "available": stock.available, "held": stock.held,
        "pending": stock.pending, "sold": stock.sold,
    })
}

fn ms(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
