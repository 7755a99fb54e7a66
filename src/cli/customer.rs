//! `flashsale customer`: shows what a customer has, and why their next hold would be refused.

use clap::{Args, Subcommand};

use super::{
    CommonArgs,
    arguments::filled,
    exit::Exit,
    order_list,
    service::ServiceArgs,
    table::{cell, counted, sheet, short_time},
};
use crate::{
    tools::{
        client::{CallPath, api::ApiCall},
        text::printable,
    },
    wire::customer::{CustomerBody, CustomerProductBody, LimitBody, RefusalBody, SaleCustomerBody},
};

const EXAMPLES: &str = "\
Examples:
  flashsale customer show anna                        what somebody who calls has, and may still have
  flashsale customer show anna --sale drop-1 --json | jq '.sales[0].next_hold'

Exit status: 0 done; 1 the service refused; 2 bad flags, no token, no service, or no whole answer of it.";

const SHOW_EXAMPLES: &str = "\
Examples:
  flashsale customer show anna
  flashsale customer show anna --sale drop-1          also if nothing counts for anna there
  flashsale customer show 'anna@example.org' --json | jq '.sales[].limits'

The id is the shop's own, as it comes with holds. A customer whom nobody knows has nothing. Orders are looked for \
among the latest thousand: `flashsale order list --customer` looks through all of them.";

/// Show what a customer has, and why their next hold would be refused
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CustomerArgs {
    #[command(subcommand)]
    command: CustomerCommand,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Subcommand)]
enum CustomerCommand {
    /// Show units, limits, cool-downs and the latest orders of one customer
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// Customer id: the shop's own
        #[arg(value_parser = filled)]
        id: String,
        /// Only this sale
        #[arg(long, value_name = "ID", value_parser = filled)]
        sale: Option<String>,
    },
}

pub(super) fn run(common: &CommonArgs, args: &CustomerArgs) -> Exit {
    let CustomerCommand::Show { id, sale } = &args.command;
    let path = CallPath::of("/api/admin/customers").segment(id).maybe("sale", sale.as_ref());
    args.service.run(common, async |client| args.service.show(&client.send(ApiCall::get(path)).await?, text))
}

/// A sheet for each sale, then the orders.
fn text(customer: &CustomerBody<'static>) -> String {
    let nothing = if customer.sales.is_empty() { ": nothing counts for them" } else { "" };
    let title = printable(&format!("customer {}{nothing}", customer.customer_id));
    let examined = counted(customer.orders_examined, "order");
    let orders = match (customer.orders.is_empty(), customer.has_older) {
        (true, false) => "no orders".to_owned(),
        (true, true) => format!("no orders among the latest {examined}"),
        (false, false) => order_list::text(&customer.orders),
        (false, true) => format!("{}\n\namong the latest {examined}", order_list::text(&customer.orders)),
    };
    let sales = customer.sales.iter().map(sale_text);
    [title].into_iter().chain(sales).chain([orders]).collect::<Vec<_>>().join("\n\n")
}

fn sale_text(sale: &SaleCustomerBody<'_>) -> String {
    let mut facts = Vec::new();
    for product in &sale.products {
        let name = format!("product {}", product.product_id);
        facts.push((name, format!("{}, {}", cell(&product.name), units(product))));
        for due in &product.due_back {
            let what = format!("{} {} until {}", due.units, due.kind, short_time(Some(&due.at)));
            facts.push((String::new(), what));
        }
        // What is refused for all of them is said once, below.
        let own = product.next_hold.as_ref().filter(|_| sale.next_hold.is_none());
        facts.extend(own.map(|refusal| (String::new(), next_hold(refusal))));
    }
    facts.extend(sale.limits.iter().map(|limit| ("limit".to_owned(), limit_text(limit))));
    if sale.abandoned > 0 || sale.cooldown_holds > 0 {
        let most = match sale.cooldown_holds {
            0 => "no cool-down".to_owned(),
            holds => format!("a cool-down after {holds}"),
        };
        facts.push(("left to lapse".to_owned(), format!("{} in a row; {most}", sale.abandoned)));
    }
    let until = sale.cooling_down_until.as_deref();
    facts.extend(until.map(|until| ("cooling down".to_owned(), format!("until {}", short_time(Some(until))))));
    let any_own = sale.products.iter().any(|product| product.next_hold.is_some());
    facts.push((
        "next hold".to_owned(),
        match &sale.next_hold {
            Some(refusal) => next_hold(refusal),
            None if any_own => "is refused where it says so above".to_owned(),
            None => "would not be refused, as far as units last".to_owned(),
        },
    ));
    sheet(&format!("{}: {}", sale.sale, sale.status), &facts)
}

fn units(product: &CustomerProductBody<'_>) -> String {
    let parts = [(product.held, "held"), (product.pending, "pending"), (product.bought, "bought")];
    let some = parts.into_iter().filter(|(units, _)| *units > 0).map(|(units, name)| format!("{units} {name}"));
    some.collect::<Vec<_>>().join(", ")
}

fn limit_text(limit: &LimitBody<'_>) -> String {
    let named = limit.product_id.map(|product| product.to_string()).or_else(|| limit.group.as_ref().map(cell));
    let of = named.map_or_else(|| cell(&limit.limit), |named| format!("{} {named}", limit.limit));
    format!("{of}: {} of {}, {} remaining", limit.counted, limit.most, limit.remaining)
}

fn next_hold(refusal: &RefusalBody) -> String {
    format!("refused: {}, {}", refusal.code, refusal.detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_customer_is_printed_with_units_limits_and_the_reason_of_a_refusal() {
        let body = json!({"customer_id": "anna\u{1b}", "orders": [], "orders_examined": 1_000, "has_older": true, "sales": [
            {"sale": "drop", "name": "Drop", "status": "live", "at": "2026-11-27T09:00:00.000Z", "abandoned": 1,
             "cooldown_holds": 3, "cooling_down_until": null, "next_hold": null,
             "limits": [{"limit": "product", "product_id": 7, "most": 3, "counted": 3, "remaining": 0},
                        {"limit": "group", "group": "air", "most": 4, "counted": 3, "remaining": 1},
                        {"limit": "of_next_year", "most": 3, "counted": 3, "remaining": 0}],
             "products": [{"product_id": 7, "name": "Shoe", "held": 1, "pending": 0, "bought": 2,
                "due_back": [{"kind": "held", "units": 1, "at": "2026-11-27T09:15:00.000Z"}],
                "next_hold": {"code": "customer_limit_reached", "detail": "no more", "remaining": 0}}]}]});
        let expected = "\
customer anna 

drop: live

  product 7      Shoe, 1 held, 2 bought
                 1 held until 2026-11-27 09:15Z
                 refused: customer_limit_reached, no more
  limit          product 7: 3 of 3, 0 remaining
  limit          group air: 3 of 4, 1 remaining
  limit          of_next_year: 3 of 3, 0 remaining
  left to lapse  1 in a row; a cool-down after 3
  next hold      is refused where it says so above

no orders among the latest 1,000 orders";
        assert_eq!(text(&serde_json::from_value(body).unwrap()), expected);
        let nobody = json!({"customer_id": "x", "orders": [], "orders_examined": 0, "has_older": false, "sales": []});
        assert_eq!(text(&serde_json::from_value(nobody).unwrap()), "customer x: nothing counts for them\n\nno orders");
    }
}
