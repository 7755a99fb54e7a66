//! Orders, as `lua/lib/orders.lua` and `lua/settle.lua` write them.

use super::{Failure, Fields, currency, customer, heard::Heard, line, metadata, payment::payments, ten_thousandths};
use crate::{
    domain::{
        hold::PricedLine,
        ids::HoldId,
        money::{Amount, Currency},
        order::{Order, OrderStatus},
        payment::PaymentId,
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
    pub fn read(fields: &Fields) -> Result<Self, Failure> {
        Ok(match fields.text("status")? {
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

/// The status of an order at `now_ms`. `None` when there are no fields.
pub fn status_if_any(now_ms: i64, fields: &Fields) -> Result<Option<OrderStatus>, Failure> {
    if fields.is_empty() {
        return Ok(None);
    }
    Ok(Some(StoredStatus::read(fields)?.at(now_ms, fields.int("due")?)))
}

/// The order that this hold became, as it is at `now_ms`. `None` when there are no fields.
pub fn order_if_any(ids: &IdSigner, hold: &HoldId, now_ms: i64, fields: &Fields) -> Result<Option<Order>, Failure> {
    if fields.is_empty() {
        return Ok(None);
    }
    let order = read(ids, hold, now_ms, fields);
    order.map(Some).map_err(|failure| failure.about(format!("order {}", ids.order_of(hold).as_str())))
}

/// [`order_if_any`], where there must be one.
pub fn order(ids: &IdSigner, hold: &HoldId, now_ms: i64, fields: &Fields) -> Result<Order, Failure> {
    order_if_any(ids, hold, now_ms, fields)?.ok_or_else(|| Failure::unreadable("an order without fields"))
}

fn read(ids: &IdSigner, hold: &HoldId, now_ms: i64, fields: &Fields) -> Result<Order, Failure> {
    let payment_due_ms = fields.int("due")?;
    let mut heard = Heard::read(fields)?;
    let mut payments = payments(fields)?;
    for payment in &mut payments {
        payment.events = heard.take(payment.number);
    }
    Ok(Order {
        id: ids.order_of(hold),
        hold: hold.clone(),
        status: StoredStatus::read(fields)?.at(now_ms, payment_due_ms),
        lines: priced_lines(fields.text("lines")?)?,
        total: total(fields)?,
        customer: fields.get("customer").and_then(customer),
        metadata: metadata(fields.get("metadata").unwrap_or_default())?,
        created_ms: fields.int("created")?,
        payment_due_ms,
        paid_ms: fields.int_or_none("paid_at")?,
        payment: fields.get("payment").and_then(PaymentId::parse),
        payments,
        shop_events: heard.take(Heard::SHOP),
        events_left_out: heard.left_out,
        started_ms: fields.int_or_none("started_at")?,
        late: fields.get("late").is_some(),
        keeps_units_sold: fields.get("restocked") == Some("0"),
        hold_deadline_ms: fields.int_or_none("hold_deadline")?,
        now_ms,
    })
}

/// `1=2@500000,7=1@9900`
pub fn priced_lines(text: &str) -> Result<Vec<PricedLine>, Failure> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let priced = |part: &str| {
        let (head, price) = part.split_once('@').ok_or_else(|| Failure::unreadable("a line without a price"))?;
        Ok(PricedLine { line: line(head)?, sku: None, price: ten_thousandths(price)? })
    };
    text.split(',').map(priced).collect()
}

fn total(fields: &Fields) -> Result<Option<(Amount, Currency)>, Failure> {
    let Some(sum) = fields.get("total") else { return Ok(None) };
    Ok(Some((ten_thousandths(sum)?, currency(fields.text("currency")?)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::SaleId;

    fn read_with_status(word: &str, now_ms: i64) -> Result<Order, Failure> {
        let ids = IdSigner::new(&[7; 32]);
        let hold = ids.hold(&SaleId::parse("p1").unwrap(), "abcdefghijkl");
        let record = format!("status\n{word}\ndue\n5000\nlines\n1=2@500000\ncustomer\n\ncreated\n1000");
        order(&ids, &hold, now_ms, &Fields::from_lines(&record).unwrap())
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
