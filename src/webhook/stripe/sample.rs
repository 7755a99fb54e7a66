//! Writes events of Stripe for `flashsale trigger`, with the fields that matter here.

use serde_json::{Value, json};

use super::{
    super::{Sample, SampleKind},
    money,
};
use crate::domain::ids::{HoldKind, IdKind};

/// Writes an event of API version 2024-06-20. Unlike Stripe's, its refunds and disputes name the order. Stripe has no word of a
/// shop about a whole order, so `flashsale trigger` does not ask for one here.
pub(super) fn write(sample: &Sample<'_>) -> String {
    let Sample { key, kind, target, payment, money, is_partial, sent_seconds } = *sample;
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
    let charge = |is_whole: bool| {
        let fields = json!({"payment_intent": payment, "amount_refunded": minor_units, "refunded": is_whole});
        object("charge", &format!("ch_{payment}"), fields)
    };
    let (kind, object) = match kind {
        SampleKind::Paid => ("payment_intent.succeeded", intent("succeeded", minor_units)),
        SampleKind::Processing => ("payment_intent.processing", intent("processing", Some(0))),
        SampleKind::Authorised => {
            let mut authorised = intent("requires_capture", Some(0));
            authorised["amount_capturable"] = json!(minor_units);
            ("payment_intent.amount_capturable_updated", authorised)
        }
        SampleKind::Declined | SampleKind::Failed => {
            ("payment_intent.payment_failed", intent("requires_payment_method", Some(0)))
        }
        SampleKind::Ended | SampleKind::Cancelled => ("payment_intent.canceled", intent("canceled", Some(0))),
        SampleKind::Refunded => ("charge.refunded", charge(!is_partial)),
        SampleKind::PartialRefund => ("charge.refunded", charge(false)),
        SampleKind::RefundFailed => ("refund.failed", object("refund", &format!("re_{payment}"), about("failed"))),
        SampleKind::Dispute => ("charge.dispute.created", dispute("needs_response")),
        SampleKind::DisputeWon => ("charge.dispute.closed", dispute("won")),
        SampleKind::DisputeLost => ("charge.dispute.closed", dispute("lost")),
    };
    json!({
        "id": key, "object": "event", "api_version": "2024-06-20", "created": sent_seconds, "livemode": false,
        "pending_webhooks": 1, "type": kind, "data": {"object": object},
    })
    .to_string()
}
