//! Reviews, as `lua/lib/reviews.lua` writes them: nineteen lines.

use super::{Failure, currency, instant, metadata, some, ten_thousandths};
use crate::{
    domain::{
        ids::SaleId,
        money::{Amount, Currency},
        payment::PaymentStatus,
        review::{Review, ReviewAction, ReviewId, ReviewReason, Subject},
    },
    store::ids::IdSigner,
};

/// The review of the sale with this key, from its record.
pub fn review(ids: &IdSigner, sale: &SaleId, key: &str, record: &str) -> Result<Review, Failure> {
    let id = ReviewId::new(sale.clone(), key).ok_or_else(|| Failure::unreadable("the id of a review"))?;
    let place = format!("review {id}");
    read(ids, id, record).map_err(|failure| failure.about(place))
}

/// The review that an event opened or changed, if there is one.
pub fn id_and_reason(sale: &SaleId, key: &str, reason: &str) -> Result<Option<(ReviewId, ReviewReason)>, Failure> {
    if key.is_empty() {
        return Ok(None);
    }
    let id = ReviewId::new(sale.clone(), key).ok_or_else(|| Failure::unreadable("the id of a review"))?;
    Ok(Some((id, stored_reason(reason)?)))
}

fn read(ids: &IdSigner, id: ReviewId, record: &str) -> Result<Review, Failure> {
    let mut lines = record.splitn(19, '\n');
    let mut next = || lines.next().ok_or_else(|| Failure::unreadable("a review with fewer than nineteen lines"));
    let (reason, status, target, event, payment) = (next()?, next()?, next()?, next()?, next()?);
    let (amount, code, refunded, stated, expected) = (next()?, next()?, next()?, next()?, next()?);
    let (customer, metadata_line) = (next()?, next()?);
    let (due, previous, opened, resolved) = (next()?, next()?, next()?, next()?);
    let (actor, action, note) = (next()?, next()?, next()?);
    let reason = stored_reason(reason)?;
    let subject = if reason == ReviewReason::Unmatched {
        Subject::Unmatched(target.to_owned())
    } else {
        Subject::Order(ids.order_of(&ids.hold(&id.sale, target)))
    };
    let previous = some(previous).map(|key| {
        ReviewId::new(id.sale.clone(), key).ok_or_else(|| Failure::unreadable("the id of an earlier review"))
    });
    Ok(Review {
        id,
        reason,
        status: PaymentStatus::parse(status)
            .ok_or_else(|| Failure::unreadable(format!("the payment status {status:?}")))?,
        subject,
        event: event.to_owned(),
        payment: some(payment).map(str::to_owned),
        amount: some(amount).map(ten_thousandths).transpose()?,
        currency: some(code).map(currency).transpose()?,
        refunded: some(refunded).map(ten_thousandths).transpose()?,
        stated: some(stated).map(str::to_owned),
        expected: some(expected).map(price).transpose()?,
        customer: some(customer).map(str::to_owned),
        metadata: metadata(metadata_line)?,
        due_ms: some(due).map(instant).transpose()?,
        previous: previous.transpose()?,
        opened_ms: instant(opened)?,
        resolved_ms: some(resolved).map(instant).transpose()?,
        actor: some(actor).map(str::to_owned),
        action: some(action).map(stored_action).transpose()?,
        note: some(note).map(str::to_owned),
    })
}

/// An amount, and the currency behind it.
fn price(text: &str) -> Result<(Amount, Currency), Failure> {
    let (amount, code) = text.split_once(' ').ok_or_else(|| Failure::unreadable("an amount without a currency"))?;
    Ok((ten_thousandths(amount)?, currency(code)?))
}

fn stored_action(word: &str) -> Result<ReviewAction, Failure> {
    ReviewAction::parse(word).ok_or_else(|| Failure::unreadable(format!("the action {word:?}")))
}

fn stored_reason(word: &str) -> Result<ReviewReason, Failure> {
    ReviewReason::parse(word).ok_or_else(|| Failure::unreadable(format!("the reason {word:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "abcdefghij_-ABCDEFGH";

    fn read_review(record: &str) -> Result<Review, Failure> {
        review(&IdSigner::new(&[7; 32]), &SaleId::parse("p1").unwrap(), KEY, record)
    }

    fn record(reason: &str, status: &str) -> String {
        format!(
            "{reason}\n{status}\nabcdefghijkl\nevt_1\npi_1\n500000\nUSD\n\n\n600000 EUR\nalice\n\n2000\n\n1000\n\n\n\n"
        )
    }

    #[test]
    fn a_review_is_read_with_its_reason_and_its_payment_status() {
        let review = read_review(&record("units_gone", "paid")).unwrap();
        assert_eq!((review.reason, review.status), (ReviewReason::UnitsGone, PaymentStatus::Paid));
        assert!(matches!(review.subject, Subject::Order(_)) && review.resolved_ms.is_none());
        let (amount, currency) = review.expected.unwrap();
        assert_eq!((amount.ten_thousandths(), currency.code()), (600_000, "EUR"));
        let review = read_review(&record("unmatched", "refunded")).unwrap();
        assert_eq!(review.subject, Subject::Unmatched("abcdefghijkl".to_owned()));
    }

    #[test]
    fn a_damaged_review_cannot_be_read() {
        let whole = record("units_gone", "paid");
        for damaged in [
            record("", "paid"),
            record("bored", "paid"),
            record("units_gone", ""),
            record("units_gone", "unknown"),
            record("units_gone", "succeeded"),
            whole.replace("500000", "much"),
            whole.replace("USD", "???"),
            whole.replace("1000\n", "then\n"),
            whole.replace("600000", "more"),
            whole.replace(" EUR", ""),
            whole.lines().take(5).collect::<Vec<_>>().join("\n"),
            String::new(),
        ] {
            let failure = read_review(&damaged).unwrap_err();
            assert!(matches!(&failure, Failure::Unreadable(_)), "{damaged:?}: {failure}");
            assert!(failure.to_string().contains(KEY), "{failure}");
        }
    }
}
