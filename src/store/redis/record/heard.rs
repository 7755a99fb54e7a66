//! The events that an order heard, as `lua/lib/heard.lua` writes them: one field, with a tab before each event.

use super::{Failure, Fields};
use crate::domain::payment::{HeardEvent, PaymentStatus};

/// All of them, each with the number of its payment, in the order of their arrival.
pub struct Heard {
    events: Vec<(u64, HeardEvent)>,
    pub left_out: u64,
}

impl Heard {
    /// The number of what is of no payment, because the shop itself said it.
    pub const SHOP: u64 = 0;

    pub fn read(fields: &Fields) -> Result<Self, Failure> {
        let (mut kept, mut left_out) = (Vec::new(), 0);
        let values = fields.get("heard").unwrap_or("");
        for (n, value) in values.split('\t').enumerate().skip(1) {
            if let Some(more) = value.strip_prefix('+') {
                left_out = more.parse().map_err(|_| unreadable(value))?;
            } else {
                let (payment, event) = event(value).ok_or_else(|| unreadable(value))?;
                kept.push((event.received_ms, n, payment, event));
            }
        }
        // Events that were kept as unmatched came before others that the order heard earlier.
        kept.sort_unstable_by_key(|(received_ms, n, ..)| (*received_ms, *n));
        Ok(Self { events: kept.into_iter().map(|(_, _, payment, event)| (payment, event)).collect(), left_out })
    }

    /// Those of the payment with this number.
    pub fn take(&mut self, number: u64) -> Vec<HeardEvent> {
        self.events.extract_if(.., |(payment, _)| *payment == number).map(|(_, event)| event).collect()
    }
}

/// `t8v5mo p2= evt_1`
fn event(value: &str) -> Option<(u64, HeardEvent)> {
    let mut parts = value.splitn(3, ' ');
    let (second, what, id) = (parts.next()?, parts.next()?, parts.next()?);
    let status = status(what.chars().next()?)?;
    let (number, is_new) = what[1..].strip_suffix('=').map_or((&what[1..], true), |number| (number, false));
    let number = if number.is_empty() { 1 } else { number.parse().ok()? };
    let received_ms = i64::from_str_radix(second, 36).ok()?.checked_mul(1_000)?;
    Some((number, HeardEvent { status, id: id.to_owned(), received_ms, is_new }))
}

fn status(letter: char) -> Option<PaymentStatus> {
    Some(match letter {
        'p' => PaymentStatus::Paid,
        'i' => PaymentStatus::Processing,
        'f' => PaymentStatus::Failed,
        'c' => PaymentStatus::Cancelled,
        'r' => PaymentStatus::Refunded,
        'u' => PaymentStatus::RefundFailed,
        'd' => PaymentStatus::Disputed,
        'w' => PaymentStatus::DisputeWon,
        'l' => PaymentStatus::DisputeLost,
        _ => return None,
    })
}

fn unreadable(value: &str) -> Failure {
    Failure::unreadable(format!("{value:?} among the events that an order heard"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(record: &str) -> Result<Heard, Failure> {
        Heard::read(&Fields::from_lines(record).unwrap())
    }

    #[test]
    fn events_are_read_by_their_payment_in_the_order_in_which_they_came() {
        let mut heard = read("status\npaid\nheard\n\t10 c0 e2\t10 p e9\t10 r2= e 10\tz p2 e11\t+3").unwrap();
        let event =
            |status, id: &str, received_ms, is_new| HeardEvent { status, id: id.to_owned(), received_ms, is_new };
        assert_eq!(heard.take(1), [event(PaymentStatus::Paid, "e9", 36_000, true)]);
        assert_eq!(
            heard.take(2),
            [event(PaymentStatus::Paid, "e11", 35_000, true), event(PaymentStatus::Refunded, "e 10", 36_000, false)]
        );
        assert_eq!(heard.take(Heard::SHOP), [event(PaymentStatus::Cancelled, "e2", 36_000, true)]);
        assert_eq!((heard.events.len(), heard.left_out), (0, 3));
    }

    #[test]
    fn events_that_nobody_writes_cannot_be_read() {
        for value in ["", "10", "10 p", "10 x e", "10  e", "- p e", "10 p2x e", "zzzzzzzzzzzzz p e", "10 é e"] {
            assert!(matches!(read(&format!("heard\n\t{value}")), Err(Failure::Unreadable(_))), "{value:?}");
        }
        assert!(read("heard\n\t10 p e\t+many").is_err());
    }
}
