//! `resolve`: closes a review, with the note of the person who dealt with it.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, record, unknown_word};
use crate::domain::{
    outcome::ResolveOutcome,
    review::{Note, ReviewId},
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the review may be resolved. The same call then answers that.
    pub async fn resolve(&self, id: &ReviewId, note: &Note) -> Result<ResolveOutcome, Failure> {
        let keys = SaleKeys(&id.sale);
        let call = ScriptCall::of(Op::Resolve).keys(keys.book()).keys(keys.reviews());
        let call = self.terms.for_book(call).arg(id.key()).arg(note.as_str());
        let (word, mut reply) = self.runner.call(call).await?;
        let mut review = || record::review::review(self.ids(), &id.sale, id.key(), &reply.text()?);
        match word.as_str() {
            "resolved" => Ok(ResolveOutcome::Resolved(review()?)),
            "already_resolved" => Ok(ResolveOutcome::AlreadyResolved(review()?)),
            "review_not_found" => Ok(ResolveOutcome::ReviewNotFound),
            word => Err(unknown_word(Op::Resolve, word)),
        }
    }
}
