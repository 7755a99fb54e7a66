//! The payments of an order, as `lua/lib/payments.lua` writes them: a field each, `payment:<id>`, with the facts in its value.

use super::{Failure, Fields, currency, ten_thousandths};
use crate::domain::payment::{Dispute, Payment, PaymentId, Refund};

const PREFIX: &str = "payment:";

/// All payments of an order, sorted by their ids.
pub fn payments(fields: &Fields) -> Result<Vec<Payment>, Failure> {
    let named = fields.iter().filter_map(|(field, facts)| Some((field.strip_prefix(PREFIX)?, facts)));
    let mut payments: Vec<_> = named.collect();
    payments.sort_unstable();
    payments.into_iter().map(|(id, facts)| payment(id, facts)).collect()
}

fn payment(id: &str, facts: &str) -> Result<Payment, Failure> {
    let mut payment = Payment { id: PaymentId::parse(id), number: 1, ..Payment::default() };
    for entry in facts.split(' ').filter(|entry| !entry.is_empty()) {
        let (name, value) = entry.split_once('=').ok_or_else(|| unreadable(entry))?;
        match name {
            "captured" => payment.captured = Some(ten_thousandths(value)?),
            "all" | "unclear" => payment.is_captured = true,
            "currency" => payment.currency = Some(currency(value)?),
            "refunded" => payment.refunded = Some(ten_thousandths(value)?),
            "refunded_all" => payment.is_refunded_whole = true,
            "refunds" => payment.refunds = value.split(',').map(refund).collect::<Result<_, _>>()?,
            "failed" => payment.failed = Some(ten_thousandths(value)?),
            "failed_all" => payment.is_failed_whole = true,
            "refund_currency" => payment.refund_currency = Some(currency(value)?),
            "in_flight" => payment.in_flight = true,
            "declined" => payment.declined = true,
            "ended" => payment.ended = true,
            "dispute" => payment.dispute = Some(dispute(value)?),
            "accepted" => payment.accepted = true,
            "returned" => payment.returned = true,
            "review" => payment.review = Some(value.to_owned()),
            "dispute_review" => payment.dispute_review = Some(value.to_owned()),
            "number" => payment.number = value.parse().map_err(|_| unreadable(entry))?,
            // Only the scripts need these.
            "exact" | "goods" | "refund_unclear" | "review_about" | "dispute_review_about" => {}
            _ => return Err(unreadable(entry)),
        }
    }
    payment.is_captured |= payment.captured.is_some();
    Ok(payment)
}

fn refund(entry: &str) -> Result<Refund, Failure> {
    let mut parts = entry.split(':');
    let (id, amount) = parts.next().zip(parts.next()).ok_or_else(|| unreadable(entry))?;
    Ok(Refund {
        id: refund_id(id).ok_or_else(|| unreadable(entry))?,
        amount: ten_thousandths(amount)?,
        failed: parts.next().is_some(),
    })
}

/// The id of a refund as the provider wrote it. The script writes a `%` and two digits for what separates parts of a fact.
fn refund_id(stored: &str) -> Option<String> {
    let mut parts = stored.split('%');
    let mut id = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        id.push(char::from(u8::from_str_radix(code, 16).ok()?));
        id.push_str(rest);
    }
    Some(id)
}

fn dispute(value: &str) -> Result<Dispute, Failure> {
    match value.rsplit_once(':').map(|(_, rank)| rank) {
        Some("1") => Ok(Dispute::Open),
        Some("2") => Ok(Dispute::Won),
        Some("3") => Ok(Dispute::Lost),
        _ => Err(unreadable(value)),
    }
}

fn unreadable(entry: &str) -> Failure {
    Failure::unreadable(format!("the fact {entry:?} of a payment"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Amount;

    fn read(facts: &str) -> Result<Payment, Failure> {
        let fields = Fields::from_lines(&format!("status\npaid\npayment:pi_1\n{facts}")).unwrap();
        payments(&fields).map(|mut payments| payments.remove(0))
    }

    #[test]
    fn the_facts_of_a_payment_are_read_and_refunds_that_failed_do_not_count() {
        let amount = Amount::from_ten_thousandths;
        let payment = read("captured=500000 exact=1 refunded=300000 refunds=re_1:100000:failed,re_2:200000").unwrap();
        assert_eq!(payment.id, PaymentId::parse("pi_1"));
        assert_eq!((payment.captured, payment.is_captured), (Some(amount(500_000)), true));
        assert_eq!(payment.refunded_sum(), amount(200_000));
        for lost in ["refunded_all=1 failed_all=1", "refunded=500000 refund_currency=EUR"] {
            let payment = read(&format!("captured=500000 {lost}")).unwrap();
            assert_eq!((payment.refunded_sum(), payment.is_refunded()), (amount(0), false), "{lost}");
        }
        let disputed = read("unclear=1 dispute=1700000000:3").unwrap();
        assert_eq!((disputed.is_captured, disputed.captured, disputed.dispute), (true, None, Some(Dispute::Lost)));
    }

    #[test]
    fn facts_that_nobody_writes_cannot_be_read() {
        for facts in
            ["captured=much", "captured", "colour=red", "refunds=re_1", "dispute=1:9", "currency=dollar", "number=a"]
        {
            assert!(matches!(read(facts), Err(Failure::Unreadable(_))), "{facts}");
        }
    }
}
