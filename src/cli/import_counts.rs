//! What became of the rows of an import, as numbers.

use indicatif::HumanCount;
use serde_json::Value;

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowOutcome {
    Created,
    /// The product exists, and was made like its row.
    Changed,
    WouldCreate,
    WouldChange,
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

use RowOutcome::{
    Changed, Created, Failed, NotCompared, NotTried, OtherProduct, OtherStock, Same, Unknown, WouldChange, WouldCreate,
};

/// The word of `--json` for a row that exists already. The service calls such a row failed.
pub(super) const ALREADY_THERE: &str = "already_there";

impl RowOutcome {
    /// What became of a row, by the service's result.
    pub(super) fn of(result: &Value) -> Self {
        match result["status"].as_str() {
            Some("created") => Created,
            Some("changed") => Changed,
            Some("would_create") => WouldCreate,
            Some("would_change") => WouldChange,
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
}

/// A count for each outcome. Each row of the file counts once.
#[derive(Default)]
pub(super) struct Counts([u64; 11]);

impl Counts {
    pub(super) fn add(&mut self, outcome: RowOutcome) {
        self.0[outcome as usize] += 1;
    }

    pub(super) fn sum<const N: usize>(&self, outcomes: [RowOutcome; N]) -> u64 {
        outcomes.map(|outcome| self.0[outcome as usize]).iter().sum()
    }

    pub(super) fn all(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(super) fn already_there(&self) -> u64 {
        self.sum([Same, OtherStock, OtherProduct, NotCompared])
    }

    /// `created 1,998, failed 2`: these two always, the others if they are not 0.
    pub(super) fn text(&self, is_dry_run: bool) -> String {
        let note = [
            (self.sum([OtherProduct]), "not as in the file"),
            (self.sum([OtherStock]), "with another stock"),
            (self.sum([NotCompared]), "not compared"),
        ];
        let note = note
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", HumanCount(count)));
        let note = Some(note.collect::<Vec<_>>().join(", ")).filter(|note| !note.is_empty());
        let note = note.map_or_else(String::new, |note| format!(" ({note})"));
        let counts = [
            ("would create", self.sum([WouldCreate]), is_dry_run, ""),
            ("would change", self.sum([WouldChange]), false, ""),
            ("created", self.sum([Created]), !is_dry_run, ""),
            ("changed", self.sum([Changed]), false, ""),
            ("already there", self.already_there(), false, &note),
            ("failed", self.sum([Failed]), true, ""),
            ("unknown", self.sum([Unknown]), false, ""),
            ("not tried", self.sum([NotTried]), false, ""),
        ];
        let printed = counts.into_iter().filter(|(_, count, always, _)| *always || *count > 0);
        printed
            .map(|(name, count, _, note)| format!("{name} {}{note}", HumanCount(count)))
            .collect::<Vec<_>>()
            .join(", ")
    }
}
