//! `flashsale payment`: shows a payment, its orders and its reviews.

use clap::{Args, Subcommand};

use super::{CommonArgs, arguments::filled, exit::Exit, order, review, service::ServiceArgs};
use crate::{
    tools::{
        client::{CallPath, api::ApiCall},
        text::printable,
    },
    wire::payment::FoundPaymentBody,
};

const EXAMPLES: &str = "\
Examples:
  flashsale payment show pi_…                         what became of this money
  flashsale payment show tx_7 --json | jq -r '.orders[].status'

Exit status: 0 done; 1 the service refused; 2 bad flags, no token, no service, or no whole answer of it.";

const SHOW_EXAMPLES: &str = "\
Examples:
  flashsale payment show pi_…
  flashsale payment show tx_7 --json | jq -r '.reviews[] | select(.status == \"open\").id'

The id is that of your payment provider. With Stripe it is the payment intent. A payment has one order,
unless its events named several: then the first 8 of them are shown.";

/// Show a payment, its order and its reviews, by the provider's id
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PaymentArgs {
    #[command(subcommand)]
    command: PaymentCommand,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Subcommand)]
enum PaymentCommand {
    /// Show the order of a payment, and all reviews about it
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The provider's id of the payment
        #[arg(value_parser = filled)]
        id: String,
    },
}

pub(super) fn run(common: &CommonArgs, args: &PaymentArgs) -> Exit {
    let PaymentCommand::Show { id } = &args.command;
    args.service.run(common, async |client| {
        let path = CallPath::of("/api/admin/payments").segment(id);
        args.service.show(&client.send(ApiCall::get(path)).await?, text)
    })
}

/// The orders, then the reviews, the oldest first.
fn text(found: &FoundPaymentBody<'_>) -> String {
    let (orders, reviews) = (found.orders.len(), found.reviews.len());
    let title = match (orders, reviews) {
        (0, 0) => "no order, no review".to_owned(),
        (0, _) => "no order".to_owned(),
        (1, 0) => "no review".to_owned(),
        (1, _) => "its order and its reviews".to_owned(),
        (_, 0) => format!("it named {orders} orders, no review"),
        (_, _) => format!("it named {orders} orders, and its reviews"),
    };
    let orders = found.orders.iter().map(order::text);
    let reviews = found.reviews.iter().map(review::text);
    let title = printable(&format!("payment {}: {title}", found.payment_id));
    [title].into_iter().chain(orders).chain(reviews).collect::<Vec<_>>().join("\n\n")
}
