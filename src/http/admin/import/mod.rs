//! POST /api/admin/import: products from CSV or NDJSON. Each row is read like the body of POST /api/admin/products, and has its
//! own result. Only a mistake in the file as a whole refuses all of it.

mod report;
mod rows;

use std::time::{Duration, Instant};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    web::{Bytes, Data},
};

use self::{
    report::{Made, Report},
    rows::Row,
};
use super::{Parameters, authorize, new_product};
use crate::{
    domain::{
        outcome::StockOutcome,
        product::{NewProduct, ProductField},
    },
    http::{
        body,
        extract::{self, FromHttp, Parsed},
        problem::{Code, Problem},
    },
    store::{Failure, Store},
};

const BYTES_MAX: usize = 4 << 20;
/// How long the body may take.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// After this time no further row is tried, so that an answer comes while the client still waits for it.
const TIME_MAX: Duration = Duration::from_secs(30);

pub(in crate::http) async fn products(
    store: Data<Store>,
    Parsed(ImportRequest(rows)): Parsed<ImportRequest>,
) -> Result<HttpResponse, Problem> {
    let (mut report, started) = (Report::default(), Instant::now());
    for row in rows {
        if !report.has_stopped() && started.elapsed() > TIME_MAX {
            report.stop(Failure::timed_out("all rows of an import together took too long").into());
        }
        match row {
            Ok(product) if !report.has_stopped() => report.add(make(&store, &product).await),
            Ok(_) => report.add_not_tried(),
            Err(problem) => report.add(Err(problem)),
        }
    }
    report.into_answer()
}

async fn make(store: &Store, row: &NewProduct) -> Result<Made, Problem> {
    match new_product::create(store, row).await {
        Ok((product, new_sale)) => Ok(Made { product, new_sale }),
        Err(problem) if problem.code() == Code::AlreadyExists => Err(compared(store, row, problem).await),
        Err(problem) => Err(problem),
    }
}

/// Adds the fields in which the existing product differs from the row, so that nobody mistakes one for the other.
async fn compared(store: &Store, row: &NewProduct, exists: Problem) -> Problem {
    let Some(id) = row.id else { return exists };
    match store.stock(id).await {
        Ok(StockOutcome::Stock(existing)) => {
            exists.with("differs", row.differs_from(&existing).into_iter().map(field_name).collect::<Vec<_>>())
        }
        // The id is taken, and its product was never made.
        Ok(StockOutcome::ProductNotFound) => exists,
        Err(failure) => failure.into(),
    }
}

fn field_name(field: ProductField) -> &'static str {
    match field {
        ProductField::Sale => "sale",
        ProductField::Name => "name",
        ProductField::Price => "price",
        ProductField::Currency => "currency",
        ProductField::Total => "total_stock",
        ProductField::MaxPerHold => "max_per_hold",
        ProductField::MaxPerCustomer => "max_per_customer",
    }
}

/// The rows of a body.
pub(in crate::http) struct ImportRequest(Vec<Row>);

impl FromHttp for ImportRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        Parameters::of(&request, &[]).finish(())?;
        let headers = request.headers();
        let format = rows::Format::of(headers)?;
        let bytes: Bytes = body::read_bytes(headers, &mut payload, BYTES_MAX, READ_TIMEOUT).await?;
        format.read(&bytes, extract::context(&request).limits.body_bytes_max).map(Self)
    }
}
