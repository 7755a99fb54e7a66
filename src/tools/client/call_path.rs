//! The path and query of a call. Every value is encoded here, so that a text never means another path or parameter.

use std::fmt::Display;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Bytes that are replaced: all but those that RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPath(String);

impl CallPath {
    /// One of the paths of the interface, which has no parameters.
    pub fn of(path: &'static str) -> Self {
        Self(path.to_owned())
    }

    /// The path with one more segment, such as an id.
    #[must_use]
    pub fn segment(mut self, segment: impl Display) -> Self {
        self.0.push('/');
        self.0.push_str(&escape(&segment.to_string()));
        self
    }

    /// The path with one more parameter.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.extend([name, "=", &escape(&value.to_string())]);
        self
    }

    /// The path with one more parameter, where there is a value.
    #[must_use]
    pub fn maybe(self, name: &'static str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_leave_its_segment_or_its_parameter() {
        let path = CallPath::of("/api").segment("drop-1_a.b~c").segment("a/b ?é").segment(7);
        assert_eq!(path.as_str(), "/api/drop-1_a.b~c/a%2Fb%20%3F%C3%A9/7");
        let none: Option<u64> = None;
        let path = CallPath::of("/api").with("sale", "a&b=c").maybe("limit", none).maybe("sku", Some("+1"));
        assert_eq!(path.as_str(), "/api?sale=a%26b%3Dc&sku=%2B1");
    }
}
