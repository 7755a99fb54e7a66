//! Payments of an order.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{order::OrderRow, review::ReviewBody};
use crate::domain::{
    money::{Amount, Currency},
    order::Order,
    payment::{Dispute, Payment, PaymentId},
    review::Review,
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
        }
    }
}

/// A payment, the order that it is about, and all reviews about it, the oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FoundPaymentBody<'a> {
    pub payment_id: Cow<'a, str>,
    /// Null: it names nothing of ours, or the record of its order is gone.
    pub order: Option<OrderRow<'a>>,
    pub reviews: Vec<ReviewBody<'a>>,
}

impl<'a> FoundPaymentBody<'a> {
    pub fn of(payment: &'a PaymentId, order: Option<&'a Order>, reviews: &'a [Review]) -> Self {
        let reviews = reviews.iter().map(ReviewBody::of).collect();
        Self { payment_id: payment.as_str().into(), order: order.map(OrderRow::of), reviews }
    }
}
