//! The directory of payments: the orders that each payment is about, so that a refund or a dispute that names no order finds it
//! where there is only one. Each entry is in a hash slot of its own, and is kept as long as money of the payment can come back.
//!
//! An entry and what it leads to are in two slots. Each step may be repeated, and an event is acknowledged after the last. So a
//! service that dies in between leaves nothing behind that the next try of the provider does not mend.

use super::{
    Failure, Reply, Store, idempotency,
    keys::{SaleKeys, payment_entry},
};
use crate::domain::{
    ids::{HoldId, SaleId},
    payment::PaymentId,
};

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// The holds that became the orders which its events named, in the order in which they did.
    Of(Vec<HoldId>),
    /// Events of the payment named nothing of ours yet, and are kept.
    Unmatched,
}

const UNMATCHED: &str = "unmatched";
/// Orders of one payment that are remembered. Workers that add one at the same time may write a few more.
pub(super) const ORDERS_MAX: usize = 8;

impl Store {
    /// The order, by the hold that became it, that earlier events of this payment named. `None` also where they named
    /// several, because nobody knows which one is meant.
    pub(super) async fn hold_of_payment(&self, payment: &PaymentId) -> Result<Option<HoldId>, Failure> {
        let mut holds = self.holds_of_payment(payment).await?;
        Ok(holds.pop().filter(|_| holds.is_empty()))
    }

    /// All of them, as far as they are remembered.
    pub(super) async fn holds_of_payment(&self, payment: &PaymentId) -> Result<Vec<HoldId>, Failure> {
        Ok(match self.entry(payment).await? {
            Some(Entry::Of(holds)) => holds,
            Some(Entry::Unmatched) | None => Vec::new(),
        })
    }

    /// Remembers that the payment is about this order. What was heard of the payment before is settled there. True:
    /// there was something.
    pub(super) async fn remember_payment(&self, payment: &PaymentId, hold: &HoldId) -> Result<bool, Failure> {
        let wanted = written(hold);
        let Some(found) = self.claim_entry(payment, &wanted).await? else { return Ok(false) };
        if found == UNMATCHED {
            let some = self.settle_kept(payment, hold).await?;
            // Behind the word, so that no order is lost that another worker names at the same time.
            self.add_to_entry(payment, &wanted).await?;
            // What another worker kept in between.
            return Ok(self.settle_kept(payment, hold).await? || some);
        }
        let known: Vec<_> = orders(&found).collect();
        if known.iter().all(|order| *order == wanted) {
            // Whoever wrote the entry, or kept an event at the same time, may have died before that was settled.
            return self.settle_kept(payment, hold).await;
        }
        if known.len() < ORDERS_MAX && !known.contains(&wanted.as_str()) {
            self.add_to_entry(payment, &wanted).await?;
        }
        Ok(false)
    }

    /// Before an event that names nothing of ours is kept.
    pub(super) async fn remember_unmatched(&self, payment: &PaymentId) -> Result<(), Failure> {
        self.claim_entry(payment, UNMATCHED).await.map(|_| ())
    }

    /// Settles the events that were kept as unmatched, and closes their review. False: there were none.
    pub(super) async fn settle_kept(&self, payment: &PaymentId, hold: &HoldId) -> Result<bool, Failure> {
        let keys = SaleKeys(&self.unmatched_sale);
        let kept_key = keys.kept(&idempotency::hash_of_payment(payment));
        let kept = match self.runner.plain_for_payment(redis::cmd("HGETALL").arg(&kept_key)).await {
            // What was kept went with its server. Orders whose own shards are there must not wait for it.
            Err(Failure::Lost(_)) => return Ok(false),
            kept => Reply::read(kept?)?.fields()?,
        };
        if kept.is_empty() {
            return Ok(false);
        }
        let mut forget = redis::cmd("HDEL");
        forget.arg(&kept_key);
        for (once, text) in kept {
            forget.arg(&once);
            let once_key = SaleKeys(hold.sale()).once(&once);
            // Without its sale, the event stays where it is.
            if self.decide(hold, once, text).await?.is_none() {
                return Ok(false);
            }
            // The kept event was acknowledged long ago, so its effect must be durable before it is forgotten.
            self.confirm(hold.sale(), once_key).await?;
        }
        self.close_unmatched(payment, hold).await?;
        // Another worker may keep more meanwhile, and settles that itself.
        self.runner.plain_for_payment(&forget).await.map(|_| true)
    }

    async fn entry(&self, payment: &PaymentId) -> Result<Option<Entry>, Failure> {
        let key = payment_entry(&idempotency::hash_of_payment(payment));
        let found = self.runner.plain_for_payment(redis::cmd("GET").arg(key)).await?;
        Reply::one(found).text_or_none()?.map(|text| self.read_entry(&text)).transpose()
    }

    fn read_entry(&self, text: &str) -> Result<Entry, Failure> {
        if text == UNMATCHED {
            return Ok(Entry::Unmatched);
        }
        let hold = |order: &str| {
            let (sale, key) = order.split_once(' ')?;
            Some(self.ids().hold(&SaleId::parse_shard(sale)?, key))
        };
        let mut holds = Vec::new();
        for order in orders(text) {
            let unreadable = || Failure::unreadable(format!("{text:?} in the directory of payments"));
            let hold = hold(order).ok_or_else(unreadable)?;
            // Two workers may have added it at the same time.
            if !holds.contains(&hold) && holds.len() < ORDERS_MAX {
                holds.push(hold);
            }
        }
        Ok(Entry::Of(holds))
    }

    /// Writes the entry unless there is one, which is answered.
    async fn claim_entry(&self, payment: &PaymentId, value: &str) -> Result<Option<String>, Failure> {
        let key = payment_entry(&idempotency::hash_of_payment(payment));
        let mut claim = redis::cmd("SET");
        claim.arg(key).arg(value).arg("NX").arg("GET").arg("PX").arg(self.terms.refundable_ms);
        Reply::one(self.runner.plain_for_payment(&claim).await?).text_or_none()
    }

    /// In one step, so that no order is lost that another worker adds at the same time.
    async fn add_to_entry(&self, payment: &PaymentId, order: &str) -> Result<(), Failure> {
        let key = payment_entry(&idempotency::hash_of_payment(payment));
        self.runner.plain_for_payment(redis::cmd("APPEND").arg(&key).arg(format!("{BETWEEN}{order}"))).await?;
        self.runner.plain_for_payment(redis::cmd("PEXPIRE").arg(&key).arg(self.terms.refundable_ms)).await.map(|_| ())
    }
}

/// What separates orders of an entry.
const BETWEEN: char = ',';

/// The orders of an entry, as [`written`] writes them. In front of the first comma may be that it was unmatched, or nothing where
/// the entry ended its time just before an order was added.
fn orders(entry: &str) -> impl Iterator<Item = &str> {
    entry.split(BETWEEN).filter(|order| !order.is_empty() && *order != UNMATCHED)
}

fn written(hold: &HoldId) -> String {
    format!("{} {}", hold.sale(), hold.key())
}
