//! Payments of an order.

use std::{borrow::Cow, collections::HashSet};

use serde::{Deserialize, Serialize};

use super::{order::OrderRow, review::ReviewBody, time::rfc3339};
use crate::domain::{
    money::{Amount, Currency},
    order::Order,
    payment::{Dispute, HeardEvent, Payment, PaymentId},
    review::{Review, ReviewId},
    text::CustomerId,
};

/// What is known of one payment. These are facts from all its events. They say nothing about the order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "facts, each on its own")]
pub struct PaymentBody<'a> {
    /// Null: the payment of the events that name none.
    pub payment_id: Option<Cow<'a, str>>,
    /// `null` when nothing was captured, or no event says how much.
    pub captured_amount: Option<String>,
    pub refunded_amount: Option<String>,
    pub currency: Option<Cow<'a, str>>,
    pub captured: bool,
    pub in_flight: bool,
    pub declined: bool,
    pub ended: bool,
    /// `open`, `won` or `lost`.
    pub dispute: Option<Cow<'a, str>>,
    pub refunds: Vec<RefundBody<'a>>,
    /// What was heard of it, in the order of arrival.
    pub events: Vec<HeardEventBody<'a>>,
}

/// An event that an order heard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeardEventBody<'a> {
    /// A word of ours: `paid`, `refunded`, ...
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    pub event_id: Cow<'a, str>,
    pub received_at: String,
    /// It said nothing that was not known, such as a second event of the provider about the same.
    pub repeats: bool,
}

impl<'a> HeardEventBody<'a> {
    pub fn of(event: &'a HeardEvent) -> Self {
        Self {
            kind: event.status.as_str().into(),
            event_id: Cow::Borrowed(&event.id),
            received_at: rfc3339(event.received_ms),
            repeats: !event.is_new,
        }
    }
}

/// A refund that has an id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefundBody<'a> {
    pub refund_id: Cow<'a, str>,
    pub amount: String,
    /// It did not arrive after all.
    pub failed: bool,
}

impl<'a> PaymentBody<'a> {
    /// `currency` is that of the order.
    pub fn of(payment: &'a Payment, currency: Option<&Currency>) -> Self {
        let currency = payment.currency.as_ref().or(currency);
        let refunded = Some(payment.refunded_sum()).filter(|sum| sum.ten_thousandths() > 0);
        let written = |amount: Amount| amount.written(currency);
        Self {
            payment_id: payment.id.as_ref().map(PaymentId::as_str).map(Cow::Borrowed),
            captured_amount: payment.captured.map(written),
            refunded_amount: refunded.map(written),
            currency: currency.map(|currency| currency.code().into()),
            captured: payment.is_captured,
            in_flight: payment.in_flight && !payment.ended && !payment.is_captured,
            declined: payment.declined,
            ended: payment.ended,
            dispute: payment.dispute.map(Dispute::as_str).map(Cow::Borrowed),
            refunds: payment
                .refunds
                .iter()
                .map(|refund| RefundBody {
                    refund_id: Cow::Borrowed(&refund.id),
                    amount: written(refund.amount),
                    failed: refund.failed,
                })
                .collect(),
            events: payment.events.iter().map(HeardEventBody::of).collect(),
        }
    }
}

/// A payment, the orders that its events named, and all reviews about it, the oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FoundPaymentBody<'a> {
    pub payment_id: Cow<'a, str>,
    /// Nearly always one. Empty: it names nothing of ours, or the record of its order is gone.
    pub orders: Vec<OrderRow<'a>>,
    pub reviews: Vec<ReviewBody<'a>>,
}

impl<'a> FoundPaymentBody<'a> {
    pub fn of(payment: &'a PaymentId, orders: &'a [Order], reviews: &'a [Review]) -> Self {
        let (orders, reviews) =
            (orders.iter().map(OrderRow::of).collect(), reviews.iter().map(ReviewBody::of).collect());
        Self { payment_id: payment.as_str().into(), orders, reviews }
    }
}

/// A payment in an export.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentRow<'a> {
    pub order_id: Cow<'a, str>,
    pub sale: Cow<'a, str>,
    pub order_created_at: String,
    pub order_status: Cow<'a, str>,
    pub customer_id: Option<Cow<'a, str>>,
    /// Null: the payment of the events that name none.
    pub payment_id: Option<Cow<'a, str>>,
    /// Where its money is, or how far it came.
    pub payment_status: Cow<'a, str>,
    pub captured_amount: Option<String>,
    pub refunded_amount: Option<String>,
    /// What is left of the captured money. Null where nobody knows it, because no event says how much was captured.
    pub net_amount: Option<String>,
    pub currency: Option<Cow<'a, str>>,
    /// `open`, `won` or `lost`.
    pub dispute: Option<Cow<'a, str>>,
    /// The open review about its money, and that about its dispute.
    pub review_id: Option<String>,
    pub dispute_review_id: Option<String>,
}

impl<'a> PaymentRow<'a> {
    /// A row for each payment of the order. `open` has the keys of open reviews.
    pub fn all_of(order: &'a Order, open: &HashSet<String>) -> impl Iterator<Item = Self> {
        order.payments.iter().map(move |payment| Self::of(order, payment, open))
    }

    fn of(order: &'a Order, payment: &'a Payment, open: &HashSet<String>) -> Self {
        let sale = order.hold.sale();
        let review = |key: &Option<String>| {
            let key = key.as_ref().filter(|key| open.contains(*key))?;
            Some(ReviewId::new(sale.clone(), key)?.to_string())
        };
        let (money, dispute) = (review(&payment.review), review(&payment.dispute_review));
        let order_currency = order.total.map(|(_, currency)| currency);
        let facts = PaymentBody::of(payment, order_currency.as_ref());
        Self {
            order_id: order.id.as_str().into(),
            sale: sale.name().into(),
            order_created_at: rfc3339(order.created_ms),
            order_status: order.status.as_str().into(),
            customer_id: order.customer.as_ref().map(CustomerId::as_str).map(Cow::Borrowed),
            payment_id: facts.payment_id,
            payment_status: order.standing_of(payment, money.is_some() || dispute.is_some()).as_str().into(),
            captured_amount: facts.captured_amount,
            refunded_amount: facts.refunded_amount,
            net_amount: payment.net().map(|net| net.written(payment.currency.as_ref().or(order_currency.as_ref()))),
            currency: facts.currency,
            dispute: facts.dispute,
            review_id: money,
            dispute_review_id: dispute,
        }
    }
}
