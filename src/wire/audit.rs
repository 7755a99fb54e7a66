//! Audits.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::time::rfc3339;
use crate::domain::{
    audit::{Difference, SaleAudit},
    ids::{HoldId, OrderId, ProductId, SaleId, SignedId},
    text::CustomerId,
};

/// Differences in one answer. The row of each sale says how many it has.
const DIFFERENCES_MAX: usize = 1_000;

/// An audit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditBody<'a> {
    pub ok: bool,
    pub sales: Vec<SaleAuditBody<'a>>,
    pub differences: Vec<DifferenceBody<'a>>,
    pub repaired: Vec<DifferenceBody<'a>>,
}

impl<'a> AuditBody<'a> {
    /// `order_of` gives the id of the order that a hold became.
    pub fn of(
        sales: &'a [SaleAudit],
        repaired: &'a [(SaleId, Difference)],
        order_of: impl Fn(&HoldId) -> OrderId,
    ) -> Self {
        let left = sales.iter().flat_map(|audit| audit.differences.iter().map(|d| (&audit.sale, d)));
        let written = |(sale, difference)| DifferenceBody::of(sale, difference, &order_of);
        Self {
            ok: sales.iter().all(|audit| audit.differences.is_empty()),
            sales: sales.iter().map(SaleAuditBody::of).collect(),
            differences: left.take(DIFFERENCES_MAX).map(written).collect(),
            repaired: repaired.iter().map(|(sale, d)| (sale, d)).take(DIFFERENCES_MAX).map(written).collect(),
        }
    }
}

/// The audit of one sale.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SaleAuditBody<'a> {
    pub id: Cow<'a, str>,
    pub ok: bool,
    /// No script wrote during the audit. Otherwise the differences are those that all looks found.
    pub exact: bool,
    pub looks: u32,
    pub products: usize,
    pub holds: u64,
    pub orders: u64,
    pub customers: usize,
    pub differences: usize,
}

impl<'a> SaleAuditBody<'a> {
    fn of(audit: &'a SaleAudit) -> Self {
        Self {
            id: audit.sale.name().into(),
            ok: audit.differences.is_empty(),
            exact: audit.is_exact,
            looks: audit.looks,
            products: audit.products,
            holds: audit.holds,
            orders: audit.orders,
            customers: audit.customers,
            differences: audit.differences.len(),
        }
    }
}

/// A stored value that differs from the records: units, or in an index the epoch milliseconds of a time (0: no entry).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DifferenceBody<'a> {
    pub sale: Cow<'a, str>,
    pub what: Cow<'a, str>,
    pub product_id: Option<u64>,
    pub customer_id: Option<Cow<'a, str>>,
    pub hold_id: Option<Cow<'a, str>>,
    pub order_id: Option<String>,
    pub deadline: Option<String>,
    pub stored: i64,
    pub recomputed: i64,
    pub repairable: bool,
}

impl<'a> DifferenceBody<'a> {
    pub fn of(sale: &'a SaleId, difference: &'a Difference, order_of: impl Fn(&HoldId) -> OrderId) -> Self {
        Self {
            sale: sale.name().into(),
            what: difference.kind.as_str().into(),
            product_id: difference.product.map(ProductId::get),
            customer_id: difference.customer.as_ref().map(CustomerId::as_str).map(Cow::Borrowed),
            hold_id: difference.hold.as_ref().map(SignedId::as_str).map(Cow::Borrowed),
            order_id: difference.hold.as_ref().map(|hold| order_of(hold).as_str().to_owned()),
            deadline: difference.deadline_ms.map(rfc3339),
            stored: difference.stored,
            recomputed: difference.recomputed,
            repairable: difference.repairable,
        }
    }
}
