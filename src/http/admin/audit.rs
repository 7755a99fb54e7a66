//! GET and POST /api/admin/audit.

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    http::{Method, StatusCode},
    web::Data,
};

use super::{Parameters, acts, authorize};
use crate::{
    domain::{act::Act, audit::AuditOutcome, ids::SaleId},
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
    Parsed(AuditRequest { sale, .. }): Parsed<AuditRequest>,
) -> Result<HttpResponse, Problem> {
    audited(&store, store.audit(sale.as_ref()).await?)
}

pub(in crate::http) async fn repair(
    store: Data<Store>,
    Parsed(AuditRequest { sale, act }): Parsed<AuditRequest>,
) -> Result<HttpResponse, Problem> {
    let outcome = store.audit_and_repair(sale.as_ref(), &act).await?;
    if let AuditOutcome::Audited { repaired, .. } = &outcome
        && !repaired.is_empty()
    {
        acts::log(&act, "sale.repaired", &format!("{} differences", repaired.len()));
    }
    audited(&store, outcome)
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
    act: Act,
}

impl FromHttp for AuditRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        let act = authorize(&request)?;
        let known = if request.method() == Method::POST { &["sale", "reason"][..] } else { &["sale"] };
        let mut parameters = Parameters::of(&request, known);
        let (sale, reason) = (parameters.sale(), acts::reason_of(&mut parameters));
        parameters.finish(Self { sale, act: act.because(reason) })
    }
}
