//! The report of an import.

use actix_web::{HttpResponse, http::StatusCode};
use serde_json::{Map, Value, json};

use crate::{
    domain::product::Product,
    http::{answer, problem::Problem},
    wire::import::{ImportBody, NewSaleBody, RowBody, RowStatus},
};

/// A product that a row made.
pub(super) struct Made {
    pub(super) product: Product,
    /// Its sale did not exist before.
    pub(super) new_sale: bool,
}

#[derive(Default)]
pub(super) struct Report {
    rows: Vec<RowBody>,
    created: u64,
    failed: u64,
    not_tried: u64,
    /// The failure of the store that stopped the import.
    stopped: Option<Problem>,
}

impl Report {
    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    pub(super) fn stop(&mut self, problem: Problem) {
        self.stopped = Some(problem);
    }

    pub(super) fn add_not_tried(&mut self) {
        self.not_tried += 1;
        let row = self.row(RowStatus::NotTried);
        self.rows.push(row);
    }

    /// Adds a row that was tried. A failure of the store stops the import.
    pub(super) fn add(&mut self, result: Result<Made, Problem>) {
        let row = match result {
            Ok(Made { product, new_sale }) => {
                self.created += 1;
                let status = product.window.status(product.now_ms).as_str().to_owned();
                let new_sale = new_sale.then(|| NewSaleBody { id: product.sale.as_str().to_owned(), status });
                RowBody { id: Some(product.id.get()), new_sale, ..self.row(RowStatus::Created) }
            }
            Err(problem) => {
                self.failed += 1;
                let (code, detail, more) = problem.parts();
                let mut row = RowBody { code: Some(code), detail: Some(detail), more, ..self.row(RowStatus::Failed) };
                if problem.failure().is_some() {
                    row.detail = Some("whether the product was made is unknown: send the row again".to_owned());
                    self.stopped = Some(problem);
                }
                row
            }
        };
        self.rows.push(row);
    }

    /// An empty row, with the number of the next one.
    fn row(&self, status: RowStatus) -> RowBody {
        let row = self.rows.len() as u64 + 1;
        RowBody { row, status, id: None, new_sale: None, code: None, detail: None, more: Map::new() }
    }

    /// A problem with the report in it, where the store failed: a success would pass for a whole import.
    pub(super) fn into_answer(self) -> Result<HttpResponse, Problem> {
        let Self { rows, created, failed, not_tried, stopped } = self;
        let Some(problem) = stopped else {
            return Ok(answer::json(StatusCode::OK, &ImportBody { created, failed, not_tried: None, rows }));
        };
        let rows: Vec<Value> = rows.iter().map(|row| json!(row)).collect();
        Err(problem.with("created", created).with("failed", failed).with("not_tried", not_tried).with("rows", rows))
    }
}
