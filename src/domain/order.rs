//! Orders: holds that were converted.

use super::{
    hold::PricedLine,
    ids::{HoldId, OrderId},
    metadata::Metadata,
    money::{Amount, Currency},
    payment::{HeardEvent, Payment, PaymentId},
    text::CustomerId,
};

/// `Expired` is never stored. A pending order is expired once its payment deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    Pending,
    /// A payment came that does not fit. The units stay with the buyer until a person decides, or the deadline passes.
    InReview,
    Paid,
    Cancelled,
    Expired,
    RefundRequired,
    Refunded,
}

impl OrderStatus {
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::InReview,
        Self::Paid,
        Self::Cancelled,
        Self::Expired,
        Self::RefundRequired,
        Self::Refunded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InReview => "in_review",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::RefundRequired => "refund_required",
            Self::Refunded => "refunded",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// Where the money of a payment is, or how far the payment came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStanding {
    PaysOrder,
    /// All of it went back.
    Refunded,
    /// An open review asks for it.
    InReview,
    /// It had a review, which a person or a later event resolved.
    Reviewed,
    /// It is in none of these places, which the audit reports.
    Lost,
    /// The buyer is paying.
    InFlight,
    Ended,
    Declined,
    NotCaptured,
}

impl PaymentStanding {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PaysOrder => "pays_order",
            Self::Refunded => "refunded",
            Self::InReview => "in_review",
            Self::Reviewed => "reviewed",
            Self::Lost => "lost",
            Self::InFlight => "in_flight",
            Self::Ended => "ended",
            Self::Declined => "declined",
            Self::NotCaptured => "not_captured",
        }
    }
}

/// Who cancels an order, apart from its payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelledBy {
    Customer,
    Admin,
}

impl CancelledBy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Admin => "admin",
        }
    }
}

/// An order as it is now. Times are epoch milliseconds of the Redis clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    pub hold: HoldId,
    pub status: OrderStatus,
    /// Empty when a payment came for a hold that was gone: its lines are no longer stored.
    pub lines: Vec<PricedLine>,
    /// The sum and its currency. `None` when there are no lines.
    pub total: Option<(Amount, Currency)>,
    pub customer: Option<CustomerId>,
    /// That of its hold.
    pub metadata: Option<Metadata>,
    pub created_ms: i64,
    /// Until when it waits for its payment, or in review for a person.
    pub payment_due_ms: i64,
    pub paid_ms: Option<i64>,
    /// The provider's id of the payment that paid. `None` when none did, or it has no id.
    pub payment: Option<PaymentId>,
    /// All payments that are known of it, by their ids.
    pub payments: Vec<Payment>,
    /// What the shop itself said of the order: events of no payment that it failed or is cancelled.
    pub shop_events: Vec<HeardEvent>,
    /// Events that came after so many that the order keeps no more of them.
    pub events_left_out: u64,
    /// When the buyer began to pay, which moved the deadline.
    pub started_ms: Option<i64>,
    /// Paid after its deadline, with units that were still there.
    pub late: bool,
    /// A refund left its units sold.
    pub keeps_units_sold: bool,
    /// The deadline of the hold that became this order. `None` when the hold was gone.
    pub hold_deadline_ms: Option<i64>,
    /// The time of the answer.
    pub now_ms: i64,
}

/// Where a product counts the units of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedAs {
    Pending,
    Sold,
}

impl CountedAs {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sold => "sold",
        }
    }
}

/// The sums over the payments of an order, all in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderMoney {
    /// That of the order. Where its total is not known, that of its payments.
    pub currency: Option<Currency>,
    /// `None` when nothing was captured, or no event says how much.
    pub captured: Option<Amount>,
    pub refunded: Option<Amount>,
    /// What is left of the captured money. `None` where nobody knows it.
    pub net: Option<Amount>,
}

impl Order {
    /// `None`: the units came back.
    pub fn counted_as(&self) -> Option<CountedAs> {
        match self.status {
            OrderStatus::Pending | OrderStatus::InReview => Some(CountedAs::Pending),
            OrderStatus::Paid => Some(CountedAs::Sold),
            OrderStatus::Refunded | OrderStatus::RefundRequired if self.keeps_units_sold => Some(CountedAs::Sold),
            OrderStatus::Refunded | OrderStatus::RefundRequired | OrderStatus::Cancelled | OrderStatus::Expired => None,
        }
    }

    /// Money in another currency than that of the order is not in it, because no rate is known.
    pub fn money(&self) -> OrderMoney {
        let own = self.total.map(|(_, currency)| currency);
        let currency = own.or_else(|| self.payments.iter().find_map(|payment| payment.currency));
        let counted: Vec<_> = self.payments.iter().filter(|payment| payment.currency.or(own) == currency).collect();
        let captured = || counted.iter().filter(|payment| payment.is_captured);
        OrderMoney {
            currency,
            captured: sum(captured().map(|payment| payment.captured)).filter(|_| captured().next().is_some()),
            refunded: sum(counted.iter().map(|payment| Some(payment.refunded_sum())))
                .filter(|sum| sum.ten_thousandths() > 0),
            net: sum(counted.iter().map(|payment| payment.net())),
        }
    }

    /// Whether this is the payment that pays it.
    pub fn is_paid_by(&self, payment: &Payment) -> bool {
        let is_free = self.total.is_some_and(|(total, _)| total.ten_thousandths() == 0);
        self.status == OrderStatus::Paid && !is_free && self.payment == payment.id
    }

    /// Where the money of one of its payments is. The audit counts the same (`lost_payments`).
    pub fn standing_of(&self, payment: &Payment, has_open_review: bool) -> PaymentStanding {
        let is_nothing = payment.captured.is_some_and(|captured| captured.ten_thousandths() == 0);
        if !payment.is_captured {
            return match payment {
                Payment { ended: true, .. } => PaymentStanding::Ended,
                Payment { in_flight: true, .. } => PaymentStanding::InFlight,
                Payment { declined: true, .. } => PaymentStanding::Declined,
                _ => PaymentStanding::NotCaptured,
            };
        }
        match () {
            () if payment.is_refunded() => PaymentStanding::Refunded,
            () if self.is_paid_by(payment) => PaymentStanding::PaysOrder,
            () if has_open_review => PaymentStanding::InReview,
            () if payment.review.is_some() || payment.dispute_review.is_some() => PaymentStanding::Reviewed,
            () if is_nothing => PaymentStanding::NotCaptured,
            () => PaymentStanding::Lost,
        }
    }
}

/// `None` when one of them is not known.
fn sum(mut amounts: impl Iterator<Item = Option<Amount>>) -> Option<Amount> {
    let sum = amounts.try_fold(0, |sum, amount| Some(sum + amount?.ten_thousandths()));
    sum.map(Amount::from_ten_thousandths)
}
