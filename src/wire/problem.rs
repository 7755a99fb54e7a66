//! Problems (RFC 9457). `http::problem` writes them by hand, and a test reads what it wrote with these types.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A refusal or a failure.
#[derive(Clone, Debug, Deserialize)]
pub struct ProblemBody {
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// The word that programs compare.
    pub code: String,
    #[serde(default)]
    pub request_id: String,
    /// What is wrong with the fields of a body.
    #[serde(default)]
    pub errors: Vec<FieldErrorBody<'static>>,
    /// Members that only some problems have, such as `available_stock`.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// One thing that is wrong in a body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FieldErrorBody<'a> {
    /// JSON pointer (RFC 6901).
    pub pointer: Cow<'a, str>,
    pub code: Cow<'a, str>,
    pub detail: Cow<'a, str>,
}
