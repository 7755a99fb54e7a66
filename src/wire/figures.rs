//! The figures of a process.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::time::rfc3339;
use crate::domain::figures::{Family, Figure};

/// What a process decided since it began, and how Redis answers it now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FiguresBody<'a> {
    /// Another one has other figures.
    pub process: Cow<'a, str>,
    pub started_at: String,
    /// The time of Redis. `null`: it does not answer.
    pub redis_at: Option<String>,
    /// Milliseconds for one answer of Redis.
    pub redis_ms: Option<f64>,
    pub holds: Vec<FigureBody<'a>>,
    pub orders: Vec<FigureBody<'a>>,
    pub payment_events: Vec<FigureBody<'a>>,
}

/// How often something was decided.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FigureBody<'a> {
    pub outcome: Cow<'a, str>,
    /// Why, where the outcome alone does not say it.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub reason: Cow<'a, str>,
    pub count: u64,
}

impl<'a> FiguresBody<'a> {
    /// `redis`: milliseconds that it took, and its time.
    pub fn of(process: &'a str, started_ms: i64, redis: Option<(f64, i64)>, figures: &[(Figure, u64)]) -> Self {
        let of_family = |wanted: Family| {
            let rows = figures.iter().filter_map(|(figure, count)| {
                let (family, outcome, reason) = figure.labels();
                let row = || FigureBody { outcome: outcome.into(), reason: reason.into(), count: *count };
                (family == wanted).then(row)
            });
            rows.collect()
        };
        Self {
            process: process.into(),
            started_at: rfc3339(started_ms),
            redis_at: redis.map(|(_, now_ms)| rfc3339(now_ms)),
            redis_ms: redis.map(|(ms, _)| ms),
            holds: of_family(Family::Holds),
            orders: of_family(Family::Orders),
            payment_events: of_family(Family::PaymentEvents),
        }
    }
}
