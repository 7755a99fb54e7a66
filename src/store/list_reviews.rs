//! `list_reviews`: reviews page by page: sales by name, and the reviews of a sale by time. Reviews that are opened or
//! resolved meanwhile make no other review come twice or not at all.

use std::collections::HashSet;

use super::{Failure, Op, Reply, ScriptCall, Store, keys::SaleKeys, record, unknown_word};
use crate::domain::{
    cursor::ListCursor,
    ids::SaleId,
    order::Order,
    outcome::ListReviewsOutcome,
    review::{Review, ReviewStatus},
};

/// Reviews that one call asks about.
const ASKED_MAX: usize = 1_000;

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

    /// The keys of those reviews of the payments of these orders that are open. The orders are of one sale.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open_reviews(&self, orders: &[Order]) -> Result<HashSet<String>, Failure> {
        let payments = || orders.iter().flat_map(|order| &order.payments);
        let named: Vec<&str> = payments()
            .flat_map(|payment| [&payment.review, &payment.dispute_review])
            .flatten()
            .map(String::as_str)
            .collect();
        let Some(sale) = orders.first().map(|order| order.hold.sale()) else { return Ok(HashSet::new()) };
        let mut open = HashSet::new();
        for some in named.chunks(ASKED_MAX) {
            let ask = self.runner.plain(redis::cmd("ZMSCORE").arg(SaleKeys(sale).open_reviews()).arg(some)).await?;
            let mut reply = Reply::read(ask)?;
            for key in some {
                if reply.is_some()? {
                    open.insert((*key).to_owned());
                }
            }
        }
        Ok(open)
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
