//! `flashsale trigger`: flags, and a line for each answer.

use clap::{ArgAction, Args, ValueEnum};

use super::{
    CommonArgs,
    arguments::{count, filled, whole},
    environment,
    exit::Exit,
    print::{print_error, print_line, print_note},
    service::{endpoint, with_api_key},
};
use crate::{
    config::{self, Overrides, Secret, Settings},
    domain::{
        money::{Amount, Currency},
        payment::PaymentStatus,
    },
    tools::trigger::{self, Plan, Sent},
    webhook::{signature::Signer, standard, stripe},
};

const COPIES_MAX: u64 = 1_000;
/// Seeds that are taken here: few enough to be typed again.
const SEEDS: u64 = 1_000_000;
/// Characters at the end of an id that only sign it; those of a hold and of its order differ.
const TAG_CHARS: usize = 12;

const EXAMPLES: &str = "\
Examples:
  flashsale trigger paid order_…                         the payment came
  flashsale trigger paid order_… --duplicate 3           the same event three times: applied once
  flashsale trigger paid order_… --payment-id pi_other   a second payment: for a person to look at
  flashsale trigger paid order_… --amount 1.00           not what it costs: for a person to look at
  flashsale trigger paid hold_…                          before there is an order: makes it
  flashsale trigger paid,failed,refunded order_… --duplicate 2 --shuffle
                                                         six events in random order
  flashsale trigger refunded order_… --stripe            as Stripe would send it
  flashsale trigger refunded order_… --stripe --amount 10.00
                                                         a part: for a person to look at

Each line says what was sent, the event's id, the answer's status, what came of it, and how the order \
stands. All events of an order are about one payment, unless --payment-id says something else. The outcomes are explained \
in the README.

Exit status: 0 all answers were 2xx; 1 one was not, or did not come; 2 nothing was sent (bad flags, no amount known).";

/// What to send, and how.
#[derive(Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct TriggerArgs {
    /// What happened to the money; several as in paid,failed,refunded
    // One argument, so that an id that is missing is what clap misses.
    #[arg(value_enum, value_name = "STATUS", value_delimiter = ',', num_args = 1, action = ArgAction::Set, required = true)]
    statuses: Vec<Choice>,
    /// The id of an order, or of a hold
    #[arg(value_name = "ORDER_ID", value_parser = filled)]
    target: String,
    /// Send each event N times in all, with the same event id
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole(1, COPIES_MAX))]
    duplicate: u64,
    /// Send all events in random order
    #[arg(long)]
    shuffle: bool,
    /// Repeats the order of an earlier --shuffle [default: another one each time]
    #[arg(long, value_name = "N", requires = "shuffle", value_parser = count)]
    seed: Option<u64>,
    /// As Stripe sends it: its event, its signature
    #[arg(long)]
    stripe: bool,
    /// How much money, as in 50.00 [default: not said; with --stripe what the service says that the order costs]
    #[arg(long, value_name = "AMOUNT", value_parser = filled)]
    amount: Option<String>,
    /// In which currency
    #[arg(long, value_name = "CODE", default_value = "USD", requires = "amount", value_parser = filled)]
    currency: String,
    /// Which payment [default: one for each order]
    #[arg(long, value_name = "ID", value_parser = filled)]
    payment_id: Option<String>,
    /// The event's id; with several statuses -1, -2, … is added [default: a new one]
    #[arg(long, value_name = "ID", value_parser = filled)]
    key: Option<String>,
    /// The service [default: that of `FLASHSALE_URL`, else of http.addr of the settings]
    #[arg(long, value_name = "URL", value_parser = filled)]
    url: Option<String>,
    /// Signs the events [default: the first of webhook.secrets or `webhook.stripe_secrets` of the settings; else unsigned]
    #[arg(long, value_name = "whsec_…", value_parser = filled)]
    secret: Option<String>,
    /// For asking what an order costs, with --stripe; events need none [default: the first of `http.api_keys` of the settings]
    #[arg(long, value_name = "KEY", value_parser = filled)]
    api_key: Option<String>,
    /// Print each answer as a JSON object in a line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Choice {
    /// The money came
    Paid,
    /// The payment did not work; the buyer may try again
    Failed,
    /// The payment will not come
    #[value(alias = "canceled")]
    Cancelled,
    /// The money went back
    Refunded,
    /// The buyer has begun to pay
    Processing,
}

impl From<Choice> for PaymentStatus {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Paid => Self::Paid,
            Choice::Failed => Self::Failed,
            Choice::Cancelled => Self::Cancelled,
            Choice::Refunded => Self::Refunded,
            Choice::Processing => Self::Processing,
        }
    }
}

pub(super) fn run(common: &CommonArgs, args: &TriggerArgs) -> Exit {
    match trigger(common, args) {
        Ok(true) => Exit::Done,
        Ok(false) => Exit::No,
        Err(message) => {
            print_error(&message);
            Exit::Unknown
        }
    }
}

/// Gives whether every answer was a success.
fn trigger(common: &CommonArgs, args: &TriggerArgs) -> Result<bool, String> {
    let settings = config::load(common.config.as_deref(), &environment(), &Overrides::new());
    let plan = plan(args, &settings.map_err(|complaints| complaints.to_string())?)?;
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(trigger::run(&plan, show))?;
    Ok(all_succeeded)
}

fn plan(args: &TriggerArgs, settings: &Settings) -> Result<Plan, String> {
    let provider = if args.stripe { &stripe::PROVIDER } else { &standard::PROVIDER };
    let random = || getrandom::u64().map_err(|error| error.to_string());
    let secret = args.secret.clone().or_else(|| {
        let row = settings.webhook.providers().into_iter().find(|(_, theirs, _)| theirs.path == provider.path);
        row.and_then(|(.., secrets)| Some(Secret::expose(secrets.first()?).to_owned()))
    });
    let signer = |secret: String| {
        Signer::new(provider, &secret).ok_or_else(|| format!("--secret must be {}", provider.secret_form))
    };
    let shuffle = args.shuffle.then(|| args.seed.map_or_else(|| random().map(|seed| seed % SEEDS), Ok));
    Ok(Plan {
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

/// The same for an order and for the hold that it was.
fn payment_of(target: &str) -> String {
    let (_, id) = target.split_once('_').unwrap_or(("", target));
    let unsigned = id.len().checked_sub(TAG_CHARS).and_then(|end| id.get(..end));
    format!("pi_{}", unsigned.filter(|id| !id.is_empty()).unwrap_or(id))
}
