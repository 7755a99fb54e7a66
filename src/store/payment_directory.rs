//! The directory of payments: the order that each payment is about, so that a refund or a dispute that names no order finds it.
//! Each entry is in a hash slot of its own, and is kept as long as money of the payment can come back.
//!
//! An entry and what it leads to are in two slots. Each step may be repeated, and an event is acknowledged after the last. So a
//! service that dies in between leaves nothing behind that the next try of the provider does not mend.

use super::{
    Failure, Reply, Store, idempotency,
    keys::{SaleKeys, payment_entry},
    settle::SettleItem,
};
use crate::domain::{
    ids::{HoldId, SaleId},
    payment::PaymentId,
};

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The hold that became the order.
    Of(HoldId),
    /// Events of the payment named nothing of ours yet, and are kept.
    Unmatched,
    /// Events of the payment named several orders, so it leads to none of them.
    Several,
}

const UNMATCHED: &str = "unmatched";
const SEVERAL: &str = "several";

impl Store {
    /// The order, by the hold that became it, that earlier events of this payment named.
    pub(super) async fn hold_of_payment(&self, payment: &PaymentId) -> Result<Option<HoldId>, Failure> {
        Ok(match self.entry(payment).await? {
            Some(Entry::Of(hold)) => Some(hold),
            Some(Entry::Unmatched | Entry::Several) | None => None,
        })
    }

    /// Remembers that the payment is about this order. What was heard of the payment before is settled there. True:
    /// there was something.
    pub(super) async fn remember_payment(&self, payment: &PaymentId, hold: &HoldId) -> Result<bool, Failure> {
        let wanted = written(hold);
        match self.claim_entry(payment, &wanted).await? {
            None => Ok(false),
            Some(found) if found == SEVERAL => Ok(false),
            // Whoever wrote the entry, or kept an event at the same time, may have died before that was settled.
            Some(found) if found == wanted => self.settle_kept(payment, hold).await,
            Some(found) if found == UNMATCHED => {
                let some = self.settle_kept(payment, hold).await?;
                self.set_entry(payment, &wanted).await?;
                // What another worker kept in between.
                Ok(self.settle_kept(payment, hold).await? || some)
            }
            Some(_) => self.set_entry(payment, SEVERAL).await.map(|()| false),
        }
    }

    /// Before an event that names nothing of ours is kept.
    pub(super) async fn remember_unmatched(&self, payment: &PaymentId) -> Result<(), Failure> {
        self.claim_entry(payment, UNMATCHED).await.map(|_| ())
    }

    /// Settles the events that were kept as unmatched, and closes their review. False: there were none.
    pub(super) async fn settle_kept(&self, payment: &PaymentId, hold: &HoldId) -> Result<bool, Failure> {
        let keys = SaleKeys(&self.unmatched_sale);
        let kept_key = keys.kept(&idempotency::hash_of_payment(payment));
        let kept = Reply::read(self.runner.plain(redis::cmd("HGETALL").arg(&kept_key)).await?)?.fields()?;
        if kept.is_empty() {
            return Ok(false);
        }
        let mut forget = redis::cmd("HDEL");
        forget.arg(&kept_key);
        for (once, text) in kept {
            forget.arg(&once);
            let once_key = SaleKeys(hold.sale()).once(&once);
            // Without its sale, the event stays where it is.
            if self.settles.submit(hold.sale(), SettleItem::again(hold.clone(), once, text)).await?.is_none() {
                return Ok(false);
            }
            // The kept event was acknowledged long ago, so its effect must be durable before it is forgotten.
            self.confirm(once_key).await?;
        }
        self.close_unmatched(payment, hold).await?;
        // Another worker may keep more meanwhile, and settles that itself.
        self.runner.plain(&forget).await.map(|_| true)
    }

    pub(super) async fn entry(&self, payment: &PaymentId) -> Result<Option<Entry>, Failure> {
        let key = payment_entry(&idempotency::hash_of_payment(payment));
        let found = self.runner.plain(redis::cmd("GET").arg(key)).await?;
        Reply::one(found).text_or_none()?.map(|text| self.read_entry(&text)).transpose()
    }

    fn read_entry(&self, text: &str) -> Result<Entry, Failure> {
        let hold = || {
            let (sale, key) = text.split_once(' ')?;
            Some(Entry::Of(self.ids().hold(&SaleId::parse(sale)?, key)))
        };
        match text {
            UNMATCHED => Ok(Entry::Unmatched),
            SEVERAL => Ok(Entry::Several),
            _ => hold().ok_or_else(|| Failure::unreadable(format!("{text:?} in the directory of payments"))),
        }
    }

    /// Writes the entry unless there is one, which is answered.
    async fn claim_entry(&self, payment: &PaymentId, value: &str) -> Result<Option<String>, Failure> {
        let key = payment_entry(&idempotency::hash_of_payment(payment));
        let mut claim = redis::cmd("SET");
        claim.arg(key).arg(value).arg("NX").arg("GET").arg("PX").arg(self.terms.refundable_ms);
        Reply::one(self.runner.plain(&claim).await?).text_or_none()
    }

    async fn set_entry(&self, payment: &PaymentId, value: &str) -> Result<(), Failure> {
        let key = payment_entry(&idempotency::hash_of_payment(payment));
        let mut set = redis::cmd("SET");
        set.arg(key).arg(value).arg("PX").arg(self.terms.refundable_ms);
        self.runner.plain(&set).await.map(|_| ())
    }
}

fn written(hold: &HoldId) -> String {
    format!("{} {}", hold.sale(), hold.key())
}
