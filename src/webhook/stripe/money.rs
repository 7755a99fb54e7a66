//! How much an event of Stripe is about. Stripe counts in minor units.

use serde_json::Value;

use super::{super::json::text, table};
use crate::domain::{
    money::{Amount, Currency},
    payment::{PaymentStatus, StatedAmount},
};

/// Characters that are kept of what cannot be understood, behind the type.
const RAW_CHARS_MAX: usize = 60;

/// The money that an event is about.
pub(super) fn stated(kind: &str, status: PaymentStatus, object: &Value) -> (StatedAmount, Option<Currency>) {
    let minor_units = minor_units(kind, object);
    let code = text(object, "currency").unwrap_or("").to_ascii_uppercase();
    let currency = Currency::parse(&code);
    let unclear = |raw: String| {
        let raw: String = raw.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
        (StatedAmount::NotUnderstood(raw.chars().take(kind.len() + RAW_CHARS_MAX).collect()), None)
    };
    let amount = currency.zip(minor_units.as_u64()).and_then(|(currency, units)| amount(units, currency));
    match (amount, table::unknown_word(kind, object)) {
        (_, Some(word)) if status.is_about_money() => unclear(format!("{kind} with the status {word}")),
        (Some(amount), _) => (StatedAmount::Is(amount), currency),
        (None, _) if status.is_about_money() => unclear(format!("{kind} of {minor_units} {code}")),
        (None, _) => (StatedAmount::NotGiven, None),
    }
}

fn minor_units<'a>(kind: &str, object: &'a Value) -> &'a Value {
    match kind {
        "payment_intent.succeeded" => at(object, "/amount_received"),
        table::CUMULATIVE => refunded(object),
        "charge.succeeded" | "charge.captured" => match at(object, "/amount_captured") {
            // The oldest charges have no other amount. Those that are not captured have captured 0.
            Value::Null => at(object, "/amount"),
            _ if at(object, "/captured") == &Value::Bool(false) => at(object, "/amount"),
            captured => captured,
        },
        _ if kind.starts_with("checkout.session.") => at(object, "/amount_total"),
        _ => at(object, "/amount"),
    }
}

/// The refunded amount, which the scripts compare with the captured one. Stripe's `amount_refunded` includes money that was
/// authorized and never captured. So a partial refund that equals the captured amount does not say how much was paid back.
fn refunded(object: &Value) -> &Value {
    let of = |name: &str| at(object, name);
    let is_whole = object.get("refunded").and_then(Value::as_bool) == Some(true);
    match (of("/amount_captured"), of("/amount_refunded")) {
        (Value::Null, refunded) => refunded,
        (captured, _) if is_whole => captured,
        (captured, refunded) if captured == refunded => &Value::Null,
        (_, refunded) => refunded,
    }
}

/// The part of a captured amount that is for the goods, where the object says so.
pub(super) fn goods(kind: &str, object: &Value) -> Option<(Amount, Currency)> {
    let (minor_units, code) = if kind.starts_with("checkout.session.") {
        of_session(object)?
    } else {
        (of_intent(object)?, text(object, "currency")?)
    };
    let currency = Currency::parse(&code.to_ascii_uppercase())?;
    Some((amount(minor_units, currency)?, currency))
}

/// The items without tax and shipping, which come on top of them. Where Adaptive Pricing converted the currency (in sessions made
/// before 2025-03-31), the items in the currency that the shop priced them in. Newer sessions keep that currency everywhere, and
/// only `presentment_details` has the buyer's.
fn of_session(object: &Value) -> Option<(u64, &str)> {
    let discount = at(object, "/total_details/amount_discount").as_u64().unwrap_or(0);
    let conversion = at(object, "/currency_conversion");
    if conversion.is_object() {
        // The discount is in the other currency.
        let items = at(conversion, "/amount_subtotal").as_u64().filter(|_| discount == 0)?;
        return Some((items, text(conversion, "source_currency")?));
    }
    Some((at(object, "/amount_subtotal").as_u64()?.checked_sub(discount)?, text(object, "currency")?))
}

/// Only newer intents may say what is not for the goods, and most say nothing.
fn of_intent(object: &Value) -> Option<u64> {
    let received = at(object, "/amount_received").as_u64()?;
    let is_clear = at(object, "/amount").as_u64() == Some(received) && at(object, "/amount_details/error").is_null();
    let parts = ["/tax/total_tax_amount", "/shipping/amount", "/tip/amount"];
    let parts = parts.map(|part| at(at(object, "/amount_details"), part).as_u64());
    let others = parts.into_iter().flatten().reduce(u64::saturating_add).filter(|_| is_clear)?;
    received.checked_sub(others)
}

fn at<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    object.pointer(pointer).unwrap_or(&Value::Null)
}

/// Decimals of amounts in Stripe's API, where they are not two: <https://docs.stripe.com/currencies#minor-units>. They differ
/// from ISO 4217. MGA has two decimals there. ISK and UGX have none there and two here, which are always 00: 5 UGX are 500.
/// Stripe's page has UGX among its zero-decimal currencies too. If that were right, the amount would differ from the order's
/// total and open a review. HUF and TWD have two decimals, only their payouts have none.
const DECIMALS: [(u32, &str); 2] =
    [(0, "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"), (3, "BHD JOD KWD OMR TND")];

pub(super) fn decimals(currency: Currency) -> u32 {
    let row = DECIMALS.iter().find(|(_, codes)| codes.split(' ').any(|code| code == currency.code()));
    row.map_or(2, |(decimals, _)| *decimals)
}

/// `None` when the amount exceeds the integers that a script can compute with.
fn amount(minor_units: u64, currency: Currency) -> Option<Amount> {
    let value = minor_units.checked_mul(10_u64.pow(4 - decimals(currency)))?;
    (value < 1 << 53).then(|| Amount::from_ten_thousandths(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_with_the_decimals_of_stripe() {
        for (minor_units, code, expected) in [
            (5_000, "USD", "50.00"),
            (500, "JPY", "500"),
            (500, "ISK", "5"),
            (500, "UGX", "5"),
            (500, "MGA", "500.00"),
            (5_120, "KWD", "5.120"),
            (1_045, "HUF", "10.45"),
            (80_045, "TWD", "800.45"),
            (500, "XPF", "500"),
            (99_999_999_999, "IDR", "999999999.99"),
        ] {
            let currency = Currency::parse(code).unwrap();
            assert_eq!(amount(minor_units, currency).unwrap().in_currency(&currency).to_string(), expected, "{code}");
        }
        let dollar = Currency::parse("USD").unwrap();
        assert_eq!((amount(u64::MAX, dollar), amount(1 << 50, dollar)), (None, None));
        let listed = DECIMALS.iter().flat_map(|(_, codes)| codes.split(' '));
        assert!(
            listed.into_iter().all(|code| Currency::parse(code).is_some()),
            "every code of the table is a currency"
        );
    }
}
