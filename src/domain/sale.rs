//! Sales: products that are sold under the same terms.

use super::{
    ids::{SaleId, Shards},
    money::Currency,
    quantity::Quantity,
    text::Name,
    visibility::Visibility,
};

/// What happens to an order when the shop says that its payment failed. A card that is declined does nothing.
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

/// What happens to an order when a payment of it ends, such as a checkout session that expires, and none is left that could
/// still pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPaymentEnded {
    /// It stays pending until its deadline, so that the buyer can begin another payment.
    Keep,
    /// It is cancelled, and its units are available again.
    Release,
}

impl OnPaymentEnded {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "keep" => Some(Self::Keep),
            "release" => Some(Self::Release),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Release => "release",
        }
    }
}

/// Which captured amount pays an order. Any other waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentAmount {
    /// The total of the order, or more: tax and shipping come on top.
    AtLeast,
    /// The total of the order.
    Exact,
}

impl PaymentAmount {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "at_least" => Some(Self::AtLeast),
            "exact" => Some(Self::Exact),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::AtLeast => "at_least",
            Self::Exact => "exact",
        }
    }
}

/// The time in which a sale takes holds: from the start until just before the end. Epoch milliseconds of the Redis clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    pub starts_ms: Option<i64>,
    pub ends_ms: Option<i64>,
    pub paused: bool,
}

/// Whether a sale takes holds at an instant.
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
    pub const ALL: [Self; 4] = [Self::Live, Self::Scheduled, Self::Paused, Self::Ended];

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
    /// `None`: nobody gets a longer hold than `hold_ms`, whatever that is changed to.
    pub hold_max_ms: Option<u64>,
    pub payment_ms: u64,
    pub payment_max_ms: u64,
    /// How long an order whose payment does not fit keeps its units for a person to decide.
    pub review_ms: u64,
    pub payment_amount: PaymentAmount,
    pub on_payment_failed: OnPaymentFailed,
    pub on_payment_ended: OnPaymentEnded,
    /// Whether units of a refunded order are available again.
    pub restock_refunds: bool,
    /// A customer who leaves this many holds or orders in a row must wait. 0: no customer must.
    pub cooldown_holds: u64,
    /// How long that customer waits, from the last one.
    pub cooldown_ms: u64,
    /// Whether a hold that its buyer releases counts too.
    pub cooldown_counts_releases: bool,
    /// The bound on a customer's held, pending and bought units of all products together. `None`: no limit.
    pub max_per_customer: Option<Quantity>,
    /// The same bound for each group of products.
    pub max_per_group: Option<Quantity>,
    pub visibility: Visibility,
}

/// A sale and its terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    pub id: SaleId,
    pub terms: SaleTerms,
    /// `None` until it has a product.
    pub currency: Option<Currency>,
    /// Over how many slots it is spread, for ever.
    pub shards: Shards,
}

/// Lengths in milliseconds that a sale has when it is made without its own.
#[derive(Clone, Copy, Debug)]
pub struct SaleDefaults {
    pub hold_ms: u64,
    /// Of sales without a `hold_ms` of their own. `None`: as in [`SaleTerms`].
    pub hold_max_ms: Option<u64>,
    pub payment_ms: u64,
    /// From the creation of an order to the latest deadline that a started payment may move it to.
    pub payment_max_ms: u64,
    pub review_ms: u64,
}

impl SaleTerms {
    /// The longest hold that a buyer may ask for or extend to.
    pub fn longest_hold_ms(&self) -> u64 {
        self.hold_max_ms.unwrap_or(self.hold_ms)
    }

    /// The terms of a new sale: those that are wanted, and the defaults for the rest.
    pub fn of_new_sale(id: &SaleId, wanted: SaleChange, defaults: &SaleDefaults) -> Self {
        let name = wanted.name.or_else(|| Name::parse(id.as_str()));
        // A shop that wants short holds would be surprised by a buyer who gets a long one.
        let by_default = if wanted.hold_ms.is_some() { None } else { defaults.hold_max_ms };
        let hold_max_ms = wanted.hold_max_ms.unwrap_or(by_default);
        // A length that is wanted raises a maximum that is not.
        let payment_max_ms =
            wanted.payment_max_ms.unwrap_or_else(|| defaults.payment_max_ms.max(wanted.payment_ms.unwrap_or(0)));
        Self {
            name: name.expect("the id of a sale is a name"),
            window: Window {
                starts_ms: wanted.starts_ms.flatten(),
                ends_ms: wanted.ends_ms.flatten(),
                paused: wanted.paused.unwrap_or(false),
            },
            hold_ms: wanted.hold_ms.unwrap_or_else(|| defaults.hold_ms.min(hold_max_ms.unwrap_or(u64::MAX))),
            hold_max_ms,
            payment_ms: wanted.payment_ms.unwrap_or_else(|| defaults.payment_ms.min(payment_max_ms)),
            payment_max_ms,
            review_ms: wanted.review_ms.unwrap_or(defaults.review_ms),
            payment_amount: wanted.payment_amount.unwrap_or(PaymentAmount::AtLeast),
            on_payment_failed: wanted.on_payment_failed.unwrap_or(OnPaymentFailed::Release),
            on_payment_ended: wanted.on_payment_ended.unwrap_or(OnPaymentEnded::Keep),
            restock_refunds: wanted.restock_refunds.unwrap_or(true),
            cooldown_holds: wanted.cooldown_holds.unwrap_or(0),
            cooldown_ms: wanted.cooldown_ms.unwrap_or(defaults.hold_ms),
            cooldown_counts_releases: wanted.cooldown_counts_releases.unwrap_or(false),
            max_per_customer: wanted.max_per_customer.flatten(),
            max_per_group: wanted.max_per_group.flatten(),
            visibility: wanted.visibility.unwrap_or_default(),
        }
    }
}

/// A term that may conflict with another one of its sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaleTerm {
    /// Holds must not be longer than their maximum.
    HoldLength,
    /// The time to pay must not be longer than its maximum.
    PaymentLength,
    /// A sale must end after it starts.
    End,
}

/// Terms to set. `None`: the term stays, or a new sale gets its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaleChange {
    pub name: Option<Name>,
    pub starts_ms: Option<Option<i64>>,
    pub ends_ms: Option<Option<i64>>,
    pub paused: Option<bool>,
    pub hold_ms: Option<u64>,
    pub hold_max_ms: Option<Option<u64>>,
    pub payment_ms: Option<u64>,
    pub payment_max_ms: Option<u64>,
    pub review_ms: Option<u64>,
    pub payment_amount: Option<PaymentAmount>,
    pub on_payment_failed: Option<OnPaymentFailed>,
    pub on_payment_ended: Option<OnPaymentEnded>,
    pub restock_refunds: Option<bool>,
    pub cooldown_holds: Option<u64>,
    pub cooldown_ms: Option<u64>,
    pub cooldown_counts_releases: Option<bool>,
    pub max_per_customer: Option<Option<Quantity>>,
    pub max_per_group: Option<Option<Quantity>>,
    pub visibility: Option<Visibility>,
}

impl SaleChange {
    /// The terms of this change that conflict with each other. `change_sale` compares them with the terms that stay, by the
    /// same rules.
    pub fn conflicts(&self) -> impl Iterator<Item = SaleTerm> {
        let exceeds = |value: Option<u64>, most: Option<u64>| value.zip(most).is_some_and(|(value, most)| value > most);
        let window = self.starts_ms.flatten().zip(self.ends_ms.flatten());
        let rules = [
            (exceeds(self.hold_ms, self.hold_max_ms.flatten()), SaleTerm::HoldLength),
            (exceeds(self.payment_ms, self.payment_max_ms), SaleTerm::PaymentLength),
            (window.is_some_and(|(starts, ends)| starts >= ends), SaleTerm::End),
        ];
        rules.into_iter().filter_map(|(is_broken, term)| is_broken.then_some(term))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_conflict_when_a_length_is_above_its_maximum_or_the_end_is_not_after_the_start() {
        let fits = SaleChange {
            hold_ms: Some(5),
            hold_max_ms: Some(Some(5)),
            payment_ms: Some(7),
            starts_ms: Some(Some(1)),
            ends_ms: Some(Some(2)),
            ..SaleChange::default()
        };
        assert_eq!(fits.conflicts().count(), 0);
        let broken = SaleChange { hold_ms: Some(6), payment_max_ms: Some(6), ends_ms: Some(Some(1)), ..fits };
        let all = [SaleTerm::HoldLength, SaleTerm::PaymentLength, SaleTerm::End];
        assert_eq!(broken.conflicts().collect::<Vec<_>>(), all);
    }

    #[test]
    fn a_new_sale_has_defaults_that_fit_its_own_terms() {
        let defaults =
            SaleDefaults { hold_ms: 10, hold_max_ms: Some(20), payment_ms: 10, payment_max_ms: 20, review_ms: 30 };
        let id = SaleId::parse("drop").unwrap();
        let wanted = SaleChange { hold_ms: Some(30), payment_max_ms: Some(5), ..SaleChange::default() };
        let terms = SaleTerms::of_new_sale(&id, wanted, &defaults);
        assert_eq!((terms.hold_ms, terms.longest_hold_ms(), terms.payment_ms, terms.payment_max_ms), (30, 30, 5, 5));
        let lengths = |wanted: SaleChange| {
            let terms = SaleTerms::of_new_sale(&id, wanted, &defaults);
            (terms.hold_ms, terms.hold_max_ms)
        };
        let default = SaleChange::default();
        assert_eq!(lengths(default.clone()), (10, Some(20)), "the shop said so in its settings");
        assert_eq!(lengths(SaleChange { hold_ms: Some(5), ..default.clone() }), (5, None));
        assert_eq!(lengths(SaleChange { hold_max_ms: Some(Some(5)), ..default.clone() }), (5, Some(5)));
        assert_eq!(lengths(SaleChange { hold_max_ms: Some(None), ..default }), (10, None));
        assert_eq!((terms.name.as_str(), terms.cooldown_ms, terms.restock_refunds), ("drop", 10, true));
    }

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
