//! `flashsale product restock`: more or fewer units of one product, or of many.

use clap::Args;
use serde_json::{Value, json};

use super::{
    arguments::{ReasonArgs, count, filled},
    bulk::{self, Kind, Target, WhichArgs},
    exit::Exit,
    print::print_note,
    product,
    service::{CommandError, ServiceArgs},
};
use crate::tools::client::{
    CallPath,
    api::{ApiCall, ApiClient, ApiReply, CallError},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  flashsale product restock 1 --delta 50        fifty more
  flashsale product restock 1 --delta -20       twenty fewer
  flashsale product restock 1 --total 500       five hundred in all, including sold ones
  flashsale product restock 1 --delta 50 --key truck-17
                                                fifty more, however often you repeat it
  flashsale product restock --sale drop-1 --delta 5 --run friday-2
                                                five more of each product of the sale
  flashsale product restock --file truck.csv --run truck-17
                                                a table with the columns sku or id, and delta or total

A total below the units that are held, pending and sold is refused (below_promised), and the answer says how many \
these are.

Many at once: each product counts once in a run, so that the same command with the same --run goes on where it broke off. \
The service remembers a run as long as sale.idempotency_seconds says. A row is done, unchanged (the run did it before, or there \
is nothing to do), refused with the reason, unknown (its answer was lost) or not tried. Exit status: 0 all are done or \
unchanged; 1 one was refused; 2 it did not come to its end.";

const FIELDS: [&str; 1] = ["total_stock"];
const COLUMNS: [&str; 4] = ["sku", "id", "delta", "total"];

#[derive(Args)]
pub(super) struct RestockArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Number of units to add; negative to remove
    #[arg(long, value_name = "N", allow_negative_numbers = true, required_unless_present_any = ["total", "file"])]
    delta: Option<i64>,
    /// New number of units in all, including held, pending and sold ones
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count, conflicts_with = "delta")]
    total: Option<u64>,
    /// Idempotency key: a restocking counts once, however often it is sent [default: a new one]
    #[arg(long, value_parser = filled, conflicts_with_all = ["sale", "file"])]
    key: Option<String>,
    /// Name of this restocking of many: each product counts once in it, however often it is sent [default: a new one]
    #[arg(long, value_name = "NAME", value_parser = filled, conflicts_with_all = ["id", "sku", "key"])]
    run: Option<String>,
    #[command(flatten)]
    reason: ReasonArgs,
}

pub(super) async fn run(
    client: &mut ApiClient,
    service: &ServiceArgs,
    args: &RestockArgs,
) -> Result<Exit, CommandError> {
    let products = match args.which.find(client, &COLUMNS).await? {
        Target::One(path) => return service.show(&send(client, path, args).await?, product::text),
        Target::Many(products) => products,
    };
    let run = bulk::run_name(args.run.as_deref())?;
    let steps = products
        .into_iter()
        .map(|product| product.step(|path, cells| Ok(ApiCall::post(path.segment("restock"), &body(args, &cells)?))));
    let steps = steps.collect();
    let go_on = format!("To go on: the same again with --run {run}. What is done counts once.");
    let kind = Kind { noun: "product", fields: &FIELDS, go_on, run: Some(run) };
    bulk::run(client, service, &kind, steps).await
}

/// What the row says, else what the flags say.
fn body(args: &RestockArgs, cells: &Value) -> Result<Value, String> {
    let mut body = match (&cells["delta"], &cells["total"]) {
        (Value::Null, Value::Null) => by_flags(args).ok_or("the row has neither delta nor total, and no flag has")?,
        (delta, Value::Null) => json!({"delta": delta}),
        (Value::Null, total) => json!({"total": total}),
        _ => return Err("the row has delta and total: give one of them".to_owned()),
    };
    args.reason.add_to(&mut body);
    Ok(body)
}

fn by_flags(args: &RestockArgs) -> Option<Value> {
    args.total.map(|total| json!({"total": total})).or_else(|| args.delta.map(|delta| json!({"delta": delta})))
}

/// Restocks one, always with a key, so that a person who does not know whether it counted can send it again.
async fn send(client: &mut ApiClient, path: CallPath, args: &RestockArgs) -> Result<ApiReply, CommandError> {
    let mut change = by_flags(args).unwrap_or_default();
    args.reason.add_to(&mut change);
    let random = || getrandom::u64().map(|number| format!("restock-{number:016x}"));
    let key = args.key.clone().map_or_else(random, Ok).map_err(|error| CommandError::NotDone(error.to_string()))?;
    let call = ApiCall::post(path.segment("restock"), &change).with_header("idempotency-key", &*key);
    let sent = client.send(call).await;
    let is_unknown = match &sent {
        Err(CallError::Transport(error)) => error.may_have_effect(),
        Err(CallError::Refused(refusal)) => !refusal.is_refusal(),
        _ => false,
    };
    if is_unknown {
        print_note(&format!("The same again with --key {key} counts once."));
    }
    Ok(sent?)
}
