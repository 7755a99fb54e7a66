//! `flashsale trigger`: flags, and a line for each answer.

use clap::{
    ArgAction, Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};

use super::{
    CommonArgs,
    arguments::{count, filled, whole},
    exit::Exit,
    print::{print_line, print_note},
    service::{endpoint, settings, with_api_key, with_service},
};
use crate::{
    config::Settings,
    domain::{
        money::{Amount, Currency},
        payment::PaymentStatus,
    },
    tools::trigger::{self, Sent, TriggerPlan},
    webhook::{PROVIDERS, Provider, signature::Signer},
};

const COPIES_MAX: u64 = 1_000;
/// Bound of the seeds that are drawn here, so that they are short enough to be typed again.
const SEEDS: u64 = 1_000_000;
/// Characters of the signature at the end of an id. They differ between a hold and its order.
const TAG_CHARS: usize = 12;

const EXAMPLES: &str = "\
Examples:
  flashsale trigger paid order_…                         the payment succeeded
  flashsale trigger paid order_… --duplicate 3           the same event three times: applied once
  flashsale trigger paid order_… --payment-id pi_other   a second payment: opens a review
  flashsale trigger paid order_… --amount 1.00           a wrong amount: opens a review
  flashsale trigger paid hold_…                          a payment before the order: makes the order
  flashsale trigger paid,failed,refunded order_… --duplicate 2 --shuffle
                                                         six events in random order
  flashsale trigger refunded order_… --provider stripe   an event as Stripe sends it
  flashsale trigger refunded order_… --provider stripe --amount 10.00
                                                         a partial refund: opens a review

Each line shows the event's status and id, the answer's HTTP status and outcome, and the status of the order. \
All events of an order are about one payment, unless --payment-id names another. docs/payments.md explains the outcomes.

Exit status: 0 all answers were 2xx; 1 an answer was not 2xx, or did not come; 2 nothing was sent (wrong flags, unknown amount).";

/// What to send, and how.
#[derive(Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct TriggerArgs {
    /// What happened to the money; several statuses as in paid,failed,refunded
    // One argument, so that clap names a missing id as the missing one.
    #[arg(value_enum, value_name = "STATUS", value_delimiter = ',', num_args = 1, action = ArgAction::Set, required = true)]
    statuses: Vec<StatusArg>,
    /// Order id or hold id
    #[arg(value_name = "ORDER_ID", value_parser = filled)]
    target: String,
    /// Number of times that each event is sent, with the same event id
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole(1, COPIES_MAX))]
    duplicate: u64,
    /// Send all events in random order
    #[arg(long)]
    shuffle: bool,
    /// Seed of an earlier --shuffle, which repeats its order [default: a new one]
    #[arg(long, value_name = "N", requires = "shuffle", value_parser = count)]
    seed: Option<u64>,
    /// Provider that the event is sent as
    #[arg(long, value_name = "NAME", default_value = PROVIDERS[0].name, value_parser = provider())]
    provider: &'static Provider,
    /// Amount, as in 50.00 [default: the order's total where the provider's events always have an amount, else none]
    #[arg(long, value_name = "AMOUNT", value_parser = filled)]
    amount: Option<String>,
    /// Currency of --amount
    #[arg(long, value_name = "CODE", default_value = "USD", requires = "amount", value_parser = filled)]
    currency: String,
    /// Payment id [default: one for each order]
    #[arg(long, value_name = "ID", value_parser = filled)]
    payment_id: Option<String>,
    /// Event id; with several statuses -1, -2, … is added [default: a new one]
    #[arg(long, value_name = "ID", value_parser = filled)]
    key: Option<String>,
    /// URL of the service [default: `FLASHSALE_URL`, else http.addr of the settings]
    #[arg(long, value_name = "URL", value_parser = filled)]
    url: Option<String>,
    /// Secret that signs the events [default: the first in the provider's setting; without one the events are unsigned]
    #[arg(long, value_name = "whsec_…", value_parser = filled)]
    secret: Option<String>,
    /// API key for reading the order's total; events need none [default: the first of `http.api_keys` of the settings]
    #[arg(long, value_name = "KEY", value_parser = filled)]
    api_key: Option<String>,
    /// Print each answer as a JSON object on one line
    #[arg(long)]
    json: bool,
}

/// Takes the name of a provider.
fn provider() -> impl TypedValueParser<Value = &'static Provider> {
    let named = |name: String| PROVIDERS.into_iter().find(|provider| provider.name == name);
    PossibleValuesParser::new(PROVIDERS.map(|provider| provider.name))
        .try_map(move |name| named(name).ok_or("no provider has this name"))
}

#[derive(Clone, Copy, ValueEnum)]
enum StatusArg {
    /// The payment succeeded
    Paid,
    /// The payment failed; the buyer may try again
    Failed,
    /// The payment was cancelled
    #[value(alias = "canceled")]
    Cancelled,
    /// The money was refunded
    Refunded,
    /// The buyer has started to pay
    Processing,
}

impl From<StatusArg> for PaymentStatus {
    fn from(choice: StatusArg) -> Self {
        match choice {
            StatusArg::Paid => Self::Paid,
            StatusArg::Failed => Self::Failed,
            StatusArg::Cancelled => Self::Cancelled,
            StatusArg::Refunded => Self::Refunded,
            StatusArg::Processing => Self::Processing,
        }
    }
}

pub(super) fn run(common: &CommonArgs, args: &TriggerArgs) -> Exit {
    let plan = settings(common).and_then(|settings| plan(args, &settings));
    with_service(plan, async |plan| trigger(&plan, args).await)
}

async fn trigger(plan: &TriggerPlan, args: &TriggerArgs) -> Result<Exit, String> {
    if let Some(seed) = plan.shuffle_seed {
        let repeat = format!("--seed {seed} repeats this order");
        if args.json { print_note(&repeat) } else { print_line(&repeat) }
    }
    print_note(&format!("events go to {}", plan.endpoint.url()));
    let mut all_succeeded = true;
    let show = |sent: &Sent| {
        all_succeeded &= sent.succeeded();
        print_line(&if args.json { sent.json() } else { sent.text() });
    };
    trigger::run(plan, show).await?;
    Ok(if all_succeeded { Exit::Done } else { Exit::No })
}

fn plan(args: &TriggerArgs, settings: &Settings) -> Result<TriggerPlan, String> {
    let provider = args.provider;
    let random = || getrandom::u64().map_err(|error| error.to_string());
    let secret = args.secret.clone().or_else(|| {
        let known = settings.webhook.secrets_of(provider.setting).first();
        known.map(|secret| secret.expose().to_owned())
    });
    let signer = |secret: String| {
        Signer::new(provider, &secret).ok_or_else(|| format!("--secret must be {}", provider.secret_form))
    };
    let shuffle = args.shuffle.then(|| args.seed.map_or_else(|| random().map(|seed| seed % SEEDS), Ok));
    Ok(TriggerPlan {
        endpoint: with_api_key(endpoint(args.url.as_deref(), settings)?, args.api_key.as_deref(), settings)?,
        provider,
        signer: secret.map(signer).transpose()?,
        statuses: args.statuses.iter().map(|choice| PaymentStatus::from(*choice)).collect(),
        target: args.target.clone(),
        key: args.key.clone().map_or_else(|| random().map(|number| format!("evt_{:012x}", number >> 16)), Ok)?,
        payment: args.payment_id.clone().unwrap_or_else(|| payment_of(&args.target)),
        money: args.amount.as_deref().map(|amount| money(amount, &args.currency)).transpose()?,
        copies: args.duplicate,
        shuffle_seed: shuffle.transpose()?,
    })
}

fn money(amount: &str, currency: &str) -> Result<(Amount, Currency), String> {
    let currency = Currency::parse(&currency.to_ascii_uppercase());
    let currency = currency.ok_or("--currency must be an ISO 4217 code such as USD")?;
    let amount = Amount::parse(amount, currency.decimals()).map_err(|error| format!("--amount: {error}"))?;
    Ok((amount, currency))
}

/// The payment id that an order and its hold share.
fn payment_of(target: &str) -> String {
    let (_, id) = target.split_once('_').unwrap_or(("", target));
    let unsigned = id.len().checked_sub(TAG_CHARS).and_then(|end| id.get(..end));
    format!("pi_{}", unsigned.filter(|id| !id.is_empty()).unwrap_or(id))
}
