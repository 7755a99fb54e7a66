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
    domain::money::Currency,
    tools::trigger::{self, MoneyPlan, Sent, TriggerPlan},
    webhook::{PROVIDERS, Provider, SampleKind, signature::Signer},
};

const COPIES_MAX: u64 = 1_000;
/// Bound of the seeds that are drawn here, so that they are short enough to be typed again.
const SEEDS: u64 = 1_000_000;

const EXAMPLES: &str = "\
Examples:
  flashsale trigger paid order_…                         the payment succeeded
  flashsale trigger paid order_… --duplicate 3           the same event three times: applied once
  flashsale trigger paid order_… --payment-id pi_other   a second payment: opens a review
  flashsale trigger paid order_… --amount 1.00           a wrong amount: opens a review
  flashsale trigger paid hold_…                          a payment before the order: makes the order
  flashsale trigger authorised,declined,paid order_…     a card that is declined once, and then pays
  flashsale trigger paid,declined,refunded order_… --duplicate 2 --shuffle
                                                         six events in random order
  flashsale trigger refunded order_… --provider stripe   an event as Stripe sends it
  flashsale trigger partial-refund order_…               half of it went back: opens a review
  flashsale trigger dispute,dispute-lost order_…         the bank took the money back
  flashsale trigger failed order_…                       the shop's own word, without a payment id

Each line shows the kind and the id of the event, the answer's HTTP status and outcome, and the status of the order. Where \
a person must look, a second line has the reason, and the command that shows the review. All events of an order are about \
one payment, unless --payment-id names another. docs/payments.md explains the outcomes.

Exit status: 0 all answers were 2xx; 1 an answer was not 2xx, or did not come; 2 nothing was sent (wrong flags, no service, \
unknown amount).";

/// What to send, and how.
#[derive(Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct TriggerArgs {
    /// What happened to the money; several kinds as in paid,dispute,refunded
    // One argument, so that clap names a missing id as the missing one.
    #[arg(value_enum, value_name = "KIND", value_delimiter = ',', num_args = 1, action = ArgAction::Set, required = true)]
    kinds: Vec<KindArg>,
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
    /// Amount, as in 50.00 [default: the total of the order, and half of it for partial-refund]
    #[arg(long, value_name = "AMOUNT", value_parser = filled)]
    amount: Option<String>,
    /// Currency [default: that of the order, else USD]
    #[arg(long, value_name = "CODE", value_parser = filled)]
    currency: Option<String>,
    /// Send no amount, which only our own webhook allows
    #[arg(long, conflicts_with_all = ["amount", "currency"])]
    no_amount: bool,
    /// Payment id [default: one for each order; failed and cancelled have none]
    #[arg(long, value_name = "ID", value_parser = filled)]
    payment_id: Option<String>,
    /// Event id; with several kinds -1, -2, … is added [default: a new one]
    #[arg(long, value_name = "ID", value_parser = filled)]
    key: Option<String>,
    /// URL of the service [default: `FLASHSALE_URL`, else http.addr of the settings]
    #[arg(long, value_name = "URL", value_parser = filled)]
    url: Option<String>,
    /// Secret that signs the events [default: the first in the provider's setting; without one the events are unsigned]
    #[arg(long, value_name = "whsec_…", value_parser = filled)]
    secret: Option<String>,
    /// API key for asking what the order costs; events need none [default: the first of `http.api_keys` of the settings]
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
enum KindArg {
    /// The money was captured
    Paid,
    /// The buyer is paying
    Processing,
    /// The amount is reserved, and not captured yet
    #[value(alias = "authorized")]
    Authorised,
    /// An attempt to pay failed; the payment lives on
    Declined,
    /// The payment captures nothing any more
    Ended,
    /// The shop's own word: the order will not be paid
    Failed,
    /// The shop's own word: the order is cancelled
    #[value(alias = "canceled")]
    Cancelled,
    /// The money was refunded
    Refunded,
    /// Half of the money was refunded, or --amount
    PartialRefund,
    /// A refund did not arrive after all
    RefundFailed,
    /// The buyer's bank takes the money back unless the shop wins
    Dispute,
    /// The shop keeps the money
    DisputeWon,
    /// The bank keeps the money
    DisputeLost,
}

impl From<KindArg> for SampleKind {
    fn from(choice: KindArg) -> Self {
        match choice {
            KindArg::Paid => Self::Paid,
            KindArg::Processing => Self::Processing,
            KindArg::Authorised => Self::Authorised,
            KindArg::Declined => Self::Declined,
            KindArg::Ended => Self::Ended,
            KindArg::Failed => Self::Failed,
            KindArg::Cancelled => Self::Cancelled,
            KindArg::Refunded => Self::Refunded,
            KindArg::PartialRefund => Self::PartialRefund,
            KindArg::RefundFailed => Self::RefundFailed,
            KindArg::Dispute => Self::Dispute,
            KindArg::DisputeWon => Self::DisputeWon,
            KindArg::DisputeLost => Self::DisputeLost,
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
    // Whoever names a service knows it.
    if args.url.is_none() {
        print_note(&format!("events go to {}", plan.endpoint.url()));
    }
    let mut all_succeeded = true;
    let show = |sent: &Sent| {
        all_succeeded &= sent.succeeded();
        print_line(&if args.json { sent.json() } else { sent.text() });
    };
    trigger::run(plan, print_note, show).await?;
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
        kinds: args.kinds.iter().map(|choice| SampleKind::from(*choice)).collect(),
        target: args.target.clone(),
        key: args.key.clone().map_or_else(|| random().map(|number| format!("evt_{:012x}", number >> 16)), Ok)?,
        payment: args.payment_id.clone(),
        money: MoneyPlan {
            no_amount: args.no_amount,
            amount: args.amount.clone(),
            currency: args.currency.as_deref().map(currency).transpose()?,
        },
        copies: args.duplicate,
        shuffle_seed: shuffle.transpose()?,
    })
}

fn currency(code: &str) -> Result<Currency, String> {
    let currency = Currency::parse(&code.to_ascii_uppercase());
    currency.ok_or_else(|| "--currency must be an ISO 4217 code such as USD".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_event_can_be_named() {
        let named = KindArg::value_variants().iter().map(|arg| {
            let word = arg.to_possible_value().unwrap().get_name().to_owned();
            assert_eq!(SampleKind::from(*arg).as_str(), word);
            word
        });
        assert_eq!(named.collect::<Vec<_>>(), SampleKind::ALL.map(SampleKind::as_str));
    }
}
