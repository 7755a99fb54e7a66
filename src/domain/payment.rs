//! Payment events, in one form for all providers.

use super::{
    money::{Amount, Currency},
    text::{IdempotencyKey, is_visible_ascii},
};

/// What an event says about a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus {
    /// The money was captured.
    Paid,
    /// The buyer is paying, or the amount is authorised and not captured yet.
    Processing,
    /// An attempt failed, such as a declined card. The payment lives on. Without a payment id: the shop's word that the order
    /// will not be paid.
    Failed,
    /// The payment has ended and captures nothing any more. Without a payment id: the shop's word that the order is cancelled.
    Cancelled,
    /// Money went back.
    Refunded,
    /// A refund that was reported did not arrive after all.
    RefundFailed,
    /// The buyer's bank takes the money back unless the shop wins.
    Disputed,
    DisputeWon,
    DisputeLost,
}

impl PaymentStatus {
    pub const ALL: [Self; 9] = [
        Self::Paid,
        Self::Processing,
        Self::Failed,
        Self::Cancelled,
        Self::Refunded,
        Self::RefundFailed,
        Self::Disputed,
        Self::DisputeWon,
        Self::DisputeLost,
    ];

    /// Reads a word of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether an event with this status is about money that moved. Such an event is never refused and never dropped.
    pub fn is_about_money(self) -> bool {
        !matches!(self, Self::Processing | Self::Failed | Self::Cancelled)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Processing => "processing",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
            Self::RefundFailed => "refund_failed",
            Self::Disputed => "disputed",
            Self::DisputeWon => "dispute_won",
            Self::DisputeLost => "dispute_lost",
        }
    }
}

/// The provider's id of a payment: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentId(String);

impl PaymentId {
    pub const CHARS_MAX: usize = 255;

    pub fn parse(text: &str) -> Option<Self> {
        is_visible_ascii(text, Self::CHARS_MAX).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The provider's id of one refund: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundId(String);

impl RefundId {
    pub fn parse(text: &str) -> Option<Self> {
        is_visible_ascii(text, PaymentId::CHARS_MAX).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the event is about, as the sender wrote it. Only the store knows whether the service ever made that id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Order(String),
    Hold(String),
    /// They must belong together.
    Both {
        order: String,
        hold: String,
    },
}

/// How much money an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatedAmount {
    NotGiven,
    Is(Amount),
    /// The sender's text. An event about money with such an amount is never applied, because every amount would count as the
    /// right one, and never refused, because senders drop events that are refused. It is kept for a person, with this text.
    NotUnderstood(String),
}

impl StatedAmount {
    pub fn known(&self) -> Option<Amount> {
        match self {
            Self::Is(amount) => Some(*amount),
            Self::NotGiven | Self::NotUnderstood(_) => None,
        }
    }
}

/// What to do with money that names nothing of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A person must look.
    Review,
    /// It belongs to another application on the same account of the provider.
    Ignore,
}

impl Foreign {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "review" => Some(Self::Review),
            "ignore" => Some(Self::Ignore),
            _ => None,
        }
    }
}

/// A payment event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentEvent {
    /// The name of the event. A second event with this name and the same status has no effect.
    pub key: IdempotencyKey,
    pub status: PaymentStatus,
    /// `None`: the event names no order, so that only its payment can say which order it is about.
    pub target: Option<Target>,
    /// `None`: the order's one payment without a name.
    pub payment: Option<PaymentId>,
    /// Of `Paid`: what was captured. Of `Refunded` with a refund id: the amount of that refund, and without one: the sum of
    /// all refunds of the payment. Of `RefundFailed`: the amount of the refund. Not given: all of it.
    pub amount: StatedAmount,
    pub currency: Option<Currency>,
    /// The part of the captured amount that is for the goods, in the currency that the order is priced in, where the provider
    /// says so: without tax and shipping, or before the buyer's currency was converted.
    pub goods: Option<(Amount, Currency)>,
    /// Which of several refunds of a payment the event is about.
    pub refund: Option<RefundId>,
    /// Epoch seconds of the provider's own clock. Disputes are ordered by it.
    pub sent_seconds: Option<u64>,
}

/// A refund of a payment, by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    pub id: String,
    pub amount: Amount,
    /// It did not arrive after all.
    pub failed: bool,
}

/// Where a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispute {
    Open,
    Won,
    Lost,
}

impl Dispute {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// An event that an order heard. Which ones there are depends on the order of their arrival, unlike the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardEvent {
    pub status: PaymentStatus,
    /// The provider's id of it, which ends in `…` where it was too long to keep.
    pub id: String,
    /// Epoch milliseconds of the Redis clock, of a whole second.
    pub received_ms: i64,
    /// Whether it said something that was not known.
    pub is_new: bool,
}

/// What is known of one payment of an order: facts from all its events, which are the same in whatever order the events came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts, each on its own")]
pub struct Payment {
    /// `None`: the payment of the events that name none.
    pub id: Option<PaymentId>,
    /// Whether money was captured.
    pub is_captured: bool,
    /// The most that was captured. `None` where no event says how much.
    pub captured: Option<Amount>,
    /// `None`: that of the order.
    pub currency: Option<Currency>,
    /// The largest sum of refunds that an event named.
    pub refunded: Option<Amount>,
    pub is_refunded_whole: bool,
    pub refunds: Vec<Refund>,
    /// The most of refunds that failed and have no id.
    pub failed: Option<Amount>,
    /// A refund of all of it failed.
    pub is_failed_whole: bool,
    /// That of the refunds, where it is not that of the order.
    pub refund_currency: Option<Currency>,
    pub in_flight: bool,
    pub declined: bool,
    pub ended: bool,
    pub dispute: Option<Dispute>,
    /// A person said that this money pays the order.
    pub accepted: bool,
    /// A person said that this money goes back.
    pub returned: bool,
    /// The key of the latest review about its money.
    pub review: Option<String>,
    pub dispute_review: Option<String>,
    /// Its place among the payments of its order, by when the order heard of them first. From 1.
    pub number: u64,
    /// In the order of their arrival.
    pub events: Vec<HeardEvent>,
}

impl Payment {
    /// How much went back and arrived, as `refund_sums` in `lua/lib/payments.lua` computes it.
    pub fn refunded_sum(&self) -> Amount {
        if self.refund_currency != self.currency {
            return Amount::from_ten_thousandths(0);
        }
        let value = |amount: Option<Amount>| amount.map_or(0, Amount::ten_thousandths);
        let sum = |failed: bool| -> u64 {
            self.refunds.iter().filter(|refund| refund.failed == failed).map(|r| r.amount.ten_thousandths()).sum()
        };
        let whole = if self.is_refunded_whole { value(self.captured) } else { 0 };
        let failed = (sum(true) + value(self.failed)).max(if self.is_failed_whole { value(self.captured) } else { 0 });
        let named = value(self.refunded).max(whole).saturating_sub(failed);
        Amount::from_ten_thousandths(named.max(sum(false)))
    }

    /// What is left of the captured money, which the audit finds in one place. `None` where no event says how much came.
    pub fn net(&self) -> Option<Amount> {
        let refunded = self.refunded_sum();
        let left = |captured: Amount| captured.ten_thousandths().saturating_sub(refunded.ten_thousandths());
        let nothing = Amount::from_ten_thousandths(0);
        match self.captured {
            Some(captured) => Some(Amount::from_ten_thousandths(left(captured))),
            None if self.is_captured => self.is_refunded().then_some(nothing),
            // Money that went back must have come, and nobody said how much of it.
            None => (refunded == nothing && !self.is_refunded_whole).then_some(nothing),
        }
    }

    /// Whether all that was captured went back.
    pub fn is_refunded(&self) -> bool {
        let refunded = self.refunded_sum();
        let some = refunded.ten_thousandths() > 0;
        let has_failed =
            self.is_failed_whole || self.failed.is_some() || self.refunds.iter().any(|refund| refund.failed);
        let unknown = !has_failed && (some || self.is_refunded_whole);
        self.captured.map_or(unknown, |captured| some && refunded >= captured)
    }
}
