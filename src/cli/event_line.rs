//! An event as one line that a person can read.

use serde_json::Value;

use super::table::{money, short_time};
use crate::{tools::text::printable, wire::event::EventBody};

/// The width of the longest type.
const TYPE_COLUMNS: usize = 21;

/// `2026-11-27 09:00:07Z  product.restocked  drop-1  product 3: total_stock 10 -> 15 (+5), by anna: found a box`
pub(super) fn text(event: &EventBody<'_>) -> String {
    let mut line =
        format!("{}  {:<TYPE_COLUMNS$}  {}  {}", short_time(Some(&event.at)), event.r#type, event.sale, subject(event));
    for (at, (field, values)) in event.change.iter().enumerate() {
        line += if at == 0 { ": " } else { ", " };
        line += &changed(field, values);
    }
    if let Some(actor) = &event.actor {
        line.extend([", by ", actor.as_ref()]);
    }
    if let Some(reason) = &event.reason {
        line.extend([": ", reason.as_ref()]);
    }
    printable(&line)
}

fn subject(event: &EventBody<'_>) -> String {
    if let Some(order) = &event.order {
        let total = money(order.total_amount.as_deref(), order.currency.as_deref());
        let customer = order.customer_id.as_deref().map_or_else(String::new, |customer| format!(", {customer}"));
        return format!("{}, {total}{customer}", order.id);
    }
    if let Some(review) = &event.review {
        let action = review.action.as_deref().map_or_else(String::new, |action| format!(", {action}"));
        return format!("{}, {}{action}", review.id, review.reason);
    }
    if let Some(product) = &event.product {
        return format!("product {} ({})", product.id, product.name);
    }
    if let Some(repair) = &event.repair {
        return format!("{}: {} -> {}", repair.what, repair.stored, repair.recomputed);
    }
    event.terms.as_ref().map_or_else(String::new, |terms| format!("sale {}", terms.id))
}

fn changed(field: &str, values: &Value) -> String {
    let shown = |value: &Value| match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let delta = values["delta"].as_i64().map_or_else(String::new, |delta| format!(" ({delta:+})"));
    format!("{field} {} -> {}{delta}", shown(&values["from"]), shown(&values["to"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(event: &Value) -> String {
        text(&serde_json::from_value(event.clone()).unwrap())
    }

    #[test]
    fn a_change_is_printed_with_what_it_changed_who_did_it_and_why() {
        let product = json!({"id": 3, "sale": "drop-1", "name": "Cap", "price": "9.00", "currency": "USD", "total_stock": 15,
            "available_stock": 15, "held_stock": 0, "pending_stock": 0, "sold_stock": 0, "max_per_hold": 10,
            "max_per_customer": null, "visibility": "public", "status": "live", "starts_at": null, "ends_at": null, "next_release_at": null});
        let event = json!({"id": "drop-1:7-0", "type": "product.restocked", "at": "2026-11-27T09:00:07.000Z",
            "sale": "drop-1", "actor": "anna", "reason": "found a \u{1b}[2Jbox", "product": product,
            "change": {"total_stock": {"from": 10, "to": 15, "delta": 5}}});
        let expected = "2026-11-27 09:00:07Z  product.restocked      drop-1  product 3 (Cap): total_stock 10 -> 15 (+5), \
                        by anna: found a  [2Jbox";
        assert_eq!(line(&event), expected);
        let mut nobody = event.clone();
        nobody["change"] = json!({"max_per_customer": {"from": null, "to": 2}, "name": {"from": "Hat", "to": "Cap"}});
        nobody["actor"] = Value::Null;
        nobody["reason"] = Value::Null;
        assert!(
            line(&nobody).ends_with("product 3 (Cap): max_per_customer none -> 2, name Hat -> Cap"),
            "{}",
            line(&nobody)
        );
    }

    #[test]
    fn an_order_is_printed_with_its_total_and_customer() {
        let order = json!({"id": "order_p1_x", "hold_id": "hold_p1_x", "items": [], "customer_id": "bob", "status": "paid",
            "total_amount": "50.00", "currency": "USD", "created_at": "c", "payment_due_at": "d", "paid_at": null});
        let event = json!({"id": "p1:7-0", "type": "order.paid", "at": "2026-11-27T09:00:07.250Z", "sale": "p1",
            "order": order});
        assert_eq!(line(&event), "2026-11-27 09:00:07.250Z  order.paid             p1  order_p1_x, 50.00 USD, bob");
    }
}
