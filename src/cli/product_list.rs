//! `flashsale product list`: products with their units, one in each row.

use clap::Args;

use super::{
    arguments::{Seen, filled},
    bulk::products,
    exit::Exit,
    list::read_list,
    product::{price, stock},
    service::{CommandError, ServiceArgs},
    table::{Column, Table, cell, short_name},
};
use crate::{
    tools::client::{CallPath, api::ApiClient},
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
    fn path(&self) -> CallPath {
        let path = products().maybe("sale", self.sale.as_ref()).maybe("visibility", self.visibility.map(Seen::word));
        path.maybe("archived", self.archived.then_some(true))
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
    let products = read_list(client, "product", wanted.path(), None).await?;
    service.show_list(products, |products: &[ProductBody<'static>]| {
        if products.is_empty() {
            return wanted.none().to_owned();
        }
        let has_skus = products.iter().any(|product| product.sku.is_some());
        let sku = has_skus.then_some(Column::Left("SKU"));
        let columns = [Column::Right("ID")].into_iter().chain(sku).chain([
            Column::Wide("NAME"),
            Column::Spare("SALE"),
            Column::Spare("STATUS"),
            Column::SpareRight("PRICE"),
            Column::SpareRight("TOTAL"),
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
