//! `flashsale order list`: filters, the whole list behind them, and the progress of a long search.

use clap::Args;

use super::{
    arguments::{filled, product_id, whole},
    exit::Exit,
    instant,
    list::read_list,
    order::{ORDERS, STATUSES},
    service::{CommandError, ServiceArgs},
    table::{Column, Table, cell, money, name_of, short_minute},
};
use crate::{
    tools::client::{CallPath, api::ApiClient},
    wire::order::OrderRow,
};

/// The most orders that can be asked for: as many as a list is read as a whole.
const LIMIT_MAX: u64 = 1_000_000;
/// The longest customer id in a list. With it a list of usual ids fits 100 columns.
const CUSTOMER_COLUMNS_MAX: usize = 12;

pub(super) const EXAMPLES: &str = "\
Examples:
  flashsale order list --status in_review             buyers who wait for a decision
  flashsale order list --customer anna                what somebody who calls has ordered
  flashsale order list --product 7 --since 1h         who got one in the last hour
  flashsale order list --payment pi_…                 the order of a payment
  flashsale order list --sale drop-1 --limit 20
  flashsale order list --json | jq -r '.data[] | select(.late).id'

Orders come by sale, and in a sale by the time when they were made. There is no index of customers or products: \
the service looks through all orders that the other filters leave, a thousand in each call. --sale, --product, \
--since and --until make that shorter. For a spreadsheet: `flashsale export`.";

#[derive(Args)]
pub(super) struct ListArgs {
    /// Only orders with this status
    #[arg(long, value_parser = STATUSES)]
    status: Option<String>,
    /// Only orders of this sale
    #[arg(long, value_name = "ID", value_parser = filled)]
    sale: Option<String>,
    /// Only orders of this customer: the shop's own id
    #[arg(long, value_name = "ID", value_parser = filled)]
    customer: Option<String>,
    /// Only orders with units of this product
    #[arg(long, value_name = "ID", value_parser = product_id)]
    product: Option<u64>,
    /// Only orders with units of the product with this SKU
    #[arg(long, value_name = "SKU", value_parser = filled, conflicts_with = "product")]
    sku: Option<String>,
    /// Only the order of this payment: the provider's id
    #[arg(long, value_name = "ID", value_parser = filled)]
    payment: Option<String>,
    /// Only orders made since then: a time, or how long ago as in 90s, 1h, 1d12h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = instant::read_past)]
    since: Option<String>,
    /// Only orders made before then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = instant::read_past)]
    until: Option<String>,
    /// Most orders [default: all]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole(1, LIMIT_MAX))]
    limit: Option<u64>,
}

pub(super) async fn run(client: &mut ApiClient, service: &ServiceArgs, args: &ListArgs) -> Result<Exit, CommandError> {
    let search = CallPath::of(ORDERS)
        .maybe("status", args.status.as_ref())
        .maybe("sale", args.sale.as_ref())
        .maybe("customer_id", args.customer.as_ref())
        .maybe("product_id", args.product)
        .maybe("sku", args.sku.as_ref())
        .maybe("payment_id", args.payment.as_ref())
        .maybe("since", args.since.as_ref())
        .maybe("until", args.until.as_ref());
    service.show_list(read_list(client, "order", search, args.limit).await?, text)
}

pub(super) fn text(orders: &[OrderRow<'static>]) -> String {
    if orders.is_empty() {
        return "no orders here".to_owned();
    }
    let mut table = Table::new(&[
        Column::Left("ID"),
        Column::Left("STATUS"),
        Column::Right("TOTAL"),
        Column::Left("CREATED"),
        Column::Wide("CUSTOMER"),
    ]);
    for order in orders {
        table.row([
            cell(&order.id),
            cell(&order.status),
            money(order.total_amount.as_deref(), order.currency.as_deref()),
            short_minute(&order.created_at),
            name_of(order.customer_id.as_deref(), CUSTOMER_COLUMNS_MAX),
        ]);
    }
    table.text()
}
