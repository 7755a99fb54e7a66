//! Metadata: what a shop notes on a product, a hold or an order. We only keep it and give it back.

use std::sync::Arc;

/// Texts by name, in the order in which they were given. There is at least one: nothing to note is no metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata(Arc<[(String, String)]>);

/// Why entries are no metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    #[error("metadata may have 20 entries")]
    TooManyEntries,
    #[error("a key of metadata must have 1 to 40 bytes, and a value at most 500, without control characters")]
    Text,
    #[error("a key of metadata is there twice")]
    Repeated,
    #[error("metadata may have 2048 bytes, written as JSON")]
    TooLarge,
}

impl Metadata {
    pub const ENTRIES_MAX: usize = 20;
    pub const KEY_BYTES_MAX: usize = 40;
    pub const VALUE_BYTES_MAX: usize = 500;
    /// Bytes of all of it, as the JSON that we store.
    pub const BYTES_MAX: usize = 2_048;
    pub const RULE: &str = "an object of at most 20 texts";

    /// `None` where there are no entries.
    ///
    /// # Errors
    /// See [`MetadataError`].
    pub fn new(entries: Vec<(String, String)>) -> Result<Option<Self>, MetadataError> {
        if entries.len() > Self::ENTRIES_MAX {
            return Err(MetadataError::TooManyEntries);
        }
        let is_plain = |text: &str| !text.chars().any(char::is_control);
        let fits = |(key, value): &(String, String)| {
            (1..=Self::KEY_BYTES_MAX).contains(&key.len())
                && value.len() <= Self::VALUE_BYTES_MAX
                && is_plain(key)
                && is_plain(value)
        };
        if !entries.iter().all(fits) {
            return Err(MetadataError::Text);
        }
        if (1..entries.len()).any(|at| entries[..at].iter().any(|(key, _)| *key == entries[at].0)) {
            return Err(MetadataError::Repeated);
        }
        if entries.iter().map(|(key, value)| json_bytes(key) + json_bytes(value) + 2).sum::<usize>() + 1
            > Self::BYTES_MAX
        {
            return Err(MetadataError::TooLarge);
        }
        Ok((!entries.is_empty()).then(|| Self(entries.into())))
    }

    pub fn entries(&self) -> &[(String, String)] {
        &self.0
    }

    /// The same whatever order the entries were given in.
    #[must_use]
    pub fn by_key(&self) -> Self {
        let mut entries = self.0.to_vec();
        entries.sort();
        Self(entries.into())
    }
}

/// Bytes of a text without control characters as a JSON string.
fn json_bytes(text: &str) -> usize {
    text.len() + 2 + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(entries: &[(&str, &str)]) -> Result<Option<Metadata>, MetadataError> {
        Metadata::new(entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn entries_keep_their_order_and_none_is_no_metadata() {
        let metadata = new(&[("b", "1"), ("a", "")]).unwrap().unwrap();
        assert_eq!(metadata.entries().iter().map(|(key, _)| &**key).collect::<String>(), "ba");
        assert_eq!(new(&[]), Ok(None));
    }

    #[test]
    fn what_is_too_much_or_unprintable_is_refused() {
        let keys: Vec<String> = (0..21).map(|n| n.to_string()).collect();
        let many: Vec<_> = keys.iter().map(|key| (&**key, "")).collect();
        assert!(new(&many[..20]).is_ok());
        assert_eq!(new(&many), Err(MetadataError::TooManyEntries));
        let long = "x".repeat(501);
        for (key, value) in [("", "v"), (&long[..41], ""), ("k", &*long), ("a\nb", ""), ("k", "\u{85}"), ("k", "\t")] {
            assert_eq!(new(&[(key, value)]), Err(MetadataError::Text), "{key:?}");
        }
        assert!(new(&[(&long[..40], &long[..500])]).is_ok());
        assert_eq!(new(&[("k", "1"), ("k", "1")]), Err(MetadataError::Repeated));
    }

    #[test]
    fn the_bound_on_all_of_it_counts_the_json_to_the_byte() {
        // {"a":"","b":"","c":"","d":"","e":""} has 36 bytes, and a quote in a text is written with two.
        let value = "x".repeat(500);
        let rest = "\"".repeat(6);
        let five = |last: &str| new(&[("a", &value), ("b", &value), ("c", &value), ("d", &value), ("e", last)]);
        assert!(five(&rest).is_ok());
        assert_eq!(five(&format!("{rest}x")), Err(MetadataError::TooLarge));
    }
}
