//! Which products a command changes: one, those of a sale, or those of a file.

use std::path::PathBuf;

use clap::Args;
use encoding_rs::Encoding;
use serde_json::Value;

use super::{Before, Step, Work, file};
use crate::{
    cli::{
        arguments::{filled, product_id},
        import::encoding,
        import_columns::ColumnMap,
        service::CommandError,
    },
    tools::client::api::{ApiCall, ApiClient, escape},
};

pub(in crate::cli) const PRODUCTS: &str = "/api/admin/products";

/// A product that exists, by its id or its SKU; or many.
#[derive(Args)]
#[group(id = "which", required = true, multiple = false, args = ["id", "sku", "sale", "file"])]
pub(in crate::cli) struct WhichArgs {
    /// Product id
    #[arg(value_parser = product_id)]
    id: Option<u64>,
    /// SKU of the product, instead of its id
    #[arg(long, value_name = "SKU", value_parser = filled)]
    sku: Option<String>,
    /// All products of this sale
    #[arg(long, value_name = "ID", value_parser = filled)]
    sale: Option<String>,
    /// The products of a table, by its column sku or id; its other columns come before the flags. - is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    many: ManyArgs,
}

/// How a file of products is read.
#[derive(Args)]
pub(in crate::cli) struct ManyArgs {
    /// A column of the file for one of ours, such as sku=Artikel; once for each
    #[arg(long, value_name = "OURS=THEIRS", value_parser = file::map, requires = "file")]
    pub(super) map: Vec<ColumnMap>,
    /// Encoding of the file, such as windows-1252 [default: UTF-8, or UTF-16 where it is that]
    #[arg(long, value_name = "NAME", value_parser = encoding, requires = "file")]
    pub(super) encoding: Option<&'static Encoding>,
}

/// What a command is about.
pub(in crate::cli) enum Target {
    /// The path of one product.
    One(String),
    Many(Vec<Product>),
}

/// One of many products, and what a file says about it.
pub(in crate::cli) struct Product {
    row: Option<u64>,
    name: String,
    path: String,
    before: Before,
    /// What its row has, or what is wrong with it.
    cells: Result<Value, String>,
}

impl WhichArgs {
    /// The products, before anything is changed.
    ///
    /// # Errors
    /// When the sale or the file cannot be read.
    pub(in crate::cli) async fn find(
        &self,
        client: &mut ApiClient,
        columns: &'static [&'static str],
    ) -> Result<Target, CommandError> {
        if let Some(sale) = &self.sale {
            let products = client.list(&format!("{PRODUCTS}?sale={}", escape(sale))).await?;
            let products = products["data"].as_array().cloned().unwrap_or_default();
            return Ok(Target::Many(products.into_iter().map(of_sale).collect()));
        }
        if let Some(path) = &self.file {
            let rows = file::read(path, &self.many, columns).map_err(CommandError::NotDone)?;
            return Ok(Target::Many(rows.into_iter().map(of_row).collect()));
        }
        let sku = self.sku.as_deref().map(by_sku);
        Ok(Target::One(sku.unwrap_or_else(|| by_id(&self.id.unwrap_or_default().to_string()))))
    }
}

fn by_sku(sku: &str) -> String {
    format!("{PRODUCTS}/by-sku/{}", escape(sku))
}

fn by_id(id: &str) -> String {
    format!("{PRODUCTS}/{id}")
}

fn of_sale(product: Value) -> Product {
    let id = product["id"].to_string();
    let name = product["sku"].as_str().map_or_else(|| id.clone(), str::to_owned);
    let cells = Ok(Value::Object(serde_json::Map::new()));
    Product { row: None, name, path: by_id(&id), before: Before::Known(product), cells }
}

fn of_row(row: file::Row) -> Product {
    let path = match &row.key {
        file::Key::Sku(sku) => by_sku(sku),
        file::Key::Id(id) => by_id(id),
    };
    let (file::Key::Sku(name) | file::Key::Id(name)) = row.key;
    Product { row: Some(row.number), name, before: Before::At(path.clone()), path, cells: row.cells }
}

impl Product {
    /// The step that does with this product what the call does. The call gets the path of the product, and what its row has.
    pub(in crate::cli) fn step(self, call: impl FnOnce(&str, Value) -> Result<ApiCall, String>) -> Step {
        let Self { row, name, path, before, cells } = self;
        let work = cells.and_then(|cells| call(&path, cells));
        Step { row, name, work: work.map_or_else(Work::Wrong, |call| Work::Call { before, call }) }
    }
}
