//! Reads the records of holds and orders as the scripts write them (`lua/lib/records.lua` has the grammar).

use super::{
    Failure, Store,
    reply::{Fields, Reply},
};
use crate::domain::{
    hold::{Line, Lines},
    ids::{HoldId, ProductId},
    money::{Amount, Currency},
    order::{Order, OrderStatus, PricedLine},
    quantity::Quantity,
    text::CustomerId,
};

impl Store {
    /// The order that this hold became, from the rest of a reply: now, and its fields.
    pub(super) fn read_order(&self, hold: &HoldId, reply: &mut Reply) -> Result<Order, Failure> {
        self.read_order_if_any(hold, reply)?.ok_or_else(|| Failure::unreadable("an order without fields"))
    }

    pub(super) fn read_order_if_any(&self, hold: &HoldId, reply: &mut Reply) -> Result<Option<Order>, Failure> {
        let now_ms = reply.int()?;
        let fields = reply.list()?.fields()?;
        if fields.is_empty() {
            return Ok(None);
        }
        let payment_due_ms = fields.int("due")?;
        Ok(Some(Order {
            id: self.ids().order_of(hold),
            hold: hold.clone(),
            status: status(fields.text("status")?, now_ms > payment_due_ms)?,
            lines: priced_lines(fields.text("lines")?)?,
            total: total(&fields)?,
            customer: customer(fields.text("customer")?),
            created_ms: fields.int("created")?,
            payment_due_ms,
            paid_ms: fields.int_or_none("paid_at")?,
            late: fields.get("late").is_some(),
            hold_deadline_ms: fields.int_or_none("hold_deadline")?,
            now_ms,
        }))
    }
}

/// `1=2,7=1`
pub(super) fn lines(text: &str) -> Result<Lines, Failure> {
    let lines = text.split(',').map(line).collect::<Result<Vec<_>, _>>()?;
    Lines::new(lines).map_err(|error| Failure::unreadable(error.to_string()))
}

pub(super) fn customer(text: &str) -> Option<CustomerId> {
    CustomerId::parse(text)
}

fn line(text: &str) -> Result<Line, Failure> {
    let read = || {
        let (product, units) = text.split_once('=')?;
        Some(Line { product: ProductId::parse(product)?, quantity: Quantity::new(units.parse().ok()?)? })
    };
    read().ok_or_else(|| Failure::unreadable("a line of a hold"))
}

/// `1=2@500000,7=1@9900`
fn priced_lines(text: &str) -> Result<Vec<PricedLine>, Failure> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let priced = |part: &str| {
        let (head, price) = part.split_once('@').ok_or_else(|| Failure::unreadable("a line without a price"))?;
        let price = price.parse().map_err(|_| Failure::unreadable("a price"))?;
        Ok(PricedLine { line: line(head)?, price: Amount::from_ten_thousandths(price) })
    };
    text.split(',').map(priced).collect()
}

fn total(fields: &Fields) -> Result<Option<(Amount, Currency)>, Failure> {
    let Some(sum) = fields.int_or_none("total")? else { return Ok(None) };
    let amount = u64::try_from(sum).map_err(|_| Failure::unreadable("a total"))?;
    Ok(Some((Amount::from_ten_thousandths(amount), currency(fields.text("currency")?)?)))
}

pub(super) fn currency(code: &str) -> Result<Currency, Failure> {
    Currency::parse(code).ok_or_else(|| Failure::unreadable("a currency"))
}

fn status(word: &str, due_has_passed: bool) -> Result<OrderStatus, Failure> {
    Ok(match word {
        "pending" if due_has_passed => OrderStatus::Expired,
        "pending" => OrderStatus::Pending,
        "paid" => OrderStatus::Paid,
        "cancelled" => OrderStatus::Cancelled,
        "refund_required" => OrderStatus::RefundRequired,
        "refunded" => OrderStatus::Refunded,
        _ => return Err(Failure::unreadable("an order status")),
    })
}
