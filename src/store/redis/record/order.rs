//! Orders, as `lua/lib/book.lua` writes them.

use super::{Failure, Fields, currency, customer, heard::Heard, line, metadata, payment::payments, ten_thousandths};
use crate::{
    domain::{
        hold::PricedLine,
        ids::HoldId,
        money::{Amount, Currency},
        order::{Order, OrderStatus},
        payment::PaymentId,
        text::CustomerId,
    },
    store::ids::IdSigner,
};

/// The status that an order is stored with. Whether one that waits has lapsed follows from the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredStatus {
    Pending,
    InReview,
    Paid,
    Cancelled,
    RefundRequired,
    Refunded,
}

impl StoredStatus {
    fn read(word: &str) -> Result<Self, Failure> {
        Ok(match word {
            "pending" => Self::Pending,
            "in_review" => Self::InReview,
            "paid" => Self::Paid,
            "cancelled" => Self::Cancelled,
            "refund_required" => Self::RefundRequired,
            "refunded" => Self::Refunded,
            word => return Err(Failure::unreadable(format!("the order status {word:?}"))),
        })
    }

    fn at(self, now_ms: i64, payment_due_ms: i64) -> OrderStatus {
        match self {
            Self::Pending if now_ms > payment_due_ms => OrderStatus::Expired,
            Self::Pending => OrderStatus::Pending,
            // Nobody decided in time, so the money must go back.
            Self::InReview if now_ms > payment_due_ms => OrderStatus::RefundRequired,
            Self::InReview => OrderStatus::InReview,
            Self::Paid => OrderStatus::Paid,
            Self::Cancelled => OrderStatus::Cancelled,
            Self::RefundRequired => OrderStatus::RefundRequired,
            Self::Refunded => OrderStatus::Refunded,
        }
    }
}

/// What every order has: the first line of its text.
pub struct Head {
    pub status: StoredStatus,
    pub created_ms: i64,
    pub due_ms: i64,
    hold_deadline_ms: Option<i64>,
    pub lines: Vec<PricedLine>,
    currency: Option<Currency>,
    pub customer: Option<CustomerId>,
}

impl Head {
    /// `paid 1795716624000 600000 480000 1=2@500000 USD customer-7`
    fn read(text: &str) -> Result<Self, Failure> {
        // Without the text, because the log must not name a customer.
        let unreadable = || Failure::unreadable("the head of an order");
        let mut parts = text.splitn(7, ' ');
        let mut next = || parts.next().ok_or_else(unreadable);
        let instant = |text: &str| text.parse::<i64>().map_err(|_| unreadable());
        let status = StoredStatus::read(next()?)?;
        let created_ms = instant(next()?)?;
        let later = |text: &str| created_ms.checked_add(instant(text)?).ok_or_else(unreadable);
        let due_ms = later(next()?)?;
        let hold_deadline_ms = Some(next()?).filter(|text| !text.is_empty()).map(later).transpose()?;
        let lines = priced_lines(next()?)?;
        let currency = Some(next()?).filter(|code| !code.is_empty()).map(currency).transpose()?;
        let customer = parts.next().and_then(customer);
        Ok(Self { status, created_ms, due_ms, hold_deadline_ms, lines, currency, customer })
    }

    /// What its lines cost. `None` when there are none.
    fn total(&self) -> Result<Option<(Amount, Currency)>, Failure> {
        if self.lines.is_empty() {
            return Ok(None);
        }
        let cost = |line: &PricedLine| line.line.quantity.get().checked_mul(line.price.ten_thousandths());
        let sum = self.lines.iter().try_fold(0, |sum: u64, line| sum.checked_add(cost(line)?));
        let unreadable = || Failure::unreadable("lines of an order without a sum or a currency");
        let currency = self.currency.ok_or_else(unreadable)?;
        Ok(Some((Amount::from_ten_thousandths(sum.ok_or_else(unreadable)?), currency)))
    }
}

/// The head of an order, and the fields that only some orders have. `None` when the text is empty: there is no order.
///
/// # Errors
/// [`Failure::Unreadable`].
pub fn parts(text: &str) -> Result<Option<(Head, Fields)>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
    Ok(Some((Head::read(head)?, Fields::from_lines(rest)?)))
}

/// The status of an order at `now_ms`. `None` when there is no order.
pub fn status_if_any(now_ms: i64, text: &str) -> Result<Option<OrderStatus>, Failure> {
    Ok(parts(text)?.map(|(head, _)| head.status.at(now_ms, head.due_ms)))
}

/// The order that this hold became, as it is at `now_ms`. `None` when there is none.
pub fn order_if_any(ids: &IdSigner, hold: &HoldId, now_ms: i64, text: &str) -> Result<Option<Order>, Failure> {
    let read = || parts(text)?.map(|(head, fields)| read(ids, hold, now_ms, head, &fields)).transpose();
    read().map_err(|failure| failure.about(format!("order {}", ids.order_of(hold).as_str())))
}

/// [`order_if_any`], where there must be one.
pub fn order(ids: &IdSigner, hold: &HoldId, now_ms: i64, text: &str) -> Result<Order, Failure> {
    order_if_any(ids, hold, now_ms, text)?.ok_or_else(|| Failure::unreadable("an order without fields"))
}

fn read(ids: &IdSigner, hold: &HoldId, now_ms: i64, head: Head, fields: &Fields) -> Result<Order, Failure> {
    let mut events = Heard::read(fields)?;
    let mut payments = payments(fields)?;
    for payment in &mut payments {
        payment.events = events.take(payment.number);
    }
    Ok(Order {
        id: ids.order_of(hold),
        hold: hold.clone(),
        status: head.status.at(now_ms, head.due_ms),
        total: head.total()?,
        lines: head.lines,
        customer: head.customer,
        metadata: metadata(fields.get("metadata").unwrap_or_default())?,
        created_ms: head.created_ms,
        payment_due_ms: head.due_ms,
        paid_ms: fields.int_or_none("paid_at")?,
        payment: fields.get("payment").and_then(PaymentId::parse),
        payments,
        shop_events: events.take(Heard::SHOP),
        events_left_out: events.left_out,
        started_ms: fields.int_or_none("started_at")?,
        late: fields.get("late").is_some(),
        keeps_units_sold: fields.get("restocked") == Some("0"),
        hold_deadline_ms: head.hold_deadline_ms,
        now_ms,
    })
}

/// `1=2@500000,7=1@9900`
fn priced_lines(text: &str) -> Result<Vec<PricedLine>, Failure> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let priced = |part: &str| {
        let (head, price) = part.split_once('@').ok_or_else(|| Failure::unreadable("a line without a price"))?;
        Ok(PricedLine { line: line(head)?, sku: None, price: ten_thousandths(price)? })
    };
    text.split(',').map(priced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::SaleId;

    fn read_text(text: &str, now_ms: i64) -> Result<Order, Failure> {
        let ids = IdSigner::new(&[7; 32]);
        let hold = ids.hold(&SaleId::parse("p1").unwrap(), "abcdefghijkl");
        order(&ids, &hold, now_ms, text)
    }

    fn read_with_status(word: &str, now_ms: i64) -> Result<Order, Failure> {
        read_text(&format!("{word} 1000 4000 9000 1=2@500000 USD"), now_ms)
    }

    #[test]
    fn an_order_is_read_from_its_head_and_the_fields_below_it() {
        let order = read_text("paid 1000 4000 9000 1=2@500000,7=1@1 USD John Q. Smith\npaid_at\n3000", 0).unwrap();
        assert_eq!((order.created_ms, order.payment_due_ms, order.hold_deadline_ms), (1_000, 5_000, Some(10_000)));
        assert_eq!((order.lines.len(), order.paid_ms), (2, Some(3_000)));
        assert_eq!(order.total.map(|(sum, _)| sum), Some(Amount::from_ten_thousandths(1_000_001)));
        assert_eq!(order.customer, CustomerId::parse("John Q. Smith"));
    }

    #[test]
    fn money_for_a_hold_that_was_gone_makes_an_order_without_lines() {
        let order = read_text("pending 1000 -1   \nexpired_at\n1000", 1_000).unwrap();
        assert_eq!((order.status, order.payment_due_ms, order.hold_deadline_ms), (OrderStatus::Expired, 999, None));
        assert_eq!((order.lines.len(), order.total, order.customer), (0, None, None));
    }

    #[test]
    fn an_order_that_nobody_writes_cannot_be_read() {
        let large = i64::MAX;
        let [sum, late] = [format!("paid 1 1 1 1=9@{large} USD"), format!("paid {large} 1 1 1=1@1 USD")];
        for text in [
            "",
            "paid",
            "paid 1 1 1",
            "paid 1 1 1 1=1@1",
            "paid 1 1 1 1=1@1 ",
            "paid 1 1 1 1=1 USD",
            "paid 1 1 1 1=1@1 dollar",
            "paid x 1 1 1=1@1 USD",
            "paid 1 x 1 1=1@1 USD",
            "paid 1 1 x 1=1@1 USD",
            "paid 1  1 1=1@1 USD",
            &sum,
            &late,
            "paid 1 1 1 1=1@1 USD\npaid_at",
        ] {
            assert!(matches!(read_text(text, 0), Err(Failure::Unreadable(_))), "{text}");
        }
    }

    #[test]
    fn a_pending_order_expires_once_its_deadline_has_passed() {
        assert_eq!(read_with_status("pending", 5_000).unwrap().status, OrderStatus::Pending);
        assert_eq!(read_with_status("pending", 5_001).unwrap().status, OrderStatus::Expired);
        assert_eq!(read_with_status("paid", 5_001).unwrap().status, OrderStatus::Paid);
    }

    #[test]
    fn an_order_with_an_unknown_status_cannot_be_read() {
        for word in ["", "Paid", "expired", "shipped"] {
            let failure = read_with_status(word, 0).unwrap_err();
            assert!(matches!(&failure, Failure::Unreadable(_)), "{word}: {failure}");
            assert!(failure.to_string().contains("order_p1_abcdefghijkl"), "{failure}");
        }
    }
}
