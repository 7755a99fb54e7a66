//! What each type of event says. What Stripe may add later is below.

use serde_json::Value;

use super::{super::json::text, intent};
use crate::domain::payment::PaymentStatus;

/// What an event says.
pub(super) enum Meaning {
    Is(PaymentStatus),
    /// No payment depends on it.
    Nothing,
    /// It is about payments, and no row knows it.
    Unknown,
}

/// How the type of an event, and the object in it, give its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Always(PaymentStatus),
    /// By the session's `payment_status`.
    Session,
    /// A charge of the old Charges API. The intent of any other charge says the same.
    Charge(PaymentStatus),
    /// The same, and `processing` while the charge is not captured.
    ChargedMoney,
    /// By the refund's `status`.
    Refund,
    /// By the dispute's `status`.
    Dispute,
    Nothing,
}

/// The one event about all refunds of a payment together.
pub(super) const CUMULATIVE: &str = "charge.refunded";

/// The table in `docs/payments.md` is this one.
pub(super) const TABLE: [(Rule, &[&str]); 12] = [
    (Rule::Always(PaymentStatus::Paid), &["payment_intent.succeeded", "checkout.session.async_payment_succeeded"]),
    (Rule::Session, &["checkout.session.completed"]),
    (
        Rule::Always(PaymentStatus::Processing),
        &["payment_intent.processing", "payment_intent.amount_capturable_updated", "payment_intent.partially_funded"],
    ),
    (Rule::Always(PaymentStatus::Failed), &["payment_intent.payment_failed", "checkout.session.async_payment_failed"]),
    (Rule::Always(PaymentStatus::Cancelled), &["payment_intent.canceled", "checkout.session.expired"]),
    (Rule::Always(PaymentStatus::Refunded), &[CUMULATIVE]),
    (Rule::Refund, &["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"]),
    (
        Rule::Dispute,
        &[
            "charge.dispute.created",
            "charge.dispute.closed",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.funds_reinstated",
        ],
    ),
    (Rule::ChargedMoney, &["charge.succeeded", "charge.captured"]),
    (Rule::Charge(PaymentStatus::Processing), &["charge.pending"]),
    (Rule::Charge(PaymentStatus::Failed), &["charge.failed"]),
    (Rule::Charge(PaymentStatus::Cancelled), &["charge.expired"]),
];

/// Types about payments on which no order depends. An intent exists, or waits for its buyer. The description of a charge
/// changed. Somebody gave evidence to a bank: what follows has a type of its own.
pub(super) const HARMLESS: [&str; 4] =
    ["payment_intent.created", "payment_intent.requires_action", "charge.updated", "charge.dispute.updated"];

/// A type that Stripe adds here later may be about money. It is no status that could be applied, and a guess could claim money
/// that never came. So it is logged and forgotten, and Stripe can send it again to a version that knows it. Types outside, such
/// as `invoice.` and `payout.`, repeat what an intent says or are about other money.
const ABOUT_PAYMENTS: [&str; 4] = ["payment_intent.", "checkout.session.", "charge.", "refund."];

pub(super) fn meaning(kind: &str, object: &Value) -> Meaning {
    match rule(kind) {
        Some(rule) => status(rule, kind, object).map_or(Meaning::Nothing, Meaning::Is),
        None if ABOUT_PAYMENTS.iter().any(|prefix| kind.starts_with(prefix)) => Meaning::Unknown,
        None => Meaning::Nothing,
    }
}

pub(super) fn rule(kind: &str) -> Option<Rule> {
    let row = TABLE.iter().find(|(_, kinds)| kinds.contains(&kind));
    row.map(|(rule, _)| *rule).or_else(|| HARMLESS.contains(&kind).then_some(Rule::Nothing))
}

fn status(rule: Rule, kind: &str, object: &Value) -> Option<PaymentStatus> {
    let word = text(object, if rule == Rule::Session { "payment_status" } else { "status" });
    match rule {
        Rule::Nothing => None,
        Rule::Charge(_) | Rule::ChargedMoney if intent(object).is_some() => None,
        Rule::Always(status) | Rule::Charge(status) => Some(status),
        Rule::Session => match word {
            // The money comes later, for instance by bank transfer.
            Some("unpaid") => Some(PaymentStatus::Processing),
            // A coupon covered everything, or the session only stored a card.
            Some("no_payment_required") => None,
            _ => Some(PaymentStatus::Paid),
        },
        Rule::ChargedMoney if object.get("captured") == Some(&Value::Bool(false)) => Some(PaymentStatus::Processing),
        Rule::ChargedMoney => Some(PaymentStatus::Paid),
        Rule::Refund => Some(match word {
            Some("failed" | "canceled") => PaymentStatus::RefundFailed,
            _ if kind == "refund.failed" => PaymentStatus::RefundFailed,
            _ => PaymentStatus::Refunded,
        }),
        Rule::Dispute => Some(match word {
            Some("won" | "warning_closed" | "prevented") => PaymentStatus::DisputeWon,
            Some("lost") => PaymentStatus::DisputeLost,
            _ => PaymentStatus::Disputed,
        }),
    }
}

/// What the object has in place of a word of this table. The event may be about money, so a person has to read it.
pub(super) fn unknown_word<'a>(kind: &str, object: &'a Value) -> Option<&'a Value> {
    let rule = rule(kind)?;
    let (field, known): (&str, &[&str]) = match rule {
        Rule::Session => ("payment_status", &["paid", "unpaid", "no_payment_required"]),
        Rule::Refund => ("status", &["pending", "requires_action", "succeeded", "failed", "canceled"]),
        Rule::Dispute if kind == "charge.dispute.closed" => ("status", &["won", "lost", "warning_closed", "prevented"]),
        _ => return None,
    };
    let word = object.get(field).unwrap_or(&Value::Null);
    // The oldest refunds have no status: they succeeded at once.
    let is_known = word.as_str().map_or(rule == Rule::Refund && word.is_null(), |word| known.contains(&word));
    (!is_known).then_some(word)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/payments.md");

    /// The cell of the document that says what a rule means.
    fn in_words(rule: Rule) -> String {
        match rule {
            Rule::Always(status) => format!("`{}`", status.as_str()),
            Rule::Session => "`paid`. `processing` when its `payment_status` is `unpaid`, and ignored when it is \
                `no_payment_required`"
                .to_owned(),
            Rule::Refund => "`refunded`, of this one refund. `refund_failed` when its `status` is `failed` or \
                `canceled`"
                .to_owned(),
            Rule::Dispute => "`disputed`. `dispute_won` when its `status` is `won`, `warning_closed` or `prevented`, \
                and `dispute_lost` when it is `lost`"
                .to_owned(),
            Rule::ChargedMoney => {
                "without a payment intent: `paid`, and `processing` while it is not captured. Else ignored".to_owned()
            }
            Rule::Charge(status) => format!("without a payment intent: `{}`. Else ignored", status.as_str()),
            Rule::Nothing => "ignored".to_owned(),
        }
    }

    #[test]
    fn the_document_has_the_table_of_types() {
        let rows = TABLE.iter().copied().chain([(Rule::Nothing, &HARMLESS[..])]);
        let expected: Vec<String> = rows
            .map(|(rule, kinds)| {
                let kinds: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
                format!("| {} | {} |", kinds.join(", "), in_words(rule))
            })
            .collect();
        let table =
            DOCUMENT.split("| Stripe's event | counts as |").nth(1).expect("docs/payments.md has a table of types");
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let rows: Vec<&str> = rows.filter(|row| !row.starts_with("| any other")).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn every_type_that_the_document_names_has_one_row() {
        let is_type =
            |word: &&str| ABOUT_PAYMENTS.iter().any(|prefix| word.starts_with(prefix) && !word.ends_with('.'));
        let named: BTreeSet<&str> =
            DOCUMENT.split('`').filter(is_type).filter(|word| !word.contains([' ', '*'])).collect();
        let known: Vec<&str> = TABLE.iter().flat_map(|(_, kinds)| *kinds).chain(&HARMLESS).copied().collect();
        assert_eq!(named, known.iter().copied().collect());
        assert_eq!(known.len(), named.len(), "a type has two rows");
    }
}
