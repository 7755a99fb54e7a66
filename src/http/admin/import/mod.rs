//! POST /api/admin/import: products from CSV or NDJSON. Each row is read like the body of POST /api/admin/products, and
//! has its own result. Only a mistake in the file as a whole refuses all of it. `?update=true` changes existing products, and
//! `?dry_run=true` says what would be done.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed;
mod rehearsal;
mod report;
mod rows;

use std::time::{Duration, Instant};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    web::{Bytes, Data},
};

use self::{
    rehearsal::Rehearsal,
    report::{Difference, Done, Report},
    rows::Row,
};
use super::{Parameters, acts, authorize, groups::Ungrouped, new_product, products};
use crate::{
    domain::{
        act::Act,
        outcome::{PutProductOutcome, StockOutcome},
        product::{NewProduct, Product, ProductChange, ProductField},
        visibility::Audience,
    },
    http::{
        body,
        extract::{self, FromHttp, Parsed},
        problem::{FieldError, Problem},
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
    Parsed(request): Parsed<ImportRequest>,
) -> Result<HttpResponse, Problem> {
    let ImportRequest { rows, is_update, mut rehearsal, act } = request;
    let (mut report, started) = (Report::new(rehearsal.is_some()), Instant::now());
    let mut ungrouped = Ungrouped::default();
    for row in rows {
        if !report.has_stopped() && started.elapsed() > TIME_MAX {
            report.stop(Failure::timed_out("all rows of an import together took too long").into());
        }
        match row.and_then(|product| identified(product, is_update)) {
            Ok(product) if !report.has_stopped() => {
                let done = match &mut rehearsal {
                    Some(rehearsal) => rehearsal.rehearse(&store, &product, is_update).await,
                    None => make(&store, &product, is_update, &act).await,
                };
                if let Ok(Done::Created { .. } | Done::WouldCreate { .. }) = done {
                    ungrouped.add(&product);
                }
                report.add(done);
            }
            Ok(_) => report.add_not_tried(),
            Err(problem) => report.add(Err(problem)),
        }
    }
    // One line, however many rows there are. Each has its event.
    if let Some(done) = report.in_words() {
        acts::log(&act, "import", &done);
    }
    if !report.has_stopped() {
        report.warn(ungrouped.warnings(&store).await);
    }
    report.into_answer()
}

/// Without its id or SKU the product of an update would be made once more.
fn identified(product: NewProduct, is_update: bool) -> Row {
    if product.id.is_some() || product.sku.is_some() || !is_update {
        return Ok(product);
    }
    let detail = "an update needs the id or the SKU of each product".into();
    Err(Problem::of_fields(&[FieldError { pointer: "/id".to_owned(), code: "required", detail }]))
}

async fn make(store: &Store, row: &NewProduct, is_update: bool, act: &Act) -> Result<Done, Problem> {
    let id = match store.put_product(row, act).await? {
        PutProductOutcome::AlreadyExists(id) => id,
        other => {
            let (product, new_sale) = new_product::created(row, other)?;
            return Ok(Done::Created { product, new_sale });
        }
    };
    let exists = new_product::already_exists(row, id);
    match store.stock(id, Audience::Admins).await {
        // With the id of one product and the SKU of another it is neither.
        Ok(StockOutcome::Stock(existing)) if row.id.is_none_or(|own| own == id) => {
            let (difference, change) = compared(row, &existing, is_update)?;
            products::changed(store.change_product(id, &change, act).await?)?;
            Ok(Done::Changed(difference))
        }
        Ok(StockOutcome::Stock(_)) => Err(exists.with("differs", vec!["id"])),
        // The id is taken, and its product was never made.
        Ok(StockOutcome::ProductNotFound) => Err(exists),
        Err(failure) => Err(failure.into()),
    }
}

/// What an update changes of an existing product.
///
/// # Errors
/// When it changes nothing. The problem names the fields that differ, so that nobody mistakes the product for that of the
/// row.
fn compared(row: &NewProduct, existing: &Product, is_update: bool) -> Result<(Difference, ProductChange), Problem> {
    let differs = row.differs_from(existing);
    match row.change_of(existing, &differs).filter(|_| is_update) {
        Some(change) => {
            let (changed, differs) = differs.into_iter().partition(|field| field.can_change(existing));
            Ok((Difference { id: existing.id, changed: names(changed), differs: names(differs) }, change))
        }
        None => Err(new_product::already_exists(row, existing.id).with("differs", names(differs))),
    }
}

fn names(fields: Vec<ProductField>) -> Vec<&'static str> {
    fields.into_iter().map(field_name).collect()
}

fn field_name(field: ProductField) -> &'static str {
    match field {
        ProductField::Sale => "sale",
        ProductField::Name => "name",
        ProductField::Sku => "sku",
        ProductField::Metadata => "metadata",
        ProductField::Price => "price",
        ProductField::Currency => "currency",
        ProductField::Total => "total_stock",
        ProductField::MaxPerHold => "max_per_hold",
        ProductField::MaxPerCustomer => "max_per_customer",
        ProductField::Group => "group",
        ProductField::Visibility => "visibility",
    }
}

/// The rows of a body, and what to do with them.
pub(in crate::http) struct ImportRequest {
    rows: Vec<Row>,
    /// Whether existing products become like their rows, but for their stock.
    is_update: bool,
    /// Says what would be done, and does nothing.
    rehearsal: Option<Rehearsal>,
    act: Act,
}

impl FromHttp for ImportRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        let act = authorize(&request)?;
        let mut parameters = Parameters::of(&request, &["update", "dry_run", "reason"]);
        let mut flag = |name| parameters.read(name, "true or false", |text| text.parse().ok()).unwrap_or(false);
        let (is_update, is_dry_run) = (flag("update"), flag("dry_run"));
        let act = act.because(acts::reason_of(&mut parameters));
        parameters.finish(())?;
        let headers = request.headers();
        let format = rows::Format::of(headers)?;
        let bytes: Bytes = body::read_bytes(headers, &mut payload, BYTES_MAX, READ_TIMEOUT).await?;
        let rows = format.read(&bytes, extract::context(&request).limits.body_bytes_max)?;
        Ok(Self { rows, is_update, rehearsal: is_dry_run.then(Rehearsal::default), act })
    }
}
