//! What became of the rows of an import, as a table of what is wrong and a count of everything.

use std::collections::HashSet;

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::{
    rows::Row,
    table::{Column, Table, cell},
};
use crate::{domain::ids::SaleId, tools::client::admin::Trouble};

/// Rows that are printed; `--json` has all of them.
const SHOWN_MAX: usize = 100;
/// New sales that are named.
const SALES_MAX: usize = 20;

/// Each row of the file counts once.
#[derive(Default)]
pub(super) struct Report {
    created: u64,
    already_there: u64,
    /// Of these, such as are not what their row says.
    differing: u64,
    /// Of these again, such as differ in more than their stock, which changes while it sells.
    clashing: u64,
    /// Of these, such as the service did not compare.
    uncompared: u64,
    failed: u64,
    /// Sent, and no answer came.
    unknown: u64,
    not_tried: u64,
    is_json: bool,
    /// Whether rows have the numbers of lines.
    has_lines: bool,
    /// All of them, or as many as will be shown.
    rows: Vec<Value>,
    /// Rows that are to be shown, of which some may be too many.
    to_show: u64,
    new_sales: Vec<Value>,
    /// Ids of rows that came: what is there by then may be of this very file.
    ids: HashSet<u64>,
}

impl Report {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json, ..Self::default() }
    }

    /// Whether no row of the file is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.created + self.already_there + self.failed + self.unknown + self.not_tried == 0
    }

    /// Whether every row is a product now, and none another one.
    pub(super) fn is_good(&self) -> bool {
        self.failed + self.unknown + self.not_tried + self.clashing == 0
    }

    /// Takes an answer about rows, or a refusal that is one.
    ///
    /// # Errors
    /// When it is not about these rows; then nothing was taken.
    pub(super) fn add(&mut self, rows: &[Row], answer: &Value) -> Result<(), Trouble> {
        let results = answer["rows"].as_array().ok_or(Trouble::Unreadable)?;
        if results.len() != rows.iter().filter(|row| row.is_sent()).count() {
            return Err(Trouble::Unreadable);
        }
        let mut results = results.iter();
        self.add_each(rows, || results.next().cloned().unwrap_or_default());
        Ok(())
    }

    /// The same became of all that were to be sent.
    pub(super) fn add_all(&mut self, rows: &[Row], status: &str) {
        self.add_each(rows, || json!({"status": status}));
    }

    fn add_each(&mut self, rows: &[Row], mut sent: impl FnMut() -> Value) {
        for row in rows {
            let result = row.bytes_too_many.map_or_else(&mut sent, too_large);
            self.add_one(row, result);
        }
    }

    fn add_one(&mut self, row: &Row, mut result: Value) {
        let is_again = row.id.is_some_and(|id| !self.ids.insert(id));
        if result["code"] == "already_exists" && is_again {
            let detail = "a row before it has the same id";
            result = json!({"status": "failed", "code": "already_exists", "detail": detail,
                "errors": [{"pointer": "/id", "code": "already_exists", "detail": detail}]});
        } else if result["code"] == "already_exists" {
            result["status"] = "already_there".into();
        }
        let differs = result["differs"].as_array().map(|fields| !fields.is_empty());
        let (count, is_shown) = match result["status"].as_str() {
            Some("created") => (&mut self.created, false),
            Some("already_there") => (&mut self.already_there, differs == Some(true)),
            Some("not_tried") => (&mut self.not_tried, false),
            Some("unknown") => (&mut self.unknown, false),
            _ => (&mut self.failed, true),
        };
        *count += 1;
        if result["status"] == "already_there" {
            self.differing += u64::from(differs == Some(true));
            self.uncompared += u64::from(differs.is_none());
            let clashes =
                result["differs"].as_array().is_some_and(|fields| fields.iter().any(|field| field != "total_stock"));
            self.clashing += u64::from(clashes);
        }
        self.new_sales.extend(result.get("new_sale").cloned());
        self.to_show += u64::from(is_shown);
        self.has_lines |= row.line.is_some();
        if self.is_json || (is_shown && self.rows.len() < SHOWN_MAX) {
            self.rows.push(in_file(row, result));
        }
    }

    pub(super) fn json(&self) -> String {
        let Self { created, already_there, failed, unknown, not_tried, rows, new_sales, .. } = self;
        let counts = json!({"created": created, "already_there": already_there, "failed": failed, "unknown": unknown,
            "not_tried": not_tried, "new_sales": new_sales, "rows": rows});
        counts.to_string()
    }

    pub(super) fn text(&self) -> String {
        if self.is_empty() {
            return "no rows".to_owned();
        }
        format!("{}{}{}{}", self.table(), self.counts(), self.sales(), self.doubt())
    }

    /// `created 1,998, failed 2`: these two always, the others where there are any.
    pub(super) fn counts(&self) -> String {
        let note = match (self.differing, self.uncompared) {
            (0, 0) => String::new(),
            (0, _) => " (not compared)".to_owned(),
            (differing, _) => format!(" ({} not as in the file)", HumanCount(differing)),
        };
        let counts = [
            ("created", self.created, true, ""),
            ("already there", self.already_there, false, &note),
            ("failed", self.failed, true, ""),
            ("unknown", self.unknown, false, ""),
            ("not tried", self.not_tried, false, ""),
        ];
        let told = counts.into_iter().filter(|(_, count, always, _)| *always || *count > 0);
        told.map(|(name, count, _, note)| format!("{name} {}{note}", HumanCount(count))).collect::<Vec<_>>().join(", ")
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

    /// Whatever was made by the rows whose answer was lost, nobody will be told again.
    fn doubt(&self) -> &'static str {
        if self.unknown == 0 {
            return "";
        }
        "\n  Products of the unknown rows may be there, and new sales that they name: `flashsale sale list` shows which are live."
    }

    /// The sales that were made with their first product: perhaps by a slip of the pen.
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

/// The result of a row, by where the row is in the file.
fn in_file(row: &Row, mut result: Value) -> Value {
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

/// As the service says it of a row that is not as large as this.
fn too_large(bytes: usize) -> Value {
    let detail =
        format!("the row has {} bytes, which is too large; perhaps a quote was not closed", HumanCount(bytes as u64));
    let error = json!({"pointer": "", "code": "too_large", "detail": detail});
    json!({"status": "failed", "code": "validation_failed", "detail": detail, "errors": [error]})
}

/// The fields of a row and what is wrong with each.
fn complaints(row: &Value) -> Vec<(String, String)> {
    if let Some(fields) = row["differs"].as_array() {
        let fields: Vec<_> = fields.iter().map(cell).collect();
        return vec![(fields.join(", "), "it is there already and differs in this; it was left as it is".to_owned())];
    }
    let of = |error: &Value| (cell(&error["pointer"]).trim_start_matches('/').to_owned(), cell(&error["detail"]));
    match row["errors"].as_array() {
        Some(errors) => errors.iter().map(of).collect(),
        None => vec![(String::new(), format!("{}: {}", cell(&row["code"]), cell(&row["detail"])))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(numbers: std::ops::RangeInclusive<u64>) -> Vec<Row> {
        let row = |number| Row {
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
        let mut report = Report::new(false);
        let there = json!({"status": "failed", "code": "already_exists"});
        let results = json!([{"status": "created"}, there, {"status": "failed", "code": "store_timeout"}]);
        report.add(&rows(1..=4), &json!({"rows": results})).unwrap();
        report.add_all(&rows(5..=1_204), "unknown");
        report.add_all(&rows(1_205..=6_000), "not_tried");
        let counts = "created 1, already there 1 (not compared), failed 2, unknown 1,200, not tried 4,796";
        assert_eq!(report.counts(), counts);
        assert!(report.text().contains("  3  3               the row has 5,000,000 bytes"), "{}", report.text());
        assert!(!report.is_good());
    }

    #[test]
    fn an_answer_about_other_rows_is_none() {
        let mut report = Report::new(false);
        for answer in [json!({}), json!({"rows": []}), json!({"rows": [{}, {}, {}]})] {
            assert!(matches!(report.add(&rows(1..=3), &answer), Err(Trouble::Unreadable)));
        }
        assert!(report.is_empty());
    }

    #[test]
    fn of_many_bad_rows_the_first_are_shown_and_of_many_new_sales_the_first_named() {
        let mut report = Report::new(false);
        report.add_all(&rows(1_000..=1_249), "failed");
        let made = |id: usize| json!({"status": "created", "new_sale": {"id": format!("drop-{id}"), "status": "live"}});
        report.add(&rows(10..=31), &json!({"rows": (0..22).map(made).collect::<Vec<_>>()})).unwrap();
        let text = report.text();
        assert!(text.contains("\n… and 150 more; --json has all of them\n\ncreated 22, failed 250\n"), "{text}");
        assert!(text.contains("drop-19 (live), 2 more\n") && text.ends_with("sale pause drop-0"), "{text}");
    }
}
