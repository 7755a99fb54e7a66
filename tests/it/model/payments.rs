//! Payments in the model. A payment is the list of what was heard of it. Its facts are computed from the whole list each time, so
//! they cannot depend on the order.

use std::collections::BTreeMap;

/// The currency of the sale.
pub const OWN: &str = "USD";

/// The product that costs nothing.
pub const FREE: u64 = 9;

/// Ten-thousandths for one unit of a product: as many dollars as its id, or nothing.
pub fn price(product: u64) -> u64 {
    if product == FREE { 0 } else { product * 10_000 }
}

/// What one event said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    pub status: &'static str,
    pub amount: Said,
    pub refund: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Nothing,
    Sum(u64, &'static str),
    /// A text that is no amount.
    Unclear,
}

#[derive(Clone, Debug, Default)]
pub struct Payment {
    pub heard: Vec<Heard>,
    pub accepted: bool,
    pub returned: bool,
    /// The latest review about its money, by its number, and what it was opened for. The other is about its dispute.
    pub reviews: [Option<usize>; 2],
    pub about: [Option<String>; 2],
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts, each on its own")]
pub struct Facts {
    pub is_captured: bool,
    pub captured: Option<u64>,
    pub currency: Option<&'static str>,
    pub exact: bool,
    all: bool,
    unclear: bool,
    pub refunded: u64,
    pub refunded_all: bool,
    refunds: BTreeMap<u8, (u64, bool)>,
    failed: u64,
    pub failed_all: bool,
    pub refund_currency: Option<&'static str>,
    pub refund_unclear: bool,
    in_flight: bool,
    declined: bool,
    ended: bool,
    pub dispute: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    Good,
    Bad,
    Returning,
    Refunded,
}

impl Payment {
    pub fn facts(&self, total: Option<u64>) -> Facts {
        let of = |status: &'static str| self.heard.iter().filter(move |heard| heard.status == status);
        let mut facts = Facts {
            is_captured: of("paid").count() > 0,
            in_flight: of("processing").count() > 0,
            declined: of("failed").count() > 0,
            ended: of("cancelled").count() > 0,
            dispute: ["dispute_lost", "dispute_won", "disputed"].into_iter().find(|word| of(word).count() > 0),
            ..Facts::default()
        };
        for heard in of("paid") {
            match (heard.amount, total) {
                (Said::Unclear, _) => facts.unclear = true,
                (Said::Nothing, None) => facts.all = true,
                (Said::Nothing, Some(total)) => facts.capture(total, OWN, Some(total)),
                (Said::Sum(sum, currency), total) => facts.capture(sum, currency, total),
            }
        }
        for heard in self.heard.iter().filter(|heard| ["refunded", "refund_failed"].contains(&heard.status)) {
            facts.refund(*heard);
        }
        facts
    }
}

impl Facts {
    fn capture(&mut self, sum: u64, currency: &'static str, total: Option<u64>) {
        self.exact |= currency == OWN && Some(sum) == total;
        // The currency of the sale counts more than any other.
        let rank = |currency: Option<&'static str>| (currency.is_none(), currency.unwrap_or(""));
        let currency = Some(currency).filter(|currency| *currency != OWN);
        if self.captured.is_none() || rank(currency) > rank(self.currency) {
            (self.captured, self.currency) = (Some(sum), currency);
        } else if currency == self.currency {
            self.captured = self.captured.max(Some(sum));
        }
    }

    fn refund(&mut self, heard: Heard) {
        let failed = heard.status == "refund_failed";
        let sum = match heard.amount {
            Said::Unclear => {
                self.refund_unclear = true;
                return;
            }
            Said::Nothing => None,
            Said::Sum(sum, currency) => {
                self.refund_currency = self.refund_currency.max(Some(currency).filter(|currency| *currency != OWN));
                Some(sum)
            }
        };
        match (heard.refund, sum, failed) {
            (Some(id), Some(_), _) | (Some(id), None, true) => {
                let refund = self.refunds.entry(id).or_default();
                *refund = (refund.0.max(sum.unwrap_or(0)), refund.1 || failed);
            }
            (_, Some(sum), false) => self.refunded = self.refunded.max(sum),
            (_, Some(sum), true) => self.failed = self.failed.max(sum),
            (_, None, false) => self.refunded_all = true,
            (_, None, true) => self.failed_all = true,
        }
    }

    pub fn refunds_differ(&self) -> bool {
        self.refund_currency != self.currency
    }

    pub fn has_refund(&self) -> bool {
        self.refunded > 0 || self.failed > 0 || self.refunded_all || self.failed_all || !self.refunds.is_empty()
    }

    /// What went back, and what failed to go back.
    pub fn refund_sums(&self) -> (u64, u64) {
        if self.refunds_differ() {
            return (0, 0);
        }
        let captured = self.captured.unwrap_or(0);
        let sum = |wanted: bool| -> u64 {
            self.refunds.values().filter(|(_, failed)| *failed == wanted).map(|(sum, _)| sum).sum()
        };
        let failed = (self.failed + sum(true)).max(if self.failed_all { captured } else { 0 });
        let named = self.refunded.max(if self.refunded_all { captured } else { 0 });
        (named.saturating_sub(failed).max(sum(false)), failed)
    }

    /// What they say about money that moved.
    pub fn money(&self) -> impl PartialEq + use<> {
        let captured = (self.captured, self.currency, self.all, self.unclear);
        (captured, self.refund_sums(), self.refunded_all, self.failed_all, self.refund_unclear, self.dispute)
    }

    pub fn has_failed(&self) -> bool {
        self.refund_sums().1 > 0 || self.failed_all
    }

    /// What the payment is to an order with this total, which is `None` where the order has no lines.
    pub fn worth(&self, payment: &Payment, total: Option<u64>) -> Option<Worth> {
        if !self.is_captured {
            return None;
        }
        let (refunded, failed) = self.refund_sums();
        let is_refunded = match self.captured {
            Some(captured) => refunded > 0 && refunded >= captured,
            None => !self.has_failed() && (self.refunded_all || self.all && refunded > 0),
        };
        let own = if self.currency.is_none() { self.captured.unwrap_or(0) } else { 0 };
        Some(if is_refunded {
            Worth::Refunded
        } else if total == Some(0) && self.captured == Some(0) && !self.has_failed() && !self.unclear {
            return None;
        } else if payment.accepted {
            Worth::Good
        } else if payment.returned || self.has_failed() && refunded + failed >= self.captured.unwrap_or(0) {
            Worth::Returning
        } else if self.exact || total.is_none_or(|total| own >= total) {
            Worth::Good
        } else {
            Worth::Bad
        })
    }
}
