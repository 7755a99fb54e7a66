//! Thin events, which leave out their object.

use super::*;

#[test]
fn a_thin_event_about_money_is_kept_for_a_person_and_any_other_is_handed_back_or_ignored() {
    let thin = |kind: &str, id: &str| {
        let event = json!({
            "id": "evt_1", "object": "v2.core.event", "created": "2025-11-24T16:00:00.123Z", "type": kind,
            "related_object": {"id": id, "type": "a thing", "url": "/v1/things/1"},
        });
        read(event.to_string().as_bytes()).unwrap()
    };
    for (kind, id, status) in [
        ("v1.payment_intent.succeeded", "pi_1", PaymentStatus::Paid),
        ("v1.checkout.session.completed", "cs_1", PaymentStatus::Paid),
        ("v1.charge.refunded", "ch_1", PaymentStatus::Refunded),
        ("v1.refund.failed", "re_1", PaymentStatus::RefundFailed),
        ("v1.charge.dispute.closed", "dp_1", PaymentStatus::Disputed),
    ] {
        let Reading::Event(event) = thin(kind, id) else { panic!("{kind}") };
        let amount = StatedAmount::NotUnderstood(format!("thin event {kind}"));
        assert_eq!((event.status, event.payment, event.amount), (status, PaymentId::parse(id), amount));
        assert_eq!((event.target, event.currency, event.sent_seconds), (None, None, Some(SENT)));
    }
    for kind in ["v1.payment_intent.payment_failed", "v1.checkout.session.expired", "v1.charge.teleported"] {
        assert_eq!(thin(kind, "pi_1"), Reading::UnknownStatus(kind.to_owned()));
    }
    for kind in ["v1.payment_intent.created", "v1.customer.created", "v2.core.event_destination.ping"] {
        assert_eq!(thin(kind, "pi_1"), Reading::Irrelevant, "{kind}");
    }
}
