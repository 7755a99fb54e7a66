//! The sweep: finds the pending orders of all sales that have lapsed, and logs an event for each. Finishes what was noted for later.

use std::time::{Duration, Instant};

use redis::{Cmd, Value};

use super::{Failure, Store, find_due::DUE_MAX, keys::SWEPT};
use crate::domain::ids::SaleId;

/// Calls for one sale in one sweep. The next sweep does the rest.
const CALLS_MAX: usize = 100;

impl Store {
    /// Sweeps, unless some service did so within the pause. Returns the number of orders that have lapsed.
    ///
    /// # Errors
    /// [`Failure`]; the next sweep goes on.
    pub async fn sweep_in_turn(&self, pause: Duration) -> Result<u64, Failure> {
        if !self.is_our_turn(pause).await? {
            return Ok(0);
        }
        let began = Instant::now();
        let swept = self.sweep_sales(Some(pause)).await;
        // Thousands of sales take longer than the pause. Then nobody looks at them again before as much time has passed.
        if began.elapsed() * 2 > pause {
            self.keep_turn(pause.max(began.elapsed())).await;
        }
        swept
    }

    /// Looks at all sales. Returns the number of orders that have lapsed. A sale that cannot be reached keeps no other one waiting.
    ///
    /// # Errors
    /// [`Failure`] of one of the sales; the next sweep goes on.
    pub async fn sweep(&self) -> Result<u64, Failure> {
        self.sweep_sales(None).await
    }

    /// Keeps its turn meanwhile, where it has one.
    async fn sweep_sales(&self, turn: Option<Duration>) -> Result<u64, Failure> {
        let (mut expired, mut failure, mut kept) = (0, None, Instant::now());
        for sale in self.sales(None).await?.unwrap_or_default() {
            if let Some(pause) = turn
                && kept.elapsed() * 2 > pause
            {
                self.keep_turn(pause).await;
                kept = Instant::now();
            }
            match self.sweep_sale(&sale).await {
                Ok(lapsed) => expired += lapsed,
                Err(why) => failure = Some(why),
            }
        }
        failure.map_or(Ok(expired), Err)
    }

    async fn sweep_sale(&self, sale: &SaleId) -> Result<u64, Failure> {
        let mut expired = 0;
        for _ in 0..CALLS_MAX {
            let due = self.find_due(sale).await?;
            expired += if due.is_empty() { 0 } else { self.expire(sale, &due).await? };
            if due.len() < DUE_MAX {
                break;
            }
        }
        self.remember_noted(sale).await?;
        Ok(expired)
    }

    /// Several services share the work: the one that sets the key sweeps. It is harmless if two of them do.
    async fn is_our_turn(&self, pause: Duration) -> Result<bool, Failure> {
        Ok(self.runner.plain(set_turn(pause).arg("NX")).await? != Value::Nil)
    }

    /// Where the key cannot be set, another service sweeps too, and the sales that live are swept all the same.
    async fn keep_turn(&self, pause: Duration) {
        if let Err(cause) = self.runner.plain(&set_turn(pause)).await {
            tracing::debug!(%cause, "the turn to sweep was not kept");
        }
    }
}

fn set_turn(pause: Duration) -> Cmd {
    let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(1);
    let mut set = redis::cmd("SET");
    set.arg(SWEPT).arg(1).arg("PX").arg(pause_ms);
    set
}
