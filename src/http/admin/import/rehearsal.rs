//! A dry run: what an import would do, without doing it.

use std::collections::{HashMap, HashSet};

use super::{compared, report::Done};
use crate::{
    domain::{
        ids::{ProductId, SaleId},
        money::Currency,
        outcome::{FindSaleOutcome, StockOutcome},
        product::{NewProduct, Product},
        sku::Sku,
        visibility::Audience,
    },
    http::{admin::new_product, problem::Problem},
    store::Store,
};

/// What the rows before would have made.
#[derive(Default)]
pub(super) struct Rehearsal {
    ids: HashSet<ProductId>,
    skus: HashSet<Sku>,
    sales: HashMap<SaleId, Currency>,
}

impl Rehearsal {
    pub(super) async fn rehearse(&mut self, store: &Store, row: &NewProduct, is_update: bool) -> Result<Done, Problem> {
        if let Some(id) = row.id.filter(|id| self.ids.contains(id)) {
            return Err(new_product::already_exists(row, id));
        }
        let of_sku = match &row.sku {
            Some(sku) if self.skus.contains(sku) => return Err(new_product::sku_exists().with("differs", vec!["sku"])),
            Some(sku) => store.look_up_sku(sku).await?,
            None => None,
        };
        if let Some(other) = of_sku.filter(|other| row.id.is_some_and(|id| id != *other)) {
            return Err(new_product::already_exists(row, other).with("differs", vec!["id"]));
        }
        if let Some(id) = row.id.or(of_sku)
            && let StockOutcome::Stock(existing) = store.stock(id, Audience::Admins).await?
        {
            let done = would_change(row, &existing, is_update)?;
            self.skus.extend(row.sku.clone());
            return Ok(done);
        }
        let new_sale = self.join_sale(store, row).await?;
        self.ids.extend(row.id);
        self.skus.extend(row.sku.clone());
        Ok(Done::WouldCreate { id: row.id, new_sale })
    }

    /// The sale that the row would make.
    async fn join_sale(&mut self, store: &Store, row: &NewProduct) -> Result<Option<SaleId>, Problem> {
        let Some(sale) = &row.sale else { return Ok(None) };
        let (currency, is_new) = match self.sales.get(sale) {
            Some(currency) => (*currency, false),
            None => match store.find_sale(sale).await? {
                FindSaleOutcome::Found(found) => (found.currency.unwrap_or(row.currency), false),
                FindSaleOutcome::SaleNotFound => (row.currency, true),
            },
        };
        if currency != row.currency {
            return Err(new_product::currency_differs("/currency", currency));
        }
        self.sales.insert(sale.clone(), currency);
        Ok(is_new.then(|| sale.clone()))
    }
}

fn would_change(row: &NewProduct, existing: &Product, is_update: bool) -> Result<Done, Problem> {
    let (difference, _) = compared(row, existing, is_update)?;
    Ok(Done::WouldChange(difference))
}
