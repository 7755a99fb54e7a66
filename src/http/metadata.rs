//! Metadata of a body, which `fields` reads as an object of any kind.

use super::fields::{Json, Object};
use crate::domain::metadata::{Metadata, MetadataError};

impl Object<'_, '_> {
    /// The field `metadata`, or `None` where it is absent, empty or wrong.
    pub(super) fn metadata(&mut self) -> Option<Metadata> {
        self.metadata_change().flatten()
    }

    /// The same for a change: `Some(None)` takes the metadata away.
    #[expect(clippy::option_option, reason = "as in ProductChange: to set, to take away, or to leave")]
    pub(super) fn metadata_change(&mut self) -> Option<Option<Metadata>> {
        const NAME: &str = "metadata";
        if self.clears(NAME) {
            return Some(None);
        }
        let Json::Object(fields) = self.take(NAME)? else {
            self.complain(NAME, "not_an_object", format!("metadata must be {}", Metadata::RULE));
            return None;
        };
        let mut entries = Vec::with_capacity(fields.len());
        for (key, value) in fields {
            let Json::Text(text) = value else {
                self.complain(NAME, "not_a_string", "each value of metadata must be a string");
                return None;
            };
            entries.push((key.into_owned(), text.into_owned()));
        }
        match Metadata::new(entries) {
            Ok(metadata) => Some(metadata),
            Err(error) => {
                let code = match error {
                    MetadataError::TooManyEntries | MetadataError::TooLarge => "too_large",
                    MetadataError::Repeated => "duplicate_field",
                    MetadataError::Text => "invalid_format",
                };
                self.complain(NAME, code, error.to_string());
                None
            }
        }
    }
}
