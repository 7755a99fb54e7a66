//! Writes events of Stripe for `flashsale trigger`, with the fields that matter here.

use serde_json::{Value, json};

use super::{super::Sample, money};
use crate::domain::{
    ids::{HoldKind, IdKind},
    payment::PaymentStatus,
};

/// Writes an event of API version 2024-06-20. Unlike Stripe's, its refunds and disputes name the order.
pub(super) fn write(sample: &Sample<'_>) -> String {
    let Sample { key, status, target, payment, money, is_partial, sent_seconds } = *sample;
    let minor_units =
        money.map(|(amount, currency)| amount.ten_thousandths() / 10_u64.pow(4 - money::decimals(currency)));
    let target_name = if target.starts_with(HoldKind::PREFIX) { "hold_id" } else { "order_id" };
    let object = |kind: &str, id: &str, fields: Value| {
        let mut object = json!({
            "id": id, "object": kind, "currency": money.map(|(_, currency)| currency.code().to_ascii_lowercase()),
            "metadata": {target_name: target}, "livemode": false, "created": sent_seconds,
        });
        for (name, value) in fields.as_object().into_iter().flatten() {
            object[name] = value.clone();
        }
        object
    };
    let intent = |status: &str, received: Option<u64>| {
        let fields = json!({"status": status, "amount": minor_units, "amount_received": received});
        object("payment_intent", payment, fields)
    };
    let about = |status: &str| json!({"status": status, "amount": minor_units, "payment_intent": payment, "charge": format!("ch_{payment}")});
    let dispute = |status: &str| object("dispute", &format!("dp_{payment}"), about(status));
    let (kind, object) = match status {
        PaymentStatus::Paid => ("payment_intent.succeeded", intent("succeeded", minor_units)),
        PaymentStatus::Processing => ("payment_intent.processing", intent("processing", Some(0))),
        PaymentStatus::Failed => ("payment_intent.payment_failed", intent("requires_payment_method", Some(0))),
        PaymentStatus::Cancelled => ("payment_intent.canceled", intent("canceled", Some(0))),
        PaymentStatus::Refunded => {
            let fields = json!({"payment_intent": payment, "amount_refunded": minor_units, "refunded": !is_partial});
            ("charge.refunded", object("charge", &format!("ch_{payment}"), fields))
        }
        PaymentStatus::RefundFailed => ("refund.failed", object("refund", &format!("re_{payment}"), about("failed"))),
        PaymentStatus::Disputed => ("charge.dispute.created", dispute("needs_response")),
        PaymentStatus::DisputeWon => ("charge.dispute.closed", dispute("won")),
        PaymentStatus::DisputeLost => ("charge.dispute.closed", dispute("lost")),
    };
    json!({
        "id": key, "object": "event", "api_version": "2024-06-20", "created": sent_seconds, "livemode": false,
        "pending_webhooks": 1, "type": kind, "data": {"object": object},
    })
    .to_string()
}
