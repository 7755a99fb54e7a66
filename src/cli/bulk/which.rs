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
        list::read_list,
        service::CommandError,
    },
    tools::client::{
        CallPath,
        api::{ApiCall, ApiClient},
    },
    wire::Page,
};

const PRODUCTS: &str = "/api/admin/products";

pub(in crate::cli) fn products() -> CallPath {
    CallPath::of(PRODUCTS)
}

/// The path of a product, by what people say.
pub(in crate::cli) fn product_path(id: Option<u64>, sku: Option<&str>) -> CallPath {
    match sku {
        Some(sku) => products().segment("by-sku").segment(sku),
        None => products().segment(id.unwrap_or_default()),
    }
}

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
    One(CallPath),
    Many(Vec<Product>),
}

/// One of many products, and what a file says about it.
pub(in crate::cli) struct Product {
    row: Option<u64>,
    name: String,
    path: CallPath,
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
            let Page { data, .. } = read_list(client, "product", products().with("sale", sale), None).await?;
            return Ok(Target::Many(data.into_iter().map(of_sale).collect()));
        }
        if let Some(path) = &self.file {
            let rows = file::read(path, &self.many, columns).map_err(CommandError::NotDone)?;
            return Ok(Target::Many(rows.into_iter().map(of_row).collect()));
        }
        Ok(Target::One(product_path(self.id, self.sku.as_deref())))
    }

    /// Whether rows of a file may say more than the flags.
    pub(in crate::cli) fn has_rows(&self) -> bool {
        self.file.is_some()
    }
}

fn of_sale(product: Value) -> Product {
    let id = product["id"].as_u64();
    let name = product["sku"].as_str().map_or_else(|| product["id"].to_string(), str::to_owned);
    let cells = Ok(Value::Object(serde_json::Map::new()));
    Product { row: None, name, path: product_path(id, None), before: Before::Known(product), cells }
}

fn of_row(row: file::Row) -> Product {
    let file::Row { number, sku, id, cells } = row;
    let path = product_path(id, sku.as_deref());
    let id_name = id.map_or_else(|| format!("row {number}"), |id| id.to_string());
    let before = Before::At { path: path.clone(), id: id.filter(|_| sku.is_some()) };
    Product { row: Some(number), name: sku.unwrap_or(id_name), before, path, cells }
}

impl Product {
    /// The step that does with this product what the call does. The call gets the path of the product, and what its row has.
    pub(in crate::cli) fn step(self, call: impl FnOnce(CallPath, Value) -> Result<ApiCall, String>) -> Step {
        let Self { row, name, path, before, cells } = self;
        let work = cells.and_then(|cells| call(path, cells));
        Step { row, name, work: work.map_or_else(Work::Wrong, |call| Work::Call { before, call }) }
    }
}
