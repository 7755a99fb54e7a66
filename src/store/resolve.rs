//! `resolve`: closes a review with what a person decided about its money.

use super::{Failure, Op, Reply, ScriptCall, Store, keys::SaleKeys, record, redis::rank::PERSON, unknown_word};
use crate::domain::{
    act::Act,
    outcome::ResolveOutcome,
    review::{Note, Review, ReviewAction, ReviewId, Subject},
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the review may be resolved. The same call then answers that.
    pub async fn resolve(
        &self,
        id: &ReviewId,
        action: ReviewAction,
        note: &Note,
        act: &Act,
    ) -> Result<ResolveOutcome, Failure> {
        PERSON.within(self.resolve_found(id, action, note, act)).await
    }

    async fn resolve_found(
        &self,
        id: &ReviewId,
        action: ReviewAction,
        note: &Note,
        act: &Act,
    ) -> Result<ResolveOutcome, Failure> {
        // The script must be given the key of the order, and only the review names it. That never changes.
        let Some(review) = self.find_review(id).await? else { return Ok(ResolveOutcome::ReviewNotFound) };
        let Subject::Order(order) = &review.subject else {
            return self.resolve_at(id, id.key(), action, note, act).await;
        };
        let mut search = self.search_in(&id.sale).await;
        loop {
            match self.resolve_at(id, order.key(), action, note, act).await? {
                ResolveOutcome::UnitsGone if !search.is_over() => self.gather_for(order, &mut search).await,
                outcome => return Ok(outcome),
            }
        }
    }

    async fn resolve_at(
        &self,
        id: &ReviewId,
        order: &str,
        action: ReviewAction,
        note: &Note,
        act: &Act,
    ) -> Result<ResolveOutcome, Failure> {
        let keys = SaleKeys(&id.sale);
        let call = ScriptCall::of(Op::Resolve).keys(keys.book()).keys(keys.reviews()).key(keys.order(order));
        let call = self.terms.for_act(call, act).arg(id.key()).arg(action.as_str()).arg(note.as_str());
        let (word, mut reply) = self.runner.call(call).await?;
        let mut review = || record::review::review(self.ids(), &id.sale, id.key(), &reply.text()?);
        match word.as_str() {
            "resolved" => Ok(ResolveOutcome::Resolved(review()?)),
            "already_resolved" => Ok(ResolveOutcome::AlreadyResolved(review()?)),
            "not_acceptable" => Ok(ResolveOutcome::NotAcceptable),
            "units_gone" => Ok(ResolveOutcome::UnitsGone),
            "review_not_found" => Ok(ResolveOutcome::ReviewNotFound),
            word => Err(unknown_word(Op::Resolve, word)),
        }
    }

    /// Closes a review that waits for nobody any more.
    pub(super) async fn close_review(&self, id: &ReviewId, note: &str) -> Result<(), Failure> {
        let keys = SaleKeys(&id.sale);
        let call = ScriptCall::of(Op::Resolve).keys(keys.book()).keys(keys.reviews()).key(keys.order(id.key()));
        self.runner.call(self.terms.for_book(call).arg(id.key()).arg("").arg(note)).await.map(|_| ())
    }

    /// # Errors
    /// [`Failure`].
    pub async fn find_review(&self, id: &ReviewId) -> Result<Option<Review>, Failure> {
        let records = SaleKeys(&id.sale).review_records();
        let found = self.runner.plain(redis::cmd("HGET").arg(records).arg(id.key())).await?;
        let record = Reply::one(found).text_or_none()?;
        record.map(|record| record::review::review(self.ids(), &id.sale, id.key(), &record)).transpose()
    }
}
