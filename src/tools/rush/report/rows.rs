//! The products of a report: those with a fault first, a bounded number of rows, and the rest as one row.

use serde_json::{Value, json};

use super::RushReport;
use crate::tools::rush::{ledger::ProductCounts, proof::ProductSides, stock::StockCounters};

/// One product, or the sum of those that have no row of their own.
pub(super) struct ProductRow {
    pub title: String,
    /// Available units before the first buyer.
    pub units: i64,
    pub counts: ProductCounts,
    /// Available units after the last buyer.
    pub left: i64,
    pub ok: bool,
}

impl RushReport {
    /// At most so many rows.
    pub(super) fn product_rows(&self, most: usize) -> Vec<ProductRow> {
        let all = self.sorted();
        let own = if all.len() > most { most.saturating_sub(1) } else { all.len() };
        let mut rows: Vec<_> = all[..own].iter().map(|sides| self.row(sides)).collect();
        let rest = all[own..].iter().map(|sides| self.row(sides)).reduce(|mut sum, row| {
            sum.units = sum.units.saturating_add(row.units);
            sum.counts.add(&row.counts);
            sum.left = sum.left.saturating_add(row.left);
            sum.ok &= row.ok;
            sum
        });
        let title = format!("{} other products", all.len() - own);
        rows.extend(rest.map(|rest| ProductRow { title, ..rest }));
        rows
    }

    /// The first products as JSON, and how many there are beside them.
    pub(super) fn product_json(&self, most: usize) -> (Vec<Value>, usize) {
        let all = self.sorted();
        let rows = all.iter().take(most).map(|sides| {
            let ProductSides { product, counts, start, end, after } = sides;
            json!({
                "id": product.id, "sku": product.sku, "name": product.name, "group": product.group,
                "max_per_customer": product.max_per_customer, "buyers": counts.buyers, "held": counts.granted,
                "sold_out": counts.sold_out, "limited": counts.limited, "other": counts.other,
                "unknown": counts.unknown, "paid": counts.paid, "ok": self.row(sides).ok,
                "before": stock(start), "end": stock(end), "after": after.as_ref().map(stock),
            })
        });
        (rows.collect(), all.len().saturating_sub(most))
    }

    fn sorted(&self) -> Vec<&ProductSides> {
        let mut all: Vec<_> = self.products.iter().collect();
        all.sort_by_key(|sides| self.row(sides).ok);
        all
    }

    fn row(&self, sides: &ProductSides) -> ProductRow {
        ProductRow {
            title: sides.product.title(),
            units: sides.start.available,
            counts: sides.counts,
            left: sides.end.available,
            ok: sides.is_sound(self.scenario, self.some_lapsed),
        }
    }
}

fn stock(stock: &StockCounters) -> Value {
    json!({
        "total": stock.total, "available": stock.available, "held": stock.held, "pending": stock.pending,
        "sold": stock.sold,
    })
}
