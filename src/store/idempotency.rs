//! Idempotency: a hash names a key in Redis, and a fingerprint says what the key was used for.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::record;
use crate::domain::{
    hold::HoldCommand,
    ids::ProductId,
    payment::{PaymentEvent, PaymentId, StatedAmount, Target},
    text::IdempotencyKey,
};

/// The use of a key. The same text may be the key of a hold and of a change of stock.
#[derive(Clone, Copy, Debug)]
pub enum Use {
    Hold,
    Restock,
}

/// The name of the key in Redis: 120 bits.
pub fn hash(used_for: Use, key: &IdempotencyKey) -> String {
    let kind = match used_for {
        Use::Hold => "hold",
        Use::Restock => "restock",
    };
    digest([kind, key.as_str()], 15)
}

/// What a hold asks for: 72 bits, the same for every spelling of the same command.
pub fn fingerprint_of_hold(command: &HoldCommand) -> String {
    let mut parts: Vec<String> =
        command.lines.as_slice().iter().map(|l| format!("{}={}", l.product, l.quantity.get())).collect();
    parts.push(command.customer.as_ref().map_or_else(String::new, |c| format!("customer {}", c.as_str())));
    parts.push(command.hold_ms.map_or_else(String::new, |ms| format!("for {ms}")));
    parts.extend(command.metadata.as_ref().map(|metadata| record::metadata_line(&metadata.by_key())));
    digest(parts.iter().map(String::as_str), 9)
}

/// What a change of stock asks for: 72 bits.
pub fn fingerprint_of_restock(product: ProductId, how: &str, units: &str) -> String {
    digest([product.to_string().as_str(), how, units], 9)
}

/// The name of an event in Redis. Providers use one id for all states of a payment, so the status belongs to the name.
pub fn hash_of_event(event: &PaymentEvent) -> String {
    digest(["payment", event.key.as_str(), event.status.as_str()], 15)
}

/// The parts of an event that the service understands. Other fields may differ when a provider sends the event again.
pub fn fingerprint_of_event(event: &PaymentEvent) -> String {
    let (order, hold) = match &event.target {
        None => ("", ""),
        Some(Target::Order(order)) => (order.as_str(), ""),
        Some(Target::Hold(hold)) => ("", hold.as_str()),
        Some(Target::Both { order, hold }) => (order.as_str(), hold.as_str()),
    };
    let payment = event.payment.as_ref().map_or("", |p| p.as_str());
    let refund = event.refund.as_ref().map_or("", |r| r.as_str());
    let currency = event.currency.map_or("", |c| c.code());
    digest([event.status.as_str(), order, hold, payment, refund, &stated(&event.amount), currency], 9)
}

fn stated(amount: &StatedAmount) -> String {
    match amount {
        StatedAmount::NotGiven => String::new(),
        StatedAmount::Is(amount) => amount.ten_thousandths().to_string(),
        StatedAmount::NotUnderstood(raw) => format!("unclear {raw}"),
    }
}

/// The name of a payment in the directory of payments: 120 bits.
pub fn hash_of_payment(payment: &PaymentId) -> String {
    digest(["payment", payment.as_str()], 15)
}

/// The first 18 characters of the key of the review of a payment that names nothing of ours.
pub fn unmatched_review_of(payment: &PaymentId) -> String {
    first_of_review(digest(["review", "payment", payment.as_str()], 15))
}

/// The same for an event, which need not name its payment.
pub fn unmatched_review_key(event: &PaymentEvent) -> String {
    event.payment.as_ref().map_or_else(
        || first_of_review(digest(["review", "event", event.key.as_str(), event.status.as_str()], 15)),
        unmatched_review_of,
    )
}

fn first_of_review(mut digest: String) -> String {
    digest.truncate(18);
    digest
}

fn digest<'a>(parts: impl IntoIterator<Item = &'a str>, bytes: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..bytes])
}
