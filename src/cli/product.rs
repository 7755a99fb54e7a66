//! `flashsale product`: shows, creates, changes and restocks products. `product_list` lists them, and `product_life` deletes,
//! moves and archives them.

use clap::{Args, Subcommand};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{
    CommonArgs,
    arguments::{ReasonArgs, Seen, count, filled, product_id},
    bulk::{self, Kind, Target, WhichArgs, product_path, products},
    exit::Exit,
    print::print_line,
    product_life::{self, LifeCommand},
    product_list::{ListArgs, list},
    product_restock::{self, RestockArgs},
    sale::path as sale_path,
    service::{CommandError, ServiceArgs},
    table::{cell, sheet, short_time},
};
use crate::{
    tools::{
        client::{
            CallPath,
            api::{ApiCall, ApiClient, ApiReply, CallError},
        },
        text::printable,
    },
    wire::product::ProductBody,
};

const NOTHING_TO_CHANGE: &str = "nothing to change: `flashsale product change --help` lists what can be changed";
/// The fields that a change changes.
const CHANGED: [&str; 8] =
    ["name", "sku", "metadata", "price", "max_per_hold", "max_per_customer", "group", "visibility"];
/// The columns of a file of changes.
const COLUMNS: [&str; 10] =
    ["sku", "id", "name", "new_sku", "metadata", "price", "max_per_hold", "max_per_customer", "group", "visibility"];

const EXAMPLES: &str = "\
Examples:
  flashsale product list                        the counters of all products
  flashsale product list --sale drop-1
  flashsale product create 1 --sale drop-1 --name Sneaker --price 120.00 --total-stock 500
  flashsale product show 1
  flashsale product show --sku AIR-38           by the shop's own name for it
  flashsale product restock 1 --delta 50        fifty more, while it sells
  flashsale product restock --sale drop-1 --delta 5
  flashsale product change 1 --price 99.00      existing orders keep their price
  watch -n 1 flashsale product show 1

Exit status: 0 done; 1 the service refused; 2 nothing was done (bad flags, no service, no token), or the result is unknown.";

const CREATE_EXAMPLES: &str = "\
Examples:
  flashsale product create --name \"Sneaker\" --price 120.00 --total-stock 500
  flashsale product create 7 --sale drop-1 --name Mug --price 1500 --currency JPY --total-stock 80
  flashsale product create --sale drop-1 --name Ticket --price 45.50 --total-stock 2000 \\
      --max-per-hold 2 --max-per-customer 4

Without --sale the product gets a sale of its own, p7 for product 7. A new sale is live at once, with the default \
terms of the service's settings. To open a sale later: `flashsale sale create drop-1 --paused`, or with --starts-at.";

const CHANGE_EXAMPLES: &str = "\
Examples:
  flashsale product change 1 --price 99.00
  flashsale product change 1 --name \"Sneaker, black\" --max-per-hold 2 --max-per-customer 2
  flashsale product change 1 --no-max-per-customer
  flashsale product change 1 --new-sku AIR-38   once, for a product that was made without one
  flashsale product change 1 --group air-max    counts for --max-per-group of its sale, at once
  flashsale product change --sale drop-1 --max-per-customer 2
  flashsale product change --file prices.csv    a table with the columns sku or id, and what changes

What you do not name stays. Existing orders keep their price. To change the number of units: \
`flashsale product restock`. Many at once: an empty cell says what the flags say, and the same again goes on where it \
broke off. Exit status: 0 all are done or unchanged; 1 one was refused; 2 it did not come to its end.";

/// List, show, create, change, restock, move and archive products
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
    /// List all products with their counters
    #[command(after_help = "Examples:\n  flashsale product list --sale drop-1\n  \
        flashsale product list --json | jq '.data[] | select(.available_stock == 0).name'")]
    List(ListArgs),
    /// Show one product: its five counters, and when units come back next
    #[command(after_help = "Examples:\n  flashsale product show 1\n  watch -n 1 flashsale product show 1")]
    Show {
        #[command(flatten)]
        product: ProductKeyArgs,
    },
    /// Create a product
    #[command(after_help = CREATE_EXAMPLES)]
    Create(NewProductArgs),
    /// Change the name, price, limits or visibility of one or many, also while they sell
    #[command(after_help = CHANGE_EXAMPLES)]
    Change {
        #[command(flatten)]
        which: WhichArgs,
        #[command(flatten)]
        change: ProductChangeArgs,
        /// No metadata
        #[arg(long, conflicts_with = "metadata")]
        no_metadata: bool,
        /// No limit for a customer
        #[arg(long, conflicts_with = "max_per_customer")]
        no_max_per_customer: bool,
        /// In no group
        #[arg(long, conflicts_with = "group")]
        no_group: bool,
        #[command(flatten)]
        reason: ReasonArgs,
    },
    /// Add or remove units, also while it sells
    #[command(after_help = product_restock::EXAMPLES)]
    Restock(RestockArgs),
    #[command(flatten)]
    Life(LifeCommand),
}

/// A product that exists, by its id or its SKU.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct ProductKeyArgs {
    /// Product id
    #[arg(value_parser = product_id)]
    id: Option<u64>,
    /// SKU of the product, instead of its id
    #[arg(long, value_name = "SKU", value_parser = filled)]
    sku: Option<String>,
}

impl ProductKeyArgs {
    pub(super) fn path(&self) -> CallPath {
        product_path(self.id, self.sku.as_deref())
    }
}

/// A new product, with its field names on the wire.
#[derive(Args, Serialize)]
struct NewProductArgs {
    /// Product id, a whole number from 1 on [default: the next free one]
    #[arg(value_parser = product_id)]
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    /// Id of an existing sale, whose terms apply [default: a new sale of its own]
    #[arg(long, value_name = "ID", value_parser = filled)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sale: Option<String>,
    /// Create that sale too if it does not exist: live at once, with default terms
    #[arg(long, requires = "sale")]
    #[serde(skip)]
    new_sale: bool,
    /// Hash slots over which its own sale is spread, for ever [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count, conflicts_with = "sale")]
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<u64>,
    /// Name for people
    #[arg(long, value_parser = filled)]
    name: String,
    /// The shop's name for it, which it keeps for ever
    #[arg(long, value_name = "SKU", value_parser = filled)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    metadata: MetadataArgs,
    /// Price of one unit, such as 9.99
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true, value_parser = filled)]
    price: String,
    /// Currency, an ISO 4217 code [default: USD]
    #[arg(long, value_name = "CODE", value_parser = filled)]
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    /// Number of units
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    total_stock: u64,
    #[command(flatten)]
    #[serde(flatten)]
    limits: LimitArgs,
}

/// What a shop notes on a product.
#[derive(Args, Serialize)]
struct MetadataArgs {
    /// A note on it, such as colour=red; may be repeated. All of them replace those of before
    #[arg(long, value_name = "KEY=VALUE", value_parser = entry)]
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_object")]
    metadata: Vec<(String, String)>,
}

fn entry(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as key=value, such as colour=red")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn as_object<S: Serializer>(entries: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(key, value)| (key, value)))
}

/// The limits of a product and who sees it, with their field names on the wire.
#[derive(Args, Serialize)]
struct LimitArgs {
    /// Most units of one hold [default of a new product: 10]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_per_hold: Option<u64>,
    /// Most units of one customer, held, ordered and bought together [default of a new product: no limit]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_per_customer: Option<u64>,
    /// Group of products that belong together, such as the sizes of a model: `--max-per-group` of the sale counts them together
    #[arg(long, value_name = "NAME", value_parser = filled)]
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// Who sees it [default of a new product: public]
    #[arg(long, value_enum, value_name = "WHO")]
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility: Option<Seen>,
}

#[derive(Args, Serialize)]
struct ProductChangeArgs {
    /// Name for people
    #[arg(long, value_parser = filled)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The shop's name for a product that has none yet. It keeps it for ever
    #[arg(long, value_name = "SKU", value_parser = filled, conflicts_with_all = ["sale", "file"])]
    #[serde(rename = "sku", skip_serializing_if = "Option::is_none")]
    new_sku: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    metadata: MetadataArgs,
    /// New price of one unit, such as 9.99
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true, value_parser = filled)]
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    limits: LimitArgs,
}

pub(super) fn run(common: &CommonArgs, args: &ProductArgs) -> Exit {
    let show = |reply| args.service.show(&reply, text);
    args.service.run(common, async |client| match &args.command {
        ProductCommand::List(wanted) => list(client, &args.service, wanted).await,
        ProductCommand::Show { product } => show(client.send(ApiCall::get(product.path())).await?),
        ProductCommand::Create(product) => show(create(client, product).await?),
        ProductCommand::Change { which, change, no_metadata, no_max_per_customer, no_group, reason } => {
            let mut change = body(change)?;
            let taken_away =
                [("metadata", no_metadata), ("max_per_customer", no_max_per_customer), ("group", no_group)];
            for (name, _) in taken_away.into_iter().filter(|(_, no)| **no) {
                change[name] = Value::Null;
            }
            if change == json!({}) && !which.has_rows() {
                return Err(CommandError::NotDone(NOTHING_TO_CHANGE.to_owned()));
            }
            let products = which.find(client, &COLUMNS).await?;
            send_change(client, &args.service, products, change, reason).await
        }
        ProductCommand::Restock(restock) => product_restock::run(client, &args.service, restock).await,
        ProductCommand::Life(command) => {
            if let Some(reply) = product_life::send(client, command).await? {
                return show(reply);
            }
            // The service answers nothing then.
            if !args.service.json {
                print_line("deleted");
            }
            Ok(Exit::Done)
        }
    })
}

/// Changes one product, or each of many: what its row has comes before the flags. It needs no name for a run, because the same
/// again finds what is done as it should be.
async fn send_change(
    client: &mut ApiClient,
    service: &ServiceArgs,
    products: Target,
    flags: Value,
    reason: &ReasonArgs,
) -> Result<Exit, CommandError> {
    let whole = |cells: Value| {
        let mut body = flags.clone();
        let cells = cells.as_object().cloned().unwrap_or_default();
        body.as_object_mut().map(|body| body.extend(cells)).filter(|()| body != json!({})).ok_or(NOTHING_TO_CHANGE)?;
        reason.add_to(&mut body);
        Ok(body)
    };
    match products {
        Target::One(path) => {
            let body = whole(json!({})).map_err(CommandError::NotDone)?;
            service.show(&client.send(ApiCall::patch(path, &body)).await?, text)
        }
        Target::Many(products) => {
            let steps = products
                .into_iter()
                .map(|product| product.step(|path, cells| Ok(ApiCall::patch(path, &whole(cells)?))));
            let go_on = "To go on: the same again. What is done stays so.".to_owned();
            let kind = Kind { noun: "product", fields: &CHANGED, go_on, run: None };
            bulk::run(client, service, &kind, steps.collect()).await
        }
    }
}

fn body(fields: &impl Serialize) -> Result<Value, CommandError> {
    serde_json::to_value(fields).map_err(|error| CommandError::NotDone(error.to_string()))
}

/// Creates a product. The service would also create a sale that the product names and that does not exist, which nobody
/// wants who mistyped its name.
async fn create(client: &mut ApiClient, product: &NewProductArgs) -> Result<ApiReply, CommandError> {
    if let Some(sale) = product.sale.as_ref().filter(|_| !product.new_sale) {
        let found = client.send(ApiCall::get(sale_path(sale))).await;
        found.map_err(|error| match error {
            CallError::Refused(mut refusal) if refusal.code == "sale_not_found" => {
                refusal.detail = format!(
                    "there is no sale {sale}; `flashsale sale create {sale}` creates it, and so does --new-sale here: \
                     live at once, with default terms"
                );
                CallError::Refused(refusal)
            }
            other => other,
        })?;
    }
    Ok(client.send(ApiCall::post(products(), &body(product)?)).await?)
}

pub(super) fn price(product: &ProductBody<'_>) -> String {
    printable(&format!("{} {}", product.price, product.currency))
}

/// The counters of a product, by name.
pub(super) fn stock(product: &ProductBody<'_>) -> [(&'static str, u64); 5] {
    [
        ("total", product.total_stock),
        ("available", product.available_stock),
        ("held", product.held_stock),
        ("pending", product.pending_stock),
        ("sold", product.sold_stock),
    ]
}

/// The facts under the names of the options that change them, then the counters below each other.
pub(super) fn text(product: &ProductBody<'_>) -> String {
    let fact = |name: &str, text: String| (name.to_owned(), text);
    let empty = || (String::new(), String::new());
    let counters = stock(product).map(|(name, units)| (name, units.to_string()));
    let width = counters.iter().map(|(_, units)| units.len()).max().unwrap_or(0);
    let mut facts = vec![fact("name", cell(&product.name))];
    facts.extend(product.sku.as_ref().map(|sku| fact("sku", cell(sku))));
    facts.extend(product.metadata.as_ref().map(|metadata| fact("metadata", cell(metadata))));
    facts.extend([
        fact("sale", cell(&product.sale)),
        fact("price", price(product)),
        fact("max-per-hold", cell(&product.max_per_hold)),
        fact("max-per-customer", cell(&product.max_per_customer)),
        fact("starts-at", short_time(product.starts_at.as_deref())),
        fact("ends-at", short_time(product.ends_at.as_deref())),
        fact("group", cell(&product.group)),
        fact("visibility", cell(&product.visibility)),
        empty(),
    ]);
    facts.extend(counters.iter().map(|(name, units)| fact(name, format!("{units:>width$}"))));
    facts.extend([empty(), fact("next release", short_time(product.next_release_at.as_deref()))]);
    // An archived product is not for sale, whatever its sale is.
    let status = if product.archived { "archived" } else { &product.status };
    sheet(&format!("product {}: {status}", product.id), &facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archived_product_is_not_called_live() {
        let product = json!({"id": 1, "sale": "p1", "name": "Item", "price": "50.00", "currency": "USD", "total_stock": 1,
            "available_stock": 1, "held_stock": 0, "pending_stock": 0, "sold_stock": 0, "max_per_hold": 10,
            "max_per_customer": null, "status": "live", "starts_at": null, "ends_at": null, "next_release_at": null,
            "group": null, "visibility": "public", "archived": true});
        let printed = text(&serde_json::from_value(product).unwrap());
        assert!(printed.starts_with("product 1: archived\n"), "{printed}");
    }

    #[test]
    fn a_product_is_printed_with_its_counters_below_each_other() {
        let product = json!({"id": 1, "sale": "p1", "name": "Item", "price": "50.00", "currency": "USD", "total_stock": 100,
            "available_stock": 95, "held_stock": 5, "pending_stock": 0, "sold_stock": 0, "max_per_hold": 10,
            "max_per_customer": null, "status": "live", "starts_at": null, "ends_at": null,
            "next_release_at": "2026-11-25T17:45:30.000Z", "group": "air-max", "visibility": "public"});
        let expected = "\
product 1: live

  name              Item
  sale              p1
  price             50.00 USD
  max-per-hold      10
  max-per-customer  -
  starts-at         -
  ends-at           -
  group             air-max
  visibility        public

  total             100
  available          95
  held                5
  pending             0
  sold                0

  next release      2026-11-25 17:45:30Z";
        assert_eq!(text(&serde_json::from_value(product).unwrap()), expected);
    }
}
