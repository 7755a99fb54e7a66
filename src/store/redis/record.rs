//! Reads the records of holds, orders and reviews as the scripts write them (`lua/lib/records.lua` and
//! `lua/lib/reviews.lua` have the grammar).

use super::{error::Failure, reply::Fields};
use crate::domain::{
    hold::{Line, Lines},
    ids::{HoldId, IdSigner, ProductId, SaleId},
    money::{Amount, Currency},
    order::{Order, OrderStatus, PricedLine},
    payment::{PaymentId, PaymentStatus},
    quantity::Quantity,
    review::{Review, ReviewId, Subject},
    sale::Window,
    text::CustomerId,
};

/// The order that this hold became, as it stands at `now_ms`; `None` when there are no fields.
pub(in crate::store) fn order_if_any(
    ids: &IdSigner,
    hold: &HoldId,
    now_ms: i64,
    fields: &Fields,
) -> Result<Option<Order>, Failure> {
    if fields.is_empty() {
        return Ok(None);
    }
    let order = read_order(ids, hold, now_ms, fields);
    order.map(Some).map_err(|failure| failure.of(format!("order {}", ids.order_of(hold).as_str())))
}

fn read_order(ids: &IdSigner, hold: &HoldId, now_ms: i64, fields: &Fields) -> Result<Order, Failure> {
    let payment_due_ms = fields.int("due")?;
    Ok(Order {
        id: ids.order_of(hold),
        hold: hold.clone(),
        status: status(fields.text("status")?, now_ms > payment_due_ms)?,
        lines: priced_lines(fields.text("lines")?)?,
        total: total(fields)?,
        customer: customer(fields.text("customer")?),
        created_ms: fields.int("created")?,
        payment_due_ms,
        paid_ms: fields.int_or_none("paid_at")?,
        payment: fields.get("payment").and_then(PaymentId::parse),
        started_ms: fields.int_or_none("started_at")?,
        late: fields.get("late").is_some(),
        hold_deadline_ms: fields.int_or_none("hold_deadline")?,
        now_ms,
    })
}

/// As [`order_if_any`], where there must be one.
pub(in crate::store) fn order(ids: &IdSigner, hold: &HoldId, now_ms: i64, fields: &Fields) -> Result<Order, Failure> {
    order_if_any(ids, hold, now_ms, fields)?.ok_or_else(|| Failure::unreadable("an order without fields"))
}

/// A review of the sale, from its key and its lines.
pub(in crate::store) fn review(ids: &IdSigner, sale: &SaleId, key: &str, record: &str) -> Result<Review, Failure> {
    let mut lines = record.splitn(10, '\n');
    let mut next = || lines.next().ok_or_else(|| Failure::unreadable("a review"));
    let (reason, status, target, event, payment) = (next()?, next()?, next()?, next()?, next()?);
    let (amount, code, opened, resolved, note) = (next()?, next()?, next()?, next()?, next()?);
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let subject = if reason == "unmatched" {
        Subject::Unmatched(target.to_owned())
    } else {
        Subject::Order(ids.order_of(&ids.hold(sale, target)))
    };
    Ok(Review {
        id: ReviewId::new(sale.clone(), key).ok_or_else(|| Failure::unreadable("the id of a review"))?,
        reason: reason.to_owned(),
        status: PaymentStatus::parse(status).ok_or_else(|| Failure::unreadable("the event of a review"))?,
        subject,
        event: event.to_owned(),
        payment: some(payment),
        amount: some(amount).map(|digits| ten_thousandths(&digits)).transpose()?,
        currency: some(code).map(|code| currency(&code)).transpose()?,
        opened_ms: instant(opened)?,
        resolved_ms: some(resolved).map(|text| instant(&text)).transpose()?,
        note: some(note),
    })
}

/// When a sale takes holds, from its stored terms; empty: no start, no end. What says neither yes nor no is paused.
pub(in crate::store) fn window(starts: &str, ends: &str, paused: &str) -> Result<Window, Failure> {
    let some = |text: &str| (!text.is_empty()).then(|| instant(text)).transpose();
    Ok(Window { starts_ms: some(starts)?, ends_ms: some(ends)?, paused: !matches!(paused, "" | "0") })
}

/// `1=2,7=1`
pub(in crate::store) fn lines(text: &str) -> Result<Lines, Failure> {
    let lines = text.split(',').map(line).collect::<Result<Vec<_>, _>>()?;
    Lines::new(lines).map_err(|error| Failure::unreadable(error.to_string()))
}

pub(in crate::store) fn customer(text: &str) -> Option<CustomerId> {
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
pub(in crate::store) fn priced_lines(text: &str) -> Result<Vec<PricedLine>, Failure> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let priced = |part: &str| {
        let (head, price) = part.split_once('@').ok_or_else(|| Failure::unreadable("a line without a price"))?;
        Ok(PricedLine { line: line(head)?, price: ten_thousandths(price)? })
    };
    text.split(',').map(priced).collect()
}

fn total(fields: &Fields) -> Result<Option<(Amount, Currency)>, Failure> {
    let Some(sum) = fields.get("total") else { return Ok(None) };
    Ok(Some((ten_thousandths(sum)?, currency(fields.text("currency")?)?)))
}

fn ten_thousandths(digits: &str) -> Result<Amount, Failure> {
    let value = digits.parse().map_err(|_| Failure::unreadable("an amount"))?;
    Ok(Amount::from_ten_thousandths(value))
}

fn instant(digits: &str) -> Result<i64, Failure> {
    digits.parse().map_err(|_| Failure::unreadable("an instant"))
}

pub(in crate::store) fn currency(code: &str) -> Result<Currency, Failure> {
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
