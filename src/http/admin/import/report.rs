//! The report of an import.

use actix_web::{HttpResponse, http::StatusCode};
use serde_json::{Map, Value, json};

use crate::{
    domain::{
        ids::{ProductId, SaleId},
        product::Product,
        sale::SaleStatus,
    },
    http::{answer, problem::Problem},
    wire::import::{ImportBody, NewSaleBody, RowBody, RowStatus},
};

/// What became of a row, or would become of it.
pub(super) enum Done {
    Created {
        product: Product,
        /// Its sale did not exist before.
        new_sale: bool,
    },
    Changed(Difference),
    WouldCreate {
        id: Option<ProductId>,
        new_sale: Option<SaleId>,
    },
    WouldChange(Difference),
}

/// An existing product that is not like its row.
pub(super) struct Difference {
    pub(super) id: ProductId,
    /// The fields that become like the row.
    pub(super) changed: Vec<&'static str>,
    /// The fields that stay.
    pub(super) differs: Vec<&'static str>,
}

pub(super) struct Report {
    body: ImportBody,
    not_tried: u64,
    /// The failure of the store that stopped the import.
    stopped: Option<Problem>,
}

impl Report {
    pub(super) fn new(is_dry_run: bool) -> Self {
        let would = is_dry_run.then_some(0);
        let body = ImportBody { would_create: would, would_change: would, ..ImportBody::default() };
        Self { body, not_tried: 0, stopped: None }
    }

    /// What was done, in words. `None`: nothing.
    pub(super) fn in_words(&self) -> Option<String> {
        let ImportBody { created, changed, .. } = &self.body;
        (created + changed > 0).then(|| format!("{created} products created, {changed} changed"))
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    pub(super) fn stop(&mut self, problem: Problem) {
        self.stopped = Some(problem);
    }

    pub(super) fn warn(&mut self, warnings: Vec<String>) {
        self.body.warnings.extend(warnings);
    }

    pub(super) fn add_not_tried(&mut self) {
        self.not_tried += 1;
        let row = self.row(RowStatus::NotTried);
        self.body.rows.push(row);
    }

    /// Adds a row that was tried. A failure of the store stops the import.
    pub(super) fn add(&mut self, result: Result<Done, Problem>) {
        let row = match result {
            Ok(done) => self.done(done),
            Err(problem) => self.failed(problem),
        };
        self.body.rows.push(row);
    }

    fn done(&mut self, done: Done) -> RowBody {
        let new_sale = |id: SaleId, status: SaleStatus| NewSaleBody {
            id: id.as_str().to_owned(),
            status: status.as_str().to_owned(),
        };
        match done {
            Done::Created { product, new_sale: is_new } => {
                self.body.created += 1;
                let status = product.window.status(product.now_ms);
                let new_sale = is_new.then(|| new_sale(product.sale, status));
                RowBody { id: Some(product.id.get()), new_sale, ..self.row(RowStatus::Created) }
            }
            Done::Changed(difference) => {
                self.body.changed += 1;
                difference.into_row(self.row(RowStatus::Changed))
            }
            Done::WouldCreate { id, new_sale: sale } => {
                self.body.would_create = self.body.would_create.map(|count| count + 1);
                // A sale that a product makes has the default terms, and so it is live.
                let new_sale = sale.map(|sale| new_sale(sale, SaleStatus::Live));
                RowBody { id: id.map(ProductId::get), new_sale, ..self.row(RowStatus::WouldCreate) }
            }
            Done::WouldChange(difference) => {
                self.body.would_change = self.body.would_change.map(|count| count + 1);
                difference.into_row(self.row(RowStatus::WouldChange))
            }
        }
    }

    fn failed(&mut self, problem: Problem) -> RowBody {
        self.body.failed += 1;
        let (code, detail, more) = problem.parts();
        let mut row = RowBody { code: Some(code), detail: Some(detail), more, ..self.row(RowStatus::Failed) };
        if problem.failure().is_some() {
            row.detail = Some("whether the product was made is unknown: send the row again".to_owned());
            self.stopped = Some(problem);
        }
        row
    }

    /// An empty row, with the number of the next one.
    fn row(&self, status: RowStatus) -> RowBody {
        let row = self.body.rows.len() as u64 + 1;
        RowBody { row, status, id: None, new_sale: None, code: None, detail: None, more: Map::new() }
    }

    /// A problem with the report in it, where the store failed: a success would pass for a whole import.
    pub(super) fn into_answer(self) -> Result<HttpResponse, Problem> {
        let Self { body, not_tried, stopped } = self;
        let Some(mut problem) = stopped else { return Ok(answer::json(StatusCode::OK, &body)) };
        let would = [("would_create", body.would_create), ("would_change", body.would_change)];
        for (name, count) in would.into_iter().filter_map(|(name, count)| Some((name, count?))) {
            problem = problem.with(name, count);
        }
        let rows: Vec<Value> = body.rows.iter().map(|row| json!(row)).collect();
        let problem = problem.with("created", body.created).with("changed", body.changed).with("failed", body.failed);
        Err(problem.with("not_tried", not_tried).with("rows", rows))
    }
}

impl Difference {
    fn into_row(self, row: RowBody) -> RowBody {
        let more = [("changed", self.changed), ("differs", self.differs)];
        let more = more.into_iter().map(|(name, fields)| (name.to_owned(), fields.into())).collect();
        RowBody { id: Some(self.id.get()), more, ..row }
    }
}
