//! The figures of a rush: answers by code, latencies by step, buyers by result.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::{
    answers::{AnswerClass, Step, StepAnswer},
    timeline::{BuyerResult, Timeline, histogram},
};

/// Different outcomes that are counted apart. If a service makes up more, the rest shares one name.
const OUTCOMES_MAX: usize = 64;

/// One kind of answer, and how often it came. Without a status no answer came.
#[derive(Clone, Debug)]
pub struct OutcomeCount {
    pub step: Step,
    pub class: AnswerClass,
    pub status: Option<u16>,
    pub code: Cow<'static, str>,
    pub count: u64,
}

pub struct Metrics {
    started: Instant,
    last: Instant,
    pub requests: u64,
    pub accepted: u64,
    pub refused: u64,
    pub failed: u64,
    /// Requests without a clear answer that a retry made clear.
    pub resolved: u64,
    outcomes: Vec<OutcomeCount>,
    latency: [Histogram<u64>; 3],
    pub timeline: Timeline,
}

impl Metrics {
    pub fn new(started: Instant) -> Self {
        Self {
            started,
            last: started,
            requests: 0,
            accepted: 0,
            refused: 0,
            failed: 0,
            resolved: 0,
            outcomes: Vec::new(),
            latency: [histogram(), histogram(), histogram()],
            timeline: Timeline::new(),
        }
    }

    /// Records an answer, or the end of the wait for one.
    pub fn record_answer(&mut self, step: Step, answer: &StepAnswer, since: Instant) {
        let now = Instant::now();
        let latency_us = u64::try_from((now - since).as_micros()).unwrap_or(u64::MAX).max(1);
        self.requests += 1;
        self.last = now;
        self.latency[step as usize].saturating_record(latency_us);
        self.timeline.record_answer(now - self.started, latency_us);
        let full = self.outcomes.len() >= OUTCOMES_MAX;
        let StepAnswer { class, status, ref code, .. } = *answer;
        let same = |known: &&mut OutcomeCount| (known.step, known.status, &known.code) == (step, status, code);
        match self.outcomes.iter_mut().find(same) {
            Some(known) => known.count += 1,
            None if full => self.outcomes[OUTCOMES_MAX - 1].count += 1,
            None => {
                let is_last = self.outcomes.len() + 1 == OUTCOMES_MAX;
                let code = if is_last { "and others".into() } else { code.clone() };
                self.outcomes.push(OutcomeCount { step, class, status, code, count: 1 });
            }
        }
    }

    /// Records that a buyer has units, or will not get any.
    pub fn record_buyer(&mut self, result: BuyerResult) {
        match result {
            BuyerResult::Accepted => self.accepted += 1,
            BuyerResult::Refused => self.refused += 1,
            BuyerResult::Failed => self.failed += 1,
        }
        self.timeline.record_buyer(self.started.elapsed(), result);
    }

    /// From the first arrival to the last answer.
    pub fn elapsed(&self) -> Duration {
        self.last - self.started
    }

    /// By step, the most frequent first.
    pub fn outcomes(&self) -> Vec<OutcomeCount> {
        let mut outcomes = self.outcomes.clone();
        outcomes.sort_by_key(|outcome| (outcome.step as usize, u64::MAX - outcome.count));
        outcomes
    }

    /// How many answers of a step had this code.
    pub fn count(&self, step: Step, code: &str) -> u64 {
        let same = self.outcomes.iter().filter(|outcome| outcome.step == step && outcome.code == code);
        same.map(|outcome| outcome.count).sum()
    }

    /// How many requests met a rate limit, and how many had no valid API key. Neither says anything about units.
    pub fn turned_away(&self) -> (u64, u64) {
        let sum = |is_one: fn(&OutcomeCount) -> bool| self.outcomes.iter().filter(|o| is_one(o)).map(|o| o.count).sum();
        (
            sum(|outcome| outcome.status == Some(429)),
            sum(|outcome| outcome.step != Step::Pay && outcome.status == Some(401)),
        )
    }

    pub fn latency(&self, step: Step) -> &Histogram<u64> {
        &self.latency[step as usize]
    }
}
