//! What became of the rows of an import. What is wrong, what differs, and mere drift of stock are kept apart.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::{
    import_counts::{ALREADY_THERE, Counts, RowOutcome},
    import_file::{FileRow, Unsent},
    table::{Column, Table, cell, counted},
};
use crate::{domain::ids::SaleId, tools::client::api::CallError};

use RowOutcome::{Changed, Created, Failed, NotTried, OtherProduct, OtherStock, Unknown, WouldChange, WouldCreate};

/// Rows of a table that are printed; `--json` has all of them.
const SHOWN_MAX: usize = 100;
/// New sales, and products with another stock, that are named.
const NAMED_MAX: usize = 20;

/// What becomes of the rows, and how it is reported.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReportForm {
    pub(super) is_json: bool,
    pub(super) is_dry_run: bool,
    pub(super) is_update: bool,
}

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

/// The first rows of one kind, and the number of all of them.
#[derive(Default)]
struct Shown {
    rows: Vec<Value>,
    count: u64,
}

impl Shown {
    fn add(&mut self, row: &Value, most: usize) {
        self.count += 1;
        if self.rows.len() < most {
            self.rows.push(row.clone());
        }
    }

    /// How many are not among the rows.
    fn hidden(&self) -> u64 {
        self.count - self.rows.len() as u64
    }
}

/// The report of one import.
#[derive(Default)]
pub(super) struct ImportReport {
    form: ReportForm,
    counts: Counts,
    /// Whether rows have the numbers of lines.
    has_lines: bool,
    /// All rows, for `--json`.
    rows: Vec<Value>,
    wrong: Shown,
    differing: Shown,
    drifted: Shown,
    new_sales: Vec<Value>,
    /// Ids of earlier rows: an existing product with one of them may come from this very file.
    ids: HashSet<u64>,
    skipped: BTreeMap<&'static str, u64>,
    left_out: Vec<String>,
    /// What the service warned of, in each of its answers.
    warnings: BTreeSet<String>,
}

impl ImportReport {
    pub(super) fn new(form: ReportForm) -> Self {
        Self { form, ..Self::default() }
    }

    /// Whether it has no row of the file.
    pub(super) fn is_empty(&self) -> bool {
        self.counts.all() == 0
    }

    /// Whether every row is a product now, and no product is another one than its row.
    pub(super) fn is_good(&self) -> bool {
        self.counts.sum([OtherProduct, Failed, Unknown, NotTried]) == 0
    }

    /// What of the file is no product: rows by the reason, and columns.
    pub(super) fn leave_out(&mut self, rows: BTreeMap<&'static str, u64>, columns: Vec<String>) {
        (self.skipped, self.left_out) = (rows, columns);
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
        let warnings = answer["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
        self.warnings.extend(warnings.map(str::to_owned));
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
            let result = row.unsent.as_ref().map_or_else(&mut next_result, not_sent);
            self.add_one(row, result);
        }
    }

    fn add_one(&mut self, row: &FileRow, mut result: Value) {
        let is_repeated = row.id.is_some_and(|id| !self.ids.insert(id));
        let exists = result["code"] == "already_exists";
        let is_rehearsed = result["status"] == "would_create" || result["status"] == "would_change";
        if is_repeated && (exists || is_rehearsed) {
            result = repeated_id();
        } else if exists {
            result["status"] = ALREADY_THERE.into();
        }
        let outcome = RowOutcome::of(&result);
        self.counts.add(outcome);
        // A dry run makes none, so each call of it finds the same ones new.
        let is_known = |sale: &Value| self.form.is_dry_run && self.new_sales.contains(sale);
        let new_sale = result.get("new_sale").filter(|sale| !is_known(sale)).cloned();
        self.new_sales.extend(new_sale);
        self.has_lines |= row.line.is_some();
        let row = in_file(row, result);
        match outcome {
            Failed => self.wrong.add(&row, SHOWN_MAX),
            OtherProduct => self.differing.add(&row, SHOWN_MAX),
            OtherStock => self.drifted.add(&row, NAMED_MAX),
            Changed | WouldChange if row["differs"].as_array().is_some_and(|fields| !fields.is_empty()) => {
                self.drifted.add(&row, NAMED_MAX);
            }
            _ => {}
        }
        if self.form.is_json {
            self.rows.push(row);
        }
    }

    pub(super) fn json(&self) -> String {
        let Self { counts, rows, new_sales, skipped, left_out, warnings, .. } = self;
        let mut report = json!({"created": counts.sum([Created]), "changed": counts.sum([Changed])});
        if self.form.is_dry_run {
            report["would_create"] = counts.sum([WouldCreate]).into();
            report["would_change"] = counts.sum([WouldChange]).into();
        }
        report["already_there"] = counts.already_there().into();
        for (name, outcome) in [("failed", Failed), ("unknown", Unknown), ("not_tried", NotTried)] {
            report[name] = counts.sum([outcome]).into();
        }
        report["new_sales"] = json!(new_sales);
        report["skipped"] = json!(skipped);
        report["left_out"] = json!(left_out);
        if !warnings.is_empty() {
            report["warnings"] = json!(warnings);
        }
        report["rows"] = json!(rows);
        report.to_string()
    }

    pub(super) fn text(&self) -> String {
        let parts = if self.is_empty() {
            vec!["no rows".to_owned()]
        } else {
            vec![
                self.wrong_rows(),
                self.differing_rows(),
                self.drift(),
                self.counts(),
                self.doubt().to_owned(),
                self.sales(),
                if self.form.is_dry_run { "dry run: nothing was changed".to_owned() } else { String::new() },
            ]
        };
        let parts = parts.into_iter().chain([self.skipped_rows(), self.left_out_columns()]);
        let parts = parts.chain(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// `created 1,998, failed 2`
    pub(super) fn counts(&self) -> String {
        self.counts.text(self.form.is_dry_run)
    }

    fn wrong_rows(&self) -> String {
        let columns = [self.number(), Column::Left("PRODUCT"), Column::Left("FIELD"), Column::Wide("WHAT IS WRONG")];
        let mut table = Table::new(&columns);
        for row in &self.wrong.rows {
            for (field, detail) in complaints(row) {
                table.row([self.number_of(row), cell(&row["product"]), field, detail]);
            }
        }
        finished(&table, &self.wrong, "")
    }

    fn differing_rows(&self) -> String {
        let mut table = Table::new(&[self.number(), Column::Left("PRODUCT"), Column::Wide("NOT AS IN THE FILE")]);
        for row in &self.differing.rows {
            table.row([self.number_of(row), cell(&row["product"]), fields(&row["differs"])]);
        }
        let what = if self.form.is_update {
            "\n  They stay as they are: a product of another sale or currency is another product."
        } else {
            "\n  They stay as they are; --update changes name, price and limits."
        };
        finished(&table, &self.differing, what)
    }

    /// The stock of a product that sells is soon not that of a file.
    fn drift(&self) -> String {
        if self.drifted.count == 0 {
            return String::new();
        }
        let mut named: Vec<_> = self.drifted.rows.iter().map(|row| cell(&row["product"])).collect();
        if self.drifted.hidden() > 0 {
            named.push(format!("{} more", HumanCount(self.drifted.hidden())));
        }
        let products = counted(self.drifted.count, "product");
        let named = named.join(", ");
        format!(
            "stock differs of {products}: {named}\n  An import changes no stock; `flashsale product restock` does.\n"
        )
    }

    fn number(&self) -> Column {
        Column::Right(if self.has_lines { "LINE" } else { "ROW" })
    }

    fn number_of(&self, row: &Value) -> String {
        cell(if self.has_lines { &row["line"] } else { &row["row"] })
    }

    /// A warning about the rows whose answer was lost: no later answer says what they made.
    fn doubt(&self) -> &'static str {
        if self.counts.sum([Unknown]) == 0 || self.form.is_dry_run {
            return "";
        }
        "  Products of the unknown rows may exist, and new sales that they name: `flashsale sale list` shows which are live."
    }

    /// The sales that were created with their first product, perhaps by a mistyped name.
    fn sales(&self) -> String {
        let id = |sale: &Value| cell(&sale["id"]);
        let is_own = |sale: &&Value| SaleId::parse(&id(sale)).is_some_and(|sale| sale.is_reserved());
        let (own, named): (Vec<_>, Vec<_>) = self.new_sales.iter().partition(is_own);
        let mut list: Vec<_> =
            named.iter().take(NAMED_MAX).map(|sale| format!("{} ({})", id(sale), cell(&sale["status"]))).collect();
        if named.len() > NAMED_MAX {
            list.push(format!("{} more", named.len() - NAMED_MAX));
        }
        if !own.is_empty() {
            list.push(format!("{} of products that name none (live)", HumanCount(own.len() as u64)));
        }
        let Some(first) = self.new_sales.first().map(id) else { return String::new() };
        let list = list.join(", ");
        if self.form.is_dry_run {
            return format!("new sales: {list}\n  They are not there yet, and would sell at once.");
        }
        let pause = named.first().map_or(first, |sale| id(sale));
        format!(
            "new sales: {list}\n  They were not there before, and sell from now on; to stop one: \
             flashsale sale pause {pause}"
        )
    }

    fn skipped_rows(&self) -> String {
        let reasons = self.skipped.iter().map(|(why, count)| format!("{} {why}", HumanCount(*count)));
        let reasons = reasons.collect::<Vec<_>>().join(", ");
        if reasons.is_empty() { reasons } else { format!("skipped: {reasons}") }
    }

    fn left_out_columns(&self) -> String {
        if self.left_out.is_empty() {
            String::new()
        } else {
            format!("left out: {}", fields(&self.left_out.as_slice().into()))
        }
    }
}

/// The table, the number of rows that it has not, and a hint; nothing without rows.
fn finished(table: &Table, shown: &Shown, hint: &str) -> String {
    if shown.count == 0 {
        return String::new();
    }
    let more = match shown.hidden() {
        0 => String::new(),
        hidden => format!("\n… and {} more; --json has all of them", HumanCount(hidden)),
    };
    format!("{}{more}{hint}\n", table.text())
}

/// `sale, name`
fn fields(list: &Value) -> String {
    list.as_array().into_iter().flatten().map(cell).collect::<Vec<_>>().join(", ")
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

/// The result of a row that is not sent, in the form of the service.
fn not_sent(why: &Unsent) -> Value {
    let (code, detail) = match why {
        Unsent::TooLarge(bytes) => {
            let bytes = HumanCount(*bytes as u64);
            ("too_large", format!("the row has {bytes} bytes, which is too large; perhaps a quote was not closed"))
        }
        Unsent::Misfit(detail) => ("wrong_number_of_cells", detail.clone()),
    };
    let error = json!({"pointer": "", "code": code, "detail": detail});
    json!({"status": "failed", "code": "validation_failed", "detail": detail, "errors": [error]})
}

/// The wrong fields of a row, and what is wrong with each.
fn complaints(row: &Value) -> Vec<(String, String)> {
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
            unsent: (number == 3).then_some(Unsent::TooLarge(5_000_000)),
        };
        numbers.map(row).collect()
    }

    #[test]
    fn every_row_is_in_one_count() {
        let mut report = ImportReport::new(ReportForm::default());
        let there = json!({"status": "failed", "code": "already_exists"});
        let results = json!([{"status": "created"}, there, {"status": "failed", "code": "store_timeout"}]);
        report.add(&rows(1..=4), &json!({"rows": results})).unwrap();
        report.add_unsettled(&rows(5..=1_204), Unsettled::Unknown);
        report.add_unsettled(&rows(1_205..=6_000), Unsettled::NotTried);
        let counts = "created 1, already there 1 (1 not compared), failed 2, unknown 1,200, not tried 4,796";
        assert_eq!(report.counts(), counts);
        assert!(report.text().contains("  3  3               the row has 5,000,000 bytes"), "{}", report.text());
        assert!(!report.is_good());
    }

    #[test]
    fn an_answer_about_other_rows_is_none() {
        let mut report = ImportReport::new(ReportForm::default());
        for answer in [json!({}), json!({"rows": []}), json!({"rows": [{}, {}, {}]})] {
            assert!(matches!(report.add(&rows(1..=3), &answer), Err(CallError::Unreadable)));
        }
        assert!(report.is_empty());
    }

    #[test]
    fn of_many_bad_rows_the_first_are_shown_and_of_many_new_sales_the_first_named() {
        let mut report = ImportReport::new(ReportForm::default());
        let failed = vec![json!({"status": "failed"}); 250];
        report.add(&rows(1_000..=1_249), &json!({"rows": failed})).unwrap();
        let made = |id: usize| json!({"status": "created", "new_sale": {"id": format!("drop-{id}"), "status": "live"}});
        report.add(&rows(10..=31), &json!({"rows": (0..22).map(made).collect::<Vec<_>>()})).unwrap();
        let text = report.text();
        assert!(text.contains("\n… and 150 more; --json has all of them\n\ncreated 22, failed 250\n"), "{text}");
        assert!(text.contains("drop-19 (live), 2 more\n") && text.ends_with("sale pause drop-0"), "{text}");
    }
}
