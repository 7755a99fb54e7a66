//! `flashsale product`: what is sold, how it stands, and more or fewer units of it while it sells.

use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    CommonArgs, count, filled, product_id,
    service::ServiceArgs,
    table::{Column, Table, cell, sheet, short_name, short_time},
    tell,
};
use crate::tools::client::{
    Lost,
    admin::{Admin, Call, Reply, Trouble, escape},
};

const PRODUCTS: &str = "/api/admin/products";
const STOCK: [&str; 5] = ["total", "available", "held", "pending", "sold"];

const EXAMPLES: &str = "\
Examples:
  flashsale product list                        how all of them stand
  flashsale product list --sale drop-1
  flashsale product create 1 --sale drop-1 --name Sneaker --price 120.00 --total-stock 500
  flashsale product show 1
  flashsale product restock 1 --delta 50        fifty more, while it sells
  flashsale product change 1 --price 99.00      orders keep the price that they were made with
  watch -n 1 flashsale product show 1

Exit status: 0 done; 1 the service refused; 2 nothing was done (bad flags, no service, no token), or it is unknown.";

const CREATE_EXAMPLES: &str = "\
Examples:
  flashsale product create --name \"Sneaker\" --price 120.00 --total-stock 500
  flashsale product create 7 --sale drop-1 --name Mug --price 1500 --currency JPY --total-stock 80
  flashsale product create --sale drop-1 --name Ticket --price 45.50 --total-stock 2000 \\
      --max-per-hold 2 --max-per-customer 4

Without --sale it gets a sale of its own, p7 for product 7. A new sale is live at once, with default terms: those of \
the service's settings. To open one later: `flashsale sale create drop-1 --paused`, or with --starts-at.";

const CHANGE_EXAMPLES: &str = "\
Examples:
  flashsale product change 1 --price 99.00
  flashsale product change 1 --name \"Sneaker, black\" --max-per-hold 2 --max-per-customer 2
  flashsale product change 1 --no-max-per-customer

What is not named stays. Orders keep the price that they were made with; units are for \
`flashsale product restock`.";

const RESTOCK_EXAMPLES: &str = "\
Examples:
  flashsale product restock 1 --delta 50        fifty more
  flashsale product restock 1 --delta -20       twenty fewer
  flashsale product restock 1 --total 500       five hundred in all, with what is sold
  flashsale product restock 1 --delta 50 --key truck-17
                                                however often it is repeated, fifty more

There cannot be fewer units than are held, pending and sold: that is refused (below_promised), and the floor is \
told.";

/// List, show, create, change and restock products
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ProductArgs {
    #[command(subcommand)]
    command: ProductCommand,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Subcommand)]
enum ProductCommand {
    /// All products and how their units stand
    #[command(after_help = "Examples:\n  flashsale product list --sale drop-1\n  \
        flashsale product list --json | jq '.data[] | select(.available_stock == 0).name'")]
    List {
        /// Only those of this sale
        #[arg(long, value_name = "ID", value_parser = filled)]
        sale: Option<String>,
    },
    /// One product: its five counters, and when units come back next
    #[command(after_help = "Examples:\n  flashsale product show 1\n  watch -n 1 flashsale product show 1")]
    Show {
        /// Of the product
        #[arg(value_parser = product_id)]
        id: u64,
    },
    /// A new product
    #[command(after_help = CREATE_EXAMPLES)]
    Create(NewProduct),
    /// Another name, price or limit, also while it sells
    #[command(after_help = CHANGE_EXAMPLES)]
    Change {
        /// Of the product
        #[arg(value_parser = product_id)]
        id: u64,
        #[command(flatten)]
        change: Facts,
        /// A customer may have any number
        #[arg(long, conflicts_with = "max_per_customer")]
        no_max_per_customer: bool,
    },
    /// More or fewer units, also while it sells
    #[command(after_help = RESTOCK_EXAMPLES)]
    Restock(Restock),
}

/// A product, with the names of its fields on the wire.
#[derive(Args, Serialize)]
struct NewProduct {
    /// A whole number from 1 on [default: the next one]
    #[arg(value_parser = product_id)]
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    /// The sale whose terms it has, which must be there [default: a new one of its own]
    #[arg(long, value_name = "ID", value_parser = filled)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sale: Option<String>,
    /// Make that sale too where it is not there: live at once, with default terms
    #[arg(long, requires = "sale")]
    #[serde(skip)]
    new_sale: bool,
    /// What people call it
    #[arg(long, value_parser = filled)]
    name: String,
    /// What one unit costs, such as 9.99
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true, value_parser = filled)]
    price: String,
    /// An ISO 4217 code [default: USD]
    #[arg(long, value_name = "CODE", value_parser = filled)]
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    /// How many units there are
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    total_stock: u64,
    /// How many one hold may have [default: 10]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_per_hold: Option<u64>,
    /// How many one customer may have held, ordered and bought together [default: any number]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_per_customer: Option<u64>,
}

#[derive(Args, Serialize)]
struct Facts {
    /// What people call it
    #[arg(long, value_parser = filled)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What one unit costs from now on, such as 9.99
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true, value_parser = filled)]
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    /// How many one hold may have
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_per_hold: Option<u64>,
    /// How many one customer may have held, ordered and bought together
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_per_customer: Option<u64>,
}

#[derive(Args)]
#[command(group = ArgGroup::new("units").required(true).args(["delta", "total"]))]
struct Restock {
    /// Of the product
    #[arg(value_parser = product_id)]
    id: u64,
    /// So many more; with a minus fewer
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    delta: Option<i64>,
    /// So many in all, with what is held, pending and sold
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    total: Option<u64>,
    /// Names this restocking, so that it counts once however often it is sent [default: a new one]
    #[arg(long, value_parser = filled)]
    key: Option<String>,
}

pub(super) fn run(common: &CommonArgs, args: &ProductArgs) -> ExitCode {
    let show = |reply| args.service.show(&reply, text);
    args.service.run(common, async |admin| match &args.command {
        ProductCommand::List { sale } => list(admin, &args.service, sale.as_deref()).await,
        ProductCommand::Show { id } => show(admin.send(Call::get(format!("{PRODUCTS}/{id}"))).await?),
        ProductCommand::Create(product) => show(create(admin, product).await?),
        ProductCommand::Change { id, change, no_max_per_customer } => {
            let mut change = body(change)?;
            if *no_max_per_customer {
                change["max_per_customer"] = Value::Null;
            }
            if change.as_object().is_none_or(serde_json::Map::is_empty) {
                return Err(Trouble::NotRun(
                    "nothing to change: `flashsale product change --help` says what can".into(),
                ));
            }
            show(admin.send(Call::patch(format!("{PRODUCTS}/{id}"), &change)).await?)
        }
        ProductCommand::Restock(restock) => show(send_restock(admin, restock).await?),
    })
}

fn body(of: &impl Serialize) -> Result<Value, Trouble> {
    serde_json::to_value(of).map_err(|error| Trouble::NotRun(error.to_string()))
}

/// The service makes a sale that a product names and that is not there. A person who mistypes its name does not want that.
async fn create(admin: &mut Admin, product: &NewProduct) -> Result<Reply, Trouble> {
    if let Some(sale) = product.sale.as_ref().filter(|_| !product.new_sale) {
        let found = admin.send(Call::get(format!("/api/admin/sales/{}", escape(sale)))).await;
        found.map_err(|trouble| match trouble {
            Trouble::Refused(mut refusal) if refusal.code == "sale_not_found" => {
                refusal.detail = format!(
                    "there is no sale {sale}; `flashsale sale create {sale}` makes it, and so does --new-sale here: \
                     live at once, with default terms"
                );
                Trouble::Refused(refusal)
            }
            other => other,
        })?;
    }
    admin.send(Call::post(PRODUCTS, &body(product)?)).await
}

async fn list(admin: &mut Admin, service: &ServiceArgs, sale: Option<&str>) -> Result<bool, Trouble> {
    let of_sale = sale.map_or_else(String::new, |sale| format!("?sale={}", escape(sale)));
    let products = admin.list(&format!("{PRODUCTS}{of_sale}")).await?;
    service.show_list(&products, |products| {
        if products.is_empty() {
            return "no products here yet; `flashsale product create` makes one".to_owned();
        }
        let mut table = Table::new(&[
            Column::Right("ID"),
            Column::Wide("NAME"),
            Column::Left("SALE"),
            Column::Left("STATUS"),
            Column::Right("PRICE"),
            Column::Right("TOTAL"),
            Column::Right("AVAILABLE"),
            Column::Right("HELD"),
            Column::Right("PENDING"),
            Column::Right("SOLD"),
        ]);
        for product in products {
            let fact = |name: &str| cell(&product[name]);
            let facts = [fact("id"), short_name(&product["name"]), fact("sale"), fact("status"), price(product)];
            table.row(facts.into_iter().chain(STOCK.map(|counter| fact(&format!("{counter}_stock")))));
        }
        table.text()
    })
}

/// Always with a key, so that somebody who does not know whether it counted can send it again.
async fn send_restock(admin: &mut Admin, restock: &Restock) -> Result<Reply, Trouble> {
    let wish = match restock.total {
        Some(total) => json!({"total": total}),
        None => json!({"delta": restock.delta}),
    };
    let random = || getrandom::u64().map(|number| format!("restock-{number:016x}"));
    let key = restock.key.clone().map_or_else(random, Ok).map_err(|error| Trouble::NotRun(error.to_string()))?;
    let call = Call::post(format!("{PRODUCTS}/{}/restock", restock.id), &wish).with_header("idempotency-key", &*key);
    admin.send(call).await.inspect_err(|trouble| {
        let unknown = match trouble {
            Trouble::Lost(lost) => !matches!(lost, Lost::Unconnected(_)),
            Trouble::Refused(refusal) => !refusal.is_refusal(),
            _ => false,
        };
        if unknown {
            tell(&format!("The same again with --key {key} counts once."));
        }
    })
}

fn price(product: &Value) -> String {
    format!("{} {}", cell(&product["price"]), cell(&product["currency"]))
}

/// Facts under the names of the options that change them, then the counters below each other.
fn text(product: &Value) -> String {
    let fact = |name: &str| (name.replace('_', "-"), cell(&product[name]));
    let time = |name: &str| (name.replace('_', "-"), short_time(&product[name]));
    let empty = || (String::new(), String::new());
    let counters = STOCK.map(|counter| cell(&product[format!("{counter}_stock")]));
    let width = counters.iter().map(String::len).max().unwrap_or(0);
    let mut facts = vec![fact("name"), fact("sale"), ("price".to_owned(), price(product))];
    facts.extend(["max_per_hold", "max_per_customer"].map(fact));
    facts.extend(["starts_at", "ends_at"].map(time));
    facts.push(empty());
    facts.extend(STOCK.iter().zip(&counters).map(|(name, units)| ((*name).to_owned(), format!("{units:>width$}"))));
    facts.extend([empty(), ("next release".to_owned(), short_time(&product["next_release_at"]))]);
    sheet(&format!("product {}: {}", cell(&product["id"]), cell(&product["status"])), &facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_told_with_its_counters_below_each_other() {
        let product = json!({"id": 1, "sale": "p1", "name": "Item", "price": "50.00", "currency": "USD", "total_stock": 100,
            "available_stock": 95, "held_stock": 5, "pending_stock": 0, "sold_stock": 0, "max_per_hold": 10,
            "max_per_customer": null, "status": "live", "starts_at": null, "ends_at": null,
            "next_release_at": "2026-11-25T17:45:30.000Z"});
        let expected = "\
product 1: live

  name              Item
  sale              p1
  price             50.00 USD
  max-per-hold      10
  max-per-customer  -
  starts-at         -
  ends-at           -

  total             100
  available          95
  held                5
  pending             0
  sold                0

  next release      2026-11-25 17:45:30Z";
        assert_eq!(text(&product), expected);
    }
}
