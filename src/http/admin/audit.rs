//! GET and POST /api/admin/audit.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Data};

use super::{Parameters, authorize};
use crate::{
    domain::{audit::AuditOutcome, ids::SaleId},
    http::{
        answer,
        extract::{FromHttp, Parsed},
        problem::Problem,
        refusals,
    },
    store::Store,
    wire::audit::AuditBody,
};

pub(in crate::http) async fn read(
    store: Data<Store>,
    Parsed(AuditRequest { sale }): Parsed<AuditRequest>,
) -> Result<HttpResponse, Problem> {
    audited(&store, store.audit(sale.as_ref()).await?)
}

pub(in crate::http) async fn repair(
    store: Data<Store>,
    Parsed(AuditRequest { sale }): Parsed<AuditRequest>,
) -> Result<HttpResponse, Problem> {
    audited(&store, store.audit_and_repair(sale.as_ref()).await?)
}

fn audited(store: &Store, outcome: AuditOutcome) -> Result<HttpResponse, Problem> {
    match outcome {
        AuditOutcome::Audited { sales, repaired } => {
            Ok(answer::fresh_json(StatusCode::OK, &AuditBody::of(&sales, &repaired, |hold| store.ids().order_of(hold))))
        }
        AuditOutcome::SaleNotFound => Err(refusals::sale_not_found()),
    }
}

pub(in crate::http) struct AuditRequest {
    sale: Option<SaleId>,
}

impl FromHttp for AuditRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let mut parameters = Parameters::of(&request, &["sale"]);
        let sale = parameters.sale();
        parameters.finish(Self { sale })
    }
}
