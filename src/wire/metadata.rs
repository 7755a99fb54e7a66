//! Metadata: an object of texts.

use serde_json::{Map, Value};

use crate::domain::metadata::Metadata;

/// In the order in which the entries were given.
pub fn metadata_body(metadata: &Metadata) -> Map<String, Value> {
    metadata.entries().iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect()
}
