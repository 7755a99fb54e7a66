//! `find_due` and `expire`: says of pending orders that they have lapsed, an event each. Nothing else waits for it: units of a
//! lapsed order come back by themselves, and its status follows from the time.

use std::time::Duration;

use redis::Value;

use super::{
    Call, Failure, Op, Store,
    keys::{SWEPT, SaleKeys},
    unknown_word,
};
use crate::domain::ids::SaleId;

/// Orders of one call.
const EXPIRE_MAX: usize = 64;
/// Calls for one sale in one sweep; the rest is done in the next.
const CALLS_MAX: usize = 100;

impl Store {
    /// A sweep, unless a service has made one within the pause. Gives how many orders have lapsed.
    ///
    /// # Errors
    /// [`Failure`]; the next sweep goes on.
    pub async fn sweep_in_turn(&self, pause: Duration) -> Result<u64, Failure> {
        if self.is_our_turn(pause).await? { self.sweep().await } else { Ok(0) }
    }

    /// Looks at all sales. Gives how many orders have lapsed.
    ///
    /// # Errors
    /// [`Failure`]; the next sweep goes on.
    pub async fn sweep(&self) -> Result<u64, Failure> {
        let mut expired = 0;
        for sale in self.sales(None).await?.unwrap_or_default() {
            for _ in 0..CALLS_MAX {
                let due = self.find_due(&sale).await?;
                expired += if due.is_empty() { 0 } else { self.expire(&sale, &due).await? };
                if due.len() < EXPIRE_MAX {
                    break;
                }
            }
        }
        Ok(expired)
    }

    /// Several services share the work: whoever takes the key does it. That two do is harmless.
    async fn is_our_turn(&self, pause: Duration) -> Result<bool, Failure> {
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut take = redis::cmd("SET");
        take.arg(SWEPT).arg(1).arg("NX").arg("PX").arg(pause_ms);
        Ok(self.runner.plain(&take).await? != Value::Nil)
    }

    async fn find_due(&self, sale: &SaleId) -> Result<Vec<String>, Failure> {
        let keys = SaleKeys(sale);
        let call = Call::of(Op::FindDue).key(keys.sale()).key(keys.due()).number(EXPIRE_MAX as u64);
        let (word, mut reply) = self.runner.call(call).await?;
        if word != "due" {
            return Err(unknown_word(Op::FindDue, &word));
        }
        let mut due = Vec::new();
        while !reply.is_empty() {
            due.push(reply.text()?);
        }
        Ok(due)
    }

    async fn expire(&self, sale: &SaleId, due: &[String]) -> Result<u64, Failure> {
        let keys = SaleKeys(sale);
        let call = Call::of(Op::Expire).keys(keys.book()).keys(due.iter().map(|order| keys.order(order)));
        let (word, mut reply) = self.runner.call(self.terms.for_book(call)).await?;
        if word == "expired" { reply.count() } else { Err(unknown_word(Op::Expire, &word)) }
    }
}
