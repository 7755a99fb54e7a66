//! The orders that a reader wants.

use super::{
    ids::{ProductId, SaleId},
    order::{Order, OrderStatus},
    payment::PaymentId,
    period::Period,
    text::CustomerId,
};

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
        self.sale.as_ref().is_none_or(|sale| order.hold.sale() == sale)
            && self.status.is_none_or(|status| order.status == status)
            && self.customer.as_ref().is_none_or(|customer| order.customer.as_ref() == Some(customer))
            && self.product.is_none_or(|product| order.lines.iter().any(|line| line.line.product == product))
            && self.payment.as_ref().is_none_or(|id| order.payments.iter().any(|known| known.id.as_ref() == Some(id)))
            && self.period.has(order.created_ms)
    }
}
