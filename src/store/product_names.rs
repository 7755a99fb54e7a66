//! Names of products, for an export that has a row for each item: each product is looked up once.

use std::collections::{BTreeSet, HashMap};

use super::{Failure, Store};
use crate::domain::{ids::ProductId, order::Order, product::Product};

/// Products that one export remembers. Beyond that it forgets them all, and looks those of the next page up again.
const REMEMBERED_MAX: usize = 10_000;

/// What an export remembers of products. `None`: there is no such product any more.
#[derive(Default)]
pub struct ProductNames(HashMap<ProductId, Option<String>>);

impl ProductNames {
    pub fn of(&self, product: ProductId) -> Option<&str> {
        self.0.get(&product)?.as_deref()
    }
}

impl Store {
    /// Looks up the products of these orders that are not remembered.
    ///
    /// # Errors
    /// [`Failure`], also when one of the products cannot be read.
    pub async fn look_up_names(&self, names: &mut ProductNames, orders: &[Order]) -> Result<(), Failure> {
        let products: BTreeSet<_> =
            orders.iter().flat_map(|order| &order.lines).map(|priced| priced.line.product).collect();
        let unknown = |names: &ProductNames| -> Vec<ProductId> {
            products.iter().filter(|product| !names.0.contains_key(product)).copied().collect()
        };
        if names.0.len() + unknown(names).len() > REMEMBERED_MAX {
            names.0.clear();
        }
        let unknown = unknown(names);
        let found = self.look_up_products(&unknown).await?;
        let list = self.read_products(&found).await?;
        if let Some(why) = list.left_out.into_iter().next() {
            return Err(Failure::unreadable(why));
        }
        names.0.extend(unknown.into_iter().map(|product| (product, None)));
        names.0.extend(list.products.into_iter().map(|Product { id, name, .. }| (id, Some(name))));
        Ok(())
    }
}
