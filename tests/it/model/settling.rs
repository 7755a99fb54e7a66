//! What payment events and people do to the orders of the model.

use std::collections::BTreeMap;

use super::{
    payments::{Heard, OWN, Said, Worth},
    reference::{
        Amount, Event, Order, PAYMENT_MS, PaymentName, REVIEW_MS, Review, SaleReference, WAITING, total, whole_second,
    },
};

impl Order {
    /// It costs nothing, and no payment pays it.
    pub(super) fn is_paid_by_none(&self) -> bool {
        self.status == "paid" && self.pays.is_none()
    }
}

impl SaleReference {
    pub(super) fn settle(&mut self, event: &Event) -> String {
        let at = event.hold;
        self.reclaim();
        let said = self.said_by(event);
        if let Some((earlier, earlier_said)) = self.event_keys.get(&(event.key, event.status)) {
            // What is said counts: less than nothing is nothing too.
            let alike = |event: &Event| Event { key: 0, amount: Amount::Missing, ..event.clone() };
            let same = alike(earlier) == alike(event) && *earlier_said == said;
            return if same { format!("duplicate {}", self.order_text(at)) } else { "idempotency_key_reused".into() };
        }
        let outcome = self.effect(event, said);
        self.event_keys.insert((event.key, event.status), (event.clone(), said));
        self.wrote();
        format!("{outcome} {}", self.order_text(at))
    }

    /// The amount in the event. The machine asks the store for the right amount, and takes 7 where there is none.
    fn said_by(&self, event: &Event) -> Said {
        let right = match self.orders.get(&event.hold) {
            Some(order) if !order.lines.is_empty() => total(&order.lines),
            None if self.alive(event.hold) => total(&self.holds[event.hold].lines),
            _ => 7,
        };
        match event.amount {
            Amount::Missing => Said::Nothing,
            Amount::Right => Said::Sum(right, OWN),
            Amount::More => Said::Sum(right + 1, OWN),
            Amount::Less => Said::Sum(right.saturating_sub(1), OWN),
            Amount::WrongCurrency => Said::Sum(right, "EUR"),
            Amount::Unclear => Said::Unclear,
        }
    }

    fn effect(&mut self, event: &Event, said: Said) -> &'static str {
        let (at, now) = (event.hold, self.now());
        if event.payment.is_none() && ["failed", "cancelled"].contains(&event.status) {
            return self.follow_shop(at, event.status);
        }
        let before = self.orders.get(&at).map(|order| (order.status, order.started, order.pays));
        if before.is_none() && !self.order_for_payment(at, event.status) {
            return "ignored";
        }
        let total = self.total_of(at);
        let payment = self.orders.get_mut(&at).unwrap().payments.entry(event.payment).or_default();
        let (known, was) = (payment.facts(total), payment.facts(total).worth(payment, total));
        payment.heard.push(Heard { status: event.status, amount: said, refund: event.refund });
        let facts = payment.facts(total);
        if facts == known {
            // A refund of nothing says nothing. The order may be new all the same.
            return if before.is_none() { "applied" } else { "duplicate" };
        }
        let (becomes, has_moved) = (facts.worth(payment, total), facts.money() != known.money());
        self.log_lapse(at);
        let order = &self.orders[&at];
        if event.status == "processing" && order.status == "pending" && now <= order.due && !order.started {
            self.start(at);
        }
        self.follow_payments(at, (becomes != was).then_some(event.payment));
        let has_review = self.follow_reviews(at, event.payment);
        let order = &self.orders[&at];
        let is_about_money = !["processing", "failed", "cancelled"].contains(&event.status);
        if order.status == "refund_required" && before.is_none_or(|before| before.0 != "refund_required") {
            "refund_required"
        } else if has_review {
            "review"
        } else if has_moved || before != Some((order.status, order.started, order.pays)) {
            "applied"
        } else if is_about_money {
            "duplicate"
        } else {
            "ignored"
        }
    }

    /// The word of the shop about an order, or about a hold.
    fn follow_shop(&mut self, at: usize, status: &str) -> &'static str {
        let now = self.now();
        if !self.orders.contains_key(&at) && self.alive(at) && status == "cancelled" {
            self.holds[at].live = false;
            return "applied";
        }
        if self.cancel_free(at, "shop") {
            return "applied";
        }
        match self.orders.get_mut(&at) {
            Some(order) if order.status == "pending" && now <= order.due => {
                (order.status, order.cancelled_by) = ("cancelled", Some("shop"));
                "applied"
            }
            _ => "ignored",
        }
    }

    /// Cancels an order that costs nothing, unless money came to it that did not go back. False: it is no such order.
    pub(super) fn cancel_free(&mut self, at: usize, by: &'static str) -> bool {
        let is_free = self.orders.get(&at).is_some_and(Order::is_paid_by_none);
        let came = |name: &PaymentName| self.worth_of(at, *name).is_some_and(|worth| worth != Worth::Refunded);
        if !is_free || self.orders[&at].payments.keys().any(came) {
            return false;
        }
        let order = self.orders.get_mut(&at).unwrap();
        (order.status, order.cancelled_by) = ("cancelled", Some(by));
        true
    }

    /// An order that lapsed but was not reclaimed keeps its units counted as pending until they are.
    pub(super) fn cancel_unclaimed(&mut self, at: usize) {
        let now = self.now();
        let order = &self.orders[&at];
        if now > order.due && !order.reclaimed {
            // Its bucket still exists: to the counters it is a hold that nobody can use.
            let ghost = Order { status: "pending", payments: BTreeMap::new(), ..order.clone() };
            let key = usize::MAX - self.orders.len();
            self.orders.insert(key, ghost);
        }
    }

    /// An order that waits for its payment, unless it costs nothing.
    pub(super) fn convert_to_pay(&mut self, at: usize) {
        let status = if total(&self.holds[at].lines) == 0 { "paid" } else { "pending" };
        self.convert(at, status, whole_second(self.now() + PAYMENT_MS));
    }

    /// Makes the order that a payment needs. False: the event changes nothing.
    fn order_for_payment(&mut self, at: usize, status: &str) -> bool {
        if ["failed", "cancelled"].contains(&status) {
            return false;
        }
        if self.alive(at) {
            self.convert_to_pay(at);
            return true;
        }
        if status == "processing" {
            return false;
        }
        let (live, reclaimed, now) = (self.holds[at].live, self.holds[at].reclaimed, self.now());
        self.convert(at, "pending", now - 1);
        (self.holds[at].live, self.holds[at].reclaimed) = (live, reclaimed);
        let order = self.orders.get_mut(&at).unwrap();
        (order.lines, order.expired, order.reclaimed) = (BTreeMap::new(), true, true);
        true
    }

    fn total_of(&self, at: usize) -> Option<u64> {
        let order = &self.orders[&at];
        (!order.lines.is_empty()).then(|| total(&order.lines))
    }

    fn worth_of(&self, at: usize, name: PaymentName) -> Option<Worth> {
        let (total, payment) = (self.total_of(at), &self.orders[&at].payments[&name]);
        payment.facts(total).worth(payment, total)
    }

    fn follow_payments(&mut self, at: usize, fresh: Option<PaymentName>) {
        let order = &self.orders[&at];
        if order.is_paid_by_none() {
            return;
        }
        let with = |worth| -> Vec<PaymentName> {
            order.payments.keys().copied().filter(|name| self.worth_of(at, *name) == Some(worth)).collect()
        };
        let (good, bad) = (with(Worth::Good), !with(Worth::Bad).is_empty());
        let (returning, refunded) = (with(Worth::Returning), !with(Worth::Refunded).is_empty());
        let word = fresh.and_then(|name| self.worth_of(at, name));
        let is_over = order.status == "refund_required" && word != Some(Worth::Good) && word != Some(Worth::Bad);
        if !good.is_empty() || bad {
            if is_over {
                return;
            }
            // The whole ones first, then the one that pays already, then the new one.
            let best = good.into_iter().min_by_key(|name| {
                let pays = order.pays == Some(*name);
                (self.trouble_of(at, *name).is_some(), !pays, fresh != Some(*name), *name)
            });
            match best {
                Some(name) => self.pay(at, name),
                None => self.hold_for_review(at),
            }
        } else if let Some(name) = returning.first() {
            let reason = if order.payments[name].returned { "returned" } else { "refund_failed" };
            self.return_money(at, "refund_required", reason);
        } else if refunded {
            self.return_money(at, "refunded", "");
        }
    }

    fn return_money(&mut self, at: usize, status: &'static str, reason: &'static str) {
        let order = self.orders.get_mut(&at).unwrap();
        if order.status == status {
            return;
        }
        order.status = status;
        if !reason.is_empty() {
            order.reason = reason;
        }
    }

    /// Whether the order has its units, or can have them again.
    fn can_have_units(&self, at: usize) -> bool {
        let order = &self.orders[&at];
        let has = order.status == "paid" || WAITING.contains(&order.status) && self.now() <= order.due;
        !order.lines.is_empty()
            && (has || order.lines.iter().all(|(product, units)| *units <= self.available(*product)))
    }

    fn revive(order: &mut Order, now: i64) {
        order.late |= now > order.due && order.status != "paid";
        (order.expired, order.cancelled_by, order.reason, order.reclaimed) = (false, None, "", false);
    }

    fn pay(&mut self, at: usize, name: PaymentName) {
        let (now, can) = (self.now(), self.can_have_units(at));
        let order = self.orders.get_mut(&at).unwrap();
        if order.status == "paid" {
            order.pays = Some(name);
        } else if order.cancelled_by == Some("customer") {
            self.return_money(at, "refund_required", "order_cancelled");
        } else if !can {
            let reason = if order.lines.is_empty() { "hold_expired" } else { "units_gone" };
            self.return_money(at, "refund_required", reason);
        } else {
            Self::revive(order, now);
            (order.status, order.pays) = ("paid", Some(name));
        }
    }

    fn hold_for_review(&mut self, at: usize) {
        let (now, can) = (self.now(), self.can_have_units(at));
        let order = self.orders.get_mut(&at).unwrap();
        if order.status == "in_review" {
            return;
        }
        if order.cancelled_by == Some("customer") {
            return self.return_money(at, "refund_required", "order_cancelled");
        }
        if !can {
            return self.return_money(at, "refund_required", "amount_mismatch");
        }
        let due = whole_second(now + REVIEW_MS);
        let due = if order.status == "pending" && now <= order.due { due.max(order.due) } else { due };
        Self::revive(order, now);
        (order.status, order.due) = ("in_review", due);
    }

    fn reason_of(&self, at: usize, name: PaymentName) -> Option<&'static str> {
        let (order, total) = (&self.orders[&at], self.total_of(at));
        let payment = &order.payments[&name];
        let facts = payment.facts(total);
        let refunded = facts.refund_sums().0;
        let Some(worth) = facts.worth(payment, total) else {
            let others = order.payments.iter().filter(|(other, _)| **other != name);
            let other_captured = others.into_iter().any(|(_, other)| other.facts(total).is_captured);
            let is_refund = refunded > 0 || facts.refunded_all || self.trouble_of(at, name).is_some();
            return (other_captured && is_refund).then_some("refund_mismatch");
        };
        match (worth, order.status) {
            (Worth::Refunded, _) => None,
            _ if facts.has_failed() => Some("refund_failed"),
            (Worth::Returning, _) => None,
            _ if ["order_cancelled", "hold_expired"].contains(&order.reason) => Some(order.reason),
            (Worth::Bad, status) if status != "paid" => Some("amount_mismatch"),
            (_, status) if status != "paid" => Some("units_gone"),
            _ if order.pays != Some(name) => Some("duplicate_payment"),
            _ => self.trouble_of(at, name),
        }
    }

    /// Why a person must look at a payment though it pays its order.
    fn trouble_of(&self, at: usize, name: PaymentName) -> Option<&'static str> {
        let total = self.total_of(at);
        let facts = self.orders[&at].payments[&name].facts(total);
        if facts.refund_unclear || facts.refunds_differ() && facts.has_refund() {
            return Some("refund_mismatch");
        }
        let own = if facts.currency.is_none() { facts.captured.unwrap_or(0) } else { 0 };
        (facts.refund_sums().0 > own.saturating_sub(total.unwrap_or(0))).then_some("partial_refund")
    }

    /// True: a review about this payment was opened or changed.
    fn follow_reviews(&mut self, at: usize, fresh: PaymentName) -> bool {
        let total = self.total_of(at);
        let names: Vec<PaymentName> = self.orders[&at].payments.keys().copied().collect();
        let mut has_changed = false;
        for name in names {
            let facts = self.orders[&at].payments[&name].facts(total);
            let dispute = match facts.dispute {
                Some("disputed") => Some("disputed"),
                Some("dispute_lost") => Some("dispute_lost"),
                _ => None,
            };
            for (kind, reason) in [self.reason_of(at, name), dispute].into_iter().enumerate() {
                has_changed |= self.follow_review(at, name, kind, reason) && name == fresh;
            }
        }
        has_changed
    }

    fn follow_review(&mut self, at: usize, name: PaymentName, kind: usize, reason: Option<&'static str>) -> bool {
        let total = self.total_of(at);
        let payment = self.orders.get_mut(&at).unwrap().payments.get_mut(&name).unwrap();
        let facts = payment.facts(total);
        let open = payment.reviews[kind].filter(|number| self.reviews[*number].is_open);
        let Some(reason) = reason else {
            payment.about[kind] = None;
            if let Some(number) = open {
                self.reviews[number].is_open = false;
            }
            return false;
        };
        let about = Some(format!("{reason}:{:?}:{}", facts.captured, facts.refund_sums().0));
        if payment.about[kind] == about {
            return false;
        }
        payment.about[kind] = about;
        if let Some(number) = open {
            self.reviews[number].reason = reason;
        } else {
            payment.reviews[kind] = Some(self.reviews.len());
            self.reviews.push(Review { hold: at, payment: name, reason, is_open: true });
        }
        true
    }

    pub(super) fn resolve(&mut self, number: usize, action: &str) -> String {
        let Some(review) = self.reviews.get(number).cloned() else { return "review_not_found".into() };
        let (at, name) = (review.hold, review.payment);
        self.reclaim();
        if !review.is_open {
            return "already_resolved".into();
        }
        let worth = self.worth_of(at, name);
        if action == "accept" {
            let order = &self.orders[&at];
            let may_pay = worth.is_some_and(|worth| worth != Worth::Refunded);
            if !may_pay || order.status == "paid" || order.lines.is_empty() {
                return "not_acceptable".into();
            }
            if !self.can_have_units(at) {
                return "units_gone".into();
            }
        }
        self.reviews[number].is_open = false;
        if worth.is_some() && action != "dismiss" {
            self.log_lapse(at);
            let order = self.orders.get_mut(&at).unwrap();
            let payment = order.payments.get_mut(&name).unwrap();
            (payment.accepted, payment.returned) = (action == "accept", action == "refund");
            if action == "accept" {
                order.cancelled_by = None;
            }
            self.follow_payments(at, Some(name));
            self.follow_reviews(at, name);
        }
        self.wrote();
        "resolved".into()
    }
}
