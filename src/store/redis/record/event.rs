//! Events, as the scripts write them into the log of a sale: kinds, who acted, and the subject as it was before.

use super::{Failure, Fields, product, sale};
use crate::domain::{
    act::{Act, Actor, Reason},
    event::{About, EventKind},
    ids::SaleId,
};

/// The lines that a script adds to each event of an act, each behind a line end. `act` reads them.
pub fn act_lines(act: &Act) -> String {
    let line = |name: &str, text: Option<&str>| text.map_or_else(String::new, |text| format!("\n{name}\n{text}"));
    line("actor", act.actor()) + &line("reason", act.reason())
}

/// Who acted, and why. The text has no empty line.
pub fn act(fields: &Fields) -> Result<Act, Failure> {
    let lines = Fields::from_lines(fields.get("act").unwrap_or(""))?;
    let unreadable = || Failure::unreadable("who acted in an event");
    Ok(Act {
        actor: lines.get("actor").map(|name| Actor::parse(name).ok_or_else(unreadable)).transpose()?,
        reason: lines.get("reason").map(|text| Reason::parse(text).ok_or_else(unreadable)).transpose()?,
    })
}

/// The sale or product of an event before the change.
pub fn before(sale: &SaleId, at_ms: i64, fields: &Fields) -> Result<Option<About>, Failure> {
    let Some(before) = fields.get("before") else { return Ok(None) };
    if fields.get("terms").is_some() {
        return Ok(Some(About::Sale(sale::from_fields(sale, &Fields::from_lines(before)?)?)));
    }
    Ok(Some(About::Product(product::before_event(sale, at_ms, fields, before)?)))
}

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
        "product.moved" => EventKind::ProductMoved,
        "product.deleted" => EventKind::ProductDeleted,
        "product.archived" => EventKind::ProductArchived,
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
        assert_eq!(found.len(), 20, "{found:?}");
    }

    #[test]
    fn an_unknown_event_type_cannot_be_read() {
        for word in ["", "order", "order.shipped", "Order.paid"] {
            assert!(matches!(kind(word), Err(Failure::Unreadable(_))), "{word}");
        }
    }
}
