//! Payment events and reviews on the real store, as the model has them.

use std::collections::BTreeMap;

use flashsale::domain::{
    act::Act,
    ids::{HoldId, SaleId},
    money,
    outcome::{FindHoldOutcome, ResolveOutcome, SettleOutcome, Settled},
    payment::{PaymentEvent, PaymentId, PaymentStatus, RefundId, StatedAmount, Target},
    review::{Note, ReviewAction, ReviewId},
    text::IdempotencyKey,
};
use redis::Commands;

use super::{
    machine::SaleTest,
    reference::{Amount, Event},
};

impl SaleTest {
    pub(super) fn settle(&self, event: &PaymentEvent) -> String {
        let text = |settled: &Settled| {
            settled.order.as_ref().map_or_else(|| "none".to_owned(), |order| self.order_text(order))
        };
        match self.runtime.block_on(self.store.settle(event)).unwrap() {
            SettleOutcome::Applied(settled) => format!("applied {}", text(&settled)),
            SettleOutcome::Duplicate(settled) => format!("duplicate {}", text(&settled)),
            SettleOutcome::Ignored(settled) => format!("ignored {}", text(&settled)),
            SettleOutcome::RefundRequired(settled) => format!("refund_required {}", text(&settled)),
            SettleOutcome::Review(settled) => format!("review {}", text(&settled)),
            SettleOutcome::Unmatched(_) => "unmatched".into(),
            SettleOutcome::TargetsDiffer => "targets_differ".into(),
            SettleOutcome::IdempotencyKeyReused => "idempotency_key_reused".into(),
        }
    }

    pub(super) fn resolve(&mut self, number: usize, action: &str) -> &'static str {
        let opened = opened_reviews(&mut self.redis);
        let key = opened.get(number).map_or("abcdefghijabcdefghij", String::as_str);
        let id = ReviewId::new(SaleId::parse("drop").unwrap(), key).unwrap();
        let action = ReviewAction::parse(action).unwrap();
        match self
            .runtime
            .block_on(self.store.resolve(&id, action, &Note::parse("seen").unwrap(), &Act::default()))
            .unwrap()
        {
            ResolveOutcome::Resolved(review) => {
                assert_eq!((review.note.as_deref(), review.action), (Some("seen"), Some(action)));
                "resolved"
            }
            ResolveOutcome::AlreadyResolved(_) => "already_resolved",
            ResolveOutcome::NotAcceptable => "not_acceptable",
            ResolveOutcome::UnitsGone => "units_gone",
            ResolveOutcome::ReviewNotFound => "review_not_found",
        }
    }

    pub(super) fn event(&self, event: &Event) -> PaymentEvent {
        let hold = &self.holds[event.hold];
        let order = self.store.ids().order_of(hold);
        let target = if event.by_order {
            Target::Order(order.as_str().to_owned())
        } else {
            Target::Hold(hold.as_str().to_owned())
        };
        let right = self.right_amount(hold);
        let sum = |number| StatedAmount::Is(money::Amount::from_ten_thousandths(number));
        let amount = match event.amount {
            Amount::Missing => StatedAmount::NotGiven,
            Amount::Right | Amount::WrongCurrency => sum(right),
            Amount::More => sum(right + 1),
            Amount::Less => sum(right.saturating_sub(1)),
            Amount::Unclear => StatedAmount::NotUnderstood("a lot".to_owned()),
        };
        let currency = if event.amount == Amount::WrongCurrency { "EUR" } else { "USD" };
        PaymentEvent {
            key: IdempotencyKey::parse(&format!("event-{}", event.key)).unwrap(),
            status: PaymentStatus::parse(event.status).unwrap(),
            target: Some(target),
            payment: event.payment.map(|id| PaymentId::parse(&format!("pi_{id}")).unwrap()),
            currency: amount.known().map(|_| money::Currency::parse(currency).unwrap()),
            amount,
            goods: None,
            refund: event.refund.map(|id| RefundId::parse(&format!("re_{id}")).unwrap()),
            sent_seconds: None,
        }
    }

    /// The right amount to pay for the hold now, or 7 where there is none.
    pub(super) fn right_amount(&self, hold: &HoldId) -> u64 {
        match self.runtime.block_on(self.store.find_hold(hold)).unwrap() {
            FindHoldOutcome::Active(hold) => hold.total().ten_thousandths(),
            FindHoldOutcome::Converted(order) => order.total.map_or(7, |(amount, _)| amount.ten_thousandths()),
            FindHoldOutcome::HoldExpired => 7,
        }
    }
}

/// The ids of all reviews, in the order of opening.
fn opened_reviews(redis: &mut redis::Connection) -> Vec<String> {
    let log: Vec<(String, BTreeMap<String, String>)> =
        redis::cmd("XRANGE").arg("fs1:{drop}:events").arg("-").arg("+").query(redis).unwrap();
    let opened = log.into_iter().map(|(_, entry)| entry).filter(|entry| entry["type"] == "review.opened");
    opened.map(|entry| entry["review"].clone()).collect()
}

/// The reason of each review and whether it is open, in the order of opening.
pub(super) fn reviews(redis: &mut redis::Connection) -> Vec<(String, bool)> {
    let open: Vec<String> = redis.zrange("fs1:{drop}:reviews", 0, -1).unwrap();
    let ids = opened_reviews(redis);
    let review = |id: String| {
        let record: String = redis.hget("fs1:{drop}:review_records", &id).unwrap();
        (record.split('\n').next().unwrap().to_owned(), open.contains(&id))
    };
    ids.into_iter().map(review).collect()
}
