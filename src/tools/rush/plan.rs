//! The plan of a rush: how many buyers, how fast, for which product, and until when.

use std::{fmt, time::Duration};

use super::crowd::Popularity;
use crate::{tools::client::Endpoint, webhook::signature::Signer};

pub const BUYERS_MAX: u64 = 10_000_000;
pub const CONCURRENCY_MAX: u64 = 8_192;
pub const RATE_MAX: u64 = 1_000_000;
pub const DURATION_MAX: Duration = Duration::from_hours(1);

/// What every buyer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Wants one unit, and gets it or not.
    Rush,
    /// Holds, orders and pays.
    Lifecycle,
    /// Holds for a second or two and walks away.
    Abandon,
    /// Sends everything three times, with the same key.
    Duplicates,
}

impl Scenario {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rush => "rush",
            Self::Lifecycle => "lifecycle",
            Self::Abandon => "abandon",
            Self::Duplicates => "duplicates",
        }
    }

    /// What a buyer does, as a sentence continues after "every buyer".
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
pub enum LoadModel {
    /// The next buyer comes when an earlier one has an answer.
    Closed,
    /// Buyers come on schedule, whatever was answered: `rate` a second.
    Open { rate: u64 },
}

/// Which products the buyers want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProductChoice {
    /// All available units of all products of a sale.
    Sale { sale: String },
    /// All available units of an existing product.
    Existing { product: u64 },
    /// A product that the rush makes.
    New { units: u64 },
}

impl fmt::Display for ProductChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sale { sale } => write!(f, "sale {sale}"),
            Self::Existing { product } => write!(f, "product {product}"),
            Self::New { .. } => f.write_str("a product of its own"),
        }
    }
}

#[derive(Clone)]
pub struct RushPlan {
    pub endpoint: Endpoint,
    pub scenario: Scenario,
    pub product: ProductChoice,
    /// How the wishes of the buyers spread over the products of a sale.
    pub popularity: Popularity,
    pub buyers: u64,
    /// The customers that buyers are drawn from. Without it the limits of the products say how many.
    pub customers: Option<u64>,
    pub concurrency: u64,
    pub load: LoadModel,
    pub duration: Duration,
    pub admin_token: Option<String>,
    /// Signs payment events; without it they are unsigned.
    pub signer: Option<Signer>,
    /// Seed of the rush's own choices: which copy is sent when, who holds for how long.
    pub seed: u64,
    /// Leaves the holds and orders that the rush makes.
    pub keep: bool,
}

impl RushPlan {
    /// The command line that repeats this rush, without anything secret.
    pub fn command(&self) -> String {
        let product = match &self.product {
            ProductChoice::Sale { sale } => format!("--sale {sale} --popularity {}", self.popularity),
            ProductChoice::Existing { product } => format!("--product {product}"),
            ProductChoice::New { units } => format!("--units {units}"),
        };
        let customers = self.customers.map_or_else(String::new, |customers| format!(" --customers {customers}"));
        let keep = if self.keep { " --keep" } else { "" };
        let rate = match self.load {
            LoadModel::Closed => String::new(),
            LoadModel::Open { rate } => format!(" --rate {rate}"),
        };
        let ms = self.duration.as_millis();
        let duration = if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") };
        format!(
            "flashsale rush --url {} --scenario {} {product} --buyers {}{customers} --concurrency {} --duration {duration}{rate} \
             --seed {}{keep}",
            self.endpoint.url(),
            self.scenario.as_str(),
            self.buyers,
            self.concurrency,
            self.seed,
        )
    }
}
