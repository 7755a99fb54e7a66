//! The report of an import.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The result of each row. When Redis fails half-way these are members of a problem, beside `not_tried`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ImportBody {
    pub created: u64,
    /// Existing products that an update changed.
    #[serde(default)]
    pub changed: u64,
    /// Only of a dry run, which creates and changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_create: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_change: Option<u64>,
    pub failed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_tried: Option<u64>,
    pub rows: Vec<RowBody>,
    /// What a person should know who sent the rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The result of one row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowBody {
    /// From 1, in the order of the file. The line with the names of the columns does not count.
    pub row: u64,
    pub status: RowStatus,
    /// The id of the product, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// The sale that the product made, as one does that names a sale which does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_sale: Option<NewSaleBody>,
    /// The code of the problem of a row that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Further members: `changed` and `differs` of an existing product, `errors` of a row that failed.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowStatus {
    Created,
    Changed,
    WouldCreate,
    WouldChange,
    Failed,
    /// The import stopped before it.
    NotTried,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewSaleBody {
    pub id: String,
    pub status: String,
}
