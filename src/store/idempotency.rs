//! Idempotency: a hash names a key in Redis, and a fingerprint says what the key was used for.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::domain::{
    hold::HoldCommand,
    ids::ProductId,
    payment::{PaymentEvent, PaymentStatus, StatedAmount, Target},
    text::IdempotencyKey,
};

/// The use of a key. The same text may be the key of a hold and of a payment event.
#[derive(Clone, Copy, Debug)]
pub enum Use {
    Hold,
    Payment,
    Restock,
}

/// The name of the key in Redis: 120 bits.
pub fn hash(used_for: Use, key: &IdempotencyKey) -> String {
    let kind = match used_for {
        Use::Hold => "hold",
        Use::Payment => "payment",
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
    digest(parts.iter().map(String::as_str), 9)
}

/// What a change of stock asks for: 72 bits.
pub fn fingerprint_of_restock(product: ProductId, how: &str, units: &str) -> String {
    digest([product.to_string().as_str(), how, units], 9)
}

/// The parts of an event that the service understands. Other fields may differ when a provider sends the event again.
pub fn fingerprint_of_event(event: &PaymentEvent) -> String {
    let (order, hold) = match &event.target {
        None => (with_doubt("", event), String::new()),
        Some(Target::Order(order)) => (with_doubt(order, event), String::new()),
        Some(Target::Hold(hold)) => (String::new(), with_doubt(hold, event)),
        Some(Target::Both { order, hold }) => (order.clone(), with_doubt(hold, event)),
    };
    let amount = event.amount.known().map_or_else(String::new, |a| a.ten_thousandths().to_string());
    let payment = event.payment.as_ref().map_or("", |p| p.as_str());
    let currency = event.currency.map_or("", |c| c.code());
    digest([event.status.as_str(), &order, &hold, payment, &amount, currency], 9)
}

/// An id that an event names, followed by its amount where that was not understood.
pub fn with_doubt(id: &str, event: &PaymentEvent) -> String {
    match &event.amount {
        StatedAmount::NotUnderstood(raw) => format!("{id} ({raw})"),
        StatedAmount::NotGiven | StatedAmount::Is(_) => id.to_owned(),
    }
}

/// The key of the review that an event would open. All events about one payment share a review. An event without a payment
/// id has its own. A payment may be refunded in parts, so a refund's key includes its amount. `about` is the key of the
/// hold, or the foreign id, that the event names.
pub fn review_key(about: &str, event: &PaymentEvent) -> String {
    match &event.payment {
        Some(payment) if event.status == PaymentStatus::Refunded => {
            let amount = event.amount.known().map_or_else(String::new, |a| a.ten_thousandths().to_string());
            let currency = event.currency.map_or("", |c| c.code());
            digest(["payment", about, event.status.as_str(), payment.as_str(), &amount, currency], 15)
        }
        Some(payment) => digest(["payment", about, event.status.as_str(), payment.as_str()], 15),
        None => digest(["event", about, event.status.as_str(), event.key.as_str()], 15),
    }
}

fn digest<'a>(parts: impl IntoIterator<Item = &'a str>, bytes: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..bytes])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::payment::PaymentId;

    #[test]
    fn an_event_whose_amount_is_not_understood_has_the_fingerprint_that_earlier_versions_stored() {
        let event = |id: &str, amount| PaymentEvent {
            key: IdempotencyKey::parse("evt_1").unwrap(),
            status: PaymentStatus::Paid,
            target: Some(Target::Order(id.to_owned())),
            payment: PaymentId::parse("pi_1"),
            amount,
            currency: None,
            goods: None,
            refund: None,
            sent_seconds: None,
        };
        let raw = "payment_intent.succeeded of 5000 ZZZ".to_owned();
        let stored = event("order_p1_x (payment_intent.succeeded of 5000 ZZZ)", StatedAmount::NotGiven);
        let event = event("order_p1_x", StatedAmount::NotUnderstood(raw));
        assert_eq!(fingerprint_of_event(&event), fingerprint_of_event(&stored));
    }
}
