//! Rows of product exports of shops: which of them are products, and their names.

use std::collections::HashMap;

use clap::ValueEnum;
use csv::ByteRecord;
use sha2::{Digest, Sha256};

use crate::{domain::limits::Group, wire::table::cell};

/// Ids made of a handle have 15 digits, as many as a spreadsheet keeps.
const ID_LEAST: u64 = 100_000_000_000_000;
/// Characters of a handle in front of the mark of its group.
const GROUP_CHARS: usize = 50;
/// The value of a product's only variant.
const NO_OPTION: &str = "Default Title";

/// A shop whose product export is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    /// Products > Export, with the columns of today or those before
    Shopify,
    /// Products > Export, in English
    Woocommerce,
}

impl Preset {
    /// The names that the shop gives a column of ours.
    pub(super) fn names(self, ours: &str) -> &'static [&'static str] {
        match (self, ours) {
            (Self::Shopify, "name") => &["Title"],
            (Self::Shopify, "sku") => &["Variant SKU", "SKU"],
            (Self::Shopify, "price") => &["Variant Price", "Price"],
            (Self::Shopify, "total_stock") => &["Variant Inventory Qty", "Inventory quantity"],
            (Self::Woocommerce, "id") => &["ID"],
            (Self::Woocommerce, "name") => &["Name"],
            (Self::Woocommerce, "sku") => &["SKU"],
            (Self::Woocommerce, "price") => &["Regular price"],
            (Self::Woocommerce, "total_stock") => &["Stock"],
            _ => &[],
        }
    }

    /// What to do when a column is missing.
    pub(super) fn advice(self, ours: &str) -> &'static str {
        match (self, ours) {
            (Self::Shopify, "total_stock") => {
                "a shop with several locations exports quantities in its inventory file alone: add them to this file"
            }
            (Self::Shopify, _) => "is it the file of Products > Export?",
            (Self::Woocommerce, _) => {
                "export it while the language of your user is English, or name the column with --map"
            }
        }
    }
}

/// What a row of a shop is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ShopRow {
    Product {
        name: String,
        /// Made of what identifies it in the shop, for a shop without ids.
        id: Option<u64>,
        /// That of all variants of one product.
        group: Option<String>,
    },
    /// No product, and why.
    Skipped(&'static str),
}

/// Reads the rows of an export in their order, because a row may be about a row before it.
pub(super) enum ShopRows {
    Shopify { handle: usize, title: usize, price: usize, options: Vec<usize>, product: (String, String) },
    Woocommerce { columns: WooColumns, parents: HashMap<String, String> },
}

/// The places of columns.
pub(super) struct WooColumns {
    pub(super) kind: usize,
    pub(super) name: usize,
    pub(super) parent: Option<usize>,
    pub(super) id: Option<usize>,
    pub(super) sku: Option<usize>,
    pub(super) values: Vec<usize>,
}

impl ShopRows {
    /// # Errors
    /// The name of a column that every export of this shop has, and this one has not.
    pub(super) fn of(
        preset: Preset,
        find: impl Fn(&str) -> Option<usize>,
        title: usize,
        price: usize,
    ) -> Result<Self, &'static str> {
        let numbered = |name: fn(u32) -> String| (1..=100).filter_map(|number| find(&name(number))).collect::<Vec<_>>();
        match preset {
            Preset::Shopify => {
                let handle = find("Handle").or_else(|| find("URL handle")).ok_or("Handle")?;
                let options = numbered(|number| format!("Option{number} value"));
                Ok(Self::Shopify { handle, title, price, options, product: Default::default() })
            }
            Preset::Woocommerce => {
                let values = numbered(|number| format!("Attribute {number} value(s)"));
                let (parent, id, sku) = (find("Parent"), find("ID"), find("SKU"));
                let columns = WooColumns { kind: find("Type").ok_or("Type")?, name: title, parent, id, sku, values };
                Ok(Self::Woocommerce { columns, parents: HashMap::new() })
            }
        }
    }

    pub(super) fn read(&mut self, row: &ByteRecord) -> ShopRow {
        match self {
            Self::Shopify { handle, title, price, options, product } => {
                let (handle, title, price) = (text(row, *handle), text(row, *title), text(row, *price));
                let values: Vec<_> =
                    options.iter().map(|at| text(row, *at)).filter(|value| !value.is_empty()).collect();
                if title.is_empty() && price.is_empty() && values.is_empty() {
                    return ShopRow::Skipped("rows of images alone");
                }
                if !title.is_empty() || product.0 != handle {
                    *product = (handle.clone(), title);
                }
                let id = stable_id(&handle, &values);
                let shown = values.into_iter().filter(|value| value != NO_OPTION);
                let name = joined(&product.1, shown);
                ShopRow::Product { name, id: Some(id), group: Some(group_of(&handle)) }
            }
            Self::Woocommerce { columns, parents } => columns.read(row, parents),
        }
    }
}

impl WooColumns {
    fn read(&self, row: &ByteRecord, parents: &mut HashMap<String, String>) -> ShopRow {
        let (kind, name) = (text(row, self.kind).to_lowercase(), text(row, self.name));
        let is = |wanted: &str| kind.split(',').any(|word| word.trim() == wanted);
        let optional = |at: Option<usize>| at.map(|at| text(row, at)).unwrap_or_default();
        if is("variable") {
            let (id, sku) = (optional(self.id), optional(self.sku));
            parents.extend([(sku, name.clone()), (format!("id:{id}"), name)]);
            return ShopRow::Skipped("parents of variations");
        }
        if is("grouped") || is("external") {
            return ShopRow::Skipped("grouped and external products");
        }
        let parent = parents.get(&optional(self.parent)).filter(|_| is("variation"));
        let values = self.values.iter().map(|at| text(row, *at).replace("\\,", ",")).filter(|value| !value.is_empty());
        let name = parent.map_or(name, |parent| joined(parent, values));
        ShopRow::Product { name, id: None, group: None }
    }
}

/// `title / option / option`
fn joined(title: &str, options: impl Iterator<Item = String>) -> String {
    let options = options.map(|option| cell::unguarded(&option).to_owned());
    // Without its title an option would pass for a product.
    if title.is_empty() {
        String::new()
    } else {
        [title.to_owned()].into_iter().chain(options).collect::<Vec<_>>().join(" / ")
    }
}

/// The same for the same variant, whenever and in whatever order it is exported.
fn stable_id(handle: &str, options: &[String]) -> u64 {
    let parts = [handle].into_iter().chain(options.iter().map(String::as_str)).collect::<Vec<_>>();
    let hash = Sha256::digest(parts.join("\0").as_bytes());
    let number = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    ID_LEAST + number % (9 * ID_LEAST)
}

/// The handle, as far as it can name a group. One that cannot gets a mark, so that no two handles share a group.
fn group_of(handle: &str) -> String {
    if Group::parse(handle).is_some() {
        return handle.to_owned();
    }
    let legible = handle.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(GROUP_CHARS);
    let mark = Sha256::digest(handle.as_bytes());
    legible
        .chain(['-'])
        .chain(mark.iter().take(4).flat_map(|byte| format!("{byte:02x}").chars().collect::<Vec<_>>()))
        .collect()
}

fn text(row: &ByteRecord, at: usize) -> String {
    String::from_utf8_lossy(row.get(at).unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_names_the_group_of_its_variants_also_where_its_characters_cannot() {
        assert_eq!(group_of("air-max_90"), "air-max_90");
        let odd = ["größe-1", "grüße-1", "Jog 7", "", &"x".repeat(65)].map(group_of);
        assert!(odd.iter().all(|group| Group::parse(group).is_some()), "{odd:?}");
        assert!(odd[0].starts_with("gr--e-1-") && odd[0] != odd[1], "{odd:?}");
    }

    #[test]
    fn an_id_made_of_a_handle_stays_and_fits_a_spreadsheet() {
        let id = |handle, options: &[&str]| {
            stable_id(handle, &options.iter().map(|&option| option.into()).collect::<Vec<_>>())
        };
        assert_eq!(id("boots", &["Red", "42"]), 131_156_748_546_427);
        assert_ne!(id("boots", &["Red", "42"]), id("boots", &["Red", "43"]));
        assert_ne!(id("boots", &[]), id("boot", &[]));
    }
}
