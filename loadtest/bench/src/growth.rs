//! What a hold costs Redis, called with 64 holds, and how many bytes one takes, as the number of live holds grows.
//!
//! Each number has a Redis of its own. They are measured in turns, a few calls each, so that a ratio compares figures of the same
//! few milliseconds.

use std::io;

use crate::{
    progress::Progress,
    report::rounds::Spread,
    script::{HOLDS_PER_CALL, Holds, count},
    stand::{Durability, Ground, Redis, Setup, Stand, memory, scripts},
    workloads::PLENTY,
};

pub const MARKS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const CALLS_PER_TURN: usize = 8;
const TURNS: usize = 100;
const TURNS_PER_BLOCK: usize = 20;
/// The first turns, which do not count.
const WARM_TURNS: usize = 10;
/// The approximate seconds of all turns.
const TURNS_WEIGHT: f64 = 2.0;

/// The cost of holds in Redis while there are this many.
#[derive(Clone, Debug)]
pub struct Mark {
    pub live: usize,
    pub bytes_per_hold: f64,
    /// Time in the script for each hold, in microseconds, of each block of turns.
    pub us_per_hold: Vec<f64>,
}

/// A Redis with this many live holds.
struct Grown {
    holds: Holds,
    mark: Mark,
    // Dropped after the connection to it.
    _redis: Redis,
}

/// # Errors
/// When Redis cannot be started or used.
pub fn growth(ground: &Ground, progress: &Progress) -> io::Result<Vec<Mark>> {
    let mut all = Vec::new();
    for live in MARKS {
        progress.step(weight_of(live), &format!("growth: {live} live holds"));
        all.push(Grown::to(ground, live)?);
    }
    progress.step(TURNS_WEIGHT, "growth: a hold beside each of these");
    for turn in 0..WARM_TURNS + TURNS {
        for grown in &mut all {
            let us = grown.turn()?;
            if turn >= WARM_TURNS {
                grown.mark.us_per_hold.push(us);
            }
        }
    }
    Ok(all.into_iter().map(|grown| grown.mark.in_blocks()).collect())
}

impl Mark {
    /// The medians of blocks of turns: a turn takes so little time that one interruption spoils it.
    fn in_blocks(mut self) -> Self {
        let blocks = self.us_per_hold.chunks(TURNS_PER_BLOCK);
        self.us_per_hold = blocks.filter_map(|turns| Some(Spread::of(turns.iter().copied())?.median)).collect();
        self
    }
}

/// The approximate seconds of this part.
pub fn weight() -> f64 {
    MARKS.iter().map(|live| weight_of(*live)).sum::<f64>() + TURNS_WEIGHT
}

fn weight_of(live: usize) -> f64 {
    0.3 + count(live) / 150_000.0
}

impl Grown {
    fn to(ground: &Ground, live: usize) -> io::Result<Self> {
        let setup = Setup::of(1, PLENTY, Durability::Off);
        let redis = Stand::start(ground, &setup)?.into_redis()?;
        let mut holds = Holds::of(&redis)?;
        let empty_bytes = memory(holds.connection())?;
        while holds.made() < live {
            holds.hold(None)?;
        }
        let bytes_per_hold = (memory(holds.connection())? - empty_bytes) / count(holds.made());
        let mark = Mark { live, bytes_per_hold, us_per_hold: Vec::with_capacity(TURNS) };
        Ok(Self { holds, mark, _redis: redis })
    }

    /// Microseconds for each hold. It drops the new holds again, so that there are never many more than planned.
    fn turn(&mut self) -> io::Result<f64> {
        let before = scripts(self.holds.connection())?;
        for _ in 0..CALLS_PER_TURN {
            self.holds.hold(None)?;
        }
        let after = scripts(self.holds.connection())?;
        let made = CALLS_PER_TURN * HOLDS_PER_CALL;
        self.holds.drop_last(made)?;
        Ok((after.us - before.us) / count(made))
    }
}
