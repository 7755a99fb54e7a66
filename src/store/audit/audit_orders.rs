//! `audit_orders`: adds orders to a tally, and checks that the indexes have them.

use super::records::{RecordKey, text, units};
use crate::{
    domain::{
        audit::{Bucket, BucketKind, Difference, DifferenceKind, Tally},
        hold::PricedLine,
        ids::SaleId,
        payment::{Payment, PaymentId},
    },
    store::{
        Failure, Op, ScriptCall, Store,
        keys::SaleKeys,
        record::{
            order::{Head, StoredStatus, parts},
            payment::payments,
        },
        reply::Fields,
        unknown_word,
    },
};

impl Store {
    pub(super) async fn audit_orders(
        &self,
        sale: &SaleId,
        some: &[RecordKey],
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let keys = SaleKeys(sale);
        let call = ScriptCall::of(Op::AuditOrders).keys([keys.orders(), keys.due(), keys.review_records()]);
        let call = call.keys(some.iter().map(|key| keys.order(text(key))));
        let (word, mut reply) = self.runner.call(some.iter().fold(call, ScriptCall::arg)).await?;
        if word != "orders" {
            return Err(unknown_word(Op::AuditOrders, &word));
        }
        for key in some {
            let (created, due, lost_reviews) = (reply.text()?, reply.text()?, reply.int()?);
            let record = reply.text()?;
            if record.is_empty() {
                continue;
            }
            tally.orders += 1;
            let read = parts(&record).and_then(|parts| parts.map(AuditedOrder::read).transpose());
            let Ok(Some(order)) = read else {
                self.add_unreadable(sale, key, tally);
                continue;
            };
            order.add_to(tally);
            let differences = order.index_differences(&created, &due, lost_reviews);
            let of_order = |difference: Difference| difference.of_hold(self.ids().hold(sale, text(key)));
            tally.differences.extend(differences.into_iter().map(of_order));
        }
        Ok(())
    }
}

/// What an audit compares of an order. Damage in any other field below its head does not make its units unknown.
struct AuditedOrder {
    head: Head,
    has_expired_event: bool,
    /// The payment that pays it.
    payment: Option<String>,
    payments: Vec<Payment>,
    /// Whether a refund left its units sold.
    keeps_units_sold: bool,
}

impl AuditedOrder {
    fn read((head, fields): (Head, Fields)) -> Result<Self, Failure> {
        Ok(Self {
            head,
            has_expired_event: fields.get("expired_at").is_some(),
            payment: fields.get("payment").map(str::to_owned),
            payments: payments(&fields)?,
            keeps_units_sold: fields.get("restocked") == Some("0"),
        })
    }

    fn add_to(&self, tally: &mut Tally) {
        for PricedLine { line, .. } in &self.head.lines {
            match self.head.status {
                StoredStatus::Pending | StoredStatus::InReview => {
                    let bucket =
                        Bucket { deadline_ms: self.head.due_ms, product: line.product, kind: BucketKind::Pending };
                    tally.add_due_back(bucket, units(line), self.head.customer.as_ref());
                }
                StoredStatus::Paid => tally.add_bought(line.product, units(line), self.head.customer.as_ref()),
                StoredStatus::Refunded | StoredStatus::RefundRequired if self.keeps_units_sold => {
                    tally.add_sold(line.product, units(line));
                }
                StoredStatus::Cancelled | StoredStatus::RefundRequired | StoredStatus::Refunded => {}
            }
        }
    }

    /// `created` and `due` are the times that the indexes of orders have for it, and `lost_reviews` the number of reviews that
    /// its payments name and that do not exist.
    fn index_differences(&self, created: &str, due: &str, lost_reviews: i64) -> Vec<Difference> {
        let instant = |text: &str| text.parse().unwrap_or(0);
        let waits = match self.head.status {
            StoredStatus::Pending => !self.has_expired_event,
            StoredStatus::InReview => true,
            _ => false,
        };
        let mut found = Vec::new();
        let mut check = |kind, stored: i64, expected: i64| {
            if stored != expected {
                found.push(Difference::new(kind, stored, expected));
            }
        };
        check(DifferenceKind::OrderIndex, instant(created), self.head.created_ms);
        check(DifferenceKind::DueIndex, instant(due), if waits { self.head.due_ms } else { 0 });
        check(DifferenceKind::Review, 0, lost_reviews);
        check(DifferenceKind::Money, 0, self.lost_payments());
        found
    }

    /// The number of payments whose money is lost: it did not go back, pays no order, and no review asks for it.
    fn lost_payments(&self) -> i64 {
        let pays = |payment: &Payment| {
            let id = payment.id.as_ref().map_or("", PaymentId::as_str);
            self.head.status == StoredStatus::Paid && self.payment.as_deref() == Some(id)
        };
        let is_nothing = |payment: &Payment| payment.captured.is_some_and(|captured| captured.ten_thousandths() == 0);
        let is_lost = |payment: &&Payment| {
            payment.is_captured
                && !payment.is_refunded()
                && !is_nothing(payment)
                && !pays(payment)
                && payment.review.is_none()
                && payment.dispute_review.is_none()
        };
        i64::try_from(self.payments.iter().filter(is_lost).count()).unwrap_or(i64::MAX)
    }
}
