//! Sales: products that are sold under the same terms.

use super::{ids::SaleId, money::Currency, text::Name};

/// What becomes of an order whose payment failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPaymentFailed {
    /// It is cancelled, and its units are available again.
    Release,
    /// It stays pending until its deadline, so that the buyer can try again.
    Keep,
}

impl OnPaymentFailed {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "release" => Some(Self::Release),
            "keep" => Some(Self::Keep),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Keep => "keep",
        }
    }
}

/// When a sale takes holds: from the start on, and until just before the end. Epoch milliseconds of the Redis clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    pub starts_ms: Option<i64>,
    pub ends_ms: Option<i64>,
    pub paused: bool,
}

/// Whether a sale takes holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaleStatus {
    Live,
    Scheduled,
    Paused,
    Ended,
}

impl Window {
    pub fn status(&self, now_ms: i64) -> SaleStatus {
        if self.ends_ms.is_some_and(|ends| now_ms >= ends) {
            SaleStatus::Ended
        } else if self.starts_ms.is_some_and(|starts| now_ms < starts) {
            SaleStatus::Scheduled
        } else if self.paused {
            SaleStatus::Paused
        } else {
            SaleStatus::Live
        }
    }
}

impl SaleStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Scheduled => "scheduled",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

/// The terms of a sale. Lengths are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleTerms {
    pub name: Name,
    pub window: Window,
    pub hold_ms: u64,
    pub hold_max_ms: u64,
    pub payment_ms: u64,
    pub payment_max_ms: u64,
    pub on_payment_failed: OnPaymentFailed,
    /// Whether units of a refunded order are available again.
    pub restock_refunds: bool,
    /// A customer who let so many holds lapse, one after another, must wait; 0: nobody must.
    pub cooldown_holds: u64,
    /// How long, counted from the last lapse.
    pub cooldown_ms: u64,
}

/// A sale as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    pub id: SaleId,
    pub terms: SaleTerms,
    /// `None` until it has a product.
    pub currency: Option<Currency>,
}

/// Terms to set; `None` where they stay, or, on a new sale, where the service has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaleChange {
    pub name: Option<Name>,
    pub starts_ms: Option<Option<i64>>,
    pub ends_ms: Option<Option<i64>>,
    pub paused: Option<bool>,
    pub hold_ms: Option<u64>,
    pub hold_max_ms: Option<u64>,
    pub payment_ms: Option<u64>,
    pub payment_max_ms: Option<u64>,
    pub on_payment_failed: Option<OnPaymentFailed>,
    pub restock_refunds: Option<bool>,
    pub cooldown_holds: Option<u64>,
    pub cooldown_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_opens_and_closes_to_the_millisecond() {
        let window = Window { starts_ms: Some(10), ends_ms: Some(20), paused: false };
        let status = |now| window.status(now).as_str();
        assert_eq!([status(9), status(10), status(19), status(20)], ["scheduled", "live", "live", "ended"]);
        let paused = Window { paused: true, ..window };
        assert_eq!([9, 10, 20].map(|now| paused.status(now).as_str()), ["scheduled", "paused", "ended"]);
        assert_eq!(Window::default().status(0), SaleStatus::Live);
    }
}
