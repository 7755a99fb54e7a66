//! GET and POST /api/admin/audit.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, web::Data};
use serde::Serialize;

use super::{Parameters, authorize, sale_not_found};
use crate::{
    domain::{
        audit::{AuditOutcome, Difference, SaleAudit},
        ids::{ProductId, SaleId, SignedId},
        text::CustomerId,
    },
    http::{
        extract::{Ask, Asked},
        problem::Problem,
        products::NO_STORE,
        time::rfc3339,
    },
    store::Store,
};

/// Differences that one answer tells; each sale says how many it has.
const TOLD_MAX: usize = 1_000;

pub(in crate::http) async fn read(
    store: Data<Store>,
    Asked(AuditRequest { sale }): Asked<AuditRequest>,
) -> Result<HttpResponse, Problem> {
    answer(&store, store.audit(sale.as_ref()).await?)
}

pub(in crate::http) async fn repair(
    store: Data<Store>,
    Asked(AuditRequest { sale }): Asked<AuditRequest>,
) -> Result<HttpResponse, Problem> {
    answer(&store, store.audit_and_repair(sale.as_ref()).await?)
}

fn answer(store: &Store, outcome: AuditOutcome) -> Result<HttpResponse, Problem> {
    match outcome {
        AuditOutcome::Audited { sales, repaired } => {
            Ok(HttpResponse::Ok().insert_header(NO_STORE).json(AuditBody::of(store, &sales, &repaired)))
        }
        AuditOutcome::SaleNotFound => Err(sale_not_found()),
    }
}

pub(in crate::http) struct AuditRequest {
    sale: Option<SaleId>,
}

impl Ask for AuditRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let mut parameters = Parameters::of(&request, &["sale"]);
        let sale = parameters.sale();
        parameters.finish(Self { sale })
    }
}

#[derive(Serialize)]
struct AuditBody<'a> {
    ok: bool,
    sales: Vec<SaleAuditBody<'a>>,
    differences: Vec<DifferenceBody<'a>>,
    repaired: Vec<DifferenceBody<'a>>,
}

impl<'a> AuditBody<'a> {
    fn of(store: &Store, sales: &'a [SaleAudit], repaired: &'a [(SaleId, Difference)]) -> Self {
        let left = sales.iter().flat_map(|audit| audit.differences.iter().map(|d| (&audit.sale, d)));
        let told = |(sale, difference)| DifferenceBody::of(store, sale, difference);
        Self {
            ok: sales.iter().all(|audit| audit.differences.is_empty()),
            sales: sales.iter().map(SaleAuditBody::of).collect(),
            differences: left.take(TOLD_MAX).map(told).collect(),
            repaired: repaired.iter().map(|(sale, d)| (sale, d)).take(TOLD_MAX).map(told).collect(),
        }
    }
}

#[derive(Serialize)]
struct SaleAuditBody<'a> {
    id: &'a str,
    ok: bool,
    /// Nothing was written while it was audited. Else only what differed at each look is told.
    exact: bool,
    looks: u32,
    products: usize,
    holds: u64,
    orders: u64,
    customers: usize,
    differences: usize,
}

impl<'a> SaleAuditBody<'a> {
    fn of(audit: &'a SaleAudit) -> Self {
        Self {
            id: audit.sale.as_str(),
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

/// What is stored otherwise than the records say: units, or, for the indexes, milliseconds of the time there (0: not there).
#[derive(Serialize)]
pub(super) struct DifferenceBody<'a> {
    sale: &'a str,
    what: &'static str,
    product_id: Option<u64>,
    customer_id: Option<&'a str>,
    hold_id: Option<&'a str>,
    order_id: Option<String>,
    deadline: Option<String>,
    stored: i64,
    recomputed: i64,
    repairable: bool,
}

impl<'a> DifferenceBody<'a> {
    pub(super) fn of(store: &Store, sale: &'a SaleId, difference: &'a Difference) -> Self {
        Self {
            sale: sale.as_str(),
            what: difference.kind.as_str(),
            product_id: difference.product.map(ProductId::get),
            customer_id: difference.customer.as_ref().map(CustomerId::as_str),
            hold_id: difference.hold.as_ref().map(SignedId::as_str),
            order_id: difference.hold.as_ref().map(|hold| store.ids().order_of(hold).as_str().to_owned()),
            deadline: difference.deadline_ms.map(rfc3339),
            stored: difference.stored,
            recomputed: difference.recomputed,
            repairable: difference.repairable,
        }
    }
}
