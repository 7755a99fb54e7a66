//! What became of each of many.

use indicatif::HumanCount;
use serde_json::{Map, Value, json};

use super::{Kind, Outcome};
use crate::cli::table::{Column, Table, cell};

/// Rows that are printed; `--json` has all.
const SHOWN_MAX: usize = 100;

pub(super) struct Report<'a> {
    kind: &'a Kind,
    rows: Vec<((Option<u64>, String), Outcome)>,
}

const WORDS: [&str; 5] = ["done", "unchanged", "refused", "unknown", "not_tried"];

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Unchanged => "unchanged",
            Self::Refused { .. } => "refused",
            Self::Unknown(_) => "unknown",
            Self::NotTried => "not_tried",
        }
    }

    /// What people read beside the word.
    fn text(&self) -> String {
        match self {
            Self::Done(changed) => changes(changed),
            Self::Unchanged | Self::NotTried => String::new(),
            Self::Refused { code, detail } if code.is_empty() => detail.clone(),
            Self::Refused { code, detail } => format!("{code}: {detail}"),
            Self::Unknown(why) => why.clone(),
        }
    }
}

/// `total_stock 5 -> 10`
fn changes(changed: &Map<String, Value>) -> String {
    let fields =
        changed.iter().map(|(name, values)| format!("{name} {} -> {}", cell(&values["from"]), cell(&values["to"])));
    fields.collect::<Vec<_>>().join(", ")
}

impl<'a> Report<'a> {
    pub(super) fn new(kind: &'a Kind, rows: Vec<((Option<u64>, String), Outcome)>) -> Self {
        Self { kind, rows }
    }

    /// Whether nothing was refused.
    pub(super) fn is_good(&self) -> bool {
        self.count("refused") == 0
    }

    fn count(&self, word: &str) -> usize {
        self.rows.iter().filter(|(_, outcome)| outcome.word() == word).count()
    }

    pub(super) fn json(&self) -> String {
        let mut report = Map::new();
        report.extend(self.kind.run.as_ref().map(|run| ("run".to_owned(), run.as_str().into())));
        report.extend(WORDS.map(|word| (word.to_owned(), self.count(word).into())));
        let rows = self.rows.iter().map(|((row, name), outcome)| {
            let mut body = Map::new();
            body.extend(row.map(|row| ("row".to_owned(), row.into())));
            body.insert(self.kind.noun.to_owned(), name.as_str().into());
            body.insert("status".to_owned(), outcome.word().into());
            match outcome {
                Outcome::Done(changed) => body.extend([("changed".to_owned(), changed.clone().into())]),
                Outcome::Refused { code, detail } => {
                    let code = if code.is_empty() { "invalid_row" } else { code };
                    body.extend([("code".to_owned(), code.into()), ("detail".to_owned(), detail.as_str().into())]);
                }
                Outcome::Unknown(why) => body.extend([("detail".to_owned(), why.as_str().into())]),
                Outcome::Unchanged | Outcome::NotTried => {}
            }
            Value::from(body)
        });
        report.insert("rows".to_owned(), rows.collect());
        json!(report).to_string()
    }

    /// The rows, their counts, and how to go on. Of many rows only those that are not done.
    pub(super) fn text(&self) -> String {
        let is_long = self.rows.len() > SHOWN_MAX;
        let is_settled = |outcome: &Outcome| matches!(outcome, Outcome::Done(_) | Outcome::Unchanged);
        let chosen: Vec<_> = self.rows.iter().filter(|(_, outcome)| !is_long || !is_settled(outcome)).collect();
        let has_numbers = self.rows.iter().any(|((row, _), _)| row.is_some());
        let title = if self.kind.noun == "order" { "ORDER" } else { "PRODUCT" };
        let numbers = has_numbers.then_some(Column::Right("ROW"));
        let columns = numbers.into_iter().chain([Column::Left(title), Column::Left("OUTCOME"), Column::Wide("WHAT")]);
        let mut table = Table::new(&columns.collect::<Vec<_>>());
        for ((row, name), outcome) in chosen.iter().take(SHOWN_MAX) {
            let cells = [cell(name), outcome.word().replace('_', " "), outcome.text()];
            table.row(has_numbers.then(|| cell(row)).into_iter().chain(cells));
        }
        let mut parts = Vec::new();
        if !chosen.is_empty() {
            parts.push(table.text());
            let hidden = chosen.len().saturating_sub(SHOWN_MAX);
            parts.extend((hidden > 0).then(|| format!("and {} more; --json has all", HumanCount(hidden as u64))));
            parts.push(String::new());
        }
        let counts = WORDS.into_iter().map(|word| (word, self.count(word)));
        let counts = counts.filter(|(word, count)| *count > 0 || *word == "done");
        let counts = counts.map(|(word, count)| format!("{} {}", word.replace('_', " "), HumanCount(count as u64)));
        parts.push(counts.collect::<Vec<_>>().join(", "));
        parts.extend(self.kind.run.as_ref().map(|run| format!("the same again with --run {run} does nothing twice")));
        parts.join("\n")
    }
}
