//! `audit_orders`: adds orders to a tally, and checks that the indexes have them.

use super::records::{RecordKey, text, units};
use crate::{
    domain::{
        audit::{Bucket, BucketKind, Difference, DifferenceKind, Tally},
        ids::SaleId,
        order::PricedLine,
        text::CustomerId,
    },
    store::{
        Failure, Op, ScriptCall, Store,
        keys::SaleKeys,
        record::{
            self,
            order::{StoredStatus, priced_lines},
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
            let (created, due, has_review) = (reply.text()?, reply.text()?, reply.int()? == 1);
            let fields = reply.list()?.fields()?;
            if fields.is_empty() {
                continue;
            }
            tally.orders += 1;
            let Ok(order) = AuditedOrder::read(&fields) else {
                self.add_unreadable(sale, key, tally);
                continue;
            };
            order.add_to(tally);
            let differences = order.index_differences(&created, &due, has_review);
            let of_order = |difference: Difference| difference.of_hold(self.ids().hold(sale, text(key)));
            tally.differences.extend(differences.into_iter().map(of_order));
        }
        Ok(())
    }
}

/// The fields of an order that an audit compares. Damage in any other field does not make its units unknown.
struct AuditedOrder {
    status: StoredStatus,
    lines: Vec<PricedLine>,
    customer: Option<CustomerId>,
    created_ms: i64,
    due_ms: i64,
    has_expired_event: bool,
    has_review: bool,
    /// Whether a refund left its units sold.
    keeps_units_sold: bool,
}

impl AuditedOrder {
    fn read(fields: &Fields) -> Result<Self, Failure> {
        Ok(Self {
            status: StoredStatus::read(fields)?,
            lines: priced_lines(fields.text("lines")?)?,
            customer: record::customer(fields.text("customer")?),
            created_ms: fields.int("created")?,
            due_ms: fields.int("due")?,
            has_expired_event: fields.get("expired_at").is_some(),
            has_review: fields.get("review").is_some(),
            keeps_units_sold: fields.get("restocked") == Some("0"),
        })
    }

    fn add_to(&self, tally: &mut Tally) {
        for PricedLine { line, .. } in &self.lines {
            match self.status {
                StoredStatus::Pending => {
                    let bucket = Bucket { deadline_ms: self.due_ms, product: line.product, kind: BucketKind::Pending };
                    tally.add_due_back(bucket, units(line), self.customer.as_ref());
                }
                StoredStatus::Paid => tally.add_bought(line.product, units(line), self.customer.as_ref()),
                StoredStatus::Refunded if self.keeps_units_sold => tally.add_sold(line.product, units(line)),
                StoredStatus::Cancelled | StoredStatus::RefundRequired | StoredStatus::Refunded => {}
            }
        }
    }

    /// `created` and `due` are the times that the indexes of orders have for it, and `review_exists` is whether the review
    /// exists that it names.
    fn index_differences(&self, created: &str, due: &str, review_exists: bool) -> Vec<Difference> {
        let instant = |text: &str| text.parse().unwrap_or(0);
        let waits = self.status == StoredStatus::Pending && !self.has_expired_event;
        let mut found = Vec::new();
        let mut check = |kind, stored: i64, expected: i64| {
            if stored != expected {
                found.push(Difference::new(kind, stored, expected));
            }
        };
        check(DifferenceKind::OrderIndex, instant(created), self.created_ms);
        check(DifferenceKind::DueIndex, instant(due), if waits { self.due_ms } else { 0 });
        if self.has_review {
            check(DifferenceKind::Review, i64::from(review_exists), 1);
        }
        found
    }
}
