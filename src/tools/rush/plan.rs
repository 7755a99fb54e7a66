//! What a rush is asked to do: who comes, how many, how fast, for what, and when it ends.

use std::time::Duration;

use crate::{tools::client::Endpoint, webhook::signature::Signer};

pub const BUYERS_MAX: u64 = 10_000_000;
pub const CONCURRENCY_MAX: u64 = 8_192;
pub const RATE_MAX: u64 = 1_000_000;
pub const DURATION_MAX: Duration = Duration::from_hours(1);

/// What every buyer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Wants one unit, and has it or not.
    Rush,
    /// Holds, orders and pays.
    Lifecycle,
    /// Holds for a second or two and walks away.
    Abandon,
    /// Says everything three times, with the same key.
    Duplicates,
}

impl Scenario {
    pub fn word(self) -> &'static str {
        match self {
            Self::Rush => "rush",
            Self::Lifecycle => "lifecycle",
            Self::Abandon => "abandon",
            Self::Duplicates => "duplicates",
        }
    }

    /// What a buyer does, as a sentence goes on after "every buyer".
    pub fn story(self) -> &'static str {
        match self {
            Self::Rush => "wants one unit",
            Self::Lifecycle => "holds a unit, orders it and pays",
            Self::Abandon => "holds a unit for a second or two and walks away",
            Self::Duplicates => "sends the hold and the payment three times, with the same key",
        }
    }

    pub fn pays(self) -> bool {
        matches!(self, Self::Lifecycle | Self::Duplicates)
    }

    /// How often each hold and each payment event is sent.
    pub fn copies(self) -> usize {
        if self == Self::Duplicates { 3 } else { 1 }
    }
}

/// When the next buyer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// When one of those before has its answer.
    Closed,
    /// On schedule, whatever was answered; so many a second.
    Open { rate: u64 },
}

/// Whose stock it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A product that is there; all that is available of it.
    Existing { product: u64 },
    /// One that is made for this rush.
    New { units: u64 },
}

#[derive(Clone)]
pub struct Plan {
    pub endpoint: Endpoint,
    pub scenario: Scenario,
    pub wanted: Wanted,
    pub buyers: u64,
    pub concurrency: u64,
    pub pace: Pace,
    pub duration: Duration,
    pub admin_token: Option<String>,
    /// Signs payment events; without it they are sent unsigned.
    pub signer: Option<Signer>,
    /// Of the choices that the rush itself makes: which copy is sent when, who holds for how long.
    pub seed: u64,
}

impl Plan {
    /// The command line that repeats this, without anything secret.
    pub fn command(&self) -> String {
        let wanted = match self.wanted {
            Wanted::Existing { product } => format!("--product {product}"),
            Wanted::New { units } => format!("--units {units}"),
        };
        let rate = match self.pace {
            Pace::Closed => String::new(),
            Pace::Open { rate } => format!(" --rate {rate}"),
        };
        let ms = self.duration.as_millis();
        let duration = if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") };
        format!(
            "flashsale rush --url {} --scenario {} {wanted} --buyers {} --concurrency {} --duration {duration}{rate} --seed {}",
            self.endpoint.url(),
            self.scenario.word(),
            self.buyers,
            self.concurrency,
            self.seed,
        )
    }
}
