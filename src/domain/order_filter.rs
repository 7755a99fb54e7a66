//! The orders that a reader wants.

use super::{
    ids::{ProductId, SaleId},
    order::{Order, OrderStatus},
    payment::PaymentId,
    text::CustomerId,
};

/// A part of time: from `since_ms` until just before `until_ms`. `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
}

impl Period {
    pub fn contains(&self, ms: i64) -> bool {
        self.since_ms.is_none_or(|since| ms >= since) && !self.is_over_at(ms)
    }

    /// Whether it ends before it begins, which is a mistake.
    pub fn is_reversed(&self) -> bool {
        self.since_ms.zip(self.until_ms).is_some_and(|(since, until)| since > until)
    }

    pub fn is_over_at(&self, ms: i64) -> bool {
        self.until_ms.is_some_and(|until| ms >= until)
    }
}

/// What an order must be to be listed. `None`: anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    pub sale: Option<SaleId>,
    pub status: Option<OrderStatus>,
    pub customer: Option<CustomerId>,
    /// One of its lines is of this product.
    pub product: Option<ProductId>,
    /// One of its payments has this id.
    pub payment: Option<PaymentId>,
    /// It was made then.
    pub period: Period,
}

impl OrderFilter {
    pub fn accepts(&self, order: &Order) -> bool {
        self.sale.as_ref().is_none_or(|sale| order.hold.sale().name() == sale.as_str())
            && self.status.is_none_or(|status| order.status == status)
            && self.customer.as_ref().is_none_or(|customer| order.customer.as_ref() == Some(customer))
            && self.product.is_none_or(|product| order.lines.iter().any(|line| line.line.product == product))
            && self.payment.as_ref().is_none_or(|id| order.payments.iter().any(|known| known.id.as_ref() == Some(id)))
            && self.period.contains(order.created_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::Period;

    #[test]
    fn a_period_has_its_first_instant_and_not_its_last() {
        let contains = |since_ms, until_ms| [9, 10, 19, 20].map(|ms| Period { since_ms, until_ms }.contains(ms));
        assert_eq!(contains(Some(10), Some(20)), [false, true, true, false]);
        assert_eq!(contains(Some(10), None), [false, true, true, true]);
        assert_eq!(contains(None, Some(10)), [true, false, false, false]);
        assert_eq!(contains(Some(10), Some(10)), [false; 4]);
    }
}
