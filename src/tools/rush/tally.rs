//! What was asked and answered, counted: outcomes by code, latencies by step, buyers by what they came out with.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::{
    shop::Heard,
    timeline::{Fate, Timeline, histogram},
};

/// Different outcomes that are told apart; a service that makes up more gets the rest under one name.
const OUTCOMES_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Hold,
    Order,
    Pay,
}

impl Step {
    pub const ALL: [Self; 3] = [Self::Hold, Self::Order, Self::Pay];

    pub fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Order => "order",
            Self::Pay => "pay",
        }
    }
}

/// What an answer means for whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Accepted,
    /// Not enough units, or too late: a good answer.
    Refused,
    /// Nothing happened, and nobody decided that.
    Failed,
    /// It may have happened: no answer came, or one that does not say.
    Unknown,
}

/// One kind of answer and how often it came. Without a status there was no answer.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub step: Step,
    pub class: Class,
    pub status: Option<u16>,
    pub code: Cow<'static, str>,
    pub count: u64,
}

pub struct Tally {
    started: Instant,
    last: Instant,
    pub requests: u64,
    pub accepted: u64,
    pub refused: u64,
    pub failed: u64,
    /// Attempts without a clear answer that asking again made clear.
    pub resolved: u64,
    outcomes: Vec<Outcome>,
    latency: [Histogram<u64>; 3],
    pub timeline: Timeline,
}

impl Tally {
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

    /// An answer came, or the wait for it ended.
    pub fn answered(&mut self, step: Step, heard: &Heard, since: Instant) {
        let now = Instant::now();
        let latency_us = u64::try_from((now - since).as_micros()).unwrap_or(u64::MAX).max(1);
        self.requests += 1;
        self.last = now;
        self.latency[step as usize].saturating_record(latency_us);
        self.timeline.answered(now - self.started, latency_us);
        let full = self.outcomes.len() >= OUTCOMES_MAX;
        let Heard { class, status, ref code, .. } = *heard;
        let same = |known: &&mut Outcome| (known.step, known.status, &known.code) == (step, status, code);
        match self.outcomes.iter_mut().find(same) {
            Some(known) => known.count += 1,
            None if full => self.outcomes[OUTCOMES_MAX - 1].count += 1,
            None => {
                let last_place = self.outcomes.len() + 1 == OUTCOMES_MAX;
                let code = if last_place { "and others".into() } else { code.clone() };
                self.outcomes.push(Outcome { step, class, status, code, count: 1 });
            }
        }
    }

    /// A buyer has units, or will not get any.
    pub fn decided(&mut self, fate: Fate) {
        match fate {
            Fate::Accepted => self.accepted += 1,
            Fate::Refused => self.refused += 1,
            Fate::Failed => self.failed += 1,
        }
        self.timeline.decided(self.started.elapsed(), fate);
    }

    /// From the first arrival to the last answer.
    pub fn elapsed(&self) -> Duration {
        self.last - self.started
    }

    /// By step, the most frequent first.
    pub fn outcomes(&self) -> Vec<Outcome> {
        let mut outcomes = self.outcomes.clone();
        outcomes.sort_by_key(|outcome| (outcome.step as usize, u64::MAX - outcome.count));
        outcomes
    }

    /// How many answers of a step had this code.
    pub fn count(&self, step: Step, code: &str) -> u64 {
        let those = self.outcomes.iter().filter(|outcome| outcome.step == step && outcome.code == code);
        those.map(|outcome| outcome.count).sum()
    }

    /// How many requests met a rate limit, and how many came without a key that is taken. Neither is about units.
    pub fn turned_away(&self) -> (u64, u64) {
        let sum = |is_one: fn(&Outcome) -> bool| self.outcomes.iter().filter(|o| is_one(o)).map(|o| o.count).sum();
        (
            sum(|outcome| outcome.status == Some(429)),
            sum(|outcome| outcome.step != Step::Pay && outcome.status == Some(401)),
        )
    }

    pub fn latency(&self, step: Step) -> &Histogram<u64> {
        &self.latency[step as usize]
    }
}
