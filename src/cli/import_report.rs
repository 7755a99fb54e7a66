//! What became of the rows of an import: a table of what is wrong, and a count of everything.

use std::collections::HashSet;

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::{
    import_file::FileRow,
    table::{Column, Table, cell},
};
use crate::{domain::ids::SaleId, tools::client::api::CallError};

/// Rows that are printed; `--json` has all of them.
const SHOWN_MAX: usize = 100;
/// New sales that are named.
const SALES_MAX: usize = 20;

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowOutcome {
    Created,
    /// The product exists, as the row has it.
    Same,
    /// The product exists with another stock, which changes while it sells.
    OtherStock,
    /// The product exists, and more than its stock differs.
    OtherProduct,
    /// The product exists, and the service did not compare it.
    NotCompared,
    Failed,
    /// Sent, and no answer came.
    Unknown,
    NotTried,
}

use RowOutcome::{Created, Failed, NotCompared, NotTried, OtherProduct, OtherStock, Same, Unknown};

/// The word of `--json` for a row that exists already. The service calls such a row failed.
const ALREADY_THERE: &str = "already_there";

/// What became of rows about which the service answered nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unsettled {
    Unknown,
    NotTried,
}

impl Unsettled {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::NotTried => "not_tried",
        }
    }
}

/// A count for each outcome. Each row of the file counts once.
#[derive(Default)]
struct Counts([u64; 8]);

impl Counts {
    fn add(&mut self, outcome: RowOutcome) {
        self.0[outcome as usize] += 1;
    }

    fn sum<const N: usize>(&self, outcomes: [RowOutcome; N]) -> u64 {
        outcomes.map(|outcome| self.0[outcome as usize]).iter().sum()
    }

    fn already_there(&self) -> u64 {
        self.sum([Same, OtherStock, OtherProduct, NotCompared])
    }
}

/// The report of one import.
#[derive(Default)]
pub(super) struct ImportReport {
    counts: Counts,
    is_json: bool,
    /// Whether rows have the numbers of lines.
    has_lines: bool,
    /// All rows for `--json`, else the first ones that are to be shown.
    rows: Vec<Value>,
    /// The number of rows to show, which may be more than are kept.
    to_show: u64,
    new_sales: Vec<Value>,
    /// Ids of earlier rows: an existing product with one of them may come from this very file.
    ids: HashSet<u64>,
}

impl ImportReport {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json, ..Self::default() }
    }

    /// Whether it has no row of the file.
    pub(super) fn is_empty(&self) -> bool {
        self.counts.0.iter().sum::<u64>() == 0
    }

    /// Whether every row is a product now, and no product is another one than its row.
    pub(super) fn is_good(&self) -> bool {
        self.counts.sum([OtherProduct, Failed, Unknown, NotTried]) == 0
    }

    /// Adds rows with the answer about them, which may be a refusal.
    ///
    /// # Errors
    /// When the answer is not about these rows; then nothing was added.
    pub(super) fn add(&mut self, rows: &[FileRow], answer: &Value) -> Result<(), CallError> {
        let results = answer["rows"].as_array().ok_or(CallError::Unreadable)?;
        if results.len() != rows.iter().filter(|row| row.is_sent()).count() {
            return Err(CallError::Unreadable);
        }
        let mut results = results.iter();
        self.add_each(rows, || results.next().cloned().unwrap_or_default());
        Ok(())
    }

    /// Adds rows about which the service answered nothing.
    pub(super) fn add_unsettled(&mut self, rows: &[FileRow], unsettled: Unsettled) {
        self.add_each(rows, || json!({"status": unsettled.as_str()}));
    }

    fn add_each(&mut self, rows: &[FileRow], mut next_result: impl FnMut() -> Value) {
        for row in rows {
            let result = row.bytes_too_many.map_or_else(&mut next_result, too_large);
            self.add_one(row, result);
        }
    }

    fn add_one(&mut self, row: &FileRow, mut result: Value) {
        let is_repeated = row.id.is_some_and(|id| !self.ids.insert(id));
        if result["code"] == "already_exists" {
            if is_repeated {
                result = repeated_id();
            } else {
                result["status"] = ALREADY_THERE.into();
            }
        }
        let outcome = outcome(&result);
        let is_shown = matches!(outcome, OtherStock | OtherProduct | Failed);
        self.counts.add(outcome);
        self.new_sales.extend(result.get("new_sale").cloned());
        self.to_show += u64::from(is_shown);
        self.has_lines |= row.line.is_some();
        if self.is_json || (is_shown && self.rows.len() < SHOWN_MAX) {
            self.rows.push(in_file(row, result));
        }
    }

    pub(super) fn json(&self) -> String {
        let Self { counts, rows, new_sales, .. } = self;
        let report = json!({"created": counts.sum([Created]), "already_there": counts.already_there(),
            "failed": counts.sum([Failed]), "unknown": counts.sum([Unknown]), "not_tried": counts.sum([NotTried]),
            "new_sales": new_sales, "rows": rows});
        report.to_string()
    }

    pub(super) fn text(&self) -> String {
        if self.is_empty() {
            return "no rows".to_owned();
        }
        format!("{}{}{}{}", self.table(), self.counts(), self.sales(), self.doubt())
    }

    /// `created 1,998, failed 2`: these two always, the others if they are not 0.
    pub(super) fn counts(&self) -> String {
        let counts = &self.counts;
        let note = match (counts.sum([OtherStock, OtherProduct]), counts.sum([NotCompared])) {
            (0, 0) => String::new(),
            (0, _) => " (not compared)".to_owned(),
            (differing, _) => format!(" ({} not as in the file)", HumanCount(differing)),
        };
        let counts = [
            ("created", counts.sum([Created]), true, ""),
            ("already there", counts.already_there(), false, &note),
            ("failed", counts.sum([Failed]), true, ""),
            ("unknown", counts.sum([Unknown]), false, ""),
            ("not tried", counts.sum([NotTried]), false, ""),
        ];
        let printed = counts.into_iter().filter(|(_, count, always, _)| *always || *count > 0);
        printed
            .map(|(name, count, _, note)| format!("{name} {}{note}", HumanCount(count)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn table(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let number = if self.has_lines { "LINE" } else { "ROW" };
        let columns =
            [Column::Right(number), Column::Left("PRODUCT"), Column::Left("FIELD"), Column::Wide("WHAT IS WRONG")];
        let mut table = Table::new(&columns);
        for row in &self.rows {
            let number = if self.has_lines { &row["line"] } else { &row["row"] };
            for (field, detail) in complaints(row) {
                table.row([cell(number), cell(&row["product"]), field, detail]);
            }
        }
        let hidden = self.to_show - self.rows.len() as u64;
        let more = if hidden > 0 {
            format!("\n… and {} more; --json has all of them", HumanCount(hidden))
        } else {
            String::new()
        };
        format!("{}{more}\n\n", table.text())
    }

    /// A warning about the rows whose answer was lost: no later answer says what they made.
    fn doubt(&self) -> &'static str {
        if self.counts.sum([Unknown]) == 0 {
            return "";
        }
        "\n  Products of the unknown rows may exist, and new sales that they name: `flashsale sale list` shows which are live."
    }

    /// The sales that were created with their first product, perhaps by a mistyped name.
    fn sales(&self) -> String {
        let id = |sale: &Value| cell(&sale["id"]);
        let is_own = |sale: &&Value| SaleId::parse(&id(sale)).is_some_and(|sale| sale.is_reserved());
        let (own, named): (Vec<_>, Vec<_>) = self.new_sales.iter().partition(is_own);
        let mut list: Vec<_> =
            named.iter().take(SALES_MAX).map(|sale| format!("{} ({})", id(sale), cell(&sale["status"]))).collect();
        if named.len() > SALES_MAX {
            list.push(format!("{} more", named.len() - SALES_MAX));
        }
        if !own.is_empty() {
            list.push(format!("{} of products that name none (live)", HumanCount(own.len() as u64)));
        }
        let Some(first) = self.new_sales.first().map(id) else { return String::new() };
        let pause = named.first().map_or(first, |sale| id(sale));
        format!(
            "\nnew sales: {}\n  They were not there before, and sell from now on; to stop one: flashsale sale pause {pause}",
            list.join(", ")
        )
    }
}

/// What became of a row, by the service's result.
fn outcome(result: &Value) -> RowOutcome {
    match result["status"].as_str() {
        Some("created") => Created,
        Some("unknown") => Unknown,
        Some("not_tried") => NotTried,
        Some(ALREADY_THERE) => match result["differs"].as_array().map(Vec::as_slice) {
            None => NotCompared,
            Some([]) => Same,
            Some(fields) if fields.iter().all(|field| field == "total_stock") => OtherStock,
            Some(_) => OtherProduct,
        },
        _ => Failed,
    }
}

/// The result of a row whose id an earlier row of the file has.
fn repeated_id() -> Value {
    let detail = "a row before it has the same id";
    json!({"status": "failed", "code": "already_exists", "detail": detail,
        "errors": [{"pointer": "/id", "code": "already_exists", "detail": detail}]})
}

/// The result of a row, with the row's place in the file.
fn in_file(row: &FileRow, mut result: Value) -> Value {
    let Value::Object(members) = &mut result else { return result };
    let mut whole = json!({"row": row.number});
    if let Some(line) = row.line {
        whole["line"] = line.into();
    }
    for (name, value) in members.iter().filter(|(name, _)| *name != "row") {
        whole[name] = value.clone();
    }
    whole["product"] = row.product.clone().into();
    whole
}

/// The result of a row that is too large to send, in the form of the service.
fn too_large(bytes: usize) -> Value {
    let detail =
        format!("the row has {} bytes, which is too large; perhaps a quote was not closed", HumanCount(bytes as u64));
    let error = json!({"pointer": "", "code": "too_large", "detail": detail});
    json!({"status": "failed", "code": "validation_failed", "detail": detail, "errors": [error]})
}

/// The wrong fields of a row, and what is wrong with each.
fn complaints(row: &Value) -> Vec<(String, String)> {
    if let Some(fields) = row["differs"].as_array() {
        let fields: Vec<_> = fields.iter().map(cell).collect();
        return vec![(fields.join(", "), "the product exists and differs in this; it was left unchanged".to_owned())];
    }
    let complaint =
        |error: &Value| (cell(&error["pointer"]).trim_start_matches('/').to_owned(), cell(&error["detail"]));
    match row["errors"].as_array() {
        Some(errors) => errors.iter().map(complaint).collect(),
        None => vec![(String::new(), format!("{}: {}", cell(&row["code"]), cell(&row["detail"])))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(numbers: std::ops::RangeInclusive<u64>) -> Vec<FileRow> {
        let row = |number| FileRow {
            number,
            line: None,
            id: Some(number),
            product: number.to_string(),
            bytes_too_many: (number == 3).then_some(5_000_000),
        };
        numbers.map(row).collect()
    }

    #[test]
    fn every_row_is_in_one_count() {
        let mut report = ImportReport::new(false);
        let there = json!({"status": "failed", "code": "already_exists"});
        let results = json!([{"status": "created"}, there, {"status": "failed", "code": "store_timeout"}]);
        report.add(&rows(1..=4), &json!({"rows": results})).unwrap();
        report.add_unsettled(&rows(5..=1_204), Unsettled::Unknown);
        report.add_unsettled(&rows(1_205..=6_000), Unsettled::NotTried);
        let counts = "created 1, already there 1 (not compared), failed 2, unknown 1,200, not tried 4,796";
        assert_eq!(report.counts(), counts);
        assert!(report.text().contains("  3  3               the row has 5,000,000 bytes"), "{}", report.text());
        assert!(!report.is_good());
    }

    #[test]
    fn an_answer_about_other_rows_is_none() {
        let mut report = ImportReport::new(false);
        for answer in [json!({}), json!({"rows": []}), json!({"rows": [{}, {}, {}]})] {
            assert!(matches!(report.add(&rows(1..=3), &answer), Err(CallError::Unreadable)));
        }
        assert!(report.is_empty());
    }

    #[test]
    fn of_many_bad_rows_the_first_are_shown_and_of_many_new_sales_the_first_named() {
        let mut report = ImportReport::new(false);
        let failed = vec![json!({"status": "failed"}); 250];
        report.add(&rows(1_000..=1_249), &json!({"rows": failed})).unwrap();
        let made = |id: usize| json!({"status": "created", "new_sale": {"id": format!("drop-{id}"), "status": "live"}});
        report.add(&rows(10..=31), &json!({"rows": (0..22).map(made).collect::<Vec<_>>()})).unwrap();
        let text = report.text();
        assert!(text.contains("\n… and 150 more; --json has all of them\n\ncreated 22, failed 250\n"), "{text}");
        assert!(text.contains("drop-19 (live), 2 more\n") && text.ends_with("sale pause drop-0"), "{text}");
    }
}
