//! Warnings about products that `max_per_group` of their sale does not count, because they have no group.

use std::collections::BTreeSet;

use crate::{
    domain::{
        ids::SaleId,
        outcome::{FindSaleOutcome, ListProductsOutcome},
        product::{NewProduct, Product},
        product_query::ProductQuery,
        visibility::Audience,
    },
    store::Store,
};

const NOT_COUNTED: &str = "max_per_group does not count products without a group";
/// Products that a warning names.
const NAMED_MAX: usize = 10;

/// The warning about the products of a sale that has the limit. Where they cannot be read there is none: the change was made.
pub(super) async fn warnings_of(store: &Store, sale: &SaleId) -> Vec<String> {
    let query = ProductQuery { archived: Some(false), ..ProductQuery::of(Audience::Admins, Some(sale.clone())) };
    let Ok(ListProductsOutcome::Products { list, .. }) = store.list_products(&query).await else { return Vec::new() };
    let ungrouped: Vec<_> = list.products.iter().filter(|product| product.group.is_none()).collect();
    let names = ungrouped.iter().take(NAMED_MAX).map(|product| name(product)).collect::<Vec<_>>().join(", ");
    match ungrouped.len().checked_sub(NAMED_MAX) {
        _ if ungrouped.is_empty() => Vec::new(),
        None | Some(0) => vec![format!("{NOT_COUNTED}: {names}")],
        Some(more) => vec![format!("{NOT_COUNTED}: {names} and {more} more")],
    }
}

fn name(product: &Product) -> String {
    product.sku.as_ref().map_or_else(|| product.id.to_string(), |sku| sku.as_str().to_owned())
}

/// The sales of new products without a group.
#[derive(Default)]
pub(super) struct Ungrouped(BTreeSet<SaleId>);

impl Ungrouped {
    pub(super) fn add(&mut self, product: &NewProduct) {
        if let Some(sale) = product.sale.as_ref().filter(|_| product.group.is_none()) {
            self.0.insert(sale.clone());
        }
    }

    /// A warning for each of the sales that has the limit.
    pub(super) async fn warnings(&self, store: &Store) -> Vec<String> {
        let mut warnings = Vec::new();
        for sale in &self.0 {
            if let Ok(FindSaleOutcome::Found(found)) = store.find_sale(sale).await
                && found.terms.max_per_group.is_some()
            {
                warnings.push(format!("{NOT_COUNTED}, such as some of these in the sale {sale}"));
            }
        }
        warnings
    }
}
