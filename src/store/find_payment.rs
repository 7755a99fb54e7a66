//! `find_payment`: the orders that a payment is about, and the reviews about its money. It reads with other operations, and needs
//! no script of its own.

use super::{Failure, Store, idempotency, keep_unmatched::numbered};
use crate::domain::{
    order::Order,
    outcome::{FindOrderOutcome, FindPaymentOutcome},
    payment::PaymentId,
    review::{Review, ReviewId},
};

/// Reviews of one payment that an answer has at most, for each order and for what named none.
const REVIEWS_MAX: usize = 50;

impl Store {
    /// # Errors
    /// [`Failure`].
    pub async fn find_payment(&self, payment: &PaymentId) -> Result<FindPaymentOutcome, Failure> {
        let (mut orders, mut reviews) = (Vec::new(), self.unmatched_reviews(payment).await?);
        for order in self.orders_of_payment(payment).await? {
            reviews.extend(self.reviews_of_payment(&order, payment).await?);
            orders.push(order);
        }
        reviews.sort_by_key(|review| review.opened_ms);
        Ok(if orders.is_empty() && reviews.is_empty() {
            FindPaymentOutcome::PaymentNotFound
        } else {
            FindPaymentOutcome::Found { orders, reviews }
        })
    }

    /// The orders that events of this payment named, as far as they are remembered and kept.
    pub(super) async fn orders_of_payment(&self, payment: &PaymentId) -> Result<Vec<Order>, Failure> {
        let mut orders = Vec::new();
        for hold in self.holds_of_payment(payment).await? {
            if let FindOrderOutcome::Found(order) = self.find_order(&self.ids().order_of(&hold)).await? {
                orders.push(order);
            }
        }
        Ok(orders)
    }

    /// The latest review of each kind, and those that they name as the ones before.
    async fn reviews_of_payment(&self, order: &Order, payment: &PaymentId) -> Result<Vec<Review>, Failure> {
        let known = order.payments.iter().find(|known| known.id.as_ref() == Some(payment));
        let keys = known.into_iter().flat_map(|known| [&known.review, &known.dispute_review]).flatten();
        let mut next: Vec<ReviewId> = keys.filter_map(|key| ReviewId::new(order.hold.sale().clone(), key)).collect();
        let mut found = Vec::new();
        while let Some(id) = next.pop() {
            let Some(review) = self.find_review(&id).await?.filter(|_| found.len() < REVIEWS_MAX) else { continue };
            next.extend(review.previous.clone());
            found.push(review);
        }
        Ok(found)
    }

    async fn unmatched_reviews(&self, payment: &PaymentId) -> Result<Vec<Review>, Failure> {
        let first = idempotency::unmatched_review_of(payment);
        let mut found = Vec::new();
        for number in 0.. {
            let id = ReviewId::new(self.unmatched_sale.clone(), &numbered(&first, number));
            let Some(id) = id.filter(|_| found.len() < REVIEWS_MAX) else { break };
            let Some(review) = self.find_review(&id).await? else { break };
            found.push(review);
        }
        Ok(found)
    }
}
