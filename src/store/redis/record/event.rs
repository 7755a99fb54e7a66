//! Kinds of events, as the scripts write them into the log of a sale.

use super::Failure;
use crate::domain::event::EventKind;

pub fn kind(word: &str) -> Result<EventKind, Failure> {
    Ok(match word {
        "order.created" => EventKind::OrderCreated,
        "order.payment_started" => EventKind::OrderPaymentStarted,
        "order.in_review" => EventKind::OrderInReview,
        "order.paid" => EventKind::OrderPaid,
        "order.cancelled" => EventKind::OrderCancelled,
        "order.expired" => EventKind::OrderExpired,
        "order.refund_required" => EventKind::OrderRefundRequired,
        "order.refunded" => EventKind::OrderRefunded,
        "product.created" => EventKind::ProductCreated,
        "product.changed" => EventKind::ProductChanged,
        "product.restocked" => EventKind::ProductRestocked,
        "review.opened" => EventKind::ReviewOpened,
        "review.changed" => EventKind::ReviewChanged,
        "review.resolved" => EventKind::ReviewResolved,
        "sale.created" => EventKind::SaleCreated,
        "sale.changed" => EventKind::SaleChanged,
        "sale.repaired" => EventKind::SaleRepaired,
        word => return Err(Failure::unreadable(format!("the event type {word:?}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Catalogue;

    #[test]
    fn every_event_type_that_a_script_writes_can_be_read() {
        let mut found = std::collections::BTreeSet::new();
        for script in Catalogue::compiled().iter() {
            let code = script.source.lines().filter(|line| !line.starts_with("--"));
            let texts = code.flat_map(|line| line.split('\'').skip(1).step_by(2));
            let is_type =
                |text: &&str| ["order.", "product.", "review.", "sale."].iter().any(|of| text.starts_with(of));
            found.extend(texts.filter(is_type).map(str::to_owned));
        }
        for word in &found {
            assert!(kind(word).is_ok(), "{word}");
        }
        assert_eq!(found.len(), 17, "{found:?}");
    }

    #[test]
    fn an_unknown_event_type_cannot_be_read() {
        for word in ["", "order", "order.shipped", "Order.paid"] {
            assert!(matches!(kind(word), Err(Failure::Unreadable(_))), "{word}");
        }
    }
}
