//! `flashsale product list`: products with their units, one in each row.

use clap::Args;

use super::{
    arguments::{Seen, filled},
    bulk::PRODUCTS,
    exit::Exit,
    product::{price, stock},
    service::{CommandError, ServiceArgs},
    table::{Column, Table, cell, short_name},
};
use crate::{
    tools::client::api::{ApiClient, escape},
    wire::product::ProductBody,
};

/// Which products are listed.
#[derive(Args)]
pub(super) struct ListArgs {
    /// Only products of this sale
    #[arg(long, value_name = "ID", value_parser = filled)]
    sale: Option<String>,
    /// Only products that have this visibility themselves
    #[arg(long, value_enum, value_name = "WHO")]
    visibility: Option<Seen>,
    /// Only archived products
    #[arg(long)]
    archived: bool,
}

impl ListArgs {
    fn path(&self) -> String {
        let sale = self.sale.as_ref().map(|sale| format!("sale={}", escape(sale)));
        let visibility = self.visibility.map(|seen| format!("visibility={}", seen.word()));
        let archived = self.archived.then(|| "archived=true".to_owned());
        let parameters: Vec<_> = [sale, visibility, archived].into_iter().flatten().collect();
        if parameters.is_empty() { PRODUCTS.to_owned() } else { format!("{PRODUCTS}?{}", parameters.join("&")) }
    }

    fn none(&self) -> &'static str {
        if self.visibility.is_some() || self.archived {
            "no such products here"
        } else {
            "no products here yet; `flashsale product create` makes one"
        }
    }
}

pub(super) async fn list(
    client: &mut ApiClient,
    service: &ServiceArgs,
    wanted: &ListArgs,
) -> Result<Exit, CommandError> {
    let products = client.list(&wanted.path()).await?;
    service.show_list(&products, |products: &[ProductBody<'static>]| {
        if products.is_empty() {
            return wanted.none().to_owned();
        }
        let has_skus = products.iter().any(|product| product.sku.is_some());
        let sku = has_skus.then_some(Column::Left("SKU"));
        let columns = [Column::Right("ID")].into_iter().chain(sku).chain([
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
        let mut table = Table::new(&columns.collect::<Vec<_>>());
        for product in products {
            let ProductBody { id, sku, name, sale, status, .. } = product;
            let sku = has_skus.then(|| cell(sku));
            let facts = [short_name(name), cell(sale), cell(status), price(product)];
            let facts = [cell(id)].into_iter().chain(sku).chain(facts);
            table.row(facts.chain(stock(product).map(|(_, units)| units.to_string())));
        }
        table.text()
    })
}
