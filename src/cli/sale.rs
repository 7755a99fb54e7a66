//! `flashsale sale`: lists, shows, creates, changes, pauses and resumes sales.

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    CommonArgs,
    arguments::{ReasonArgs, Seen, count, filled},
    exit::Exit,
    instant,
    list::read_list,
    print::print_note,
    service::{CommandError, ServiceArgs},
    table::{Column, Table, cell, sheet, short_name, short_time},
};
use crate::{
    domain::sale::{SaleStatus, Window},
    tools::{
        client::{
            CallPath,
            api::{ApiCall, ApiClient},
        },
        text::printable,
    },
    wire::sale::SaleBody,
};

const SALES: &str = "/api/admin/sales";
/// How far the date of an answer may lag behind the clock that it was taken from.
const DATE_LATE_MS_MAX: u64 = 2_000;

const EXAMPLES: &str = "\
Examples:
  flashsale sale create drop-1 --starts-at 2026-11-27T09:00:00Z --ends-at 2026-11-27T21:00:00Z
  flashsale product create 1 --sale drop-1 --name Sneaker --price 120.00 --total-stock 500
  flashsale sale list
  flashsale sale pause drop-1            nobody gets a hold; orders and payments continue
  flashsale sale resume drop-1
  flashsale sale change drop-1 --ends-at +30m
  flashsale sale change drop-1 --ends-at now

A product without a sale gets one of its own: product 7 is in sale p7, and `sale change p7` gives it a window.

Exit status: 0 done; 1 the service refused; 2 nothing was done (bad flags, no service, no token), or the result is unknown.";

const CREATE_EXAMPLES: &str = "\
Examples:
  flashsale sale create drop-1 --starts-at 2026-11-27T09:00:00Z --ends-at 2026-11-27T21:00:00Z
  flashsale sale create --starts-at +10m          gets an id; opens in ten minutes by this clock
  flashsale sale create drop-2 --paused           opens with: flashsale sale resume drop-2

Terms that you do not name come from the settings of the service (sale.hold_seconds and so on).";

const CHANGE_EXAMPLES: &str = "\
Examples:
  flashsale sale change drop-1 --ends-at +30m             half an hour more
  flashsale sale change drop-1 --no-starts-at             open at once
  flashsale sale change drop-1 --hold-seconds 120 --hold-seconds-max 600
  flashsale sale change drop-1 --restock-refunds=false    refunded units are not sold again

What you do not name stays. A change applies to the next hold or order; existing holds and orders keep their \
deadlines.";

/// List, show, create, change, pause and resume sales
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SaleArgs {
    #[command(subcommand)]
    command: SaleCommand,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Subcommand)]
enum SaleCommand {
    /// List all sales with their windows
    #[command(after_help = "Example:\n  flashsale sale list --json | jq '.data[].id'")]
    List,
    /// Show all terms of one sale
    #[command(after_help = "Examples:\n  flashsale sale show drop-1\n  flashsale product list --sale drop-1")]
    Show {
        /// Sale id
        #[arg(value_parser = filled)]
        id: String,
    },
    /// Create a sale
    #[command(after_help = CREATE_EXAMPLES)]
    Create {
        /// Sale id, 1 to 32 of a-z, 0-9 and - [default: the service makes one]
        #[arg(value_parser = filled)]
        id: Option<String>,
        /// Hash slots over which its units are spread, for ever: for more holds than one server of a cluster decides [default: 1]
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
        shards: Option<u64>,
        #[command(flatten)]
        terms: SaleTermArgs,
    },
    /// Change the terms of a sale, also while it sells
    #[command(after_help = CHANGE_EXAMPLES)]
    Change {
        /// Sale id
        #[arg(value_parser = filled)]
        id: String,
        #[command(flatten)]
        terms: SaleTermArgs,
        #[command(flatten)]
        without: WithoutArgs,
        #[command(flatten)]
        reason: ReasonArgs,
    },
    /// Stop holds at once; existing holds can be ordered and paid
    #[command(after_help = "Example:\n  flashsale sale pause drop-1\n\n\
        A paused sale that starts meanwhile stays closed until it is resumed. Deadlines continue.")]
    Pause {
        /// Sale id
        #[arg(value_parser = filled)]
        id: String,
        #[command(flatten)]
        reason: ReasonArgs,
    },
    /// Allow holds again at once, within its window
    #[command(after_help = "Example:\n  flashsale sale resume drop-1")]
    Resume {
        /// Sale id
        #[arg(value_parser = filled)]
        id: String,
        #[command(flatten)]
        reason: ReasonArgs,
    },
}

/// Terms to take away.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command, each on its own")]
struct WithoutArgs {
    /// No start: the sale is open from now on
    #[arg(long, conflicts_with = "starts_at")]
    no_starts_at: bool,
    /// No end: the sale ends when all is sold
    #[arg(long, conflicts_with = "ends_at")]
    no_ends_at: bool,
    /// No longer holds than --hold-seconds, whatever that is
    #[arg(long, conflicts_with = "hold_seconds_max")]
    no_hold_seconds_max: bool,
    /// No limit for a customer across the products of the sale
    #[arg(long, conflicts_with = "max_per_customer")]
    no_max_per_customer: bool,
    /// No limit for a customer across the products of a group
    #[arg(long, conflicts_with = "max_per_group")]
    no_max_per_group: bool,
}

/// The terms of a sale, with their names on the wire.
#[derive(Args, Serialize)]
struct SaleTermArgs {
    /// Name for people
    #[arg(long, value_parser = filled)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Start of holds: 2026-11-27T09:00:00Z, now, or +10m from now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = instant::read)]
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<String>,
    /// End of holds, in the same forms
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = instant::read)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    /// Whether the sale is paused: no holds, whatever its window
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<bool>,
    /// Seconds that a hold lasts
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_seconds: Option<u64>,
    /// Most seconds of a hold, whatever the buyer asks for, extensions included [default: --hold-seconds]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_seconds_max: Option<u64>,
    /// Seconds that an order waits for its payment
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_seconds: Option<u64>,
    /// Most seconds that an order waits once its buyer has begun to pay
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_seconds_max: Option<u64>,
    /// Seconds that an order whose payment does not fit keeps its units for a person to decide
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    review_seconds: Option<u64>,
    /// Which captured amount pays an order
    #[arg(long, value_enum, value_name = "RULE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_amount: Option<AmountRule>,
    /// What happens to an order when the shop's own webhook says, without a payment id, that its payment failed
    #[arg(long, value_enum, value_name = "POLICY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    on_payment_failed: Option<PaymentFailedPolicy>,
    /// What happens to an order when its last payment ended, such as a checkout session that expired
    #[arg(long, value_enum, value_name = "POLICY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    on_payment_ended: Option<PaymentEndedPolicy>,
    /// Whether units of refunded orders are sold again
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    restock_refunds: Option<bool>,
    /// Number of holds and orders in a row that a customer leaves unpaid before a wait; 0: no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cooldown_holds: Option<u64>,
    /// Seconds that such a customer must wait
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cooldown_seconds: Option<u64>,
    /// Whether a released hold counts as left, too
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cooldown_counts_releases: Option<bool>,
    /// Most units of one customer in this sale, held, ordered and bought together
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_per_customer: Option<u64>,
    /// Most units of one customer over the products of a group, such as the sizes of a model
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_per_group: Option<u64>,
    /// Who sees the sale and its products
    #[arg(long, value_enum, value_name = "WHO")]
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility: Option<Seen>,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum PaymentFailedPolicy {
    /// The order is cancelled, and its units are available again
    Release,
    /// The order waits until its deadline, so that the buyer can try again
    Keep,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum PaymentEndedPolicy {
    /// The order waits until its deadline, so that the buyer can begin another payment
    Keep,
    /// The order is cancelled, and its units are available again
    Release,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
enum AmountRule {
    /// The total or more: tax and shipping come on top
    AtLeast,
    /// The total
    Exact,
}

pub(super) fn run(common: &CommonArgs, args: &SaleArgs) -> Exit {
    args.service.run(common, async |client| match &args.command {
        SaleCommand::List => list(client, &args.service).await,
        SaleCommand::Show { id } => answer(client, args, ApiCall::get(path(id))).await,
        SaleCommand::Create { id, shards, terms } => {
            let mut sale = terms.body()?;
            if let Some(id) = id {
                sale["id"] = id.as_str().into();
            }
            if let Some(shards) = shards {
                sale["shards"] = (*shards).into();
            }
            answer(client, args, ApiCall::post(CallPath::of(SALES), &sale)).await
        }
        SaleCommand::Change { id, terms, without, reason } => {
            let mut change = terms.body()?;
            for name in without.names() {
                change[name] = Value::Null;
            }
            if change.as_object().is_none_or(serde_json::Map::is_empty) {
                return Err(CommandError::NotDone(
                    "nothing to change: `flashsale sale change --help` lists the terms".into(),
                ));
            }
            reason.add_to(&mut change);
            answer(client, args, ApiCall::patch(path(id), &change)).await
        }
        SaleCommand::Pause { id, reason } => pause(client, args, id, true, reason).await,
        SaleCommand::Resume { id, reason } => pause(client, args, id, false, reason).await,
    })
}

impl WithoutArgs {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("starts_at", self.no_starts_at),
            ("ends_at", self.no_ends_at),
            ("hold_seconds_max", self.no_hold_seconds_max),
            ("max_per_customer", self.no_max_per_customer),
            ("max_per_group", self.no_max_per_group),
        ];
        all.into_iter().filter_map(|(name, is_without)| is_without.then_some(name))
    }
}

impl SaleTermArgs {
    fn body(&self) -> Result<Value, CommandError> {
        serde_json::to_value(self).map_err(|error| CommandError::NotDone(error.to_string()))
    }
}

pub(super) fn path(id: &str) -> CallPath {
    CallPath::of(SALES).segment(id)
}

async fn list(client: &mut ApiClient, service: &ServiceArgs) -> Result<Exit, CommandError> {
    let sales = read_list(client, "sale", CallPath::of(SALES), None).await?;
    let now_ms = now_ms(client);
    service.show_list(sales, |sales: &[SaleBody<'static>]| {
        if sales.is_empty() {
            return "no sales yet; `flashsale sale create` makes one".to_owned();
        }
        let mut table = Table::new(&[
            Column::Left("ID"),
            Column::Wide("NAME"),
            Column::Left("STATUS"),
            Column::Left("STARTS"),
            Column::Left("ENDS"),
            Column::Right("HOLD"),
            Column::Right("PAYMENT"),
        ]);
        for sale in sales {
            table.row([
                cell(&sale.id),
                short_name(&sale.name),
                status(sale, now_ms),
                short_time(sale.starts_at.as_deref()),
                short_time(sale.ends_at.as_deref()),
                instant::length(sale.hold_seconds),
                instant::length(sale.payment_seconds),
            ]);
        }
        table.text()
    })
}

/// Makes a call, and shows the sale that the service answers.
async fn answer(client: &mut ApiClient, args: &SaleArgs, call: ApiCall) -> Result<Exit, CommandError> {
    let reply = client.send(call).await?;
    let now_ms = now_ms(client);
    for warning in reply.json::<SaleBody<'static>>()?.warnings {
        print_note(&format!("warning: {}", printable(&warning)));
    }
    args.service.show(&reply, |sale| text(sale, now_ms))
}

/// Pauses or resumes a sale. Shows one line, because no other term changes.
async fn pause(
    client: &mut ApiClient,
    args: &SaleArgs,
    id: &str,
    paused: bool,
    reason: &ReasonArgs,
) -> Result<Exit, CommandError> {
    let mut change = json!({"paused": paused});
    reason.add_to(&mut change);
    let reply = client.send(ApiCall::patch(path(id), &change)).await?;
    let now_ms = now_ms(client);
    args.service.show(&reply, |sale| title(sale, now_ms))
}

/// The time by the service's clock, because this machine's clock decides nothing. An answer has it in whole seconds and a
/// moment late, so this machine's clock is used where it agrees.
fn now_ms(client: &ApiClient) -> i64 {
    let here_ms = Timestamp::now().as_millisecond();
    let date = client.date().and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let there_ms = date.map(|date| date.timestamp().as_millisecond());
    there_ms.filter(|there_ms| there_ms.abs_diff(here_ms) > DATE_LATE_MS_MAX).unwrap_or(here_ms)
}

/// The status at this instant. It follows from the window, which is what the service answers.
fn status(sale: &SaleBody<'_>, now_ms: i64) -> String {
    let instant_ms = |time: Option<&str>| time?.parse().ok().map(Timestamp::as_millisecond);
    let (starts_ms, ends_ms) = (instant_ms(sale.starts_at.as_deref()), instant_ms(sale.ends_at.as_deref()));
    let paused = sale.paused;
    match (Window { starts_ms, ends_ms, paused }.status(now_ms), paused) {
        // It will not open by itself.
        (SaleStatus::Scheduled, true) => "scheduled, paused".to_owned(),
        (status, _) => status.as_str().to_owned(),
    }
}

fn title(sale: &SaleBody<'_>, now_ms: i64) -> String {
    format!("sale {}: {}", sale.id, status(sale, now_ms))
}

/// All terms, under the names of the options that change them.
fn text(sale: &SaleBody<'_>, now_ms: i64) -> String {
    let fields = json!(sale);
    let fields = fields.as_object().into_iter().flatten().filter(|(name, _)| *name != "id");
    let facts = fields.map(|(name, value)| {
        let printed = match (name.ends_with("_at"), value.as_u64().map(instant::length)) {
            (true, _) => short_time(value.as_str()),
            (false, Some(length)) if name.contains("_seconds") && !length.is_empty() => format!("{value} ({length})"),
            _ => cell(value),
        };
        (name.replace('_', "-"), printed)
    });
    sheet(&title(sale, now_ms), &facts.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_is_printed_term_by_term_under_the_names_of_its_options() {
        let sale = json!({"id": "drop-1", "name": "Friday", "starts_at": "2026-11-27T09:00:00.000Z", "ends_at": null,
            "paused": false, "hold_seconds": 900, "hold_seconds_max": 3600, "payment_seconds": 90,
            "payment_seconds_max": 1800, "review_seconds": 86400, "payment_amount": "at_least",
            "on_payment_failed": "release", "on_payment_ended": "keep", "restock_refunds": true, "cooldown_holds": 0,
            "cooldown_seconds": 0, "cooldown_counts_releases": false, "currency": null, "max_per_customer": 4,
            "max_per_group": null, "visibility": "public"});
        let sale: SaleBody<'_> = serde_json::from_value(sale).unwrap();
        let expected = "\
sale drop-1: scheduled

  name                      Friday
  starts-at                 2026-11-27 09:00Z
  ends-at                   -
  paused                    no
  hold-seconds              900 (15m)
  hold-seconds-max          3600 (1h)
  payment-seconds           90 (1m30s)
  payment-seconds-max       1800 (30m)
  review-seconds            86400 (1d)
  payment-amount            at_least
  on-payment-failed         release
  on-payment-ended          keep
  restock-refunds           yes
  cooldown-holds            0
  cooldown-seconds          0
  cooldown-counts-releases  no
  currency                  -
  max-per-customer          4
  max-per-group             -
  visibility                public";
        assert_eq!(text(&sale, 0), expected);
        assert_eq!(status(&sale, i64::MAX), "live");
        let paused = SaleBody { paused: true, ..sale };
        assert_eq!([status(&paused, 0), status(&paused, i64::MAX)], ["scheduled, paused", "paused"]);
    }
}
