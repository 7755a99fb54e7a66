//! Payments whose order the directory of payments could not take at once, because another server has that part of it and was
//! away. The sale keeps a note in its own slot, so the event is settled and acknowledged, and a sweep writes the directory later.

use super::{Failure, Reply, Store, keys::SaleKeys};
use crate::domain::{
    ids::{HoldId, SaleId},
    payment::PaymentId,
};

/// Notes that one sweep of a sale works off.
const NOTES_MAX: usize = 200;

impl Store {
    /// What came of remembering a payment. If the directory cannot be reached, a note is left beside the order. True: events that
    /// were kept before have been settled.
    pub(super) async fn remembered_or_noted(
        &self,
        remembered: Result<bool, Failure>,
        payment: &PaymentId,
        hold: &HoldId,
    ) -> Result<bool, Failure> {
        match remembered {
            Err(
                failure @ (Failure::Unavailable(_) | Failure::TimedOut(_) | Failure::Overloaded(_) | Failure::Full(_)),
            ) => {
                tracing::debug!(cause = %failure, payment = payment.as_str(), "its order is noted, and remembered later");
                self.note_payment(payment, hold).await.map(|()| false)
            }
            other => other,
        }
    }

    /// Writes the directory for what was noted. Those that still cannot be written stay noted.
    ///
    /// # Errors
    /// [`Failure`]; the next sweep goes on.
    pub(super) async fn remember_noted(&self, sale: &SaleId) -> Result<(), Failure> {
        let key = SaleKeys(sale).noted();
        let some = self.runner.plain_for_payment(redis::cmd("SRANDMEMBER").arg(&key).arg(NOTES_MAX)).await?;
        let (mut notes, mut failure) = (Reply::read(some)?, None);
        while !notes.is_empty() {
            let note = notes.text()?;
            // Other notes are about other servers.
            match self.remember_note(sale, &note).await {
                Ok(()) => _ = self.runner.plain_for_payment(redis::cmd("SREM").arg(&key).arg(&note)).await?,
                Err(why) => failure = Some(why),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn remember_note(&self, sale: &SaleId, note: &str) -> Result<(), Failure> {
        let read = note.split_once(' ').and_then(|(hold, payment)| Some((hold, PaymentId::parse(payment)?)));
        let (hold, payment) =
            read.ok_or_else(|| Failure::unreadable(format!("{note:?} among the payments to remember")))?;
        self.remember_payment(&payment, &self.ids().hold(sale, hold)).await.map(|_settled_more| ())
    }
}
