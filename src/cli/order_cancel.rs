//! `flashsale order cancel`: one order, or all orders of a sale that wait for their payment.

use std::io::{self, IsTerminal, Write};

use clap::Args;
use serde_json::{Value, json};

use super::{
    arguments::{ReasonArgs, filled},
    bulk::{self, Before, Kind, Step, Work},
    exit::Exit,
    list::read_list,
    order::{ORDERS, path},
    order_list,
    print::print_note,
    service::{CommandError, ServiceArgs},
    table::{cell, counted},
};
use crate::{
    tools::client::{
        CallPath,
        api::{ApiCall, ApiClient},
    },
    wire::order::OrderBody,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  flashsale order cancel order_…
  flashsale order cancel --sale drop-1 --pending --dry-run     which these are
  flashsale order cancel --sale drop-1 --pending --reason \"wrong price\"

Only an order that waits for its payment can be cancelled. Its units are available again. The log says that an admin \
did it. Money that comes later is for a refund: `flashsale review list` has it.

All pending orders of a sale: on a terminal the command asks first, elsewhere it needs --yes. Pause the sale before, \
or holds become new orders meanwhile. An order that was paid meanwhile is refused, and stays. The same again goes on where \
it broke off. Exit status: 0 all are done; 1 one was refused; 2 it did not come to its end.";

const FIELDS: [&str; 1] = ["status"];

#[derive(Args)]
pub(super) struct CancelArgs {
    /// Order id
    #[arg(value_parser = filled, required_unless_present = "sale", conflicts_with = "sale")]
    id: Option<String>,
    /// Orders of this sale, with --pending
    #[arg(long, value_name = "ID", value_parser = filled, requires = "pending")]
    sale: Option<String>,
    /// All orders of the sale that wait for their payment
    #[arg(long, requires = "sale")]
    pending: bool,
    /// List these orders, and cancel none
    #[arg(long, requires = "sale")]
    dry_run: bool,
    /// Do not ask
    #[arg(long, requires = "sale")]
    yes: bool,
    #[command(flatten)]
    reason: ReasonArgs,
}

impl CancelArgs {
    fn call(&self, id: &str) -> ApiCall {
        ApiCall::post(self.reason.on(path(id).segment("cancel")), &json!({}))
    }
}

pub(super) async fn run(
    client: &mut ApiClient,
    service: &ServiceArgs,
    args: &CancelArgs,
) -> Result<Exit, CommandError> {
    let Some(sale) = &args.sale else {
        let title = |order: &OrderBody<'_>| format!("order {}: {}", cell(&order.id), cell(&order.status));
        return service.show(&client.send(args.call(args.id.as_deref().unwrap_or_default())).await?, title);
    };
    let search = CallPath::of(ORDERS).with("status", "pending").with("sale", sale);
    let orders = read_list(client, "order", search, None).await?;
    let found = &orders.data;
    if args.dry_run {
        print_note(&format!("{} would be cancelled; dry run: nothing was changed", many(found)));
        return service.show_list(orders, order_list::text);
    }
    if !found.is_empty() && !args.yes {
        ask(&format!("cancel {} of {}?", many(found), cell(sale)))?;
    }
    let steps = found.iter().map(|order| {
        let name = order["id"].as_str().unwrap_or_default().to_owned();
        let call = args.call(&name);
        Step { row: None, name, work: Work::Call { before: Before::Known(order.clone()), call } }
    });
    let go_on = "To go on: the same again. What is cancelled stays so.".to_owned();
    let kind = Kind { noun: "order", fields: &FIELDS, go_on, run: None };
    bulk::run(client, service, &kind, steps.collect()).await
}

fn many(orders: &[Value]) -> String {
    counted(orders.len() as u64, "pending order")
}

/// Asks the person at the terminal.
///
/// # Errors
/// When the answer is no, or there is nobody to ask.
fn ask(question: &str) -> Result<(), CommandError> {
    let not_done = |why: &str| CommandError::NotDone(format!("{why}; nothing was changed"));
    if !io::stdin().is_terminal() {
        return Err(not_done(&format!("{question} Nobody can be asked here: say --yes")));
    }
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stdin().read_line(&mut answer));
    asked.map_err(|error| not_done(&error.to_string()))?;
    let is_yes = ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes));
    if is_yes { Ok(()) } else { Err(not_done("not cancelled")) }
}
