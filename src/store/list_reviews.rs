//! `list_reviews`: reviews page by page: sales by name, and the reviews of a sale by time. Reviews that are opened or
//! resolved meanwhile make no other review come twice or not at all.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, record, unknown_word};
use crate::domain::{
    cursor::ListCursor,
    ids::SaleId,
    outcome::ListReviewsOutcome,
    review::{Review, ReviewStatus},
};

impl Store {
    /// At most `limit` reviews behind the cursor, of one sale or of all.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list_reviews(
        &self,
        status: ReviewStatus,
        sale: Option<&SaleId>,
        after: Option<&ListCursor>,
        limit: usize,
    ) -> Result<ListReviewsOutcome, Failure> {
        let Some(sales) = self.sales(sale).await? else { return Ok(ListReviewsOutcome::SaleNotFound) };
        let mut reviews = Vec::new();
        let mut next = None;
        for sale in sales.iter().filter(|sale| after.is_none_or(|after| **sale >= after.sale)) {
            let after = after.filter(|after| after.sale == *sale);
            // One more than `limit` shows whether there is another page.
            for (cursor, review) in self.reviews_of(sale, status, after, limit + 1 - reviews.len()).await? {
                if reviews.len() == limit {
                    return Ok(ListReviewsOutcome::Reviews { reviews, next });
                }
                next = Some(cursor);
                reviews.push(review);
            }
        }
        Ok(ListReviewsOutcome::Reviews { reviews, next: None })
    }

    async fn reviews_of(
        &self,
        sale: &SaleId,
        status: ReviewStatus,
        after: Option<&ListCursor>,
        limit: usize,
    ) -> Result<Vec<(ListCursor, Review)>, Failure> {
        let keys = SaleKeys(sale);
        let index = match status {
            ReviewStatus::Open => keys.open_reviews(),
            ReviewStatus::Resolved => keys.resolved(),
        };
        let call = ScriptCall::of(Op::ListReviews).key(index).key(keys.review_records());
        let (word, mut reply) = self.runner.call(call.after(after).number(limit as u64)).await?;
        if word != "reviews" {
            return Err(unknown_word(Op::ListReviews, &word));
        }
        let mut found = Vec::new();
        while !reply.is_empty() {
            let (key, ms) = (reply.text()?, reply.int()?);
            let review = record::review::review(self.ids(), sale, &key, &reply.text()?)?;
            found.push((ListCursor { sale: sale.clone(), ms, key }, review));
        }
        Ok(found)
    }
}
